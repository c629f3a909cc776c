// What happens to a dialog is told once, by its actor, with all that it had (`LifeEvent`).

import Node
import Primitives
import Proxy
import SIP
import Testing

@Suite("Events of dialogs' lives")
struct LifeEventTests {
    private static func bench(_ change: @escaping (inout Settings) -> Void = { _ in }) -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.dialogs.defaultTimeout = .seconds(20)
            settings.dialogs.tellsEvents = true
            settings.dialogs.profilesNoValue = ["calls"]
            change(&settings)
        }
        bench.advance(milliseconds: 2_000)
        return bench
    }

    private static func kinds(_ bench: ClusterBench) -> [String] { bench.events.map(\.event.kind.rawValue) }

    @Test(arguments: 0..<3)
    func `a call starts and ends once for all nodes, and its end has what was written last, wherever`(node: Int) throws
    {
        var bench = Self.bench()
        bench.call(through: 0)
        #expect(Self.kinds(bench) == ["start"])
        try bench.change([.variable("k", value: "v"), .profile("calls", value: nil, isMember: true)], through: node)
        bench.hangUp(through: node)
        bench.advance(milliseconds: 3_000)
        #expect(Self.kinds(bench) == ["start", "end"])
        let end = try #require(bench.events.last?.event)
        #expect(end.dialog.variables.map(\.value) == ["v"] && end.dialog.profiles.map(\.key) == ["calls"])
        #expect(end.dialog.from.contains("alice") && end.dialog.answeredMilliseconds > 0)
        #expect(end.dialog.end.cause == .caller && end.node == "n1" && end.id == "\(end.dialog.did).end")
        for index in 0..<3 {
            let left = try #require(bench.dialog(seenBy: index))
            #expect(left.state == "deleted" && left.variables.isEmpty && left.from.isEmpty, "narrowed on node \(index)")
        }
    }

    @Test func `a call whose time is up tells that, then its end; one that fails tells that alone`() {
        var bench = Self.bench()
        bench.call(through: 1)
        bench.advance(milliseconds: 24_000)
        #expect(Self.kinds(bench) == ["start", "timeout", "end"])
        var failed = Self.bench()
        failed.ring(through: 2)
        failed.answer(486, through: 2)
        failed.advance(milliseconds: 2_000)
        #expect(Self.kinds(failed) == ["failed"])
        #expect(failed.events.allSatisfy { $0.event.dialog.variables.isEmpty })
    }

    @Test func `when the home dies before it has told, the heir tells, once, with what the home had been told`() throws
    {
        var bench = Self.bench()
        bench.call(through: 0)
        try bench.change([.variable("k", value: "v")], through: 1)
        bench.hangUp(through: 1)
        bench.kill(0)
        bench.advance(milliseconds: 5_000)
        #expect(Self.kinds(bench) == ["start", "end"])
        #expect(bench.events.last?.event.dialog.variables.map(\.value) == ["v"])
    }

    @Test func `a variable set on another node while the BYE passes is in the end`() throws {
        var bench = Self.bench()
        bench.call(through: 0)
        bench.bus.delay = 30
        let to = "<sip:bob@10.0.9.2>;tag=bob"
        bench.receive(
            ClusterBench.request("BYE", "z9hG4bKbye", to, cSeq: 9, extra: bench.route), from: ClusterBench.caller, at: 0
        )
        try bench.change([.variable("late", value: "yes")], through: 2)
        bench.advance(milliseconds: 2_000)
        #expect(bench.events.last?.event.dialog.variables == [StampedReport(key: "late", value: "yes")])
        #expect(Self.kinds(bench) == ["start", "end"])
    }

    @Test func `without dialogs_events nothing is told and a tombstone is small at once`() {
        var bench = Self.bench { $0.dialogs.tellsEvents = false }
        bench.call(through: 0)
        bench.hangUp(through: 0)
        #expect(bench.events.isEmpty)
        #expect(bench.dialog(seenBy: 1)?.from == "")
    }
}

@Suite("What a route gives its dialogs")
struct RouteDialogTests {
    private static func route(_ more: [String: [String]]) -> (Route?, [SettingProblem]) {
        var problems: [SettingProblem] = []
        let row = ["match": [".*"], "to": ["sip:10.0.9.2"]].merging(more) { $1 }
        return (Route.read(row, number: 1, problems: &problems), problems)
    }

    private static let rich: [String: [String]] = [
        "dialog.profiles": ["calls", "caller=$fU", "class=$hdr(X-Class)"],
        "dialog.variables.tenant": ["$fd"], "dialog.variables": ["way=$ci from $(si):$sp, $$5"],
        "dialog.flags": ["3", "31"], "dialog.properties": ["ka-src"], "dialog.timeout": ["5"],
    ]

    @Test func `profiles, variables, flags, a property and a lifetime are in the record from its beginning`() throws {
        let (route, problems) = Self.route(Self.rich)
        #expect(problems.isEmpty)
        var bench = ClusterBench { settings in
            settings.routes = [route].compactMap { $0 }
            settings.dialogs.profilesWithValue = ["caller", "class"]
            settings.dialogs.profilesNoValue = ["calls"]
        }
        bench.advance(milliseconds: 2_000)
        bench.ring(through: 1, contact: "Contact: <sip:alice@10.0.9.1>\r\nX-Class: gold\r\n")
        bench.advance(milliseconds: 50)
        for index in 0..<3 {
            let dialog = try #require(bench.dialog(seenBy: index))
            #expect(
                dialog.variables == [
                    StampedReport(key: "tenant", value: "10.0.9.1"),
                    StampedReport(key: "way", value: "c from 10.0.9.1:5060, $5"),
                ])
            #expect(dialog.profiles.map { "\($0.key)=\($0.value)" } == ["caller=alice", "calls=", "class=gold"])
            #expect(dialog.scriptFlags == 1 << 31 | 8 && dialog.properties == ["ka-src"])
            #expect(dialog.lifetimeMilliseconds == 5_000)
            #expect(try bench.nodes[index]?.size(ofProfile: "caller", value: "alice") == 1)
        }
        bench.answer(through: 1)
        bench.advance(milliseconds: 6_500)
        #expect(bench.sent.contains { $0.text.hasPrefix("BYE") })
    }

    @Test func `a profile whose value the request lacks is left out, a variable is empty`() throws {
        let (route, _) = Self.route([
            "dialog.profiles": ["class=$hdr(X-Class)"], "dialog.variables": ["class=$hdr(X-Class)"],
        ])
        var bench = ClusterBench { settings in
            settings.routes = [route].compactMap { $0 }
            settings.dialogs.profilesWithValue = ["class"]
        }
        bench.advance(milliseconds: 2_000)
        bench.ring(through: 0)
        let dialog = try #require(bench.dialog(seenBy: 0))
        #expect(dialog.profiles.isEmpty && dialog.variables == [StampedReport(key: "class", value: "")])
    }

    @Test(arguments: [
        ("dialog.profiles", "caller=$nothing"), ("dialog.flags", "32"), ("dialog.properties", "ka"),
        ("dialog.timeout", "0"), ("dialog.variables", "noequals"), ("dialog.color", "red"), ("dialog", "red"),
    ])
    func `what cannot be is refused by its name`(field: String, text: String) {
        let (route, problems) = Self.route([field: [text]])
        #expect(route == nil && problems.count == 1, "\(problems)")
    }

    @Test func `profiles that are not configured, or otherwise, are told`() {
        var settings = Settings()
        settings.routes = [Self.route(Self.rich).0].compactMap { $0 }
        settings.dialogs.profilesWithValue = ["calls", "callers"]
        let told = settings.problems().filter { $0.key == "routes" }.map(\.message)
        #expect(told.count == 3 && told.contains { $0.contains("calls needs a value") })
        #expect(told.contains { $0.contains("did you mean callers?") })
    }

    @Test func `one line says it, too`() {
        var problems: [SettingProblem] = []
        let line = ".* => sip:10.0.9.2 dialog.profiles=caller=$fU dialog.variables=tenant=$fd dialog.timeout=60"
        let route = Route.parse(line, number: 1, problems: &problems)
        #expect(problems.isEmpty && route?.dialog?.variables.count == 1 && route?.dialog?.profiles.count == 1)
        #expect(route?.dialog?.lifetimeMilliseconds == 60_000)
    }
}

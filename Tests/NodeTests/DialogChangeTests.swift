// What is set on one node is seen on all, outlives that node, and stays as it was written last: variables, profiles,
// flags, properties, lifetimes and ends, by the functions that scripts and operators have.

import Node
import Primitives
import SIP
import Testing

@Suite("What scripts and operators change of a dialog")
struct DialogChangeTests {
    private static func bench(_ change: @escaping (inout Settings) -> Void = { _ in }) -> ClusterBench {
        var bench = ClusterBench { settings in
            settings.dialogs.defaultTimeout = .seconds(60)
            settings.dialogs.profilesWithValue = ["caller"]
            settings.dialogs.profilesNoValue = ["calls"]
            change(&settings)
        }
        bench.advance(milliseconds: 2_000)
        bench.call(through: 0)
        return bench
    }

    @Test func `so many times of whole profiles are set at once and no more`() throws {
        var bench = Self.bench()
        try bench.change([.profile("calls", value: nil, isMember: true)], through: 0)
        var taken = 0
        bench.change(0) { node, now in
            while node.setTimeout(ofProfile: Array("calls".utf8), value: nil, seconds: 20 + taken, now: now) {
                taken += 1
            }
        }
        #expect(taken == 64)
        bench.advance(milliseconds: 1_000)
        let left = try #require(bench.dialog(seenBy: 2)?.remainingMilliseconds)
        #expect((81_000...83_000).contains(left), "the last one: \(left)")
    }

    @Test func `what is set on one node is seen on all and survives the node's death`() throws {
        var bench = Self.bench()
        try bench.change(
            [
                .variable("tenant", value: "blue"), .profile("caller", value: "alice", isMember: true),
                .profile("calls", value: "ignored", isMember: true), .flag(31, isSet: true),
                .property("timeout-noreset", isSet: true),
            ], through: 1)
        bench.advance(milliseconds: 20)
        bench.kill(1)
        bench.advance(milliseconds: 3_000)
        for index in [0, 2] {
            let node = try #require(bench.nodes[index])
            let dialog = try #require(bench.dialog(seenBy: index))
            #expect(dialog.variables == [StampedReport(key: "tenant", value: "blue")])
            #expect(
                dialog.profiles == [
                    StampedReport(key: "caller", value: "alice"), StampedReport(key: "calls", value: ""),
                ])
            #expect(dialog.scriptFlags == 1 << 31 && dialog.properties == ["timeout-noreset"])
            #expect(try node.variable("tenant", did: dialog.did) == "blue")
            #expect(try node.isFlagSet(31, did: dialog.did) && !node.isFlagSet(0, did: dialog.did))
            #expect(try node.size(ofProfile: "caller", value: "alice") == 1)
            #expect(try node.size(ofProfile: "caller", value: "bob") == 0)
            #expect(try node.size(ofProfile: "caller", value: nil) == 1)
            #expect(try node.size(ofProfile: "calls", value: "x") == 1)
            #expect(try node.isInProfile("caller", value: nil, did: dialog.did))
            #expect(try !node.isInProfile("caller", value: "bob", did: dialog.did))
            #expect(node.profiles().map(\.size) == [1, 1])
        }
        bench.hangUp(through: 2)
        for index in [0, 2] { #expect(bench.nodes[index]?.profiles().map(\.size) == [0, 0]) }
    }

    @Test func `a hundred writes dealt over three nodes: all see the last one, and a removal stays`() throws {
        var bench = Self.bench()
        for number in 1...100 {
            let value = number.isMultiple(of: 10) ? nil : "\(number)"
            try bench.change([.variable("k", value: value), .flag(3, isSet: value != nil)], through: number % 3)
            bench.advance(milliseconds: 20)
            for index in 0..<3 {
                let dialog = try #require(bench.dialog(seenBy: index))
                try #require(dialog.variables.map(\.value) == (value.map { [$0] } ?? []), "write \(number)")
                try #require(dialog.scriptFlags == (value == nil ? 0 : 8), "write \(number)")
            }
        }
    }

    @Test func `two who write at once agree, and whoever has seen that is not overruled`() throws {
        var bench = Self.bench()
        let did = try #require(bench.dialog(seenBy: 0)).did
        bench.bus.delay = 5
        for index in 0..<3 { try bench.change([.variable("k", value: "n\(index + 1)")], through: index) }
        bench.advance(milliseconds: 50)
        let values = Set((0..<3).map { try? bench.nodes[$0]?.variable("k", did: did) })
        #expect(values.count == 1)
        for index in 0..<3 {
            try bench.change([.variable("k", value: "later \(index)")], through: index)
            bench.advance(milliseconds: 50)
            for other in 0..<3 { #expect(try bench.nodes[other]?.variable("k", did: did) == "later \(index)") }
        }
    }

    @Test func `what cannot be done has a reason, and nothing is half done`() throws {
        var bench = Self.bench()
        #expect(throws: DialogError.unknownProfile("callers")) {
            try bench.change(
                [.variable("k", value: "v"), .profile("callers", value: "x", isMember: true)], through: 0)
        }
        #expect(throws: DialogError.profileNeedsValue("caller")) {
            try bench.change([.profile("caller", value: nil, isMember: true)], through: 0)
        }
        #expect(throws: DialogError.invalid("a flag is a number, 0 to 31")) {
            try bench.change([.flag(32, isSet: true)], through: 0)
        }
        #expect(throws: DialogError.full) {
            try bench.change(
                [.variable("k", value: "v"), .variable("l", value: String(repeating: "x", count: 4_096))], through: 0)
        }
        #expect(throws: DialogError.unknown) { try bench.change([.flag(1, isSet: true)], of: "1", through: 0) }
        let long = String(repeating: "x", count: 256)
        for change in [DialogChange.variable(long, value: ""), .profile("caller", value: long, isMember: true)] {
            #expect(throws: DialogError.self) { try bench.change([change], through: 0) }
        }
        var ending = DialogEnding()
        for reason in [String(long.prefix(129)), "with \"quotes\"", "line\r\nX: y"] {
            ending.reason = reason
            #expect(throws: DialogError.self) { try bench.terminate(ending, through: 0) }
        }
        ending.reason = ""
        for headers in ["X-A: b", "Via: SIP/2.0/UDP h\r\n", "X-A: b\r\n\r\nbody\r\n", "no header\r\n"] {
            ending.headers = headers
            #expect(throws: DialogError.self) { try bench.terminate(ending, through: 0) }
        }
        for index in 0..<3 { #expect(bench.dialog(seenBy: index)?.variables == []) }
        #expect(DialogError.full.scriptResult == -1)
        bench.hangUp(through: 0)
        #expect(throws: DialogError.ended) { try bench.change([.flag(1, isSet: true)], through: 0) }
    }

    // MARK: Lifetimes

    @Test func `a shorter lifetime ends the dialog then, a longer one later, set on any node`() throws {
        for (seconds, isShorter) in [(5, true), (120, false)] {
            var bench = Self.bench()
            try bench.change([.timeout(seconds: seconds)], through: 2)
            bench.advance(milliseconds: Int64(seconds) * 1_000 - 500)
            #expect(!bench.sent.contains { $0.text.hasPrefix("BYE") }, "\(seconds) s")
            bench.advance(milliseconds: 1_500)
            #expect(bench.sent.contains { $0.text.hasPrefix("BYE") }, "\(seconds) s, shorter: \(isShorter)")
        }
    }

    @Test func `what is set while it rings counts from the answer, the last word of several`() throws {
        var bench = ClusterBench { $0.dialogs.defaultTimeout = .seconds(60) }
        bench.advance(milliseconds: 2_000)
        bench.ring(through: 0)
        bench.advance(milliseconds: 100)
        try bench.change([.timeout(seconds: 30)], through: 1)
        bench.advance(milliseconds: 20)
        try bench.change([.timeout(seconds: 4)], through: 2)
        bench.advance(milliseconds: 3_000)
        bench.answer(through: 0)
        bench.advance(milliseconds: 3_500)
        #expect(!bench.sent.contains { $0.text.hasPrefix("BYE") })
        bench.advance(milliseconds: 1_500)
        #expect(bench.sent.contains { $0.text.hasPrefix("BYE") })
    }

    @Test func `with timeout-noreset a refresh moves nothing, and does again when it is taken back`() throws {
        for isKept in [true, false] {
            var bench = Self.bench { $0.dialogs.defaultTimeout = .seconds(10) }
            try bench.change([.property("timeout-noreset", isSet: true)], through: 1)
            bench.advance(milliseconds: 20)
            if !isKept { try bench.change([.property("timeout-noreset", isSet: false)], through: 2) }
            bench.advance(milliseconds: 6_000)
            bench.reInvite(through: 0, cSeq: 2)
            bench.advance(milliseconds: 6_000)
            #expect(bench.sent.contains { $0.text.hasPrefix("BYE") } == isKept)
        }
    }

    // MARK: Ends

    @Test func `an end has its reason and headers on whichever node makes the BYEs, and further ones on all`() throws {
        for victim in 0..<3 {
            var bench = Self.bench { $0.dialogs.extraHeaders = "X-Cluster: demo\r\n" }
            var ending = DialogEnding()
            ending.reason = "call failed"
            ending.headers = "X-Why: credit\r\n"
            #expect(try bench.terminate(ending, through: 1) == .ending)
            bench.advance(milliseconds: 20)
            bench.kill(victim)
            bench.advance(milliseconds: 4_000)
            let byes = bench.sent.filter { $0.text.hasPrefix("BYE") }
            #expect(Set(byes.map(\.to)) == [ClusterBench.caller, ClusterBench.callee])
            for bye in byes {
                #expect(bye.header("Reason") == "SIP ;cause=480 ;text=\"call failed\"")
                #expect(bye.header("X-Why") == "credit" && bye.header("X-Cluster") == "demo")
            }
        }
    }

    @Test(arguments: [DialogEnding.Side.caller, .callee])
    func `one side alone gets its BYE, and the dialog ends`(side: DialogEnding.Side) throws {
        var bench = Self.bench()
        var ending = DialogEnding()
        ending.side = side
        #expect(try bench.terminate(ending, through: 2) == .ending)
        bench.advance(milliseconds: 2_000)
        let phone = side == .caller ? ClusterBench.caller : ClusterBench.callee
        #expect(bench.sent.filter { $0.text.hasPrefix("BYE") }.map(\.to) == [phone])
        for index in 0..<3 { #expect(bench.end(seenBy: index)?.phase == .ended) }
    }

    @Test func `a dialog that is said to be over ends on every node, by grants, and no phone is told`() throws {
        var bench = Self.bench()
        var ending = DialogEnding()
        ending.side = .none
        #expect(try bench.terminate(ending, through: 2) == .ending)
        bench.advance(milliseconds: 2_000)
        #expect(!bench.sent.contains { $0.text.hasPrefix("BYE") })
        for index in 0..<3 {
            #expect(bench.end(seenBy: index)?.phase == .ended && bench.end(seenBy: index)?.isAnswered == true)
        }
    }

    @Test func `a node that is alone ends a dialog only where that is said`() throws {
        var bench = Self.bench { $0.cluster.quorum = .majority }
        bench.kill(1)
        bench.kill(2)
        bench.advance(milliseconds: 4_000)
        #expect(throws: DialogError.self) { try bench.terminate(DialogEnding(), through: 0) }
        #expect(!bench.sent.contains { $0.text.hasPrefix("BYE") })
        var ending = DialogEnding()
        ending.isForced = true
        #expect(try bench.terminate(ending, through: 0) == .ending)
        bench.advance(milliseconds: 1_000)
        #expect(bench.end(seenBy: 0)?.phase == .ended)
        #expect(bench.sent.count { $0.text.hasPrefix("BYE") } == 2)
    }

    @Test func `statistics are the cluster's, and this node's beside them`() throws {
        var bench = Self.bench { $0.dialogs.defaultTimeout = .seconds(5) }
        for index in 0..<3 {
            let node = try #require(bench.nodes[index])
            #expect(node.statistics().named.map(\.value) == [1, 0, 1, 0, 0])
            #expect(node.statistics(ofThisNode: true).active == (index == 0 ? 1 : 0))
        }
        bench.advance(milliseconds: 6_000)
        for index in 0..<3 {
            let node = try #require(bench.nodes[index])
            #expect(node.statistics().named.map(\.value) == [0, 0, 1, 1, 0])
            #expect(node.statistics(ofThisNode: true).expired == (index == 0 ? 1 : 0))
        }
    }
}

extension ClusterBench {
    func dialog(seenBy index: Int) -> DialogReport? {
        var query = DialogQuery()
        if let live = nodes[index]?.dialogs(query, now: now).dialogs.first { return live }
        query.states = ["deleted"]
        return nodes[index]?.dialogs(query, now: now).dialogs.first
    }

    mutating func change(_ changes: [DialogChange], of did: String? = nil, through index: Int) throws(DialogError) {
        let did = did ?? dialog(seenBy: index)?.did ?? ""
        defer { deliver() }
        try nodes[index]?.change(did: did, changes, now: now, into: &outs[index])
    }

    mutating func terminate(_ ending: DialogEnding, through index: Int) throws(DialogError) -> EndReport? {
        let did = dialog(seenBy: index)?.did ?? ""
        defer { deliver() }
        return try nodes[index]?.terminate(did: did, ending, now: now, into: &outs[index])
    }

    /// The call's route, from the last INVITE that left.
    var route: String {
        let names = sent.filter { $0.text.hasPrefix("INVITE") }.compactMap { $0.header("Record-Route") }
        return "Route: \(names.last ?? "")\r\n"
    }

    mutating func hangUp(through index: Int, cSeq: Int = 90) {
        let to = "<sip:bob@10.0.9.2>;tag=bob"
        receive(Self.request("BYE", "z9hG4bKbye", to, cSeq: cSeq, extra: route), from: Self.caller, at: index)
        advance(milliseconds: 100)
    }

    mutating func reInvite(through index: Int, cSeq: Int) {
        let to = "<sip:bob@10.0.9.2>;tag=bob"
        let extra = "Contact: <sip:alice@10.0.9.1>\r\n\(route)"
        receive(Self.request("INVITE", "z9hG4bKre\(cSeq)", to, cSeq: cSeq, extra: extra), from: Self.caller, at: index)
        let invite = sent.last { $0.text.hasPrefix("INVITE") }!
        let contact = "Contact: <sip:bob@10.0.9.2>\r\n"
        receive(Self.answer(200, to: invite, extra: contact), from: Self.callee, at: index)
        advance(milliseconds: 50)
        receive(Self.request("ACK", "z9hG4bKreack\(cSeq)", to, cSeq: cSeq, extra: route), from: Self.caller, at: index)
        advance(milliseconds: 10)
    }

    mutating func ring(through index: Int, contact: String = "Contact: <sip:alice@10.0.9.1>\r\n") {
        receive(
            Self.request("INVITE", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: contact), from: Self.caller, at: index)
        let invite = sent.last { $0.text.hasPrefix("INVITE") }!
        let answer = Self.answer(180, to: invite, toTag: ";tag=bob", extra: "Contact: <sip:bob@10.0.9.2>\r\n")
        receive(answer, from: Self.callee, at: index)
    }

    mutating func answer(_ status: Int = 200, through index: Int) {
        let invite = sent.last { $0.text.hasPrefix("INVITE") }!
        let answer = Self.answer(status, to: invite, toTag: ";tag=bob", extra: "Contact: <sip:bob@10.0.9.2>\r\n")
        receive(answer, from: Self.callee, at: index)
        advance(milliseconds: 100)
        let to = "<sip:bob@10.0.9.2>;tag=bob"
        guard status < 300 else { return }
        receive(Self.request("ACK", "z9hG4bKa1", to, extra: route), from: Self.caller, at: index)
        advance(milliseconds: 50)
    }
}

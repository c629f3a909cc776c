// What scripts cost: a run that does nothing, one that calls ten functions of KSR, and whole calls under a script that
// is given, which is Debian's for Kamailio (`Deploy/benchmark`).
//
//     kemi − run     what ten calls add to a message
//     stock ÷ call   what the script makes of a whole call

import Node
import Primitives
import Proxy
import Routes
import SIP
import Scripting

enum ScriptBenchmarks {
    /// Ten functions as scripts call them: questions about the request, a variable read and one written, a header, a
    /// table.
    static let ten = #"""
        function ksr_request_route()
          local source = KSR.kx.get_srcip()
          if KSR.is_REGISTER() or KSR.siputils.has_totag() > 0 then return end
          KSR.maxfwd.process_maxfwd(10)
          if KSR.htable.sht_match_name("ipban", "eq", source) > 0 then return end
          if KSR.is_myself_ruri() then return end
          KSR.pv.sets("$var(who)", KSR.pv.get("$fU"))
          KSR.hdr.append("P-Hint: outbound\r\n")
          KSR.x.exit()
        end
        """#
    static let none = "function ksr_request_route() end"

    /// What a node at this address asks.
    static func judge(_ script: [UInt8], at address: Endpoint) -> ScriptJudge {
        var settings = RouteSettings()
        settings.names = [HostPort(address)]
        settings.tables = [HashTableSettings(name: Array("ipban".utf8), lifetime: .seconds(300))]
        // All calls come from one address: it is the balancer's.
        settings.balancers = [Phones.caller.address]
        let run = RouteRun(
            settings: settings, point: RoutePoint(kind: .request, source: address, socket: address),
            time: RouteTime(microseconds: 0, now: .zero), seed: 1)
        let source = ScriptSource(main: .init(name: "route.lua", text: script))
        do throws(ScriptError) {
            let judge = try ScriptJudge(try ScriptEngine(source, limits: ScriptLimits(), run: run), sockets: [address])
            // As a node is configured that has nothing to say of it.
            judge.lowestNote = { .info }
            return judge
        } catch {
            fatalError("the script of a benchmark must load: \(error.sentence)")
        }
    }

    /// What a node asks about an INVITE.
    static func question() -> ScriptQuestion {
        var settings = Settings()
        settings.sip.listen = [Member.address(0)]
        var node = Node(settings: settings, boot: 1, seed: 1, now: .zero, unixMilliseconds: 0)
        node.scriptPoints = .passing
        var out = Outbox()
        node.advance(to: .zero, into: &out)
        out.removeAll()
        let invite = Phones.invite(1)
        node.receive(
            datagram: RawSpan(_elements: invite.span), from: Phones.caller, on: ListenerID(rawValue: 0),
            ageMilliseconds: 0, now: .zero, into: &out)
        guard let question = out.scripts.first else { preconditionFailure("a node must ask about an INVITE") }
        return question
    }
}

/// A question about an INVITE, answered by ten calls, the last of them an exit.
struct KemiBenchmark: PartBenchmark {
    private let judge = ScriptBenchmarks.judge(Array(ScriptBenchmarks.ten.utf8), at: Member.address(0))
    private let question = ScriptBenchmarks.question()

    mutating func prepare() {}

    mutating func measure() {
        measuredKemi(judge, question)
        if !judge.failures.isEmpty { fatalError("the script must run: \(judge.failures)") }
    }
}

@inline(never)
private func measuredKemi(_ judge: ScriptJudge, _ question: ScriptQuestion) {
    _ = judge.judge(question, RouteTime(microseconds: 0, now: .zero))
}

/// The same question, of a route that does nothing.
struct RunBenchmark: PartBenchmark {
    private let judge = ScriptBenchmarks.judge(Array(ScriptBenchmarks.none.utf8), at: Member.address(0))
    private let question = ScriptBenchmarks.question()

    mutating func prepare() {}

    mutating func measure() { measuredRun(judge, question) }
}

@inline(never)
private func measuredRun(_ judge: ScriptJudge, _ question: ScriptQuestion) {
    _ = judge.judge(question, RouteTime(microseconds: 0, now: .zero))
}

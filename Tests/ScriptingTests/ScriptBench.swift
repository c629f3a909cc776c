// An engine over a text, with the message that the tests of routes use.

import Primitives
import Routes
import SIP
import Scripting

enum ScriptBench {
    static let invite = """
        INVITE sip:bob@example.org SIP/2.0
        Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport
        Max-Forwards: 10
        From: "Alice" <sip:alice@example.com>;tag=fromtag
        To: <sip:bob@example.org>
        Call-ID: call-1
        CSeq: 17 INVITE
        Contact: <sip:alice@10.0.0.5:5060>
        User-Agent: phone/1.0
        Content-Length: 0


        """

    static func run(_ text: String = invite, modules: Set<String> = Library.optionalModules) -> RouteRun {
        var settings = RouteSettings()
        settings.names = [HostPort(host: Array("127.0.0.20".utf8), port: 5_060, transport: .udp)]
        settings.tables = [HashTableSettings(name: Array("ipban".utf8), lifetime: .seconds(300))]
        settings.modules = modules
        let address = Address(text: "192.0.2.9") ?? .init(ipv4: 0)
        let own = Address(text: "127.0.0.20") ?? .init(ipv4: 0)
        let point = RoutePoint(
            kind: .request, source: Endpoint(address: address, port: 6_000),
            socket: Endpoint(address: own, port: 5_060))
        let time = RouteTime(microseconds: 1_000_000_000_000_000, now: .zero)
        var run = RouteRun(settings: settings, point: point, time: time, seed: 7)
        run.begin(message(text), at: point, state: RouteState(), time: time)
        return run
    }

    static func message(_ text: String = invite) -> Message {
        var message = Message()
        let bytes = Array(text.replacing("\n", with: "\r\n").utf8)
        try? message.load(RawSpan(_elements: bytes.span))
        return message
    }

    static func engine(
        _ text: String, limits: ScriptLimits = ScriptLimits(), modules: [String: String] = [:],
        enabled: Set<String> = Library.optionalModules
    ) throws -> ScriptEngine {
        var source = ScriptSource(main: .init(name: "route.lua", text: Array(text.utf8)))
        for (name, text) in modules { _ = source.add(.init(name: name, text: Array(text.utf8))) }
        return try ScriptEngine(source, limits: limits, run: run(modules: enabled))
    }
}

extension ScriptEngine {
    /// Runs a route on a fresh message.
    func route(_ name: String, _ text: String = ScriptBench.invite) -> ScriptOutcome {
        run.begin(ScriptBench.message(text), at: run.point, state: RouteState(), time: run.time)
        return start(Array(name.utf8))
    }

    var notes: [String] { run.notes.map { $0.text.shown } }
}

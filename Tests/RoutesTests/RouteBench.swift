// A message at work without a node: what the tests of routes begin with.

import Primitives
import Routes
import SIP
import Testing

enum RouteBench {
    static let invite = """
        INVITE sip:bob@example.org:5062;transport=tcp SIP/2.0
        Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport
        Max-Forwards: 10
        From: "Alice" <sip:alice@example.com>;tag=fromtag
        To: <sip:bob@example.org>
        Call-ID: call-1@10.0.0.5
        CSeq: 17 INVITE
        Contact: <sip:alice@10.0.0.5:5060>
        User-Agent: phone/1.0
        X-List: a, b
        X-List: c
        Content-Type: application/sdp
        Content-Length: 36

        v=0
        c=IN IP4 10.0.0.5
        m=audio 4000 RTP/AVP 0
        """

    static func settings() -> RouteSettings {
        var settings = RouteSettings()
        settings.names = [HostPort(host: Array("127.0.0.20".utf8), port: 5_060, transport: .udp)]
        settings.domains = [Array("ours.example".utf8)]
        settings.transports = [.udp, .tcp]
        settings.tables = [HashTableSettings(name: Array("t".utf8), lifetime: .seconds(60))]
        settings.modules = ["auth", "auth_db", "nathelper", "permissions"]
        return settings
    }

    static func run(
        _ text: String = invite, kind: RouteKind = .request, settings: RouteSettings = settings(),
        source: String = "192.0.2.9:6000"
    ) throws -> RouteRun {
        var message = Message()
        let bytes = Array(text.replacing("\n", with: "\r\n").utf8) + Array("\r\n".utf8)
        try message.load(RawSpan(_elements: bytes.span))
        let from = try #require(Endpoint(text: source))
        let socket = try #require(Endpoint(text: "127.0.0.20:5060"))
        let point = RoutePoint(kind: kind, source: from, socket: socket)
        let time = RouteTime(microseconds: 1_700_000_000_000_000, now: Instant(nanoseconds: 1_000_000_000))
        var run = RouteRun(settings: settings, point: point, time: time, seed: 1)
        run.begin(message, at: point, state: RouteState(), time: time)
        return run
    }
}

extension RouteRun {
    /// A pseudo-variable as text; `nil` for null.
    mutating func text(_ name: String) -> String? {
        let value = value(of: Array(name.utf8))
        return value.isNull ? nil : value.bytes.shown
    }
}

// A node with its script, without sockets: what the SIP thread does in a turn, and what leaves.

import Node
import Primitives
import Proxy
import Routes
import SIP
import Scripting
import Testing

struct ScriptDesk {
    struct Sent {
        var to: String
        var text: String

        var firstLine: String { String(text.prefix { $0 != "\r\n" && $0 != "\n" }) }
        var status: Int? { text.hasPrefix("SIP/2.0 ") ? Int(text.dropFirst(8).prefix(3)) : nil }

        func lines(_ name: String) -> [String] {
            text.split(separator: "\r\n").filter { $0.hasPrefix(name + ":") }.map(String.init)
        }
    }

    var node: Node
    let judge: ScriptJudge
    var now = Instant.zero
    var out = Outbox()
    /// The function that events of dialogs are told to.
    var eventCallback = "" {
        didSet { node.awaitsConfirmation = !eventCallback.isEmpty }
    }
    /// The function that requests of the node's own are told to.
    var localCallback = "" {
        didSet {
            judge.localCallback = Array(localCallback.utf8)
            node.scriptPoints = judge.points
        }
    }
    /// The function that contacts whose time is over are told to.
    var contactCallback = "" {
        didSet { node.tellsExpiredContacts = !contactCallback.isEmpty }
    }
    /// What the log got.
    private(set) var notes: [Note] = []
    var failures: [Note] { notes.filter { $0.message == "a route of the script failed" } }
    /// What the script wrote.
    var said: [String] {
        notes.filter { $0.message == "the script says" }.flatMap { $0.metadata.map(\.1) }
    }

    mutating func clearSaid() { notes.removeAll() }

    init(
        _ script: String, modules: Set<String> = [], change: (inout Settings, inout RouteSettings) -> Void = { _, _ in }
    ) throws {
        var settings = Settings()
        settings.node.name = "n1"
        settings.sip.listen = [try #require(Endpoint(text: "127.0.0.20:5060"))]
        var routes = RouteSettings()
        change(&settings, &routes)
        node = Node(settings: settings, boot: 1, seed: 7, now: .zero, unixMilliseconds: 0)
        routes.names = settings.sip.listen.map { HostPort($0) }
        routes.modules = modules
        let point = RoutePoint(kind: .request, source: settings.sip.listen[0], socket: settings.sip.listen[0])
        let run = RouteRun(
            settings: routes, point: point, time: RouteTime(microseconds: 0, now: .zero), seed: 1)
        let source = ScriptSource(main: .init(name: "route.lua", text: Array(script.utf8)))
        judge = try ScriptJudge(
            try ScriptEngine(source, limits: ScriptLimits(), run: run), sockets: settings.sip.listen)
        node.scriptPoints = judge.points
        node.advance(to: now, into: &out)
        out.removeAll()
    }

    private var time: RouteTime { RouteTime(microseconds: 0, now: now) }

    private mutating func turn() -> [Sent] {
        judge.answer(&node, time, into: &out)
        node.advance(to: now, into: &out)
        judge.answer(&node, time, into: &out)
        if !eventCallback.isEmpty {
            judge.tell(to: Array(eventCallback.utf8), confirms: true, &node, time, into: &out)
        }
        if !contactCallback.isEmpty { judge.tellExpired(to: Array(contactCallback.utf8), &node, time, into: &out) }
        notes += out.notes
        defer { out.removeAll() }
        return out.datagrams.map { datagram in
            Sent(
                to: datagram.to.text,
                text: String(decoding: out.arena[datagram.range.range], as: UTF8.self))
        }
    }

    mutating func receive(_ text: String, from: String, flow: FlowID = .none) throws -> [Sent] {
        let bytes = Array(text.utf8)
        var source = try #require(Endpoint(text: from))
        if flow != .none { source.transport = .tcp }
        node.receive(
            datagram: RawSpan(_elements: bytes.span), from: source, on: ListenerID(rawValue: 0), flow: flow,
            ageMilliseconds: 0, now: now, into: &out)
        return turn()
    }

    /// A media relay's answer to a command.
    mutating func answer(_ cookie: String, _ value: Bencode, from: String) throws -> [Sent] {
        let bytes = Array(cookie.utf8) + [0x20] + value.bytes
        let relay = try #require(Endpoint(text: from))
        judge.receive(media: RawSpan(_elements: bytes.span), from: relay, &node, time, into: &out)
        return turn()
    }

    /// A phone's connection has ended.
    mutating func close(_ flow: FlowID) { node.receive(closed: flow, now: now, into: &out) }

    mutating func advance(milliseconds: Int64) -> [Sent] {
        let end = now.advanced(milliseconds: milliseconds)
        var sent: [Sent] = []
        while true {
            let next = min(node.nextDeadline, judge.next ?? .distantFuture)
            guard next <= end else { break }
            now = max(now, next)
            node.advance(to: now, into: &out)
            judge.goOn(&node, time, into: &out)
            sent += turn()
        }
        now = end
        return sent
    }
}

/// Messages of a caller at 127.0.0.22 and of callees.
enum ScriptCall {
    static func request(
        _ start: String, _ method: String, call: String = "c1", cSeq: Int = 1, to: String = "<sip:bob@x>",
        extra: String = ""
    ) -> String {
        "\(start) SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.22:5080;branch=z9hG4bK\(call)\(cSeq)\(method)\r\n"
            + "Max-Forwards: 70\r\nFrom: <sip:alice@127.0.0.22>;tag=a\r\nTo: \(to)\r\nCall-ID: \(call)\r\n"
            + "CSeq: \(cSeq) \(method)\r\nContact: <sip:alice@127.0.0.22:5080>\r\n\(extra)Content-Length: 0\r\n\r\n"
    }

    /// An answer to a request that left, with its Vias and Record-Routes.
    static func answer(_ status: String, to request: ScriptDesk.Sent, tag: String = "b", extra: String = "") -> String {
        let head = request.text.split(separator: "\r\n").map(String.init).filter { line in
            ["Via:", "Record-Route:", "From:", "Call-ID:", "CSeq:"].contains { line.hasPrefix($0) }
        }
        let to = request.lines("To").first ?? "To: <sip:x>"
        return (["SIP/2.0 \(status)"] + head + [to + ";tag=\(tag)", extra + "Content-Length: 0"]).filter { !$0.isEmpty }
            .joined(separator: "\r\n") + "\r\n\r\n"
    }
}

// A few nodes with their script on a bus that loses nothing and takes no time: what `ScriptDesk` is for one. A phone's
// datagram is given to one of them by number; what they send each other's sockets is passed on.

import Node
import Primitives
import Proxy
import Routes
import SIP
import Scripting
import Testing

struct ScriptCluster {
    private struct Question {
        var asker: Int
        var id: UInt64
        var peer: Int
    }

    private(set) var nodes: [Node?]
    let judges: [ScriptJudge]
    private(set) var now = Instant.zero
    private(set) var notes: [Note] = []
    private var outs: [Outbox]
    private var questions: [UInt64: Question] = [:]
    private var lastToken: UInt64 = 0
    private var sent: [ScriptDesk.Sent] = []

    var failures: [Note] { notes.filter { $0.message == "a route of the script failed" } }

    static func address(_ index: Int) throws -> Endpoint { try #require(Endpoint(text: "127.0.0.\(11 + index):5060")) }

    init(
        _ script: String, nodes count: Int = 3, change: (inout Settings, inout RouteSettings) -> Void = { _, _ in }
    ) throws {
        var (nodes, judges): ([Node?], [ScriptJudge]) = ([], [])
        for index in 0..<count {
            var settings = Settings()
            settings.node.name = "n\(index + 1)"
            settings.sip.listen = [try Self.address(index)]
            settings.sip.advertise = [try #require(ConfiguredURI("sip:127.0.0.20"))]
            if count > 1 {
                let buses = try (0..<count).map { try #require(Endpoint(text: "127.0.0.\(11 + $0):7400")) }
                settings.cluster.bus = buses[index]
                settings.cluster.peers = buses.filter { $0 != buses[index] }
            }
            var routes = RouteSettings()
            for listener in 0..<count { routes.names.append(HostPort(try Self.address(listener))) }
            routes.names.append(HostPort(host: Array("127.0.0.20".utf8), port: 5_060, transport: nil))
            change(&settings, &routes)
            let point = RoutePoint(kind: .request, source: settings.sip.listen[0], socket: settings.sip.listen[0])
            let run = RouteRun(
                settings: routes, point: point, time: RouteTime(microseconds: 0, now: .zero), seed: UInt64(index + 1))
            let source = ScriptSource(main: .init(name: "route.lua", text: Array(script.utf8)))
            judges.append(
                try ScriptJudge(
                    try ScriptEngine(source, limits: ScriptLimits(), run: run), sockets: settings.sip.listen))
            var node = Node(
                settings: settings, boot: UInt64(index + 1), seed: UInt64(index + 7), now: .zero, unixMilliseconds: 0)
            node.scriptPoints = .passing
            nodes.append(node)
        }
        (self.nodes, self.judges) = (nodes, judges)
        outs = Array(repeating: Outbox(), count: count)
        _ = try advance(milliseconds: 3_000)
    }

    private var contactCallbacks: [Int: [UInt8]] = [:]

    /// Contacts whose time is over are told to a function of this node's script.
    mutating func tellExpired(at index: Int, to callback: String) {
        nodes[index]?.tellsExpiredContacts = true
        contactCallbacks[index] = Array(callback.utf8)
    }

    /// SIGKILL.
    mutating func kill(_ index: Int) {
        nodes[index] = nil
        outs[index].removeAll()
    }

    // MARK: Time and messages

    mutating func receive(_ text: String, from: String, at index: Int) throws -> [ScriptDesk.Sent] {
        hand(Array(text.utf8), from: try #require(Endpoint(text: from)), to: index)
        return try taken()
    }

    mutating func advance(milliseconds: Int64) throws -> [ScriptDesk.Sent] {
        let end = now.advanced(milliseconds: milliseconds)
        var sent: [ScriptDesk.Sent] = []
        while true {
            var next = Instant.distantFuture
            for index in nodes.indices {
                guard let node = nodes[index] else { continue }
                next = min(next, node.nextDeadline, judges[index].next ?? .distantFuture)
            }
            guard next <= end else { break }
            now = max(now, next)
            for index in nodes.indices {
                nodes[index]?.advance(to: now, into: &outs[index])
                if nodes[index] != nil { judges[index].goOn(&nodes[index]!, time, into: &outs[index]) }
            }
            sent += try taken()
        }
        now = end
        return sent
    }

    private var time: RouteTime { RouteTime(microseconds: 0, now: now) }

    private mutating func hand(_ bytes: [UInt8], from: Endpoint, to index: Int) {
        nodes[index]?.receive(
            datagram: RawSpan(_elements: bytes.span), from: from, on: ListenerID(rawValue: 0), ageMilliseconds: 0,
            now: now, into: &outs[index])
    }

    /// Until nobody has anything to say.
    /// - Returns: What has left for phones.
    private mutating func taken() throws -> [ScriptDesk.Sent] {
        while let index = outs.indices.first(where: { !outs[$0].isEmpty }) {
            if nodes[index] != nil { judges[index].answer(&nodes[index]!, time, into: &outs[index]) }
            if nodes[index] != nil, let callback = contactCallbacks[index] {
                judges[index].tellExpired(to: callback, &nodes[index]!, time, into: &outs[index])
            }
            let out = outs[index]
            outs[index].removeAll()
            notes += out.notes
            for datagram in out.datagrams {
                let bytes = Array(out.arena[datagram.range.range])
                if let host = try nodes.indices.first(where: { try Self.address($0) == datagram.to }) {
                    hand(bytes, from: try Self.address(index), to: host)
                } else {
                    sent.append(ScriptDesk.Sent(to: datagram.to.text, text: String(decoding: bytes, as: UTF8.self)))
                }
            }
            for action in out.bus { perform(action, out.busArena, of: index) }
        }
        defer { sent = [] }
        return sent
    }

    // MARK: The bus

    private mutating func perform(_ action: BusAction, _ arena: [UInt8], of index: Int) {
        func host(_ peer: Int) -> Int { peer < index ? peer : peer + 1 }
        switch action {
        case .publish(let range):
            let bytes = Array(arena[range.range])
            for other in nodes.indices where other != index {
                nodes[other]?.receive(frame: RawSpan(_elements: bytes.span), now: now, into: &outs[other])
            }
        case .request(let peer, let id, let range):
            guard nodes[host(peer)] != nil else {
                nodes[index]?.receiveNoReply(to: id, from: peer, now: now, into: &outs[index])
                return
            }
            lastToken += 1
            questions[lastToken] = Question(asker: index, id: id, peer: peer)
            let bytes = Array(arena[range.range])
            nodes[host(peer)]?.receive(
                request: RawSpan(_elements: bytes.span), token: lastToken, now: now, into: &outs[host(peer)])
        case .reply(let token, let range):
            guard let question = questions.removeValue(forKey: token) else { return }
            let bytes = Array(arena[range.range])
            nodes[question.asker]?.receive(
                reply: RawSpan(_elements: bytes.span), to: question.id, from: question.peer, now: now,
                into: &outs[question.asker])
        case .probe(let peer):
            let result: ProbeResult = nodes[host(peer)] == nil ? .refused : .connected
            nodes[index]?.receive(probe: result, of: peer, now: now, into: &outs[index])
        case .recycle, .connect, .disconnect: break
        }
    }
}

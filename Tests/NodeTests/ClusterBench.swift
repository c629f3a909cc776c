// ClusterBench is three nodes on a bus that loses nothing and takes no time, and the phones of one call: for what a
// simulated world is too large for, and one node too little. The simulator has the faults.

import Node
import Primitives
import SIP

struct ClusterBench {
    /// A SIP message that left the cluster.
    struct Sent {
        var node: Int
        var text: String
        var to: String
        var at: Instant

        func header(_ name: String) -> String? {
            text.split(separator: "\r\n").first { $0.hasPrefix("\(name): ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }
    }

    static let caller = "10.0.9.1:5060"
    static let callee = "10.0.9.2:5060"

    private(set) var nodes: [Node?] = []
    private(set) var now = Instant.zero
    private(set) var sent: [Sent] = []
    var notes: [(node: Int, note: Note)] = []
    /// What a phone answers to a request of the cluster's; 0: nothing. The address it was sent to decides.
    var status: [String: Int] = [caller: 200, callee: 200]

    private let change: (inout Settings) -> Void
    private var outs: [Outbox] = []
    /// Who waits for the reply with this token.
    private var questions: [UInt64: (asker: Int, id: UInt64, peer: Int)] = [:]
    private var lastToken: UInt64 = 0
    private var boots: UInt64 = 0

    init(_ change: @escaping (inout Settings) -> Void) {
        self.change = change
        for index in 0..<3 {
            nodes.append(nil)
            outs.append(Outbox())
            start(index)
        }
    }

    /// Starts a process; its boot is above those before.
    mutating func start(_ index: Int) {
        var settings = Settings()
        settings.node.name = "n\(index + 1)"
        settings.sip.listen = [Self.address(index)]
        settings.cluster.bus = Self.bus(index)
        settings.cluster.peers = (0..<3).filter { $0 != index }.map(Self.bus)
        change(&settings)
        boots += 1
        nodes[index] = Node(settings: settings, boot: boots, seed: boots, now: now, unixMilliseconds: 0)
        outs[index].removeAll()
    }

    /// An operator asks a node to end the call.
    mutating func end(through index: Int) -> EndReport? {
        let did = nodes[index]?.dialogs(DialogQuery(), now: now).dialogs.first?.did ?? ""
        let report = nodes[index]?.endDialog(did: did, now: now, into: &outs[index])
        deliver()
        return report
    }

    /// How far the end of the call has come, as a node sees it.
    func end(seenBy index: Int) -> DialogEnd? {
        var query = DialogQuery()
        if let live = nodes[index]?.dialogs(query, now: now).dialogs.first { return live.end }
        query.states = ["deleted"]
        return nodes[index]?.dialogs(query, now: now).dialogs.first?.end
    }

    /// An operator has a node drained, or SIGTERM does.
    mutating func drain(_ index: Int) {
        _ = nodes[index]?.drain(true, now: now, into: &outs[index])
        deliver()
    }

    /// A node says goodbye, and its process ends.
    mutating func leave(_ index: Int) {
        nodes[index]?.leave(now: now, into: &outs[index])
        deliver()
        kill(index)
    }

    /// SIGKILL.
    mutating func kill(_ index: Int) {
        nodes[index] = nil
        outs[index].removeAll()
    }

    static func address(_ index: Int) -> Endpoint { Endpoint(text: "10.0.1.\(index + 1):5060")! }
    private static func bus(_ index: Int) -> Endpoint { Endpoint(text: "10.0.0.\(index + 1):7400")! }
    private static func host(of peer: Int, seenBy index: Int) -> Int { peer < index ? peer : peer + 1 }
    private static func peer(of host: Int, seenBy index: Int) -> Int { host < index ? host : host - 1 }

    // MARK: Time and messages

    mutating func advance(milliseconds: Int64) {
        let end = now.advanced(milliseconds: milliseconds)
        while let next = nodes.compactMap({ $0?.nextDeadline }).min(), next <= end {
            now = max(now, next)
            for index in nodes.indices where (nodes[index]?.nextDeadline ?? .distantFuture) <= now {
                nodes[index]?.advance(to: now, into: &outs[index])
            }
            deliver()
        }
        now = end
    }

    /// Interferes with one node; what it then wants done is done with the next advance.
    mutating func change(_ index: Int, _ body: (inout Node, Instant) -> Void) {
        guard var node = nodes[index] else { return }
        body(&node, now)
        nodes[index] = node
        nodes[index]?.advance(to: now, into: &outs[index])
        deliver()
    }

    /// A phone's message reaches a node.
    mutating func receive(_ text: String, from: String, at index: Int) {
        hand(Array(text.utf8), from: Endpoint(text: from)!, to: index)
        deliver()
    }

    private mutating func hand(_ bytes: [UInt8], from: Endpoint, to index: Int) {
        nodes[index]?.receive(
            datagram: RawSpan(_elements: bytes.span), from: from, on: ListenerID(rawValue: 0), ageMilliseconds: 0,
            now: now, into: &outs[index])
    }

    /// Until nobody has anything to say.
    private mutating func deliver() {
        while let index = outs.indices.first(where: { !outs[$0].isEmpty }) {
            let out = outs[index]
            outs[index].removeAll()
            for datagram in out.datagrams {
                let bytes = Array(out.arena[datagram.range.range])
                if let host = (0..<3).first(where: { Self.address($0) == datagram.to }) {
                    hand(bytes, from: Self.address(index), to: host)
                } else {
                    leave(String(decoding: bytes, as: UTF8.self), to: datagram.to.text, from: index)
                }
            }
            notes += out.notes.map { (index, $0) }
            for action in out.bus { perform(action, out.busArena, of: index) }
        }
    }

    private mutating func leave(_ text: String, to: String, from index: Int) {
        let message = Sent(node: index, text: text, to: to, at: now)
        sent.append(message)
        guard text.hasPrefix("OPTIONS ") || text.hasPrefix("BYE "), let status = status[to], status > 0 else { return }
        hand(Array(Self.answer(status, to: message).utf8), from: Endpoint(text: to)!, to: index)
    }

    private mutating func perform(_ action: BusAction, _ arena: [UInt8], of index: Int) {
        switch action {
        case .publish(let range):
            let bytes = Array(arena[range.range])
            for host in nodes.indices where host != index {
                nodes[host]?.receive(frame: RawSpan(_elements: bytes.span), now: now, into: &outs[host])
            }
        case .request(let peer, let id, let range):
            let bytes = Array(arena[range.range])
            let host = Self.host(of: peer, seenBy: index)
            guard nodes[host] != nil else {
                nodes[index]?.receiveNoReply(to: id, from: peer, now: now, into: &outs[index])
                return
            }
            lastToken += 1
            questions[lastToken] = (index, id, peer)
            nodes[host]?.receive(
                request: RawSpan(_elements: bytes.span), token: lastToken, now: now, into: &outs[host])
        case .reply(let token, let range):
            guard let question = questions.removeValue(forKey: token) else { return }
            let bytes = Array(arena[range.range])
            nodes[question.asker]?.receive(
                reply: RawSpan(_elements: bytes.span), to: question.id, from: question.peer, now: now,
                into: &outs[question.asker])
        case .probe(let peer):
            let isAlive = nodes[Self.host(of: peer, seenBy: index)] != nil
            nodes[index]?.receive(probe: isAlive ? .connected : .refused, of: peer, now: now, into: &outs[index])
        case .recycle, .connect, .disconnect: break
        }
    }

    // MARK: The call

    /// Makes a call through a node, and confirms it.
    mutating func call(through index: Int) {
        receive(
            Self.request("INVITE", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: "Contact: <sip:alice@10.0.9.1>\r\n"),
            from: Self.caller, at: index)
        let invite = sent.last { $0.text.hasPrefix("INVITE") }!
        receive(
            Self.answer(200, to: invite, toTag: ";tag=bob", extra: "Contact: <sip:bob@10.0.9.2>\r\n"),
            from: Self.callee, at: index)
        advance(milliseconds: 100)
        let route = "Route: \(invite.header("Record-Route")!)\r\n"
        receive(
            Self.request("ACK", "z9hG4bKa1", "<sip:bob@10.0.9.2>;tag=bob", extra: route), from: Self.caller, at: index)
        advance(milliseconds: 100)
    }

    static func request(_ method: String, _ branch: String, _ to: String, cSeq: Int = 1, extra: String) -> String {
        "\(method) sip:bob@10.0.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP \(caller);branch=\(branch)\r\nMax-Forwards: 70\r\n"
            + "From: <sip:alice@10.0.9.1>;tag=alice\r\nTo: \(to)\r\nCall-ID: c\r\nCSeq: \(cSeq) \(method)\r\n\(extra)"
            + "Content-Length: 0\r\n\r\n"
    }

    static func answer(_ status: Int, to request: Sent, toTag: String = "", extra: String = "") -> String {
        var text = "SIP/2.0 \(status) Whatever\r\n"
        for line in request.text.split(separator: "\r\n")
        where line.hasPrefix("Via: ") || line.hasPrefix("Record-Route: ") {
            text += "\(line)\r\n"
        }
        text += "From: \(request.header("From")!)\r\nTo: \(request.header("To")!)\(toTag)\r\n"
        text += "Call-ID: \(request.header("Call-ID")!)\r\nCSeq: \(request.header("CSeq")!)\r\n"
        return text + extra + "Content-Length: 0\r\n\r\n"
    }
}

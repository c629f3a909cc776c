// What tests of callbacks have: a node alone with its program, its storage, and the two phones of one call.

import Callbacks
import Node
import Primitives
import Proxy
import SIP
import Synchronization

/// What bodies have seen, told across closures.
final class Seen: Sendable {
    private let texts = Mutex<[String]>([])
    func note(_ text: String) { texts.withLock { $0.append(text) } }
    var all: [String] { texts.withLock { $0 } }
}

/// A node alone, with its program, and the two phones of one call.
struct Desk {
    var node: Node
    var out = Outbox()
    var now = Instant.zero
    let callbacks: DialogCallbacks
    var sent: [String] = []
    /// What its storage has: rows that are read at the start, and the last batch that was written.
    var rows: [StoredRecord]

    init(
        _ callbacks: DialogCallbacks, confirms: Bool = false, lifetime: Duration = .seconds(43_200),
        stored: [StoredRecord]? = nil
    ) {
        var settings = Settings()
        settings.node.name = "n1"
        settings.sip.listen = [Endpoint(text: "10.0.1.1:5060")!]
        settings.dialogs.tellsEvents = true
        settings.dialogs.defaultTimeout = lifetime
        if stored != nil { (settings.storage.url, settings.storage.mode) = ("sqlite:///somewhere", .realtime) }
        rows = stored ?? []
        node = Node(settings: settings, boot: 1, seed: 1, now: .zero, unixMilliseconds: 1_000)
        node.awaitsConfirmation = confirms
        node.watchedMoments = callbacks.watched
        self.callbacks = callbacks
        if stored != nil { node.keepRecords(knownUntil: 1, now: now) }
        advance(1_000)
    }

    mutating func advance(_ milliseconds: Int64) {
        let end = now.advanced(milliseconds: milliseconds)
        while node.nextDeadline <= end {
            now = max(now, node.nextDeadline)
            node.advance(to: now, into: &out)
            flush()
        }
        now = end
    }

    private mutating func flush() {
        callbacks.run(&node, now: now, into: &out)
        for datagram in out.datagrams {
            sent.append(String(decoding: out.arena[datagram.range.range], as: UTF8.self))
        }
        let asked = out.storage
        out.removeAll()
        out.storage.removeAll()
        for action in asked {
            node.receive(storage: done(action), now: now, into: &out)
            flush()
        }
    }

    private mutating func done(_ action: StorageAction) -> StorageOutcome {
        switch action {
        case .open: return .opened(knownUntil: 1)
        case .write(let batch):
            if !batch.records.isEmpty { rows = batch.records }
            return .written(batch.number)
        case .read: return .read(rows, isLast: true)
        case .holdBack: return .heldBack(0)
        case .readModule: return .moduleRows(ModulePage())
        case .readDue: return .due([], heldBack: 0)
        case .find: return .found(nil)
        case .empty: return .emptied
        }
    }

    mutating func receive(_ text: String, from: String) {
        let bytes = Array(text.utf8)
        node.receive(
            datagram: RawSpan(_elements: bytes.span), from: Endpoint(text: from)!, on: ListenerID(rawValue: 0),
            ageMilliseconds: 0, now: now, into: &out)
        flush()
    }

    mutating func request(_ method: String, _ number: Int, to tag: String, extra: String = "") {
        receive(
            "\(method) sip:bob@10.0.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.9.1:5060;branch=z9hG4bK\(method)\(number)\r\n"
                + "Max-Forwards: 70\r\nFrom: <sip:alice@10.0.9.1>;tag=alice\r\nTo: <sip:bob@10.0.9.2>\(tag)\r\n"
                + "Call-ID: c\r\nCSeq: \(number) \(method)\r\nContact: <sip:alice@10.0.9.1>\r\n\(extra)"
                + "Content-Length: 0\r\n\r\n", from: "10.0.9.1:5060")
    }

    /// The callee answers the last request that it got.
    mutating func answer(_ status: Int, tag: String = "") {
        guard let request = sent.last(where: { $0.contains(" sip:bob@10.0.9.2 SIP/2.0") }) else { return }
        var text = "SIP/2.0 \(status) Whatever\r\n"
        for line in request.split(separator: "\r\n") {
            for name in ["Via: ", "Record-Route: ", "From: ", "Call-ID: ", "CSeq: "] where line.hasPrefix(name) {
                text += "\(line)\r\n"
            }
            if line.hasPrefix("To: ") { text += "\(line)\(tag)\r\n" }
        }
        receive(text + "Contact: <sip:bob@10.0.9.2>\r\nContent-Length: 0\r\n\r\n", from: "10.0.9.2:5060")
    }

    mutating func call() {
        request("INVITE", 1, to: "")
        answer(180, tag: ";tag=bob")
        answer(200, tag: ";tag=bob")
        request("ACK", 1, to: ";tag=bob")
        advance(500)
    }

    /// Who is called sends the INVITE back, for somebody else.
    mutating func sendBack() {
        guard let invite = sent.last(where: { $0.hasPrefix("INVITE ") }) else { return }
        let via = "Via: SIP/2.0/UDP 10.0.9.2:5060;branch=z9hG4bKback\r\n"
        let lines = invite.replacing(
            "INVITE sip:bob@10.0.9.2 SIP/2.0\r\n", with: "INVITE sip:carol@10.0.9.3 SIP/2.0\r\n\(via)")
        receive(lines.replacing("Max-Forwards: 69", with: "Max-Forwards: 68"), from: "10.0.9.2:5060")
    }

    mutating func hangUp() {
        request("BYE", 9, to: ";tag=bob")
        answer(200)
        advance(1_000)
    }
}

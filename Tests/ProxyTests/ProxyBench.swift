// ProxyBench drives one proxy as a shell would, with a virtual clock: datagrams in, datagrams out, commits answered by
// hand.

import Dialogs
import Primitives
import Proxy
import SIP

struct Sent: Equatable {
    var text: String
    var to: String
    var token: UInt64 = 0

    var firstLine: String { String(text.prefix { $0 != "\r\n" }) }

    func header(_ name: String) -> String? { headers(name).first }

    func headers(_ name: String) -> [String] {
        text.split(separator: "\r\n", omittingEmptySubsequences: false).compactMap { line in
            line.hasPrefix(name + ": ") ? String(line.dropFirst(name.count + 2)) : nil
        }
    }
}

struct ProxyBench {
    static let caller = "10.0.0.1:5060"
    static let callee = "10.0.0.2:5060"
    static let node = "10.0.1.1:5060"
    static let shared = "10.0.1.9:5060"

    var proxy: Proxy
    var dialogs: DialogTable
    var now = Instant.zero
    var commits: [CommitToken] = []
    var patches = 0
    var lastPatch: [UInt8] = []
    var wanted: [DialogID] = []
    var puts: [DialogID] = []
    var endedLegs: [DialogID] = []
    /// Requests within dialogs, asked for and ended.
    private(set) var endedRequests: [DialogID] = []
    var notes: [ProxyNote] = []
    /// Names that were asked for, with their tokens.
    var questions: [(token: UInt64, name: ResolutionTarget)] = []
    let hash: KeyedHash
    /// What a script is asked, in order.
    var scripts: [ScriptQuestion] = []
    /// This node acts for its dialogs: what `Node` finds by rank.
    var isActor = true

    init(
        hash: KeyedHash = KeyedHash(key0: 1, key1: 2), _ configure: (inout ProxySettings) -> Void = { _ in }
    ) {
        self.hash = hash
        var settings = ProxySettings()
        settings.listeners = [Endpoint(text: Self.node)!]
        settings.ownNames = [HostPort(Endpoint(text: Self.node)!), HostPort(Endpoint(text: Self.shared)!)]
        settings.names = [
            ListenerName(transport: .udp, sentBy: Array(Self.node.utf8), advertised: Array(Self.shared.utf8))
        ]
        settings.mark = 0x1234
        settings.memberTag = 0x1111_1111
        settings.nodeName = Array("n1".utf8)
        settings.boot = 7
        configure(&settings)
        proxy = Proxy(settings: settings, hash: hash, now: now)
        proxy.neighbours.isReady = true
        proxy.neighbours.heirs.set([String(decoding: settings.nodeName, as: UTF8.self)])
        dialogs = DialogTable(buckets: 16, hash: hash, limit: 1_000)
    }

    /// One datagram in; what it gives rise to.
    mutating func receive(_ text: String, from source: String, age: Int64 = 0) -> [Sent] {
        let bytes = Array(text.utf8)
        proxy.receive(
            RawSpan(_elements: bytes.span), from: Endpoint(text: source)!, on: ListenerID(rawValue: 0),
            ageMilliseconds: age, now: now, dialogs: &dialogs)
        return drain()
    }

    mutating func advance(milliseconds: Int64) -> [Sent] {
        let end = now.advanced(milliseconds: milliseconds)
        var sent: [Sent] = []
        while let next = proxy.nextDeadline, next <= end {
            now = max(now, next)
            sent += turn()
        }
        now = end
        return sent + turn()
    }

    /// What a node does when time has passed.
    private mutating func turn() -> [Sent] {
        proxy.advance(to: now, dialogs: &dialogs)
        var due: [DialogID] = []
        proxy.takeDueKeepAlives(now: now, into: &due)
        for did in due {
            proxy.keepAlive(did, isActor: isActor, now: now, dialogs: &dialogs)
        }
        return drain()
    }

    /// What heirs have asked their peers; these answer at once, unless they are told not to.
    private(set) var asked: [DialogID] = []
    var peersAnswer = true

    mutating func commit() -> [Sent] {
        let tokens = commits
        commits = []
        for token in tokens {
            proxy.committed(token, now: now, dialogs: &dialogs)
        }
        return drain()
    }

    /// The shell could not send this.
    mutating func fail(_ sent: Sent) -> [Sent] {
        proxy.receiveUnsent(sent.token, now: now, dialogs: &dialogs)
        return drain()
    }

    /// The resolver's answer to the first open question.
    mutating func answer(_ endpoints: [String]) -> [Sent] {
        let question = questions.removeFirst()
        proxy.resolved(
            question.token, endpoints: endpoints.map { Endpoint(text: $0)! }, now: now, dialogs: &dialogs)
        return drain()
    }

    /// All peers have answered what this heir has asked.
    mutating func answerQuestions() {
        let dids = asked
        asked = []
        for did in dids { proxy.questionAnswered(did, now: now, dialogs: &dialogs) }
    }

    /// The script's verdict on the first open question.
    mutating func decide(_ verdict: ScriptVerdict) -> [Sent] {
        proxy.decide(scripts.removeFirst().token, verdict, now: now, dialogs: &dialogs)
        return drain()
    }

    mutating func drain() -> [Sent] {
        for item in proxy.effects.items {
            switch item {
            case .commit(let token): commits.append(token)
            case .patch(let did, let range):
                patches += 1
                lastPatch = Array(proxy.effects.arena.bytes[range.range])
                proxy.watch(did, now: now, dialogs: dialogs)
            case .put(let did): puts.append(did)
            case .legsEnded(let did, _): endedLegs.append(did)
            case .requestEnded(let did, _, _, _): endedRequests.append(did)
            case .referNotified(let did, _, _, _), .bridgeAnswered(let did): endedRequests.append(did)
            case .bridgeFailed: endedRequests.append(DialogID(rawValue: 0))
            case .resolve(let token, let name): questions.append((token, name))
            case .wanted(let did): wanted.append(did)
            case .question(let did):
                wanted.append(did)
                asked.append(did)
            case .ask(let question), .locate(let question): scripts.append(question)
            case .note(let note): notes.append(note)
            }
        }
        let sent = proxy.effects.queue.datagrams.map { datagram in
            Sent(
                text: String(decoding: proxy.effects.queue.arena.bytes[datagram.range.range], as: UTF8.self),
                to: datagram.to.text, token: datagram.token)
        }
        proxy.effects.queue.removeAll()
        proxy.effects.removeAll()
        if peersAnswer { answerQuestions() }
        return sent
    }

    var did: DialogID { puts[0] }
    var state: DialogState? { puts.first.flatMap { dialogs.state($0) } }
    /// What the record asks of this node, now that a peer may have changed it.
    var demands: Proxy.Demands {
        var proxy = proxy
        return proxy.demands(of: did, now: now, dialogs: dialogs)
    }
}

/// Messages of one call, as the two phones write them.
enum Call {
    static func request(
        _ method: String, uri: String = "sip:bob@10.0.0.2:5060", via: String = "10.0.0.1:5060",
        branch: String = "z9hG4bKc1",
        cSeq: Int = 1, toTag: String = "", fromTag: String = "alice", route: [String] = [],
        contact: String? = "sip:alice@10.0.0.1:5060",
        from: String = "sip:alice@example.org", to: String = "sip:bob@example.org", extra: String = "",
        body: String = ""
    ) -> String {
        var text = "\(method) \(uri) SIP/2.0\r\nVia: SIP/2.0/UDP \(via);branch=\(branch)\r\n"
        for route in route { text += "Route: \(route)\r\n" }
        text +=
            "Max-Forwards: 70\r\nFrom: <\(from)>;tag=\(fromTag)\r\n"
        text += "To: <\(to)>\(toTag.isEmpty ? "" : ";tag=\(toTag)")\r\n"
        text += "Call-ID: call-1\r\nCSeq: \(cSeq) \(method)\r\n"
        if let contact { text += "Contact: <\(contact)>\r\n" }
        return text + extra + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    }

    /// The answer of whoever received `request`.
    static func response(
        _ status: Int, to request: Sent, toTag: String = "bob", contact: String? = "sip:bob@10.0.0.2:5060",
        cSeq: String? = nil
    ) -> String {
        var text = "SIP/2.0 \(status) Whatever\r\n"
        for via in request.headers("Via") { text += "Via: \(via)\r\n" }
        for route in request.headers("Record-Route") { text += "Record-Route: \(route)\r\n" }
        let to = request.header("To")!
        text +=
            "From: \(request.header("From")!)\r\n"
        text += "To: \(to.contains(";tag=") || toTag.isEmpty ? to : "\(to);tag=\(toTag)")\r\n"
        text += "Call-ID: \(request.header("Call-ID")!)\r\nCSeq: \(cSeq ?? request.header("CSeq")!)\r\n"
        if let contact { text += "Contact: <\(contact)>\r\n" }
        return text + "Content-Length: 0\r\n\r\n"
    }
}

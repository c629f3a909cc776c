// The bus of a bench: frames to every peer, requests and their replies, and probes. At first it takes no time and loses
// nothing; ways can be cut or slow, one direction of frames can be lost, and a stopped process keeps what reaches it.

import Node
import Primitives
import SIP

struct BenchBus {
    enum Event {
        case datagram([UInt8], from: Endpoint, on: ListenerID, flow: FlowID)
        case frame([UInt8])
        case request([UInt8], token: UInt64)
        case reply([UInt8], id: UInt64, peer: Int)
        case noReply(id: UInt64, peer: Int)
        /// Nobody answered in a REQ socket's time, unless somebody has.
        case expiry(token: UInt64)
        case probe(ProbeResult, peer: Int)

        var isDatagram: Bool {
            if case .datagram = self { return true }
            return false
        }
    }

    struct Arrival {
        var at: Instant
        var node: Int
        var event: Event
    }

    /// A REQ socket's deadline, and how long a connect without an answer is waited for, milliseconds.
    static let patience: Int64 = 1_000
    static let probePatience: Int64 = 300

    /// Milliseconds that everything takes.
    var delay: Int64 = 0
    /// Milliseconds more to and from a node, and on a way.
    var slowness: [Int: Int64] = [:]
    var slowWays: [Way: Int64] = [:]
    /// Ways on which nothing passes, from and to.
    var cuts: Set<Way> = []
    /// Ways on which frames are lost; requests and replies pass.
    var losses: Set<Way> = []
    var paused: Set<Int> = []

    struct Way: Hashable {
        var from: Int
        var to: Int
    }

    /// What is under way, the next first.
    private var queue: [Arrival] = []
    private var deferred: [Int: [Arrival]] = [:]
    /// Who waits for the reply with this token.
    fileprivate var questions: [UInt64: (asker: Int, id: UInt64, peer: Int)] = [:]
    fileprivate var lastToken: UInt64 = 0

    var nextArrival: Instant { queue.first?.at ?? .distantFuture }

    mutating func take(until now: Instant) -> Arrival? {
        guard let first = queue.first, first.at <= now else { return nil }
        return queue.removeFirst()
    }

    fileprivate mutating func put(_ arrival: Arrival) {
        let place = queue.firstIndex { $0.at > arrival.at } ?? queue.count
        queue.insert(arrival, at: place)
    }

    fileprivate mutating func keep(_ arrival: Arrival) { deferred[arrival.node, default: []].append(arrival) }

    mutating func resumed(_ index: Int) -> [Arrival] {
        paused.remove(index)
        return deferred.removeValue(forKey: index) ?? []
    }

    mutating func processStarted(_ index: Int) { processEnded(index) }

    /// Nothing that was for the process reaches the next one of its host.
    mutating func processEnded(_ index: Int) {
        _ = resumed(index)
        queue.removeAll { $0.node == index }
    }

    func isCut(_ from: Int, _ to: Int) -> Bool { cuts.contains(Way(from: from, to: to)) }

    func time(_ from: Int, _ to: Int) -> Int64 {
        delay + max(slowness[from] ?? 0, slowness[to] ?? 0, slowWays[Way(from: from, to: to)] ?? 0)
    }
}

extension ClusterBench {
    private static func host(of peer: Int, seenBy index: Int) -> Int { peer < index ? peer : peer + 1 }
    private static func peer(of host: Int, seenBy index: Int) -> Int { host < index ? host : host - 1 }

    mutating func perform(_ action: BusAction, _ arena: [UInt8], of index: Int) {
        switch action {
        case .publish(let range):
            let bytes = Array(arena[range.range])
            for host in nodes.indices where host != index && !bus.isCut(index, host) {
                guard !bus.losses.contains(BenchBus.Way(from: index, to: host)) else { continue }
                carry(.frame(bytes), from: index, to: host)
            }
        case .request(let peer, let id, let range): ask(peer, id, Array(arena[range.range]), of: index)
        case .reply(let token, let range):
            guard let question = bus.questions.removeValue(forKey: token) else { return }
            guard !bus.isCut(index, question.asker) else { return lose(question) }
            let reply = BenchBus.Event.reply(Array(arena[range.range]), id: question.id, peer: question.peer)
            carry(reply, from: index, to: question.asker)
        case .probe(let peer):
            let host = Self.host(of: peer, seenBy: index)
            let isCut = bus.isCut(index, host) || bus.isCut(host, index)
            let result: ProbeResult = isCut ? .silent : nodes[host] == nil ? .refused : .connected
            carry(.probe(result, peer: peer), after: isCut ? BenchBus.probePatience : bus.delay, to: index)
        case .recycle, .connect, .disconnect: break
        }
    }

    private mutating func ask(_ peer: Int, _ id: UInt64, _ bytes: [UInt8], of index: Int) {
        let host = Self.host(of: peer, seenBy: index)
        let question = (asker: index, id: id, peer: peer)
        guard !bus.isCut(index, host) else { return lose(question) }
        guard nodes[host] != nil else { return carry(.noReply(id: id, peer: peer), from: host, to: index) }
        bus.lastToken += 1
        bus.questions[bus.lastToken] = question
        carry(.expiry(token: bus.lastToken), after: BenchBus.patience, to: index)
        carry(.request(bytes, token: bus.lastToken), from: index, to: host)
    }

    private mutating func lose(_ question: (asker: Int, id: UInt64, peer: Int)) {
        carry(.noReply(id: question.id, peer: question.peer), after: BenchBus.patience, to: question.asker)
    }

    private mutating func carry(_ event: BenchBus.Event, from: Int, to host: Int) {
        carry(event, after: bus.time(from, host), to: host)
    }

    private mutating func carry(_ event: BenchBus.Event, after milliseconds: Int64, to host: Int) {
        guard milliseconds > 0 else { return arrive(event, at: host) }
        bus.put(BenchBus.Arrival(at: now.advanced(milliseconds: milliseconds), node: host, event: event))
    }

    /// Handed to the process, kept while it is stopped, lost where there is none.
    mutating func arrive(_ event: BenchBus.Event, at index: Int) {
        guard nodes[index] != nil else { return }
        guard bus.paused.contains(index) else { return hand(event, to: index, arrived: now) }
        bus.keep(BenchBus.Arrival(at: now, node: index, event: event))
    }

    mutating func hand(_ event: BenchBus.Event, to index: Int, arrived: Instant) {
        switch event {
        case .datagram(let bytes, let from, let listener, let flow):
            nodes[index]?.receive(
                datagram: RawSpan(_elements: bytes.span), from: from, on: listener, flow: flow,
                ageMilliseconds: now.milliseconds(since: arrived), now: now, into: &outs[index])
        case .frame(let bytes):
            nodes[index]?.receive(frame: RawSpan(_elements: bytes.span), now: now, into: &outs[index])
        case .request(let bytes, let token):
            nodes[index]?.receive(
                request: RawSpan(_elements: bytes.span), token: token, now: now, into: &outs[index])
        case .reply(let bytes, let id, let peer):
            nodes[index]?.receive(
                reply: RawSpan(_elements: bytes.span), to: id, from: peer, now: now, into: &outs[index])
        case .noReply(let id, let peer):
            nodes[index]?.receiveNoReply(to: id, from: peer, now: now, into: &outs[index])
        case .expiry(let token):
            guard let question = bus.questions.removeValue(forKey: token) else { return }
            nodes[index]?.receiveNoReply(to: question.id, from: question.peer, now: now, into: &outs[index])
        case .probe(let result, let peer):
            nodes[index]?.receive(probe: result, of: peer, now: now, into: &outs[index])
        }
    }
}

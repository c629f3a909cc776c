// The bus's blocking threads, each with one socket of its own:
//
//   StreamReceiver   SUB        every message → inbox
//   RequestServer    REP        request → inbox, wait for the node's answer, send it; one at a time
//   RequestClient    REQ        one a peer: queue → send → wait → answer or "no answer" → inbox
//   PeerProber       no socket  plain TCP connects on demand
//   BusDoor          no socket  looks at who has connected, in a file of its own
//
// A receive blocks for at most a slice (200 ms) and then looks at the stop flag: closing a socket under a blocked
// thread would wake it sooner, but its number may be another socket by then. Five wake-ups a second and thread are the
// price of "one owner".

import CSockets
import Synchronization

/// Puts every message of the stream socket into the inbox.
final class StreamReceiver: Sendable {
    /// Until the thread takes it; the thread closes it.
    private let bound: Mutex<SubscribeSocket?>
    private let state: BusState

    init(listeningOn address: BusAddress, state: BusState) throws(NanomsgError) {
        bound = Mutex(try SubscribeSocket(listeningOn: address, timeout: BusSettings.slice))
        self.state = state
    }

    func run() {
        guard let socket = bound.withLock({ $0.take() }) else { return }
        var opened: [UInt8] = []
        while !state.isStopping {
            do throws(NanomsgError) {
                if let message = try socket.receive() { deliver(message, &opened) }
            } catch {
                state.count(\.receiveErrors)
                if error.reason == .closed { return }
            }
        }
    }

    /// - Parameter opened: A buffer that is used again and again.
    private func deliver(_ message: borrowing NanomsgMessage, _ opened: inout [UInt8]) {
        guard !state.isPaused else { return state.count(\.pausedDropped) }
        let count = message.count
        let isTaken: Bool
        if let seal = state.seal {
            opened.removeAll(keepingCapacity: true)
            let opening = message.withBytes { seal.open(frame: $0, into: &opened) }
            if case .refused(let kind, let claimed) = opening { return state.refuse(kind, claimed) }
            isTaken = state.inbox.put(.frame, RawSpan(_elements: opened.span))
        } else {
            isTaken = message.withBytes { state.inbox.put(.frame, $0) }
        }
        state.count { counters in
            counters.framesReceived += 1
            counters.bytesReceived += count
            if !isTaken { counters.inboxDropped += 1 }
        }
    }
}

/// Answers peers' requests with what the node says.
final class RequestServer: Sendable {
    /// Until the thread takes it; the thread closes it.
    private let bound: Mutex<ReplySocket?>
    private let state: BusState
    private let replyTimeout: Int64
    private let answered = Signal()
    /// The request being answered: its token, and the answer once it is there.
    private let current = Mutex<(token: UInt64, answer: [UInt8]?)>((0, nil))

    init(listeningOn address: BusAddress, replyTimeout: Int64, state: BusState) throws(NanomsgError) {
        bound = Mutex(try ReplySocket(listeningOn: address, timeout: BusSettings.slice))
        self.state = state
        self.replyTimeout = replyTimeout
    }

    /// Called by the SIP thread. An answer to a request that is no longer current is counted and dropped.
    func answer(_ token: UInt64, _ bytes: RawSpan) {
        let copy = Array(copying: bytes)
        let isCurrent = current.withLock { current in
            guard current.token == token, current.answer == nil else { return false }
            current.answer = copy
            return true
        }
        if isCurrent { answered.kick() } else { state.count(\.repliesLate) }
    }

    func wake() { answered.kick() }

    func run() {
        guard let socket = bound.withLock({ $0.take() }) else { return }
        var token: UInt64 = 0
        while !state.isStopping {
            do throws(NanomsgError) {
                guard let message = try socket.receive() else { continue }
                token += 1
                try serve(message, token, on: socket)
            } catch {
                state.count(\.receiveErrors)
                if error.reason == .closed { return }
            }
        }
    }

    private func serve(
        _ message: borrowing NanomsgMessage, _ token: UInt64, on socket: borrowing ReplySocket
    ) throws(NanomsgError) {
        guard !state.isPaused else { return state.count(\.pausedDropped) }
        state.count(\.requestsReceived)
        var ticket: BusTicket?
        var opened: [UInt8] = []
        if let seal = state.seal {
            switch message.withBytes({ seal.open(request: $0, into: &opened) }) {
            case .opened(let found): ticket = found
            // Who asks without the key is told nothing, and the next receive abandons the request.
            case .refused(let kind, let claimed): return state.refuse(kind, claimed)
            }
        }
        current.withLock { $0 = (token, nil) }
        let isTaken =
            ticket == nil
            ? message.withBytes { state.inbox.put(.request(token: token), $0) }
            : state.inbox.put(.request(token: token), RawSpan(_elements: opened.span))
        guard isTaken else { return state.count(\.inboxDropped) }
        let deadline = BusState.now + replyTimeout * 1_000_000
        var answer: [UInt8]? = nil
        while answer == nil, !state.isStopping, BusState.now < deadline {
            answered.wait(milliseconds: min(100, (deadline - BusState.now) / 1_000_000 + 1))
            answer = current.withLock { $0.answer }
        }
        // From here on an answer to this token is late.
        current.withLock { $0 = (0, nil) }
        guard let answer, !state.isPaused else { return }
        if let seal = state.seal, let ticket {
            var sealed: [UInt8] = []
            guard seal.seal(reply: RawSpan(_elements: answer.span), to: ticket, into: &sealed) != nil else {
                return state.count(\.sealsFailed)
            }
            try socket.send(RawSpan(_elements: sealed.span))
        } else {
            try socket.send(RawSpan(_elements: answer.span))
        }
        state.count(\.repliesSent)
    }
}

/// Asks one peer.
final class RequestClient: Sendable {
    private struct Request: Sendable {
        var id: UInt64
        var bytes: [UInt8]
        var deadline: Int64
    }

    private let peer: Int
    private let address: Mutex<BusAddress>
    private let timeout: Int64
    private let state: BusState
    private let queue = BoundedQueue<Request>(limit: BusSettings.requestQueueLimit)
    private let mustReconnect = Atomic<Bool>(false)

    init(peer: Int, address: BusAddress, timeout: Int64, state: BusState) {
        self.peer = peer
        self.address = Mutex(address)
        self.timeout = timeout
        self.state = state
    }

    /// Queues a request; with the queue full it is answered "no answer" at once.
    func ask(_ id: UInt64, _ bytes: RawSpan) {
        // The time in the queue counts: behind a peer that is silent nothing waits for longer than its own deadline.
        let deadline = BusState.now + timeout * 1_000_000
        guard !queue.put(Request(id: id, bytes: Array(copying: bytes), deadline: deadline)) else { return }
        state.count(\.requestsRefused)
        state.inbox.put(.noReply(to: id, from: peer))
    }

    /// Makes the connection anew before the next request.
    func recycle() { mustReconnect.store(true, ordering: .releasing) }

    /// Asks at another address from the next request on.
    func move(to address: BusAddress) {
        self.address.withLock { $0 = address }
        recycle()
    }

    func wake() { queue.wake() }

    func run() {
        var socket: RequestSocket? = nil
        while !state.isStopping {
            guard let request = queue.take(waiting: 1_000) else { continue }
            if mustReconnect.exchange(false, ordering: .acquiringAndReleasing) { socket = nil }
            if !ask(request, &socket) {
                state.count(\.requestsUnanswered)
                state.inbox.put(.noReply(to: request.id, from: peer))
                // The library would go on offering the request; closing is how it forgets.
                socket = nil
            }
        }
    }

    /// - Returns: Whether the answer is in the inbox.
    private func ask(_ request: Request, _ socket: inout RequestSocket?) -> Bool {
        guard !state.isPaused, BusState.now < request.deadline else { return false }
        do throws(NanomsgError) {
            let open =
                if let open = socket.take() { open } else {
                    try RequestSocket(
                        connectingTo: address.withLock { $0 }, timeout: Int32(min(timeout, Int64(BusSettings.slice))))
                }
            var ticket: BusTicket?
            if let seal = state.seal {
                var sealed: [UInt8] = []
                ticket = seal.seal(request: RawSpan(_elements: request.bytes.span), into: &sealed)
                guard ticket != nil else {
                    state.count(\.sealsFailed)
                    return false
                }
                try open.send(RawSpan(_elements: sealed.span))
            } else {
                try open.send(RawSpan(_elements: request.bytes.span))
            }
            state.count(\.requestsSent)
            while !state.isStopping, BusState.now < request.deadline {
                guard let answer = try open.receive() else { continue }
                guard !state.isPaused else { return false }
                guard let isTaken = take(answer, to: request.id, ticket) else { return false }
                if !isTaken { state.count(\.inboxDropped) }
                socket = consume open
                return isTaken
            }
            return false
        } catch {
            state.count(\.sendsFailed)
            return false
        }
    }
}

extension RequestClient {
    /// Puts an answer into the inbox, opened where it was sealed.
    /// - Returns: Whether there was room; `nil` when it was not opened.
    private func take(_ answer: borrowing NanomsgMessage, to id: UInt64, _ ticket: BusTicket?) -> Bool? {
        guard let seal = state.seal, let ticket else {
            return answer.withBytes { state.inbox.put(.reply(to: id, from: peer), $0) }
        }
        var opened: [UInt8] = []
        let opening = answer.withBytes { seal.open(reply: $0, to: ticket, into: &opened) }
        if case .refused(let kind, let claimed) = opening {
            state.refuse(kind, claimed)
            return nil
        }
        return state.inbox.put(.reply(to: id, from: peer), RawSpan(_elements: opened.span))
    }
}

/// Asks peers' bus ports whether anybody listens there.
final class PeerProber: Sendable {
    private let addresses: Mutex<[BusAddress]>
    private let timeout: Int64
    private let state: BusState
    private let queue = BoundedQueue<Int>(limit: 64)

    init(addresses: [BusAddress], timeout: Int64, state: BusState) {
        self.addresses = Mutex(addresses)
        self.timeout = timeout
        self.state = state
    }

    func probe(_ peer: Int) {
        if !queue.put(peer) { state.inbox.put(.probe(.silent, of: peer)) }
    }

    /// The peer of a position, or of the next free one, is at this address from now on.
    func set(_ address: BusAddress, of peer: Int) {
        addresses.withLock { addresses in
            if peer < addresses.count { addresses[peer] = address } else { addresses.append(address) }
        }
    }

    func wake() { queue.wake() }

    func run() {
        while !state.isStopping {
            guard let peer = queue.take(waiting: 1_000) else { continue }
            var result = PeerProbe.silent
            if !state.isPaused {
                var endpoint = addresses.withLock { $0[peer] }.endpoint
                // Sound: one endpoint, lent for the call.
                switch unsafe csys_tcp_probe(&endpoint, Int32(clamping: timeout)) {
                case Int32(CSYS_PROBE_CONNECTED): result = .connected
                case Int32(CSYS_PROBE_REFUSED): result = .refused
                default: result = .silent
                }
            }
            state.count(\.probes)
            state.inbox.put(.probe(result, of: peer))
        }
    }
}

extension [UInt8] {
    /// A new array with a copy of the span's bytes.
    init(copying span: RawSpan) {
        // Sound: the pointer is read within the call only.
        self = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}

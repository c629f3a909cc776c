// SIPLoop is the whole work of the SIP thread, run to completion: wait, take what came, let the machine decide, send.
//
//            ┌───────────────────────────────────────────────────────────────┐
//            ▼                                                               │
//        ppoll(sockets, signal; until the machine's next deadline)           │
//            │                                                               │
//        bus events, DNS answers, connections' events, commands ──▶ datagrams, 32 a socket ──▶ advance
//                                                                                                 │
//                                                     bus actions, notes ◀── connections ◀── sendmmsg
//
// Nothing in a turn blocks, locks for longer than a swap, or allocates in steady state. Bus events come before
// messages in every turn, so a fact that has arrived is known before the request that follows it.
//
// A gap of more than a second between two turns is a pause: SIGSTOP, a suspended host, a starved processor (S2-15).
// Then what the world did in the meantime is taken in before anything is decided: first the bus until it is quiet,
// then all datagrams with their true age, and only then the timers.
//
// Cost: 6.4 µs of CPU for a relayed 600-byte datagram at 30 000/s in threes and 12.5 µs at 10 000/s, where a bare C
// loop with the same calls took 7.4 and 11.9 µs in the same minutes: what is left is the kernel's. Receive times are
// a few tenths of it.
//
// After a turn, when its time has come, the loop tells whoever watches over it that it turns (`Heartbeat`): a machine
// that never answers, or a lock that is never given back, is noticed from outside.
//
// Limit: 255 sockets. Not attempted: io_uring, GSO, several threads on one port.

import CSockets
import Glibc
import Nanomsg
package import Node
package import Primitives
import SIP
import Synchronization

/// How other threads reach the loop: closures to run between two turns, and the order to stop.
final class SIPMailbox<Machine: NodeMachine & ~Copyable>: Sendable {
    typealias Work = @Sendable (inout SIPLoop<Machine>) -> Void

    let signal: Signal
    private let stopping = Atomic<Bool>(false)
    /// `nil` once the loop has ended.
    private let work = Mutex<[Work]?>([])

    init(signal: Signal) { self.signal = signal }

    /// - Returns: Whether the loop will run it; not once it has ended.
    func post(_ item: @escaping Work) -> Bool {
        let isTaken = work.withLock { work in
            work?.append(item)
            return work != nil
        }
        signal.kick()
        return isTaken
    }

    func take() -> [Work] {
        work.withLock { work in
            guard let items = work, !items.isEmpty else { return [] }
            work = []
            return items
        }
    }

    /// The last take: nothing can be posted after it.
    func close() -> [Work] {
        work.withLock { work in
            defer { work = nil }
            return work ?? []
        }
    }

    var isStopping: Bool { stopping.load(ordering: .acquiring) }

    func stop() {
        stopping.store(true, ordering: .releasing)
        signal.kick()
    }
}

/// A sign of life of the loop, given between two turns.
package struct Heartbeat: Sendable {
    package var interval: Duration
    /// On the SIP thread: it must not wait.
    package var beat: @Sendable () -> Void

    package init(every interval: Duration, _ beat: @escaping @Sendable () -> Void) {
        self.interval = interval
        self.beat = beat
    }
}

/// Is told what has become of dialogs (`Outbox.events`, `Outbox.requests`, `Outbox.moments`), and what is to be stored
/// (`Outbox.storage`), on the SIP thread and in the same turn, before anything of that turn is sent: it must not wait,
/// and takes what it is told out of the outbox.
package typealias Observer<Machine: NodeMachine & ~Copyable> =
    @Sendable (inout Machine, Instant, inout Outbox) -> Void

/// Sockets, bus and machine of one SIP thread.
struct SIPLoop<Machine: NodeMachine & ~Copyable>: ~Copyable {
    /// A longer gap between two turns is a pause.
    static var pauseMilliseconds: Int64 { 1_000 }
    /// How often the host's addresses are looked at: where one may move here, and where none does.
    static var addressInterval: Duration { .milliseconds(200) }
    static var quietAddressInterval: Duration { .seconds(2) }
    /// After a pause: the bus counts as read when nothing came for this long, and at the latest after the limit.
    static var quietMilliseconds: Int64 { 20 }
    static var catchUpMilliseconds: Int64 { 500 }
    /// After a pause: batches taken from one socket; a full buffer of 4 MiB holds fewer.
    static var catchUpBatches: Int { 512 }
    static var listenerLimit: Int { 255 }

    var machine: Machine
    var outbox = Outbox()
    var counters = TransportCounters()
    private(set) var now = BootClock.now
    /// By `ListenerID`; `nil` where the listener is one of `streams`.
    private(set) var sockets: [UDPSocket?]
    private let streams: StreamService?
    private let bus: Bus?
    private let dns: DNSClient?
    private let mailbox: SIPMailbox<Machine>
    private let inquiry: @Sendable (InquiryEvent) -> Void
    private let note: @Sendable (Note) -> Void
    private let observer: Observer<Machine>?
    private let heartbeat: Heartbeat?
    private var nextBeat = Instant.zero
    /// The signal first, then the sockets in their order.
    private var polled: [pollfd] = []
    private var received = ReceiveBatch()
    private var sending = SendBatch()
    private var events = BusEvents()
    private var replies: [DNSReply] = []
    private var streamEvents = StreamEvents()
    /// Messages that went nowhere, to be told in the next turn.
    private var unsent: [Datagram] = []
    private var addresses: [Address] = []
    private var nextAddressCheck = Instant.zero
    private var exitCode: Int32? = nil

    init(
        machine: consuming Machine, sockets: [UDPSocket?], streams: StreamService?, bus: Bus?, dns: DNSClient?,
        mailbox: SIPMailbox<Machine>, heartbeat: Heartbeat?, observer: Observer<Machine>?,
        inquiry: @escaping @Sendable (InquiryEvent) -> Void, note: @escaping @Sendable (Note) -> Void
    ) {
        self.machine = machine
        self.sockets = sockets
        self.streams = streams
        self.bus = bus
        self.dns = dns
        self.mailbox = mailbox
        self.inquiry = inquiry
        self.note = note
        self.observer = observer
        self.heartbeat = heartbeat
        poll(mailbox.signal.descriptor)
        // A negative descriptor is never ready, and keeps the places alike.
        for socket in sockets { poll(socket?.descriptor ?? -1) }
    }

    /// Adds a socket; its number is the next free one.
    /// - Returns: `nil` at the limit.
    mutating func add(_ socket: UDPSocket) -> ListenerID? {
        guard sockets.count < Self.listenerLimit else { return nil }
        sockets.append(socket)
        poll(socket.descriptor)
        return ListenerID(rawValue: UInt8(sockets.count - 1))
    }

    private mutating func poll(_ descriptor: Int32) {
        polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
    }

    /// Turns until it is told to stop or the machine wants to exit; then everything decided so far has been sent.
    /// - Returns: The machine's exit code; 0 when stopped from outside.
    mutating func run() -> Int32 {
        now = BootClock.now
        lookAtAddresses()
        while exitCode == nil, !mailbox.isStopping {
            wait()
            let previous = now
            now = BootClock.now
            let gap = now.milliseconds(since: previous)
            counters.longestGapMilliseconds = max(counters.longestGapMilliseconds, gap)
            if gap > Self.pauseMilliseconds { catchUp() } else { turn() }
            if now >= nextAddressCheck { lookAtAddresses() }
            machine.advance(to: now, into: &outbox)
            flush()
            counters.turns += 1
            counters.turnTimes.note(BootClock.now - now)
            if let heartbeat, now >= nextBeat {
                heartbeat.beat()
                nextBeat = now.advanced(by: heartbeat.interval)
            }
        }
        readToTheEnd()
        for item in mailbox.close() { item(&self) }
        flush()
        return exitCode ?? 0
    }

    /// What had come by the time of the stop is still served: an answer that stands in the socket is somebody's call.
    private mutating func readToTheEnd() {
        takeMessages()
        receiveAll()
        machine.advance(to: now, into: &outbox)
    }

    /// Everything that stands in the sockets.
    private mutating func receiveAll() {
        for index in sockets.indices {
            var batches = 0
            while batches < Self.catchUpBatches, receive(on: index) {
                flush()
                batches += 1
            }
        }
    }

    private mutating func wait() {
        let next = min(machine.nextDeadline, nextAddressCheck, heartbeat == nil ? nextAddressCheck : nextBeat)
        let timeout = next <= now || !unsent.isEmpty ? 0 : next.nanoseconds - now.nanoseconds
        // Sound: the array holds `count` pollfds and is not touched during the call.
        let result = unsafe polled.withUnsafeMutableBufferPointer {
            unsafe csys_poll($0.baseAddress, Int32($0.count), timeout)
        }
        precondition(result >= 0, "ppoll on our own descriptors failed: errno \(-result)")
    }

    private mutating func turn() {
        if !unsent.isEmpty { tellUnsent() }
        if polled[0].revents != 0 { takeMessages() }
        for index in sockets.indices where polled[index + 1].revents != 0 {
            _ = receive(on: index)
        }
    }

    /// After a pause: everything that waits, the bus first, before any timer.
    private mutating func catchUp() {
        counters.pauses += 1
        if !unsent.isEmpty { tellUnsent() }
        if bus != nil {
            let limit = now.advanced(milliseconds: Self.catchUpMilliseconds)
            // The bus threads were stopped too and need the processor first; each kick shows that they are still at it.
            while mailbox.signal.wait(milliseconds: Self.quietMilliseconds), now < limit {
                now = BootClock.now
                takeMessages()
                flush()
            }
        }
        takeMessages()
        flush()
        receiveAll()
        now = BootClock.now
    }

    /// Bus events, DNS answers, then commands. Clears the signal first: what comes during this call is for the next
    /// turn.
    private mutating func takeMessages() {
        mailbox.signal.clear()
        if let bus {
            bus.inbox.take(into: &events)
            counters.busEvents += events.count
            Self.deliver(events, to: &machine, &outbox, now)
        }
        if let dns {
            dns.inbox.take(into: &replies)
            counters.dnsReplies += replies.count
            for reply in replies { machine.receive(answer: reply.answer, to: reply.question, now: now, into: &outbox) }
        }
        if let streams {
            streams.inbox.take(into: &streamEvents)
            counters.streamEvents += streamEvents.count
            Self.deliver(streamEvents, to: &machine, &outbox, now)
        }
        for item in mailbox.take() { item(&self) }
    }

    /// Messages over a connection have no age: the system kept them for us, and nobody will send them again.
    private static func deliver(
        _ events: borrowing StreamEvents, to machine: inout Machine, _ outbox: inout Outbox, _ now: Instant
    ) {
        events.forEach { event, bytes in
            switch event {
            case .message(let source, let listener, let flow):
                machine.receive(
                    datagram: bytes, from: source, on: listener, flow: flow, ageMilliseconds: 0, now: now,
                    into: &outbox)
            case .closed(let flow): machine.receive(closed: flow, now: now, into: &outbox)
            case .failed(let to, let flow, let token):
                machine.receive(unsent: token, to: to, flow: flow, now: now, into: &outbox)
            }
        }
    }

    private mutating func tellUnsent() {
        var waiting: [Datagram] = []
        swap(&waiting, &unsent)
        for datagram in waiting {
            machine.receive(unsent: datagram.token, to: datagram.to, flow: datagram.flow, now: now, into: &outbox)
        }
    }

    private static func deliver(
        _ events: borrowing BusEvents, to machine: inout Machine, _ outbox: inout Outbox, _ now: Instant
    ) {
        events.forEach { event, bytes in
            switch event {
            case .frame: machine.receive(frame: bytes, now: now, into: &outbox)
            case .request(let token): machine.receive(request: bytes, token: token, now: now, into: &outbox)
            case .reply(let id, let peer): machine.receive(reply: bytes, to: id, from: peer, now: now, into: &outbox)
            case .refused(let kind): machine.receive(refusal: kind, claimed: bytes, now: now, into: &outbox)
            case .noReply(let id, let peer): machine.receiveNoReply(to: id, from: peer, now: now, into: &outbox)
            case .probe(.connected, let peer): machine.receive(probe: .connected, of: peer, now: now, into: &outbox)
            case .probe(.refused, let peer): machine.receive(probe: .refused, of: peer, now: now, into: &outbox)
            case .probe(.silent, let peer): machine.receive(probe: .silent, of: peer, now: now, into: &outbox)
            }
        }
    }

    /// Takes up to one batch from a socket.
    /// - Returns: Whether there was any datagram.
    private mutating func receive(on index: Int) -> Bool {
        guard let socket = sockets[index] else { return false }
        let count = received.receive(from: socket)
        guard count > 0 else {
            if count < 0 { counters.receiveErrors[Int32(-count), default: 0] += 1 }
            return false
        }
        counters.receiveCalls += 1
        counters.datagramsReceived += count
        let listener = ListenerID(rawValue: UInt8(index))
        Self.deliver(received, count, from: listener, to: &machine, &outbox, &counters, now)
        return true
    }

    private static func deliver(
        _ batch: borrowing ReceiveBatch, _ count: Int, from listener: ListenerID, to machine: inout Machine,
        _ outbox: inout Outbox, _ counters: inout TransportCounters, _ now: Instant
    ) {
        for index in 0..<count {
            batch.withDatagram(index) { bytes, arrival in
                guard !arrival.isTruncated else {
                    counters.datagramsTruncated += 1
                    return
                }
                machine.receive(
                    datagram: bytes, from: arrival.from, on: listener, flow: .none,
                    ageMilliseconds: arrival.ageMilliseconds, now: now, into: &outbox)
            }
        }
    }

    /// The counters, with what the kernel has counted.
    func countersNow() -> TransportCounters {
        var counters = counters
        for index in sockets.indices { counters.datagramsDropped += sockets[index]?.dropped ?? 0 }
        return counters
    }

    private mutating func lookAtAddresses() {
        nextAddressCheck = now.advanced(
            by: machine.watchesAddresses ? Self.addressInterval : Self.quietAddressInterval)
        let current = HostAddresses.current()
        guard current != addresses || counters.addressChanges == 0 else { return }
        counters.addressChanges += 1
        addresses = current
        machine.hold(addresses: current, now: now, into: &outbox)
    }

    /// Performs what the machine has decided: datagrams, connections, bus, questions, notes.
    private mutating func flush() {
        if outbox.isEmpty { return }
        if let observer, outbox.isObserved { observer(&machine, now, &outbox) }
        if !outbox.datagrams.isEmpty {
            let left = sending.send(outbox, through: sockets, counting: &counters)
            unsent += sending.unsendable
            if left > 0 { handOverStreams() }
        }
        if !outbox.bus.isEmpty { performBusActions() }
        if !outbox.questions.isEmpty {
            if let dns { dns.ask(outbox.questions) } else { counters.questionsDropped += outbox.questions.count }
        }
        for event in outbox.inquiries { inquiry(event) }
        for entry in outbox.notes { note(entry) }
        if let code = outbox.exit { exitCode = code }
        outbox.removeAll()
    }

    /// A peer that cannot be connected to stays absent; the machine sees it silent and says so.
    /// - Returns: Why not.
    private static func connect(_ peer: Int, to endpoint: Endpoint, of bus: Bus) -> NanomsgError? {
        do throws(NanomsgError) {
            try bus.connect(peer: peer, to: try BusAddress(endpoint.text))
            return nil
        } catch {
            return error
        }
    }

    private mutating func handOverStreams() {
        guard let streams else {
            for datagram in outbox.datagrams where !datagram.isForUDP { refuse(datagram) }
            return
        }
        var refused: [Datagram] = []
        streams.send(outbox.datagrams, of: outbox.arena) { refused.append($0) }
        for datagram in refused { refuse(datagram) }
    }

    private mutating func refuse(_ datagram: Datagram) {
        counters.streamsRefused += 1
        if datagram.token != 0 { unsent.append(datagram) }
    }

    private mutating func performBusActions() {
        guard let bus else {
            counters.busActionsDropped += outbox.bus.count
            return
        }
        let failures = Self.perform(outbox, on: bus)
        counters.peersRefused += failures.count
        for failure in failures {
            note(Note(.warning, "the bus could not be connected to a peer", [("why", failure.description)]))
        }
    }

    /// - Returns: Connections that could not be made.
    private static func perform(_ outbox: borrowing Outbox, on bus: Bus) -> [NanomsgError] {
        var failures: [NanomsgError] = []
        let arena = RawSpan(_elements: outbox.busArena.span)
        for action in outbox.bus {
            switch action {
            case .publish(let range): bus.publish(arena.extracting(range.range))
            case .request(let peer, let id, let range): bus.request(peer: peer, id: id, arena.extracting(range.range))
            case .reply(let token, let range): bus.reply(token: token, arena.extracting(range.range))
            case .probe(let peer): bus.probe(peer: peer)
            case .recycle(let peer): bus.recycle(peer: peer)
            case .connect(let peer, let endpoint):
                if let failure = connect(peer, to: endpoint, of: bus) { failures.append(failure) }
            case .disconnect(let peer): bus.disconnect(peer: peer)
            }
        }
        return failures
    }
}

// SIPThread starts a SIPLoop on a thread of its own and is how everybody else speaks to it.
//
// The machine is never shared: the loop's thread holds the lock of `seat` for as long as it runs, and other threads
// hand it closures to run between two turns. When the loop has ended, the seat is free and late callers run their
// closure in it themselves, so every question gets an answer, also during a stop.

package import Nanomsg
package import Node
package import Primitives
package import SIP
import Synchronization

/// A running SIP thread; stops and joins with `stop`.
package final class SIPThread<Machine: NodeMachine & ~Copyable>: Sendable {
    /// What the loop's thread and its callers share.
    private final class Core: Sendable {
        let mailbox: SIPMailbox<Machine>
        let seat: Mutex<SIPLoop<Machine>>
        let outcome = Mutex<Outcome>(.running([]))

        init(_ loop: consuming sending SIPLoop<Machine>, _ mailbox: SIPMailbox<Machine>) {
            seat = Mutex(loop)
            self.mailbox = mailbox
        }

        func run() {
            let code = seat.withLock { $0.run() }
            let waiting = outcome.withLock { outcome in
                defer { outcome = .ended(code) }
                if case .running(let waiting) = outcome { return waiting }
                return []
            }
            for continuation in waiting { continuation.resume(returning: code) }
        }
    }

    private enum Outcome: Sendable {
        case running([CheckedContinuation<Int32, Never>])
        case ended(Int32)
    }

    private let core: Core
    private let bus: Bus?
    private let dns: DNSClient?
    private let thread: WorkerThread

    /// Starts serving.
    /// - Parameters:
    ///   - sockets: In the order of `ListenerID`; `nil` where a listener is one of `streams`.
    ///   - streams: The connections; they outlive this thread, and are stopped by whoever started them.
    ///   - signal: The one that the bus, the connections and the DNS client were made with.
    ///   - heartbeat: Given between two turns for as long as the loop turns.
    ///   - observer: Gets what has become of dialogs.
    ///   - inquiry: Gets what operators ask of members through others, likewise.
    ///   - note: Gets every note, on the SIP thread: it must not wait.
    /// - Throws: When there is no thread to be had.
    package init(
        machine: consuming sending Machine, sockets: [UDPSocket?], streams: StreamService? = nil, bus: Bus?,
        dns: DNSClient? = nil, signal: Signal, heartbeat: Heartbeat? = nil, observer: Observer<Machine>? = nil,
        inquiry: @escaping @Sendable (InquiryEvent) -> Void = { _ in }, note: @escaping @Sendable (Note) -> Void
    ) throws(NanomsgError) {
        let mailbox = SIPMailbox<Machine>(signal: signal)
        let core = Core(
            SIPLoop(
                machine: machine, sockets: sockets, streams: streams, bus: bus, dns: dns, mailbox: mailbox,
                heartbeat: heartbeat, observer: observer, inquiry: inquiry, note: note),
            mailbox)
        self.core = core
        self.bus = bus
        self.dns = dns
        thread = try WorkerThread(name: "sip") { core.run() }
    }

    deinit { stop() }

    /// Runs `body` on the SIP thread between two turns; what it puts into the outbox is sent at the end of the turn.
    package func perform<R: Sendable>(
        _ body: @escaping @Sendable (inout Machine, Instant, inout Outbox) -> R
    ) async -> R {
        await onLoop { loop in body(&loop.machine, loop.now, &loop.outbox) }
    }

    /// Runs `body` on the SIP thread between two turns.
    package func perform<R: Sendable>(_ body: @escaping @Sendable (inout Machine, Instant) -> R) async -> R {
        await onLoop { loop in body(&loop.machine, loop.now) }
    }

    /// Like `perform`, for callers that may block; never from the SIP thread itself.
    package func performBlocking<R: Sendable>(
        _ body: @escaping @Sendable (inout Machine, Instant, inout Outbox) -> R
    ) -> R {
        let answer = Mutex<R?>(nil)
        let box = Answer(answer)
        let isPosted = core.mailbox.post { loop in
            let result = body(&loop.machine, loop.now, &loop.outbox)
            box.value.withLock { $0 = result }
            box.ready.kick()
        }
        guard isPosted else { return core.seat.withLock { body(&$0.machine, $0.now, &$0.outbox) } }
        while true {
            if let result = box.value.withLock({ $0 }) { return result }
            box.ready.wait(milliseconds: 1_000)
        }
    }

    /// Like `performBlocking`, for callers who want no answer, and do not wait.
    package func performLater(_ body: @escaping @Sendable (inout Machine, Instant, inout Outbox) -> Void) {
        let isPosted = core.mailbox.post { loop in body(&loop.machine, loop.now, &loop.outbox) }
        if !isPosted { core.seat.withLock { body(&$0.machine, $0.now, &$0.outbox) } }
    }

    /// Where a blocking caller finds its answer.
    private final class Answer<R: Sendable>: Sendable {
        let value: Mutex<R?>
        let ready = Signal()
        init(_ value: consuming Mutex<R?>) { self.value = value }
    }

    private func onLoop<R: Sendable>(_ body: @escaping @Sendable (inout SIPLoop<Machine>) -> R) async -> R {
        await withCheckedContinuation { continuation in
            let isPosted = core.mailbox.post { loop in continuation.resume(returning: body(&loop)) }
            if !isPosted { continuation.resume(returning: core.seat.withLock { body(&$0) }) }
        }
    }

    /// Opens one more socket while serving: a service address, which need not be on this host yet.
    package func listen(on endpoint: Endpoint, binding: UDPSocket.Binding) async throws(UDPError) -> ListenerID {
        let socket = try UDPSocket(endpoint, binding: binding)
        guard let listener = await onLoop({ loop in loop.add(socket) }) else {
            throw UDPError(endpoint, reason: .tooManySockets)
        }
        return listener
    }

    package func counters() async -> TransportCounters { await onLoop { $0.countersNow() } }

    /// Waits until the loop has ended.
    /// - Returns: The code the machine wants the process to exit with; 0 after `stop`.
    package func ended() async -> Int32 {
        await withCheckedContinuation { continuation in
            let code: Int32? = core.outcome.withLock { outcome in
                switch outcome {
                case .ended(let code): return code
                case .running(let waiting):
                    outcome = .running(waiting + [continuation])
                    return nil
                }
            }
            if let code { continuation.resume(returning: code) }
        }
    }

    /// Ends the loop after the turn it is in, sends what was decided, then ends bus and DNS. Blocks for up to a second.
    ///
    /// Let the machine leave first, with `perform`: its last frames go out with that turn.
    package func stop() {
        core.mailbox.stop()
        thread.join()
        bus?.stop()
        dns?.stop()
    }
}

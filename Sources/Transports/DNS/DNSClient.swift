// DNSClient asks the servers for the SIP thread, on a thread of its own:
//
//   SIP thread ──ask: a batch, one kick──▶ queue ──▶ AresChannel ⇄ servers (UDP, TCP)
//              ◀──inbox: a batch, one kick───────────────┘
//
// The SIP thread never waits for it: asking is a locked append. Every question ends in one reply, unless the client is
// stopped first; the resolver has its own limit of time all the same.
//
// Limit: `queueLimit` questions waiting to be asked; one more is answered "busy" at once, and counted.

package import Nanomsg
package import SIP
import Synchronization

/// Counts since the start.
package struct DNSCounters: Equatable, Sendable {
    package var questions = 0
    package var replies = 0
    /// Refused because too many were waiting to be asked.
    package var refused = 0
    /// Replies the inbox had no room for.
    package var dropped = 0

    package init() {}
}

package final class DNSClient: Sendable {
    package static let queueLimit = 4_096

    /// What the thread and its callers share.
    private final class Core: Sendable {
        let settings: DNSClientSettings
        let inbox: DNSInbox
        let wake = Signal()
        let opened = Signal()
        let queue = Mutex<[DNSQuestion]>([])
        let counts = Mutex(DNSCounters())
        let failure = Mutex<DNSClientError?>(nil)
        private let stopping = Atomic<Bool>(false)

        init(_ settings: DNSClientSettings, _ inbox: DNSInbox) {
            self.settings = settings
            self.inbox = inbox
        }

        func stop() {
            stopping.store(true, ordering: .releasing)
            wake.kick()
        }

        func run() {
            let batch = AnswerBatch()
            do throws(DNSClientError) {
                let channel = try AresChannel(settings, into: batch)
                opened.kick()
                while !stopping.load(ordering: .acquiring) { turn(channel, batch) }
            } catch {
                failure.withLock { $0 = error }
                opened.kick()
            }
        }

        private func turn(_ channel: borrowing AresChannel, _ batch: AnswerBatch) {
            channel.process(wakingFor: wake.descriptor)
            wake.clear()
            let questions = queue.withLock { queue in
                defer { queue.removeAll(keepingCapacity: true) }
                return queue
            }
            for question in questions { channel.ask(question) }
            let replies = batch.take()
            if !replies.isEmpty {
                counts.withLock { $0.replies += replies.count }
                inbox.put(replies)
            }
        }
    }

    private let core: Core
    private let thread: WorkerThread

    /// What the servers said.
    package var inbox: DNSInbox { core.inbox }

    /// - Parameter signal: Kicked when the inbox is no longer empty.
    /// - Throws: Before anything is left running, for the operator.
    package init(_ settings: DNSClientSettings, signal: Signal) throws(DNSClientError) {
        let core = Core(settings, DNSInbox(signal: signal))
        self.core = core
        do throws(NanomsgError) {
            thread = try WorkerThread(name: "dns") { core.run() }
        } catch {
            throw DNSClientError(reason: .startThread)
        }
        // It reads a file; whoever starts a node may wait for that.
        while !core.opened.wait(milliseconds: 1_000) {}
        if let failure = core.failure.withLock({ $0 }) {
            thread.join()
            throw failure
        }
    }

    deinit { stop() }

    /// Hands questions to the DNS thread. Never waits.
    package func ask(_ questions: [DNSQuestion]) {
        guard !questions.isEmpty else { return }
        let taken = core.queue.withLock { queue in
            let taken = questions.prefix(max(0, Self.queueLimit - queue.count))
            queue += taken
            return taken.count
        }
        core.wake.kick()
        core.counts.withLock { counts in
            counts.questions += taken
            counts.refused += questions.count - taken
        }
        let refused = questions.dropFirst(taken).map { DNSReply(question: $0, answer: .failed(.busy)) }
        if !refused.isEmpty { core.inbox.put(refused) }
    }

    package var counters: DNSCounters {
        var counters = core.counts.withLock { $0 }
        counters.dropped = core.inbox.dropped
        return counters
    }

    /// Ends the thread; questions under way get no answer. Safe to call twice.
    package func stop() {
        core.stop()
        thread.join()
    }
}

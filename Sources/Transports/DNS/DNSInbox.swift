// DNSInbox is the door from the DNS thread to the SIP thread: the answers of a turn at once, with one kick.
//
// Limit: `limit` answers waiting. What finds no room is dropped and counted; the resolver gives such a question up
// after its own time. The resolver has 1024 questions under way at most, so only a SIP thread that stands still gets
// there.

package import Nanomsg
import Synchronization

package final class DNSInbox: Sendable {
    private struct Waiting: Sendable {
        var replies: [DNSReply] = []
        var dropped = 0
    }

    private let waiting = Mutex(Waiting())
    private let signal: Signal
    private let limit: Int

    /// - Parameter signal: Kicked when the inbox is no longer empty.
    package init(signal: Signal, limit: Int = 8_192) {
        self.signal = signal
        self.limit = limit
    }

    package func put(_ replies: [DNSReply]) {
        let wasEmpty = waiting.withLock { waiting in
            let wasEmpty = waiting.replies.isEmpty
            let taken = replies.prefix(limit - waiting.replies.count)
            waiting.replies += taken
            waiting.dropped += replies.count - taken.count
            return wasEmpty
        }
        if wasEmpty, !replies.isEmpty { signal.kick() }
    }

    /// Exchanges what waits for `batch`, which is emptied first.
    package func take(into batch: inout [DNSReply]) {
        batch.removeAll(keepingCapacity: true)
        waiting.withLock { swap(&$0.replies, &batch) }
    }

    package var dropped: Int { waiting.withLock { $0.dropped } }
}

// LookUps keeps what waits for the addresses of a name, by token, until they come or its time is over.
//
// Limit: `limit` at once; beyond it a new request gets 503 with Retry-After, an ACK is dropped and counted.

package import Primitives
import SIP

package struct LookUps: Sendable {
    package static let limit = 1_024
    package static let wait = Duration.seconds(5)

    enum Purpose: Sendable {
        /// A target of a transaction.
        case target(SlotID, Int)
        /// One of the requests that the cluster makes; of a probe the next.
        case own(SlotID, Int)
        /// Bytes that are sent without a transaction, and the socket that they had best leave from.
        case stateless([UInt8], ListenerID?, ScriptQuestion?)
    }

    struct Entry: Sendable {
        var token: UInt64
        /// The name that is looked up.
        var host: [UInt8]
        var purpose: Purpose
        var until: Instant
    }

    /// In the order of their tokens, which is that of their ends.
    private var entries: [Entry] = []
    private var lastToken: UInt64 = 0

    package var isFull: Bool { entries.count >= Self.limit }

    /// When `expire` has something to do.
    package var next: Instant? { entries.first?.until }

    /// - Returns: The token; `nil` when there is no room.
    mutating func keep(_ host: [UInt8], _ purpose: Purpose, now: Instant) -> UInt64? {
        guard !isFull else { return nil }
        lastToken &+= 1
        entries.append(Entry(token: lastToken, host: host, purpose: purpose, until: now.advanced(by: Self.wait)))
        return lastToken
    }

    /// `nil` for a token that is not waited for any more.
    mutating func take(_ token: UInt64) -> Entry? {
        guard let place = entries.firstIndex(where: { $0.token == token }) else { return nil }
        return entries.remove(at: place)
    }

    mutating func expire(now: Instant) -> [Entry] {
        let late = Array(entries.prefix { $0.until <= now })
        entries.removeFirst(late.count)
        return late
    }
}

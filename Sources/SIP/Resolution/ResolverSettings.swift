// What a resolver works with, and what it counts. Bounds live here too, so that a test can make them small enough to
// reach.

package enum AddressFamily: Hashable, Sendable { case ipv4, ipv6 }

package struct ResolverSettings: Sendable {
    /// What this node can send over, the preferred first.
    package var transports: [TransportProtocol] = [.udp]
    /// The families this node can send from, the preferred first.
    package var families: [AddressFamily] = [.ipv4]
    /// A question without an answer for so long has failed.
    package var timeout: Duration = .seconds(5)
    /// Answers kept; the least recently used one goes.
    package var cacheLimit = 8_192
    /// Resolutions waiting for answers; one more fails at once.
    package var waitingLimit = 4_096
    /// Questions under way; one more fails at once.
    package var questionLimit = 1_024

    package init() {}

    /// Endpoints of one result.
    package static let endpointLimit = 16
}

package struct ResolverCounters: Equatable, Sendable {
    /// Look-ups answered by the cache.
    package var hits: UInt64 = 0
    /// Look-ups that the servers had to be asked for, or were being asked for already.
    package var misses: UInt64 = 0
    /// Of the misses, those that joined a question under way.
    package var coalesced: UInt64 = 0
    /// Look-ups answered by an expired answer, because the servers gave no newer one.
    package var stale: UInt64 = 0
    /// Questions asked.
    package var asked: UInt64 = 0
    /// Questions that failed, for whatever reason.
    package var failures: UInt64 = 0
    /// Of the failures: nobody answered in time.
    package var timeouts: UInt64 = 0
    /// Of the failures: an answer that could not be read.
    package var malformed: UInt64 = 0
    /// Answers to questions that were no longer waited for.
    package var late: UInt64 = 0
    /// Questions not asked, because too many were under way.
    package var questionsRefused: UInt64 = 0
    /// Resolutions failed at once, because too many were waiting.
    package var resolutionsRefused: UInt64 = 0
    package var resolutions: UInt64 = 0
    /// Resolutions that ended without an endpoint.
    package var empty: UInt64 = 0
    /// Answers pushed out of the cache by newer ones.
    package var evicted: UInt64 = 0

    package init() {}
}

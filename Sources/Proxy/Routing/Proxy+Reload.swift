// Settings that a running proxy takes anew: who may send, whose word is believed, how much. None of them is part of a
// transaction, so what is under way goes on as it began.

package import Primitives
package import SIP

extension Proxy {
    /// Buckets of the rate limits begin full; those of limits that stay as they are are kept.
    package mutating func adopt(access: AccessList, trusted: [Subnet], limits: RateLimits, now: Instant) {
        settings.access = access
        settings.trusted = trusted
        guard settings.limits != limits else { return }
        settings.limits = limits
        limiter = RateLimiter(limits, now: now)
    }
}

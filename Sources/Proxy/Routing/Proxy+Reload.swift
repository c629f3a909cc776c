// Settings that a running proxy takes anew: who may send, whose word is believed, how much, and where requests go. None
// of them is part of a transaction, so what is under way goes on as it began.

package import Primitives
package import SIP

extension Proxy {
    /// Buckets of the rate limits begin full; those of limits that stay as they are are kept.
    package mutating func adopt(access: AccessList, trusted: [Subnet], limits: RateLimits, now: Instant) {
        self.now = now
        settings.access = access
        settings.trusted = trusted
        guard settings.limits != limits else { return }
        settings.limits = limits
        limiter = RateLimiter(limits, now: now)
        overload = OverloadDetector(delay: limits.overloadMilliseconds)
    }

    /// Routes and sets in place of those that there are. What is known of a target that stays in its set is kept; what
    /// is under way to the old ones says nothing of the new.
    package mutating func adopt(routes: [StaticRoute], targetSets: [TargetSet], now: Instant) {
        self.now = now
        for id in probes { discardOwn(id) }
        probes = []
        settings.routes = routes
        settings.targetSets = targetSets
        board.replace(with: targetSets, now: now)
        startProbes()
    }
}

// Who may send requests here, and how many new ones (Configuration, "access and limits"). The access list looks at
// the address that a datagram came from, before anything else; the limits look at what would make work that lasts:
// requests outside of a dialog. What belongs to something that is already there, in a dialog, ACK, CANCEL and BYE, is
// never shed: shedding it would leave calls half open.
//
// Members of the cluster and `sip.balancer` are not judged by the access list, and balancers have no bucket of their
// own: their packets come for others.

import Primitives
package import SIP

/// Sources that may send requests.
package struct AccessList: Equatable, Sendable {
    /// Any of these, when there are any.
    package var allow: [Subnet] = []
    /// None of these, whatever `allow` says.
    package var deny: [Subnet] = []
    /// Say nothing instead of 403.
    package var isSilent = false

    package init() {}

    package func allows(_ address: Address) -> Bool {
        if deny.contains(where: { $0.contains(address) }) { return false }
        return allow.isEmpty || allow.contains { $0.contains(address) }
    }
}

extension Proxy {
    mutating func isAllowed(_ plan: RequestPlan, effects: inout ProxyEffects) -> Bool {
        let access = settings.access
        if access.allow.isEmpty && access.deny.isEmpty || plan.relay != nil { return true }
        let address = plan.source.address
        if access.allows(address) || settings.balancers.contains(address) || isPeerAddress(plan.source) { return true }
        counters.accessDenied += 1
        if !access.isSilent, message.method != .ack { reject(403, plan, effects: &effects) }
        return false
    }

    /// Whether a request outside of a dialog may be begun now.
    mutating func isWithinLimits(_ plan: RequestPlan, now: Instant, effects: inout ProxyEffects) -> Bool {
        guard message.method != .bye, limiter.isActive else { return true }
        let isBalancer = settings.balancers.contains(plan.source.address)
        switch limiter.take(source: isBalancer ? nil : plan.source.address, hash: hash, now: now) {
        case .admitted: return true
        case .source: counters.rateLimitedSource += 1
        case .total: counters.rateLimitedTotal += 1
        }
        reject(503, plan, effects: &effects) { $0.put("Retry-After: 5\r\n") }
        return false
    }
}

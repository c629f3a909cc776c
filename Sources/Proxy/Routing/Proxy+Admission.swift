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
    /// Whether its sender may send requests here. An ACK is never answered.
    func decideAccess(_ plan: RequestPlan) -> Decision {
        let access = settings.access
        if access.allow.isEmpty && access.deny.isEmpty || plan.relay != nil { return .proceed }
        let address = plan.source.address
        if access.allows(address) || settings.balancers.contains(address) || neighbours.isPeerAddress(plan.source) {
            return .proceed
        }
        return access.isSilent || message.method == .ack ? .drop(.denied) : .refuse(403, .accessDenied)
    }

    /// Whether a request outside of a dialog may be begun now.
    mutating func decideLimits(_ plan: RequestPlan) -> Decision {
        guard message.method != .bye, limiter.isActive else { return .proceed }
        let isBalancer = settings.balancers.contains(plan.source.address)
        switch limiter.take(source: isBalancer ? nil : plan.source.address, hash: hash, now: now) {
        case .admitted: return .proceed
        case .source: return .refuse(503, .sourceLimit, retryAfter: 5)
        case .total: return .refuse(503, .totalLimit, retryAfter: 5)
        }
    }
}

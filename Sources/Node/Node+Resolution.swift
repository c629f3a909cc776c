// Names: where the parts of the node that need an address meet the resolver.
//
//   request's target ──resolve──▶ Resolver ──ask──▶ Outbox.questions ─▶ shell ─▶ receive(answer:) ──▶ Resolver
//   cluster.dns ──────────────────┘    └──resolved──▶ deliver ──▶ who asked, by token
//
// A resolution that the cache can end, ends within the same turn.

import Primitives
import Proxy
import SIP

extension Node {
    /// The token of the look-up for `cluster.dns`; requests have slots and generations, which never make it.
    static let peersToken = UInt64.max

    /// Begins to look for the endpoints of a request's target; `deliver` gets them, in this turn or a later one.
    mutating func resolve(_ token: UInt64, _ target: ResolutionTarget, now: Instant) {
        precondition(token != Self.peersToken, "a request's token must not be the one of cluster.dns")
        resolver.resolve(target, token: token, now: now, into: &resolverActions)
    }

    mutating func carryOutResolverActions(now: Instant, into out: inout Outbox) {
        guard !resolverActions.isEmpty else { return }
        var actions: [ResolverAction] = []
        swap(&actions, &resolverActions)
        for action in actions {
            switch action {
            case .ask(let question): out.questions.append(question)
            case .resolved(let resolution): deliver(resolution, now: now, into: &out)
            }
        }
        actions.removeAll(keepingCapacity: true)
        if resolverActions.isEmpty { swap(&actions, &resolverActions) }
    }

    /// Brings a result to who asked for it.
    private mutating func deliver(_ resolution: Resolution, now: Instant, into out: inout Outbox) {
        if resolution.token == Self.peersToken {
            takePeers(resolution, now: now, into: &out)
        } else {
            proxy.resolved(
                resolution.token, endpoints: resolution.endpoints, now: now, dialogs: &store.dialogs)
        }
    }
}

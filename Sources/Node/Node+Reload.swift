// Other settings for a running node: routes and sets, access lists, the trust domain, limits, and the list of peers.
// The rest is part of what is under way, and stays as it is.

import Cluster
package import Primitives
import Proxy
import SIP

extension Node {
    /// Why these settings cannot be taken now; empty when they can.
    package func objections(to other: Settings) -> [String] {
        guard Self.takesPeers(from: settings, to: other) else { return [] }
        let gone = settings.cluster.peers.filter { !other.cluster.peers.contains($0) }
        return gone.compactMap { endpoint in
            // Who is no peer here any more and goes on would hear nothing of this node, and suspect it.
            guard let member = cluster.memberHeard(at: endpoint.text) else { return nil }
            return
                "cluster.peers: \(endpoint.text) is \(member.name), which is up: stop it first, or leave it in the list"
        }
    }

    /// Whether a change of the list of peers can be taken: the bus is the same, and they are not found by a name.
    package static func takesPeers(from old: Settings, to new: Settings) -> Bool {
        old.cluster.bus != nil && old.cluster.bus == new.cluster.bus && old.cluster.dns == nil && new.cluster.dns == nil
    }

    /// Takes over what a running node can take of other settings; `objections` has none.
    package mutating func reload(_ other: Settings, now: Instant, into out: inout Outbox) {
        var made = proxy.settings
        Self.makeAdmission(other, into: &made)
        proxy.adopt(access: made.access, trusted: made.trusted, limits: made.limits, now: now)
        settings.access = other.access
        settings.limits = other.limits
        if other.routes != settings.routes || other.sets != settings.sets {
            (made.routes, made.targetSets) = ([], [])
            Self.makeRoutes(other, into: &made)
            proxy.adopt(routes: made.routes, targetSets: made.targetSets, now: now)
            settings.routes = other.routes
            settings.sets = other.sets
        }
        if other.cluster.peers != settings.cluster.peers, Self.takesPeers(from: settings, to: other) {
            take(peers: other.cluster.peers, now: now, into: &out)
        }
        advance(to: now, into: &out)
    }

    private mutating func take(peers: [Endpoint], now: Instant, into out: inout Outbox) {
        for endpoint in settings.cluster.peers where !peers.contains(endpoint) {
            guard let position = cluster.dropPeer(endpoint.text) else { continue }
            out.bus.append(.disconnect(peer: position))
            out.notes.append(Note(.notice, "a peer was taken out of the list", [("bus", endpoint.text)]))
        }
        for endpoint in peers where !settings.cluster.peers.contains(endpoint) {
            guard let position = cluster.addPeer(endpoint.text, now: now) else {
                counters.peersRefused += 1
                continue
            }
            out.bus.append(.connect(peer: position, to: endpoint))
            out.notes.append(Note(.notice, "a peer was put into the list", [("bus", endpoint.text)]))
        }
        settings.cluster.peers = peers
        refreshMembership(now: now)
    }
}

// PeerFinder keeps the list of peers in step with the addresses of one name (`cluster.dns`).
//
//   due ──▶ asking ──▶ addresses: new ones connected, missing ones marked ──▶ due again when the answer ends
//                 └──▶ no answer: nothing changes ───────────────────────────▶ due again in `range.lowerBound`
//
// An address that is missing from the answer stays a peer for as long as somebody is there, and `forget-after` longer:
// a server that forgets a node must not cost the cluster a member. Own addresses are left out: the configured bus, and
// whatever the repair socket finds to be ourselves.
//
// Limits: 16 addresses of a name (`ResolverSettings.endpointLimit`), 63 positions with those that are being forgotten.

internal import Cluster
internal import Primitives
internal import SIP

struct PeerFinder: Sendable {
    /// Time from one look-up to the next, whatever the answer's time to live.
    static let range: ClosedRange<Int64> = 5_000...60_000

    let name: PeerName
    /// When the name is looked up next; `.distantFuture` while it is being looked up.
    var nextLookup: Instant
    /// Positions whose addresses are missing, and since when.
    var missing: [Int: Instant] = [:]

    init(name: PeerName, now: Instant) {
        self.name = name
        nextLookup = now
    }

    mutating func lookAgain(after resolution: Resolution, now: Instant) {
        let life = resolution.hasFailed ? Self.range.lowerBound : resolution.until.milliseconds(since: now)
        nextLookup = now.advanced(milliseconds: min(max(life, Self.range.lowerBound), Self.range.upperBound))
    }
}

extension Node {
    /// Begins a look-up when one is due.
    mutating func lookForPeers(now: Instant) {
        guard let finder = peerFinder, now >= finder.nextLookup, let bus = settings.cluster.bus else { return }
        peerFinder?.nextLookup = .distantFuture
        resolver.resolve(
            host: finder.name.host, port: finder.name.port, transport: bus.transport,
            families: [bus.address.isIPv6 ? .ipv6 : .ipv4], token: Self.peersToken, now: now, into: &resolverActions)
    }

    /// Takes the addresses of the name.
    mutating func takePeers(_ resolution: Resolution, now: Instant, into out: inout Outbox) {
        guard var finder = peerFinder, let bus = settings.cluster.bus else { return }
        finder.lookAgain(after: resolution, now: now)
        if !resolution.hasFailed {
            let found = resolution.endpoints.filter { endpoint in
                endpoint != bus && (!bus.address.isLoopback || endpoint.address.isLoopback)
            }
            connect(found, now: now, into: &out)
            drop(allBut: found.map(\.text), &finder, now: now, into: &out)
            cluster.notePeersFound()
        }
        peerFinder = finder
        refreshMembership(now: now)
    }

    private mutating func connect(_ found: [Endpoint], now: Instant, into out: inout Outbox) {
        for endpoint in found where !cluster.peerAddresses.contains(endpoint.text) {
            guard let peer = cluster.addPeer(endpoint.text, now: now) else {
                counters.peersRefused += 1
                continue
            }
            out.bus.append(.connect(peer: peer, to: endpoint))
            out.notes.append(Note(.notice, "a peer was found", [("bus", endpoint.text)]))
        }
    }

    private mutating func drop(
        allBut found: [String], _ finder: inout PeerFinder, now: Instant, into out: inout Outbox
    ) {
        for (peer, address) in cluster.peerAddresses.enumerated() {
            guard let address, !found.contains(address) else {
                finder.missing[peer] = nil
                continue
            }
            let since = finder.missing[peer] ?? now
            finder.missing[peer] = since
            guard now > since.advanced(by: settings.cluster.forgetAfter), cluster.isForgotten(peer: peer, now: now)
            else { continue }
            finder.missing[peer] = nil
            cluster.removePeer(peer)
            out.bus.append(.disconnect(peer: peer))
            out.notes.append(Note(.notice, "a peer was given up", [("bus", address)]))
        }
    }
}

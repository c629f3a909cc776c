// `cluster`: who the peers are and when a node may act without them (Configuration, "cluster"; R3, R4).
// The node maps it, with `takeover` and `replication`, into what the Cluster room works with.

import Cluster
package import SIP

package struct ClusterConfiguration: Equatable, Sendable {
    /// `cluster.quorum`
    package enum Quorum: String, CaseIterable, Sendable {
        /// A majority; of two nodes the survivor acts on proof of death at once, on silence after a grace.
        case auto
        /// A majority, always: of two nodes a survivor ends nobody's dialog.
        case majority
    }

    /// `cluster.name`, 1 to 32 of `A-Z a-z 0-9 . _ -`, the same on every node; default `understudy`.
    package var name = "understudy"
    /// `cluster.bus`, `tcp://ADDRESS:PORT` (the scheme may be left out), port 1 to 65534: peers publish to us here, and
    /// the next port takes repair requests. Required with peers.
    package var bus: Endpoint?
    /// `cluster.peers`, the others' bus addresses, comma list, at most 15; empty: the node serves alone.
    package var peers: [Endpoint] = []
    /// `cluster.dns`, `NAME:PORT`, instead of `cluster.peers`: the addresses of the name are the nodes, this one among
    /// them or not; at most 16 are used. Looked up at the start, and again when the answer ends, 5 to 60 seconds later.
    package var dns: PeerName?
    /// `cluster.key-file`, a file of at least 16 bytes, the same on every node; required unless the bus and every peer
    /// are loopback addresses.
    package var keyFile = ""
    /// What that file holds; read by the loader.
    package var keys = ClusterKeys()
    /// What dids, branches and digests are made with; empty without a key.
    package var key: Secret { keys.names }
    /// `cluster.quorum`, `auto|majority`, default auto.
    package var quorum: Quorum = .auto
    /// `cluster.bootstrap-after`, seconds, 1 to 3600, default 30: a majority of the configured peers, none of them up,
    /// waits so long for the rest before it forms the first view.
    package var bootstrapAfter: Duration = .seconds(30)
    /// `cluster.forget-after`, seconds, 60 to 604 800, default 3600: a member down for longer holds back no tombstone.
    package var forgetAfter: Duration = .seconds(3_600)
    /// `cluster.lone-grace`, seconds, 1 to 600, default 60: with quorum `auto`, the last of two nodes waits so much
    /// longer at most (a tenth of a dialog's lifetime, if that is less) when the other is silent but not proven dead.
    package var loneGrace: Duration = .seconds(60)
    /// `cluster.heartbeat-ms`, milliseconds, 10 to 10 000, default 100.
    package var heartbeat: Duration = .milliseconds(100)
    /// `cluster.suspicion-ms`, milliseconds, 3 heartbeats to 60 000, default 400: the floor; jitter raises it.
    package var suspicion: Duration = .milliseconds(400)

    /// Bounds that no key sets.
    package var bounds = ClusterBounds()

    package init() {}

    package static let peerLimit = 15

    /// No frame leaves this host. Of the addresses of a name, a loopback bus takes loopback ones only.
    package var isLoopbackOnly: Bool {
        (bus?.address.isLoopback ?? true) && peers.allSatisfy { $0.address.isLoopback }
    }

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if let reason = NodeSettings.objection(toName: name) { list.add("cluster.name", reason) }
        busProblems(&list)
        if !isLoopbackOnly, keyFile.isEmpty {
            list.add("cluster.key-file", "is required unless cluster.bus and every peer are loopback addresses")
        }
        list.range("cluster.bootstrap-after", bootstrapAfter)
        list.range("cluster.forget-after", forgetAfter)
        list.range("cluster.lone-grace", loneGrace)
        list.range("cluster.heartbeat-ms", heartbeat)
        if suspicion < .zero || suspicion > .milliseconds(60_000) {
            list.add("cluster.suspicion-ms", "must be 3 × cluster.heartbeat-ms to 60000 milliseconds")
        } else if suspicion < heartbeat * 3, heartbeat <= .milliseconds(10_000) {
            // Whichever of the two was changed is the one to look at.
            let (beat, least) = (heartbeat.wholeMilliseconds, (heartbeat * 3).wholeMilliseconds)
            let silence = suspicion.wholeMilliseconds
            if suspicion == ClusterConfiguration().suspicion {
                list.add(
                    "cluster.heartbeat-ms",
                    "\(beat) needs a cluster.suspicion-ms of \(least) or more, three heartbeats; it is \(silence)")
            } else {
                list.add(
                    "cluster.suspicion-ms",
                    "must be \(least) to 60000 milliseconds, three times cluster.heartbeat-ms at least")
            }
        }
        return list.problems
    }

    private func busProblems(_ list: inout ProblemList) {
        if bus == nil, dns != nil {
            list.add(
                "cluster.bus", "is required with cluster.dns: where peers publish to us, like tcp://192.0.2.1:7400")
        }
        if dns != nil, !peers.isEmpty {
            list.add(
                "cluster.dns", "give either cluster.dns or cluster.peers: one of them says who belongs to the cluster")
        }
        if bus == nil, !peers.isEmpty {
            list.add(
                "cluster.bus", "is required with cluster.peers: where they publish to us, like tcp://192.0.2.1:7400")
        }
        if let bus {
            if bus.port == .max { list.add("cluster.bus", "port 65534 at most: the next port takes repair requests") }
            if bus.address.isUnspecified {
                list.add("cluster.bus", "name one address of this host: peers know us by it")
            }
        }
        if peers.count > Self.peerLimit { list.add("cluster.peers", "at most \(Self.peerLimit)") }
        for (index, peer) in peers.enumerated() {
            if peer == bus { list.add("cluster.peers", "\(peer.text) is our own cluster.bus; list the others only") }
            if let bus, peer.address.isIPv6 != bus.address.isIPv6 {
                list.add("cluster.peers", "\(peer.text) and cluster.bus must be both IPv4 or both IPv6")
            }
            if peers[..<index].contains(peer) { list.add("cluster.peers", "\(peer.text) is there twice") }
            if peer.address.isUnspecified { list.add("cluster.peers", "\(peer.text) is no address to connect to") }
        }
    }
}

/// Bounds that no operator sets: tests make them small enough to reach.
package struct ClusterBounds: Equatable, Sendable {
    /// Tombstones are kept at least so long (R6).
    package var horizon = ClusterSettings.standardHorizon
    /// Facts that can be asked for again; a power of two.
    package var ring = 65_536
    /// Patches that wait for their record.
    package var parked = 4_096

    package init() {}

    package init(horizon: Duration, ring: Int, parked: Int) {
        (self.horizon, self.ring, self.parked) = (horizon, ring, parked)
    }
}

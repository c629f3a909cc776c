// The one place where the simulator looks into a node. Checkers ask in their own words; what a node offers is
// translated here.

internal import Cluster
internal import Dialogs
internal import Node
internal import Primitives

/// A record as a checker wants to know it.
struct KnownRecord {
    var state: DialogState
    /// Virtual time; `.min` without a deadline.
    var deadline: Nanoseconds
}

/// A node's place in the cluster, as it sees it.
struct Standing {
    var state: MemberState
    var epoch: UInt64
    /// Names of the members, sorted.
    var view: [String]
    var hasQuorum: Bool
    /// Peers whose acknowledgement counts.
    var livePeers: Int

    var isServing: Bool { state.isServing }
}

enum NodeInspection {
    static func standing(of node: Node) -> Standing {
        let cluster = node.inspectedCluster
        return Standing(
            state: cluster.state, epoch: cluster.epoch, view: cluster.view.map(\.name).sorted(),
            hasQuorum: cluster.quorumLostSince == nil, livePeers: cluster.livePeerCount)
    }

    /// `nil` when the node has no record of it, not even a tombstone.
    static func record(_ did: UInt64, _ node: Node, _ host: Host) -> KnownRecord? {
        let id = DialogID(rawValue: did)
        guard let state = node.inspectedDialogs.state(id) else { return nil }
        let deadline = node.inspectedDialogs.deadline(id).map { host.virtualTime($0) }
        return KnownRecord(state: state, deadline: deadline ?? .min)
    }

    static func bytes(_ did: UInt64, _ node: Node) -> [UInt8]? {
        node.inspectedDialogs.bytes(DialogID(rawValue: did))
    }

    /// Everything of a record that replicas must agree on, for a person to compare.
    static func describe(_ did: UInt64, _ node: Node) -> String {
        guard let record = node.inspectedDialogs.record(DialogID(rawValue: did)) else { return "nothing" }
        return record.state == .deleted ? "a tombstone" : "\(record)"
    }

    static func rootDigest(_ node: Node) -> UInt64 { node.inspectedDialogs.rootDigest }

    /// Live records by state.
    static func liveCounts(_ node: Node) -> [Int] {
        [DialogState.unconfirmed, .early, .confirmedNotAcknowledged, .confirmed].map {
            node.inspectedDialogs.count(in: $0)
        }
    }

    static func live(_ node: Node) -> Int { node.inspectedDialogs.live }
    static func tombstones(_ node: Node) -> Int { node.inspectedDialogs.count(in: .deleted) }

    /// How many answers have been forwarded uncommitted.
    static func uncommitted(_ node: Node) -> UInt64 { node.uncommittedAnswers }

    static func drain(_ node: inout Node, _ drains: Bool, now: Instant, into out: inout Outbox) {
        _ = node.drain(drains, now: now, into: &out)
    }

    static func forget(_ node: inout Node, _ did: UInt64, now: Instant, into out: inout Outbox) {
        _ = node.forget(did: DialogID(rawValue: did).description)
    }

    static func plant(_ node: inout Node, _ did: UInt64, _ bytes: [UInt8], now: Instant) {
        node.plant(
            did: DialogID(rawValue: did), record: RawSpan(_elements: bytes.span), age: .seconds(1), now: now)
    }
}

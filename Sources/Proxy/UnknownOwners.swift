// UnknownOwners tells which owners of transactions are dead though no member is known by their tag: a process that
// another of its name followed, or one that was gone before this node came.
//
//   peer ──another of its name came, or it was forgotten──▶ gone ─▶ dead
//   never heard of ──`grace`, since a record of its first came──▶ dead
//
// The grace is for a process that has just started: its records may be here before its heartbeat. Nothing that happens
// to a record begins it anew. Limit: `limit` of each kind; the one that came first is forgotten, and begins its grace
// again when it is next met.

package import Primitives

package struct UnknownOwners: Sendable {
    package static let limit = 64
    /// Several heartbeats.
    package static let grace = Duration.seconds(3)

    private var gone: [UInt32] = []
    private var strangers: [(tag: UInt32, since: Instant)] = []
    /// A stranger has been met whose records are to be looked at when its grace is over.
    private(set) var hasMetStranger = false

    package init() {}

    /// Whether an owner that is no peer is dead.
    package mutating func isDead(_ tag: UInt32, now: Instant) -> Bool {
        if gone.contains(tag) { return true }
        if let stranger = strangers.first(where: { $0.tag == tag }) { return now - stranger.since > Self.grace }
        strangers.append((tag, now))
        strangers.removeFirst(max(0, strangers.count - Self.limit))
        hasMetStranger = true
        return false
    }

    package mutating func takeMet() -> Bool {
        defer { hasMetStranger = false }
        return hasMetStranger
    }

    /// The peers are others now.
    package mutating func peersChanged(from before: [PeerContact], to peers: [PeerContact]) {
        func isPeer(_ tag: UInt32) -> Bool { peers.contains { $0.memberTag == tag } }
        gone += before.map(\.memberTag).filter { !isPeer($0) && !gone.contains($0) }
        gone.removeAll(where: isPeer)
        gone.removeFirst(max(0, gone.count - Self.limit))
        strangers.removeAll { isPeer($0.tag) }
    }
}

// Neighbourhood is what the node tells the proxy of the cluster and of itself in it: who the members are and which of
// them live, who inherits, and what this node may do now. The node keeps it current (`Node+Membership`); the proxy
// asks.
//
// Nothing here is waited for: a question is answered by what is known when it is asked.

package import Dialogs
package import Primitives
package import SIP

package struct Neighbourhood: Sendable {
    /// The other members, sorted by tag.
    package var peers: [PeerContact] = [] {
        didSet { unknownOwners.peersChanged(from: oldValue, to: peers) }
    }
    /// Owners of transactions that are no members.
    var unknownOwners = UnknownOwners()
    /// What the other members are called, the dead ones included: their Routes are ours to consume (S1-5).
    package var memberNames: [HostPort] = []
    /// Who inherits transactions: the fit members, this one among them. None while it may not inherit.
    package var heirs: Ranking
    /// What this node is called in the ranking.
    let ownName: String
    /// Whether OPTIONS to the node answers 200 (S2-14).
    package var isReady = false
    /// New dialogs are other members' (`Proxy+Relays`).
    package var isDraining = false
    /// Records of others are still being fetched: what is not known here may be known elsewhere.
    package var isJoining = false
    /// There are other members by the configuration, whether or not one has been heard.
    package var expectsPeers = false
    /// Commits are waited for: some peer's acknowledgement counts.
    package var commits = false
    /// Dialogs whose end has been granted (R1).
    package var frozenDialogs = FrozenDialogs()

    package init(ownName: [UInt8], hash: KeyedHash) {
        self.ownName = String(decoding: ownName, as: UTF8.self)
        heirs = Ranking(hash: hash)
    }

    /// Whether this node may act for others.
    package var isFit: Bool { heirs.contains(ownName) }

    /// Whether any other member is known to live.
    package var hasLivePeer: Bool { peers.contains(where: \.isLive) }

    /// Whether a question can have an answer. Where there are peers, one that is heard again may not be among the live
    /// ones yet, and knows.
    package var hasAnybodyToAsk: Bool { commits || hasLivePeer }

    /// Who a branch's member tag names.
    package func peer(_ tag: UInt32) -> PeerContact? {
        peers.first { $0.memberTag == tag }
    }

    /// Whose address it is.
    package func peer(at endpoint: Endpoint) -> PeerContact? {
        let index = peers.indices.first { peers[$0].endpoint == endpoint || peers[$0].sockets.contains(endpoint) }
        return index.map { peers[$0] }
    }

    package func isPeerAddress(_ endpoint: Endpoint) -> Bool {
        for index in peers.indices
        where peers[index].endpoint == endpoint || peers[index].sockets.contains(endpoint) {
            return true
        }
        return false
    }

    /// The members that take calls.
    package var takersOfCalls: [Endpoint] { peers.compactMap { $0.takesCalls ? $0.endpoint : nil } }

    /// Every survivor finds the same heir without a message; all branches of one request have the same.
    package func isHeir(_ did: DialogID, of slot: SlotID) -> Bool {
        let transaction = UInt64(slot.index) << 32 | UInt64(slot.generation)
        let best = heirs.best(for: Ranking.key(did.rawValue, transaction: transaction), first: nil)
        return best == ownName || mutated("heir-everybody")
    }

    /// How many members act for a dialog before this one; `nil` when it is not fit.
    func rank(_ did: DialogID, home: [UInt8]?) -> Int? {
        heirs.rank(of: ownName, for: did.rawValue, first: home.map { String(decoding: $0, as: UTF8.self) })
    }

    /// The owner of a transaction is known to be dead, or is one that nobody will hear of any more.
    package mutating func isDead(_ owner: UInt32, now: Instant) -> Bool {
        for index in peers.indices where peers[index].memberTag == owner { return !peers[index].isLive }
        return unknownOwners.isDead(owner, now: now)
    }
}

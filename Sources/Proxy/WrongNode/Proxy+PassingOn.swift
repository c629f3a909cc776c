// Giving a message to the member whose transaction it belongs to (S1-2). Once: what comes from a member goes no
// further.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Gives the message at hand to the live member that it belongs to. Once: what comes from a member goes no further.
    mutating func pass(to owner: PeerContact, from source: Endpoint) {
        guard let endpoint = owner.endpoint, !neighbours.isPeerAddress(source), !mutated("owner-not-passed") else {
            return
        }
        counters.passedToOwner += 1
        effects.queue.send(message.bytes, to: endpoint, from: egressListener(endpoint))
    }

    /// The owner gets the CANCEL itself, too: the fact may be long in coming where the bus is cut and SIP is not.
    /// - Returns: False when it is not live.
    mutating func passToOwner(of did: DialogID, _ spiral: SpiralPass, _ plan: RequestPlan, dialogs: DialogTable) -> Bool
    {
        let pendings =
            dialogs.record(did)?.pendings.filter { $0.cseq == plan.cSeq.number && $0.pass == spiral } ?? []
        for pending in pendings {
            guard let token = token(of: pending), let owner = neighbours.peer(token.member), owner.isLive,
                owner.endpoint != nil
            else { continue }
            pass(to: owner, from: plan.source)
            return true
        }
        return false
    }

    /// Gives every live member a copy of a message that only its unknown owner can use: an ACK for a final answer of
    /// the cluster's, an answer to a request that the cluster made.
    mutating func passToPeers(from source: Endpoint) {
        guard source != .none else { return }
        for peer in neighbours.peers where peer.isLive { pass(to: peer, from: source) }
    }

    /// The same for an answer that still has a way to go: without so many Vias of that way, which `vias` has.
    mutating func passToPeers(withoutVias count: Int) {
        let endpoints = neighbours.peers.filter(\.isLive).compactMap(\.endpoint)
        guard !endpoints.isEmpty, !mutated("owner-not-passed") else { return }
        editor.begin()
        editor.removeLeading(count, of: vias)
        let bytes = editedMessage()
        for endpoint in endpoints {
            counters.passedToOwner += 1
            effects.queue.send(bytes, to: endpoint, from: egressListener(endpoint))
        }
    }

    /// The same for a request that its owner is to answer itself: with its topmost Via completed, which says where its
    /// sender is.
    /// - Returns: False when there is no live member to pass it to.
    mutating func passToPeers(completing plan: RequestPlan) -> Bool {
        let endpoints = neighbours.peers.filter(\.isLive).compactMap(\.endpoint)
        guard !endpoints.isEmpty, !neighbours.isPeerAddress(plan.source) else { return false }
        editor.begin()
        completeVia(plan)
        scratch.removeAll()
        editor.write(message, into: &scratch)
        for endpoint in endpoints {
            counters.passedToOwner += 1
            effects.queue.send(scratch.bytes, to: endpoint, from: egressListener(endpoint))
        }
        return true
    }
}

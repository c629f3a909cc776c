// Whom a node that wants to leave still has to wait for, although it has answered: an INVITE is over for its sender
// when that has the answer, and only the ACK tells (RFC 3261 §17.2.1, §13.3.1.4). Until then the answer is repeated
// through this node, over UDP by its timer G or by the callee; where the node has gone, what is repeated goes nowhere:
//
//     failure over UDP    nobody else can say it again                     until the ACK, or timer H
//     2xx of ours         the callee repeats it to the Via, which is ours  until some node has seen the ACK, or timer L
//     2xx that a member   it comes back through here, since this may be    the same
//       sent, relayed     the only way to who sent the INVITE
//
// An heir says all of these again, too, but later, and by another way. Only a draining node counts: it walks over all
// transactions of the last 32 seconds and asks for the record of each.

package import Dialogs
import Primitives
import SIP

extension Proxy {
    /// INVITEs that were answered and whose ACK no node has seen, as far as this node has a part in that.
    package func unacknowledgedCount(_ dialogs: DialogTable) -> Int {
        guard neighbours.isDraining else { return 0 }
        var count = 0
        contexts.forEachID { id in
            if contexts.read(id, { isUnacknowledged($0, dialogs) }) ?? false { count += 1 }
        }
        return count
    }

    private func isUnacknowledged(_ context: ResponseContext, _ dialogs: DialogTable) -> Bool {
        guard context.lastStatus >= 200, context.held.isEmpty, !context.kind.isOfOurOwn,
            case .invite(let transaction) = context.server
        else { return false }
        switch transaction.phase {
        case .completed: return true
        case .accepted:
            if case .relayed(let relaying) = context.role { return isUnacknowledged(relaying, dialogs) }
            guard let did = context.did, let state = dialogs.state(did) else { return false }
            return !isSettled(context, did, state, dialogs: dialogs)
        case .idle, .proceeding, .confirmed, .terminated: return false
        }
    }

    /// The record is the member's, and comes here by the bus.
    private func isUnacknowledged(_ relaying: Relaying, _ dialogs: DialogTable) -> Bool {
        guard let did = relaying.did else { return false }
        return switch dialogs.state(did) {
        case .confirmed, .deleted: false
        case .unconfirmed, .early, .confirmedNotAcknowledged, nil: true
        }
    }
}

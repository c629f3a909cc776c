// ProxyEffects is what the proxy asks of the rest of the node: datagrams to send, facts to publish, commits to wait
// for. Their order matters: a commit follows the fact it waits for, and the node carries them out in the order given.
//
// They gather in `Proxy.effects` while an event is handled. The node takes them out after it, and lends the queue that
// the shell sends: both by swapping, so nothing is copied.

package import Dialogs
package import Primitives
package import SIP

/// What a commit's answer is for.
package struct CommitToken: Hashable, Sendable {
    package enum Purpose: UInt8, Sendable {
        /// 100 Trying waits until a peer has the record (S1-4).
        case trying
        /// A 2xx that confirms a dialog.
        case confirmation
        /// A 2xx that moves a deadline.
        case refresh
        /// A 2xx to a dead node's INVITE. Who ends that call as its heir does so where this node may not have heard of
        /// it yet: all who are there are waited for, and the news of an end comes before their word (S2-11).
        case inheritance
        /// The 200 of a registration; `context` is a place of the node's.
        case registration
        /// A request of the cluster's own, which may leave when every member knows the shift; `context` is its number
        /// at the node.
        case request
    }

    /// What of a generation is in it.
    package static let generationMask: UInt32 = 0x1fff_ffff

    package var context: SlotID
    package var purpose: Purpose

    package init(context: SlotID, purpose: Purpose) {
        self.context = context
        self.purpose = purpose
    }

    /// Purpose, generation and index in one word: 3, 29 and 32 bits.
    package var rawValue: UInt64 {
        UInt64(purpose.rawValue) << 61 | UInt64(context.generation & Self.generationMask) << 32
            | UInt64(context.index)
    }

    package init?(rawValue: UInt64) {
        guard let purpose = Purpose(rawValue: UInt8(rawValue >> 61)) else { return nil }
        self.purpose = purpose
        context = SlotID(
            index: UInt32(truncatingIfNeeded: rawValue), generation: UInt32(rawValue >> 32) & Self.generationMask)
    }
}

package enum ProxyEffect: Sendable {
    /// A patch, its bytes in the arena.
    case patch(DialogID, ByteRange)
    /// The whole record as it stands.
    case put(DialogID)
    /// Tell the proxy when enough peers have applied everything published so far.
    case commit(CommitToken)
    /// Facts of a dialog that is not here came by; the record is wanted.
    case wanted(DialogID)
    /// An heir asks everybody; `Proxy.questionAnswered` when all that are heard have answered.
    case question(DialogID)
    /// Both legs of a dialog that this node ended have answered or timed out.
    /// `unanswered`: one of them in silence, or without a BYE, for want of a way to send it.
    case legsEnded(DialogID, unanswered: Bool)
    /// A request to a side that somebody had asked for has its final status; 408 also for silence, 503 for what could
    /// not be sent.
    case requestEnded(DialogID, Leg, cSeq: UInt32, status: Int)
    /// A side tells what became of the call that a REFER of the cluster's asked for; 0 where it does not say. `isOver`:
    /// it tells no more.
    case referNotified(DialogID, Leg, status: Int, isOver: Bool)
    /// The first phone of a bridge has answered, and has its ACK; or it has not.
    case bridgeAnswered(DialogID)
    case bridgeFailed(callID: [UInt8], status: Int)
    /// A name has to be looked up; `Proxy.resolved` takes the answer with this token.
    case resolve(UInt64, ResolutionTarget)
    /// A script is asked; `Proxy.decide` takes its verdict.
    case ask(ScriptQuestion)
    /// The registrar is asked; `Proxy.decide` takes its verdict.
    case locate(ScriptQuestion)
    case note(ProxyNote)
}

/// What an operator should hear of.
package enum ProxyNote: Hashable, Sendable {
    /// A next hop is the cluster itself although no route says so (S1-5): what the balancer most likely does wrong.
    case hairpin(callID: [UInt8])
    /// All targets of a route are the cluster itself.
    case routeToOurselves(callID: [UInt8])
    case unresolvable(uri: [UInt8])
    case overloaded
    /// Nobody saw the ACK of this dialog: the balancer or a phone goes round the nodes (S1-5).
    case acknowledgementUnseen(callID: [UInt8])
    case tookOverEarly(callID: [UInt8])
    /// The record of a dialog does not take a fact; the first of its kind.
    case factRefused(callID: [UInt8], RecordError)
    /// The first dialog that goes on without a record, or is refused for it (`dialogs.unrecorded`).
    case unrecorded(callID: [UInt8], isRefused: Bool)
    /// No BYE can be made for a side of this dialog; the first such.
    case legUnreachable(callID: [UInt8])
}

package struct ProxyEffects: Sendable {
    package var queue = SendQueue()
    package var arena = ByteWriter(capacity: 16_384)
    package var items: [ProxyEffect] = []

    package init() {}

    package mutating func removeAll() {
        arena.removeAll()
        items.removeAll(keepingCapacity: true)
    }
}

// What programs may be told of a dialog: one kind for each DLGCB_ type of Kamailio's `ims_dialog` and `dialog` modules,
// under the numbers of their bits.
//
//   of messages, told where the message is, as it passes:  created, early, confirmed, request and response within,
//                                                          response to the INVITE, answer to a BYE, spiral
//   of the life, told once for the cluster by the actor:   confirmed without ACK, failed, expired, terminated
//   of this node's memory:                                 loaded, destroyed
//   asked for by a program:                                contexts of a listing
//
// The proxy gathers them in `Proxy.moments` where somebody watches for their kind; else each place costs one test.

package import Dialogs
import Primitives
import SIP

/// What happens to a dialog (`DLGCB_…`).
package enum DialogMomentKind: UInt8, CaseIterable, Sendable {
    /// DLGCB_LOADED: the record came from a disk, or from another member that had it first.
    case loaded = 0
    /// DLGCB_CREATED: an INVITE has made it here.
    case created = 1
    /// DLGCB_FAILED: its INVITE got a final answer of 300 or more, or none.
    case failed = 2
    /// DLGCB_CONFIRMED_NA: a 2xx, not yet acknowledged.
    case confirmedNotAcknowledged = 3
    /// DLGCB_CONFIRMED: the ACK of the 2xx passes here.
    case confirmed = 4
    /// DLGCB_REQ_WITHIN: any other request within it passes here.
    case requestWithin = 5
    /// DLGCB_TERMINATED: it is over.
    case terminated = 6
    /// DLGCB_EXPIRED: its time is up.
    case expired = 7
    /// DLGCB_EARLY: a provisional answer with a tag passes here, the first of its INVITE.
    case early = 8
    /// DLGCB_RESPONSE_FWDED: an answer to the INVITE that made it passes here.
    case responseForwarded = 9
    /// DLGCB_RESPONSE_WITHIN: an answer to a request within it passes here.
    case responseWithin = 10
    /// DLGCB_MI_CONTEXT and DLGCB_RPC_CONTEXT: a listing asks what programs have to say of it.
    case managementContext = 11
    case rpcContext = 12
    /// DLGCB_DESTROY: this node forgets it.
    case destroyed = 13
    /// DLGCB_SPIRALED: its INVITE passes again.
    case spiraled = 14
    /// DLGCB_TERMINATED_CONFIRMED: the answer to a party's BYE passes here. The module's own number is that of a
    /// spiral, too; this is `dialog`'s.
    case terminatedConfirmed = 15
}

/// Kinds that somebody watches for.
package struct DialogMoments: OptionSet, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package init(_ kinds: [DialogMomentKind]) {
        rawValue = kinds.reduce(0) { $0 | 1 << UInt16($1.rawValue) }
    }

    package static let all = DialogMoments(DialogMomentKind.allCases)
    /// Told by the dialog's actor, once.
    package static let ofLife = DialogMoments([.failed, .confirmedNotAcknowledged, .terminated, .expired])

    package func contains(_ kind: DialogMomentKind) -> Bool { rawValue & 1 << UInt16(kind.rawValue) != 0 }
}

/// One thing that has happened.
package struct DialogMoment: Equatable, Sendable {
    /// Which way the message goes, seen from the caller.
    package enum Direction: UInt8, Sendable {
        case none = 0
        case downstream = 1
        case upstream = 2
    }

    package var kind: DialogMomentKind
    package var did: DialogID
    package var direction: Direction
    /// The request as it came, or the one that is answered as far as it is still here; empty where there is none.
    package var request: [UInt8]
    /// The answer as it came; empty for a request.
    package var reply: [UInt8]

    package init(
        _ kind: DialogMomentKind, _ did: DialogID, _ direction: Direction = .none, request: [UInt8] = [],
        reply: [UInt8] = []
    ) {
        self.kind = kind
        self.did = did
        self.direction = direction
        self.request = request
        self.reply = reply
    }
}

extension Proxy {
    /// The request at hand, on its way.
    mutating func note(_ kind: DialogMomentKind, _ did: DialogID, from leg: Leg) {
        guard watched.contains(kind) else { return }
        moments.append(
            DialogMoment(kind, did, leg == .caller ? .downstream : .upstream, request: message.snapshot()))
    }

    /// A request goes on, of a dialog or making one.
    mutating func noteRequest(_ plan: RequestPlan) {
        guard let did = plan.did else { return }
        if plan.createsDialog {
            note(.created, did, from: .caller)
        } else if plan.isKnown, plan.isInDialog {
            note(.requestWithin, did, from: plan.leg)
        } else if !plan.isInDialog, !plan.pass.isFirst {
            note(.spiraled, did, from: .caller)
        }
    }

    /// The answer at hand, to a request of a dialog that is known.
    mutating func noteAnswer(_ context: ResponseContext) {
        guard let did = context.did else { return }
        let status = message.statusCode
        if context.isInitial, context.method == .invite {
            if status > 100, status < 200, context.lastStatus <= 100, !message.toTag.isEmpty {
                note(.early, did, answering: context)
            }
            note(.responseForwarded, did, answering: context)
        } else if context.isKnown {
            note(.responseWithin, did, answering: context)
            if context.method == .bye, status >= 200 { note(.terminatedConfirmed, did, answering: context) }
        }
    }

    private mutating func note(_ kind: DialogMomentKind, _ did: DialogID, answering context: ResponseContext) {
        guard watched.contains(kind) else { return }
        moments.append(
            DialogMoment(
                kind, did, context.leg == .caller ? .upstream : .downstream, request: context.request,
                reply: message.snapshot()))
    }
}

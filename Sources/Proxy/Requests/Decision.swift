// What a stage says of a request. The stages are functions from the plan so far to a Decision: they look things up and
// fill the plan in, and nothing is sent by them. Who runs them carries the decision out (`Proxy+Stages`):
//
//     admit ──▶ match ──▶ script ──▶ route ──▶ relay ──▶ branches
//       │         │         │          │
//       └─────────┴─────────┴──────────┴──▶ refuse · wait · what belongs to a transaction that is there
//
//   admit   who may send it, whether it is a copy, whether it can be understood, which of its Routes are ours
//   match   which dialog it belongs to, and whose transaction it is
//   script  what a script says of it, where there is one (`ScriptPoint`)
//   route   where it goes
//   relay   a transaction, and its branches
//
// What waits keeps its bytes and its plan, and goes on at the stage that told it to: what the stages before it decided,
// or a script said, is decided once.

import Dialogs
import Primitives
import SIP

/// What is done with a request next, in this order.
enum Stage: UInt8, Sendable {
    case admit, match, script, route, relay

    /// The one after it; `relay` is the last.
    var next: Stage { Stage(rawValue: rawValue + 1) ?? .relay }
}

enum Decision: Sendable {
    /// On to the next stage.
    case proceed
    /// A final answer of ours, without a transaction.
    case refuse(Refusal)
    /// OPTIONS to the node itself.
    case answerOptions
    /// A request to the cluster itself within a dialog (`Proxy+Bridge`).
    case answerOwn(DialogID, Leg)
    /// It goes on at the stage that says so, when what it waits for has come or its time is over.
    case wait(for: Awaited)
    /// A copy of a request that this node has: the transaction says what it said last.
    case absorb(SlotID)
    /// A copy by another way of an INVITE that this node has sent on for this side.
    case repeatAnswer(DialogID, Leg)
    /// An INVITE whose branches are another transaction's, which its sender gave up, or whose owner is dead.
    case adopt(DialogID)
    /// It belongs to a transaction of this member, which lives.
    case pass(to: PeerContact)
    /// This node drains: the member takes the call.
    case relay(to: Endpoint)
    /// It goes no further, and nobody is told.
    case drop(Drop)
    /// What belongs to an INVITE's transaction: each has its own way (`Proxy+Acknowledgement`, `Proxy+Cancel`).
    case acknowledge, cancel
}

/// What a request waits for.
enum Awaited: Sendable {
    /// The record of a dialog, which is being fetched; `isWanted` where nobody has asked for it yet.
    case record(DialogID, isWanted: Bool)
    /// A 2xx that this context holds for its commit (S2-12).
    case answer(SlotID)
    /// The word of a script.
    case script
    /// The word of the registrar.
    case registrar
}

extension Awaited {
    /// Somebody's verdict, which is asked for once.
    var isWord: Bool {
        switch self {
        case .script, .registrar: true
        case .record, .answer: false
        }
    }
}

/// Why a request goes no further.
enum Drop: Sendable {
    /// The access list says so, and that nobody is told.
    case denied
    /// A copy of an INVITE whose final answer its owner repeats.
    case ofAnotherNode
}

/// A final answer that the cluster gives by itself.
struct Refusal: Equatable, Sendable {
    /// What is counted, and told to operators, beside the refusal itself.
    enum Cause: Equatable, Sendable {
        /// The request itself.
        case request
        case accessDenied
        case sourceLimit, totalLimit
        /// Datagrams stand in the socket for too long.
        case shed
        /// No room for a transaction or a dialog.
        case full
        /// The node drains, and no member takes calls.
        case nobodyTakesCalls
        /// The connection that it would have to go over has ended.
        case connectionGone
        /// The next hop is the cluster itself, although no route says so (S1-5).
        case hairpin
        /// All targets of a route are the cluster itself.
        case routeToOurselves
        /// The next hop cannot be sent to.
        case unresolvable(uri: [UInt8])
        /// As the tombstone of its dialog says.
        case ofAnotherNode
        /// Its CSeq would not fit 32 bits as it is to be moved (`CSeqShift`).
        case numbersUsedUp
    }

    var status: Int
    var cause = Cause.request
    /// Retry-After in seconds; 0 for none.
    var retryAfter = 0

    init(_ status: Int, _ cause: Cause = .request, retryAfter: Int = 0) {
        self.status = status
        self.cause = cause
        self.retryAfter = retryAfter
    }
}

extension Decision {
    static func refuse(_ status: Int, _ cause: Refusal.Cause = .request, retryAfter: Int = 0) -> Decision {
        .refuse(Refusal(status, cause, retryAfter: retryAfter))
    }

    var isProceed: Bool { if case .proceed = self { true } else { false } }
}

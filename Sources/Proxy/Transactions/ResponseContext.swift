// ResponseContext is what the proxy keeps of one request that it forwards (RFC 3261 §16.2): the server transaction
// toward whoever sent it, one client transaction a branch, and the responses that wait. It is a plain value in a slab;
// its slot and generation stand in the branch of our Via, so an answer finds it at once.
//
// Kinds other than `forwarded` reuse the same machinery for other nodes' requests; what the cluster asks of itself is
// an `OwnRequest`:
//   heir        a dead node's ringing call: its CANCEL as client side, its 480 as server side (S2-11)
//   resending   a 2xx of a dead node's, or to an adopted INVITE, sent again until its ACK is seen: a server side only
//               (S1-3)
//   adopted     an INVITE that a balancer sent again to us while its first node died (S1-2b), or that another node has
//               sent on as well: a server side only, and branches that have ended
//   passing     a 2xx to a dead node's refresh: held for its commit, no side of a transaction (R9)
//   relayed     an INVITE that a draining node has given to a member: a server side, and a client side toward that
//               member whose Via is the sender's (`Proxy+Relays`)
//
// A context in a terminal state gives its byte buffers back: an accepted INVITE stays for 64·T1 (RFC 6026) as 0.5 KB.

import Dialogs
import Primitives
import SIP

struct ResponseContext: Sendable {
    private let passing = ByAddress()
    enum Kind: Sendable {
        case forwarded, heir, resending, adopted, passing, relayed

        /// Nobody's call waits for what becomes of it.
        var isOfOurOwn: Bool { self == .resending || self == .passing }
    }
    /// What it is kept for, with what only that needs.
    enum Role: Sendable {
        case forwarded
        case heir(Heir)
        case resending(Resending)
        case adopted
        case passing
        case relayed(Relaying)
    }
    enum Server: Sendable {
        case none
        case invite(InviteServerTransaction)
        case nonInvite(NonInviteServerTransaction)
    }

    var role = Role.forwarded
    var method = Method.invite
    var server = Server.none
    /// The request as received, its Via completed; empty for what was not received.
    var request: [UInt8] = []
    /// Finds the server transaction by its request's retransmissions.
    var serverKey: UInt64?
    var upstream = Endpoint.none
    var listener = ListenerID(rawValue: 0)
    /// The connection that the request came on.
    var flow = FlowID.none
    /// The socket that its last Route of ours names (RFC 5658).
    var routeListener: ListenerID?
    /// The 100 that waits for a peer to have the record, made while its INVITE was at hand.
    var trying: [UInt8] = []
    /// What was last sent upstream, for retransmissions.
    var lastResponse: [UInt8] = []
    var lastStatus = 0

    var did: DialogID?
    var leg = Leg.caller
    var cSeq: UInt32 = 0
    /// Its place among the requests of both sides, once it was answered (`Proxy+Targets`); 0 before.
    var turn: UInt32 = 0
    /// What `cSeq` is moved by downstream (`CSeqShift`).
    var shift: UInt32 = 0
    var isInitial = false
    /// The record of `did` was here and agreed when the request came.
    var isKnown = false
    /// A request that, answered 2xx, refreshes the dialog's lifetime.
    var refreshes = false
    /// The dialog had ended before this request came (S1-9: a party's own BYE after ours).
    var afterTheEnd = false
    var cancelled = false
    /// Its dialog was refused a record: there is nothing to fetch.
    var isUnrecorded = false
    /// Its sender is told to wait when a peer knows of it, and not before.
    var awaitsCommit = false
    /// What to answer upstream when the branches end after a cancellation that was not the caller's.
    var endCode: Int?
    /// Why it was cancelled, and the Reasons of the caller's CANCEL (RFC 3326).
    var cause = CancelCause.caller
    var reason: [UInt8] = []
    /// How long its branches are waited for.
    var times = AnswerTimes()
    /// Session-Expires of a 2xx that comes without one (RFC 4028 §8.2); 0 for none.
    var sessionSeconds: UInt32 = 0

    var branches: [ClientBranch] = []
    /// What is left of the target set (§16.5); empty where one address is all there is.
    var targets: [ForkTarget] = []
    /// The request as each branch sends it, but for its Request-URI and branch; kept while targets are left.
    var template: [UInt8] = []
    /// `Proxy.loopHash` of the request; the same in every branch.
    var loop: UInt32 = 0
    /// The request's Max-Breadth; what its targets that run have together is not more.
    var breadth = MaxBreadth.assumed
    /// Branches carry our Record-Route.
    var recordsRoute = false
    /// What that says beside its own.
    var recordParameters: [UInt8] = []
    /// Branches carry the Record-Routes of a subscription.
    var recordsSubscription = false
    /// No branch is begun any more: a 2xx or 6xx came, or the request was cancelled.
    var isClosed = false
    /// Which pass of a spiral it is.
    var pass = SpiralPass.first
    /// A BYE that comes back through a server: its answer ends the dialog, unless the last pass has.
    var endsOnAnswer = false
    /// Whether a script has been asked about the final response of this round.
    var final = FinalQuestion.open
    /// Responses that a script is asked about, in order of arrival; how many there were.
    var asked: [AskedResponse] = []
    var responsesAsked: UInt64 = 0
    var held: [HeldResponse] = []
    /// Requests from the callee that must not overtake its held 2xx (S2-12).
    var queued: [WaitingRequest] = []
    var timers = TimerSet()
    /// The grace of an heir, the interval of a 2xx sent again, the silence after a request that is never answered.
    var contextTimer = TimerID.none
    /// What an heir says to a dead node's caller could not be sent, and was counted.
    var isUnreachable = false
    var startedAt = Instant.zero
    /// The draining member that relayed the request here.
    var relay: Relay?
    /// Adopted, since another node sent its INVITE on as well (`Proxy+TwoOwners`).
    var isLeftToOther = false

    /// Every target may answer 2xx.
    static let heldLimit = 16
    static let queuedLimit = 16
    static let askedLimit = 32

    /// More than one branch, or there may be.
    var isForking: Bool { branches.count > 1 || !targets.isEmpty }
}

/// What an heir knows of the dead node's transaction, and how far it has come with ending it.
struct Heir: Sendable {
    enum Stage: Sendable {
        /// It has asked its peers, and waits for the dead node's address.
        case waiting
        /// Its CANCEL is under way.
        case cancelling
        /// The callees can answer no more, or say nothing to their CANCEL; the peers are asked for the last time.
        case asking(cancels: Bool, again: Bool)

        var isAsking: Bool { if case .asking = self { true } else { false } }
    }

    /// The dead owner in a branch, and its slot there.
    var owner: UInt32
    var slot: SlotID
    var stage = Stage.waiting
    /// Somebody has not answered its question yet.
    var awaitsAnswers = false
    /// It has waited for everything else.
    var isOverdue = false
}

/// A 2xx that is sent again until its ACK is seen.
struct Resending: Sendable {
    /// To the next copy.
    var interval: Duration
    /// It is for an INVITE that was adopted, not a dead node's.
    var isForAdopted: Bool
}

/// An INVITE that a draining node has given to a member.
struct Relaying: Sendable {
    /// Finds it by its answers.
    var key: UInt64
    /// The dialog that the member makes of it, where that can be told.
    var did: DialogID?
    /// How often it went to another member.
    var attempts: UInt8 = 0
}

extension ResponseContext {
    var kind: Kind {
        switch role {
        case .forwarded: .forwarded
        case .heir: .heir
        case .resending: .resending
        case .adopted: .adopted
        case .passing: .passing
        case .relayed: .relayed
        }
    }

    var heir: Heir? { if case .heir(let heir) = role { heir } else { nil } }

    var resending: Resending? { if case .resending(let resending) = role { resending } else { nil } }

    var relaying: Relaying? { if case .relayed(let relaying) = role { relaying } else { nil } }

    /// An heir has come further; nothing else has stages.
    mutating func enter(_ stage: Heir.Stage) {
        guard case .heir(var heir) = role else { return }
        heir.stage = stage
        role = .heir(heir)
    }

    /// An heir waits for its peers' answers, or has them.
    mutating func awaitAnswers(_ awaits: Bool, isOverdue: Bool = false) {
        guard case .heir(var heir) = role else { return }
        (heir.awaitsAnswers, heir.isOverdue) = (awaits, isOverdue)
        role = .heir(heir)
    }
}

/// A 2xx that waits for its commit, ready to be sent.
struct HeldResponse: Sendable {
    var bytes: [UInt8]
    var outline: MessageOutline?
    var toTag: [UInt8]
    var status: Int
    var heldAt: Instant
}

/// How far a script has come with the final response.
enum FinalQuestion: Sendable {
    case open, asked, judged
}

/// A response that a script is asked about.
struct AskedResponse: Sendable {
    var number: UInt64
    var bytes: [UInt8]
    var branch: Int
    /// The connection that it came on.
    var flow: FlowID
    /// `Proxy.messageNumber` when it was asked about.
    var messageNumber: UInt64
    var isJudged = false
    var isDropped = false
}

/// One client transaction of the request (RFC 3261 §16.6): a target, or a further address of one.
struct ClientBranch: Sendable {
    private let passing = ByAddress()
    /// Branches of one request, retries included: what a record can hold of them (64 pendings, 16 KiB).
    static let limit = 32
    /// To tags remembered of one branch's early dialogs.
    static let earlyTagLimit = 16

    enum Client: Sendable {
        case invite(InviteClientTransaction)
        case nonInvite(NonInviteClientTransaction)
    }
    enum Cancel: Sendable {
        case none
        /// Wanted, but no provisional response came yet (§9.1).
        case wanted
        case sent(NonInviteClientTransaction)
    }

    var client: Client
    /// The request as sent.
    var sent: [UInt8]
    /// Of `sent`, for whoever keeps it; `nil` where that has to look for itself.
    var outline: MessageOutline?
    var target: Endpoint
    var listener: ListenerID
    /// Its number in the branch parameter.
    var number: UInt8 = 0
    /// Position in the context's targets, if it has any.
    var place: Int16?
    /// The number of its target on the board of targets, if it has one.
    var health: Int32?
    /// The connection that it goes over, if it must be a certain one.
    var flow = FlowID.none
    /// The connection of the member that it was passed to, which is the callee's.
    var memberFlow: FlowFact?
    /// What a TLS server at `target` must show: the name that it was looked up by.
    var serverName: [UInt8] = []
    /// The request as it goes by UDP, when it went by TCP for its size alone and no connection can be had (RFC 3261
    /// §18.1.1).
    var datagram: [UInt8] = []
    var timers = TimerSet()
    /// Timer C (§16.6 step 11), then the time for a final answer after CANCEL (§9.1).
    var timerC = TimerID.none
    var cancel = Cancel.none
    /// Why it is cancelled.
    var cause = CancelCause.caller
    var cancelSent: [UInt8] = []
    var cancelTimers = TimerSet()
    var sawProvisional = false
    /// The final status, once there is one; 408 also stands for silence.
    var final: Int?
    /// When its first 2xx came.
    var answeredAt: Instant?
    /// Another address of the same target was tried instead (RFC 3263 §4.3), or a script has begun another round: its
    /// result does not count.
    var isSuperseded = false
    /// To tags of its early dialogs, which end with it; kept where there are other branches.
    var earlyTags: [[UInt8]] = []
    /// The non-2xx final as it came, for the best response (§16.7 step 6).
    var response: [UInt8] = []

    /// A script is asked about it: it has not begun.
    var isAsked = false
    /// A script is asked about its failure: nothing has followed from that yet.
    var isFailureAsked = false

    /// It has had a 2xx.
    var isAnswered: Bool { final.map { 200..<300 ~= $0 } ?? false }
}

/// The timers of one transaction: no state arms two of the same group at once.
struct TimerSet: Sendable {
    var retransmit = TimerID.none
    var timeout = TimerID.none
    var linger = TimerID.none

    subscript(timer: TransactionTimer) -> TimerID {
        get {
            switch timer {
            case .a, .e, .g: retransmit
            case .b, .f, .h, .c: timeout
            case .d, .i, .j, .k, .l, .m: linger
            }
        }
        set {
            switch timer {
            case .a, .e, .g: retransmit = newValue
            case .b, .f, .h, .c: timeout = newValue
            case .d, .i, .j, .k, .l, .m: linger = newValue
            }
        }
    }
}

extension Endpoint {
    /// Stands where no endpoint is known; nothing is sent to it.
    static let none = Endpoint(address: Address(ipv4: 0), port: 0)
}

/// Which timer of which machine fired: context index and generation, branch, machine and timer in one word.
struct TimerToken: Equatable, Sendable {
    enum Machine: UInt8, Sendable {
        case server, client, cancel, timerC, resend
        /// An heir's wait for the dead node's address.
        case grace
        /// A cancelled INVITE's wait for its final answer (§9.1).
        case branchEnd
        /// A request that must not be answered any more (RFC 4320) is kept until its sender has given up.
        case silence
        /// A request of the cluster's own, and the next OPTIONS to a target.
        case own, probe
        /// A member has said nothing to a relayed INVITE.
        case relay
        /// Ends that are owed are looked at; no context has it.
        case debt
    }

    var context: SlotID
    var branch: UInt8
    var machine: Machine
    var timer: TransactionTimer

    var rawValue: UInt64 {
        UInt64(context.index) << 32 | UInt64(context.generation & 0xffff) << 16 | UInt64(branch) << 8
            | UInt64(machine.rawValue) << 4 | UInt64(timer.rawValue)
    }

    init(context: SlotID, branch: Int = 0, machine: Machine, timer: TransactionTimer = .a) {
        self.context = context
        self.branch = UInt8(truncatingIfNeeded: branch)
        self.machine = machine
        self.timer = timer
    }

    init?(rawValue: UInt64) {
        guard let machine = Machine(rawValue: UInt8(rawValue >> 4 & 15)),
            let timer = TransactionTimer(rawValue: UInt8(rawValue & 15))
        else { return nil }
        self.machine = machine
        self.timer = timer
        branch = UInt8(truncatingIfNeeded: rawValue >> 8)
        context = SlotID(index: UInt32(rawValue >> 32), generation: UInt32(rawValue >> 16 & 0xffff))
    }
}

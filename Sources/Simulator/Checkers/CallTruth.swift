// What really happened to a call, as its phones saw it: the measure of everything that nodes believe.
//
// A deadline counts as committed when the 2xx that moves it has reached the phone that asked, and no node counted it as
// forwarded uncommitted. Who knew it at that moment is noted too: only if all of those are dead or out of reach may
// anybody act against it.

internal import Dialogs
internal import SIP

/// A BYE that a node made (S1-9), as it left.
struct GeneratedBye {
    let leg: Role
    /// Which callee the dialog is with.
    let place: Int
    let process: ProcessID
    let at: Nanoseconds
    let branch: String
    let sentBy: String
    let cseq: UInt32
    let bytes: [UInt8]
    var isFirstOfLeg: Bool
    /// Hosts that its sender did not reach.
    var unreached: [Int] = []

    func isSameTransaction(as other: GeneratedBye) -> Bool {
        branch == other.branch && sentBy == other.sentBy && cseq == other.cseq
    }
}

/// A 2xx on its way through the nodes: one for each request of a phone that may move the deadline.
struct Answer {
    let asker: Role
    /// Which callee the dialog is with.
    let place: Int
    let cseq: UInt32
    let method: SIP.Method
    /// When a node first had it.
    var reachedAt: Nanoseconds
    /// How long the call lives from then on, as the 2xx said when it last left.
    var lifetime: Nanoseconds = 0
    /// When a node first sent it on.
    var leftAt: Nanoseconds?
    var isUncommitted = false
    /// Processes that had the facts of it in a record when it left.
    var knowers: [ProcessID] = []
    /// Draining nodes by way of which it went.
    var relays: Set<ProcessID> = []
}

final class CallTruth {
    let index: Int
    let plan: CallPlan
    var did: UInt64?
    var writes = WriteTruth()
    /// Requests within it that the cluster was asked for and took, and those of them that nodes have told the end of.
    var asks = 0
    var asksEnded = 0
    /// By the side that the last such request seemed to come from: processes that moved that side's numbers then.
    var movers: [Leg: [ProcessID]] = [:]

    // The INVITE.
    var provisionalAt: Nanoseconds?
    var acknowledgedAt: Nanoseconds?
    /// When a node was first seen to know of that.
    var ackKnownAt: Nanoseconds?
    var failure: (code: Int, at: Nanoseconds)?
    var cancelledAt: Nanoseconds?
    /// When its INVITE's transaction was given up for another.
    var triedAgainAt: Nanoseconds?
    /// Branches of the INVITEs that reached a node to make its dialog.
    var transactions: Set<String> = []
    /// Processes that told it by the second transaction to wait.
    var adopters: [ProcessID] = []
    /// Processes that had that transaction's Vias in their record as one of those told it to wait.
    var adoptionKnowers: [ProcessID] = []
    var cancelCode: Int?
    /// Processes that held the record when the first provisional answer left for the caller.
    var ringKnowers: [ProcessID] = []
    var reInviteBranches: [(cseq: UInt32, asker: Role, branch: String, at: Nanoseconds)] = []

    // The dialogs.
    /// By callee, in the order of the plan.
    var dialogs: [DialogTruth]
    /// The one that the caller has kept, the first as long as it has none.
    var kept = 0
    var answers: [Answer] = []
    var committedDeadline: Nanoseconds = 0
    var deadlineKnowers: [ProcessID] = []
    /// When the request that it is the deadline of was answered.
    var committedAt: Nanoseconds = .min / 2
    /// Who has given its word for its end, and when.
    var grants: [GivenGrant] = []
    /// Since when a process asks for an end that is too early, as others in reach know.
    /// And which deadline it asks about.
    var askedBehind: [ProcessID: (since: Nanoseconds, deadline: Nanoseconds)] = [:]
    /// The process that sent its INVITE on first, and those that went on with it for a dead one.
    var inviteOwner: ProcessID?
    var heirs: [GivenGrant] = []
    /// A node died with its 2xx, and the callee's copies are lost until the caller has it (`deaf`).
    var isDeaf = false
    /// How far it had come on any node, and since when.
    var spread = SpreadMark()
    /// No node can have a later one.
    var latestDeadline: Nanoseconds = 0
    /// A test has said what the latest deadline is.
    var isBoundFixed = false
    /// When a 2xx last reached a node that brings the deadline nearer.
    var shortenedAt: Nanoseconds = .min / 2
    /// When a node was last made to lose its record.
    var recordLostAt: Nanoseconds = .min / 2
    /// When an operator first asked for its end, at a node that took the wish.
    var askedAt: Nanoseconds?
    /// Processes seen to know of that, two at most, and when there were two.
    var askedKnowers: [ProcessID] = []
    var askedSpreadAt: Nanoseconds?
    /// When one of its phones lost it and told nobody.
    var forgotAt: Nanoseconds?
    var retriedAfter500 = 0
    var refusals: [(role: Role, code: Int, method: SIP.Method, at: Nanoseconds, waited: Nanoseconds)] = []

    /// Some node sent a final answer other than 2xx.
    var wasRefused = false
    /// Whether the first that did so once the call was answered could reach nobody who knew of that.
    var wasRefusedApart: Bool?
    /// Processes that did.
    var refusers: [ProcessID] = []
    /// One of those came from a node that has no record of the call.
    var wasStrayRefusal = false
    /// One of several dialogs was ended while the nodes that knew of the others could be out of reach.
    var wasEndedApart = false
    /// Processes that were seen to know its end.
    var endKnowers: [ProcessID] = []
    /// When the first of them was seen to know.
    var endKnownAt: Nanoseconds?
    /// Every node has been looked at for its record.
    var isLookedAt = false
    /// When each process was first seen to have any record of it.
    var firstSeen: [ProcessID: Nanoseconds] = [:]
    /// What the trace said last of each process's record.
    var logged: [ProcessID: String] = [:]

    init(index: Int, plan: CallPlan) {
        self.index = index
        self.plan = plan
        dialogs = plan.callees.map { _ in DialogTruth() }
    }

    var isForked: Bool { dialogs.count > 1 }
    var dialog: DialogTruth { dialogs[kept] }
    var confirmedAt: Nanoseconds? { dialog.confirmedAt }
    /// When the caller had its first final answer.
    var decidedAt: Nanoseconds? { confirmedAt ?? failure?.at }
    /// When the first callee was reached.
    var ringsAt: Nanoseconds? { dialogs.compactMap(\.ringsAt).min() }
    var ackReached: Nanoseconds? { dialog.ackReached }
    var byes: [GeneratedBye] { dialog.byes }
    var endedAt: [Role: (at: Nanoseconds, reason: String)] { dialog.endedAt }
    var hungUpAt: [Role: Nanoseconds] { dialog.hungUpAt }
    /// Somebody has ended it, whoever knows. As long as nobody has answered any of its dialogs stands for the call.
    var isEnding: Bool { confirmedAt == nil ? dialogs.contains(where: \.isEnding) : dialog.isEnding }
    func firstBye(_ leg: Role) -> GeneratedBye? { byes.first { $0.leg == leg } }
    /// The first BYE to the same side of the same dialog.
    func firstBye(as bye: GeneratedBye) -> GeneratedBye? { dialogs[bye.place].byes.first { $0.leg == bye.leg } }

    // MARK: Told by phones

    func provisional(_ code: Int, at now: Nanoseconds) { provisionalAt = provisionalAt ?? now }
    func ended(_ phone: Phone, _ reason: String, at now: Nanoseconds) {
        let place = place(of: phone)
        dialogs[place].endedAt[phone.role] = dialogs[place].endedAt[phone.role] ?? (now, reason)
    }
    func hungUp(_ phone: Phone, at now: Nanoseconds) {
        let place = place(of: phone)
        dialogs[place].hungUpAt[phone.role] = dialogs[place].hungUpAt[phone.role] ?? now
    }
    /// A caller speaks of the dialog that it has kept.
    private func place(of phone: Phone) -> Int { phone.role == .caller ? kept : phone.place }
    func byeAnswered(_ role: Role, _ code: Int) {}
    func cancelAnswered(_ code: Int) { cancelCode = code }
    func failed(_ code: Int, at now: Nanoseconds) { failure = failure ?? (code, now) }
    func unacknowledged(_ phone: Phone, isInitial: Bool, at now: Nanoseconds) {
        if isInitial { dialogs[place(of: phone)].unacknowledgedAt[phone.role] = now }
    }
    func unknownDialog(_ request: PhoneMessage, _ role: Role) {}

    func refused(_ role: Role, _ code: Int, _ client: ClientTransaction, at now: Nanoseconds) {
        refusals.append((role, code, client.method, now, now - client.startedAt))
    }

    func reInviteBranch(_ request: PhoneMessage, at now: Nanoseconds, _ world: World) {
        let asker = world.asker(request.from, call: index)
        let earlier = reInviteBranches.first { $0.cseq == request.cseq && $0.asker == asker }
        if let earlier, earlier.branch != request.branch {
            world.checkSecondBranch(self, "re-INVITE", branch: request.branch, firstAt: earlier.at)
        }
        reInviteBranches.append((request.cseq, asker, request.branch, now))
    }
}

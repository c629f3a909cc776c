// What really happened to a call, as its phones saw it: the measure of everything that nodes believe.
//
// A deadline counts as committed when the 2xx that moves it has reached the phone that asked, and no node counted it as
// forwarded uncommitted. Who knew it at that moment is noted too: only if all of those are dead or out of reach may
// anybody act against it.

internal import SIP

/// A BYE that a node made (DESIGN 3.3), as it left.
struct GeneratedBye {
    let leg: Role
    let process: ProcessID
    let at: Nanoseconds
    let branch: String
    let sentBy: String
    let cseq: UInt32
    let bytes: [UInt8]
    var isFirstOfLeg: Bool

    func isSameTransaction(as other: GeneratedBye) -> Bool {
        branch == other.branch && sentBy == other.sentBy && cseq == other.cseq
    }
}

/// A 2xx on its way through the nodes: one for each request of a phone that may move the deadline.
struct Answer {
    let asker: Role
    let cseq: UInt32
    let method: SIP.Method
    /// When a node first had it.
    var reachedAt: Nanoseconds
    /// When a node first sent it on.
    var leftAt: Nanoseconds?
    var isUncommitted = false
    /// Processes that had the facts of it in a record when it left.
    var knowers: [ProcessID] = []
}

final class CallTruth {
    let index: Int
    let plan: CallPlan
    var did: UInt64?

    // The INVITE.
    var provisionalAt: Nanoseconds?
    var ringsAt: Nanoseconds?
    var answeredAt: Nanoseconds?
    var confirmedAt: Nanoseconds?
    var acknowledgedAt: Nanoseconds?
    /// When a node first sent the ACK on to the callee.
    var ackLeft: Nanoseconds?
    var ackReached: Nanoseconds?
    var failure: (code: Int, at: Nanoseconds)?
    var cancelledAt: Nanoseconds?
    var cancelReached: Nanoseconds?
    var cancelCode: Int?
    /// Processes that held the record when the first provisional answer left for the caller.
    var ringKnowers: [ProcessID] = []
    /// Branches under which the INVITE reached its callee, and who sent each.
    var inviteBranches: [(branch: String, sender: Party, at: Nanoseconds)] = []
    var reInviteBranches: [(cseq: UInt32, asker: Role, branch: String, at: Nanoseconds)] = []

    // The dialog.
    var answers: [Answer] = []
    var committedDeadline: Nanoseconds = 0
    var deadlineKnowers: [ProcessID] = []
    /// No node can have a later one.
    var latestDeadline: Nanoseconds = 0
    var byes: [GeneratedBye] = []
    var byesReached: [Role: Nanoseconds] = [:]
    var endedAt: [Role: (at: Nanoseconds, reason: String)] = [:]
    var hungUpAt: [Role: Nanoseconds] = [:]
    /// When one of its phones lost it and told nobody.
    var forgotAt: Nanoseconds?
    var retriedAfter500 = 0
    var refusals: [(role: Role, code: Int, method: SIP.Method, at: Nanoseconds, waited: Nanoseconds)] = []
    var unacknowledgedAt: [Role: Nanoseconds] = [:]

    // Who has ever held the record, confirmed; found by looking at every node every so often.
    var holders: [ProcessID] = []
    var confirmHolders: [ProcessID] = []
    var wasUncommitted = false
    var wasAlone = false
    /// A node that had no record sent its 2xx on, and nobody in reach had one.
    var wasRelayed = false
    /// Some node sent a final answer other than 2xx.
    var wasRefused = false
    /// Processes that knew of a provisional answer, when somebody looked.
    var earlyHolders: [ProcessID] = []
    /// Processes that were seen to know its end.
    var endKnowers: [ProcessID] = []
    /// When each process was first seen to have any record of it.
    var firstSeen: [ProcessID: Nanoseconds] = [:]
    /// What the trace said last of each process's record.
    var logged: [ProcessID: String] = [:]

    init(index: Int, plan: CallPlan) {
        self.index = index
        self.plan = plan
    }

    /// No phone thinks that there is a call, or would mind if there were none.
    var isOver: Bool { endedAt[.caller] != nil && endedAt[.callee] != nil }
    /// Somebody has ended it, whoever knows.
    var isEnding: Bool { !endedAt.isEmpty || !hungUpAt.isEmpty }
    var firstEnd: Nanoseconds {
        min(
            min(endedAt[.caller]?.at ?? .max, endedAt[.callee]?.at ?? .max),
            min(hungUpAt[.caller] ?? .max, hungUpAt[.callee] ?? .max))
    }
    func firstBye(_ leg: Role) -> GeneratedBye? { byes.first { $0.leg == leg } }

    // MARK: Told by phones

    func provisional(_ code: Int, at now: Nanoseconds) { provisionalAt = provisionalAt ?? now }
    func ended(_ role: Role, _ reason: String, at now: Nanoseconds) { endedAt[role] = endedAt[role] ?? (now, reason) }
    func hungUp(_ role: Role, at now: Nanoseconds) { hungUpAt[role] = hungUpAt[role] ?? now }
    func byeAnswered(_ role: Role, _ code: Int) {}
    func cancelAnswered(_ code: Int) { cancelCode = code }
    func failed(_ code: Int, at now: Nanoseconds) { failure = failure ?? (code, now) }
    func unacknowledged(_ role: Role, isInitial: Bool, at now: Nanoseconds) {
        if isInitial { unacknowledgedAt[role] = now }
    }
    func unknownDialog(_ request: PhoneMessage, _ role: Role) {}
    func outOfOrder(_ request: PhoneMessage, _ role: Role) {}

    func refused(_ role: Role, _ code: Int, _ client: ClientTransaction, at now: Nanoseconds) {
        refusals.append((role, code, client.method, now, now - client.startedAt))
    }

    func heard(_ request: PhoneMessage, by role: Role, from sender: Party, _ world: World) {
        guard request.method == .bye, request.vias.count == 1 else { return }
        byesReached[role] = byesReached[role] ?? world.now
    }

    func reInviteBranch(_ request: PhoneMessage, at now: Nanoseconds, _ world: World) {
        let asker: Role = request.fromTag == "t-alice\(index)" ? .caller : .callee
        let earlier = reInviteBranches.first { $0.cseq == request.cseq && $0.asker == asker }
        if let earlier, earlier.branch != request.branch {
            world.checkSecondBranch(self, "re-INVITE", firstAt: earlier.at)
        }
        reInviteBranches.append((request.cseq, asker, request.branch, now))
    }
}

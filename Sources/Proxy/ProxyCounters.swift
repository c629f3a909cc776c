// What the proxy counts, and nobody else. Each is a metric: `Node+Metrics` gives it its name and its sentence.

/// Counts since the process began; each becomes a metric.
package struct ProxyCounters: Equatable, Sendable {
    package var requests: UInt64 = 0
    /// INVITEs that made a dialog, and those answered 2xx.
    package var callsTried: UInt64 = 0
    package var callsAnswered: UInt64 = 0
    package var responses: UInt64 = 0
    package var forwarded: UInt64 = 0
    package var malformed: UInt64 = 0
    package var dropped: UInt64 = 0
    package var retransmissionsAbsorbed: UInt64 = 0
    package var retransmissionsSent: UInt64 = 0
    package var rejected: UInt64 = 0
    package var strayResponses: UInt64 = 0
    package var passedToOwner: UInt64 = 0
    package var foreignAbsorbed: UInt64 = 0
    package var adopted: UInt64 = 0
    /// Requests whose Call-ID has more records than are looked at (`DialogTable.attemptLimit`).
    package var attemptsCut: UInt64 = 0
    package var staleDropped: UInt64 = 0
    /// INVITEs that this node relayed while it drained; to another member than the first; refused, for want of one.
    package var relayed: UInt64 = 0
    package var relayedAnew: UInt64 = 0
    package var relaysRefused: UInt64 = 0
    /// INVITEs that a draining member relayed here, repetitions among them.
    package var relayedHere: UInt64 = 0
    /// Answers to relayed INVITEs of which this process has nothing: sent on by their Via.
    package var relayedAnswersStray: UInt64 = 0
    package var routeHintMismatches: UInt64 = 0
    package var dialogsUnseenAcknowledgement: UInt64 = 0
    package var takeoverEarly: UInt64 = 0
    package var takeoverResent: UInt64 = 0
    package var takeoverUnreachable: UInt64 = 0
    package var byesGenerated: UInt64 = 0
    package var heldResponses: UInt64 = 0
    package var overloaded: UInt64 = 0
    /// New requests refused since datagrams stood in the socket for too long.
    package var shed: UInt64 = 0
    /// Emergency calls tried, those that were relayed to another member not among them.
    package var emergencyCalls: UInt64 = 0
    /// Branches beyond the first of their request.
    package var branchesAdded: UInt64 = 0
    /// Branches that the limit of one request did not allow.
    package var branchesRefused: UInt64 = 0
    /// Branches that another address of the same target took over.
    package var failovers: UInt64 = 0
    /// Client transactions that ended because their request could not be sent (RFC 3261 §17.1.4).
    package var transportErrors: UInt64 = 0
    /// Challenges that did not fit into the answer chosen.
    package var challengesLeftOut: UInt64 = 0
    /// 2xx responses of another callee than the one that had answered, ended by ACK and BYE.
    package var lateAnswersEnded: UInt64 = 0
    /// CANCELs whose Reasons were too long to be copied whole.
    package var reasonsLeftOut: UInt64 = 0
    /// OPTIONS sent to targets, and targets that went down or came back.
    package var probes: UInt64 = 0
    package var targetsWentDown: UInt64 = 0
    package var targetsCameUp: UInt64 = 0
    /// Requests for a set whose targets were all down, so that all were tried.
    package var allTargetsDown: UInt64 = 0
    /// Requests refused or dropped by the access list, and refused by a rate limit.
    package var accessDenied: UInt64 = 0
    package var rateLimitedSource: UInt64 = 0
    package var rateLimitedTotal: UInt64 = 0
    /// ACKs of refusals of the cluster's own within dialogs, and refusals let go before their time.
    package var refusalsAcknowledged: UInt64 = 0
    package var refusalsForgotten: UInt64 = 0
    /// Requests passed to the member that holds the connection they must go over.
    package var passedToFlow: UInt64 = 0
    /// Requests for a leg whose connection has ended and that cannot be reached otherwise: 430.
    package var flowsGone: UInt64 = 0
    /// OPTIONS sent within dialogs; those answered 408 or 481, or not at all; those for which there was no way.
    package var keepAlivesSent: UInt64 = 0
    package var keepAlivesFailed: UInt64 = 0
    package var keepAlivesUnsendable: UInt64 = 0
    /// Dialogs looked at later than their moment, because too many were due in one turn.
    package var keepAlivesPutOff: UInt64 = 0
    /// Dialogs not watched, because too many are.
    package var keepAlivesRefused: UInt64 = 0
    package var dialogsEndedByKeepAlive: UInt64 = 0
    /// Facts that did not fit their record; records that did not fit the table; facts of ours that made no sense.
    package var factsRefused: UInt64 = 0
    package var recordsRefusedAtLimit: UInt64 = 0
    package var factsUnreadable: UInt64 = 0
    /// 2xx recorded without their bytes, so that no heir can repeat them.
    package var answersNotKept: UInt64 = 0
    /// Dialogs that had no record, and went on, or were refused (`dialogs.unrecorded`).
    package var unrecorded: UInt64 = 0
    /// 2xx that went on uncommitted because too many of their INVITE were held.
    package var holdsRefused: UInt64 = 0
    /// Requests that did not wait behind a held 2xx, nor for their record, because too many do.
    package var queuesRefused: UInt64 = 0
    package var waitsRefused: UInt64 = 0
    /// ACKs and BYEs without their record: not kept, because too many are; let go, because it did not come.
    package var parkedRefused: UInt64 = 0
    package var parkedExpired: UInt64 = 0
    /// Variables and profiles that routes would have given to dialogs, and that did not fit.
    package var dialogFactsLeftOut: UInt64 = 0
    /// Dialogs forgotten whose record was waited for with a 2xx.
    package var awaitedForgotten: UInt64 = 0
    /// Early dialogs of a branch that will not end with it.
    package var earlyTagsLeftOut: UInt64 = 0
    /// Questions that no script was asked for want of room, and those that it left without a verdict.
    package var scriptsRefused: UInt64 = 0
    package var scriptsExpired: UInt64 = 0
    /// Messages that a script has made unreadable.
    package var scriptsUnreadable: UInt64 = 0
    /// Sides of ended dialogs for which no BYE could be made.
    package var legsUnreachable: UInt64 = 0
    /// Requests of phones whose CSeq was moved to make room for the cluster's own, and those that it had no room for.
    package var requestsMoved: UInt64 = 0
    package var numbersUsedUp: UInt64 = 0
    /// Requests sent within dialogs that somebody had asked for.
    package var requestsWithin: UInt64 = 0
    /// Requests within dialogs that were for the cluster itself.
    package var ownAnswered: UInt64 = 0

    package init() {}
}

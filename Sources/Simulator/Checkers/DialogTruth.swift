// What really happened between a caller and one callee. A call that does not fork has one of these; a forked one has
// one for each callee, and what is said of "the call" is said of the dialog that its caller has kept.

struct DialogTruth {
    /// When its INVITE reached this callee.
    var ringsAt: Nanoseconds?
    var answeredAt: Nanoseconds?
    /// When the caller had its 2xx.
    var confirmedAt: Nanoseconds?
    /// When a node first sent the ACK on to the callee.
    var ackLeft: Nanoseconds?
    var ackReached: Nanoseconds?
    var cancelReached: Nanoseconds?
    /// When the callee was cancelled or rejected the call.
    var stoppedAt: Nanoseconds?
    var endedAt: [Role: (at: Nanoseconds, reason: String)] = [:]
    var hungUpAt: [Role: Nanoseconds] = [:]
    var unacknowledgedAt: [Role: Nanoseconds] = [:]
    var byes: [GeneratedBye] = []

    // Who has ever held it, confirmed; found by looking at every node every so often.
    var holders: [ProcessID] = []
    var confirmHolders: [ProcessID] = []
    /// Processes that knew of a provisional answer, when somebody looked.
    var earlyHolders: [ProcessID] = []
    /// Processes whose record had the branch to this callee of a call that came back through the cluster: by it alone
    /// an heir can cancel.
    var passHolders: [ProcessID] = []
    /// When each of them was first seen to have it.
    var passSeen: [ProcessID: Nanoseconds] = [:]
    /// How often, of the looks taken, a process that held it confirmed had another serving one in reach.
    var sharedLooks = 0
    var wasUncommitted = false
    var wasAlone = false
    /// A node that had no record sent its 2xx on, and nobody in reach had one.
    var wasRelayed = false

    /// One of its phones has ended it, whoever knows.
    var isEnding: Bool { !endedAt.isEmpty || !hungUpAt.isEmpty }

    /// When both phones were done with it; `nil` while one of them is not.
    /// - Parameter decidedAt: When the caller had its first final answer: what is not confirmed then is over for it.
    func overAt(decidedAt: Nanoseconds?) -> Nanoseconds? {
        let caller = confirmedAt == nil ? decidedAt : endedAt[.caller]?.at
        guard let caller, let callee = endedAt[.callee]?.at ?? stoppedAt else { return nil }
        return max(caller, callee)
    }

    mutating func forget(_ process: ProcessID) {
        holders.removeAll { $0 == process }
        confirmHolders.removeAll { $0 == process }
        earlyHolders.removeAll { $0 == process }
        passHolders.removeAll { $0 == process }
        passSeen[process] = nil
    }
}

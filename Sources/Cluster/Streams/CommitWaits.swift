// CommitWaits holds what waits for peers to have a fact in their records: a 2xx goes on when enough of them
// acknowledged, or when its time is over.
//
//   waiting ──enough acknowledged──▶ committed(true)
//     │ ¼ and ½ of the timeout: pushed again to those who have not (`Chase` does it once for those not waited for)
//     └──timeout──▶ committed(false), counted; after three in a row a peer counts no more until it acknowledges
//
// Invariant: a wait ends exactly once. Waits are in order of their sequence, so an acknowledgement ends a prefix of
// them. Limit: `waitLimit`; who calls asks `isFull` first.

internal import Primitives

struct CommitWaits: Sendable {
    struct Wait: Sendable {
        var sequence: UInt64
        /// So many end it before its time.
        var peers: Int
        /// So many are enough when that is over.
        var enough: Int
        var token: UInt64
        var began: Instant
        var timeout: Duration
        /// How many times it was pushed.
        var pushes = 0

        var nextAt: Instant {
            switch pushes {
            case 0: began.advanced(by: timeout / 4)
            case 1: began.advanced(by: timeout / 2)
            default: began.advanced(by: timeout)
            }
        }
    }

    enum Event: Equatable {
        case push(sequence: UInt64)
        case timedOut(sequence: UInt64, token: UInt64, enough: Int)
    }

    private var waits: [Wait] = []
    private let limit: Int
    /// No wait is due before it; it may be early.
    private(set) var nextDeadline = Instant.distantFuture

    init(limit: Int) { self.limit = limit }

    var count: Int { waits.count }
    var isFull: Bool { waits.count >= limit }

    mutating func insert(_ wait: Wait) {
        nextDeadline = min(nextDeadline, wait.nextAt)
        var index = waits.count
        while index > 0, waits[index - 1].sequence > wait.sequence { index -= 1 }
        waits.insert(wait, at: index)
    }

    /// Ends the waits that enough peers have answered. `acknowledged` are the positions of those whose word counts.
    mutating func settle(acknowledged: [UInt64], _ done: (_ token: UInt64, _ enough: Bool) -> Void) {
        guard let first = waits.first else { return }
        let sorted = acknowledged.sorted(by: >)
        if let best = sorted.first, best < first.sequence { return }
        waits.removeAll { wait in
            let needed = min(wait.peers, sorted.count)
            if needed == 0 || sorted[needed - 1] >= wait.sequence {
                done(wait.token, needed >= min(wait.peers, wait.enough) && needed > 0)
                return true
            }
            return false
        }
    }

    /// Ends all waits, in order of sequence.
    mutating func abandon(_ done: (_ token: UInt64) -> Void) {
        for wait in waits { done(wait.token) }
        waits = []
        nextDeadline = .distantFuture
    }

    /// What is due, in order of sequence.
    mutating func advance(_ now: Instant, _ event: (Event) -> Void) {
        guard now >= nextDeadline else { return }
        nextDeadline = .distantFuture
        waits.removeAll { wait in
            guard now >= wait.began.advanced(by: wait.timeout) else { return false }
            event(.timedOut(sequence: wait.sequence, token: wait.token, enough: wait.enough))
            return true
        }
        for index in waits.indices {
            if now >= waits[index].nextAt {
                event(.push(sequence: waits[index].sequence))
                waits[index].pushes += now >= waits[index].began.advanced(by: waits[index].timeout / 2) ? 2 : 1
            }
            nextDeadline = min(nextDeadline, waits[index].nextAt)
        }
    }
}

// Chase looks after the peers that a commit need not wait for: a frame with a fact that was lost on its way to one of
// them would show there only with the next frame or heartbeat. What a 2xx waited for is pushed to who has not
// acknowledged it after a quarter of the commit's time, whether or not it was committed by others meanwhile.
//
//   nothing ──a commit begins──▶ chasing ──all have acknowledged it──▶ nothing, or the latest commit since
//                                   └──its time comes: pushed once──▶ likewise
//
// One push shows a peer every gap below it, so commits that begin while one is chased are one together: the latest.

internal import Primitives

struct Chase: Sendable {
    private var sequence: UInt64 = 0
    private(set) var due = Instant.distantFuture
    private var latest: (sequence: UInt64, due: Instant) = (0, .distantFuture)

    var isOn: Bool { sequence > 0 }

    /// A commit begins that is to be with everybody by `due`.
    mutating func begin(_ wanted: UInt64, due instant: Instant) {
        guard wanted > latest.sequence else { return }
        latest = (wanted, instant)
        if sequence == 0 { (sequence, due) = latest }
    }

    /// Every peer that counts has acknowledged up to here.
    mutating func settle(_ acknowledged: UInt64) {
        guard sequence > 0, acknowledged >= sequence else { return }
        next(acknowledged)
    }

    /// What is to be pushed now to those that have not acknowledged it.
    mutating func take(_ now: Instant) -> UInt64? {
        guard now >= due else { return nil }
        defer { next(sequence) }
        return sequence
    }

    private mutating func next(_ done: UInt64) {
        if latest.sequence > done {
            (sequence, due) = latest
        } else {
            (sequence, due) = (0, .distantFuture)
        }
    }
}

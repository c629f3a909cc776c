// A patch whose record is not here waits for it, two seconds at most: the record may come from its publisher's repair,
// from another peer's comparison when the publisher died, or a moment later in the stream. Its sequence stays missing
// meanwhile.
//
// Limit: `limit` patches over all peers; one more is dropped (it is still missing in its stream, so it is asked for
// again).

internal import Primitives

struct ParkedPatches: Sendable {
    struct Patch: Sendable {
        var did: UInt64
        var from: MemberID
        var sequence: UInt64
        var bytes: [UInt8]
        var since: Instant
    }

    private var patches: [Patch] = []
    private let limit: Int
    static let life: Duration = .seconds(2)

    init(limit: Int) { self.limit = limit }

    var count: Int { patches.count }
    var isEmpty: Bool { patches.isEmpty }

    mutating func park(_ patch: Patch) -> Bool {
        guard patches.count < limit else { return false }
        patches.append(patch)
        return true
    }

    /// The patches of a record that has come, in order of arrival; they are parked no more.
    mutating func take(_ did: UInt64) -> [Patch] {
        guard patches.contains(where: { $0.did == did }) else { return [] }
        let taken = patches.filter { $0.did == did }
        patches.removeAll { $0.did == did }
        return taken
    }

    /// Drops what waited too long, and answers how many that were.
    mutating func expire(_ now: Instant) -> Int {
        let before = patches.count
        patches.removeAll { now >= $0.since.advanced(by: Self.life) }
        return before - patches.count
    }
}

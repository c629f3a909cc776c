// KeepAlives remembers which dialogs are asked, again and again, whether their phones still have them, when each is
// next looked at, and how often in a row a side has failed (`ka_interval` and `ka_failed_limit` of Kamailio's
// `dialog`).
//
//     watched ──its moment──▶ due ──this node is the actor──▶ asked ──answered, silent──▶ watched
//        ▲                     └──another node is─────────────────────────────────────────▲
//        └──answered, `ka-src` or `ka-dst` in its record              gone from here when it has ended
//
// A dialog's moments are birth + phase + k · interval, its phase a function of the did. So they are spread evenly over
// the interval, however many calls were answered or came with a snapshot at once, and every node that holds the record
// has the same ones: an heir goes on where the dead node would have. Each node watches; whose turn it is, is found when
// a moment comes (R12), so neither a change of view nor a take-over touches anything here.
//
// Limits: `limit` dialogs, about 85 bytes each; `turnLimit` looked at in one turn, what is due beyond that (after a
// pause) is put off, as many a tick. Failures are counted here, not in the record: an heir counts from none.

package import Dialogs
package import Primitives

package struct KeepAliveSettings: Sendable {
    /// Time from one question to the next; zero asks nobody.
    package var interval = Duration.zero
    /// Failures of one side in a row that end the dialog.
    package var failureLimit = 1
    /// The sides asked in dialogs that begin here: keep-alive flags.
    package var flags: RecordFlags = []
    /// Dialogs watched at once.
    package var limit = 1_000_000

    package init() {}
}

package struct KeepAlives: Sendable {
    private let passing = ByAddress()
    private struct Entry: Sendable {
        var did: DialogID
        var timer = TimerID.none
        /// In a row, by `Leg`.
        var callerFailures: UInt8 = 0
        var calleeFailures: UInt8 = 0
        /// Asked, and not every side has answered or fallen silent.
        var isUnderWay = false
    }

    /// Dialogs looked at in one turn: two OPTIONS each.
    package static let turnLimit = 256
    /// From one turn to the next, for what did not fit: the wheel's tick.
    static let turnLength = Duration.milliseconds(10)

    private var entries: Slab<Entry>
    private var byDID = FlatTable(minimumCapacity: 16)
    private var wheel: TimerWheel
    private var dueTokens: [UInt64] = []

    package init(limit: Int, now: Instant) {
        entries = Slab(limit: limit)
        wheel = TimerWheel(origin: now)
    }

    package var count: Int { entries.count }

    /// Nothing is due before it; `nil` when nothing is watched.
    package var next: Instant? { wheel.next }

    package func contains(_ did: DialogID) -> Bool { id(did) != nil }

    /// Begins to watch a dialog that is not watched.
    /// - Returns: False at the limit.
    package mutating func insert(_ did: DialogID, at moment: Instant) -> Bool {
        guard let id = entries.insert(Entry(did: did)) else { return false }
        byDID.insert(hash: did.rawValue, value: id.index)
        schedule(id, at: moment)
        return true
    }

    /// Ends the watch; does nothing for a dialog that is not watched.
    package mutating func remove(_ did: DialogID) {
        guard let id = id(did), let entry = entries.remove(id) else { return }
        wheel.cancel(entry.timer)
        byDID.remove(hash: did.rawValue, value: id.index)
    }

    /// Sets the next moment of a dialog that was due.
    package mutating func schedule(_ did: DialogID, at moment: Instant) {
        guard let id = id(did) else { return }
        schedule(id, at: moment)
    }

    /// Appends the dialogs whose moment has come, `turnLimit` at most; each is to be scheduled again, or removed.
    /// - Returns: How many had to be put off.
    package mutating func takeDue(now: Instant, into dids: inout [DialogID]) -> Int {
        guard let next = wheel.next, next <= now else { return 0 }
        dueTokens.removeAll(keepingCapacity: true)
        wheel.advance(to: now, due: &dueTokens)
        for (position, token) in dueTokens.enumerated() {
            let id = SlotID(
                index: UInt32(truncatingIfNeeded: token), generation: UInt32(truncatingIfNeeded: token >> 32))
            guard position < Self.turnLimit else {
                schedule(id, at: now.advanced(by: Self.turnLength * (position / Self.turnLimit)))
                continue
            }
            let did = entries.update(id) { entry in
                entry.timer = .none
                return entry.did
            }
            if let did { dids.append(did) }
        }
        return max(0, dueTokens.count - Self.turnLimit)
    }

    // MARK: Questions and answers

    func isUnderWay(_ did: DialogID) -> Bool {
        id(did).flatMap { entries.read($0) { $0.isUnderWay } } ?? false
    }

    mutating func setUnderWay(_ did: DialogID, _ isUnderWay: Bool) {
        guard let id = id(did) else { return }
        _ = entries.update(id) { $0.isUnderWay = isUnderWay }
    }

    /// Counts a failure of one side.
    /// - Returns: How many in a row that makes; 0 for a dialog that is no longer watched.
    mutating func noteFailure(_ did: DialogID, _ leg: Leg) -> Int {
        guard let id = id(did) else { return 0 }
        return entries.update(id) { entry in
            if leg == .caller {
                entry.callerFailures = entry.callerFailures == .max ? .max : entry.callerFailures + 1
                return Int(entry.callerFailures)
            }
            entry.calleeFailures = entry.calleeFailures == .max ? .max : entry.calleeFailures + 1
            return Int(entry.calleeFailures)
        } ?? 0
    }

    mutating func noteAnswer(_ did: DialogID, _ leg: Leg) {
        guard let id = id(did) else { return }
        _ = entries.update(id) { entry in
            if leg == .caller { entry.callerFailures = 0 } else { entry.calleeFailures = 0 }
        }
    }

    // MARK: Places

    private func id(_ did: DialogID) -> SlotID? {
        guard entries.count > 0 else { return nil }
        let index = byDID.first(hash: did.rawValue) { index in
            guard let id = entries.id(at: index) else { return false }
            return entries.read(id) { $0.did == did } ?? false
        }
        return index.flatMap { entries.id(at: $0) }
    }

    private mutating func schedule(_ id: SlotID, at moment: Instant) {
        guard let old = entries.read(id, { $0.timer }) else { return }
        wheel.cancel(old)
        let timer = wheel.schedule(UInt64(id.generation) << 32 | UInt64(id.index), at: moment)
        _ = entries.update(id) { $0.timer = timer }
    }
}

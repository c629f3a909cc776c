// One wake-up for each dialog. What it means (deadline, retransmission, tombstone's end) is decided by who is woken,
// from the record and the time; the table only remembers when.

public import Primitives

extension DialogTable {
    /// Sets, moves or (with `nil`) takes back the wake-up of a dialog; does nothing for a dialog that is not here.
    public mutating func setTimer(_ did: DialogID, at instant: Instant?) {
        guard let id = slotID(did), let old = entries.read(id, { $0.timer }), old != .none || instant != nil else {
            return
        }
        wheel.cancel(old)
        let token = UInt64(id.generation) << 32 | UInt64(id.index)
        let timer = instant.map { wheel.schedule(token, at: $0) } ?? .none
        _ = entries.update(id) { $0.timer = timer }
    }

    /// Appends the dialogs whose wake-up has come, each once, in the order of their times.
    public mutating func due(now: Instant, into dids: inout [DialogID]) {
        woken.removeAll(keepingCapacity: true)
        wheel.advance(to: now, due: &woken)
        for token in woken {
            let id = SlotID(
                index: UInt32(truncatingIfNeeded: token), generation: UInt32(truncatingIfNeeded: token >> 32))
            guard
                let did = entries.update(
                    id,
                    {
                        $0.timer = .none; return $0.did
                    })
            else { continue }
            dids.append(did)
        }
    }

    /// No wake-up is due before it; `nil` when none is set.
    public var nextTimer: Instant? { wheel.next }
}

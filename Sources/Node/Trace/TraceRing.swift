// TraceRing keeps the last messages that this node received and sent, and what it did between them, for `understudy
// trace`: redacted (`Redaction`), in memory only, within `trace.memory-mb`.
//
//     message ──▶ lane ─▶ ┌ newer half ┐   When the newer half is full it becomes the older one, whose
//                         └ older half ┘   memory is used again: no message is moved, none is freed.
//
// A lane is a ring of its own, so that what is not a call displaces none:
//   calls      what belongs to a dialog, or makes one            3/4 of the memory
//   others     OPTIONS, REGISTER, MESSAGE and the like           1/8
//   refused    what this node refused, or could not use          1/8; of what it could not read the first line only
//
// An entry has a hash of its Call-ID, found while it was copied, so a question looks at entries, not at bytes.
//
// Limits: the memory; in each half of a lane, an entry for each 256 bytes of it.

import Dialogs
import Primitives
import SIP

enum TraceLane: Int, Sendable {
    case calls, others, refused
}

/// What an entry tells.
enum TraceKind: UInt8, Sendable {
    case received, sent
    // What was done for a dialog, which `key` then names.
    case published
    case heldTrying, heldConfirmation, heldRefresh
    case committed, uncommitted
    case asked, granted, refused
    case tookOver
    case ended
}

struct TraceEntry: Sendable {
    var at: Instant
    var number: UInt64
    /// The hash of the Call-ID, or the did.
    var key: UInt64
    var peer: Endpoint
    /// In the half's bytes.
    var range: ByteRange
    var kind: TraceKind
    var listener: UInt8
}

struct TraceRing: Sendable {
    private struct Half: Sendable {
        var bytes = ByteWriter()
        var entries: [TraceEntry] = []
    }

    private struct Lane: Sendable {
        var newer = Half()
        var older = Half()
        /// Of one half.
        let byteLimit: Int
        let entryLimit: Int

        init(memory: Int) {
            // The entries have the quarter that is left: 64 bytes for 256.
            byteLimit = memory / 8 * 3
            entryLimit = byteLimit / 256
            fullAt = byteLimit - Redaction.limit
        }

        var count: Int { older.entries.count + newer.entries.count }
        var byteCount: Int { older.bytes.count + newer.bytes.count + count * MemoryLayout<TraceEntry>.stride }

        /// What a half has room for still.
        private var entriesLeft = 0
        private let fullAt: Int

        @inline(__always)
        mutating func makeRoom() {
            if entriesLeft <= 0 || newer.bytes.count > fullAt { turnOver() }
            entriesLeft &-= 1
        }

        @inline(never)
        private mutating func turnOver() {
            if !newer.entries.isEmpty { swap(&newer, &older) }
            newer.bytes.removeAll()
            newer.entries.removeAll(keepingCapacity: true)
            // All of it at once, when a half is used for the first time: one that grows is copied as it does.
            if newer.entries.capacity < entryLimit {
                newer.bytes.bytes.reserveCapacity(byteLimit)
                newer.entries.reserveCapacity(entryLimit)
            }
            entriesLeft = entryLimit
        }

        /// Keeps a message whose entry lacks only what is found while it is copied.
        @inline(__always)
        mutating func keep(_ message: RawSpan, _ outline: MessageOutline?, as found: consuming TraceEntry) {
            makeRoom()
            let start = newer.bytes.count
            if let outline {
                found.key = outline.key
                Redaction.append(message, outline, into: &newer.bytes)
            } else {
                found.key = Redaction.key(message, Redaction.append(message, into: &newer.bytes))
            }
            found.range = ByteRange(start: start, end: newer.bytes.count)
            newer.entries.append(found)
        }
    }

    private var lanes: InlineArray<3, Lane>
    private var number: UInt64 = 0
    let isOn: Bool
    /// Whom a deed has come from.
    private let nobody = Endpoint(address: Address(ipv4: 0), port: 0)

    /// - Parameter memory: In bytes; 0 keeps nothing.
    init(memory: Int) {
        isOn = memory > 0
        lanes = [Lane(memory: memory / 4 * 3), Lane(memory: memory / 8), Lane(memory: memory / 8)]
    }

    /// The number of what comes next: what it gives rise to gets later ones.
    mutating func nextNumber() -> UInt64 {
        number &+= 1
        return number
    }

    /// Keeps a message.
    /// - Parameter outline: What is known of it already.
    mutating func keep(
        _ message: RawSpan, _ kind: TraceKind, _ peer: Endpoint, _ listener: ListenerID, lane: TraceLane,
        number: UInt64, outline: MessageOutline? = nil, now: Instant
    ) {
        lanes[lane.rawValue].keep(
            message, outline,
            as: TraceEntry(
                at: now, number: number, key: 0, peer: peer, range: .empty, kind: kind, listener: listener.rawValue))
    }

    /// Keeps the beginning of what could not be read: 64 bytes of its first line.
    mutating func keepUnreadable(
        _ message: RawSpan, _ peer: Endpoint, _ listener: ListenerID, number: UInt64, now: Instant
    ) {
        lanes[TraceLane.refused.rawValue].makeRoom()
        var end = 0
        while end < min(64, message.byteCount), message[end] >= 0x20 { end += 1 }
        let start = lanes[TraceLane.refused.rawValue].newer.bytes.count
        lanes[TraceLane.refused.rawValue].newer.bytes.put(message.extracting(0..<end))
        lanes[TraceLane.refused.rawValue].newer.entries.append(
            TraceEntry(
                at: now, number: number, key: 0, peer: peer, range: ByteRange(start: start, end: start + end),
                kind: .received, listener: listener.rawValue))
    }

    /// Keeps what was done for a dialog.
    mutating func keep(_ kind: TraceKind, _ did: DialogID, now: Instant) { keep(kind, key: did.rawValue, now: now) }

    /// The same where only the Call-ID is told.
    mutating func keep(_ kind: TraceKind, callID: [UInt8], now: Instant) {
        keep(kind, key: Redaction.key(RawSpan(_elements: callID.span), ByteRange(callID)), now: now)
    }

    private mutating func keep(_ kind: TraceKind, key: UInt64, now: Instant) {
        guard isOn else { return }
        lanes[0].makeRoom()
        lanes[0].newer.entries.append(
            TraceEntry(
                at: now, number: nextNumber(), key: key, peer: nobody, range: .empty, kind: kind, listener: 0))
    }

    // MARK: Questions

    /// Every entry of a Call-ID, in order, with its message.
    func messages(of callID: [UInt8]) -> [(entry: TraceEntry, bytes: [UInt8])] {
        let key = Redaction.key(RawSpan(_elements: callID.span), ByteRange(callID))
        return find { $0.kind == .received || $0.kind == .sent ? $0.key == key : false }
    }

    func deeds(of dids: Set<UInt64>, callID: [UInt8]) -> [TraceEntry] {
        let keys = dids.union([Redaction.key(RawSpan(_elements: callID.span), ByteRange(callID))])
        return find { $0.kind != .received && $0.kind != .sent && keys.contains($0.key) }.map(\.entry)
    }

    private func find(_ test: (TraceEntry) -> Bool) -> [(entry: TraceEntry, bytes: [UInt8])] {
        var found: [(entry: TraceEntry, bytes: [UInt8])] = []
        for index in lanes.indices {
            for half in [lanes[index].older, lanes[index].newer] {
                for entry in half.entries where test(entry) {
                    found.append((entry, Array(half.bytes.bytes[entry.range.range])))
                }
            }
        }
        return found.sorted { ($0.entry.at, $0.entry.number) < ($1.entry.at, $1.entry.number) }
    }

    /// Since when every message of a call is kept; `nil` while none was.
    var oldest: Instant? {
        [lanes[0].older.entries.first?.at, lanes[0].newer.entries.first?.at].compactMap(\.self).min()
    }

    var count: Int { lanes.indices.reduce(0) { $0 + lanes[$1].count } }

    var byteCount: Int { lanes.indices.reduce(0) { $0 + lanes[$1].byteCount } }
}

// OutboundStream is what this process publishes: it numbers the facts, collects entries into frames, and remembers for
// each recent sequence which record it was about, so that a gap can be answered with the record as it stands (R6).
//
//   publish ─▶ body ──16 KiB, or the linger is over──▶ sealed ──advance──▶ one `.publish` each
//
// A frame costs 20 to 40 µs at each end whatever its size, so entries wait for company: `linger` after the last frame
// left. When the last frame is older than that the moment is quiet, and the entry leaves with the present batch of
// events.
//
// Bounds: a frame is sealed at 16 KiB and never longer than 32 KiB; 1024 sealed frames may wait for `advance`. A longer
// entry, and one beyond them, gets its number but no frame: it is pushed over the repair socket, or the peers see a gap
// and ask. The ring holds the last `ringCapacity` dids.

internal import Primitives

struct OutboundStream: Sendable {
    struct Body: Sendable {
        var bytes = ByteWriter()
        var first: UInt64 = 0
        var count: UInt16 = 0
        var wantsAcknowledgement = false
    }

    private(set) var last: UInt64 = 0
    private var ring: [UInt64]
    private var body = Body()
    private var sealed: [Body] = []
    private var spare: [ByteWriter] = []
    private var lastFlush: Instant
    private(set) var flushAt = Instant.distantFuture
    private let linger: Duration

    static let flushSize = 16_384
    static let sealedLimit = 1_024
    static let headerRoom = 128

    init(capacity: Int, linger: Duration, now: Instant) {
        ring = [UInt64](repeating: 0, count: capacity)
        self.linger = linger
        lastFlush = now
    }

    /// Numbers a fact about `did` and puts its entry into the next frame.
    ///
    /// - Returns: Its sequence, and whether the entry will be sent (it is numbered all the same).
    mutating func publish(
        _ kind: EntryKind, did: UInt64, now: Instant, _ payload: (inout ByteWriter) -> Void
    ) -> (sequence: UInt64, isSent: Bool) {
        last += 1
        ring[Int(last & UInt64(ring.count - 1))] = did
        // A frame's facts are numbered in a row: after one that was not sent, a new frame begins.
        if body.count > 0, body.first + UInt64(body.count) != last { seal() }
        if body.count == .max { seal() }
        let first = last
        let isSent = append(kind, payload)
        if isSent {
            if body.count == 0 { body.first = first }
            body.count += 1
        }
        schedule(now)
        return (last, isSent)
    }

    /// Puts an entry without a number into the next frame.
    mutating func append(_ kind: EntryKind, now: Instant, isUrgent: Bool = false, _ payload: (inout ByteWriter) -> Void)
        -> Bool
    {
        defer { if isUrgent { flushAt = min(flushAt, now) } else { schedule(now) } }
        return append(kind, payload)
    }

    /// What was published up to now is waited for: the frame asks for an acknowledgement.
    mutating func requestAcknowledgement(now: Instant) {
        body.wantsAcknowledgement = true
        for index in sealed.indices { sealed[index].wantsAcknowledgement = true }
        schedule(now)
    }

    /// The did of a sequence, `nil` when the ring has moved on or it was never used.
    func did(of sequence: UInt64) -> UInt64? {
        guard sequence > 0, sequence <= last, last - sequence < UInt64(ring.count) else { return nil }
        return ring[Int(sequence & UInt64(ring.count - 1))]
    }

    /// Whether frames are due.
    func isDue(_ now: Instant) -> Bool { now >= flushAt || !sealed.isEmpty }

    /// Hands over every frame that waits, in order.
    mutating func flush(now: Instant, _ emit: (Body) -> Void) {
        if !body.bytes.isEmpty || body.wantsAcknowledgement { seal(force: true) }
        for var frame in sealed {
            emit(frame)
            frame.bytes.removeAll()
            if spare.count < 4 { spare.append(frame.bytes) }
        }
        sealed.removeAll(keepingCapacity: true)
        lastFlush = now
        flushAt = .distantFuture
    }

    /// A new process of ours starts over (R14). Only before anything of weight was published.
    mutating func restart() {
        last = 0
        body = Body()
        sealed = []
    }

    private mutating func schedule(_ now: Instant) {
        flushAt = min(flushAt, max(now, lastFlush.advanced(by: linger)))
    }

    private mutating func append(_ kind: EntryKind, _ payload: (inout ByteWriter) -> Void) -> Bool {
        guard sealed.count < Self.sealedLimit else { return false }
        let start = body.bytes.count
        body.bytes.put(kind.rawValue)
        body.bytes.putLengthDelimited(payload)
        let length = body.bytes.count - start
        if length > FrameHeader.frameLimit - Self.headerRoom {
            body.bytes.bytes.removeLast(length)
            return false
        }
        guard body.bytes.count > Self.flushSize, start > 0 else {
            return true
        }
        // It did not fit: the frame ends before it, and it begins the next one.
        let entry = Array(body.bytes.bytes[start...])
        body.bytes.bytes.removeLast(length)
        seal()
        body.bytes.put(entry)
        return true
    }

    private mutating func seal(force: Bool = false) {
        guard force || !body.bytes.isEmpty else { return }
        if body.count == 0 { body.first = last + 1 }
        sealed.append(body)
        body = Body(bytes: spare.popLast() ?? ByteWriter())
    }
}

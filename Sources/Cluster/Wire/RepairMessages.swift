// What goes over the repair socket, besides items and positions.
//
//   message RepairRequest { fixed64 boot = 1; repeated Range ranges = 2; }       // of the answerer's own stream
//   message Range         { uint64 first = 1; uint64 last = 2; }
//   message FetchRequest  { bytes dids = 1; }                                    // 8 bytes each, little-endian
//   message RepairAnswer  { bool overrun = 1; }                                  // the ring has moved on: compare
//   message SyncRequest   { uint32 buckets = 1; uint32 from = 2; fixed64 after = 3; bool resuming = 4; bool grace = 5;
//                           bytes digests = 6; bytes skip = 7; bool ended = 8; }
//   message SyncAnswer    { fixed64 root = 1; uint32 next = 2; fixed64 after = 3; bool resuming = 4; bool done = 5;
//                           repeated Position positions = 6; }
//
// A sync request holds the asker's digests of the buckets from `from` on, 8 bytes each; `skip` has a bit for each
// bucket that is too young to compare. The answer's items are the records of unequal buckets, and, where it wants what
// has `ended`, the tombstones of the equal ones, which no digest covers; (next, after) is where to go on: after that
// did when `resuming`, else with a fresh bucket.

internal import Primitives

struct RepairRequest: Equatable {
    var boot: UInt64 = 0
    var ranges: [ClosedRange<UInt64>] = []

    static let rangeLimit = 64

    init(boot: UInt64, ranges: [ClosedRange<UInt64>]) {
        self.boot = boot
        self.ranges = ranges
    }

    func write(into writer: inout ByteWriter) {
        writer.putField(1, fixed: boot)
        for range in ranges {
            writer.putField(2) { writer in
                writer.putField(1, varint: range.lowerBound)
                writer.putField(2, varint: range.upperBound)
            }
        }
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: boot = field.integer
            case 2:
                guard ranges.count < Self.rangeLimit else { throw WireError(.tooMany, at: range.lowerBound) }
                var inner = WireReader(bytes, field.range)
                var (first, last): (UInt64, UInt64) = (0, 0)
                while let part = try inner.field() {
                    if part.number == 1 { first = part.integer }
                    if part.number == 2 { last = part.integer }
                }
                guard first > 0, first <= last, last < 1 << 62 else {
                    throw WireError(.badNumber, at: range.lowerBound)
                }
                ranges.append(first...last)
            default: break
            }
        }
    }
}

enum FetchRequest {
    static let limit = 1_024

    static func write(_ dids: [UInt64], into writer: inout ByteWriter) {
        writer.putField(1) { writer in for did in dids { writer.putBigEndian(did.byteSwapped) } }
    }

    static func read(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) -> [UInt64] {
        var dids: [UInt64] = []
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            guard field.number == 1 else { continue }
            guard field.range.count <= limit * 8 else { throw WireError(.tooMany, at: range.lowerBound) }
            var inner = WireReader(bytes, field.range)
            while !inner.isAtEnd { dids.append(try inner.littleEndian64()) }
        }
        return dids
    }
}

/// Where a comparison stands: at a fresh bucket, or inside of one, after a did.
struct SyncCursor: Equatable, Sendable {
    var bucket = 0
    var after: UInt64 = 0
    var isResuming = false
}

struct SyncRequest: Equatable {
    var buckets = 0
    var cursor = SyncCursor()
    var skipsYoung = false
    /// The asker joins: it has slept, or begun, since some of the dialogs ended.
    var wantsEnded = false
    var digests: [UInt64] = []
    /// By position in `digests`.
    var skipped: [Bool] = []

    static let bucketLimit = 32_768

    func write(into writer: inout ByteWriter) {
        writer.putField(1, varint: UInt64(buckets))
        writer.putField(2, varint: UInt64(cursor.bucket))
        writer.putField(3, fixed: cursor.after)
        writer.putField(4, varint: cursor.isResuming ? 1 : 0)
        writer.putField(5, varint: skipsYoung ? 1 : 0)
        writer.putField(6) { writer in for digest in digests { writer.putBigEndian(digest.byteSwapped) } }
        if wantsEnded { writer.putField(8, varint: 1) }
        guard skipped.contains(true) else { return }
        writer.putField(7) { writer in
            for start in stride(from: 0, to: skipped.count, by: 8) {
                var bits: UInt8 = 0
                for index in start..<min(start + 8, skipped.count) where skipped[index] {
                    bits |= 1 << UInt8(index - start)
                }
                writer.put(bits)
            }
        }
    }

    init() {}

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        var skip = 0..<0
        while let field = try reader.field() {
            switch field.number {
            case 1: buckets = try Self.small(field)
            case 2: cursor.bucket = try Self.small(field)
            case 3: cursor.after = field.integer
            case 4: cursor.isResuming = field.integer != 0
            case 5: skipsYoung = field.integer != 0
            case 6:
                guard field.range.count <= Self.bucketLimit * 8 else { throw WireError(.tooMany, at: range.lowerBound) }
                var inner = WireReader(bytes, field.range)
                while !inner.isAtEnd { digests.append(try inner.littleEndian64()) }
            case 7: skip = field.range
            case 8: wantsEnded = field.integer != 0
            default: break
            }
        }
        skipped = digests.indices.map { index in
            index / 8 < skip.count && bytes[skip.lowerBound + index / 8] & 1 << UInt8(index % 8) != 0
        }
    }

    static func small(_ field: WireField) throws(WireError) -> Int {
        guard field.integer < 1 << 24 else { throw WireError(.badNumber, at: 0) }
        return Int(field.integer)
    }
}

struct SyncAnswer: Equatable {
    var root: UInt64 = 0
    var next = SyncCursor()
    var isDone = false
    var positions: [Position] = []

    func write(into writer: inout ByteWriter) {
        writer.putField(1, fixed: root)
        writer.putField(2, varint: UInt64(next.bucket))
        writer.putField(3, fixed: next.after)
        writer.putField(4, varint: next.isResuming ? 1 : 0)
        writer.putField(5, varint: isDone ? 1 : 0)
        for position in positions { writer.putField(6) { position.write(into: &$0) } }
    }

    init() {}

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(WireError) {
        var reader = WireReader(bytes, range)
        while let field = try reader.field() {
            switch field.number {
            case 1: root = field.integer
            case 2: next.bucket = try SyncRequest.small(field)
            case 3: next.after = field.integer
            case 4: next.isResuming = field.integer != 0
            case 5: isDone = field.integer != 0
            case 6:
                guard positions.count < Position.limit else { throw WireError(.tooMany, at: range.lowerBound) }
                positions.append(try Position(bytes, field.range))
            default: break
            }
        }
    }
}

// BlobStore keeps the records' bytes: each one contiguous, in a block that is a multiple of 64 bytes.
//
//     chunk (64 KiB, blocks of one size)   │ block │ block │ free ─┐ │ block │ free ◀┘ │ … never used │
//
// A free block's first two bytes name the next free one of its chunk. Chunks of one size that have room are linked, so
// a block is found in constant time; a chunk whose last block was freed is given back and serves any size. Records grow
// and shrink during a call, hence the chunks follow the current mix of sizes, not the history. The memory of a few that
// were given back is kept for the next ones: a record passes through sizes that it has for milliseconds, and without
// that each call filled two chunks with zeros, for one block each (a tenth of what a call cost).
//
// A block that is larger than that has a chunk to itself.
//
// Invariant: what is stored is never longer than its block. Limit: `RecordLimits.bytes` a record; the number of records
// is the table's; `reserveCount` chunks' memory is kept.

public import Primitives

/// Where a record's bytes lie.
public struct BlobID: Hashable, Sendable {
    fileprivate(set) var chunk: UInt32
    fileprivate(set) var block: UInt16
    /// Length in bytes.
    fileprivate(set) var count: UInt32
}

public struct BlobStore: Sendable {
    private struct Chunk: Sendable {
        var bytes: [UInt8]
        /// Blocks of 64 bytes each; 0 for a chunk that was given back.
        var units: Int
        var used = 0
        var untouched = 0
        var firstFree = BlobStore.noBlock
        var previous = BlobStore.noChunk
        var next = BlobStore.noChunk
        var isLinked = false

        var capacity: Int { max(1, BlobStore.chunkSize / (units * 64)) }
    }

    private static let chunkSize = 65_536
    private static let reserveCount = 8
    private static let noBlock: UInt16 = .max
    private static let noChunk: UInt32 = .max

    private var chunks: [Chunk] = []
    /// Chunks with room, by size of block.
    private var partial: [UInt32]
    private var spare: [UInt32] = []
    /// Memory of chunks that were given back, of the usual size; what is in it does not matter.
    private var reserve: [[UInt8]] = []

    public init() {
        partial = Array(repeating: Self.noChunk, count: RecordLimits.bytes / 64 + 1)
    }

    /// Bytes that the chunks in use occupy.
    public private(set) var byteCount = 0

    /// Stores a copy of at most `RecordLimits.bytes`.
    public mutating func insert(_ bytes: RawSpan) -> BlobID {
        precondition(bytes.byteCount <= RecordLimits.bytes, "a record must fit into a block: \(bytes.byteCount)")
        let units = max(1, (bytes.byteCount + 63) / 64)
        let chunk = chunkWithRoom(units)
        let block = takeBlock(chunk)
        chunks[Int(chunk)].bytes.overwrite(at: Int(block) * units * 64, with: bytes)
        return BlobID(chunk: chunk, block: block, count: UInt32(bytes.byteCount))
    }

    /// Replaces what `id` names, in place when the block fits.
    public mutating func replace(_ id: BlobID, with bytes: RawSpan) -> BlobID {
        let units = chunks[Int(id.chunk)].units
        guard max(1, (bytes.byteCount + 63) / 64) == units else {
            remove(id)
            return insert(bytes)
        }
        chunks[Int(id.chunk)].bytes.overwrite(at: Int(id.block) * units * 64, with: bytes)
        return BlobID(chunk: id.chunk, block: id.block, count: UInt32(bytes.byteCount))
    }

    public mutating func remove(_ id: BlobID) {
        let index = Int(id.chunk)
        let offset = Int(id.block) * chunks[index].units * 64
        chunks[index].bytes[offset] = UInt8(truncatingIfNeeded: chunks[index].firstFree)
        chunks[index].bytes[offset + 1] = UInt8(truncatingIfNeeded: chunks[index].firstFree >> 8)
        chunks[index].firstFree = id.block
        chunks[index].used -= 1
        if chunks[index].used == 0 {
            if chunks[index].isLinked { unlink(id.chunk) }
            byteCount -= chunks[index].bytes.count
            var memory: [UInt8] = []
            swap(&memory, &chunks[index].bytes)
            chunks[index] = Chunk(bytes: [], units: 0)
            spare.append(id.chunk)
            if memory.count == Self.chunkSize, reserve.count < Self.reserveCount { reserve.append(memory) }
        } else if !chunks[index].isLinked {
            link(id.chunk)
        }
    }

    /// The buffer that holds the bytes, and where in it. Let go of the buffer before the store changes: it is shared,
    /// not copied, and a change would have to copy the whole chunk.
    public func location(_ id: BlobID) -> (bytes: [UInt8], range: ByteRange) {
        let start = Int(id.block) * chunks[Int(id.chunk)].units * 64
        return (chunks[Int(id.chunk)].bytes, ByteRange(start: start, end: start + Int(id.count)))
    }

    private mutating func chunkWithRoom(_ units: Int) -> UInt32 {
        if partial[units] != Self.noChunk { return partial[units] }
        let size = max(Self.chunkSize, units * 64)
        let kept = size == Self.chunkSize ? reserve.popLast() : nil
        let chunk = Chunk(bytes: kept ?? Array(repeating: 0, count: size), units: units)
        byteCount += chunk.bytes.count
        let index: UInt32
        if let free = spare.popLast() {
            index = free
            chunks[Int(free)] = chunk
        } else {
            index = UInt32(chunks.count)
            chunks.append(chunk)
        }
        link(index)
        return index
    }

    private mutating func takeBlock(_ chunk: UInt32) -> UInt16 {
        let index = Int(chunk)
        let block: UInt16
        if chunks[index].firstFree != Self.noBlock {
            block = chunks[index].firstFree
            let offset = Int(block) * chunks[index].units * 64
            chunks[index].firstFree =
                UInt16(chunks[index].bytes[offset]) | UInt16(chunks[index].bytes[offset + 1]) << 8
        } else {
            block = UInt16(chunks[index].untouched)
            chunks[index].untouched += 1
        }
        chunks[index].used += 1
        if chunks[index].used == chunks[index].capacity { unlink(chunk) }
        return block
    }

    private mutating func link(_ chunk: UInt32) {
        let units = chunks[Int(chunk)].units
        let next = partial[units]
        chunks[Int(chunk)].previous = Self.noChunk
        chunks[Int(chunk)].next = next
        chunks[Int(chunk)].isLinked = true
        if next != Self.noChunk { chunks[Int(next)].previous = chunk }
        partial[units] = chunk
    }

    private mutating func unlink(_ chunk: UInt32) {
        let (previous, next) = (chunks[Int(chunk)].previous, chunks[Int(chunk)].next)
        if previous == Self.noChunk {
            partial[chunks[Int(chunk)].units] = next
        } else {
            chunks[Int(previous)].next = next
        }
        if next != Self.noChunk { chunks[Int(next)].previous = previous }
        chunks[Int(chunk)].isLinked = false
    }
}

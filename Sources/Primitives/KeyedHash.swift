// KeyedHash is SipHash-2-4 (Aumasson and Bernstein, 2012) under a key of 128 bits. Every table that is indexed by what
// strangers send us uses it, so nobody can choose Call-IDs that all fall into one bucket; dids, branches and digests
// are made with it, so that all nodes of a cluster, which share the key, compute the same ones.
//
// `hash(_:)` is the function of the paper, byte for byte. `Stream` hashes several parts: each byte string is preceded
// by its length as a word and padded with zeros to whole words, so ("ab", "c") and ("a", "bc") differ. Whole words keep
// the stream free of a carry buffer.
//
// Not attempted: a cryptographic signature. 64 bits are enough for tables and identifiers, not to authenticate frames.

public struct KeyedHash: Sendable {
    @usableFromInline let key0: UInt64
    @usableFromInline let key1: UInt64

    public init(key0: UInt64, key1: UInt64) {
        self.key0 = key0
        self.key1 = key1
    }

    /// SipHash-2-4 of the bytes.
    public func hash(_ bytes: RawSpan) -> UInt64 {
        var stream = begin()
        let whole = bytes.byteCount & ~7
        stream.absorb(words: bytes, upTo: whole)
        stream.absorb(Self.tail(of: bytes, from: whole) | UInt64(truncatingIfNeeded: bytes.byteCount) << 56)
        return stream.finalize()
    }

    public func begin() -> Stream {
        Stream(key0: key0, key1: key1)
    }

    /// The last 0 to 7 bytes as a little-endian word, zeros above.
    fileprivate static func tail(of bytes: RawSpan, from start: Int) -> UInt64 {
        let rest = bytes.byteCount &- start
        guard rest > 0 else { return 0 }
        // Of more than eight the last ones stand highest in the word that ends with them.
        if start >= 8 { return bytes.word(at: bytes.byteCount &- 8) >> UInt64(truncatingIfNeeded: 64 &- rest &* 8) }
        var word: UInt64 = 0
        var shift: UInt64 = 0
        var offset = start
        while offset < bytes.byteCount {
            word |= UInt64(bytes[offset]) << shift
            shift &+= 8
            offset &+= 1
        }
        return word
    }

    /// The state of a hash over several parts; a plain value, so a common prefix may be kept and continued many times.
    public struct Stream: Sendable {
        private var v0, v1, v2, v3: UInt64
        private var words: UInt64 = 0

        fileprivate init(key0: UInt64, key1: UInt64) {
            v0 = key0 ^ 0x736f_6d65_7073_6575
            v1 = key1 ^ 0x646f_7261_6e64_6f6d
            v2 = key0 ^ 0x6c79_6765_6e65_7261
            v3 = key1 ^ 0x7465_6462_7974_6573
        }

        /// Mixes in the length of the bytes, then the bytes.
        public mutating func combine(_ bytes: RawSpan) {
            let count = bytes.byteCount
            combine(UInt64(truncatingIfNeeded: count))
            let whole = count & ~7
            absorb(words: bytes, upTo: whole)
            if whole < count { absorb(KeyedHash.tail(of: bytes, from: whole)) }
        }

        public mutating func combine(_ bytes: [UInt8], _ range: ByteRange) {
            combine(RawSpan(_elements: bytes.span).extracting(range.range))
        }

        public mutating func combine(_ word: UInt64) {
            absorb(word)
        }

        /// The hash of all parts so far. The stream itself may go on.
        public func finish() -> UInt64 {
            var last = self
            last.absorb(last.words << 56 | 0x00ff_ffff_ffff_ffff)
            return last.finalize()
        }

        fileprivate mutating func absorb(words bytes: RawSpan, upTo end: Int) {
            var offset = 0
            while offset < end {
                absorb(bytes.word(at: offset))
                offset &+= 8
            }
        }

        @inline(__always)
        fileprivate mutating func absorb(_ word: UInt64) {
            words &+= 1
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        fileprivate mutating func finalize() -> UInt64 {
            v2 ^= 0xff
            for _ in 0..<4 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }

        @inline(__always)
        private mutating func round() {
            v0 &+= v1
            v1 = v1 << 13 | v1 >> 51
            v1 ^= v0
            v0 = v0 << 32 | v0 >> 32
            v2 &+= v3
            v3 = v3 << 16 | v3 >> 48
            v3 ^= v2
            v0 &+= v3
            v3 = v3 << 21 | v3 >> 43
            v3 ^= v0
            v2 &+= v1
            v1 = v1 << 17 | v1 >> 47
            v1 ^= v2
            v2 = v2 << 32 | v2 >> 32
        }
    }
}

// KeyedHash: the reference vectors of SipHash-2-4 (key 00 01 … 0f, input 00 01 … n−1; Aumasson and Bernstein) and the
// properties of the stream.

import Primitives
import Testing

@Suite("Keyed hash, SipHash-2-4")
struct KeyedHashTests {
    private let hash = KeyedHash(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)

    @Test(
        arguments: [
            (0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (2, 0x0d6c_8009_d9a9_4f5a),
            (3, 0x8567_6696_d7fb_7e2d), (4, 0xcf27_94e0_2771_87b7), (5, 0x1876_5564_cd99_a68d),
            (6, 0xcbc9_466e_58fe_e3ce), (7, 0xab02_00f5_8b01_d137), (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
        ] as [(Int, UInt64)])
    func `the reference vectors hold`(count: Int, expected: UInt64) {
        let input = (0..<count).map { UInt8($0) }
        #expect(hash.hash(RawSpan(_elements: input.span)) == expected)
    }

    @Test func `where one part ends and the next begins changes the hash of a stream`() {
        func stream(_ parts: [[UInt8]]) -> UInt64 {
            var stream = hash.begin()
            for part in parts { stream.combine(part, ByteRange(part)) }
            return stream.finish()
        }
        let hashes = [
            stream([[1, 2], [3]]), stream([[1], [2, 3]]), stream([[1, 2, 3]]), stream([[1, 2, 3], []]), stream([]),
            stream([[1, 2, 3, 0]]), stream([[1, 2, 3, 0, 0, 0, 0, 0]]),
        ]
        #expect(Set(hashes).count == hashes.count)
    }

    @Test func `a stream goes on after it was finished, and other keys give other hashes`() {
        var stream = hash.begin()
        stream.combine(7)
        let first = stream.finish()
        #expect(stream.finish() == first)
        stream.combine(8)
        #expect(stream.finish() != first)
        var other = KeyedHash(key0: 1, key1: 2).begin()
        other.combine(7)
        #expect(other.finish() != first)
    }
}

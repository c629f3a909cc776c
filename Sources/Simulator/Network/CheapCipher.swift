// A cipher of a few lines for what is decided about sealed messages: a tag from a keyed hash over head, counter and
// bytes, and every byte turned by one that follows from key and counter. It hides nothing from anybody who wants to
// know; whoever is to be kept out in a simulated cluster does not.

package import Cluster
internal import Primitives

package struct CheapCipher: BootCipher {
    private let hash: KeyedHash

    package init(_ secret: UInt64, _ salt: Salt) { hash = KeyedHash(key0: secret ^ salt.high, key1: salt.low) }

    /// The key with this secret; its id is the secret's lower half.
    package static func key(_ secret: UInt64) -> SealKey {
        SealKey(id: UInt32(truncatingIfNeeded: secret)) { CheapCipher(secret, $0) }
    }

    private func tag(_ plain: RawSpan, _ counter: UInt64, _ head: RawSpan) -> UInt64 {
        var stream = hash.begin()
        stream.combine(head)
        stream.combine(counter)
        stream.combine(plain)
        return stream.finish()
    }

    private func turn(_ bytes: RawSpan, _ counter: UInt64, into out: inout [UInt8]) {
        var stream = hash.begin()
        stream.combine(counter)
        var random = SplitMix(seed: stream.finish())
        var word: UInt64 = 0
        for offset in 0..<bytes.byteCount {
            if offset % 8 == 0 { word = random.next() }
            out.append(bytes[offset] ^ UInt8(truncatingIfNeeded: word >> UInt64(offset % 8 * 8)))
        }
    }

    package func seal(_ plain: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) {
        turn(plain, counter, into: &out)
        let tag = tag(plain, counter, head)
        for index in 0..<SealedFrame.tagLength { out.append(UInt8(truncatingIfNeeded: tag >> UInt64(index % 8 * 8))) }
    }

    package func open(_ sealed: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8])
        -> Bool
    {
        guard sealed.byteCount >= SealedFrame.tagLength else { return false }
        let split = sealed.byteCount - SealedFrame.tagLength
        let start = out.count
        turn(sealed.extracting(0..<split), counter, into: &out)
        let tag = tag(RawSpan(_elements: out.span).extracting(start..<out.count), counter, head)
        for index in 0..<SealedFrame.tagLength
        where sealed[split + index] != UInt8(truncatingIfNeeded: tag >> UInt64(index % 8 * 8)) {
            out.removeLast(out.count - start)
            return false
        }
        return true
    }
}

// A cipher of a few lines for what is decided about sealed frames: a tag from a keyed hash over head, counter and
// bytes, and every byte turned by one that follows from key and counter. It hides nothing from anybody who wants to
// know.

import Cluster
import Primitives

struct ToyCipher: BootCipher {
    let hash: KeyedHash

    init(_ secret: UInt64, _ salt: Salt) { hash = KeyedHash(key0: secret ^ salt.high, key1: salt.low) }

    static func key(_ secret: UInt64) -> SealKey { SealKey(id: UInt32(secret)) { ToyCipher(secret, $0) } }

    private func tag(_ bytes: [UInt8], _ counter: UInt64, _ head: RawSpan) -> [UInt8] {
        var stream = hash.begin()
        stream.combine(head)
        stream.combine(counter)
        stream.combine(RawSpan(_elements: bytes.span))
        let word = stream.finish()
        let half = (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
        return half + half
    }

    private func turned(_ bytes: [UInt8], _ counter: UInt64) -> [UInt8] {
        var stream = hash.begin()
        stream.combine(counter)
        var random = SplitMix(seed: stream.finish())
        return bytes.map { $0 ^ UInt8(truncatingIfNeeded: random.next()) }
    }

    func seal(_ plain: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) {
        let bytes = [UInt8](copying: plain)
        out += turned(bytes, counter) + tag(bytes, counter, head)
    }

    func open(_ sealed: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) -> Bool {
        let bytes = [UInt8](copying: sealed)
        let plain = turned(Array(bytes.dropLast(SealedFrame.tagLength)), counter)
        guard tag(plain, counter, head).elementsEqual(bytes.suffix(SealedFrame.tagLength)) else { return false }
        out += plain
        return true
    }
}

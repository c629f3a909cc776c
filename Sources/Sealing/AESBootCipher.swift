// The cipher of the bus: AES-256-GCM under the key of one process.
//
//   key of the process   HKDF-SHA-256 of a cluster key, salted with the process's salt
//   nonce                four zero bytes, then the counter, big-endian: never twice under one key
//   id of a key          four bytes of another HKDF of it, which tell nothing of the key
//
// Chosen over ChaCha20-Poly1305 by measuring (`Decisions`): with the processor's AES instructions a frame takes a fifth
// less, and the larger it is the less; without them it would be the other way about.

package import Cluster
package import Crypto
import Foundation
import Primitives

/// One cluster key as what opens and seals under it.
extension SealKey {
    /// - Parameter secret: At least 16 bytes.
    package init(secret: [UInt8]) {
        let material = SymmetricKey(data: secret)
        self.init(id: Self.id(of: material)) { salt in AESBootCipher(BootKey.derived(from: material, salt)) }
    }

    private static func id(of material: SymmetricKey) -> UInt32 {
        let bytes = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: material, info: Array("understudy key id 1".utf8), outputByteCount: 4)
        // Sound: the pointer is read within the call only.
        let id = unsafe bytes.withUnsafeBytes { unsafe $0.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        return max(id, 1)
    }
}

enum BootKey {
    static func derived(from material: SymmetricKey, _ salt: Salt) -> SymmetricKey {
        var bytes = ByteWriter(capacity: 16)
        bytes.putBigEndian(salt.high)
        bytes.putBigEndian(salt.low)
        return HKDF<SHA256>.deriveKey(
            inputKeyMaterial: material, salt: bytes.bytes, info: Array("understudy bus 1".utf8), outputByteCount: 32)
    }

    static func nonce(_ counter: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 12)
        for index in 0..<8 { bytes[11 - index] = UInt8(truncatingIfNeeded: counter >> UInt64(8 * index)) }
        return bytes
    }
}

package struct AESBootCipher: BootCipher {
    private let key: SymmetricKey

    package init(_ key: SymmetricKey) { self.key = key }

    package func seal(_ plain: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) {
        // Sound: the pointers are read within the calls only.
        let box = unsafe plain.withUnsafeBytes { plain in
            unsafe head.withUnsafeBytes { head in
                do {
                    return try unsafe AES.GCM.seal(
                        plain, using: key, nonce: AES.GCM.Nonce(data: BootKey.nonce(counter)), authenticating: head)
                } catch {
                    preconditionFailure("AES-GCM seals every message of a bounded length: \(error)")
                }
            }
        }
        out.append(contentsOf: box.ciphertext)
        out.append(contentsOf: box.tag)
    }

    package func open(
        _ sealed: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]
    ) -> Bool {
        guard sealed.byteCount >= SealedFrame.tagLength else { return false }
        let split = sealed.byteCount - SealedFrame.tagLength
        // Sound: as above.
        let plain: Data? = unsafe sealed.withUnsafeBytes { sealed in
            unsafe head.withUnsafeBytes { head in
                do {
                    let box = try unsafe AES.GCM.SealedBox(
                        nonce: AES.GCM.Nonce(data: BootKey.nonce(counter)), ciphertext: sealed[..<split],
                        tag: sealed[split...])
                    return try unsafe AES.GCM.open(box, using: key, authenticating: head)
                } catch {
                    return nil
                }
            }
        }
        guard let plain else { return false }
        out.append(contentsOf: plain)
        return true
    }
}

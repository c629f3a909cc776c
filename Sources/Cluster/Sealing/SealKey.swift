// What sealing is made of: keys, the cipher that a shell lends for each, and why a frame was not opened.
//
// The core has no cryptography of its own and stays pure: a cipher is a function of its key, its counter and the bytes.
// What is decided about a frame (which key, which counter, whether it has been here before) is decided here, and runs
// in a test with a cipher of ten lines.

/// The AEAD of one process: its key follows from a key of the cluster and the process's salt.
package protocol BootCipher: Sendable {
    /// Appends the sealed bytes, `SealedFrame.tagLength` longer. A counter is used once.
    func seal(_ plain: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8])
    /// Appends what was sealed.
    /// - Returns: `false`, and nothing was appended: another key, counter or head, or other bytes.
    func open(_ sealed: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) -> Bool
}

/// One key of the cluster.
package struct SealKey: Sendable {
    /// Follows from the key and tells nothing of it; never 0.
    package let id: UInt32
    /// The cipher of the process with this salt.
    package let cipher: @Sendable (Salt) -> any BootCipher

    package init(id: UInt32, cipher: @escaping @Sendable (Salt) -> any BootCipher) {
        self.id = id
        self.cipher = cipher
    }
}

/// Which request a reply is to: it is sealed into the reply, so that what answered another is none.
package struct SealTicket: Equatable, Sendable {
    package var salt: Salt
    package var counter: UInt64

    package init(salt: Salt, counter: UInt64) {
        self.salt = salt
        self.counter = counter
    }
}

/// Why a message of the bus was not opened; counted by kind. The raw value is how it passes between modules.
package enum SealRefusal: UInt8, CaseIterable, Sendable {
    /// Not a message of the bus, cut off, or on the wrong socket.
    case malformed
    case oversized
    /// Another wire version; what it claims is the version.
    case version
    /// In the clear.
    case unsealed
    /// Under a key that is not one of ours: another cluster's, last week's, or next week's.
    case unknownKey
    /// Under a key of ours, as it says; but it was not sealed so, or has been changed.
    case forged
    /// Here before, or too old to say.
    case replayed
    /// Sealed well, by a process that has not answered a question of ours yet: it may be a recording.
    case unproven

    package var name: String {
        switch self {
        case .malformed: "malformed"
        case .oversized: "oversized"
        case .version: "version"
        case .unsealed: "unsealed"
        case .unknownKey: "unknown_key"
        case .forged: "forged"
        case .replayed: "replayed"
        case .unproven: "unproven"
        }
    }
}

// The layout of a sealed message:
//
//  │ header as in the clear, flag 1 set │ key, u32 │ other key, u32 │ counter, u64 │ entries, sealed … │ tag, 16 │
//
// Everything before the entries is authenticated, and of a reply the salt and counter of its request, too, which are
// not sent. Key: the one it is sealed with. Other key: the second that its sender would open, 0 without. The counter
// begins at 1 and grows with every message of a process, whatever its key; with the salt, from which the key of the
// process is made, no nonce comes twice.

package enum SealedFrame {
    package static let tagLength = 16
    static let sealLength = 16
    package static let overhead = sealLength + tagLength
    /// Where the length of the name stands in a header.
    package static let nameOffset = 55
    static let saltOffset = 28
}

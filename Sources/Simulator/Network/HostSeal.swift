// HostSeal is what stands between a simulated process and the bus where messages are sealed: the same sealer and opener
// as in a real one, with a cheap cipher.

internal import Cluster
internal import Node
internal import Primitives

/// A message as the node reads it.
struct OpenedMessage {
    var bytes: [UInt8]
    /// What a reply to it is sealed with; `nil` in the clear.
    var ticket: SealTicket?
}

final class HostSeal {
    private var sealer: FrameSealer
    private var opener: FrameOpener
    /// The hashes of the messages that were opened.
    private var opened: Set<UInt64> = []

    init(keys: [UInt64]) {
        sealer = FrameSealer(keys: keys.map { CheapCipher.key($0) })
        opener = FrameOpener(keys: keys.map { CheapCipher.key($0) })
    }

    /// Other keys from now on, in the order of a real process.
    func adopt(_ keys: [UInt64]) {
        opener.adopt(keys.map { CheapCipher.key($0) })
        sealer.adopt(keys.map { CheapCipher.key($0) })
    }

    /// The key that it seals with.
    func sending(_ time: Instant) -> UInt64 { UInt64(sealer.sending(time)) }

    func seal(_ plain: [UInt8], to ticket: SealTicket?, at time: Instant) -> OpenedMessage {
        var bytes: [UInt8] = []
        let made = sealer.seal(RawSpan(_elements: plain.span), replyingTo: ticket, now: time, into: &bytes)
        return OpenedMessage(bytes: bytes, ticket: made)
    }

    func open(
        _ bytes: [UInt8], _ lane: FrameHeader.Lane, answering ticket: SealTicket?, at time: Instant
    ) -> (outcome: FrameOpener.Outcome, plain: [UInt8]) {
        var plain: [UInt8] = []
        let outcome = opener.open(
            RawSpan(_elements: bytes.span), lane: lane, answering: ticket, now: time, into: &plain)
        if case .opened(let sender, let keys, _) = outcome { sealer.hear(sender, holding: keys, now: time) }
        return (outcome, plain)
    }

    // MARK: For the checkers

    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        KeyedHash(key0: 1, key1: 2).hash(RawSpan(_elements: bytes.span))
    }

    /// - Returns: Whether this message was not opened before.
    func note(_ bytes: [UInt8]) -> Bool { opened.insert(HostSeal.hash(bytes)).inserted }

    func hasOpened(_ bytes: [UInt8]) -> Bool { opened.contains(HostSeal.hash(bytes)) }

    /// The id of the key that a message says it is sealed with.
    static func keyID(of sealed: [UInt8]) -> UInt32 {
        let start = SealedFrame.nameOffset + 1
        guard sealed.count >= start, sealed.count >= start + Int(sealed[start - 1]) + 4 else { return 0 }
        let from = start + Int(sealed[start - 1])
        return sealed[from..<from + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

// FrameSealer seals what this process sends: every message under a counter that was never used before, with the key
// that everybody can open.
//
//   one key                  that one
//   two keys, oldest first   the newest that each member heard in the last ten seconds holds; else the oldest
//
// So a key is changed without an order to keep: the file with both keys reaches the nodes one after another, by reload
// or by restart, and each node changes over by itself when the last one has it. A node that comes back with the old
// file only is heard, for the old key is still held, and turns the others back to it until it has the new one. Who
// still has the old key alone when nobody holds it any more is named.
//
// What members hold stands in each of their messages, under the seal's authentication. Before anybody was heard it is
// the oldest key: whoever has not got the new one yet opens that.

package import Primitives

package struct FrameSealer: Sendable {
    /// What a member was last heard to hold.
    private struct Holder: Sendable {
        var keys: HeldKeys
        var heardAt: Instant
    }

    /// Oldest first, one or two.
    private var keys: [SealKey]
    private var ciphers: [(salt: Salt, cipher: any BootCipher)?]
    private var counter: UInt64 = 0
    private var holders: [String: Holder] = [:]
    private var head = ByteWriter(capacity: 256)

    static let memory: Duration = .seconds(10)
    /// Members whose keys are remembered.
    package static let holderLimit = 64

    package init(keys: [SealKey]) {
        precondition((1...2).contains(keys.count), "a node seals with one of one or two keys, not of \(keys.count)")
        self.keys = keys
        ciphers = keys.map { _ in nil }
    }

    /// Other keys from now on; the counter goes on.
    package mutating func adopt(_ keys: [SealKey]) {
        let counter = counter
        let holders = holders
        self = FrameSealer(keys: keys)
        self.counter = counter
        self.holders = holders
    }

    /// A message of this member was opened.
    package mutating func hear(_ name: String, holding keys: HeldKeys, now: Instant) {
        guard holders[name] != nil || holders.count < Self.holderLimit else { return }
        holders[name] = Holder(keys: keys, heardAt: now)
    }

    /// The id of the key that is sealed with now.
    package func sending(_ now: Instant) -> UInt32 { keys[choice(now)].id }

    /// The ids of all that are held, oldest first.
    package var held: [UInt32] { keys.map(\.id) }

    /// Which keys the members heard of late hold, by name.
    package func members(_ now: Instant) -> [(name: String, keys: HeldKeys)] {
        holders.filter { isRecent($0.value, now) }.sorted { $0.key < $1.key }.map { ($0.key, $0.value.keys) }
    }

    private func isRecent(_ holder: Holder, _ now: Instant) -> Bool {
        holder.heardAt.advanced(by: Self.memory) >= now
    }

    private func choice(_ now: Instant) -> Int {
        guard keys.count > 1 else { return 0 }
        if mutated("seal-new-key-at-once") { return 1 }
        var heard = 0
        for holder in holders.values where isRecent(holder, now) {
            guard holder.keys.contains(keys[1].id) else { return 0 }
            heard += 1
        }
        return heard > 0 ? 1 : 0
    }

    /// Appends the sealed message.
    /// - Parameters:
    ///   - frame: As the cluster machine wrote it: a header and entries.
    ///   - ticket: Of a reply: its request's.
    /// - Returns: What a reply to this message is bound to; `nil` when `frame` has no header, which is a mistake of
    /// ours.
    package mutating func seal(
        _ frame: RawSpan, replyingTo ticket: SealTicket? = nil, now: Instant, into out: inout [UInt8]
    ) -> SealTicket? {
        guard frame.byteCount > SealedFrame.nameOffset else { return nil }
        let entries = SealedFrame.nameOffset + 1 + Int(frame[SealedFrame.nameOffset])
        guard frame.byteCount >= entries else { return nil }
        let salt = Salt(
            high: frame.word(at: SealedFrame.saltOffset).byteSwapped,
            low: frame.word(at: SealedFrame.saltOffset + 8).byteSwapped)
        let index = choice(now)
        counter += 1
        head.removeAll()
        head.put(frame.extracting(0..<entries))
        head.bytes[3] |= FrameHeader.sealed
        head.putBigEndian(UInt64(keys[index].id) << 32 | UInt64(keys.count > 1 ? keys[1 - index].id : 0))
        head.putBigEndian(counter)
        out.append(RawSpan(_elements: head.bytes.span))
        head.put(ticket)
        cipher(index, salt).seal(
            frame.extracting(entries..<frame.byteCount), counter: counter,
            authenticating: RawSpan(_elements: head.bytes.span), into: &out)
        return SealTicket(salt: salt, counter: counter)
    }

    private mutating func cipher(_ index: Int, _ salt: Salt) -> any BootCipher {
        if let known = ciphers[index], known.salt == salt { return known.cipher }
        let made = keys[index].cipher(salt)
        ciphers[index] = (salt, made)
        return made
    }
}

/// The keys that somebody can open, by their ids: the one that it seals with, and a second or 0.
package struct HeldKeys: Equatable, Sendable {
    package var sending: UInt32
    package var other: UInt32

    package init(sending: UInt32, other: UInt32) {
        self.sending = sending
        self.other = other
    }

    package func contains(_ id: UInt32) -> Bool { sending == id || other == id }
}

extension ByteWriter {
    /// What a reply is bound to; not sent, only authenticated.
    mutating func put(_ ticket: SealTicket?) {
        guard let ticket, !mutated("seal-answers-unbound") else { return }
        putBigEndian(ticket.salt.high)
        putBigEndian(ticket.salt.low)
        putBigEndian(ticket.counter)
    }
}

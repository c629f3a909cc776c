// FrameOpener opens what comes from the bus: every message is checked before the cluster machine sees a byte of it.
//
//   head read ─▶ a key of ours? ─▶ opened under head, counter, ticket ─▶ counter new? ─▶ its process proven? ─▶ in
//       │              │                        │                             │                  │
//   malformed,     unknownKey                forged                       replayed           unproven
//   oversized, version, unsealed
//
// A process is proven when it has answered a question of ours: a reply is sealed to its request, so whoever made it is
// there now and holds the key. Without that a whole stream could be recorded and played to a node that has just begun,
// whose windows are empty: dead members would live for it, and ended calls come back. Published frames wait for the
// proof (they are lost, and asked for again); questions do not, for what is taken from them is taken of members only.
//
// A counter is noted only after the seal has held, so nobody without the key can move a window. Refusals are counted
// always, and told once a second for each kind and claimed name, which nobody vouches for: that is how a node with last
// week's key is named in the log.
//
// Limits: 256 processes are followed, and 256 proven (the one not heard for longest makes room), 64 names of each kind
// told of in a second: whoever makes up names cannot keep another kind from being told, nor any for longer than that.

package import Primitives

package struct FrameOpener: Sendable {
    package enum Outcome: Equatable, Sendable {
        /// - ticket: What a reply to this message is to be bound to.
        case opened(sender: String, keys: HeldKeys, ticket: SealTicket)
        /// - claimed: The sender's name, as it says, where it is to be told; of another version the version.
        case refused(SealRefusal, claimed: String?)
    }

    private struct Process: Sendable {
        let cipher: any BootCipher
        /// By lane.
        var windows = [ReplayWindow](repeating: ReplayWindow(), count: 3)
        var lastHeard: Instant
    }

    private struct ProcessKey: Hashable {
        var salt: Salt
        var key: UInt32
    }

    private var keys: [SealKey]
    private var processes: [ProcessKey: Process] = [:]
    /// Who has answered us: when last, and the counter of the first answer. What was published before that may be a
    /// recording, too.
    private var proven: [Salt: (lastAnswer: Instant, firstCounter: UInt64)] = [:]
    /// By kind: who was told of, and when last.
    private var told = [[String: Instant]](repeating: [:], count: SealRefusal.allCases.count)
    private var head = ByteWriter(capacity: 256)
    private var refusals = [UInt64](repeating: 0, count: SealRefusal.allCases.count)
    package private(set) var opened: UInt64 = 0

    package static let processLimit = 256
    package static let taleLimit = 64
    private static let taleInterval: Duration = .seconds(1)
    /// How soon the cluster machine hears again that somebody is to be asked.
    private static let proofInterval: Duration = .milliseconds(50)

    package init(keys: [SealKey]) { self.keys = keys }

    /// Other keys from now on. What was opened under one that is gone is forgotten with it.
    package mutating func adopt(_ keys: [SealKey]) {
        self.keys = keys
        processes = processes.filter { process in keys.contains { $0.id == process.key.key } }
    }

    /// Refused so far.
    package func count(of refusal: SealRefusal) -> UInt64 { refusals[Int(refusal.rawValue)] }

    /// Opens a message that came over a lane and appends it as the cluster machine reads it.
    /// - Parameter ticket: Of a reply: what our request was sealed with.
    package mutating func open(
        _ message: RawSpan, lane: FrameHeader.Lane, answering ticket: SealTicket? = nil, now: Instant,
        into out: inout [UInt8]
    ) -> Outcome {
        let limit = (lane == .published ? FrameHeader.frameLimit : FrameHeader.messageLimit) + SealedFrame.overhead
        guard message.byteCount <= limit else { return refuse(.oversized, "", now) }
        let start = out.count
        do throws(WireError) {
            return try read(message, lane, ticket, now, into: &out)
        } catch {
            out.removeLast(out.count - start)
            switch error.reason {
            case .version(let version): return refuse(.version, "\(version)", now)
            case .unsealed(let name): return refuse(.unsealed, name, now)
            case .tooLong where error.offset == message.byteCount: return refuse(.oversized, "", now)
            default: return refuse(.malformed, "", now)
            }
        }
    }

    private mutating func read(
        _ message: RawSpan, _ lane: FrameHeader.Lane, _ ticket: SealTicket?, _ now: Instant, into out: inout [UInt8]
    ) throws(WireError) -> Outcome {
        // All that is read before the seal holds.
        let known = [UInt8](copying: message.extracting(0..<min(message.byteCount, Self.longestHead)))
        var reader = WireReader(known)
        let header = try FrameHeader.read(&reader, isSealed: true)
        let entries = reader.offset
        let ids = try reader.bigEndian64()
        let counter = try reader.bigEndian64()
        let body = reader.offset
        guard header.lane == lane, counter < 1 << 62, message.byteCount >= body + SealedFrame.tagLength else {
            throw WireError(.truncated, at: body)
        }
        let held = HeldKeys(sending: UInt32(truncatingIfNeeded: ids >> 32), other: UInt32(truncatingIfNeeded: ids))
        guard let key = keys.first(where: { $0.id == held.sending }) else {
            return refuse(.unknownKey, header.sender.name, now)
        }
        let process = ProcessKey(salt: header.salt, key: key.id)
        let cipher = processes[process]?.cipher ?? key.cipher(header.salt)
        head.removeAll()
        head.put(message.extracting(0..<body))
        head.put(ticket)
        let start = out.count
        out.append(message.extracting(0..<entries))
        guard
            cipher.open(
                message.extracting(body..<message.byteCount), counter: counter,
                authenticating: RawSpan(_elements: head.bytes.span), into: &out)
        else {
            out.removeLast(out.count - start)
            return refuse(.forged, header.sender.name, now)
        }
        out[start + 3] &= ~FrameHeader.sealed
        if processes[process] == nil {
            makeRoom()
            processes[process] = Process(cipher: cipher, lastHeard: now)
        }
        let index = Int(lane.rawValue)
        guard processes[process]?.windows[index].isNew(counter) == true || mutated("seal-replays-taken") else {
            out.removeLast(out.count - start)
            return refuse(.replayed, header.sender.name, now)
        }
        guard isProven(header.salt, counter, lane, ticket, now) || mutated("seal-proof-off") else {
            out.removeLast(out.count - start)
            return refuse(.unproven, header.sender.name, now)
        }
        processes[process]?.windows[index].note(counter)
        processes[process]?.lastHeard = now
        opened += 1
        return .opened(
            sender: header.sender.name, keys: held, ticket: SealTicket(salt: header.salt, counter: counter))
    }

    /// Bytes of the longest head.
    private static let longestHead = SealedFrame.nameOffset + 1 + ClusterSettings.nameLimit + SealedFrame.sealLength

    private mutating func isProven(
        _ salt: Salt, _ counter: UInt64, _ lane: FrameHeader.Lane, _ ticket: SealTicket?, _ now: Instant
    ) -> Bool {
        guard lane == .reply, ticket != nil else {
            return lane != .published || proven[salt].map { counter > $0.firstCounter } ?? false
        }
        if proven[salt] == nil, proven.count >= Self.processLimit {
            let oldest = proven.min { left, right in
                (left.value.lastAnswer, left.key.high, left.key.low)
                    < (right.value.lastAnswer, right.key.high, right.key.low)
            }
            if let oldest { proven[oldest.key] = nil }
        }
        proven[salt] = (now, proven[salt]?.firstCounter ?? counter)
        return true
    }

    private mutating func makeRoom() {
        guard processes.count >= Self.processLimit else { return }
        let oldest = processes.min { left, right in
            (left.value.lastHeard, left.key.salt.high, left.key.salt.low, left.key.key)
                < (right.value.lastHeard, right.key.salt.high, right.key.salt.low, right.key.key)
        }
        if let oldest { processes[oldest.key] = nil }
    }

    private mutating func refuse(_ refusal: SealRefusal, _ claimed: String, _ now: Instant) -> Outcome {
        refusals[Int(refusal.rawValue)] += 1
        let kind = Int(refusal.rawValue)
        if let last = told[kind][claimed] {
            let interval = refusal == .unproven ? Self.proofInterval : Self.taleInterval
            guard now >= last.advanced(by: interval) else { return .refused(refusal, claimed: nil) }
        } else if told[kind].count >= Self.taleLimit {
            told[kind] = told[kind].filter { now < $0.value.advanced(by: Self.taleInterval) }
            guard told[kind].count < Self.taleLimit else { return .refused(refusal, claimed: nil) }
        }
        told[kind][claimed] = now
        return .refused(refusal, claimed: claimed)
    }
}

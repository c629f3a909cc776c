// What is decided about sealed messages: which are opened, why the others are not, what is told of them, and which key
// seals while keys are being changed.

import Primitives
import Simulator
import Testing

@testable import Cluster

/// A process that seals and opens.
private struct End {
    let name: String
    let salt: Salt
    var sealer: FrameSealer
    var opener: FrameOpener
    var now = Instant(nanoseconds: 1_000_000_000)

    init(_ name: String, salt: UInt64, keys: [UInt64]) {
        self.name = name
        self.salt = Salt(high: salt, low: ~salt)
        sealer = FrameSealer(keys: keys.map { CheapCipher.key($0) })
        opener = FrameOpener(keys: keys.map { CheapCipher.key($0) })
    }

    /// A message in the clear, as the cluster machine writes it.
    func plain(_ lane: FrameHeader.Lane = .published, entries: String = "call-id") -> [UInt8] {
        var writer = ByteWriter()
        FrameHeader(
            flags: FrameHeader.acknowledgeSoon, mark: 7, sender: MemberID(name: name, boot: 5), clock: 9, salt: salt,
            lane: lane, first: 3, count: 1
        ).write(into: &writer)
        writer.put(text: entries)
        return writer.bytes
    }

    mutating func seal(_ plain: [UInt8], to ticket: SealTicket? = nil) -> (bytes: [UInt8], ticket: SealTicket) {
        var out: [UInt8] = []
        let made = sealer.seal(RawSpan(_elements: plain.span), replyingTo: ticket, now: now, into: &out)
        return (out, made ?? SealTicket(salt: salt, counter: 0))
    }

    mutating func open(
        _ bytes: [UInt8], _ lane: FrameHeader.Lane = .published, answering ticket: SealTicket? = nil
    ) -> (outcome: FrameOpener.Outcome, plain: [UInt8]) {
        var out: [UInt8] = [1, 2, 3]
        let outcome = opener.open(
            RawSpan(_elements: bytes.span), lane: lane, answering: ticket, now: now, into: &out)
        #expect(out.starts(with: [1, 2, 3]))
        return (outcome, Array(out.dropFirst(3)))
    }

    mutating func refusal(
        of bytes: [UInt8], _ lane: FrameHeader.Lane = .published, answering ticket: SealTicket? = nil
    ) -> SealRefusal? {
        let (outcome, plain) = open(bytes, lane, answering: ticket)
        guard case .refused(let refusal, _) = outcome else { return nil }
        #expect(plain.isEmpty, "of a message that is refused nothing comes in")
        return refusal
    }

    /// Is asked by another, and asks it in turn: as hellos go.
    mutating func prove(_ other: inout End) {
        other.now = now
        let theirs = other.seal(other.plain(.request)).bytes
        if case .opened(let sender, let keys, _) = open(theirs, .request).outcome {
            sealer.hear(sender, holding: keys, now: now)
        }
        let (request, ticket) = seal(plain(.request))
        guard case .opened(_, _, let asked) = other.open(request, .request).outcome else { return }
        _ = open(other.seal(other.plain(.reply), to: asked).bytes, .reply, answering: ticket)
    }

    /// Hears a message of another as the bus does.
    mutating func hear(_ other: inout End) {
        other.now = now
        prove(&other)
        let sealed = other.seal(other.plain()).bytes
        if case .opened(let sender, let keys, _) = open(sealed).outcome {
            sealer.hear(sender, holding: keys, now: now)
        }
    }
}

@Suite("Sealed messages of the bus")
struct SealTests {
    private var one = End("n1", salt: 11, keys: [70])
    private var two = End("n2", salt: 22, keys: [70])

    init() { two.prove(&one) }

    @Test mutating func `what is sealed is opened as it was, and shows its head only`() {
        let plain = one.plain(entries: "1003-7c1b2f@10.0.9.1")
        let sealed = one.seal(plain).bytes
        #expect(sealed.count == plain.count + SealedFrame.overhead)
        #expect(!String(decoding: sealed, as: UTF8.self).contains("7c1b2f"))
        let (outcome, opened) = two.open(sealed)
        #expect(opened == plain)
        let ticket = SealTicket(salt: one.salt, counter: 3)
        #expect(
            outcome == .opened(sender: "n1", keys: HeldKeys(sending: 70, other: 0), ticket: ticket))
    }

    @Test mutating func `a message that comes again, from whoever, is refused`() {
        let frames = (0..<50).map { _ in one.seal(one.plain()).bytes }
        for frame in frames { #expect(two.refusal(of: frame) == nil) }
        for frame in frames { #expect(two.refusal(of: frame) == .replayed) }
        #expect(two.opener.count(of: .replayed) == 50)
        #expect(two.opener.opened == 52)
    }

    @Test mutating func `messages that overtake each other all come in, once`() {
        let frames = (0..<200).map { _ in one.seal(one.plain()).bytes }
        for index in [100] + Array(0..<100) + Array((101..<200).reversed()) {
            #expect(two.refusal(of: frames[index]) == nil)
        }
        for frame in frames { #expect(two.refusal(of: frame) == .replayed) }
    }

    @Test mutating func `what is older than the window is refused, for nobody can say whether it came`() {
        let old = one.seal(one.plain()).bytes
        for _ in 0..<ReplayWindow.size { _ = two.refusal(of: one.seal(one.plain()).bytes) }
        #expect(two.refusal(of: old) == .replayed)
    }

    @Test mutating func `lanes do not hold each other up, and a message of one is none of another`() {
        let request = one.seal(one.plain(.request)).bytes
        for _ in 0..<ReplayWindow.size + 1 { _ = two.refusal(of: one.seal(one.plain()).bytes) }
        #expect(two.refusal(of: request, .published) == .malformed)
        #expect(two.refusal(of: request, .request) == nil)
    }

    @Test mutating func `a reply answers its own request, and no other`() {
        let (request, ticket) = one.seal(one.plain(.request))
        guard case .opened(_, _, let asked) = two.open(request, .request).outcome else {
            Issue.record("the request must be opened")
            return
        }
        #expect(asked == ticket)
        let reply = two.seal(two.plain(.reply), to: asked).bytes
        let other = one.seal(one.plain(.request)).ticket
        #expect(one.refusal(of: reply, .reply, answering: other) == .forged)
        #expect(one.refusal(of: reply, .reply, answering: ticket) == nil)
        #expect(one.refusal(of: reply, .reply, answering: ticket) == .replayed)
        // A third node's answer to the same question of somebody else.
        var three = End("n3", salt: 33, keys: [70])
        #expect(three.refusal(of: reply, .reply, answering: SealTicket(salt: three.salt, counter: 1)) == .forged)
    }

    @Test mutating func `every bit of a message is under the seal`() {
        let sealed = one.seal(one.plain()).bytes
        for index in sealed.indices {
            for bit in 0..<8 {
                var changed = sealed
                changed[index] ^= 1 << UInt8(bit)
                #expect(two.refusal(of: changed) != nil, "byte \(index), bit \(bit)")
            }
        }
        // None of that has moved the window.
        #expect(two.refusal(of: sealed) == nil)
    }

    @Test mutating func `every prefix is refused, and nothing longer than the limits is looked at`() {
        let sealed = one.seal(one.plain()).bytes
        for length in 0..<sealed.count {
            let refusal = two.refusal(of: Array(sealed[..<length]))
            #expect(refusal == .malformed || refusal == .forged, "\(length) bytes: \(String(describing: refusal))")
        }
        let long = one.plain() + [UInt8](repeating: 0, count: FrameHeader.frameLimit)
        #expect(two.refusal(of: one.seal(long).bytes) == .oversized)
        #expect(two.refusal(of: one.seal(one.plain(.request) + long).bytes, .request) == nil)
    }

    @Test mutating func `the longest frame and the longest message fit with their seals`() {
        for (lane, limit) in [(FrameHeader.Lane.published, FrameHeader.frameLimit), (.reply, FrameHeader.messageLimit)]
        {
            let head = one.plain(lane, entries: "")
            let plain = head + [UInt8](repeating: 7, count: limit - head.count)
            let ticket = SealTicket(salt: two.salt, counter: 1)
            let sealed = one.seal(plain, to: lane == .reply ? ticket : nil).bytes
            let opened = two.open(sealed, lane, answering: lane == .reply ? ticket : nil).plain
            #expect(opened == plain)
        }
    }

    @Test mutating func `a key that is not ours is named, once a second for each sender`() {
        var last = End("n9", salt: 99, keys: [1])
        let frames = (0..<3).map { _ in last.seal(last.plain()).bytes }
        #expect(two.open(frames[0]).outcome == .refused(.unknownKey, claimed: "n9"))
        #expect(two.open(frames[1]).outcome == .refused(.unknownKey, claimed: nil))
        two.now = two.now.advanced(by: .seconds(1))
        #expect(two.open(frames[2]).outcome == .refused(.unknownKey, claimed: "n9"))
        #expect(two.opener.count(of: .unknownKey) == 3)
    }

    @Test mutating func `no more than 64 names are told of, whatever a stranger calls himself`() {
        var told = 0
        for index in 0..<300 {
            var stranger = End("x\(index)", salt: UInt64(index), keys: [1])
            if case .refused(_, .some) = two.open(stranger.seal(stranger.plain()).bytes).outcome { told += 1 }
        }
        #expect(told == FrameOpener.taleLimit)
        #expect(two.opener.count(of: .unknownKey) == 300)
        // Another kind is told of all the same: a member that has restarted is to be asked at once.
        #expect(two.open(one.plain()).outcome == .refused(.unsealed, claimed: "n1"))
        // And a second later there is room again.
        two.now = two.now.advanced(by: .seconds(1))
        var late = End("late", salt: 999, keys: [1])
        #expect(two.open(late.seal(late.plain()).bytes).outcome == .refused(.unknownKey, claimed: "late"))
    }

    @Test mutating func `clear messages, other versions and noise are counted apart`() {
        #expect(two.open(one.plain()).outcome == .refused(.unsealed, claimed: "n1"))
        var future = one.seal(one.plain()).bytes
        future[2] = 2
        #expect(two.open(future).outcome == .refused(.version, claimed: "2"))
        #expect(two.refusal(of: []) == .malformed)
        #expect(two.refusal(of: [UInt8](repeating: 0x55, count: 500)) == .malformed)
        let counts = SealRefusal.allCases.map { two.opener.count(of: $0) }
        #expect(counts == [2, 0, 1, 1, 0, 0, 0, 0])
    }

    @Test mutating func `a key id that is ours does not open what another sealed under it`() {
        var other = End("n1", salt: 11, keys: [70])
        other.sealer = FrameSealer(keys: [SealKey(id: 70) { CheapCipher(71, $0) }])
        #expect(two.open(other.seal(other.plain()).bytes).outcome == .refused(.forged, claimed: "n1"))
    }

    @Test mutating func `more processes than are followed push out who was not heard for longest`() {
        let first = one.seal(one.plain()).bytes
        #expect(two.refusal(of: first) == nil)
        for index in 0..<FrameOpener.processLimit {
            two.now = two.now.advanced(by: .milliseconds(1))
            var other = End("m", salt: 1_000 + UInt64(index), keys: [70])
            two.prove(&other)
            #expect(two.refusal(of: other.seal(other.plain()).bytes) == nil)
        }
        var last = End("m", salt: 1_000 + UInt64(FrameOpener.processLimit - 1), keys: [70])
        for _ in 0..<2 { _ = last.seal(last.plain()) }
        #expect(two.refusal(of: last.seal(last.plain()).bytes) == .replayed)
    }

    @Test
    mutating func `a process is heard once it has answered, so that a recorded stream says nothing to a new node`() {
        var frames = (0..<20).map { _ in one.seal(one.plain()).bytes }
        let (question, _) = two.seal(two.plain(.request))
        guard case .opened(_, _, let asked) = one.open(question, .request).outcome else {
            Issue.record("the question must be opened")
            return
        }
        let answer = one.seal(one.plain(.reply), to: asked).bytes
        frames.append(answer)
        // Another process of n2, or a third node: it has never heard of n1's process, which may be dead.
        var fresh = End("n2", salt: 222, keys: [70])
        #expect(fresh.open(frames[0]).outcome == .refused(.unproven, claimed: "n1"))
        for frame in frames[1..<20] { #expect(fresh.open(frame).outcome == .refused(.unproven, claimed: nil)) }
        // Nor is an answer that was recorded one to a question of its own.
        let own = fresh.seal(fresh.plain(.request)).ticket
        #expect(fresh.refusal(of: answer, .reply, answering: own) == .forged)
        #expect(fresh.opener.opened == 0)
        fresh.prove(&one)
        let live = one.seal(one.plain()).bytes
        #expect(fresh.refusal(of: live) == nil)
        #expect(fresh.opener.count(of: .unproven) == 20)
        // What it published before its first answer stays out: the live process may be recorded, too.
        for frame in frames[..<20] { #expect(fresh.refusal(of: frame) == .unproven) }
        #expect(fresh.refusal(of: one.seal(one.plain()).bytes) == nil)
    }

    // MARK: Changing keys

    @Test mutating func `keys change node by node, in any order, and at every step everybody hears everybody`() {
        var ends = (1...3).map { End("n\($0)", salt: UInt64($0), keys: [70]) }
        func round() {
            for to in ends.indices {
                ends[to].now = ends[to].now.advanced(by: .seconds(1))
                for from in ends.indices where from != to {
                    var other = ends[from]
                    ends[to].hear(&other)
                    ends[from] = other
                }
            }
        }
        func everybodyHears() -> Bool {
            let before = ends.map(\.opener.opened)
            round()
            return zip(ends, before).allSatisfy { $0.opener.opened == $1 + 8 }
        }
        func sends() -> [UInt32] { ends.map { $0.sealer.sending($0.now) } }
        func give(_ keys: [UInt64], to index: Int) {
            ends[index].sealer.adopt(keys.map { CheapCipher.key($0) })
            ends[index].opener.adopt(keys.map { CheapCipher.key($0) })
        }
        #expect(everybodyHears())
        for index in [1, 0, 2] {
            #expect(sends() == [70, 70, 70])
            give([70, 80], to: index)
            #expect(everybodyHears())
            #expect(everybodyHears())
        }
        #expect(sends() == [80, 80, 80])
        // One comes back with the old key only: the others turn back to it as soon as they hear it, and forth again.
        ends[0] = End("n1", salt: 101, keys: [70])
        ends[0].now = ends[1].now
        round()
        #expect(sends() == [70, 70, 70])
        #expect(everybodyHears())
        give([70, 80], to: 0)
        round()
        #expect(everybodyHears())
        #expect(sends() == [80, 80, 80])
        for index in [2, 0, 1] {
            give([80], to: index)
            #expect(everybodyHears())
        }
        #expect(SealRefusal.allCases.allSatisfy { refusal in ends[1].opener.count(of: refusal) == 0 })
        // And who has the old one only is named.
        var late = End("n9", salt: 9, keys: [70])
        late.now = ends[0].now
        #expect(ends[0].open(late.seal(late.plain()).bytes).outcome == .refused(.unknownKey, claimed: "n9"))
    }

    @Test mutating func `who was not heard for ten seconds holds no key back`() {
        var ready = End("n3", salt: 3, keys: [70, 80])
        var other = End("n2", salt: 2, keys: [70, 80])
        ready.hear(&one)
        ready.hear(&other)
        #expect(ready.sealer.sending(ready.now) == 70)
        #expect(ready.sealer.members(ready.now).map(\.name) == ["n1", "n2"])
        ready.now = ready.now.advanced(by: .seconds(11))
        ready.hear(&other)
        #expect(ready.sealer.sending(ready.now) == 80)
        #expect(ready.sealer.members(ready.now).map(\.name) == ["n2"])
    }

    @Test mutating func `counters go on when keys change, so that no nonce comes twice`() {
        let before = one.seal(one.plain()).ticket
        one.sealer.adopt([CheapCipher.key(70), CheapCipher.key(80)])
        let after = one.seal(one.plain()).ticket
        #expect(after.counter == before.counter + 1)
        one.sealer.adopt([CheapCipher.key(70)])
        #expect(one.seal(one.plain()).ticket.counter == after.counter + 1)
    }
}

@Suite("Replay window")
struct ReplayWindowTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `it says of every counter what a set of all would say, and refuses what is older`(seed: UInt64) {
        var window = ReplayWindow()
        var seen: Set<UInt64> = []
        var random = SplitMix(seed: seed)
        var highest: UInt64 = 0
        for _ in 0..<30_000 {
            let jump = random.next() % 100
            let top: UInt64 = jump == 0 ? random.next() % 9_000 : jump < 50 ? 1 + random.next() % 3 : 0
            let counter = top > 0 ? highest + top : highest - min(highest, random.next() % 6_000)
            let isTooOld = highest >= counter && highest - counter >= ReplayWindow.size
            #expect(window.isNew(counter) == (counter > 0 && !seen.contains(counter) && !isTooOld))
            if window.isNew(counter) {
                window.note(counter)
                seen.insert(counter)
            }
            highest = max(highest, window.highest)
        }
        #expect(window.highest == highest)
    }
}

@Suite("Processes that have not answered")
struct UnprovenTests {
    private func cluster() -> (Cluster, ToyStore) {
        var settings = ClusterSettings(nodeName: "n1")
        settings.peers = ["peer-n2", "peer-n3"]
        let cluster = Cluster(
            settings: settings, boot: 1, hello: Hello(), hash: KeyedHash(key0: 1, key1: 2), seed: 5,
            now: Instant(nanoseconds: 5_000_000_000))
        return (cluster, ToyStore())
    }

    private func requests(_ out: ClusterActions) -> [Int] {
        out.items.compactMap { if case .request(let peer, _, _) = $0 { peer } else { nil } }
    }

    @Test func `whoever may be at its address is asked at once, and one that stays without an answer is told of`() {
        var (cluster, store) = cluster()
        var now = Instant(nanoseconds: 5_000_000_000)
        var out = ClusterActions()
        func advance(milliseconds: Int64) {
            now = now.advanced(milliseconds: milliseconds)
            out.removeAll()
            cluster.advance(now: now, store: &store, out: &out)
        }
        advance(milliseconds: 0)
        #expect(requests(out) == [0, 1])
        for id in 1...2 as ClosedRange<UInt64> {
            cluster.receive(reply: nil, to: id, from: Int(id) - 1, store: &store, now: now, out: &out)
        }
        advance(milliseconds: 150)
        #expect(requests(out).isEmpty, "the next question would go after half a second")
        cluster.refused(.unproven, claimed: "n2", now: now, out: &out)
        advance(milliseconds: 0)
        #expect(requests(out) == [0, 1])
        // Ten seconds later nobody has answered.
        var notes: [ClusterNote] = []
        for _ in 0..<120 {
            advance(milliseconds: 100)
            cluster.refused(.unproven, claimed: "n2", now: now, out: &out)
            notes += out.items.compactMap { if case .note(let note) = $0 { note } else { nil } }
        }
        #expect(notes.filter { $0 == .notOpened(.unproven, name: "n2") }.count == 1)
    }

    @Test func `no more than sixteen are kept, and who is silent for a second begins anew`() {
        var (cluster, _) = cluster()
        var now = Instant(nanoseconds: 5_000_000_000)
        var out = ClusterActions()
        for index in 0..<40 { cluster.refused(.unproven, claimed: "x\(index)", now: now, out: &out) }
        #expect(cluster.unproven.count == 16)
        now = now.advanced(by: .seconds(2))
        cluster.refused(.unproven, claimed: "y", now: now, out: &out)
        #expect(cluster.unproven.map(\.name) == ["y"])
        #expect(cluster.unproven[0].since == now)
    }
}

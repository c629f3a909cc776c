// The wire: what it looks like, that it reads back, and that nothing a stranger sends can do more than be counted.

import Primitives
import Testing

@testable import Cluster

@Suite("The wire format")
struct WireTests {
    static let header = FrameHeader(
        flags: 2, mark: 0x0102_0304_0506_0708, sender: MemberID(name: "n1", boot: 7), clock: 1_000,
        salt: Salt(high: 0x1111_1111_1111_1111, low: 0x2222_2222_2222_2222), lane: .published, first: 41, count: 2)

    /// A put, a patch, and positions, as version 1 writes them. Never change this: old nodes send it.
    static let version1 = """
        5553010201020304050607080000000000000007 00000000000003e8 11111111111111112222222222222222 00
        0000000000000029 0002 02 6e31
        01 90808000 09 2a00000000000000 10 05 1a 03 616263
        02 8e808000 09 2a00000000000000 1a 03 646566
        04 96808000 0a 91808000 0a 02 6e32 11 0900000000000000 18 0c 20 0d
        """

    static func bytes(hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    static func frame() -> [UInt8] {
        var writer = ByteWriter()
        header.write(into: &writer)
        for (kind, record, age) in [(EntryKind.put, "abc", Int64(5)), (.patch, "def", 0)] {
            let bytes = Array(record.utf8)
            writer.put(kind.rawValue)
            writer.putLengthDelimited { writer in
                RecordItem.write(did: 42, age: age, record: RawSpan(_elements: bytes.span), into: &writer)
            }
        }
        writer.put(EntryKind.positions.rawValue)
        writer.putLengthDelimited { writer in
            Position.write([Position(member: MemberID(name: "n2", boot: 9), position: 12, known: 13)], into: &writer)
        }
        return writer.bytes
    }

    @Test func `a heartbeat carries whole names of 1024 bytes together, and no more is read`() throws {
        let name = "udp:" + String(repeating: "a", count: 96) + ":5060"  // 105 bytes and a space
        let names = Array(repeating: name, count: 12).joined(separator: " ")
        let hello = Hello(names: names)
        #expect(hello.names.utf8.count == 9 * 106 - 1, "the tenth would not fit")
        var beat = Heartbeat()
        beat.hello = hello
        var writer = ByteWriter()
        beat.write(into: &writer)
        #expect(try Heartbeat(writer.bytes, writer.bytes.indices).hello == hello)
        beat.hello.names = String(repeating: "a", count: Hello.namesLimit)
        writer.removeAll()
        beat.write(into: &writer)
        #expect(try Heartbeat(writer.bytes, writer.bytes.indices).hello.names.utf8.count == 1_024)
        beat.hello.names += "a"
        writer.removeAll()
        beat.write(into: &writer)
        #expect(throws: WireError.self) { try Heartbeat(writer.bytes, writer.bytes.indices) }
    }

    @Test func `version 1 is written and read as it always was`() throws {
        let expected = Self.bytes(hex: Self.version1)
        #expect(Self.frame() == expected)
        var reader = WireReader(expected)
        #expect(try FrameHeader.read(&reader) == Self.header)
        var kinds: [UInt8] = []
        while let entry = try Cluster.nextEntry(&reader) { kinds.append(entry.kind) }
        #expect(kinds == [1, 2, 4])
    }

    @Test func `a heartbeat reads back, and unknown fields are skipped`() throws {
        var beat = Heartbeat()
        beat.state = .up
        beat.isFit = true
        beat.view = View(epoch: 9, members: [MemberID(name: "n1", boot: 1), MemberID(name: "n2", boot: 2)])
        beat.promised = Ballot(round: 3, name: "n2")
        beat.accepted = Ballot(round: 2, name: "n1")
        beat.value = [MemberID(name: "n1", boot: 1)]
        beat.opinions = [
            Opinion(member: MemberID(name: "n2", boot: 2), verdict: .refused, position: 5, known: 6, echo: 77)
        ]
        beat.lamport = 11
        beat.last = 12
        beat.root = .max
        beat.live = 13
        beat.ready = 9
        beat.compared = 8
        beat.hello = Hello(
            management: "http://127.0.0.1:80", sip: "127.0.0.1:5060", service: "10.0.0.1", names: "udp:127.0.0.1:5060",
            software: "0.2.0")
        beat.addresses = ["10.0.0.1"]
        var writer = ByteWriter()
        beat.write(into: &writer)
        writer.putField(99, varint: 5)
        writer.putField(98, bytes: [1, 2, 3])
        #expect(try Heartbeat(writer.bytes, writer.bytes.indices) == beat)
        #expect(writer.count < 400)
    }

    @Test func `a heartbeat of a version that told no version is read as it always was`() throws {
        let bytes = Self.bytes(hex: Self.heartbeatBefore)
        let beat = try Heartbeat(bytes, bytes.indices)
        var expected = Heartbeat()
        expected.state = .up
        expected.isFit = true
        expected.view = View(epoch: 9, members: [MemberID(name: "n1", boot: 1), MemberID(name: "n2", boot: 2)])
        expected.opinions = [
            Opinion(member: MemberID(name: "n2", boot: 2), verdict: .heard, position: 5, known: 6, echo: 77)
        ]
        expected.last = 12
        expected.hello = Hello(sip: "127.0.0.1:5060")
        expected.hello.capabilities = 0
        #expect(beat == expected)
        // And what it wrote stands unchanged at the head of what is written now.
        var writer = ByteWriter()
        expected.hello.software = "0.2.0"
        expected.hello.capabilities = Hello.capabilities
        expected.write(into: &writer)
        #expect(writer.bytes.starts(with: bytes))
        #expect(writer.count > bytes.count)
    }

    /// Version 1 before `software` and `capabilities`.
    static let heartbeatBefore = """
        080210011809228d8080000a026e31110100000000000000228d8080000a026e3211020000000000000042958080000a
        026e32110200000000000000180120052806304d500c82010e3132372e302e302e313a35303630
        """

    @Test func `requests and answers of the repair socket read back`() throws {
        var writer = ByteWriter()
        let repair = RepairRequest(boot: 4, ranges: [1...2, 9...9])
        repair.write(into: &writer)
        #expect(try RepairRequest(writer.bytes, writer.bytes.indices) == repair)

        writer.removeAll()
        FetchRequest.write([1, .max], into: &writer)
        #expect(try FetchRequest.read(writer.bytes, writer.bytes.indices) == [1, .max])

        writer.removeAll()
        var sync = SyncRequest()
        sync.buckets = 11
        sync.cursor = SyncCursor(bucket: 1, after: 5, isResuming: true)
        sync.skipsYoung = true
        sync.wantsEnded = true
        sync.digests = (0..<10).map { UInt64($0) }
        sync.skipped = (0..<10).map { $0 % 3 == 0 }
        sync.write(into: &writer)
        #expect(try SyncRequest(writer.bytes, writer.bytes.indices) == sync)

        writer.removeAll()
        var answer = SyncAnswer()
        answer.root = 3
        answer.next = SyncCursor(bucket: 4)
        answer.isDone = true
        answer.positions = [Position(member: MemberID(name: "a", boot: 1), position: 2, known: 3)]
        answer.write(into: &writer)
        #expect(try SyncAnswer(writer.bytes, writer.bytes.indices) == answer)

        writer.removeAll()
        let intent = Intent(did: 1, generation: 2, deadlineMilliseconds: 3, payload: [4, 5])
        intent.write(into: &writer)
        #expect(try Intent(writer.bytes, writer.bytes.indices) == intent)

        writer.removeAll()
        let grant = IntentAnswer(to: intent, from: MemberID(name: "n3", boot: 8))
        grant.write(into: &writer)
        #expect(try IntentAnswer(writer.bytes, writer.bytes.indices) == grant)
    }

    @Test func `a sequence, a clock or a name out of range is malformed`() {
        var bytes = Self.frame()
        bytes[45] = 0xff
        #expect(throws: WireError.self) {
            var reader = WireReader(bytes)
            _ = try FrameHeader.read(&reader)
        }
        bytes = Self.frame()
        bytes[55] = 0
        #expect(throws: WireError(.tooLong, at: 55)) {
            var reader = WireReader(bytes)
            _ = try FrameHeader.read(&reader)
        }
    }
}

@Suite("Frames of strangers")
struct StrangerTests {
    /// Real frames, of every kind that a small cluster sends.
    static let frames: [[UInt8]] = {
        let net = Net(3, seed: 99)
        var frames: [[UInt8]] = []
        net.onFrame = { _, bytes in if frames.count < 400 { frames.append(bytes) } }
        net.start()
        for did in 1...5 as ClosedRange<UInt64> { net.put(0, did, did) }
        net.run(milliseconds: 20)
        net.ask(1, 1, deadline: 5)
        net.ask(1, 3, deadline: 1)
        net.run(milliseconds: 20)
        return frames.suffix(30)
    }()

    private func cluster() -> (Cluster, ToyStore, ClusterActions) {
        var settings = ClusterSettings(nodeName: "n9")
        settings.peers = ["a", "b"]
        settings.ringCapacity = 64
        let cluster = Cluster(
            settings: settings, boot: 1, hello: Hello(), hash: KeyedHash(key0: 1, key1: 2), seed: 5,
            now: Instant(nanoseconds: 5_000_000_000))
        return (cluster, ToyStore(), ClusterActions())
    }

    @Test func `every prefix of every frame is read, or counted, and never traps`() {
        var (cluster, store, out) = cluster()
        let now = Instant(nanoseconds: 5_000_000_000)
        for frame in Self.frames {
            for length in stride(from: 0, through: frame.count, by: frame.count > 400 ? 7 : 1) {
                let prefix = Array(frame[..<length])
                let span = RawSpan(_elements: prefix.span)
                cluster.receive(frame: span, store: &store, now: now, out: &out)
                cluster.receive(request: span, token: 1, store: &store, now: now, out: &out)
            }
        }
        #expect(cluster.counters.malformedFrames > 0)
    }

    @Test func `any byte of a frame may be wrong, and the cluster goes on`() {
        var (cluster, store, out) = cluster()
        var random = SplitMix(seed: 3)
        var now = Instant(nanoseconds: 5_000_000_000)
        for round in 0..<4_000 {
            var frame = Self.frames[round % Self.frames.count]
            for _ in 0...(round % 4) {
                frame[Int(random.next() % UInt64(frame.count))] ^= 1 << UInt8(random.next() % 8)
            }
            // Past the cluster's mark, so that the entries are reached.
            if round % 2 == 0 { frame.replaceSubrange(4..<12, with: Self.frames[0][4..<12]) }
            if round % 8 == 0 { frame[44] = UInt8(random.next() % 3) }
            let span = RawSpan(_elements: frame.span)
            cluster.receive(frame: span, store: &store, now: now, out: &out)
            cluster.receive(request: span, token: 1, store: &store, now: now, out: &out)
            now = now.advanced(milliseconds: 5)
            cluster.advance(now: now, store: &store, out: &out)
            out.removeAll()
        }
        #expect(cluster.counters.malformedFrames + cluster.counters.malformedEntries > 0)
        #expect(cluster.members(now: now).count <= 66)
    }

    @Test func `every request is answered, even one that cannot be read`() {
        var (cluster, store, out) = cluster()
        let junk: [UInt8] = [1, 2, 3]
        cluster.receive(
            request: RawSpan(_elements: junk.span), token: 77, store: &store, now: Instant(nanoseconds: 5_000_000_000),
            out: &out)
        #expect(out.items.contains { if case .reply(77, let range) = $0 { range.count >= 58 } else { false } })
    }

    @Test func `frames of another cluster, another version, sealed, or our own are counted and not applied`() {
        var (cluster, store, out) = cluster()
        let now = Instant(nanoseconds: 5_000_000_000)
        func receive(_ change: (inout [UInt8]) -> Void) {
            var frame = Self.frames[0]
            change(&frame)
            cluster.receive(frame: RawSpan(_elements: frame.span), store: &store, now: now, out: &out)
        }
        receive { $0[4] ^= 1 }
        receive { $0[4] ^= 1 }
        receive { $0[2] = 2 }
        receive { $0[3] = 1 }
        #expect(cluster.counters.foreignCluster == 2)
        #expect(cluster.counters.foreignVersion == 1)
        #expect(cluster.counters.sealedFrames == 1)
        #expect(cluster.members(now: now).count { !$0.name.isEmpty } == 1)
        // Noted once each.
        let notes = out.items.compactMap { if case .note(let note) = $0 { note } else { nil } }
        #expect(notes == [.wrongCluster(name: "n1"), .wrongVersion(2), .sealedFrame(name: "n1")])
    }

    @Test(arguments: [(UInt64(50), 1), (UInt64(200), 0)])
    func `of two processes with one name the later one exits 2 (R14)`(theirBoot: UInt64, exits: Int) {
        var (cluster, store, out) = cluster()
        var header = WireTests.header
        header.sender = MemberID(name: "n9", boot: theirBoot - 49)
        header.mark = cluster.mark
        if theirBoot == 50 { cluster.localMember.boot = 100 }
        var writer = ByteWriter()
        header.write(into: &writer)
        cluster.receive(
            frame: RawSpan(_elements: writer.bytes.span), store: &store, now: Instant(nanoseconds: 5_000_000_000),
            out: &out)
        #expect(out.items.count { $0 == .exit(2) } == exits)
        #expect(cluster.counters.duplicateName == 1)
    }

    @Test func `a frame older than half the horizon is a gap, not news (R6, R8)`() {
        var (cluster, store, out) = cluster()
        var now = Instant(nanoseconds: 5_000_000_000)
        var header = WireTests.header
        header.mark = cluster.mark
        func frame(clock: UInt64, first: UInt64, did: UInt64) -> [UInt8] {
            header.clock = clock
            header.first = first
            header.count = 1
            var writer = ByteWriter()
            header.write(into: &writer)
            let record = ToyStore.bytes(1, 1)
            writer.put(EntryKind.put.rawValue)
            writer.putLengthDelimited {
                RecordItem.write(did: did, age: 10, record: RawSpan(_elements: record.span), into: &$0)
            }
            return writer.bytes
        }
        func receive(_ bytes: [UInt8]) {
            cluster.receive(frame: RawSpan(_elements: bytes.span), store: &store, now: now, out: &out)
        }
        receive(frame(clock: 1_000, first: 1, did: 1))
        now = now.advanced(milliseconds: 20_000)
        receive(frame(clock: 11_000, first: 2, did: 2))
        // Ten seconds on its way: the dialog is that much older.
        #expect(store.entries[2].map { now.milliseconds(since: $0.birth) } == 10_010)
        now = now.advanced(milliseconds: 20_000)
        receive(frame(clock: 2_000, first: 3, did: 3))
        #expect(store.entries[3] == nil)
        #expect(cluster.counters.staleFrames == 1)
    }
}

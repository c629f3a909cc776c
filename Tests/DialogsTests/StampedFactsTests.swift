// Variables, profile links, flags and properties (R18, and Architecture, "Three ideas"), their stamps and their bounds.

import Dialogs
import Primitives
import Testing

@Suite("What scripts write into records")
struct StampedFactsTests {
    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func facts(_ changes: [StampedChange], _ counter: UInt64, _ tag: UInt32 = 1) -> [UInt8] {
        var facts = FactsWriter()
        for change in changes { facts.write(change, Stamp(counter: counter, tag: tag)) }
        return facts.bytes
    }

    private static func read<R>(_ bytes: [UInt8], _ body: (RecordView, [UInt8]) -> R) -> R {
        body(RecordView(bytes, ByteRange(bytes)), bytes)
    }

    @Test func `a script flag that was reset stays reset, until it is set with a later stamp`() throws {
        let set = Self.facts([.flag(0, isSet: true), .flag(31, isSet: true)], 1)
        let reset = Self.facts([.flag(31, isSet: false)], 2)
        for bytes in try [joined(set, reset), joined(reset, set), joined(set, reset, set)] {
            #expect(Self.read(bytes) { $0.scriptFlags(in: $1) } == 1)
        }
        let again = try joined(set, reset, Self.facts([.flag(31, isSet: true)], 3))
        #expect(Self.read(again) { $0.scriptFlags(in: $1) } == 1 << 31 | 1)
    }

    @Test func `a property can be set, unset against what the dialog began with, and taken back`() throws {
        let change: (Bool?) -> [StampedChange] = { [.property(.keepAliveToCaller, isSet: $0)] }
        let (on, off, gone) = (Self.facts(change(true), 1), Self.facts(change(false), 2), Self.facts(change(nil), 3))
        var flags = FactsWriter()
        flags.raise(.keepAliveToCaller)
        func keeps(_ bytes: [UInt8]) throws -> Bool { try Record(RawSpan(_elements: bytes.span)).keepsAlive(.caller) }
        #expect(try keeps(joined(on)))
        #expect(try !keeps(joined(flags.bytes, on, off)))
        #expect(try keeps(joined(flags.bytes, on, off, gone)))
        #expect(try !keeps(joined(on, off, gone)))
        #expect(Self.read(try joined(on, off)) { $0.property(.keepAliveToCaller, in: $1) } == false)
        #expect(Self.read(try joined(on, off)) { $0.property(.keepsDeadline, in: $1) } == nil)
    }

    @Test func `of two writers who do not know of each other the same one wins everywhere, a later one always`() throws
    {
        let (one, other) = (
            Self.facts([.variable(Self.text("k"), value: Self.text("z"))], 4, 7),
            Self.facts([.variable(Self.text("k"), value: Self.text("a"))], 4, 9)
        )
        let both = try joined(one, other)
        #expect(both == (try joined(other, one)))
        #expect(Self.read(both) { $0.variable(Self.text("k"), in: $1) } == Self.text("a"), "by its tag")
        let counter = Self.read(both) { StampedRoom($0, $1).counter }
        let later = try joined(both, Self.facts([.variable(Self.text("k"), value: nil)], counter + 1, 1))
        #expect(Self.read(later) { $0.variable(Self.text("k"), in: $1) } == nil)
        #expect(try joined(later, one, other) == later)
    }

    @Test func `a tombstone has what scripts wrote until its end was told, in whatever order the two are heard`() throws
    {
        let link = ProfileLink(name: Self.text("calls"))
        var put = FactsWriter()
        put.put(.callID, Self.text("c"))
        put.put(.from, Self.text("<sip:a@b>"))
        let written = Self.facts(
            [.variable(Self.text("k"), value: Self.text("v")), .profile(link, isMember: true), .flag(3, isSet: true)], 1
        )
        var end = FactsWriter()
        end.reach(.deleted)
        var times = RecordView.Times()
        times.endedMilliseconds = 7
        end.times(times)
        var told = FactsWriter()
        told.raise(.toldEnd)
        let ended = try joined(put.bytes, written, end.bytes)
        Self.read(ended) { view, bytes in
            #expect(view.variable(Self.text("k"), in: bytes) == Self.text("v") && view.isMember(link, in: bytes))
            #expect(view.scriptFlags(in: bytes) == 8 && !view.from.isEmpty)
        }
        let narrow = try joined(put.bytes, end.bytes, told.bytes)
        for bytes in try [
            joined(ended, told.bytes), joined(put.bytes, told.bytes, written, end.bytes), joined(narrow, written),
        ] {
            #expect(bytes == narrow)
        }
        Self.read(narrow) { view, bytes in
            #expect(view.hasNothingStamped && view.from.isEmpty)
            #expect(view.times(in: bytes).endedMilliseconds == 7)
        }
    }

    @Test func `of times the earliest stands, and a tombstone keeps them`() throws {
        func times(_ answered: UInt64, _ born: UInt64 = 0) -> [UInt8] {
            var times = RecordView.Times()
            (times.answeredMilliseconds, times.bornUnixMilliseconds) = (answered, born)
            var facts = FactsWriter()
            facts.times(times)
            return facts.bytes
        }
        let bytes = try joined(times(900), times(800, 1_700_000_000_000), times(850))
        let found = Self.read(bytes) { $0.times(in: $1) }
        #expect(found.answeredMilliseconds == 800 && found.bornUnixMilliseconds == 1_700_000_000_000)
        #expect(found.endedMilliseconds == 0)
    }

    // MARK: Bounds

    @Test func `room is counted as it will stand, and what takes away always fits`() {
        var room = StampedRoom()
        func admits(_ change: StampedChange) -> Bool { room.admits(change) }
        let large = [UInt8](repeating: 97, count: 4_000)
        #expect(admits(.variable(Self.text("k"), value: large)))
        #expect(admits(.variable(Self.text("k"), value: large.dropLast(1) + [98])), "in its own place")
        #expect(!admits(.variable(Self.text("l"), value: [UInt8](repeating: 97, count: 96))))
        #expect(admits(.variable(Self.text("k"), value: nil)))
        #expect(room.bytes == 1 && room.entries == 1)
    }

    @Test func `an entry that was removed still counts, so a writer of ever new names is stopped`() {
        var room = StampedRoom()
        func admits(_ change: StampedChange) -> Bool { room.admits(change) }
        for number in 0..<StampedRoom.entryLimit {
            #expect(admits(.variable(Self.text("v\(number)"), value: [])))
            #expect(admits(.variable(Self.text("v\(number)"), value: nil)))
        }
        #expect(!admits(.variable(Self.text("one more"), value: [])))
        #expect(!admits(.variable(Self.text("never was"), value: nil)))
        #expect(admits(.variable(Self.text("v0"), value: [])))
    }

    @Test func `a record that is full of variables takes every state, early ones among them`() throws {
        var table = makeTable()
        let did = table.did("c", from: "f")
        _ = try table.learn(did, invite("c", from: "f", extra: 15_000), age: .zero)
        var changes: [StampedChange] = []
        for number in 0..<150 {
            changes.append(.variable(Self.text("v\(number)"), value: [UInt8](repeating: 97, count: 20)))
        }
        _ = try table.learn(did, Self.facts(changes, 1))
        var facts = FactsWriter()
        facts.reach(.early)
        facts.put(.requestURI, [UInt8](repeating: 98, count: 3_000))
        let learned = try table.learn(
            did, facts: RawSpan(_elements: facts.bytes.span), age: nil, room: .early, now: .zero)
        #expect(learned.after == .early, "what scripts have is not counted in the room of the INVITE")
        #expect(try table.learn(did, patch(state: .deleted)).after == .deleted)
    }
}

@Suite("Sizes of profiles")
struct ProfileIndexTests {
    private static func link(_ name: String, _ value: String? = nil) -> ProfileLink {
        ProfileLink(name: Array(name.utf8), value: value.map { Array($0.utf8) })
    }

    private static func facts(_ links: [(ProfileLink, Bool)], _ counter: UInt64) -> [UInt8] {
        var facts = FactsWriter()
        for (link, isMember) in links {
            facts.write(.profile(link, isMember: isMember), Stamp(counter: counter, tag: 1))
        }
        return facts.bytes
    }

    @Test func `a dialog counts by value and in all, once however often it is put in, and no more when it has ended`()
        throws
    {
        var table = makeTable()
        let did = table.did("c", from: "f")
        _ = try table.learn(did, invite("c", from: "f") + Self.facts([(Self.link("calls"), true)], 1), age: .zero)
        let alice = Self.link("caller", "alice")
        for counter in 2...4 as ClosedRange<UInt64> {
            _ = try table.learn(did, Self.facts([(alice, true), (Self.link("caller", "bob"), true)], counter))
        }
        #expect(table.size(ofProfile: Self.link("calls")) == 1)
        #expect(table.size(ofProfile: alice) == 1 && table.size(ofProfile: Self.link("caller")) == 2)
        _ = try table.learn(did, Self.facts([(alice, false)], 5))
        #expect(table.size(ofProfile: alice) == 0 && table.size(ofProfile: Self.link("caller")) == 1)
        _ = try table.learn(did, Self.facts([(alice, true)], 3), at: 1)
        #expect(table.size(ofProfile: alice) == 0, "an old write")
        _ = try table.learn(did, patch(state: .deleted))
        for link in [alice, Self.link("caller"), Self.link("calls")] { #expect(table.size(ofProfile: link) == 0) }
        _ = try table.learn(did, Self.facts([(alice, true)], 9))
        #expect(table.size(ofProfile: alice) == 0, "nobody comes back")
        table.remove(did)
        #expect(table.size(ofProfile: Self.link("caller")) == 0)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `whatever is learned in whatever order, sizes are the links of the live records`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        generator.states = 0...(seed.isMultiple(of: 2) ? 5 : 4)
        var table = makeTable()
        let dids = (0..<6).map { table.did("c\($0)", from: "f") }
        for round in 0..<400 {
            let index = Int.random(in: 0..<6, using: &generator.random)
            if Int.random(in: 0..<20, using: &generator.random) == 0 {
                table.remove(dids[index])
            } else {
                var facts = FactsWriter()
                facts.put(.callID, Array("c\(index)".utf8))
                facts.put(.fromTag, Array("f".utf8))
                let linked = Self.facts(
                    [
                        (Self.link("p", ["x", "y"].randomElement(using: &generator.random)), true),
                        (Self.link("q"), Bool.random(using: &generator.random)),
                    ], UInt64.random(in: 1...9, using: &generator.random))
                var state = FactsWriter()
                state.put(.state, UInt64.random(in: generator.states, using: &generator.random))
                let isEnding = Int.random(in: 0..<8, using: &generator.random) == 0
                _ = try table.learn(dids[index], facts.bytes + linked + (isEnding ? state.bytes : []), at: Int64(round))
            }
            for link in [Self.link("p"), Self.link("p", "x"), Self.link("p", "y"), Self.link("q")] {
                let expected = dids.reduce(0) { count, did in
                    guard table.state(did) != .deleted, let record = table.record(did) else { return count }
                    return count
                        + record.profiles.count { entry in
                            let key = ProfileLink(key: entry.key)
                            let isOne = link.value == nil ? key.name == link.name : key == link
                            return entry.value != nil && isOne
                        }
                }
                try #require(table.size(ofProfile: link) == expected, "round \(round), \(link)")
            }
        }
    }
}

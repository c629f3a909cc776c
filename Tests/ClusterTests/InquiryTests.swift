// What operators ask of members through others: over the repair lane, bounded, and only by who has the cluster's key.

import Primitives
import Testing

@testable import Cluster

@Suite("Inquiries of members")
struct InquiryTests {
    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// Nodes that answer every inquiry with what they are told, and remember it.
    private final class Bench {
        let net: Net
        var heard: [(by: Int, id: InquiryID, text: String)] = []
        /// `nil`: it is still working on it.
        var says: (Int, String) -> [UInt8]? = { index, text in InquiryTests.bytes("n\(index + 1) says \(text)") }

        init(_ count: Int, seed: UInt64, keys: [Int: UInt8] = [:]) {
            net = Net(count, seed: seed) { $0.requiresCodes = !keys.isEmpty }
            for (index, key) in keys {
                net.authenticators[index] = Authenticator { bytes in
                    let hash = KeyedHash(key0: UInt64(key), key1: 1).hash(RawSpan(_elements: bytes.span))
                    return (0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 * 8)) }
                }
            }
            if !keys.isEmpty { net.remakeAll() }
            net.answer = { [unowned self] index, id, text in
                let words = String(decoding: text, as: UTF8.self)
                heard.append((index, id, words))
                guard let answer = says(index, words) else { return }
                net.processes[index].cluster.answer(id, with: answer, now: net.now)
            }
        }

        func ask(_ index: Int, _ name: String, _ text: String, token: UInt64) {
            net.act(index) { cluster, _, out in
                cluster.inquire(of: name, InquiryTests.bytes(text), token: token, now: net.now, out: &out)
            }
        }

        func outcome(_ index: Int, _ token: UInt64) -> InquiryOutcome? {
            net.processes[index].inquired.first { $0.token == token }?.outcome
        }
    }

    @Test func `a member is asked over the bus, and its answer comes back once`() {
        let bench = Bench(3, seed: 1)
        #expect(bench.net.start())
        bench.ask(0, "n2", "status", token: 7)
        bench.ask(0, "n3", "status", token: 8)
        bench.ask(0, "n2", "check", token: 9)
        #expect(bench.net.run(limit: 500) { bench.net.processes[0].inquired.count == 3 })
        bench.net.run(milliseconds: 1_000)
        #expect(bench.net.processes[0].inquired.count == 3)
        #expect(bench.outcome(0, 7) == .answered(Self.bytes("n2 says status")))
        #expect(bench.outcome(0, 8) == .answered(Self.bytes("n3 says status")))
        #expect(bench.outcome(0, 9) == .answered(Self.bytes("n2 says check")))
        #expect(bench.heard.count == 3)
    }

    @Test func `a long answer comes in parts, whatever is lost on the way, and is asked for once`() {
        let bench = Bench(2, seed: 2)
        #expect(bench.net.start())
        let long = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        bench.says = { _, _ in long }
        bench.net.loss = 0.2
        bench.ask(0, "n2", "check", token: 1)
        #expect(bench.net.run(limit: 60_000) { bench.outcome(0, 1) != nil })
        #expect(bench.outcome(0, 1) == .answered(long))
        #expect(bench.heard.count == 1)
    }

    @Test func `who works on an answer is asked again, and given up after four seconds without a part`() {
        let bench = Bench(2, seed: 3)
        #expect(bench.net.start())
        bench.says = { _, _ in nil }
        bench.ask(0, "n2", "reload", token: 1)
        bench.net.run(milliseconds: 2_000)
        #expect(bench.outcome(0, 1) == nil)
        let id = bench.heard[0].id
        bench.net.act(1) { cluster, _, _ in cluster.answer(id, with: [1, 2, 3], now: bench.net.now) }
        #expect(bench.net.run(limit: 100) { bench.outcome(0, 1) == .answered([1, 2, 3]) })
        bench.ask(0, "n2", "reload", token: 2)
        bench.net.run(milliseconds: 3_900)
        #expect(bench.outcome(0, 2) == nil)
        bench.net.run(milliseconds: 300)
        #expect(bench.outcome(0, 2) == .silent)
        // One of each member at a time: the next is heard when the one before is answered, or forgotten.
        bench.ask(0, "n2", "status", token: 3)
        bench.net.run(milliseconds: 1_000)
        #expect(bench.heard.count == 2 && bench.outcome(0, 3) == nil)
        let stuck = bench.heard[1].id
        bench.says = { _, _ in [4] }
        bench.net.act(1) { cluster, _, _ in cluster.answer(stuck, with: [], now: bench.net.now) }
        #expect(bench.net.run(limit: 200) { bench.outcome(0, 3) == .answered([4]) })
    }

    @Test func `who cannot be asked is told why`() {
        let bench = Bench(3, seed: 4)
        #expect(bench.net.start())
        bench.ask(0, "n9", "status", token: 1)
        #expect(bench.outcome(0, 1) == .unknownMember)
        bench.says = { _, _ in nil }
        bench.ask(0, "n3", "status", token: 2)
        bench.net.run(milliseconds: 50)
        bench.net.crash(2)
        #expect(bench.net.run(limit: 2_000) { bench.outcome(0, 2) == .notHeard })
        bench.ask(0, "n3", "status", token: 3)
        #expect(bench.outcome(0, 3) == .notHeard)
        bench.ask(0, "n2", String(repeating: "x", count: InquiryMessage.textLimit + 1), token: 4)
        #expect(bench.outcome(0, 4) == .tooLong)
        #expect(bench.net.processes[0].cluster.counters.requestsUnanswered < 100)
    }

    @Test func `a member that nothing in our list leads to cannot be asked`() {
        let bench = Bench(2, seed: 5)
        #expect(bench.net.start())
        bench.net.act(0) { cluster, _, _ in cluster.removePeer(0) }
        bench.ask(0, "n2", "status", token: 1)
        #expect(bench.outcome(0, 1) == .notListed)
    }

    @Test func `an inquiry beyond the limit is not sent on, and counted`() {
        let bench = Bench(2, seed: 6)
        #expect(bench.net.start())
        bench.says = { _, _ in nil }
        for token in 0...UInt64(InquiryTable.limit) { bench.ask(0, "n2", "status", token: token) }
        #expect(bench.outcome(0, UInt64(InquiryTable.limit)) == .tooMany)
        #expect(bench.net.processes[0].inquired.count == 1)
        #expect(bench.net.processes[0].cluster.counters.inquiriesLeftOut == 1)
    }

    @Test func `an answer or a text longer than its limit is told, not carried`() throws {
        let bench = Bench(2, seed: 7)
        #expect(bench.net.start())
        bench.says = { _, _ in [UInt8](repeating: 1, count: InquiryTable.answerLimit + 1) }
        bench.ask(0, "n2", "check", token: 1)
        #expect(bench.net.run(limit: 500) { bench.outcome(0, 1) == .tooLong })
        #expect(bench.net.processes[1].cluster.counters.inquiriesTooLong == 1)
        bench.says = { _, _ in [UInt8](repeating: 1, count: InquiryTable.answerLimit) }
        bench.ask(0, "n2", "check", token: 2)
        #expect(bench.net.run(limit: 20_000) { bench.outcome(0, 2) != nil })
        if case .answered(let bytes)? = bench.outcome(0, 2) {
            #expect(bytes.count == InquiryTable.answerLimit)
        } else {
            Issue.record("not answered")
        }
        for (count, isRead) in [(InquiryMessage.textLimit, true), (InquiryMessage.textLimit + 1, false)] {
            var message = InquiryMessage()
            message.text = [UInt8](repeating: 7, count: count)
            let bytes = Self.written { message.write(into: &$0) }
            #expect((try? InquiryMessage(bytes, bytes.indices)) == (isRead ? message : nil))
        }
        for (count, isRead) in [(InquiryPart.sizeLimit, true), (InquiryPart.sizeLimit + 1, false)] {
            let bytes = Self.written { writer in
                InquiryPart(number: 3, state: .part).write(
                    ArraySlice([UInt8](repeating: 7, count: count)), into: &writer)
            }
            #expect((try? InquiryPart(bytes, bytes.indices))?.part.count == (isRead ? count : nil))
        }
        for (count, isRead) in [(InquiryMessage.codeLimit, true), (InquiryMessage.codeLimit + 1, false)] {
            var message = InquiryMessage()
            message.code = [UInt8](repeating: 7, count: count)
            let bytes = Self.written { message.write(into: &$0) }
            #expect((try? InquiryMessage(bytes, bytes.indices)) == (isRead ? message : nil))
        }
    }

    private static func written(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        body(&writer)
        return writer.bytes
    }

    // MARK: Who may ask

    @Test func `with a key an inquiry without its code, or with another's, is refused, counted and noted`() {
        for keys in [[0: 1, 1: 2], [1: 2]] as [[Int: UInt8]] {
            let bench = Bench(2, seed: 8, keys: keys)
            #expect(bench.net.start())
            bench.ask(0, "n2", "drain", token: 1)
            #expect(bench.net.run(limit: 500) { bench.outcome(0, 1) == .refused })
            #expect(bench.heard.isEmpty)
            #expect(bench.net.processes[1].cluster.counters.inquiriesRefused > 0)
            let refusals = bench.net.processes[1].notes.filter {
                if case .inquiryRefused(let member) = $0 { member.name == "n1" } else { false }
            }
            #expect(refusals.count == 1)
        }
        let bench = Bench(2, seed: 8, keys: [0: 2, 1: 2])
        #expect(bench.net.start())
        bench.ask(0, "n2", "drain", token: 1)
        #expect(bench.net.run(limit: 500) { bench.outcome(0, 1) == .answered(Self.bytes("n2 says drain")) })
    }

    /// The entries of a message but those of a kind; and whether there were any of it.
    private static func without(_ kind: EntryKind, _ bytes: [UInt8]) -> (rest: [UInt8], hadAny: Bool) {
        var reader = WireReader(bytes)
        guard (try? FrameHeader.read(&reader)) != nil else { return (bytes, false) }
        var (rest, start, hadAny) = (Array(bytes[..<reader.offset]), reader.offset, false)
        while let entry = try? Cluster.nextEntry(&reader) {
            if entry.kind == kind.rawValue { hadAny = true } else { rest += bytes[start..<reader.offset] }
            start = reader.offset
        }
        return (rest, hadAny)
    }

    @Test func `what somebody recorded is heard once, by whom it was for, of the process that asked`() {
        let bench = Bench(3, seed: 9, keys: [0: 2, 1: 2, 2: 2])
        var kept: [[UInt8]] = []
        bench.net.onRequest = { from, bytes in
            if from == 0, Self.without(.inquiry, bytes).hadAny { kept.append(bytes) }
        }
        #expect(bench.net.start())
        bench.ask(0, "n2", "drain", token: 1)
        #expect(bench.net.run(limit: 500) { bench.outcome(0, 1) != nil })
        bench.ask(0, "n2", "undrain", token: 2)
        #expect(bench.net.run(limit: 500) { bench.outcome(0, 2) != nil })
        #expect(bench.heard.map(\.text) == ["drain", "undrain"])
        #expect(kept.count >= 2)
        func replay(to index: Int) {
            for request in kept {
                bench.net.act(index) { cluster, store, out in
                    cluster.receive(
                        request: RawSpan(_elements: request.span), token: 999_999, store: &store, now: bench.net.now,
                        out: &out)
                }
            }
        }
        replay(to: 1)
        replay(to: 2)
        #expect(bench.heard.count == 2)
        // The one that it was for starts again: another process.
        bench.net.crash(1)
        bench.net.run(milliseconds: 1_000)
        bench.net.restart(1)
        bench.net.run(milliseconds: 2_000)
        replay(to: 1)
        #expect(bench.heard.count == 2)
        // The one that asked starts again, with a number that begins anew.
        bench.net.crash(0)
        bench.net.run(milliseconds: 1_000)
        bench.net.restart(0)
        bench.net.run(milliseconds: 2_000)
        replay(to: 1)
        replay(to: 2)
        #expect(bench.heard.count == 2)
        bench.ask(0, "n2", "drain", token: 3)
        #expect(bench.net.run(limit: 500) { bench.outcome(0, 3) == .answered(Self.bytes("n2 says drain")) })
    }

    @Test func `a code covers who asks, who is asked, their boots, the number and the text`() {
        let authenticator = Authenticator { bytes in
            let hash = KeyedHash(key0: 5, key1: 6).hash(RawSpan(_elements: bytes.span))
            return (0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 * 8)) }
        }
        let asker = MemberID(name: "n1", boot: 4)
        var inquiry = InquiryMessage()
        inquiry.number = 3
        inquiry.boot = 9
        inquiry.text = Self.bytes("drain")
        inquiry.code = authenticator.code(of: inquiry, from: asker, to: "n2")
        #expect(authenticator.accepts(inquiry, from: asker, to: "n2"))
        #expect(!authenticator.accepts(inquiry, from: asker, to: "n3"))
        #expect(!authenticator.accepts(inquiry, from: MemberID(name: "n1", boot: 5), to: "n2"))
        #expect(!authenticator.accepts(inquiry, from: MemberID(name: "n4", boot: 4), to: "n2"))
        let changes: [(inout InquiryMessage) -> Void] = [
            { $0.number = 4 }, { $0.boot = 8 }, { $0.text = Self.bytes("reload") }, { $0.code = [] },
            { $0.code[0] ^= 1 }, { $0.code.removeLast() },
        ]
        for change in changes {
            var other = inquiry
            change(&other)
            #expect(!authenticator.accepts(other, from: asker, to: "n2"))
        }
    }

    @Test func `numbers are taken once, of the latest process of each of so many names`() {
        var ledger = InquiryLedger()
        func take(_ number: UInt64, _ name: String, _ boot: UInt64) -> Bool {
            ledger.take(number, of: MemberID(name: name, boot: boot))
        }
        expect { take(1, "n1", 5) && take(2, "n1", 5) && take(9, "n1", 5) }
        expect { !take(9, "n1", 5) && !take(3, "n1", 5) && !take(10, "n1", 4) }
        expect { take(1, "n1", 6) && !take(1, "n1", 6) && !take(99, "n1", 5) }
        for number in 2...InquiryLedger.limit { expect { take(1, "n\(number)", 1) } }
        expect { !take(1, "one more", 1) && take(2, "n2", 1) }
    }

    @Test func `a member of an older version answers without a part, and is named so`() {
        let bench = Bench(2, seed: 10)
        #expect(bench.net.start())
        bench.net.onReply = { Self.without(.inquiryPart, $0).rest }
        bench.ask(0, "n2", "status", token: 1)
        #expect(bench.net.run(limit: 500) { bench.outcome(0, 1) == .notUnderstood })
    }

    @Test func `an inquiry on the wire, byte for byte`() {
        var message = InquiryMessage()
        message.number = 3
        message.boot = 0x0102
        message.offset = 300
        message.text = Self.bytes("ab")
        message.code = [0xff]
        #expect(
            Self.written { message.write(into: &$0) } == [
                0x08, 3, 0x11, 2, 1, 0, 0, 0, 0, 0, 0, 0x18, 0xac, 2, 0x22, 2, 0x61, 0x62, 0x2a, 1, 0xff,
            ])
        var part = InquiryPart(number: 3, state: .part)
        part.total = 4
        part.offset = 2
        #expect(Self.written { part.write([9, 8], into: &$0) } == [0x08, 3, 0x10, 2, 0x18, 4, 0x20, 2, 0x2a, 2, 9, 8])
    }
}

// Answers to inquiries are believed by their code only: what is forged, sent again or cut short is none.

import Primitives
import Testing

@testable import Cluster

@Suite("Answers to inquiries")
struct InquiryAnswerTests {
    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func authenticator(_ key: UInt64) -> Authenticator {
        Authenticator { bytes in
            let hash = KeyedHash(key0: key, key1: 1).hash(RawSpan(_elements: bytes.span))
            return (0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64($0 * 8)) }
        }
    }

    /// Two nodes of one key; the second answers with its name and the question.
    private static func pair(seed: UInt64) -> Net {
        let net = Net(2, seed: seed) { $0.requiresCodes = true }
        for index in 0..<2 { net.authenticators[index] = authenticator(2) }
        net.remakeAll()
        net.answer = { [unowned net] index, id, text in
            let answer = bytes("n\(index + 1) says ") + text
            net.processes[index].cluster.answer(id, with: answer, now: net.now)
        }
        return net
    }

    private static func ask(_ net: Net, _ text: String, token: UInt64) -> InquiryOutcome? {
        net.act(0) { cluster, _, out in
            cluster.inquire(of: "n2", bytes(text), token: token, now: net.now, out: &out)
        }
        net.run(limit: 500) { net.processes[0].inquired.contains { $0.token == token } }
        return net.processes[0].inquired.first { $0.token == token }?.outcome
    }

    /// A reply whose part of an answer is another.
    private static func changed(
        _ reply: [UInt8], _ change: (inout InquiryPart, inout [UInt8]) -> Void
    ) -> [UInt8] {
        var reader = WireReader(reply)
        guard (try? FrameHeader.read(&reader)) != nil else { return reply }
        var writer = ByteWriter()
        writer.put(Array(reply[..<reader.offset]))
        var start = reader.offset
        while let entry = try? Cluster.nextEntry(&reader) {
            defer { start = reader.offset }
            guard entry.kind == EntryKind.inquiryPart.rawValue, var part = try? InquiryPart(reply, entry.payload),
                part.state == .part
            else {
                writer.put(Array(reply[start..<reader.offset]))
                continue
            }
            var answer = Array(reply[part.part])
            change(&part, &answer)
            writer.put(EntryKind.inquiryPart.rawValue)
            writer.putLengthDelimited { part.write(answer[...], into: &$0) }
        }
        return writer.bytes
    }

    @Test func `an answer with its code is believed`() {
        let net = Self.pair(seed: 21)
        #expect(net.start())
        #expect(Self.ask(net, "drain", token: 1) == .answered(Self.bytes("n2 says drain")))
        #expect(net.processes[0].cluster.counters.inquiriesForged == 0)
    }

    @Test(arguments: 0..<6)
    func `one that is forged or cut short is not, is counted, and named once`(way: Int) {
        let net = Self.pair(seed: 22)
        #expect(net.start())
        let changes: [(inout InquiryPart, inout [UInt8]) -> Void] = [
            { _, answer in answer[0] ^= 1 },
            // All of it, by somebody without the key.
            { part, answer in
                answer = Self.bytes("n2 says done!")
                part.code = Self.authenticator(3).code(
                    of: part, answer[...], by: MemberID(name: "n2", boot: 100), to: MemberID(name: "n1", boot: 100))
            },
            { part, _ in part.code = [] },
            { part, _ in part.code.removeLast() },
            // Cut short, with a length that fits.
            { part, answer in
                answer.removeLast()
                part.total -= 1
            },
            { part, answer in
                part.total = 0
                answer = []
            },
        ]
        net.onReply = { Self.changed($0, changes[way]) }
        #expect(Self.ask(net, "drain", token: 1) == .forged)
        #expect(Self.ask(net, "reload", token: 2) == .forged)
        #expect(net.processes[0].cluster.counters.inquiriesForged == 2)
        let notes = net.processes[0].notes.filter {
            if case .answerForged(let member) = $0 { member.name == "n2" } else { false }
        }
        #expect(notes.count == 1)
        // Who has the key is heard again.
        net.onReply = nil
        #expect(Self.ask(net, "drain", token: 3) == .answered(Self.bytes("n2 says drain")))
    }

    @Test func `one that was recorded answers no later question`() {
        let net = Self.pair(seed: 23)
        #expect(net.start())
        var recorded: (part: InquiryPart, answer: [UInt8])?
        net.onReply = { reply in
            Self.changed(reply) { part, answer in recorded = recorded ?? (part, answer) }
        }
        #expect(Self.ask(net, "drain", token: 1) == .answered(Self.bytes("n2 says drain")))
        #expect(recorded != nil)
        net.onReply = { reply in
            Self.changed(reply) { part, answer in
                guard let recorded else { return }
                // The code as it was, for the number that is waited for.
                let number = part.number
                (part, answer) = (recorded.part, recorded.answer)
                part.number = number
            }
        }
        #expect(Self.ask(net, "undrain", token: 2) == .forged)
        #expect(net.processes[0].cluster.counters.inquiriesForged == 1)
    }

    @Test func `a code covers both ends, the number, the length, the place and the bytes`() {
        let authenticator = Self.authenticator(5)
        let (answerer, asker) = (MemberID(name: "n2", boot: 9), MemberID(name: "n1", boot: 4))
        var part = InquiryPart(number: 3, state: .part)
        part.total = 9
        part.offset = 4
        let answer = Self.bytes("reply")
        part.code = authenticator.code(of: part, answer[...], by: answerer, to: asker)
        func accepts(
            _ other: InquiryPart, _ bytes: [UInt8], _ by: MemberID, _ to: MemberID
        ) -> Bool {
            authenticator.accepts(other, bytes[...], by: by, to: to)
        }
        #expect(accepts(part, answer, answerer, asker))
        #expect(!accepts(part, answer, asker, answerer))
        #expect(!accepts(part, answer, MemberID(name: "n2", boot: 8), asker))
        #expect(!accepts(part, answer, answerer, MemberID(name: "n1", boot: 5)))
        #expect(!accepts(part, answer, answerer, MemberID(name: "n3", boot: 4)))
        #expect(!accepts(part, Array(answer.dropLast()), answerer, asker))
        let changes: [(inout InquiryPart) -> Void] = [
            { $0.number = 4 }, { $0.total = 10 }, { $0.offset = 3 }, { $0.code[0] ^= 1 },
        ]
        for change in changes {
            var other = part
            change(&other)
            #expect(!accepts(other, answer, answerer, asker))
        }
    }

    @Test func `a part on the wire is read with its code, which has a limit`() {
        func written(_ part: InquiryPart) -> [UInt8] {
            var writer = ByteWriter()
            part.write([9, 8], into: &writer)
            return writer.bytes
        }
        var part = InquiryPart(number: 3, state: .part)
        part.total = 4
        part.offset = 2
        part.code = [7, 6]
        #expect(written(part) == [0x08, 3, 0x10, 2, 0x18, 4, 0x20, 2, 0x2a, 2, 9, 8, 0x32, 2, 7, 6])
        #expect((try? InquiryPart(written(part), written(part).indices))?.code == [7, 6])
        part.code = [UInt8](repeating: 1, count: InquiryMessage.codeLimit + 1)
        #expect((try? InquiryPart(written(part), written(part).indices)) == nil)
    }
}

// What one REGISTER makes of a record that lacks what another node has: two registrars that have not heard each other,
// and the join of what they have written.

import Dialogs
import Primitives
import Routes
import SIP
import Testing

@Suite("Registrations at nodes that have not heard each other")
struct RegistrationTests {
    private static let aor = Array("bob@example.org".utf8)
    private static let start = Instant.zero.advanced(milliseconds: 1_000_000)

    private static func after(_ seconds: Int) -> Instant { start.advanced(by: .seconds(seconds)) }

    /// A registrar that hears nobody.
    private struct Registrar {
        var record = LocationRecord(aor: aor)
        var rules = RegistrarRules()

        /// Takes a REGISTER, and joins what it makes.
        mutating func take(
            _ contact: String, expires: Int, callID: String = "r", cSeq: Int, counter: UInt64 = 1, at now: Instant
        ) throws {
            let bytes = Array(
                ("REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.9.2:5060;branch=z9hG4bK\(cSeq)\r\n"
                    + "Max-Forwards: 70\r\nFrom: <sip:bob@example.org>;tag=t\r\nTo: <sip:bob@example.org>\r\n"
                    + "Call-ID: \(callID)\r\nCSeq: \(cSeq) REGISTER\r\nContact: <\(contact)>;expires=\(expires)\r\n"
                    + "Content-Length: 0\r\n\r\n").utf8)
            var message = Message()
            try message.load(RawSpan(_elements: bytes.span))
            var base = Binding()
            base.stamp = Stamp(counter: counter, tag: 1)
            let news = try Registration(
                try RegisterRequest(message), of: record, from: base, rules, now: now
            ).news
            _ = try record.join(news)
        }

        /// What is to be reached when it hears the other as late as this, without what both have let go of.
        func live(with other: Registrar, at now: Instant) throws -> Int {
            var joined = LocationRecord(aor: aor)
            for entry in record.entries + other.record.entries where entry.leavesAt > now { joined.add(entry) }
            return joined.live(at: now).count
        }
    }

    private static let contact = "sip:bob@10.0.9.2"

    @Test func `a contact that is taken back where nobody knew of it does not come back`() throws {
        var (one, other) = (Registrar(), Registrar())
        try other.take(Self.contact, expires: 7_200, cSeq: 1, counter: 9, at: Self.start)
        try one.take(Self.contact, expires: 0, cSeq: 2, at: Self.after(1))
        for seconds in [1, 60, 3_600, 7_199] {
            #expect(try other.live(with: Registrar(), at: Self.after(seconds)) == 1)
            #expect(try other.live(with: one, at: Self.after(seconds)) == 0, "\(seconds) s")
        }
        #expect(one.record.live(at: Self.after(1)).isEmpty)
        #expect(one.record.entries.allSatisfy { $0.leavesAt < Self.after(7_200 + 60) }, "it leaves by itself")
    }

    @Test func `a renewal that had not come does not bring back what was taken back`() throws {
        var (one, other) = (Registrar(), Registrar())
        try one.take(Self.contact, expires: 600, cSeq: 1, at: Self.start)
        other.record = one.record
        try other.take(Self.contact, expires: 600, cSeq: 2, counter: 2, at: Self.after(590))
        try one.take(Self.contact, expires: 0, cSeq: 3, counter: 2, at: Self.after(595))
        for seconds in [595, 700, 1_189] {
            #expect(try other.live(with: Registrar(), at: Self.after(seconds)) == 1)
            #expect(try other.live(with: one, at: Self.after(seconds)) == 0, "\(seconds) s")
        }
    }

    @Test func `who registers again has a contact again, and an earlier request is refused`() throws {
        var (one, other) = (Registrar(), Registrar())
        try one.take(Self.contact, expires: 0, cSeq: 2, counter: 9, at: Self.start)
        #expect(throws: RegistrarRefusal.outOfOrder) {
            try one.take(Self.contact, expires: 600, cSeq: 1, counter: 10, at: Self.start)
        }
        try other.take(Self.contact, expires: 600, cSeq: 3, at: Self.start)
        #expect(try one.live(with: other, at: Self.after(1)) == 1)
    }

    @Test func `a full record takes back what is there, and nothing else`() throws {
        var one = Registrar()
        try one.take(Self.contact, expires: 600, cSeq: 1, at: Self.start)
        let long = String(repeating: "x", count: 100)
        var count = 0
        while one.record.byteCount < LocationRecord.byteLimit, count < LocationRecord.entryLimit {
            do throws(any Error) {
                try one.take("sip:b\(count)\(long)@10.0.9.2", expires: 0, callID: "s", cSeq: 1, at: Self.start)
                count += 1
            } catch {
                #expect(error as? RegistrarRefusal == .tooMany)
                break
            }
        }
        #expect((20..<LocationRecord.entryLimit).contains(count))
        #expect(one.record.byteCount <= LocationRecord.byteLimit)
        // What was taken back may be so again, and what is there is.
        try one.take("sip:b0\(long)@10.0.9.2", expires: 0, callID: "s", cSeq: 2, at: Self.start)
        try one.take(Self.contact, expires: 0, cSeq: 2, at: Self.start)
        #expect(one.record.live(at: Self.start).isEmpty)
    }
}

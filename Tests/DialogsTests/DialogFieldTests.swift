// The parts of a dialog by the names that `$dlg(…)` has for them.

import Dialogs
import Primitives
import Testing

@Suite("Parts of a dialog by their names")
struct DialogFieldTests {
    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func table() throws -> (DialogTable, DialogID) {
        var table = makeTable()
        let did = table.did("c1", from: "a")
        _ = try table.learn(did, invite("c1", from: "a"))
        var facts = FactsWriter()
        facts.put(.from, text("\"Alice\" <sip:alice@h;user=phone>;tag=a"))
        facts.put(.to, text("<sip:bob@h>"))
        facts.home(name: text("n1"), boot: 1, sentBy: text("192.0.2.1:5060"))
        facts.raise([.byeFromCallee, .timedOut])
        facts.reach(.confirmed)
        var times = RecordView.Times()
        (times.bornUnixMilliseconds, times.answeredMilliseconds) = (1_700_000_000_000, 3_000)
        facts.times(times)
        facts.caller { side in
            side.sends(cSeq: 7)
            side.target(cSeq: 7) { target in
                target.put(.contact, text("sip:alice@192.0.2.7:5080"))
                target.put(.routes, text("<sip:edge;lr>"))
                target.put(.endpoint, text("192.0.2.7:5080;transport=tcp"))
            }
        }
        facts.out(text("b")) { $0.reach(.confirmed) }
        facts.write(.flag(2, isSet: true), Stamp(counter: 1, tag: 1))
        facts.write(.word(.timeoutRoute, text("late")), Stamp(counter: 1, tag: 1))
        _ = try table.learn(did, facts.bytes)
        return (table, did)
    }

    @Test func `each part is what the module says, and null where there is none`() throws {
        let (table, did) = try Self.table()
        let expected: [DialogField: DialogFieldValue?] = [
            .reference: .number(1), .identifier: .number(did.moduleIdentifier), .entry: .number(table.bucket(of: did)),
            .state: .number(4), .dialogFlags: .number(1 << 2 | 1 << 5 | 1 << 10), .scriptFlags: .number(4),
            .callID: .text(Self.text("c1")), .timeoutRoute: .text(Self.text("late")), .lifetime: .number(600),
            .start: .number(1_700_000_003), .fromURI: .text(Self.text("sip:alice@h;user=phone")),
            .fromTag: .text([0x61]), .fromCSeq: .text([0x37]), .fromRoutes: .text(Self.text("<sip:edge;lr>")),
            .fromContact: .text(Self.text("sip:alice@192.0.2.7:5080")),
            .fromSocket: .text(Self.text("tcp:192.0.2.1:5060")), .toURI: .text(Self.text("sip:bob@h")),
            .toTag: .text([0x62]), .toCSeq: .text([0x30]), .toRoutes: nil, .toContact: nil,
            .toSocket: nil,
        ]
        for field in DialogField.allCases {
            let known = try #require(expected[field])
            #expect(table.value(of: field, did, defaultLifetime: 600) == known, "\(field)")
        }
        let other = DialogID(rawValue: did.rawValue ^ 1)
        for field in DialogField.allCases { #expect(table.value(of: field, other, defaultLifetime: 600) == nil) }
    }

    @Test func `h_entry and h_id name a dialog, and a Call-ID says whether one is there`() throws {
        let (table, did) = try Self.table()
        #expect(table.did(entry: table.bucket(of: did), identifier: did.moduleIdentifier) == did)
        #expect(table.did(entry: table.bucket(of: did), identifier: did.moduleIdentifier ^ 1) == nil)
        #expect(table.did(entry: -1, identifier: did.moduleIdentifier) == nil)
        #expect(0...Int(Int32.max) ~= did.moduleIdentifier)
        #expect(table.holds(callID: Self.text("c1")) && !table.holds(callID: Self.text("c2")))
        #expect(table.secondsSinceAnswer(did, now: Instant.zero.advanced(milliseconds: 9_500)) == 6)
    }
}

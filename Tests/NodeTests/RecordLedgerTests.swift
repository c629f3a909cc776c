// The ledger by itself: what waits, in which order, and what a failure leaves behind.

import Dialogs
import Node
import Primitives
import Testing

@Suite("RecordLedger: numbers of what is not stored")
struct RecordLedgerTests {
    private static func did(_ number: Int) -> DialogID { DialogID(rawValue: UInt64(number)) }
    private static func moment(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    private static func ledger(_ numbers: ClosedRange<Int>) -> RecordLedger {
        var ledger = RecordLedger()
        for number in numbers { ledger.mark(did(number), now: moment(Int64(number))) }
        return ledger
    }

    @Test func `a record that changes again waits once, at its first place`() {
        var ledger = Self.ledger(1...3)
        ledger.mark(Self.did(1), now: Self.moment(9))
        #expect(ledger.count == 3 && ledger.oldest == Self.moment(1))
        let taken = ledger.take(2)
        #expect(taken.map(\.did) == [Self.did(1), Self.did(2)])
        #expect(ledger.count == 1 && ledger.oldest == Self.moment(3))
    }

    @Test func `what failed waits again before the others, for as long as before`() {
        var ledger = Self.ledger(1...4)
        let taken = ledger.take(2)
        let number = ledger.handOut(stored: taken, removed: [])
        #expect(ledger.count == 4 && ledger.oldestUnwritten == Self.moment(1))
        ledger.mark(Self.did(2), now: Self.moment(9))
        let isOurs = ledger.failed(number)
        #expect(isOurs && ledger.count == 4 && ledger.oldest == Self.moment(1))
        let (again, nothing) = (ledger.take(), ledger.take())
        #expect(again.map(\.did) == [1, 2, 3, 4].map(Self.did))
        #expect(nothing.isEmpty && ledger.count == 0)
    }

    @Test func `what changes while it is handed out is written again`() {
        var ledger = Self.ledger(1...1)
        let number = ledger.handOut(stored: ledger.take(), removed: [])
        ledger.mark(Self.did(1), now: Self.moment(9))
        let isOurs = ledger.written(number)
        #expect(isOurs && ledger.count == 1 && ledger.rows == [Self.did(1)])
        let others = [ledger.written(number), ledger.failed(number)]
        #expect(others == [false, false], "of a batch that is not out nothing is believed")
    }

    @Test func `a record that never got there needs no row to go, one that did does`() {
        var ledger = Self.ledger(1...2)
        let first = ledger.handOut(stored: ledger.take(1), removed: [])
        let isFirst = ledger.written(first)
        for number in 1...2 { ledger.forget(Self.did(number), now: Self.moment(5)) }
        let taken = ledger.take()
        #expect(isFirst && taken.map(\.did) == [Self.did(1)])
        let second = ledger.handOut(stored: [], removed: taken)
        #expect(ledger.rows == [Self.did(1)])
        let isSecond = ledger.written(second)
        #expect(isSecond && ledger.rows.isEmpty && ledger.count == 0)
    }

    @Test func `calls that come and go while the database is away leave nothing behind`() {
        var ledger = Self.ledger(1...1)
        for number in 2...200_000 {
            ledger.mark(Self.did(number), now: Self.moment(Int64(number)))
            ledger.forget(Self.did(number), now: Self.moment(Int64(number)))
        }
        #expect(ledger.count == 1 && ledger.oldest == Self.moment(1))
        #expect(ledger.placeCount < 4_096)
    }

    @Test func `what has been handed out leaves no place behind, though there is always more`() {
        var ledger = RecordLedger()
        for turn in 0..<10_000 {
            for number in 0..<300 {
                ledger.mark(Self.did((turn * 300 + number) % 5_000 + 1), now: Self.moment(Int64(turn)))
            }
            _ = ledger.take()
        }
        #expect(ledger.waiting > 0 && ledger.placeCount < 16_384)
    }
}

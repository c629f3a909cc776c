// The questions that a node has granted: the first one's bytes stay, and there is an end to how many are kept.

import Cluster
import Dialogs
import Node
import Primitives
import Testing

@Suite("Intents that were heard")
struct HeardIntentsTests {
    private func intent(_ number: UInt64, payload: [UInt8] = []) -> Intent {
        Intent(did: number, generation: 1, deadlineMilliseconds: 5, payload: payload)
    }

    @Test func `the first one's bytes stay, and the moment is the last one's`() {
        var intents = HeardIntents()
        let did = DialogID(rawValue: 7)
        intents.hear(intent(7, payload: [1]), did, now: .zero)
        intents.hear(intent(7, payload: [2]), did, now: Instant.zero.advanced(milliseconds: 3))
        let heard = intents.find(did, generation: 1, milliseconds: 5)
        #expect(heard?.intent.payload == [1] && heard?.heardAt == Instant.zero.advanced(milliseconds: 3))
        #expect(intents.find(did, generation: 1, milliseconds: 6) == nil, "another deadline is another question")
        intents.forget(did)
        #expect(intents.find(did, generation: 1, milliseconds: 5) == nil && intents.forgotten == 0)
    }

    @Test func `at the limit the intent first heard is forgotten, counted`() {
        var intents = HeardIntents()
        for number in 0..<UInt64(HeardIntents.limit) {
            intents.hear(intent(number), DialogID(rawValue: number), now: .zero)
        }
        intents.forget(DialogID(rawValue: 0))
        intents.hear(intent(100_000), DialogID(rawValue: 100_000), now: .zero)
        #expect(intents.forgotten == 0, "there was room for it")
        for number in 1...3_000 as ClosedRange<UInt64> {
            intents.hear(intent(200_000 + number), DialogID(rawValue: 200_000 + number), now: .zero)
        }
        #expect(intents.count == HeardIntents.limit && intents.forgotten == 3_000)
        #expect(intents.find(DialogID(rawValue: 3_000), generation: 1, milliseconds: 5) == nil)
        #expect(intents.find(DialogID(rawValue: 3_001), generation: 1, milliseconds: 5) != nil)
    }
}

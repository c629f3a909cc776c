// Dialogs whose end was granted: frozen for a while, and there is an end to how many.

import Dialogs
import Primitives
import Proxy
import Testing

@Suite("Dialogs that are being ended")
struct FrozenDialogsTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }

    @Test func `a dialog is frozen until its time is over`() {
        var frozen = FrozenDialogs()
        frozen.insert(DialogID(rawValue: 1), until: at(1_500), now: at(0))
        #expect(frozen.contains(DialogID(rawValue: 1), now: at(1_499)))
        #expect(!frozen.contains(DialogID(rawValue: 1), now: at(1_500)))
        frozen.insert(DialogID(rawValue: 2), until: at(3_500), now: at(2_000))
        #expect(frozen.count == 1 && frozen.evicted == 0)
    }

    @Test func `at the limit the one frozen first is let go early, counted`() {
        var frozen = FrozenDialogs()
        for number in 0..<UInt64(FrozenDialogs.limit + 2) {
            frozen.insert(DialogID(rawValue: number), until: at(1_500), now: at(0))
        }
        #expect(frozen.count == FrozenDialogs.limit && frozen.evicted == 2)
        #expect(!frozen.contains(DialogID(rawValue: 1), now: at(0)))
        #expect(frozen.contains(DialogID(rawValue: 2), now: at(0)))
    }
}

// Instant: arithmetic and its ends.

import Primitives
import Testing

@Suite("Instant")
struct InstantTests {
    @Test func `durations and milliseconds move an instant both ways`() {
        let start = Instant(nanoseconds: 5_000_000)
        #expect(start.advanced(by: .milliseconds(3)) == Instant(nanoseconds: 8_000_000))
        #expect(start.advanced(milliseconds: -7) == Instant(nanoseconds: -2_000_000))
        #expect(start.advanced(milliseconds: 20).milliseconds(since: start) == 20)
        #expect(start.milliseconds(since: start.advanced(milliseconds: 20)) == -20)
        #expect(start.advanced(by: .seconds(1)) - start == .seconds(1))
        #expect(Instant.zero < start && start < .distantFuture)
    }

    @Test func `an age from the network cannot overflow an instant`() {
        #expect(Instant.zero.advanced(milliseconds: .max) == .distantFuture)
        #expect(Instant.zero.advanced(milliseconds: .min) == Instant(nanoseconds: .min))
        #expect(Instant.distantFuture.advanced(by: .seconds(Int64.max)) == .distantFuture)
        #expect(Instant.zero.advanced(by: .seconds(Int64.min)) == Instant(nanoseconds: .min))
        #expect(Instant.distantFuture - Instant(nanoseconds: -1) == .nanoseconds(Int64.max))
        #expect(Instant(nanoseconds: .min).milliseconds(since: .distantFuture) == Int64.min / 1_000_000)
        #expect(Duration.milliseconds(1_500).wholeMilliseconds == 1_500)
    }

    @Test(arguments: [0, 1, 2, 3, 64, -5] as [Int])
    func `a duration several times over, and a part of one, are the standard library's`(count: Int) {
        for duration in [Duration.zero, .milliseconds(500), .seconds(-3), .nanoseconds(7), .seconds(10_000_000_000)] {
            #expect(duration * count == duration * Int64(count))
            if count != 0 { #expect(duration / count == duration / Int64(count)) }
        }
    }

    @Test(
        arguments: [
            0, 1, 999, 1_000_000_000, 4_722_366_482_869, 4_722_366_482_870, 86_400_000_000_000, Int64.max, -1, -1_500,
        ] as [Int64])
    func `nanoseconds come out of a duration as they went in, whichever way it is divided`(nanoseconds: Int64) {
        #expect(Duration.nanoseconds(nanoseconds).saturatedNanoseconds == nanoseconds)
        let bit = Duration(attoseconds: nanoseconds < 0 ? -999_999_999 : 999_999_999)
        guard nanoseconds < .max else { return }
        #expect((Duration.nanoseconds(nanoseconds) + bit).saturatedNanoseconds == nanoseconds, "toward zero")
    }
}

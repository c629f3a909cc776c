// TimerWheel against a sorted list: times from the past to beyond the horizon, cancels, jumps of any length.

import Primitives
import Testing

@Suite("Timer wheel")
struct TimerWheelTests {
    private static let tick: Int64 = 10_000_000

    private struct Expected {
        var token: UInt64
        var tick: Int64
        var id: TimerID
    }

    /// What a wheel promises, said with an array: due tick first, then order of scheduling.
    private static func take(_ model: inout [Expected], upTo tick: Int64) -> [UInt64] {
        let due = model.enumerated().filter { $0.element.tick <= tick }
            .sorted { ($0.element.tick, $0.offset) < ($1.element.tick, $1.offset) }.map(\.element.token)
        model.removeAll { $0.tick <= tick }
        return due
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `timers fire in the order of ticks, then of scheduling, as a sorted list would`(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let origin = Instant(nanoseconds: Int64.random(in: -1_000_000_000...1_000_000_000_000, using: &random))
        var wheel = TimerWheel(origin: origin)
        var model: [Expected] = []
        var stale: [TimerID] = [.none]
        var now: Int64 = 0  // nanoseconds since the origin
        for token in 0..<600 as Range<UInt64> {
            // Delays of every magnitude, from the past to 2³⁴ ticks.
            let bits = Int64.random(in: 0...34, using: &random)
            let delay = Int64.random(in: -5...(1 << bits), using: &random) * Self.tick + Int64(token % 3) * 3_333_333
            let at = now + delay
            let id = wheel.schedule(token, at: origin.advanced(by: .nanoseconds(at)))
            let due = max((max(at, 0) + Self.tick - 1) / Self.tick, now / Self.tick + 1)
            model.append(Expected(token: token, tick: due, id: id))
            if Int.random(in: 0..<4, using: &random) == 0, let index = model.indices.randomElement(using: &random) {
                wheel.cancel(model[index].id)
                stale.append(model[index].id)
                model.remove(at: index)
            }
            wheel.cancel(stale.randomElement(using: &random) ?? .none)
            if Int.random(in: 0..<3, using: &random) == 0 {
                now += Int64.random(in: 0...(1 << Int64.random(in: 0...30, using: &random)), using: &random) * 7_000_000
                var due: [UInt64] = []
                wheel.advance(to: origin.advanced(by: .nanoseconds(now)), due: &due)
                #expect(due == Self.take(&model, upTo: now / Self.tick))
            }
            #expect(wheel.count == model.count)
        }
        var due: [UInt64] = []
        wheel.advance(to: .distantFuture, due: &due)
        #expect(due == Self.take(&model, upTo: .max))
        #expect(wheel.count == 0 && wheel.next == nil)
    }

    @Test(arguments: [0, 1, 255, 256, 257, 65_535, 65_536, 16_777_216, 4_294_967_296, 8_589_934_599] as [Int64])
    func `sleeping until next reaches every timer in at most six wake-ups and never late`(ticks: Int64) throws {
        let origin = Instant(nanoseconds: 123)
        var wheel = TimerWheel(origin: origin)
        var due: [UInt64] = []
        wheel.advance(to: origin.advanced(milliseconds: 10 * 200), due: &due)
        let at = origin.advanced(milliseconds: 10 * (200 + ticks))
        _ = wheel.schedule(7, at: at)
        var wakeUps = 0
        var last = origin
        while due.isEmpty {
            let next = try #require(wheel.next)
            #expect(next > last && (next <= at || ticks == 0))
            wheel.advance(to: next, due: &due)
            last = next
            wakeUps += 1
            try #require(wakeUps <= 6)
        }
        #expect(due == [7])
        #expect(last == (ticks == 0 ? at.advanced(milliseconds: 10) : at))
    }

    @Test func `a timer never fires early, not by a nanosecond`() {
        var wheel = TimerWheel(origin: .zero)
        _ = wheel.schedule(1, at: Instant(nanoseconds: Self.tick * 5))
        _ = wheel.schedule(2, at: Instant(nanoseconds: Self.tick * 5 + 1))
        var due: [UInt64] = []
        wheel.advance(to: Instant(nanoseconds: Self.tick * 5 - 1), due: &due)
        #expect(due.isEmpty)
        wheel.advance(to: Instant(nanoseconds: Self.tick * 5), due: &due)
        #expect(due == [1])
        wheel.advance(to: Instant(nanoseconds: Self.tick * 6), due: &due)
        #expect(due == [1, 2])
    }

    @Test func `time does not run backwards and a stale name cancels nobody else's timer`() {
        var wheel = TimerWheel(origin: .zero)
        var due: [UInt64] = []
        let first = wheel.schedule(1, at: Instant(nanoseconds: Self.tick))
        wheel.advance(to: Instant(nanoseconds: Self.tick), due: &due)
        _ = wheel.schedule(2, at: .distantFuture)
        wheel.cancel(first)
        wheel.cancel(.none)
        wheel.advance(to: .zero, due: &due)
        #expect(due == [1] && wheel.count == 1)
    }
}

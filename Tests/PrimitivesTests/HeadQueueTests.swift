// A queue in one array, which moves what is left to the front now and then.

import Primitives
import Testing

@Suite("HeadQueue")
struct HeadQueueTests {
    @Test func `who has waited longest comes first`() {
        var queue = HeadQueue<Int>()
        #expect(queue.isEmpty && queue.first == nil && queue.popFirst() == nil)
        for number in 1...3 { queue.append(number) }
        #expect(queue.count == 3 && queue.first == 1)
        #expect(queue.popFirst() == 1 && queue.popFirst() == 2)
        queue.append(4)
        #expect(queue.popFirst() == 3 && queue.popFirst() == 4 && queue.isEmpty)
        queue.append(5)
        #expect(queue.count == 1 && queue.first == 5)
    }

    @Test func `only who fits the test is taken`() {
        var queue = HeadQueue<Int>()
        for number in 1...3 { queue.append(number) }
        #expect(queue.popFirst { $0 > 1 } == nil && queue.count == 3)
        #expect(queue.popFirst { $0 < 2 } == 1 && queue.first == 2)
        queue.popFirst()
        queue.popFirst()
        #expect(queue.popFirst { _ in true } == nil)
    }

    @Test func `it is in order, and holds few places, whatever is appended and taken`() {
        var (queue, model, next) = (HeadQueue<Int>(), [Int](), 0)
        var random = SplitMix(seed: 1)
        for turn in 0..<20_000 {
            // It grows for a while, and shrinks for a while.
            if random.next(below: 100) < (turn / 2_000 % 2 == 0 ? 60 : 40) {
                queue.append(next)
                model.append(next)
                next += 1
            } else {
                #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(queue.count == model.count && queue.first == model.first && queue.isEmpty == model.isEmpty)
            #expect(queue.placeCount <= 2 * queue.count + HeadQueue<Int>.slack + 2)
        }
        while let one = queue.popFirst() { #expect(one == model.removeFirst()) }
        #expect(model.isEmpty)
    }
}

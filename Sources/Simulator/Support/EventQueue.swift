// EventQueue is the simulator's time: a binary heap ordered by (time, counter).
//
// The counter makes the order total, so two events of one instant come out in the order they were put in, on every
// machine. The heap holds small keys and the events lie beside it, so that sifting moves little. Nothing is ever
// removed from the middle: an event that is no longer wanted finds so when it is delivered.

struct EventQueue {
    private struct Key {
        /// Nanoseconds of virtual time.
        var time: Int64
        var counter: UInt64
        var slot: Int

        func precedes(_ other: Key) -> Bool {
            time != other.time ? time < other.time : counter < other.counter
        }
    }

    private var heap: [Key] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var counter: UInt64 = 0

    var count: Int { heap.count }
    var nextTime: Int64? { heap.first?.time }

    mutating func push(_ event: Event, at time: Int64) {
        counter += 1
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            events[slot] = event
        } else {
            slot = events.count
            events.append(event)
        }
        heap.append(Key(time: time, counter: counter, slot: slot))
        siftUp()
    }

    mutating func pop() -> (time: Int64, event: Event)? {
        guard let first = heap.first, let event = events[first.slot] else { return nil }
        events[first.slot] = nil
        free.append(first.slot)
        let last = heap.removeLast()
        guard !heap.isEmpty else { return (first.time, event) }
        heap[0] = last
        siftDown()
        return (first.time, event)
    }

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var least = parent
            let left = 2 * parent + 1
            if left < heap.count && heap[left].precedes(heap[least]) { least = left }
            if left + 1 < heap.count && heap[left + 1].precedes(heap[least]) { least = left + 1 }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

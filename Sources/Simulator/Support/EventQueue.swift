// EventQueue is the simulator's time: a binary heap ordered by (time, counter).
//
// The counter makes the order total, so two events of one instant come out in the order they were put in, on every
// machine. Nothing is ever removed from the middle: an event that is no longer wanted finds so when it is delivered.

struct EventQueue {
    struct Entry {
        /// Nanoseconds of virtual time.
        var time: Int64
        var counter: UInt64
        var event: Event

        func precedes(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : counter < other.counter
        }
    }

    private var heap: [Entry] = []
    private var counter: UInt64 = 0

    var count: Int { heap.count }
    var nextTime: Int64? { heap.first?.time }

    mutating func push(_ event: Event, at time: Int64) {
        counter += 1
        heap.append(Entry(time: time, counter: counter, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> Entry? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].precedes(heap[least]) { least = child }
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

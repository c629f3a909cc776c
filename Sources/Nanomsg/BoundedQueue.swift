// BoundedQueue hands work to one consumer thread. At its limit it refuses, and the caller says what that means: a
// request that finds no room is answered "no answer", a probe "silent". It never makes the caller wait.

import Synchronization

/// Many producers, one consumer.
final class BoundedQueue<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    private let signal = Signal()
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// - Returns: Whether there was room.
    func put(_ element: Element) -> Bool {
        let count: Int? = elements.withLock { elements in
            guard elements.count < limit else { return nil }
            elements.append(element)
            return elements.count
        }
        if count == 1 { signal.kick() }
        return count != nil
    }

    /// The oldest element; waits for one, at most `milliseconds`.
    func take(waiting milliseconds: Int64) -> Element? {
        if let element = first() { return element }
        signal.wait(milliseconds: milliseconds)
        return first()
    }

    /// Wakes the consumer with nothing, so that it looks at its stop flag.
    func wake() { signal.kick() }

    private func first() -> Element? {
        elements.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }
}

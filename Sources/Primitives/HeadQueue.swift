// HeadQueue is a queue in one array: what is taken leaves its place behind until half of the array is such places, and
// then the rest moves to the front. Each element moves at most once for each that was taken, whatever the length.
//
//   ░ ░ ░ ░ │ a b c d e        head = 4; `append` goes to the right
//
// Limit: none of its own; who appends has one. It holds at most twice the places of what waits, and `slack` more.

public struct HeadQueue<Element: Sendable>: Sendable {
    @usableFromInline
    var places: [Element] = []
    @usableFromInline
    var head = 0

    /// So few left-over places are not worth moving the rest.
    @inlinable
    public static var slack: Int { 64 }

    @inlinable
    public init() {}

    @inlinable
    public var count: Int { places.count &- head }
    @inlinable
    public var isEmpty: Bool { head == places.count }

    /// Who has waited longest.
    @inlinable
    public var first: Element? { head < places.count ? places[head] : nil }

    /// Places of the array, left-over ones among them.
    public var placeCount: Int { places.count }

    @inlinable
    public mutating func append(_ element: Element) {
        places.append(element)
    }

    /// Takes the first one out.
    @inlinable
    @discardableResult
    public mutating func popFirst() -> Element? {
        guard head < places.count else { return nil }
        let element = places[head]
        head &+= 1
        if head == places.count {
            places.removeAll(keepingCapacity: true)
            head = 0
        } else if head > Self.slack, head > places.count / 2 {
            places.removeFirst(head)
            head = 0
        }
        return element
    }

    /// Takes the first one out if the test holds for it.
    @inlinable
    public mutating func popFirst(where test: (Element) -> Bool) -> Element? {
        guard head < places.count, test(places[head]) else { return nil }
        return popFirst()
    }
}

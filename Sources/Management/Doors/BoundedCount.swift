// How many there are of something that a door takes at a time, on several event loops: connections, requests under way.
// What is over it is let go, and counted over all doors.

import Synchronization

package final class BoundedCount: Sendable {
    private let count = Mutex(0)
    private let limit: Int
    private let drops: DoorDrops

    package init(limit: Int, drops: DoorDrops) {
        self.limit = limit
        self.drops = drops
    }

    package func take() -> Bool {
        let isTaken = count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        if !isTaken { drops.note() }
        return isTaken
    }

    package func giveBack() { count.withLock { $0 -= 1 } }
}

/// What doors have let go: connections, and requests that got no answer, since too many were there.
package final class DoorDrops: Sendable {
    private let count = Mutex<Int64>(0)

    package init() {}

    package var value: Int64 { count.withLock { $0 } }

    func note() { count.withLock { $0 &+= 1 } }
}

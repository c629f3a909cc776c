// How much a door lets through: so many requests a second, with a burst of as many, whoever asks. What is over it is
// answered "Command Executed Too Fast", and is not carried out.

import Synchronization

final class DoorRate: Sendable {
    /// kamcmd asks once a process; a loop in a shell asks some hundred times a second.
    static let perSecond = 1_000

    private struct Bucket {
        var tokens = Double(perSecond)
        var lookedAt = ContinuousClock.now
    }

    private let bucket = Mutex(Bucket())

    /// Whether one more request may be carried out now.
    func takes() -> Bool {
        bucket.withLock { bucket in
            let now = ContinuousClock.now
            let passed = Double((now - bucket.lookedAt).wholeMicroseconds) / 1_000_000
            bucket.lookedAt = now
            bucket.tokens = min(Double(Self.perSecond), bucket.tokens + passed * Double(Self.perSecond))
            guard bucket.tokens >= 1 else { return false }
            bucket.tokens -= 1
            return true
        }
    }
}

extension Duration {
    fileprivate var wholeMicroseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}

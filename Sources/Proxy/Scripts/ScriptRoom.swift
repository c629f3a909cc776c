// ScriptRoom keeps what a script has been asked about, by token, until its verdict comes or its time is over. A token
// is never used twice, so a verdict that is late, or comes again, finds nothing.
//
// Limit: `limit` questions at once. Beyond it a request that begins something is refused, and everything else goes on
// as without a script; both are counted.

import Primitives

struct ScriptRoom: Sendable {
    static let limit = 4_096
    /// As long as a request's sender waits (64·T1).
    static let wait = Duration.seconds(32)

    enum Subject: Sendable {
        case request(WaitingRequest)
        /// A branch of a context, by its position.
        case branch(SlotID, Int)
        /// A response to a context, by its number there.
        case response(SlotID, UInt64)
        /// How a branch of a context ended.
        case branchFailure(SlotID, Int, Proxy.BranchEnd)
        case final(SlotID)
        /// A request of the cluster's own, by its position.
        case local(SlotID, Int)
        case acknowledgement(LeavingAcknowledgement)
    }

    private var subjects: [UInt64: Subject] = [:]
    /// In the order of asking, which is that of their ends.
    private var order = HeadQueue<(token: UInt64, until: Instant)>()
    private var lastToken: UInt64 = 0

    var count: Int { subjects.count }

    /// When `expire` may have something to do.
    var next: Instant? { order.first?.until }

    /// - Returns: The token; `nil` when there is no room.
    mutating func keep(_ subject: consuming Subject, now: Instant) -> UInt64? {
        guard subjects.count < Self.limit else { return nil }
        lastToken &+= 1
        subjects[lastToken] = subject
        order.append((token: lastToken, until: now.advanced(by: Self.wait)))
        return lastToken
    }

    mutating func take(_ token: UInt64) -> Subject? {
        defer { forgetTaken() }
        return subjects.removeValue(forKey: token)
    }

    /// The subjects whose time is over.
    mutating func expire(now: Instant) -> [Subject] {
        var late: [Subject] = []
        while let first = order.popFirst(where: { $0.until <= now }) {
            if let subject = subjects.removeValue(forKey: first.token) { late.append(subject) }
        }
        forgetTaken()
        return late
    }

    /// The order keeps no more than twice what there is.
    private mutating func forgetTaken() {
        while let first = order.first, subjects[first.token] == nil { order.popFirst() }
    }
}

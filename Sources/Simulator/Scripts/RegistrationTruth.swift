// What is known of one user's registrations: what its phone has said of each of its contacts, when that reached a node,
// and whose 200 has left. Only checkers read it.

internal import Node

/// One REGISTER: a contact for so many seconds, or its removal.
struct Claim {
    let version: Int
    /// `nil` for a removal.
    let lifetime: Nanoseconds?
    let cseq: UInt32
    /// When its first and its last copy reached a node.
    var reachedAt: Nanoseconds?
    var lastReachedAt: Nanoseconds = 0
    /// When a 200 first left a node.
    var leftAt: Nanoseconds?
    /// Processes that have been seen to have it.
    var knowers: [ProcessID] = []
    /// Those of them that could tell how old it is: they had it at once, or one that did has told them.
    var timely: [ProcessID] = []

    /// Nobody may have it later than this.
    var latestEnd: Nanoseconds? { lifetime.map { lastReachedAt + $0 } }
    /// Everybody has it as long as this.
    var earliestEnd: Nanoseconds? { lifetime.flatMap { lifetime in reachedAt.map { $0 + lifetime } } }
}

final class RegistrationTruth {
    var claims: [Claim] = []
    /// By process and version: the highest CSeq of a removal that the process is known to have.
    var removalsKnown: [ProcessID: [Int: UInt32]] = [:]
    var isEverRegistered: Bool { claims.contains { $0.leftAt != nil && $0.lifetime != nil } }

    func hadContact(_ version: Int, _ process: ProcessID) -> Bool {
        claims.contains { $0.version == version && $0.lifetime != nil && $0.knowers.contains(process) }
    }

    func claim(_ cseq: UInt32) -> Int? { claims.firstIndex { $0.cseq == cseq } }

    /// The last that was said of a contact.
    func last(_ version: Int) -> Claim? { claims.last { $0.version == version } }
}

// AskedRequests is what this node knows of requests within dialogs that somebody has asked for and that have not ended:
// its own, and those that other members make, should they die.
//
//   asked for ──wish and shift are one patch──▶ spreading ──all have it──▶ sent ──final answer, silence──▶ ended
//                                                   └──not within `patience`──▶ not made
//   another's ──its node is gone, this one ranks first──▶ spreading, with the same CSeq and branch
//             └──and it was asked for `lifetime` ago──▶ given up
//
// Limits: `limit` requests, further ones are refused; of other members' further ones are not watched. A dialog that
// ends takes its requests with it.

import Dialogs
import Primitives

struct AskedRequest: Sendable {
    struct Key: Hashable, Sendable {
        var did: DialogID
        var leg: Leg
    }

    enum Phase: Sendable {
        /// Until every member has the shift: our sequence of it, 0 until it is published, and when to give up.
        case spreading(sequence: UInt64, until: Instant)
        case sent
        /// The member with this tag makes it; how often in a row it was not live.
        case elsewhere(writer: UInt32, absences: Int)
    }

    var wish: RequestWish
    var phase: Phase
    /// Names it in a commit.
    var number: UInt32
}

struct AskedRequests: Sendable {
    static let limit = 4_096
    /// How long the members have to take the shift. A lost frame is repeated within half a commit timeout.
    static let patience = Duration.seconds(1)
    /// 64·T1: after that nobody waits for the answer to a request of a dead node's any more.
    static let lifetime: Int64 = 32_000
    static let spreadingLook = Duration.milliseconds(10)
    static let otherLook = Duration.milliseconds(250)

    private(set) var entries: [AskedRequest.Key: AskedRequest] = [:]
    /// Those of this node's that spread, in the order in which they were asked for.
    private(set) var spreading: [AskedRequest.Key] = []
    private var lastNumber: UInt32 = 0
    private(set) var nextLook = Instant.distantFuture
    /// What is to be told.
    var events: [RequestEvent] = []

    var isFull: Bool { entries.count >= Self.limit }
    var count: Int { entries.count }

    /// All of them, in an order that is the same in every process.
    var keys: [AskedRequest.Key] {
        entries.keys.sorted { ($0.did, $0.leg.rawValue) < ($1.did, $1.leg.rawValue) }
    }

    subscript(_ key: AskedRequest.Key) -> AskedRequest? { entries[key] }

    mutating func set(_ phase: AskedRequest.Phase, _ wish: RequestWish, _ key: AskedRequest.Key, now: Instant) {
        spreading.removeAll { $0 == key }
        var isSpreading = false
        if case .spreading = phase { isSpreading = true }
        var number = entries[key]?.number ?? 0
        if isSpreading, number == 0 {
            lastNumber = lastNumber == .max ? 1 : lastNumber + 1
            number = lastNumber
        }
        if isSpreading { spreading.append(key) }
        entries[key] = AskedRequest(wish: wish, phase: phase, number: number)
        lookAgain(now: now)
    }

    mutating func remove(_ key: AskedRequest.Key) {
        guard entries.removeValue(forKey: key) != nil else { return }
        spreading.removeAll { $0 == key }
        if entries.isEmpty { nextLook = .distantFuture }
    }

    func key(ofNumber number: UInt32) -> AskedRequest.Key? {
        spreading.first { entries[$0]?.number == number }
    }

    mutating func lookAgain(now: Instant) {
        let wait = spreading.isEmpty ? Self.otherLook : Self.spreadingLook
        nextLook = entries.isEmpty ? .distantFuture : now.advanced(by: wait)
    }
}

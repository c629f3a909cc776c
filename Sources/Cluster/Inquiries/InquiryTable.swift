// InquiryTable holds what operators ask of other members through this node, until it is answered or cannot be.
//
//   waiting ──the lane to its member is free──▶ asked ──a part──▶ asked for the next ── … ──all parts──▶ answered
//      │                                          │ being worked on: again after 10 ms
//      └──no part for `patience`, the member is no longer heard, or it refuses, or a code is wrong──▶ not answered
//
// A member is asked one thing at a time, in order. Limits: `limit` inquiries, answers of `answerLimit` bytes.

internal import Primitives

/// What became of an inquiry.
package enum InquiryOutcome: Equatable, Sendable {
    case answered([UInt8])
    /// Nobody of this name is known.
    case unknownMember
    /// None of our peers' addresses leads to it.
    case notListed
    /// It is down, or has left.
    case notHeard
    /// Nothing came in time.
    case silent
    /// It refused the code or the number, or forgot the inquiry.
    case refused
    /// What came for an answer has not its code: it is somebody else's, or of an older version.
    case forged
    /// It does not know inquiries.
    case notUnderstood
    /// Text or answer.
    case tooLong
    /// Too many are open here.
    case tooMany
}

/// An inquiry as its answerer names it.
package struct InquiryID: Hashable, Sendable {
    package var asker: MemberID
    package var number: UInt64
}

struct InquiryTable: Sendable {
    struct Open: Sendable {
        let token: UInt64
        let to: MemberID
        let number: UInt64
        let text: [UInt8]
        var received: [UInt8] = []
        var until: Instant
        var notBefore: Instant
    }

    static let limit = 32
    /// Bytes of an answer, for whoever gives it and whoever takes it.
    static let answerLimit = 8_388_608
    static let patience: Duration = .seconds(4)
    /// How soon an answer is asked for again that is being worked on.
    static let pace: Duration = .milliseconds(10)

    private(set) var open: [Open] = []
    private var lastNumber: UInt64 = 0

    /// - Returns: `false` at the limit.
    mutating func begin(_ text: [UInt8], to member: MemberID, token: UInt64, now: Instant) -> Bool {
        guard open.count < Self.limit else { return false }
        lastNumber += 1
        open.append(
            Open(
                token: token, to: member, number: lastNumber, text: text, until: now.advanced(by: Self.patience),
                notBefore: now))
        return true
    }

    /// The first one to a member: the others wait for it.
    func first(to member: MemberID) -> Open? { open.first { $0.to == member } }

    var isEmpty: Bool { open.isEmpty }

    var nextTimeout: Instant { isEmpty ? .distantFuture : open.map(\.until).min() ?? .distantFuture }

    subscript(number: UInt64) -> Open? { open.first { $0.number == number } }

    mutating func end(_ number: UInt64) { open.removeAll { $0.number == number } }

    mutating func putOff(_ number: UInt64, now: Instant) {
        guard let at = open.firstIndex(where: { $0.number == number }) else { return }
        open[at].notBefore = now.advanced(by: Self.pace)
    }

    /// A part of the answer.
    /// - Returns: The answer when it is whole; empty parts and those that do not follow are asked for again.
    mutating func take(_ part: InquiryPart, _ bytes: ArraySlice<UInt8>, now: Instant) -> InquiryOutcome? {
        guard let at = open.firstIndex(where: { $0.number == part.number }) else { return nil }
        guard part.total <= UInt64(Self.answerLimit) else { return .tooLong }
        let total = Int(part.total)
        let isNext = part.offset == UInt64(open[at].received.count) && open[at].received.count + bytes.count <= total
        guard isNext, !bytes.isEmpty || total == 0 else {
            putOff(part.number, now: now)
            return nil
        }
        open[at].received += bytes
        open[at].until = now.advanced(by: Self.patience)
        open[at].notBefore = now
        return open[at].received.count == total ? .answered(open[at].received) : nil
    }
}

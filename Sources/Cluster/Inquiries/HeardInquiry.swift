// What other members ask of this node for their operators: one inquiry of each is worked on, and its answer kept until
// it has been fetched and some time beyond, because the last part may be lost on its way.
//
// InquiryLedger remembers the highest number of each asker, of its latest boot: a number is taken once, whoever sends
// it.

internal import Primitives

struct HeardInquiry: Sendable {
    let number: UInt64
    /// `nil` while it is worked on.
    var answer: [UInt8]?
    var isTooLong = false
    /// Forgotten then; each request for a part puts it off.
    var until: Instant

    static let life: Duration = .seconds(10)

    func isPending(_ now: Instant) -> Bool { answer == nil && !isTooLong && now < until }
}

struct InquiryLedger: Sendable {
    private var askers: [String: (boot: UInt64, number: UInt64)] = [:]
    /// Names; one for each member that there may be.
    static let limit = 64

    /// Notes a number.
    /// - Returns: `false` when it has been taken before, is of an earlier process, or nobody more is remembered.
    mutating func take(_ number: UInt64, of asker: MemberID) -> Bool {
        if let known = askers[asker.name] {
            guard (known.boot, known.number) < (asker.boot, number) else { return false }
        } else if askers.count >= Self.limit {
            return false
        }
        askers[asker.name] = (asker.boot, number)
        return true
    }
}

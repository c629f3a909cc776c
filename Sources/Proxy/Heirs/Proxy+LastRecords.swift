// LastRecords are records as they stood when this node ended them while a transaction of another member's was open.
// A live owner hears of the end and cancels its branches, or answers its caller, itself. One that has died a moment
// ago, which nobody knows yet, does not; and the tombstone, which is all that the others have, says nothing of it. So
// whoever wrote the end looks once more when members are gone. Debts are remembered the same way (`Proxy+OwedEnds`).
//
// Limits: `limit` records, each for `span`, which is longer than any death goes unnoticed. The oldest makes room.

package import Dialogs
package import Primitives
import SIP

package struct LastRecords: Sendable {
    package static let limit = 64
    static let span = Duration.seconds(10)

    private(set) var entries: [(did: DialogID, record: Record, until: Instant)] = []
    /// Records that made room for others before their time.
    package private(set) var evicted: UInt64 = 0

    package init() {}

    package mutating func keep(_ did: DialogID, _ record: Record, now: Instant) {
        entries.removeAll { $0.until <= now || $0.did == did }
        if entries.count >= Self.limit {
            entries.removeFirst()
            evicted += 1
        }
        entries.append((did, record, now.advanced(by: Self.span)))
    }

    mutating func forget(_ did: DialogID) { entries.removeAll { $0.did == did } }

    /// Those that are still remembered.
    mutating func current(now: Instant) -> [(did: DialogID, record: Record, since: Instant)] {
        entries.removeAll { $0.until <= now }
        return entries.map { ($0.did, $0.record, $0.until.advanced(by: .zero - Self.span)) }
    }
}

extension Proxy {
    /// The dialog is about to end, and a live member has a transaction of it.
    mutating func keepLastRecord(_ did: DialogID, _ record: Record) {
        let isOpen =
            record.pendings.contains { !$0.progress.contains(.final) && isOfLivePeer($0) }
            || record.adoptions.contains { isOfLivePeer($0) }
        if isOpen { lastRecords.keep(did, record, now: now) }
    }

    private func isOfLivePeer(_ pending: Record.Pending) -> Bool {
        token(of: pending).flatMap { neighbours.peer($0.member) }?.isLive ?? false
    }

    /// The owner of a transaction is dead.
    mutating func isDead(_ token: Branch.Token) -> Bool {
        !settings.isOwn(token.member) && neighbours.isDead(token.member, now: now)
    }

    /// Members have come or gone: what they had open of dialogs that this node has ended is cancelled and answered.
    package mutating func reviewLastRecords(now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        payOwedEnds(dialogs: &dialogs)
        guard !lastRecords.entries.isEmpty else { return }
        for (did, record, _) in lastRecords.current(now: now) {
            var seen: [SlotID] = []
            for pending in record.pendings where !pending.progress.contains(.final) {
                guard let token = token(of: pending), isDead(token), !seen.contains(token.slot) else { continue }
                seen.append(token.slot)
                if inviteContext(of: did, where: { $0.heir?.slot == token.slot }) == nil {
                    cancelLosers(did, record, pending, token, dialogs: &dialogs)
                }
            }
            for adoption in record.adoptions {
                guard let token = token(of: adoption), isDead(token),
                    adoptFromRecord(adoption, did, record) != nil
                else { continue }
                counters.adopted += 1
                reviewsDue.append(did)
            }
        }
    }
}

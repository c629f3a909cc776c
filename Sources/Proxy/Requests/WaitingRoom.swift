// WaitingRoom keeps what waits for a dialog's record: the record is asked for, and comes or does not.
//
//   request that refreshes, CANCEL   waits with its bytes, `requestWait` at most, then goes by its Route (R2, S1-7)
//   ACK, BYE                         was sent on at once; its bytes wait for what they teach, `messageWait` at most
//   2xx of a dead node's             is not kept: its callee repeats it; how often it was let pass is remembered
//
// Everything leaves with its record or with its time, and each kind has room for `limit`. Beyond that a request goes on
// without its record, an ACK or BYE teaches nothing, and the dialog whose 2xx waited longest is forgotten: each is
// counted. Nothing here depends on who is waiting for what: entries are in order of their ends.

import Dialogs
import Primitives

/// A request that waits, and where it goes on.
struct WaitingRequest: Sendable {
    var bytes: [UInt8]
    var plan: RequestPlan
    var stage: Stage
    /// `Proxy.messageNumber` when it began to wait; 0 where nobody asks.
    var number: UInt64 = 0
}

struct WaitingRoom: Sendable {
    /// Of each kind.
    static let limit = 256
    static let requestWait = Duration.milliseconds(200)
    /// A record that has not come by then will not: its publisher repeats what a commit waits for within 50 ms, and a
    /// gap is asked for with the next heartbeat.
    static let messageWait = Duration.seconds(5)
    /// A 2xx is let pass so often, and as long as the question is young: several callees of one call answer at once.
    /// Then it goes on without a record.
    static let answerTries = 2
    /// Its callee repeats it for 64·T1, then nothing of it is worth remembering.
    static let answerWait = Duration.seconds(32)

    private struct Message: Sendable {
        var did: DialogID
        var bytes: [UInt8]
        var until: Instant
    }

    private var requests: [(did: DialogID, request: WaitingRequest, until: Instant)] = []
    private var messages: [Message] = []
    private var answers: [(did: DialogID, tries: Int, since: Instant, until: Instant)] = []
    /// INVITEs that members were asked for, since a CANCEL came and nothing is known here; at the limit one may be
    /// asked for twice.
    private var invites: [(did: DialogID, until: Instant)] = []

    var requestCount: Int { requests.count }

    var isEmpty: Bool { requests.isEmpty && messages.isEmpty }

    /// When `expire` has something to do.
    var next: Instant? {
        guard !isEmpty else { return nil }
        return [requests.first?.until, messages.first?.until].compactMap { $0 }.min()
    }

    /// - Returns: False when there is no room.
    mutating func keep(_ request: WaitingRequest, for did: DialogID, now: Instant) -> Bool {
        guard requests.count < Self.limit else { return false }
        requests.append((did, request, now.advanced(by: Self.requestWait)))
        return true
    }

    /// - Returns: False when there is no room.
    mutating func park(_ bytes: [UInt8], of did: DialogID, now: Instant) -> Bool {
        guard messages.count < Self.limit else { return false }
        messages.append(Message(did: did, bytes: bytes, until: now.advanced(by: Self.messageWait)))
        return true
    }

    /// Counts that a 2xx of this dialog was let pass.
    /// - Returns: Whether it may be once more, and whether another dialog was forgotten for it.
    mutating func letPass(_ did: DialogID, now: Instant) -> (mayWait: Bool, hasForgotten: Bool) {
        answers.removeAll { $0.until <= now }
        let known = answers.last { $0.did == did }
        let (tries, since) = (known?.tries ?? 0, known?.since ?? now)
        guard tries < Self.answerTries || now < since.advanced(by: Self.requestWait) else { return (false, false) }
        answers.removeAll { $0.did == did }
        let hasForgotten = answers.count >= Self.limit
        if hasForgotten { answers.removeFirst() }
        answers.append((did, tries + 1, since, now.advanced(by: Self.answerWait)))
        return (true, hasForgotten)
    }

    /// Notes that members were asked for the INVITE that a CANCEL is for.
    /// - Returns: False where they were before.
    mutating func asksForInvite(_ did: DialogID, now: Instant) -> Bool {
        invites.removeAll { $0.until <= now }
        guard !invites.contains(where: { $0.did == did }) else { return false }
        if invites.count >= Self.limit { invites.removeFirst() }
        invites.append((did, now.advanced(by: Self.answerWait)))
        return true
    }

    /// The record of a dialog has come: what waited for it, in order of arrival.
    mutating func take(_ did: DialogID) -> (requests: [WaitingRequest], messages: [[UInt8]]) {
        answers.removeAll { $0.did == did }
        guard !isEmpty else { return ([], []) }
        let taken = (
            requests: requests.filter { $0.did == did }.map(\.request),
            messages: messages.filter { $0.did == did }.map(\.bytes)
        )
        requests.removeAll { $0.did == did }
        messages.removeAll { $0.did == did }
        return taken
    }

    /// The requests that have waited long enough, and how many messages are let go.
    mutating func expire(now: Instant) -> (requests: [WaitingRequest], forgotten: Int) {
        let late = requests.prefix { $0.until <= now }.map(\.request)
        requests.removeFirst(late.count)
        let forgotten = messages.prefix { $0.until <= now }.count
        messages.removeFirst(forgotten)
        return (late, forgotten)
    }
}

// ViewAgreement decides the view that follows the present one: single-decree Paxos about epoch + 1 among the members of
// this epoch, carried in heartbeats instead of messages of its own (R3).
//
//   idle ──a change is wanted, our turn──▶ preparing ──a quorum promised──▶ accepting ──a quorum accepted──▶ new view
//     ▲                                        │ a higher ballot was seen, or nothing happened for a while │
//     └────────────────────────────────────────┴───────────────────────────────────────────────────────────┘
//
// What a heartbeat shows (promised, accepted, value) is the acceptor's state. Promising and accepting need no message
// from the proposer itself: a ballot names its owner, and only the owner gives it a value, so hearsay is as good. Each
// member finds out by itself that a quorum has accepted; who missed it adopts the higher epoch from any heartbeat.
//
// Quorum: more than half of the members of the present view. Or, after half or more of them died at once and some came
// back: every member that can still vote, or half of the seats, if one of the others is gone. Gone is a seat whose
// process has proven, by a newer boot, a farewell or a bus port that refuses, that it can never vote again. It may have
// voted before it went, together with members that are only cut off: so these must be too few to have decided
// anything with it. A restarted process itself never votes: it has no memory.
//
// Invariant: within one epoch two different values are never decided by majorities. A lone survivor (`View.yields`) can
// make a second view of one epoch when the other of two is taken for dead and is not; the lower names then win as soon
// as the two hear of each other.
// Not attempted: agreement on anything but the view, or on more than one epoch at a time.

internal import Primitives

struct ViewAgreement: Sendable {
    /// What one member last showed about the present epoch.
    struct Shown {
        var member: MemberID
        var promised: Ballot
        var accepted: Ballot
        var value: [MemberID]
    }

    /// What a step is to know of the world.
    struct Situation {
        /// The members of the view that we hear, with what they showed; not we ourselves.
        var shown: [Shown]
        /// How many members of the view we hear, whatever they show; not we ourselves.
        var heardMembers: Int
        /// Seats whose process proved that it is gone for good.
        var goneSeats: Int
        /// The view we would want; `nil` while the present one is right.
        var wanted: [MemberID]?
        /// Our place among the members that we hear: 0 proposes first.
        var rank: Int
        var now: Instant
    }

    private let localMember: MemberID
    private(set) var view: View
    private(set) var promised = Ballot()
    private(set) var accepted = Ballot()
    private(set) var value: [MemberID] = []
    /// Since when a change has been wanted, or an attempt went on.
    private var waitingSince: Instant?
    /// Our own ballot, while it has no value yet.
    private var preparing: Ballot?

    init(localMember: MemberID) {
        self.localMember = localMember
        view = View()
    }

    var isMember: Bool { view.contains(localMember) }

    /// The next view stands. All that was promised about it is done with.
    mutating func adopt(_ view: View) {
        self.view = view
        promised = Ballot()
        accepted = Ballot()
        value = []
        waitingSince = nil
        preparing = nil
    }

    /// Hears what a member of our view shows about our epoch.
    ///
    /// - Returns: Whether what we show changed.
    mutating func hear(_ shown: Shown) -> Bool {
        guard isMember, view.contains(shown.member) else { return false }
        var changed = false
        if shown.accepted.round > 0, shown.accepted >= promised, shown.accepted != accepted, isPlausible(shown.value) {
            promised = shown.accepted
            accepted = shown.accepted
            value = shown.value
            changed = true
        }
        if shown.promised > promised {
            promised = shown.promised
            changed = true
        }
        if let preparing, preparing < promised { self.preparing = nil }
        return changed
    }

    /// Goes as far as what is known allows.
    ///
    /// - Returns: The members of the next view when it is decided, and whether what we show changed.
    mutating func step(_ situation: Situation) -> (decided: [MemberID]?, changed: Bool) {
        guard isMember else { return (nil, false) }
        if accepted.round > 0 {
            let voters = 1 + situation.shown.count { $0.accepted == accepted }
            if isQuorum(voters, situation) { return (value, true) }
        }
        if let ballot = preparing, promised == ballot, accepted < ballot { return (nil, choose(ballot, situation)) }
        guard situation.wanted != nil || accepted.round > 0 else {
            waitingSince = nil
            return (nil, false)
        }
        return (nil, bid(situation))
    }

    /// When `step` may do something new although nothing was heard.
    func nextDeadline(rank: Int) -> Instant? {
        waitingSince?.advanced(by: patience(rank: rank))
    }

    private mutating func bid(_ situation: Situation) -> Bool {
        let now = situation.now
        guard let since = waitingSince else {
            waitingSince = now
            // The first in rank begins at once, when nobody else has.
            return situation.rank == 0 && promised.round == 0 && open(now)
        }
        guard now >= since.advanced(by: patience(rank: situation.rank)) else { return false }
        return open(now)
    }

    private mutating func open(_ now: Instant) -> Bool {
        guard promised.round < UInt32(Int32.max) - 1 else { return false }
        let ballot = Ballot(round: promised.round + 1, name: localMember.name)
        promised = ballot
        preparing = ballot
        waitingSince = now
        return true
    }

    /// Gives our ballot its value once a quorum has promised it: the newest value any of them accepted, else what we
    /// want.
    private mutating func choose(_ ballot: Ballot, _ situation: Situation) -> Bool {
        let promisers = situation.shown.filter { $0.promised == ballot }
        guard isQuorum(1 + promisers.count, situation) else {
            // The others may have missed it; a new ballot is opened after the usual wait.
            return waitingSince.map { situation.now >= $0.advanced(by: patience(rank: situation.rank)) } == true
                && open(situation.now)
        }
        var newest = accepted
        var chosen = accepted.round > 0 ? value : situation.wanted
        for promiser in promisers where promiser.accepted > newest && isPlausible(promiser.value) {
            newest = promiser.accepted
            chosen = promiser.value
        }
        preparing = nil
        guard let chosen else { return false }
        accepted = ballot
        value = chosen
        waitingSince = situation.now
        return true
    }

    private func isQuorum(_ voters: Int, _ situation: Situation) -> Bool {
        let seats = view.members.count
        if 2 * voters > seats || mutated("view-no-majority") || mutated("view-minority") { return true }
        let isRest = voters + situation.goneSeats >= seats || 2 * voters >= seats && situation.goneSeats > 0
        return isRest && voters == 1 + situation.heardMembers
    }

    private func isPlausible(_ value: [MemberID]) -> Bool { !value.isEmpty && value.count <= Heartbeat.limit }

    private func patience(rank: Int) -> Duration { .milliseconds(300 + 100 * rank) }
}

extension ViewAgreement.Shown {
    init(of member: MemberID, _ heartbeat: Heartbeat) {
        self.init(
            member: member, promised: heartbeat.promised, accepted: heartbeat.accepted, value: heartbeat.value)
    }
}

// Peer is everything this node knows of one name on the bus: the process heard last, what it said, its stream here, how
// far it has ours, and what we want of it over the repair socket.
//
// A newer boot of the name replaces the process and all that belonged to it (stream, acknowledgements, comparisons).
// While the process that we know is heard, a newer boot is only a challenger: two processes with one name, or a restart
// of some milliseconds ago; the silence that decides lasts two heartbeats and a half.

internal import Primitives

struct Peer: Sendable {
    let name: String
    private(set) var boot: UInt64
    private(set) var salt: Salt
    var detector: FailureDetector
    var heartbeat = Heartbeat()
    /// It sent a heartbeat since we know this process.
    var hasHeartbeat = false
    var heartbeatClock: UInt64 = 0
    var offset = ClockOffset()
    var stream = InboundStream()
    /// Dialogs whose age its first frames told, 4096 at most, and those whose age is to be asked for again.
    private(set) var aged: [UInt64] = []
    private(set) var misaged: [UInt64] = []
    /// It has answered so soon that what its clock says is known: the ages that it tells are right from there on. One
    /// of which only a backlog was ever read, and that died, has told ages that nobody else would doubt.
    private(set) var isTimed = false
    /// Those of them that a request under way asks for.
    private var askedAges: [UInt64] = []
    /// The records that it asks for and has had no answer about, in the order in which they are answered.
    private var asked: [UInt64] = []
    static let agedLimit = 4_096
    /// The newest clock seen in its frames.
    var clock: UInt64 = 0
    /// Last sequence of ours that it acknowledged.
    var acknowledged: UInt64 = 0
    /// Commits in a row that it let time out.
    var missedCommits = 0
    /// What we last said of it; a change is told at once.
    var verdict = Verdict.heard
    /// Dead, and since when; it leaves the list after `forgetAfter`.
    var downSince: Instant?
    /// When its replica was compared with ours last, completely, and without leaving out the young.
    var comparedAt: Instant?
    var wants = Wants()
    var session: SyncSession?
    /// What it asked last for an operator of its own.
    var inquiry: HeardInquiry?
    /// Its position in the configured list, once known.
    var index: Int?

    /// What to ask it for, with the next request.
    struct Wants: Sendable {
        var isBehind = false
        var notBefore = Instant.zero
        var dids: [UInt64] = []
        var pushes: [UInt64] = []
        /// A comparison; the most thorough reason wins.
        var sync: SyncReason?
    }

    static let challengeSilence: Duration = .milliseconds(250)
    /// Facts pushed to it with one request.
    static let pushLimit = 256

    init(_ member: MemberID, salt: Salt, now: Instant) {
        name = member.name
        boot = member.boot
        self.salt = salt
        detector = FailureDetector(now: now)
    }

    var id: MemberID { MemberID(name: name, boot: boot) }

    mutating func want(sync reason: SyncReason) { wants.sync = max(wants.sync ?? reason, reason) }

    /// - Returns: `false` at the limit: whoever wants it asks again, or does without.
    mutating func want(did: UInt64) -> Bool {
        guard !wants.dids.contains(did) else { return true }
        guard wants.dids.count < FetchRequest.limit else { return false }
        wants.dids.append(did)
        return true
    }

    /// Notes whose age this peer told, and what to think of the ages it told before.
    /// - Returns: `false` at the limit: this age is believed.
    mutating func noteAge(of did: UInt64) -> Bool {
        if isTimed { return true }
        guard aged.count < Self.agedLimit else { return false }
        aged.append(did)
        return true
    }

    /// Its earlier messages were slower than they seemed: the ages they told are asked for again.
    mutating func distrustAges() {
        if mutated("ages-trusted") { return }
        misaged += aged.prefix(max(0, Self.agedLimit - misaged.count))
        aged = []
    }

    /// How long a question and its answer were on their way: a frame of this peer's is no older than it seems by more.
    mutating func noteRoundTrip(_ duration: Duration) {
        guard duration <= Self.quickRoundTrip else { return }
        isTimed = true
        aged = []
    }

    static let quickRoundTrip: Duration = .milliseconds(100)

    /// Moves ages to be asked for again into the next request, as many as it takes.
    mutating func wantMisaged() {
        guard !misaged.isEmpty, wants.dids.isEmpty else { return }
        wants.dids = Array(misaged.prefix(FetchRequest.limit))
        misaged.removeFirst(wants.dids.count)
        askedAges = wants.dids
    }

    /// The records that the next request asks for.
    mutating func takeAsked() -> [UInt64] {
        asked = wants.dids
        wants.dids = []
        return asked
    }

    /// A record is in the answer: nothing that was asked for before it comes any more.
    mutating func noteAnswered(_ did: UInt64) {
        if let at = asked.firstIndex(of: did) { asked.removeFirst(at + 1) }
    }

    /// The request under way has its answer, or will have none: then its ages are asked for again.
    /// - Parameters:
    ///   - answerer: Who has answered. Another process of this name may have, which knows nothing of what was asked.
    ///   - isCut: The answer ended at its bound. What comes after the last record in it may be known there, and is
    ///     asked for again.
    mutating func endAsking(answeredBy answerer: MemberID?, isCut: Bool = false) {
        if answerer != id {
            misaged = Array((askedAges + misaged).prefix(Self.agedLimit))
        } else if isCut {
            let ages = Set(askedAges)
            misaged = Array((asked.filter(ages.contains) + misaged).prefix(Self.agedLimit))
            for did in asked where !ages.contains(did) { _ = want(did: did) }
        }
        askedAges = []
        asked = []
    }

    /// Hands over the ages that it cannot be asked for any more.
    mutating func takeMisaged() -> [UInt64] {
        endAsking(answeredBy: nil)
        if !isTimed { distrustAges() }
        defer { misaged = [] }
        return misaged
    }

    mutating func takeOver(misaged others: [UInt64]) {
        misaged += others.prefix(max(0, Self.agedLimit - misaged.count))
    }

    /// - Returns: `false` at the limit: it finds the gap by itself, with the next frame.
    mutating func want(push sequence: UInt64) -> Bool {
        guard !wants.pushes.contains(sequence) else { return true }
        guard wants.pushes.count < Self.pushLimit else { return false }
        wants.pushes.append(sequence)
        return true
    }

    func verdict(_ now: Instant, _ settings: ClusterSettings) -> Verdict {
        if detector.refusedAt != nil { return .refused }
        if heartbeat.state == .left { return .left }
        return detector.isSilent(now, settings) ? .silent : .heard
    }
}

/// Why replicas are compared; the later the more thorough and the sooner.
enum SyncReason: UInt8, Comparable, Sendable {
    /// Each second, with one peer whose digest differs; young buckets are left out, and while there are any only a
    /// stretch of the table is compared.
    case routine
    /// A routine comparison that does not leave out the young, for replicas that never rest.
    case thorough
    /// The view changed, a member died (R17), a gap is older than the ring, we join, or an operator asked.
    case complete

    static func < (left: SyncReason, right: SyncReason) -> Bool { left.rawValue < right.rawValue }
}

/// One comparison in progress: we ask, chunk by chunk.
struct SyncSession: Sendable {
    var reason: SyncReason
    var cursor = SyncCursor()
    /// The bucket that it ends before, when it is of one stretch of the table only.
    var end: Int?
    var began: Instant
    /// The positions of the first chunk: everything up to them is in what comes (R6).
    var positions: [Position]?
    /// The lowest sequence of each stream that came since our first digests were taken: those do not cover it, nor
    /// what it may have brought back.
    var overtaken: [MemberID: UInt64] = [:]
    var changed: UInt64 = 0
    /// The answerer's stream and boot as we began; another process cannot go on with it.
    var boot: UInt64
}

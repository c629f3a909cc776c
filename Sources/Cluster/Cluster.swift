// Cluster is the part of a node that speaks with the other nodes: one machine without I/O, composed of smaller ones.
//
//      frames, requests, replies, probes, time                            facts, waits, questions of the node
//                      │                                                                  │
//   Wire ── header and entries                                                            ▼
//   Membership ── FailureDetector a peer, ViewAgreement ── view, quorum, fit     OutboundStream, CommitWaits, AskTable
//   Streams ── InboundStream a peer, ParkedPatches, ClockOffset                           │
//   Repair ── RequestLane a peer, SyncSession, TombstoneLedger                            │
//   Takeover ── Ranking                                                                   │
//                      └──────────────────────── ClusterActions ◀───────────────────────────┘
//
// A member's life:   joining ──in the view, and compared with every live member of it──▶ up ⇄ draining ──▶ left
//                       ▲──────────── found itself outside of the view ─────────────────┘
//
// How the shell drives it: events in any order, then `advance` once after each batch; frames and requests leave only
// from there, so a batch shares them. After a pause the shell hands in everything that its sockets hold before
// `advance` (R13). `nextDeadline` is when `advance` is needed without an event.
//
// Invariants: nothing here depends on the order of a set or dictionary, on a clock, or on chance that is not seeded.
// Every table has its limit in `ClusterSettings` or beside its type. Only members of the view vote, grant and
// acknowledge.
// Not attempted: quarantine of lapsed members (R5).

package import Primitives

package struct Cluster: Sendable {
    private let passing = ByAddress()
    let settings: ClusterSettings
    let hash: KeyedHash
    let mark: UInt64
    let salt: Salt
    package internal(set) var localMember: MemberID
    package var hello: Hello
    /// Service addresses that this host holds now; told to the others. At most 64.
    package var addresses: [String] = [] { didSet { if addresses != oldValue { isHeartbeatUrgent = true } } }
    package internal(set) var state = MemberState.joining
    package internal(set) var isFit = false
    package internal(set) var counters = ClusterCounters()
    /// Lamport counter: at least every counter that any heartbeat showed.
    package internal(set) var lamport: UInt64 = 0

    /// Sorted by name.
    var peers: [Peer] = []
    var lanes: [RequestLane]
    var agreement: ViewAgreement
    var outbound: OutboundStream
    var waits: CommitWaits
    var chase = Chase()
    var parked: ParkedPatches
    var asks: AskTable
    var questions: QuestionTable
    var asked: AskedDialogs
    var tombstones: TombstoneLedger
    package internal(set) var ranking: Ranking
    var inquiries = InquiryTable()
    var inquiryLedger = InquiryLedger()
    let authenticator: Authenticator?
    var random: SplitMix
    var scratch = ByteWriter()

    /// When the next heartbeat leaves at the latest; a loop that comes much later than that was late.
    var nextHeartbeat: Instant
    var lastHeartbeat: Instant?
    var isHeartbeatUrgent = false
    /// Something was heard that membership may depend on.
    var isMembershipStale = true
    var evaluateAt: Instant

    var joinBegan: Instant
    var epochBegan: Instant
    /// See `Heartbeat.ready` and `Heartbeat.compared`.
    var readyEpoch: UInt64 = 0
    var comparedEpoch: UInt64 = 0
    var isDrainWanted = false
    var hasQuorum = false
    /// Not fit until a majority was compared with since then: quorum came back.
    var compareSince: Instant?
    /// Not fit before it: the loop was late.
    var holdUntil: Instant
    /// Not fit until a member has heard a heartbeat that is not older.
    var wokeAt: UInt64?
    /// With `findsPeers`: the first list of peers has come.
    var arePeersFound = false
    /// Since when no member of any view has been heard, for the bootstrap.
    var memberlessSince: Instant
    /// Since when a live process with our name and another boot has been told of.
    var namesakeSince: Instant?

    /// Records whose age was told by somebody who cannot be asked any more, 4096 at most, until another is heard.
    var unaskedAges: [UInt64] = []

    /// When the positions of the streams we follow are to be told.
    var arePositionsDue = Instant.distantFuture
    var nextCompare: Instant
    var compareRound = 0
    /// Where the next stretch begins.
    var compareBucket = 0
    var chunkWindow: Instant
    var chunksInWindow = 0
    var nextRequestID: UInt64 = 0
    var notedOnce: Set<String> = []
    /// Who sends frames that are not of this cluster, by name.
    package internal(set) var strangers: [Stranger] = []
    /// Who publishes and has not answered a question of ours, sixteen at most.
    var unproven: [Unproven] = []

    /// Chunks asked for in ten milliseconds, over all peers: about 100 MB/s at most.
    static let chunksPerWindow = 4
    static let chunkWindowLength: Duration = .milliseconds(10)
    static let heartbeatSpacing: Duration = .milliseconds(10)

    /// - Parameters:
    ///   - boot: Names this process; larger than any earlier one of the name, as far as the shell can tell.
    ///   - hash: Keyed alike on all nodes of the cluster.
    ///   - seed: Different in each process; spreads periodic work, and makes the salt unless one is given.
    ///   - authenticator: Under the cluster's key; without one, and with `requiresCodes`, every inquiry is refused.
    package init(
        settings: ClusterSettings, boot: UInt64, hello: Hello, hash: KeyedHash, seed: UInt64, salt: Salt? = nil,
        authenticator: Authenticator? = nil, now: Instant
    ) {
        self.settings = settings
        self.hash = hash
        self.hello = hello
        self.authenticator = authenticator
        let name = Array(settings.name.utf8)
        var stream = hash.begin()
        stream.combine(RawSpan(_elements: name.span))
        mark = stream.finish()
        var random = SplitMix(seed: seed)
        self.salt = salt ?? Salt(high: random.next(), low: random.next())
        localMember = MemberID(name: settings.nodeName, boot: boot)
        lanes = settings.peers.map { RequestLane(address: $0, now: now) }
        agreement = ViewAgreement(localMember: localMember)
        outbound = OutboundStream(capacity: settings.ringCapacity, linger: settings.linger, now: now)
        waits = CommitWaits(limit: settings.waitLimit)
        parked = ParkedPatches(limit: settings.parkedLimit)
        asks = AskTable(limit: settings.askLimit)
        questions = QuestionTable(limit: settings.askLimit)
        asked = AskedDialogs(limit: settings.askLimit)
        tombstones = TombstoneLedger(limit: settings.tombstoneLimit, now: now)
        ranking = Ranking(hash: hash)
        nextHeartbeat = now
        evaluateAt = now
        joinBegan = now
        epochBegan = now
        holdUntil = now
        memberlessSince = now
        chunkWindow = now
        nextCompare = now.advanced(by: settings.compareInterval * Int(1 + random.next(below: 3)) / 2)
        self.random = random
    }

    // MARK: Queries

    package var view: View { agreement.view }
    package var isMember: Bool { agreement.isMember }
    package var quorum: QuorumStatus { hasQuorum ? .held : .lost }
    /// Last sequence of our stream.
    package var lastSequence: UInt64 { outbound.last }

    /// Peers whose acknowledgements count: in the view, up, heard, and not three commits behind.
    package var livePeerCount: Int { peers.indices.count { counts($0) } }

    /// Peers that are up, by what they last said; a node that is alone with its records leaves only when there is none.
    package var servingPeerCount: Int { peers.indices.count { isServing($0) } }

    /// Some peer that is up has every fact of ours and the same live records, so we may leave without a loss (R18).
    package func hasEqualPeer(_ store: some ReplicatedRecords) -> Bool {
        let root = store.rootDigest
        return peers.indices.contains { at in
            isServing(at) && peers[at].heartbeat.root == root && peers[at].acknowledged >= outbound.last
        }
    }

    /// Whether every process that may serve requests moves CSeqs, and has our facts up to here: the members of the view
    /// that are not proven gone, whether or not they are heard, and those that are heard and join. A witness serves
    /// none.
    package func isShiftEverywhere(_ sequence: UInt64) -> Bool {
        let silent = view.members.contains { member in
            member != localMember && isLive(member) && position(of: member).map { !isHeard($0) } ?? true
        }
        return !silent
            && peers.indices.allSatisfy { at in
                guard isHeard(at), !peers[at].heartbeat.isWitness else { return true }
                let movesCSeqs = peers[at].heartbeat.hello.capabilities & Hello.movesCSeqs != 0
                return movesCSeqs && peers[at].acknowledged >= sequence
            }
    }

    private func isHeard(_ at: Int) -> Bool { hears(at) && peers[at].heartbeat.state != .left }

    /// A stamp counter that is newer than everything heard, and than what stands where it is to be written.
    package mutating func nextStamp(above known: UInt64) -> UInt64 {
        if !mutated("stamp-without-receive") { lamport = max(lamport, known) }
        if lamport < .max { lamport += 1 }  // A peer may say anything; of equal counters the tag decides.
        return lamport
    }

    /// Whether this process may still handle what it owns: in the view, not replaced by a newer boot, not proven gone.
    package func isLive(_ member: MemberID) -> Bool {
        if member == localMember { return true }
        guard agreement.view.contains(member), let at = position(of: member) else { return false }
        return peers[at].verdict != .refused && peers[at].verdict != .left
    }

    /// Whether this node may act for transactions of the dead: the members of this view have compared what they hold,
    /// or could not within `Self.comparisonPatience`. What two of them knew while apart is otherwise joined too late.
    package func hasComparedView(now: Instant) -> Bool {
        comparedEpoch == view.epoch || now >= epochBegan.advanced(by: Self.comparisonPatience)
            || mutated("heir-compares-not")
    }

    static let comparisonPatience = Duration.seconds(1)

    func place(of name: String) -> Int? { peers.firstIndex { $0.name == name } }

    func position(of member: MemberID) -> Int? { peers.firstIndex { $0.name == member.name && $0.boot == member.boot } }

    // A peer is asked about by its place in `peers`: to hand over the peer is to copy all that it holds.

    func counts(_ at: Int) -> Bool {
        if peers[at].verdict == .heard, peers[at].heartbeat.state == .joining, mutated("joiner-acknowledges") {
            return true
        }
        return peers[at].missedCommits < 3 && isServing(at) && isInView(at)
    }

    func hears(_ at: Int) -> Bool { peers[at].verdict == .heard && peers[at].hasHeartbeat }

    func isServing(_ at: Int) -> Bool {
        hears(at) && peers[at].heartbeat.state.isServing && !peers[at].heartbeat.isWitness
    }

    func isInView(_ at: Int) -> Bool {
        agreement.view.members.contains { $0.boot == peers[at].boot && $0.name == peers[at].name }
    }

    func isHeardMember(_ at: Int) -> Bool { hears(at) && isInView(at) }

    /// How many members of the view we hear, ourselves not counted.
    var heardCount: Int { peers.indices.count { isHeardMember($0) } }

    /// What the first of a kind tells an operator; the rest is counted.
    mutating func noteOnce(_ key: String, _ note: ClusterNote, _ out: inout ClusterActions) {
        guard notedOnce.count < 256, notedOnce.insert(key).inserted else { return }
        out.append(.note(note))
    }
}

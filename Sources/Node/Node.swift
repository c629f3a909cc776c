// Node is one member of the cluster as one deterministic machine: proxy, dialogs and cluster on one thread, without a
// clock, a socket or a lock. Datagrams, frames and the passing of time come in; what is to be done goes into the
// caller's `Outbox`. The shell and the simulator drive the same value.
//
//   datagram ──▶ Proxy ──facts──▶ Dialogs ──▶ Cluster.publish ──▶ frames
//                  ▲  └─commit──▶ Cluster.wait ──▶ committed ─┐
//                  └──────────────────────────────────────────┘
//   frame ─────▶ Cluster ──join──▶ Dialogs ──▶ touched dialogs ──▶ timers, Proxy.review
//   time ──────▶ deadline due ──▶ rank ──▶ Cluster.ask ──▶ granted ──▶ Proxy.end ──▶ BYEs ──▶ tombstone
//
// Files: +Effects (carries out what the parts ask for), +Resolution (names to endpoints, and the peers behind one),
// +Deadlines (when this node acts), +Membership (who is live, who inherits), +Succession (whose a dead member's dialogs
// are), Trace (messages kept for operators), Storage (what is kept besides memory), +Setup (settings to machines),
// +Reports (what operators see).

package import Cluster
import Dialogs
package import Primitives
package import Proxy
package import Routes
package import SIP

package struct Node: Sendable {
    private let passing = ByAddress()
    /// As it was started with, but for what `reload` has taken since.
    package internal(set) var settings: Settings
    package let boot: UInt64
    let startedAt: Instant
    /// Unix time in milliseconds at `startedAt`; for display only.
    var unixMilliseconds: Int64 {
        didSet { proxy.unixOrigin = unixMilliseconds - startedAt.milliseconds(since: .zero) }
    }
    let hash: KeyedHash

    var store: Replica
    var proxy: Proxy
    package internal(set) var cluster: Cluster
    var resolver: Resolver
    /// The nodes of `cluster.dns`; `nil` with `cluster.peers` or alone.
    var peerFinder: PeerFinder?
    var clusterActions = ClusterActions()
    var resolverActions: [ResolverAction] = []
    var counters = NodeCounters()

    /// What was last published, so a commit knows what it waits for.
    var lastSequence: UInt64 = 0
    var heldAddresses: [Address] = []
    /// The service addresses of the cluster, for the shell to open: each may move to this host (S1-1).
    package internal(set) var serviceAddresses: [Endpoint] = []
    /// Where the slow walk over all records is (`+Membership`).
    var walk = RecordWalk()
    var profileTimeouts = ProfileTimeouts()
    /// A review of all records is wanted from this moment on.
    var reviewAt: Instant = .distantFuture
    /// A second one, when owners that nobody has heard of have had their time.
    var strangersReviewAt: Instant = .distantFuture
    /// When membership is looked at again without an event.
    var membershipAt: Instant = .zero
    var quorumLostSince: Instant?
    /// Whether this node might act when its members were last looked at, and since when that holds.
    var wasFit = false
    /// A majority of those who hold records could grant an end.
    var endsCanBeGranted = false
    /// Where the members are, in their order.
    var places: [MemberPlace] = []
    /// What the other members are called, as they tell it.
    var memberNames: [String] = []
    var fitSince: Instant = .zero
    var dueDialogs: [DialogID] = []
    var overdue = OverdueEnds()
    var recordBytes = ByteWriter(capacity: 2_048)
    /// The last messages, and what became of members meanwhile.
    var trace: TraceRing
    var traceOfMembers: [(at: Instant, number: UInt64, text: String)] = []
    var tracedDatagrams = 0
    /// Members that are gone, whose dialogs are being counted.
    var successions: [Succession] = []
    var lastView: [MemberID] = []
    var notesDue: [Note] = []
    /// Registrations whose 200 waits for its commit.
    var registrations = Slab<HeldRegistration>(limit: HeldRegistration.limit)
    /// Events of dialogs' lives that this node tells, and when it looks at others.
    var lifeEvents: [LifeEvent] = []
    var tellingTimes: TellingTimes
    /// Whoever is told of them says when it has them (`confirm`); and those that it has not said so of.
    package var awaitsConfirmation = false
    var unconfirmed: [DialogID: Telling] = [:]
    /// Requests within dialogs that somebody has asked for.
    var asked = AskedRequests()
    /// Where records are kept besides memory, and what has not got there.
    var storage = StorageState()
    /// The number of the last bridge.
    var lastBridge: UInt64 = 0
    var takeoverTimes = Histogram()
    var memberLags = Histogram()

    /// - Parameters:
    ///   - settings: Validated: `settings.problems()` is empty.
    ///   - boot: Names this process; larger than any before of the same node.
    ///   - seed: Decides every random choice.
    ///   - salt: Different in every process there ever is; without one it follows from the seed. Keys hang on it.
    ///   - authenticator: Under `cluster.key`; a node with a key and without this refuses every inquiry.
    ///   - software: The program's version, as it is told to the others.
    ///   - unixMilliseconds: The wall clock now, for display only.
    package init(
        settings: Settings, boot: UInt64, seed: UInt64, salt: Salt? = nil, authenticator: Authenticator? = nil,
        software: String = "", now: Instant, unixMilliseconds: Int64
    ) {
        self.settings = settings
        self.boot = boot
        self.unixMilliseconds = unixMilliseconds
        startedAt = now
        hash = Self.makeHash(settings)
        let dialogs = DialogTable(
            buckets: settings.dialogs.hashSize, hash: hash, limit: settings.dialogs.limit, origin: now,
            node: Array(settings.node.name.utf8))
        let locations = LocationTable(
            buckets: settings.dialogs.hashSize, hash: hash, limit: settings.registrar.limit, origin: now)
        store = Replica(dialogs: dialogs, locations: locations)
        proxy = Proxy(settings: Self.makeProxySettings(settings, boot: boot, hash: hash), hash: hash, now: now)
        cluster = Cluster(
            settings: Self.makeClusterSettings(settings), boot: boot,
            hello: Self.makeHello(settings, software: software),
            hash: hash,
            seed: seed, salt: salt, authenticator: authenticator, now: now)
        resolver = Resolver(Self.makeResolverSettings(settings), random: SplitMix(seed: seed))
        tellingTimes = TellingTimes(origin: now)
        trace = TraceRing(memory: settings.trace.memory << 20)
        proxy.keepsOutline = trace.isOn
        proxy.unixOrigin = unixMilliseconds - now.milliseconds(since: .zero)
        peerFinder = settings.cluster.dns.map { PeerFinder(name: $0, now: now) }
        refreshMembership(now: now)
    }

    // MARK: Events

    /// What is sent now goes into the outbox as it stands.
    mutating func begin(_ out: inout Outbox) {
        swap(&proxy.effects.queue, &out.queue)
        tracedDatagrams = proxy.effects.queue.datagrams.count
    }

    mutating func finish(_ out: inout Outbox, now: Instant) {
        traceSent(from: tracedDatagrams, as: nil, now: now)
        swap(&proxy.effects.queue, &out.queue)
    }

    package mutating func receive(
        datagram: RawSpan, from source: Endpoint, on listener: ListenerID, flow: FlowID = .none,
        ageMilliseconds: Int64, now: Instant, into out: inout Outbox
    ) {
        begin(&out)
        let (number, queued) = (trace.nextNumber(), proxy.effects.queue.datagrams.count)
        proxy.receive(
            datagram, from: source, on: listener, flow: flow, ageMilliseconds: ageMilliseconds, now: now,
            dialogs: &store.dialogs)
        settle(now: now, into: &out)
        if trace.isOn {
            traceReceived(datagram, from: source, on: listener, number: number, queued: queued, now: now)
        }
        finish(&out, now: now)
    }

    /// A connection has ended. What waits for an answer over it goes on waiting: the answer may come another way
    /// (RFC 3261 §18.2.2).
    package mutating func receive(closed flow: FlowID, now: Instant, into out: inout Outbox) {
        counters.flowsClosed += 1
        proxy.flowClosed(flow)
    }

    /// A message that had a token went nowhere.
    package mutating func receive(
        unsent token: UInt64, to: Endpoint, flow: FlowID, now: Instant, into out: inout Outbox
    ) {
        begin(&out)
        proxy.receiveUnsent(token, now: now, dialogs: &store.dialogs)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    package mutating func receive(frame: RawSpan, now: Instant, into out: inout Outbox) {
        begin(&out)
        cluster.receive(frame: frame, store: &store, now: now, out: &clusterActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    package mutating func receive(request: RawSpan, token: UInt64, now: Instant, into out: inout Outbox) {
        begin(&out)
        cluster.receive(request: request, token: token, store: &store, now: now, out: &clusterActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    package mutating func receive(
        reply: RawSpan, to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox
    ) {
        begin(&out)
        cluster.receive(reply: reply, to: request, from: peer, store: &store, now: now, out: &clusterActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    /// A request will not be answered: nobody was there in time.
    package mutating func receiveNoReply(to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox) {
        begin(&out)
        cluster.receive(reply: nil, to: request, from: peer, store: &store, now: now, out: &clusterActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    package mutating func receive(
        probe result: ProbeResult, of peer: Int, now: Instant, into out: inout Outbox
    ) {
        begin(&out)
        cluster.receive(probe: Self.outcome(result), of: peer, now: now, out: &clusterActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    /// What the servers said to a question of the outbox.
    package mutating func receive(
        answer: DNSAnswer, to question: DNSQuestion, now: Instant, into out: inout Outbox
    ) {
        begin(&out)
        resolver.receive(answer, to: question, now: now, into: &resolverActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    /// Where a script is asked: what it is asked stands in `Outbox.scripts`.
    package var scriptPoints: ScriptPoints {
        get { proxy.scriptPoints }
        set { proxy.scriptPoints = newValue }
    }

    /// Contacts whose time is over stand in `Outbox.expired`: on the one node that acts for their address.
    package var tellsExpiredContacts: Bool {
        get { store.locations.tellsExpired }
        set { store.locations.tellsExpired = newValue }
    }

    private mutating func tellExpiredContacts(_ out: inout Outbox) {
        for contact in store.locations.takeExpired()
        where cluster.rank(did: store.locations.id(of: contact.location), home: nil) == 0 {
            out.expired.append(contact)
        }
    }

    /// Lends the records to a run of a script, and takes them back: by swapping, so nothing is copied. Between the two
    /// calls nothing else may be done with the node.
    package mutating func exchangeRecords(with run: inout RouteRun) {
        swap(&store.dialogs, &run.dialogs)
        swap(&store.locations, &run.locations)
    }

    /// Lends the message that a question is about, where it is still at hand and read.
    /// - Returns: Whether it is lent, and must be taken back.
    package mutating func lendMessage(of question: ScriptQuestion, to run: inout RouteRun) -> Bool {
        if case .branch = question.point { return lendRoom(to: &run) }
        guard proxy.lendMessage(question.number, to: &run.message) else { return false }
        run.lent = question.number
        return true
    }

    /// Takes what a run has written of a message: its verdict has these bytes, and they are read.
    package mutating func takeWritten(from run: inout RouteRun) {
        if run.hasWritten { proxy.exchangeStored { run.exchangeWritten(with: &$0) } }
    }

    /// A branch is read by the run first, and then by the proxy: in the same place, so it is read once.
    private mutating func lendRoom(to run: inout RouteRun) -> Bool {
        proxy.exchangeStored { swap(&$0, &run.message) }
        return true
    }

    package mutating func takeBackMessage(of question: ScriptQuestion, from run: inout RouteRun) {
        if case .branch = question.point {
            // Where the run has written another, that is there by now.
            if !run.hasWritten { proxy.exchangeStored { swap(&$0, &run.message) } }
            return
        }
        proxy.takeBackMessage(&run.message, isWhole: run.lent == question.number)
        run.lent = 0
    }

    /// What a script says to a question of the outbox.
    package mutating func receive(
        verdict: ScriptVerdict, to question: ScriptQuestion, now: Instant, into out: inout Outbox
    ) {
        begin(&out)
        if case .request(let fate) = verdict, fate.awaitsCommit, let place = hold(question.token, fate) {
            waitForCommit(CommitToken(context: place, purpose: .registration), now: now)
        } else {
            proxy.decide(question.token, verdict, now: now, dialogs: &store.dialogs)
        }
        settle(now: now, into: &out)
        finish(&out, now: now)
    }

    /// An address of the cluster may come to this host at any moment: its addresses are looked at often.
    package var watchesAddresses: Bool { !serviceAddresses.isEmpty || settings.sip.serviceAddress != nil }

    /// Which addresses this host has now: a service address may have moved here (S1-1).
    package mutating func hold(addresses: [Address], now: Instant, into out: inout Outbox) {
        heldAddresses = addresses
        announceHeldAddresses(now: now)
        advance(to: now, into: &out)
    }

    /// Lets time pass: fires every timer due, and flushes what waits for company.
    package mutating func advance(to now: Instant, into out: inout Outbox) {
        begin(&out)
        resolver.advance(to: now, into: &resolverActions)
        lookForPeers(now: now)
        cluster.advance(now: now, store: &store, out: &clusterActions)
        if now >= membershipAt { refreshMembership(now: now) }
        settle(now: now, into: &out)
        proxy.advance(to: now, dialogs: &store.dialogs)
        fireDeadlines(now: now)
        store.locations.advance(to: now)
        if store.locations.tellsExpired { tellExpiredContacts(&out) }
        fireKeepAlives(now: now)
        tellDueLife(now: now)
        lookAtRequests(now: now)
        continueWalk(now: now)
        continueProfileTimeouts(now: now)
        settle(now: now, into: &out)
        keepStorage(now: now, into: &out)
        finish(&out, now: now)
    }

    /// Nothing happens before it unless something is received.
    package var nextDeadline: Instant {
        var next = min(cluster.nextDeadline, reviewAt, strangersReviewAt, resolver.nextDeadline)
        if let lookup = peerFinder?.nextLookup { next = min(next, lookup) }
        if walk.isUnderWay { next = min(next, walk.nextSlice) }
        if let deadline = proxy.nextDeadline { next = min(next, deadline) }
        if let timer = store.dialogs.nextTimer { next = min(next, timer) }
        if let timer = store.locations.nextTimer { next = min(next, timer) }
        if let slice = nextProfileSlice { next = min(next, slice) }
        if let telling = tellingTimes.next { next = min(next, telling) }
        next = min(next, asked.nextLook)
        if storage.isOn { next = min(next, storage.nextDeadline) }
        return next
    }
}

/// Counts of the node as a whole.
struct NodeCounters: Sendable {
    var takeovers: UInt64 = 0
    var intentsAsked: UInt64 = 0
    var intentsGranted: UInt64 = 0
    var intentsRefused: UInt64 = 0
    var uncommitted: UInt64 = 0
    var refreshUncommitted: UInt64 = 0
    /// Addresses of `cluster.dns` for which there was no position left.
    var peersRefused: UInt64 = 0
    var flowsClosed: UInt64 = 0
    /// Writes to records by scripts, operators and routes; those that did not fit.
    var changesWritten: UInt64 = 0
    var changesRefused: UInt64 = 0
    /// REGISTERs that were answered 200, 401, or refused otherwise.
    var registrationsAccepted: UInt64 = 0
    var registrationsChallenged: UInt64 = 0
    var registrationsRefused: UInt64 = 0
    /// Life events told here, those told again since nobody confirmed them, those put off since too many wait for that,
    /// and those whose flag the record did not take.
    var eventsTold: UInt64 = 0
    var eventsRepeated: UInt64 = 0
    var eventsPutOff: UInt64 = 0
    var eventsUnmarked: UInt64 = 0
    /// Requests within dialogs that somebody has asked for here: taken, refused, and how they ended.
    var requestsAsked: UInt64 = 0
    var requestsRefused: UInt64 = 0
    var requestsAccepted: UInt64 = 0
    var requestsFailed: UInt64 = 0
    var requestsNotMade: UInt64 = 0
    var requestsOvertaken: UInt64 = 0
    /// Those of dead nodes that this one took up, and those that it gave up.
    var requestsInherited: UInt64 = 0
    var requestsGivenUp: UInt64 = 0
    /// Those of other members that are not watched, since too many are; results that their record did not take.
    var requestsUnwatched: UInt64 = 0
    var requestsUnmarked: UInt64 = 0
    /// What phones tell of the calls that REFERs have asked for; bridges, and those whose first phone did not answer.
    var refersMade: UInt64 = 0
    var refersFailed: UInt64 = 0
    var bridgesAsked: UInt64 = 0
    var bridgesFailed: UInt64 = 0
}

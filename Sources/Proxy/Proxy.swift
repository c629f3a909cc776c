// Proxy is the transaction-stateful, record-routing, dialog-aware proxy of RFC 3261 §16 as one machine: a datagram
// comes in with the time, datagrams and effects go out. It learns facts of dialogs as they pass and never needs a
// record to route: what cannot be matched is forwarded by its Route and Request-URI all the same (S1-7).
//
//            ┌ response ─▶ whose branch? ─ ours ─▶ client transaction ─▶ learn ─▶ hold 2xx ─▶ upstream
//   message ─┤                           ├ a live member's ─▶ passed to it once (S1-2a)
//            │                           └ a dead member's ─▶ as its heir would (Heirs)
//            └ request ─▶ retransmission? ─▶ Route ─▶ dialog? ─▶ server transaction ─▶ branch ─▶ next hop
//
// An event enters by a `package` function that is given the time and the dialogs. The time is kept for all that follows
// from it, as is what it gives rise to (`effects`); what it has set free is handled before the function returns.
//
// Rooms, in the order of a request's way: Requests (its stages: §16.3 to §16.5, its dialog, what waits), Scripts (what
// a script is asked), Routing (routes and their targets, access, limits, identities, Path), Transactions (what is kept
// of a request: forwarding, responses, CANCEL, ACK, timers; §16.6 to §16.10), Forking (several branches, the best
// answer, names), Connections (flows, and what this node is called on each socket), SessionTimers (RFC 4028, 422),
// Relays (a draining node's new calls). Facts (what passes teaches of dialogs). WrongNode (messages of other nodes'
// transactions, copies of INVITEs, spirals), Heirs (what is done for a dead node: what it inherits, how it ends a
// ringing call, how it repeats a 2xx), OwnRequests (BYEs and OPTIONS that the cluster makes), KeepAlive (when those
// are due). Neighbourhood is what the node tells of the cluster.
//
// Limits: `ProxySettings.contextLimit` transactions; 16 held responses and 16 queued requests a context; those of
// `ForkTarget`. Not attempted here: looking names up.

package import Dialogs
package import Primitives
package import SIP

package struct Proxy: Sendable {
    private let passing = ByAddress()
    package var settings: ProxySettings
    package internal(set) var counters = ProxyCounters()
    /// When the event happens that is being handled: each sets it where it enters.
    var now: Instant
    /// What events have given rise to since the node last took it, in order.
    package var effects = ProxyEffects()
    /// What the node tells of the cluster, and of itself in it.
    package var neighbours: Neighbourhood
    /// Unix time in milliseconds at `Instant.zero`, for people and call records.
    package var unixOrigin: Int64 = 0
    /// What the message that was received last is.
    package private(set) var lastOutcome = MessageOutcome.keepAlive
    /// What its index tells whoever keeps it; `nil` unless `keepsOutline`, or where that has to look for itself.
    package private(set) var outline: MessageOutline?
    /// The same of what was last written from that message.
    var writtenOutline: MessageOutline?
    package var keepsOutline = false
    /// It is sent on as of a dialog, and none is known here.
    var lacksDialog = false
    /// Requests received, by `Method`; answers sent, by the first digit of their status.
    package private(set) var requestsByMethod = [UInt64](repeating: 0, count: Method.allCases.count)
    package internal(set) var answersByClass = [UInt64](repeating: 0, count: 7)
    /// From an INVITE that makes a dialog to its 2xx, upstream; from a 2xx to its release by a commit.
    package internal(set) var setUpTimes = Histogram()
    package internal(set) var commitWaits = Histogram()
    /// INVITEs refused here within dialogs, for their ACKs.
    var refusals = Refusals()
    /// The request at hand was refused, and its ACK will look like that of a 2xx.
    var isRefusalAtHand = false

    let hash: KeyedHash
    var contexts: Slab<ResponseContext>
    /// Server transactions by (topmost Via branch, sent-by, method): RFC 3261 §17.2.3.
    var serverTable = FlatTable(minimumCapacity: 4_096)
    /// INVITE contexts by did, for CANCEL, facts of others and heirs.
    var dialogTable = FlatTable(minimumCapacity: 4_096)
    /// Requests that the cluster makes itself.
    var ownRequests: OwnRequests
    /// What programs are told of dialogs, and what has happened of it since the node last took it.
    package var watched: DialogMoments = []
    package var moments: [DialogMoment] = []
    var wheel: TimerWheel

    /// What waits for the record of its dialog.
    var waitingRoom = WaitingRoom()
    static let recordWait = WaitingRoom.requestWait
    /// Where a script is asked, and what it is asked about.
    package var scriptPoints: ScriptPoints = []
    var scripts = ScriptRoom()
    /// INVITEs of `Kind.adopted`.
    var adoptedCount = 0
    /// A 2xx at hand has just been learned, and waits for its commit.
    var holdsAnswer = false
    /// INVITEs of `Kind.relayed`.
    var relayCount = 0
    /// Of dialogs that this node has ended.
    package internal(set) var lastRecords = LastRecords()
    /// Records whose ends are to be told, and when they are looked at again.
    package internal(set) var owedEnds = LastRecords()
    var owedEndsTimer = TimerID.none
    /// Dialogs whose adopted INVITEs have to look at the record again.
    var reviewsDue: [DialogID] = []

    /// What waits for the addresses of names.
    var lookUps = LookUps()

    /// What is known of the targets of routes.
    var board: TargetBoard
    /// Own requests that probe them.
    var probes: [SlotID] = []
    var limiter: RateLimiter
    var overload: OverloadDetector
    /// Dialogs whose phones are asked whether they still have them.
    package internal(set) var keepAlives: KeepAlives

    // Scratch space, reused from message to message.
    var message = Message()
    /// How often one was read: who has kept bytes of it knows by that whether they are still the message at hand.
    private(set) var messageNumber: UInt64 = 1
    var stored = Message()
    var editor = MessageEditor()
    var facts = FactsWriter()
    var scratch = ByteWriter(capacity: 4_096)
    var vias: [Via] = []
    var routes: [NameAddress] = []
    var addresses: [NameAddress] = []
    var actions: [TransactionAction] = []
    var dueTokens: [UInt64] = []
    var released: [WaitingRequest] = []
    /// The connection that the message at hand came on.
    var arrivalFlow = FlowID.none
    /// Connections over which something has come, until their end is told.
    var flows: [FlowID: LiveFlow] = [:]

    package init(settings: ProxySettings, hash: KeyedHash, now: Instant) {
        self.settings = settings
        self.hash = hash
        self.now = now
        neighbours = Neighbourhood(ownName: settings.nodeName, hash: hash)
        contexts = Slab(limit: settings.contextLimit)
        ownRequests = OwnRequests(limit: settings.contextLimit)
        wheel = TimerWheel(origin: now)
        board = TargetBoard(settings.targetSets, now: now)
        limiter = RateLimiter(settings.limits, now: now)
        overload = OverloadDetector(delay: settings.limits.overloadMilliseconds)
        keepAlives = KeepAlives(limit: settings.keepAlive.limit, now: now)
        startProbes()
    }

    /// Transactions kept, those that only absorb retransmissions any more among them.
    package var contextCount: Int { contexts.count + ownRequests.count }

    /// INVITEs that are relayed to members and have had no final answer; of `openTransactionCount`.
    package var openRelayCount: Int {
        guard relayCount > 0 else { return 0 }
        var count = 0
        contexts.forEachID { id in
            if contexts.read(id, { $0.kind == .relayed && $0.lastStatus < 200 }) ?? false { count += 1 }
        }
        return count
    }

    /// Requests that have not had their final answer yet; `unacknowledgedCount` has those whose ACK is missing.
    package var openTransactionCount: Int {
        ownRequests.openCount + openContextCount { _ in true } + waitingRoom.requestCount
    }

    /// INVITEs among these, without those that wait for a record: somebody may be rung, for as long as it rings. What
    /// else is open ends with its timer F (RFC 3261 §17.1.2.2).
    package var openInviteCount: Int { openContextCount { $0.method == .invite } }

    private func openContextCount(where isCounted: (ResponseContext) -> Bool) -> Int {
        var count = 0
        contexts.forEachID { id in
            let isOpen = contexts.read(id) { context in
                (!context.kind.isOfOurOwn && context.lastStatus < 200 || !context.held.isEmpty) && isCounted(context)
            }
            if isOpen ?? false { count += 1 }
        }
        return count
    }

    /// No timer of the proxy is due before it.
    package var nextDeadline: Instant? {
        guard !waitingRoom.isEmpty || lookUps.next != nil || keepAlives.count > 0 || scripts.count > 0 else {
            return wheel.next
        }
        let moments = [waitingRoom.next, lookUps.next, keepAlives.next, scripts.next, wheel.next]
        return moments.compactMap { $0 }.min()
    }

    /// Handles one datagram, or one message that came over a connection, which `flow` then names.
    /// - Parameter ageMilliseconds: How long it waited in the socket; a request without To tag older than two seconds
    ///   is dropped, since its sender has gone elsewhere (S2-15).
    package mutating func receive(
        _ datagram: RawSpan, from source: Endpoint, on listener: ListenerID, flow: FlowID = .none,
        ageMilliseconds: Int64, now: Instant, dialogs: inout DialogTable
    ) {
        self.now = now
        arrivalFlow = flow
        lastOutcome = .keepAlive
        lacksDialog = false
        (outline, writtenOutline) = (nil, nil)
        if flow == .none {
            overload.note(ageMilliseconds: ageMilliseconds, now: now)
        } else {
            flows[flow] = LiveFlow(remote: source, listener: listener)
        }
        if datagram.byteCount <= 4 { return }  // A keep-alive (RFC 5626 §3.5.1) or nothing.
        messageNumber &+= 1
        do {
            try message.load(datagram)
            try message.identify()
        } catch {
            counters.malformed += 1
            lastOutcome = .unreadable
            if message.isRequest, message.method != .ack {
                rejectStatelessly(error.statusCode, source: source, listener: listener)
                if isRefusalAtHand { rememberRefusal(dialogs: &dialogs) }
            }
            return
        }
        if keepsOutline { outline = message.outline(ofBytes: datagram.byteCount) }
        let (before, isAck) = (marks(), message.isRequest && message.method == .ack)
        defer { lastOutcome = outcome(since: before, isAck: isAck) }
        if message.isRequest {
            counters.requests += 1
            requestsByMethod[Int(message.method.rawValue)] &+= 1
            if ageMilliseconds > 2_000, message.toTag.isEmpty, !namesDialog() {
                counters.staleDropped += 1
                return
            }
            receiveRequest(from: source, on: listener, dialogs: &dialogs)
        } else {
            counters.responses += 1
            receiveResponse(from: source, on: listener, dialogs: &dialogs)
        }
        replayQueued(dialogs: &dialogs)
    }

    /// Reads stored bytes of ours into `stored`; false for what is not a message. What is there already is not read
    /// again.
    mutating func loadStored(_ bytes: [UInt8]) -> Bool {
        stored.isRead(from: bytes) || (try? stored.load(RawSpan(_elements: bytes.span))) != nil
    }

    /// Reads kept bytes into `message`, as if they had come again.
    /// - Parameter number: Of the message that they were copied from, which may be the one at hand.
    mutating func loadMessage(_ bytes: [UInt8], number: UInt64 = 0) -> Bool {
        writtenOutline = nil
        if number == messageNumber { return true }
        outline = nil
        messageNumber &+= 1
        return (try? message.load(RawSpan(_elements: bytes.span))) != nil
    }

    /// What was read into `stored` is the message at hand from now on.
    mutating func takeStored() {
        (outline, writtenOutline) = (nil, nil)
        messageNumber &+= 1
        swap(&message, &stored)
    }

    /// Lends the message at hand, where it still is the one of that number: by swapping, so nothing is copied.
    /// - Returns: Whether it is that one.
    package mutating func lendMessage(_ number: UInt64, to other: inout Message) -> Bool {
        guard number == messageNumber else { return false }
        swap(&message, &other)
        return true
    }

    /// Takes it back.
    /// - Parameter isWhole: It is as it was lent. Otherwise it is nobody's message any more.
    package mutating func takeBackMessage(_ other: inout Message, isWhole: Bool) {
        swap(&message, &other)
        if !isWhole { messageNumber &+= 1 }
    }

    /// Takes a message that somebody has read or written, and gives the room of one: where its bytes are to be read
    /// next, they are read already.
    package mutating func exchangeStored(_ exchange: (inout Message) -> Void) { exchange(&stored) }

    /// Whether these bytes have been read into `stored`, and found good.
    func isStored(_ bytes: [UInt8]) -> Bool { stored.isIdentified && stored.isRead(from: bytes) }

    /// The outline of a message of ours, where messages are kept for a trace.
    func outlineOfCopy(_ copy: Message) -> MessageOutline? {
        keepsOutline ? copy.outline(ofBytes: copy.bytes.count) : nil
    }

    // MARK: Contexts

    /// A slot for a transaction, which `put` fills; `nil` at the limit, which is counted and noted.
    mutating func newContext() -> SlotID? {
        if let id = contexts.reserve() { return id }
        counters.overloaded += 1
        effects.items.append(.note(.overloaded))
        return nil
    }

    /// Moves a context out of its slot to work on it; `put` brings it back. Between the two nobody finds it.
    mutating func take(_ id: SlotID) -> ResponseContext? { contexts.lend(id) }

    mutating func put(_ context: consuming ResponseContext, _ id: SlotID) { contexts.giveBack(context, id) }

    /// Forgets a context, its timers and its places in the tables.
    mutating func discard(_ context: ResponseContext, _ id: SlotID) {
        cancelTimers(context.timers)
        wheel.cancel(context.contextTimer)
        for index in context.branches.indices {
            cancelTimers(context.branches[index].timers)
            cancelTimers(context.branches[index].cancelTimers)
            wheel.cancel(context.branches[index].timerC)
        }
        if context.kind == .adopted { adoptedCount -= 1 }
        forgetRelay(context, id)
        if let key = context.serverKey { _ = serverTable.remove(hash: key, value: id.index) }
        if let did = context.did, context.method == .invite {
            _ = dialogTable.remove(hash: did.rawValue, value: id.index)
        }
        contexts.removeLent(id)
    }

    mutating func cancelTimers(_ timers: TimerSet) {
        wheel.cancel(timers.retransmit)
        wheel.cancel(timers.timeout)
        wheel.cancel(timers.linger)
    }

    /// The context that a short generation (of a timer or commit token) names, if it is still there.
    func resolve(_ id: SlotID, generationMask: UInt32) -> SlotID? {
        guard let current = contexts.id(at: id.index), current.generation & generationMask == id.generation
        else { return nil }
        return current
    }

    /// INVITE contexts of a dialog on this node. They are looked at where they lie, as if to be changed: one that is
    /// only read is copied.
    mutating func inviteContext(
        of did: DialogID, where test: (ResponseContext) -> Bool, except seen: [SlotID] = []
    ) -> SlotID? {
        Self.context(in: &contexts, dialogTable, of: did, where: test, except: seen)
    }

    private static func context(
        in contexts: inout Slab<ResponseContext>, _ table: FlatTable, of did: DialogID,
        where test: (ResponseContext) -> Bool, except seen: [SlotID]
    ) -> SlotID? {
        let found = table.first(hash: did.rawValue) { index in
            guard let id = contexts.id(at: index), !seen.contains(id) else { return false }
            return contexts.update(id) { $0.did == did && test($0) } ?? false
        }
        return found.flatMap { contexts.id(at: $0) }
    }

    // MARK: Own identity

    /// Whether host and port of a URI are a name of this cluster, compared as written (S1-5).
    func isOwn(_ uri: URI, in bytes: [UInt8]) -> Bool {
        guard let place = URIPlace(uri, in: bytes) else { return false }
        for index in settings.ownNames.indices where settings.ownNames[index].matches(place, in: bytes) { return true }
        for index in neighbours.memberNames.indices where neighbours.memberNames[index].matches(place, in: bytes) {
            return true
        }
        return false
    }

    /// The To tag of answers that the cluster gives itself: the same from every node (S2-11), so any of them recognises
    /// the ACK.
    func ownToTag(callID: ByteRange, fromTag: ByteRange, cSeq: UInt32, in bytes: [UInt8]) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x746f_7461_6700)
        stream.combine(bytes, callID)
        stream.combine(bytes, fromTag)
        stream.combine(UInt64(cSeq))
        return stream.finish()
    }

    func ownToTagText(_ request: Message) -> [UInt8] {
        let number = (try? request.cSeq().number) ?? 0
        var writer = ByteWriter(capacity: 18)
        writer.put("us")
        writer.putHex(
            ownToTag(callID: request.callID, fromTag: request.fromTag, cSeq: number, in: request.bytes), digits: 16)
        return writer.bytes
    }
}

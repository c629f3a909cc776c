// The registrar of a node without a script (RFC 3261 §10.3): it answers REGISTER for `registrar.domains`, and says
// where requests for their users go. The contacts are records like the dialogs: every node has them, and every node
// takes and answers any request.
//
//     REGISTER ──who──▶ what it asks ──▶ entries of its address ──join, publish──▶ held for the commit ──▶ 200
//     INVITE   ──▶ contacts of the address, by q ──▶ a target each ──▶ the proxy forks
//
// The 200 waits as a 2xx of a call does: when a phone has it, a peer has the contact. That a registration was refused,
// or changes nothing, waits for nobody.
//
// Limits: `registrar.max_contacts` and those of `LocationRecord` an address, `registrar.limit` addresses;
// `HeldRegistration.limit` answers held, beyond which one goes at once, uncommitted and counted.

import Cluster
package import Dialogs
package import Primitives
package import Proxy
import Routes
import SIP

/// A 200 that waits for its commit.
struct HeldRegistration: Sendable {
    static let limit = 65_536

    var token: UInt64
    var verdict: RequestVerdict
}

extension Node {
    /// Gives the registrar's verdict on a request for one of its domains.
    mutating func locate(_ question: ScriptQuestion, now: Instant) {
        var message = Message()
        do {
            try message.load(RawSpan(_elements: question.bytes.span))
        } catch {
            return decide(question.token, .answer(status: 400, reason: [], lines: []), now: now)
        }
        let isRegister = message.method == .register
        do throws(RegistrarRefusal) {
            try authenticate(message, now: now)
            guard isRegister else {
                return decide(question.token, try find(message, question, now: now), now: now)
            }
            let (lines, isNews) = try register(message, question, now: now)
            noteRegistration(status: 200)
            let fate = RequestVerdict.Fate.answer(status: 200, reason: [], lines: lines)
            guard isNews, let place = hold(question.token, fate) else {
                return decide(question.token, fate, now: now)
            }
            waitForCommit(CommitToken(context: place, purpose: .registration), now: now)
        } catch {
            if isRegister { noteRegistration(status: error.status) }
            decide(question.token, .answer(status: error.status, reason: [], lines: error.lines), now: now)
        }
    }

    private mutating func decide(_ token: UInt64, _ fate: RequestVerdict.Fate, now: Instant) {
        proxy.decide(token, .request(RequestVerdict(fate)), now: now, dialogs: &store.dialogs)
    }

    private mutating func hold(_ token: UInt64, _ fate: RequestVerdict.Fate) -> SlotID? {
        hold(token, RequestVerdict(fate))
    }

    /// Keeps a verdict until its commit.
    /// - Returns: `nil` when there is no room: it goes at once, and is counted.
    mutating func hold(_ token: UInt64, _ verdict: RequestVerdict) -> SlotID? {
        let place = registrations.insert(HeldRegistration(token: token, verdict: verdict))
        if place == nil { counters.uncommitted += 1 }
        return place
    }

    /// A peer has the contacts, or none answered in time.
    mutating func registrationCommitted(_ token: CommitToken, now: Instant) {
        guard let place = registrations.id(at: token.context.index),
            place.generation & CommitToken.generationMask == token.context.generation,
            let held = registrations.remove(place)
        else { return }
        proxy.decide(held.token, .request(held.verdict), now: now, dialogs: &store.dialogs)
    }

    // MARK: Who

    /// A REGISTER shows who sends it (RFC 3261 §22), and so does whoever calls in the name of one of our users.
    private func authenticate(_ message: Message, now: Instant) throws(RegistrarRefusal) {
        guard !settings.registrar.credentials.isEmpty else { return }
        let isRegister = message.method == .register
        guard message.method != .ack, let named = message.firstNameAddress(isRegister ? .to : .from) else { return }
        guard let uri = try? URI(message.bytes, named.uri) else { throw .malformed }
        let realm = message.copy(uri.host).map(Text.lowercased)
        guard proxy.settings.registrarDomains.contains(realm) else {
            if isRegister { throw .notFound }
            return
        }
        var digestSettings = AuthSettings()
        digestSettings.algorithm = .both
        digestSettings.key = nonceKey
        let seconds = Int((unixMilliseconds + now.milliseconds(since: startedAt)) / 1_000)
        let check = DigestCheck(digestSettings, seconds: seconds)
        let answered = Self.credentials(message, realm)
        let challenge = check.challenge(
            isRegister ? "WWW-Authenticate" : "Proxy-Authenticate", realm: realm, asksForQuality: true,
            answered: answered?["nonce"]
        ).reduce(into: [UInt8]()) { $0 += $1 + [0x0D, 0x0A] }
        let refusal = RegistrarRefusal.unauthorized(challenge: challenge, isProxy: !isRegister)
        guard let answered, let user = answered["username"] else { throw refusal }
        guard let known = settings.registrar.credentials.first(of: user, realm: realm) else { throw refusal }
        let outcome = check.check(
            answered, method: message.copy(message.methodText), realm: realm, password: known.password.bytes,
            isDigest: known.isDigest)
        guard outcome == .ok else { throw refusal }
        guard user.map(Text.lowercased) == RegisterRequest.user(message.bytes, uri) else { throw .forbidden }
    }

    private static func credentials(_ message: Message, _ realm: [UInt8]) -> DigestParameters? {
        let name: HeaderName = message.method == .register ? .authorization : .proxyAuthorization
        for field in message.headers where field.name == name {
            if let digest = DigestParameters(message.copy(field.value)), digest["realm"] == realm { return digest }
        }
        return nil
    }

    /// The same on every node: from the cluster's key, or, on loopback without one, from its name.
    private var nonceKey: [UInt8] {
        let key = settings.cluster.key.bytes
        return Array("nonce".utf8) + (key.isEmpty ? Array(settings.cluster.name.utf8) : key)
    }

    // MARK: Registering

    /// Joins and publishes what a REGISTER says.
    /// - Returns: The header lines of its 200, and whether anything is new.
    private mutating func register(
        _ message: Message, _ question: ScriptQuestion, now: Instant
    ) throws(RegistrarRefusal) -> (lines: [UInt8], isNews: Bool) {
        let request = try RegisterRequest(message)
        guard let at = request.aor.lastIndex(of: 0x40),
            proxy.settings.registrarDomains.contains(Array(request.aor[(at + 1)...]))
        else { throw .notFound }
        let known = store.locations.record(of: request.aor) ?? LocationRecord(aor: request.aor)
        var base = Binding()
        base.stamp = nextStamp(above: known)
        base.registeredUnixMilliseconds = UInt64(max(0, unixMilliseconds + now.milliseconds(since: startedAt)))
        base.flow = flow(of: question, message)
        place(message, question, in: &base)
        let news = try Registration(request, of: known, from: base, settings.registrar.rules, now: now).news
        if !news.entries.isEmpty { try write(news, now: now) }
        let record = store.locations.record(of: request.aor) ?? LocationRecord(aor: request.aor)
        return (record.answerLines(to: request, now: now), !news.entries.isEmpty)
    }

    mutating func nextStamp(above record: LocationRecord) -> Stamp {
        Stamp(counter: cluster.nextStamp(above: record.counter), tag: proxy.settings.memberTag)
    }

    /// The connection by which the sender of a REGISTER can be reached, as bindings have it.
    private func flow(of question: ScriptQuestion, _ message: Message) -> [UInt8] {
        guard let fact = proxy.flowFact(of: question, message) else { return [] }
        var writer = ByteWriter(capacity: FlowFact.byteCount)
        fact.write(into: &writer)
        return writer.bytes
    }

    /// Where the sender of a REGISTER can be reached where something has rewritten its address on the way: at the
    /// place that it was heard from.
    private func place(_ message: Message, _ question: ScriptQuestion, in binding: inout Binding) {
        guard message.count(of: .via) == 1, let via = try? message.topmostVia(), via.isOnlyInField,
            !proxy.settings.balancers.contains(question.source.address),
            Address(bytes: message.bytes, range: via.host) != question.source.address
        else { return }
        var writer = ByteWriter(capacity: 24)
        question.source.writeFact(into: &writer)
        binding.received = writer.bytes
    }

    /// Joins entries here and publishes them.
    mutating func write(_ news: LocationRecord, now: Instant) throws(RegistrarRefusal) {
        do {
            // Of two addresses with one number the second would be found nowhere.
            guard try store.locations.learn(news, now: now) != .mismatch else { throw RegistrarRefusal.full }
        } catch {
            throw .full
        }
        tell(news, now: now)
    }

    /// Contacts whose ends were known too late here: whoever has them from here is told.
    mutating func tellAgain(_ id: UInt64, now: Instant) {
        if let record = store.locations.record(id) { tell(record, now: now) }
    }

    private mutating func tell(_ record: LocationRecord, now: Instant) {
        recordBytes.removeAll()
        record.write(into: &recordBytes, now: now)
        let bytes = recordBytes.bytes
        lastSequence = cluster.publish(
            record: RawSpan(_elements: bytes.span), of: store.locations.id(of: record.aor), ageMilliseconds: 0,
            now: now)
    }

    // MARK: Of a script

    /// Joins and publishes what a script has registered or taken back; its question's verdict says whether that waits
    /// for a peer (`RequestVerdict.awaitsCommit`).
    /// - Parameter statuses: What its `save` made of REGISTERs.
    /// - Returns: False when one of the records was not taken.
    package mutating func register(
        _ drafts: [LocationRecord], statuses: [Int] = [], by question: ScriptQuestion?, now: Instant,
        into out: inout Outbox
    ) -> Bool {
        begin(&out)
        defer {
            settle(now: now, into: &out)
            finish(&out, now: now)
        }
        var (message, isKept) = (Message(), true)
        var flow: [UInt8] = []
        if let question, question.flow != .none, (try? message.load(RawSpan(_elements: question.bytes.span))) != nil {
            flow = self.flow(of: question, message)
        }
        for draft in drafts {
            let known = store.locations.record(of: draft.aor) ?? LocationRecord(aor: draft.aor)
            do throws(RegistrarRefusal) {
                try write(draft.stamped(nextStamp(above: known), flow: flow), now: now)
            } catch {
                isKept = false
            }
        }
        for status in statuses { noteRegistration(status: isKept ? status : 503) }
        return isKept
    }

    // MARK: Finding

    /// The contacts of whom a request is for (RFC 3261 §16.5), the larger q first; routes, where it has none.
    private func find(
        _ message: Message, _ question: ScriptQuestion, now: Instant
    ) throws(RegistrarRefusal) -> RequestVerdict.Fate {
        guard let aor = RegisterRequest.aor(message.bytes, message.requestURI) else { throw .notFound }
        let contacts = store.locations.record(of: aor)?.live(at: now) ?? []
        let method: UInt32 = 1 << UInt32(message.method.rawValue)
        let able = contacts.map(\.binding).filter { $0.methods == 0 || $0.methods & method != 0 }
        let sorted = able.sorted {
            ($0.q, $0.stamp.counter, $0.stamp.tag) > ($1.q, $1.stamp.counter, $1.stamp.tag)
        }
        var (wanted, group, lastQ): ([ForkTarget], Int, UInt32?) = ([], 0, nil)
        for binding in sorted {
            if let lastQ, lastQ != binding.q { group += 1 }
            lastQ = binding.q
            wanted.append(ForkTarget(contact: binding, group: group))
        }
        let targets = proxy.reachable(wanted)
        guard targets.isEmpty else { return .relay(targets) }
        if !settings.routes.isEmpty { return .route }
        if able.isEmpty, !contacts.isEmpty { throw .methodNotAllowed }
        let credentials = settings.registrar.credentials
        throw credentials.isEmpty || credentials.has(user: Array(aor.prefix { $0 != 0x40 })) ? .unavailable : .notFound
    }
}

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
import Dialogs
import Primitives
import Proxy
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
        do throws(RegistrarRefusal) {
            let isRegister = message.method == .register
            try authenticate(message, now: now)
            guard isRegister else {
                return decide(question.token, try find(message, question, now: now), now: now)
            }
            let (lines, isNews) = try register(message, question, now: now)
            let fate = RequestVerdict.Fate.answer(status: 200, reason: [], lines: lines)
            guard isNews, let place = hold(question.token, fate) else {
                return decide(question.token, fate, now: now)
            }
            waitForCommit(CommitToken(context: place, purpose: .registration), now: now)
        } catch {
            decide(question.token, .answer(status: error.status, reason: [], lines: error.lines), now: now)
        }
    }

    private mutating func decide(_ token: UInt64, _ fate: RequestVerdict.Fate, now: Instant) {
        proxy.decide(token, .request(RequestVerdict(fate)), now: now, dialogs: &store.dialogs)
    }

    private mutating func hold(_ token: UInt64, _ fate: RequestVerdict.Fate) -> SlotID? {
        let place = registrations.insert(HeldRegistration(token: token, verdict: RequestVerdict(fate)))
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
        let news = try entries(request, message, question, known, now: now)
        if !news.entries.isEmpty { try write(news, now: now) }
        let record = store.locations.record(of: request.aor) ?? LocationRecord(aor: request.aor)
        var lines = ByteWriter(capacity: 512)
        for contact in record.live(at: now) { Self.writeContact(contact, now: now, into: &lines) }
        if !request.path.isEmpty {
            lines.put("Path: ")
            lines.put(request.path)
            lines.put("\r\n")
        }
        let usesOutbound = request.contacts.contains { $0.registrationID > 0 && !$0.instance.isEmpty }
        if usesOutbound, message.lists("outbound", in: .supported) { lines.put("Require: outbound\r\n") }
        return (lines.bytes, !news.entries.isEmpty)
    }

    /// The entries that a REGISTER makes (§10.3 steps 6 and 7): all of them, or none.
    private mutating func entries(
        _ request: RegisterRequest, _ message: Message, _ question: ScriptQuestion, _ known: LocationRecord,
        now: Instant
    ) throws(RegistrarRefusal) -> LocationRecord {
        var news = LocationRecord(aor: request.aor)
        let stamp = Stamp(counter: cluster.nextStamp(above: known.counter), tag: proxy.settings.memberTag)
        let live = known.live(at: now)
        var reached = Set(live.map(\.key))
        func admits(_ key: [UInt8]) throws(RegistrarRefusal) -> Bool {
            let before = known.entries.first { $0.key == key && $0.callID == request.callID }
            guard let before, before.cSeq >= request.cSeq else { return true }
            if before.cSeq > request.cSeq { throw .outOfOrder }
            return false  // A copy of a request that another node has answered.
        }
        var base = Binding()
        (base.callID, base.cSeq, base.stamp, base.path) = (request.callID, request.cSeq, stamp, request.path)
        (base.userAgent, base.methods) = (request.userAgent, request.methods)
        base.registeredUnixMilliseconds = UInt64(max(0, unixMilliseconds + now.milliseconds(since: startedAt)))
        place(message, question, in: &base)
        func add(_ contact: RegisterRequest.Contact, seconds: Int) {
            var binding = base
            (binding.key, binding.contact, binding.q) = (contact.key, contact.uri, contact.q)
            (binding.instance, binding.registrationID) = (contact.instance, contact.registrationID)
            (binding.isGone, binding.lifetimeSeconds) = (seconds == 0, UInt32(seconds))
            let until = now.advanced(by: .seconds(seconds))
            news.add(StoredBinding(binding, expiresAt: until, keptUntil: known.lastTrace(of: contact.key) ?? until))
        }
        for contact in request.contacts where try admits(contact.key) {
            let seconds = try lifetime(contact.expires ?? request.expires)
            if seconds == 0 {
                if reached.remove(contact.key) != nil { add(contact, seconds: 0) }
            } else {
                reached.insert(contact.key)
                add(contact, seconds: seconds)
            }
        }
        if request.removesAll {
            for entry in live where try admits(entry.key) {
                let binding = entry.binding
                let contact = RegisterRequest.Contact(
                    uri: binding.contact, key: entry.key, expires: 0, q: binding.q, instance: binding.instance,
                    registrationID: binding.registrationID)
                add(contact, seconds: 0)
            }
        }
        let size = known.byteCount + news.byteCount
        let adds = news.entries.contains { !$0.isGone }
        let isTooMuch = reached.count > settings.registrar.maxContacts || size > LocationRecord.byteLimit
        guard !adds || !isTooMuch else { throw .tooMany }
        guard news.entries.allSatisfy({ $0.bytes.count <= Binding.limit }) else { throw .malformed }
        return news
    }

    /// Where the sender of a REGISTER can be reached: by its connection, and, where something has rewritten its address
    /// on the way, at the place that it was heard from.
    private func place(_ message: Message, _ question: ScriptQuestion, in binding: inout Binding) {
        if let fact = proxy.flowFact(of: question, message) {
            var writer = ByteWriter(capacity: FlowFact.byteCount)
            fact.write(into: &writer)
            binding.flow = writer.bytes
        }
        guard message.count(of: .via) == 1, let via = try? message.topmostVia(), via.isOnlyInField,
            !proxy.settings.balancers.contains(question.source.address),
            Address(bytes: message.bytes, range: via.host) != question.source.address
        else { return }
        var writer = ByteWriter(capacity: 24)
        question.source.writeFact(into: &writer)
        binding.received = writer.bytes
    }

    private func lifetime(_ asked: UInt32?) throws(RegistrarRefusal) -> Int {
        let registrar = settings.registrar
        let (least, most) = (
            Int(registrar.minExpires.wholeMilliseconds / 1_000), Int(registrar.maxExpires.wholeMilliseconds / 1_000)
        )
        guard let asked else { return min(Int(registrar.defaultExpires.wholeMilliseconds / 1_000), most) }
        guard asked > 0 else { return 0 }
        // Only what is below an hour may be refused (RFC 3261 §10.3 step 7).
        if asked < least, asked < 3_600 { throw .intervalTooBrief(leastSeconds: least) }
        return min(max(Int(asked), least), most)
    }

    /// Joins entries here and publishes them.
    mutating func write(_ news: LocationRecord, now: Instant) throws(RegistrarRefusal) {
        do {
            // Of two addresses with one number the second would be found nowhere.
            guard try store.locations.learn(news, now: now) != .mismatch else { throw RegistrarRefusal.full }
        } catch {
            throw .full
        }
        recordBytes.removeAll()
        news.write(into: &recordBytes, now: now)
        let bytes = recordBytes.bytes
        lastSequence = cluster.publish(
            record: RawSpan(_elements: bytes.span), of: store.locations.id(of: news.aor), ageMilliseconds: 0, now: now)
    }

    private static func writeContact(_ stored: StoredBinding, now: Instant, into lines: inout ByteWriter) {
        let binding = stored.binding
        lines.put("Contact: <")
        lines.put(binding.contact)
        lines.put(">;expires=")
        lines.putDecimal(UInt64(max(1, (stored.expiresAt.milliseconds(since: now) + 999) / 1_000)))
        if binding.q != 1_000 { lines.put(text: ";q=0.\(String(String(1_000 + binding.q).dropFirst()))") }
        if !binding.instance.isEmpty {
            lines.put(";+sip.instance=\"")
            lines.put(binding.instance)
            lines.put("\"")
        }
        if binding.registrationID > 0 {
            lines.put(";reg-id=")
            lines.putDecimal(UInt64(binding.registrationID))
        }
        lines.put("\r\n")
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
        var (targets, instances): ([ForkTarget], [[UInt8]]) = ([], [])
        var (group, lastQ): (Int, UInt32?) = (0, nil)
        for binding in sorted where targets.count < ForkTarget.limit {
            // One way to each phone, the last that it told of and that is there (RFC 5626 §5.3).
            guard binding.instance.isEmpty || !instances.contains(binding.instance) else { continue }
            if let lastQ, lastQ != binding.q { group += 1 }
            guard let target = proxy.target(for: binding, group: group) else { continue }
            lastQ = binding.q
            targets.append(target)
            if !binding.instance.isEmpty { instances.append(binding.instance) }
        }
        guard targets.isEmpty else { return .relay(targets) }
        if !settings.routes.isEmpty { return .route }
        if able.isEmpty, !contacts.isEmpty { throw .methodNotAllowed }
        let credentials = settings.registrar.credentials
        throw credentials.isEmpty || credentials.has(user: Array(aor.prefix { $0 != 0x40 })) ? .unavailable : .notFound
    }
}

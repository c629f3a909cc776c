// What passing messages teach of their dialogs. Every fact goes the same way: written as a patch, joined into the table
// here, and, when that changed anything, published for the peers. The record of a new dialog is put whole once.
//
// Facts are written in the order of the record's fields (`RecordFields`), where that is no trouble: the join is shorter
// then (`OrderedJoin`), here and on every peer.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Joins the patch in `facts` into the table and publishes it if it said anything new.
    /// - Parameter room: What an unanswered INVITE teaches leaves room for what confirms it.
    /// - Returns: What the join found; `nil` when the record refused it, which is counted and noted (`+Unrecorded`).
    @discardableResult
    mutating func learn(_ did: DialogID, room: RecordRoom = .whole, dialogs: inout DialogTable) -> DialogTable.Learned?
    {
        join(did, age: nil, room: room, dialogs: &dialogs)
    }

    /// Makes the record of a dialog that begins here, of what is in `facts`.
    /// - Returns: False when there is no room for it, which is counted and noted.
    private mutating func create(_ did: DialogID, dialogs: inout DialogTable) -> Bool {
        join(did, age: .zero, room: .early, dialogs: &dialogs) != nil
    }

    private mutating func join(_ did: DialogID, age: Duration?, room: RecordRoom, dialogs: inout DialogTable)
        -> DialogTable.Learned?
    {
        let learned: DialogTable.Learned
        do {
            learned = try dialogs.learn(
                did, facts: RawSpan(_elements: facts.bytes.span), age: age, room: room, now: now)
        } catch {
            noteRefusal(error, did, dialogs: dialogs)
            return nil
        }
        switch learned.outcome {
        case .created: effects.items.append(.put(did))
        case .changed:
            let start = effects.arena.count
            effects.arena.put(facts.bytes)
            effects.items.append(.patch(did, ByteRange(start: start, end: effects.arena.count)))
            if hasAdopted(did) { reviewsDue.append(did) }
        case .unknownRecord: effects.items.append(.wanted(did))
        case .unchanged, .mismatch: break
        }
        return learned
    }

    // MARK: Requests

    /// - Returns: False when the dialog that the request makes can have no record.
    mutating func learnRequest(
        _ context: ResponseContext, _ plan: RequestPlan, branch: Branch, dialogs: inout DialogTable
    ) -> Bool {
        guard let did = plan.did else { return true }
        if plan.createsDialog {
            writeNewRecord(context, plan, branch: branch)
            return create(did, dialogs: &dialogs)
        } else if endsDialog(plan) {
            if !context.endsOnAnswer { learnBye(did, plan.leg, dialogs: &dialogs) }
        } else if plan.isKnown, !plan.afterTheEnd {
            facts.begin()
            if message.method == .invite { writePending(context, plan, branch: branch) }
            if message.method != .bye { writeHighCSeq(did, plan, dialogs: dialogs) }
            if !facts.isEmpty { learn(did, dialogs: &dialogs) }
        }
        return true
    }

    /// A party's BYE.
    func endsDialog(_ plan: RequestPlan) -> Bool {
        message.method == .bye && plan.isKnown && !plan.afterTheEnd && !isOfCluster(plan)
    }

    /// The cluster made the request, and it passes here because the connection to its receiver is here: whoever sent it
    /// learns what comes of it.
    func isOfCluster(_ plan: RequestPlan) -> Bool {
        if case .generated = Branch(message.bytes, plan.via.branch, mark: settings.mark) { true } else { false }
    }

    private mutating func writeNewRecord(_ context: ResponseContext, _ plan: RequestPlan, branch: Branch) {
        facts.begin()
        let bytes = message.bytes
        facts.put(.callID, bytes, message.callID)
        facts.put(.fromTag, bytes, message.fromTag)
        facts.invite(cSeq: plan.cSeq.number)
        facts.home(name: settings.nodeName, boot: settings.boot, sentBy: settings.sentBy)
        facts.reach(.unconfirmed)
        var deadline = RecordView.Deadline()
        deadline.atMilliseconds = UInt64(max(0, settings.earlyTimeout.wholeMilliseconds))
        let template = template(of: plan)
        deadline.lifetimeMilliseconds =
            plan.scriptLifetime > 0 ? plan.scriptLifetime : template?.lifetimeMilliseconds ?? 0
        facts.deadline(deadline)
        facts.raise(plan.isBridge ? settings.keepAlive.flags.union(.asked) : settings.keepAlive.flags)
        if let from = message.first(.from) { facts.put(.from, bytes, from.value) }
        if let to = message.first(.to) { facts.put(.to, bytes, to.value) }
        facts.put(.requestURI, bytes, message.requestURI)
        let routeSet = recordRoutes(of: .caller)
        let contact = contactURI()
        let flow = senderFlow(plan)
        let sentBy = sentByInRecord(plan.near)
        facts.caller { side in
            side.sends(cSeq: plan.cSeq.number)
            side.target(cSeq: plan.cSeq.number) { target in
                if let contact { target.put(.contact, bytes, contact) }
                if !routeSet.isEmpty { target.put(.routes, routeSet) }
                target.put(.endpoint) { plan.sender.writeFact(into: &$0) }
                if let flow { target.put(.flow) { flow.write(into: &$0) } }
            }
            if !sentBy.isEmpty { side.put(.sentBy, sentBy) }
        }
        var times = RecordView.Times()
        times.bornUnixMilliseconds = UInt64(max(0, unixOrigin + now.milliseconds(since: .zero)))
        facts.times(times)
        writePending(context, plan, branch: branch)
        if let template { write(template, plan) }
        if !plan.scriptChanges.isEmpty { write(plan.scriptChanges) }
    }

    /// The INVITE transaction as an heir needs it (S2-11).
    private mutating func writePending(_ context: ResponseContext, _ plan: RequestPlan, branch: Branch) {
        let listener = listener(for: plan, toward: plan.nextHop)
        var routesLeft = ByteWriter()
        writeRoutesLeft(plan, into: &routesLeft)
        scratch.removeAll()
        if plan.isJudged {  // A script may have changed the message at hand.
            guard loadStored(context.request) else { return }
            stored.writeVias(into: &scratch)
        } else {
            plan.writeVias(of: message, into: &scratch)
        }
        Self.writePending(
            &facts, of: message, plan, branch, from: listener, scratch.bytes, routesLeft, context.sessionSeconds,
            settings)
    }

    private static func writePending(
        _ facts: inout FactsWriter, of message: Message, _ plan: RequestPlan, _ branch: Branch,
        from listener: ListenerID, _ vias: [UInt8], _ routesLeft: ByteWriter, _ sessionSeconds: UInt32,
        _ settings: ProxySettings
    ) {
        facts.pending(
            plan.leg, cSeq: plan.cSeq.number, branch: { branch.write(mark: settings.mark, into: &$0) }
        ) { pending in
            pending.put(.vias, vias)
            pending.put(.source) { plan.sender.writeFact(into: &$0) }
            if !routesLeft.isEmpty { pending.put(.routes, routesLeft.bytes) }
            pending.pass(plan.pass)
            pending.shift(by: plan.shift)
            pending.session(seconds: sessionSeconds)
            guard plan.targets.isEmpty else { return }  // Each branch says where it goes (`learnBranch`).
            if plan.requestURI.isEmpty {
                pending.put(.requestURI, message.bytes, message.requestURI)
            } else {
                pending.put(.requestURI, plan.requestURI)
            }
            pending.put(.via) { writeVia(settings, branch, listener, into: &$0) }
            pending.put(.target) { plan.nextHop.writeFact(into: &$0) }
        }
    }

    /// A branch of a fork, as an heir needs it. What all branches share, Via stack and source, stands in the first one.
    mutating func learnBranch(_ context: ResponseContext, _ index: Int, dialogs: inout DialogTable) {
        guard context.method == .invite, !context.afterTheEnd, let did = context.did,
            dialogs.contains(did), loadStored(context.branches[index].sent), let via = try? stored.topmostVia()
        else { return }
        let (stored, target, name) = (stored, context.branches[index].target, context.branches[index].serverName)
        facts.begin()
        facts.pending(context.leg, cSeq: context.cSeq, stored.bytes, via.branch) { pending in
            pending.pass(context.pass)
            pending.put(.requestURI, stored.bytes, stored.requestURI)
            if index > 0, stored.first(.route) != nil {
                pending.put(.routes) { writer in
                    var isFirst = true
                    stored.forEach(.route) { field in
                        if !isFirst { writer.put(", ") }
                        writer.put(stored.bytes, field.value)
                        isFirst = false
                    }
                }
            }
            pending.put(.via, stored.bytes, via.element)
            pending.put(.target) { writer in
                target.writeFact(into: &writer)
                if !name.isEmpty {  // A TLS server must show it to an heir as well (RFC 5922).
                    writer.put(";name=")
                    writer.put(name)
                }
            }
        }
        learn(did, room: room(context), dialogs: &dialogs)
    }

    /// Names the pending of one branch in a patch; the rest of its facts follow in `body`.
    mutating func pendingFact(
        _ context: ResponseContext, _ index: Int, _ body: (inout PendingFacts) -> Void
    ) {
        let sent = context.branches[index].sent
        guard !sent.isEmpty, let branch = Message.topmostBranch(of: sent) else { return }
        facts.pending(context.leg, cSeq: context.cSeq, sent, branch, body)
    }

    // MARK: Responses to an INVITE

    mutating func learnProvisional(_ context: ResponseContext, _ index: Int, first: Bool, dialogs: inout DialogTable) {
        guard let did = context.did, dialogs.contains(did) else { return }
        let hasTag = context.isInitial && message.statusCode > 100 && !message.toTag.isEmpty
        guard first || hasTag else { return }
        facts.begin()
        if hasTag, context.pass.isFirst { facts.reach(.early) }
        if hasTag { writeOut(context, index, state: .early, answer: nil) }
        if first { pendingFact(context, index) { $0.mark(.provisional) } }
        learn(did, room: room(context), dialogs: &dialogs)
    }

    /// A 2xx: what it confirms or refreshes. One that confirms a dialog or moves its deadline must be committed before
    /// it is sent.
    mutating func learnSuccess(
        _ context: inout ResponseContext, _ index: Int, answer: [UInt8], dialogs: inout DialogTable
    ) -> SuccessFact {
        let leg = context.leg
        let fact = learnAnswer(&context, index, answer: answer, dialogs: &dialogs)
        context.leg = leg  // What `matchAgain` finds is of this response.
        return fact
    }

    private mutating func learnAnswer(
        _ context: inout ResponseContext, _ index: Int, answer: [UInt8], dialogs: inout DialogTable
    ) -> SuccessFact {
        guard context.isInitial || matchAgain(&context, dialogs: dialogs) else { return .nothing }
        guard let did = context.did, let state = dialogs.state(did), state != .deleted else { return .nothing }
        guard context.isInitial || context.refreshes else { return .nothing }
        facts.begin()
        let isFirst = context.pass.isFirst
        // No INVITE is sent within a dialog before it is confirmed (RFC 3261 §14.1): its 2xx went by unseen here.
        let confirms = !context.isInitial && context.method == .invite && state < .confirmed
        if confirms {
            facts.reach(.confirmed)
        } else if context.isInitial, isFirst {
            facts.reach(.confirmedNotAcknowledged)
        }
        var writesDeadline = false
        if isFirst || !context.isInitial {
            let calleeTag = context.leg == .caller ? message.toTag : message.fromTag
            let answeredAt = index < context.branches.count ? context.branches[index].answeredAt : nil
            writesDeadline = writeDeadline(
                did, sessionWord(context.method), calleeTag: calleeTag, answeredAt: answeredAt, dialogs: dialogs)
        }
        if context.isInitial {
            if isFirst, state < .confirmedNotAcknowledged { writeAnswered(did, dialogs: dialogs) }
            writeOut(context, index, state: .confirmedNotAcknowledged, answer: isFirst ? answer : nil)
        } else {
            writeRefreshedSides(&context, did, confirms: confirms, dialogs: dialogs)
        }
        if context.method == .invite {
            let keeps = !context.isInitial || !isFirst
            pendingFact(context, index) { pending in
                pending.mark(.final)
                if keeps { pending.put(.answer, answer) }
            }
        }
        guard let learned = learn(did, dialogs: &dialogs) else { return .refused }
        // Of two branches answered in one millisecond the second moves no deadline, and confirms a dialog all the same.
        if learned.deadlineChanged || context.isInitial && learned.outcome == .changed { return .moves }
        guard writesDeadline, !context.isInitial, neighbours.commits else { return .nothing }
        // Another 2xx has moved it as far or further, and may not be committed yet, or is a peer's (R9).
        effects.items.append(.put(did))
        return .moves
    }

    /// A request in a dialog whose record was not here may have it by now: then it is known who sent it.
    private func matchAgain(_ context: inout ResponseContext, dialogs: DialogTable) -> Bool {
        if context.isKnown || context.kind != .forwarded { return true }
        // The record may have come without what the callee has answered to the INVITE.
        guard let did = context.did,
            let leg = leg(of: did, from: context.sender, dialogs: dialogs)
                ?? legOfUnansweredDialog(did, dialogs: dialogs)
        else { return false }
        context.leg = leg
        return true
    }

    /// One dialog-out, from the response at hand.
    mutating func writeOut(_ context: ResponseContext, _ index: Int, state: DialogState, answer: [UInt8]?) {
        let bytes = message.bytes
        let (toTag, to) = (message.toTag, message.first(.to)?.value)
        let contact = contactURI()
        let routeSet = recordRoutes(of: .callee)
        let target = index < context.branches.count ? context.branches[index].target : nil
        let flow = flowFact(arrivalFlow) ?? (target == nil ? nil : context.branches[index].memberFlow)
        // Only the home's own transaction knows what the home is called there.
        let isHome = context.kind == .forwarded && target != nil
        let sentBy = isHome ? sentByInRecord(context.branches[index].listener) : []
        facts.out(bytes, toTag) { out in
            out.reach(state)
            out.side { side in
                side.target(cSeq: state == .early ? 0 : context.cSeq, pass: context.pass) { fields in
                    if let contact { fields.put(.contact, bytes, contact) }
                    if !routeSet.isEmpty { fields.put(.routes, routeSet) }
                    if let target { fields.put(.endpoint) { target.writeFact(into: &$0) } }
                    if let flow { fields.put(.flow) { flow.write(into: &$0) } }
                }
                if !sentBy.isEmpty { side.put(.sentBy, sentBy) }
            }
            if let answer { out.put(.answer, answer) }
            if let to { out.put(.to, bytes, to) }
        }
    }

    /// The route set of one side, from the Record-Routes of the message at hand (S2-18): of the caller what is below
    /// our own entries, as received; of the callee what is above them, read upwards.
    mutating func recordRoutes(of leg: Leg) -> [UInt8] {
        addresses.removeAll(keepingCapacity: true)
        message.nameAddresses(.recordRoute, into: &addresses)
        guard !addresses.isEmpty else { return [] }
        var writer = ByteWriter()
        if leg == .caller {
            let last = lastOwnAddress().map { $0 + 1 } ?? 0
            for index in last..<addresses.count {
                if !writer.isEmpty { writer.put(", ") }
                writer.put(message.bytes, addresses[index].element)
            }
        } else {
            // Of several passes the first one's stands lowest: what is above it leads to the callee, other passes too.
            var own = lastOwnAddress() ?? addresses.count
            while own > 0, own < addresses.count, isOwnAddress(addresses[own - 1]) { own -= 1 }
            for index in stride(from: own - 1, through: 0, by: -1) {
                if !writer.isEmpty { writer.put(", ") }
                writer.put(message.bytes, addresses[index].element)
            }
        }
        return writer.bytes
    }

    private func lastOwnAddress() -> Int? {
        for index in addresses.indices.reversed() where isOwnAddress(addresses[index]) { return index }
        return nil
    }

    private func isOwnAddress(_ address: NameAddress) -> Bool {
        guard let uri = try? URI(message.bytes, address.uri) else { return false }
        return isOwn(uri, in: message.bytes)
    }

    /// The URI of the first Contact, as a Request-URI may have it.
    mutating func contactURI() -> ByteRange? {
        addresses.removeAll(keepingCapacity: true)
        message.nameAddresses(.contact, into: &addresses)
        return addresses.first.map { URI.withoutHeaders(message.bytes, $0.uri) }
    }

    func contactURI(of other: Message) -> ByteRange? {
        var found: [NameAddress] = []
        other.nameAddresses(.contact, into: &found)
        return found.first.map { URI.withoutHeaders(other.bytes, $0.uri) }
    }
}

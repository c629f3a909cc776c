// Requests within dialogs that scripts and operators ask for (`AskedRequests`): who makes them, and when they may
// leave.
//
// Any node takes the wish. It writes it into the record, beside the shift that makes room for it (`CSeqShift`), and
// sends nothing before every member has both: a member that did not move the other phone's next request would make it
// too low, and the phone would answer 500 (RFC 3261 §12.2.2). The node that asked makes the request; when it dies, the
// dialog's actor goes on with the same bytes, or gives up.

import Cluster
import Dialogs
package import Primitives
import Proxy

extension Node {
    /// Asks for a request within a dialog; its end comes as a `RequestEvent`, and stands in the record.
    /// - Returns: Its CSeq; a higher one where its seeming sender begins something before it leaves.
    @discardableResult
    package mutating func request(
        did text: String, _ request: DialogRequest, now: Instant, into out: inout Outbox
    ) throws(DialogError) -> UInt32 {
        do throws(DialogError) {
            let did = try known(text)
            if let objection = request.objection { throw .invalid(objection) }
            begin(&out)
            defer {
                settle(now: now, into: &out)
                finish(&out, now: now)
            }
            return try ask(request, of: did, now: now)
        } catch {
            counters.requestsRefused += 1
            throw error
        }
    }

    mutating func ask(
        _ request: DialogRequest, of did: DialogID, now: Instant
    ) throws(DialogError) -> UInt32 {
        let key = AskedRequest.Key(did: did, leg: request.side)
        guard store.dialogs.state(did) != .deleted else { throw .ended }
        guard cluster.isFit else { throw .refused("this node has no quorum or is not up yet; ask another member") }
        guard store.dialogs.state(did) == .confirmed else { throw .refused(Self.text(.notConfirmed)) }
        guard mayBeAsked(did, now: now) else { throw .refused("the dialog is about to end") }
        let isOpen = store.dialogs.view(did) { view, bytes in view.wish(to: key.leg, in: bytes)?.wish.isOpen } ?? nil
        guard isOpen != true else { throw .refused("a request to this side is under way") }
        guard !asked.isFull else { throw .refused("this node has as many requests under way as it may") }
        let place: CSeqShift.Place
        do throws(RequestObjection) {
            place = try proxy.place(ofRequestTo: key.leg, in: did, dialogs: store.dialogs)
        } catch {
            throw .refused(Self.text(error))
        }
        var wish = RequestWish(
            method: Array(request.method.utf8), place: place, askedMilliseconds: age(of: did, now: now))
        wish.headers = request.lines
        wish.body = Array(request.body.utf8)
        try spread(wish, key, now: now)
        counters.requestsAsked += 1
        return place.cSeq
    }

    private static func text(_ objection: RequestObjection) -> String {
        switch objection {
        case .notConfirmed: "the dialog is not confirmed"
        case .severalCallees: "several callees have answered"
        case .unreachable: "there is no way to this side"
        case .numbersUsedUp: "the CSeq would be 2147483648 or more"
        }
    }

    private func age(of did: DialogID, now: Instant) -> UInt64 {
        UInt64(max(0, store.dialogs.age(did, now: now)?.wholeMilliseconds ?? 0))
    }

    /// It lives, and nobody ends it.
    private func mayBeAsked(_ did: DialogID, now: Instant) -> Bool {
        store.dialogs.state(did) == .confirmed && !proxy.isEnding(did)
            && !proxy.neighbours.frozenDialogs.contains(did, now: now)
            && (store.dialogs.deadline(did) ?? .distantFuture) > now
    }

    // MARK: Spreading

    /// Publishes a wish with its shift, and waits until every member has them.
    private mutating func spread(
        _ wish: RequestWish, _ key: AskedRequest.Key, until: Instant? = nil, now: Instant
    ) throws(DialogError) {
        let change = StampedChange.word(DialogWord(requestTo: key.leg), wish.bytes)
        guard var room = store.dialogs.view(key.did, { view, bytes in StampedRoom(view, bytes) }), room.admits(change)
        else {
            counters.changesRefused += 1
            throw .full
        }
        let stamp = Stamp(counter: cluster.nextStamp(above: room.counter), tag: proxy.settings.memberTag)
        var facts = FactsWriter()
        proxy.writeShift(wish.place.shift, toward: key.leg, of: key.did, into: &facts, dialogs: store.dialogs)
        facts.write(change, stamp)
        do {
            _ = try store.dialogs.learn(key.did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: now)
        } catch {
            counters.changesRefused += 1
            throw .full
        }
        let until = until ?? now.advanced(by: AskedRequests.patience)
        asked.set(.spreading(sequence: 0, until: until), wish, key, now: now)
        publish(facts, of: key.did)
        askForCommit(key)
    }

    private mutating func askForCommit(_ key: AskedRequest.Key) {
        guard let number = asked[key]?.number else { return }
        let token = CommitToken(context: SlotID(index: number, generation: 0), purpose: .request)
        proxy.effects.items.append(.commit(token))
    }

    /// What stands before the commit has been published.
    mutating func waitForShift(_ token: CommitToken, now: Instant) {
        guard let key = asked.key(ofNumber: token.context.index), let request = asked[key],
            case .spreading(let known, let until) = request.phase
        else { return }
        let sequence = known == 0 ? lastSequence : known
        if known == 0 { asked.set(.spreading(sequence: sequence, until: until), request.wish, key, now: now) }
        let peers = cluster.livePeerCount
        guard peers > 0 else { return sendIfSpread(key, now: now) }
        cluster.wait(
            for: sequence, peers: peers, enough: peers, token: token.rawValue,
            timeout: settings.replication.commitTimeout, now: now, out: &clusterActions)
    }

    /// All have it, or the commit's time is over: then it is waited for again, until there is no patience left.
    mutating func shiftCommitted(_ token: CommitToken, now: Instant) {
        guard let key = asked.key(ofNumber: token.context.index) else { return }
        sendIfSpread(key, now: now)
    }

    private mutating func sendIfSpread(_ key: AskedRequest.Key, now: Instant) {
        guard let request = asked[key], case .spreading(let sequence, let until) = request.phase, sequence > 0 else {
            return
        }
        if cluster.isShiftEverywhere(sequence) {
            let mayLeave = cluster.isFit && mayBeAsked(key.did, now: now)
            if mayLeave, spreadsAnew(request.wish, key, until: until, now: now) { return }
            if mayLeave {
                asked.set(.sent, request.wish, key, now: now)
                let isSent = proxy.sendRequest(
                    request.wish, to: key.leg, of: key.did, now: now, dialogs: &store.dialogs)
                if isSent { return }
            }
            end(key, request.wish, .notMade, status: 503, now: now)
        } else if now >= until {
            end(key, request.wish, .notMade, status: 503, now: now)
        }
    }

    /// While it spread, its seeming sender has begun something: it takes a place above that, as long as there is
    /// patience. An heir's may be with the phone already, and keeps its own.
    private mutating func spreadsAnew(
        _ wish: RequestWish, _ key: AskedRequest.Key, until: Instant, now: Instant
    ) -> Bool {
        guard wish.heirs == 0, now < until,
            let place = proxy.laterPlace(
                than: wish.place, ofRequestTo: key.leg, in: key.did, dialogs: store.dialogs)
        else { return false }
        var next = wish
        next.place = place
        do throws(DialogError) {
            try spread(next, key, until: until, now: now)
            return true
        } catch {
            return false  // Counted: it leaves with the place that it has.
        }
    }

    // MARK: Looking

    /// Requests that spread, and those of members that may be gone.
    mutating func lookAtRequests(now: Instant) {
        guard now >= asked.nextLook else { return }
        for key in asked.spreading {
            sendIfSpread(key, now: now)
            guard let request = asked[key], case .spreading(_, let until) = request.phase,
                until.milliseconds(since: now) % 50 < 10
            else { continue }
            askForCommit(key)  // Whoever has not acknowledged is pushed again.
        }
        for key in asked.keys {
            guard let request = asked[key], case .elsewhere(let writer, let absences) = request.phase else { continue }
            let isGone = writer != proxy.settings.memberTag && proxy.neighbours.peer(writer)?.isLive != true
            asked.set(
                .elsewhere(writer: writer, absences: isGone ? absences + 1 : 0), request.wish, key, now: now)
            // A member that has just begun may not have been heard of yet.
            if isGone, absences >= 1 { inherit(key, request.wish, now: now) }
        }
        asked.lookAgain(now: now)
    }

    private mutating func inherit(_ key: AskedRequest.Key, _ wish: RequestWish, now: Instant) {
        guard cluster.rank(did: key.did.rawValue, home: homeName(key.did)) == 0 else { return }
        let waited = Int64(clamping: age(of: key.did, now: now)) - Int64(clamping: wish.askedMilliseconds)
        guard waited < AskedRequests.lifetime, mayBeAsked(key.did, now: now) else {
            return end(key, wish, .givenUp, status: 408, now: now)
        }
        var own = wish
        own.heirs += 1
        do throws(DialogError) {
            try spread(own, key, now: now)
            counters.requestsInherited += 1
        } catch {
            end(key, wish, .givenUp, status: 408, now: now)
        }
    }

    /// A record has changed in which the cluster has made requests.
    mutating func noteRequests(_ did: DialogID, now: Instant) {
        guard store.dialogs.flags(did)?.contains(.asked) == true else { return }
        for leg in [Leg.caller, .callee] {
            let key = AskedRequest.Key(did: did, leg: leg)
            let known = store.dialogs.view(did) { view, bytes in
                view.state == .deleted ? nil : view.wish(to: leg, in: bytes)
            }
            noteRequest(key, (known ?? nil)?.wish, writer: (known ?? nil)?.writer ?? 0, now: now)
        }
    }

    private mutating func noteRequest(
        _ key: AskedRequest.Key, _ wish: RequestWish?, writer: UInt32, now: Instant
    ) {
        let mine = asked[key]
        guard let wish, wish.isOpen else {
            // It has ended, by another's word or with its dialog.
            guard let mine else { return }
            if case .spreading = mine.phase {
                tell(key, mine.wish, wish == nil ? .notMade : .overtaken, status: 0, now: now)
            }
            return asked.remove(key)
        }
        if writer == proxy.settings.memberTag { return }
        if let mine, !mine.isElsewhere, !mine.wish.isSame(as: wish) {
            tell(key, mine.wish, .overtaken, status: 0, now: now)
        }
        if let mine, mine.isElsewhere, mine.wish == wish { return }
        guard mine != nil || !asked.isFull else { return counters.requestsUnwatched += 1 }
        asked.set(.elsewhere(writer: writer, absences: 0), wish, key, now: now)
    }

    // MARK: Ends

    /// The final answer, or none.
    mutating func requestEnded(_ key: AskedRequest.Key, cSeq: UInt32, status: Int, now: Instant) {
        guard let request = asked[key], request.wish.place.cSeq == cSeq else { return }
        end(key, request.wish, 200..<300 ~= status ? .accepted : .failed, status: status, now: now)
    }

    /// It is over: a fact, and an event.
    private mutating func end(
        _ key: AskedRequest.Key, _ wish: RequestWish, _ outcome: RequestEvent.Outcome, status: Int, now: Instant
    ) {
        asked.remove(key)
        let told = outcome == .notMade || outcome == .givenUp ? 0 : status
        tell(key, wish, outcome, status: told, now: now)
        var ended = wish.ended(UInt32(clamping: status))
        let known = store.dialogs.view(key.did) { view, bytes in view.wish(to: key.leg, in: bytes)?.wish } ?? nil
        if let known, known.place == wish.place { ended.notified = known.notified }
        let result = StampedChange.word(DialogWord(requestTo: key.leg), ended.bytes)
        do throws(DialogError) {
            try write([result], of: key.did, now: now)
        } catch {
            counters.requestsUnmarked += 1  // Its dialog has ended.
        }
        if outcome != .accepted { endBridge(key.did, now: now) }
    }

    mutating func tell(
        _ key: AskedRequest.Key, _ wish: RequestWish, _ outcome: RequestEvent.Outcome, status: Int, now: Instant
    ) {
        switch outcome {
        case .accepted: counters.requestsAccepted += 1
        case .failed: counters.requestsFailed += 1
        case .notMade: counters.requestsNotMade += 1
        case .overtaken: counters.requestsOvertaken += 1
        case .givenUp: counters.requestsGivenUp += 1
        case .referred: counters.refersMade += 1
        case .notReferred: counters.refersFailed += 1
        }
        var event = RequestEvent(
            did: key.did.hex, side: key.leg, method: String(decoding: wish.method, as: UTF8.self), outcome: outcome,
            status: status)
        event.isOfHeir = wish.heirs > 0 || outcome == .givenUp
        event.callID =
            store.dialogs.view(key.did) { view, bytes in
                String(decoding: bytes[view.callID.range], as: UTF8.self)
            } ?? ""
        tell(event, now: now)
    }

    mutating func tell(_ event: RequestEvent, now: Instant) {
        var event = event
        event.node = settings.node.name
        event.unixMilliseconds = proxy.unixOrigin + now.milliseconds(since: .zero)
        asked.events.append(event)
    }
}

extension AskedRequest {
    fileprivate var isElsewhere: Bool { if case .elsewhere = phase { true } else { false } }
}

extension RequestWish {
    /// An heir has taken it up, and nothing else has changed.
    fileprivate func isSame(as other: RequestWish) -> Bool {
        method == other.method && place == other.place && headers == other.headers && body == other.body
    }
}

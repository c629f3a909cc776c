// Carries out what proxy and cluster ask for, until neither asks for anything more. Order is kept: a fact is published
// before the commit that waits for it, and a released 2xx leaves in the same turn as the acknowledgement that released
// it.

import Cluster
import Dialogs
import Primitives
import Proxy
import SIP

extension Node {
    /// How often proxy and cluster may answer each other in one turn: a bound that only a mistake of ours could reach.
    private static let turnLimit = 10_000

    mutating func settle(now: Instant, into out: inout Outbox) {
        var turns = 0
        if !notesDue.isEmpty {
            out.notes += notesDue
            notesDue.removeAll(keepingCapacity: true)
        }
        while !proxy.effects.items.isEmpty || !clusterActions.items.isEmpty || !store.touched.isEmpty
            || !store.granted.isEmpty || !store.older.isEmpty || !resolverActions.isEmpty
        {
            precondition(
                turns < Self.turnLimit, "proxy and cluster must come to rest: \(proxy.effects.items.first as Any)")
            turns += 1
            carryOutProxyEffects(now: now, into: &out)
            carryOutResolverActions(now: now, into: &out)
            carryOutClusterActions(now: now, into: &out)
            lookAtTouched(now: now)
        }
        if !lifeEvents.isEmpty || !proxy.moments.isEmpty || !store.forgotten.isEmpty || !asked.events.isEmpty {
            tellPrograms(&out)
        }
    }

    private mutating func carryOutProxyEffects(now: Instant, into out: inout Outbox) {
        guard !proxy.effects.items.isEmpty else { return }
        var items: [ProxyEffect] = []
        swap(&items, &proxy.effects.items)
        var arena = ByteWriter()
        swap(&arena, &proxy.effects.arena)
        for item in items {
            switch item {
            case .patch(let did, let range):
                let bytes = RawSpan(_elements: arena.bytes.span).extracting(range.range)
                lastSequence = cluster.publish(patch: bytes, of: did.rawValue, now: now)
                if store.isTombstone(did.rawValue) { cluster.bury(did.rawValue, store: &store, now: now) }
                noteChange(did, now: now)
            case .put(let did):
                recordBytes.removeAll()
                guard let age = store.write(did.rawValue, into: &recordBytes, now: now) else { continue }
                let bytes = recordBytes.bytes
                lastSequence = cluster.publish(
                    record: RawSpan(_elements: bytes.span), of: did.rawValue, ageMilliseconds: age, now: now)
                noteChange(did, now: now)
                trace.keep(.published, did, now: now)
            case .commit(let token): waitForCommit(token, now: now)
            case .wanted(let did):
                cluster.fetch(did.rawValue)
                if storage.mayKnowMore { out.storage.append(.find(did)) }
            case .question(let did): cluster.question(did.rawValue, store: store, now: now, out: &clusterActions)
            case .legsEnded(let did, let unanswered): endLegs(did, unanswered: unanswered, now: now)
            case .requestEnded(let did, let leg, let cSeq, let status):
                requestEnded(AskedRequest.Key(did: did, leg: leg), cSeq: cSeq, status: status, now: now)
            case .referNotified(let did, let leg, let status, let isOver):
                referNotified(AskedRequest.Key(did: did, leg: leg), status: status, isOver: isOver, now: now)
            case .bridgeAnswered(let did): bridgeAnswered(did, now: now)
            case .bridgeFailed(let callID, let status): bridgeFailed(callID: callID, status: status, now: now)
            case .resolve(let token, let target): resolve(token, target, now: now)
            case .ask(let question): out.scripts.append(question)
            case .locate(let question): locate(question, now: now)
            case .note(let note):
                if case .tookOverEarly(let callID) = note { trace.keep(.tookOver, callID: callID, now: now) }
                out.notes.append(Note(note))
            }
        }
        arena.removeAll()
        items.removeAll(keepingCapacity: true)
        if proxy.effects.arena.isEmpty { swap(&arena, &proxy.effects.arena) }
        if proxy.effects.items.isEmpty { swap(&items, &proxy.effects.items) }
    }

    /// How many peers a commit waits for. A refresh and a granted end must meet in one node: commit + grants > members
    /// (R9), also when a member joins meanwhile: others may grant in the next view before this node has heard of it. So
    /// it is half of the members, which with this node is a majority of one more.
    mutating func waitForCommit(_ token: CommitToken, now: Instant) {
        if token.purpose == .request { return waitForShift(token, now: now) }
        let members = cluster.holderCount
        var peers = settings.replication.commit == .majority ? members / 2 : 1
        traceHeld(token, now: now)
        if token.purpose == .refresh, members < 4 || !mutated("refresh-commit-one") {
            peers = max(peers, members / 2)
        }
        let enough = max(1, peers)
        peers = token.purpose == .inheritance ? max(enough, cluster.livePeerCount) : enough
        cluster.wait(
            for: lastSequence, peers: peers, enough: enough, token: token.rawValue,
            timeout: settings.replication.commitTimeout, now: now, out: &clusterActions)
    }

    private mutating func carryOutClusterActions(now: Instant, into out: inout Outbox) {
        guard !clusterActions.items.isEmpty else { return }
        var items: [ClusterAction] = []
        swap(&items, &clusterActions.items)
        let arena = clusterActions.arena
        let base = out.busArena.count
        if items.contains(where: \.hasBytes) { out.busArena.append(contentsOf: arena.bytes) }
        clusterActions.arena.removeAll()
        func moved(_ range: ByteRange) -> ByteRange {
            ByteRange(start: Int(range.start) + base, end: Int(range.end) + base)
        }
        for item in items {
            switch item {
            case .publish(let range): out.bus.append(.publish(moved(range)))
            case .request(let peer, let id, let range): out.bus.append(.request(peer: peer, id: id, moved(range)))
            case .reply(let token, let range): out.bus.append(.reply(token: token, moved(range)))
            case .probe(let peer): out.bus.append(.probe(peer: peer))
            case .recycle(let peer): out.bus.append(.recycle(peer: peer))
            case .committed(let token, let acknowledged): committed(token, acknowledged, now: now)
            case .granted(let did) where items.contains(.viewChanged):
                askOnceMore(DialogID(rawValue: did), now: now)
            case .granted(let did): endGranted(DialogID(rawValue: did), now: now)
            case .refused(let did):
                counters.intentsRefused += 1
                trace.keep(.refused, DialogID(rawValue: did), now: now)
                armDeadline(DialogID(rawValue: did))
            case .questioned(let did):
                proxy.questionAnswered(DialogID(rawValue: did), now: now, dialogs: &store.dialogs)
                releaseHeld(DialogID(rawValue: did), now: now)
            case .viewChanged:
                scheduleReview(now: now)
                noteSuccessions(now: now)
                decideStorage(now: now)
            case .stateChanged: scheduleReview(now: now)
            case .fitChanged: refreshMembership(now: now)
            case .rebooted(let boot): takeBoot(boot)
            case .note(let note):
                traceMembers(note, now: now)
                out.notes.append(Note(note, peers: cluster.peerAddresses.map { $0 ?? "" }))
            case .inquiry(let id, let text): out.inquiries.append(.heard(id, text))
            case .inquired(let token, let outcome): out.inquiries.append(.ended(token: token, outcome))
            case .exit(let code): out.exit = code
            }
        }
    }

    private mutating func committed(_ raw: UInt64, _ acknowledged: Bool, now: Instant) {
        guard let token = CommitToken(rawValue: raw) else { return }
        if !acknowledged, token.purpose != .request {
            counters.uncommitted += 1
            if token.purpose == .refresh { counters.refreshUncommitted += 1 }
        }
        if token.purpose == .registration { return registrationCommitted(token, now: now) }
        if token.purpose == .request { return shiftCommitted(token, now: now) }
        if let did = proxy.dialog(of: token) { trace.keep(acknowledged ? .committed : .uncommitted, did, now: now) }
        proxy.committed(token, now: now, dialogs: &store.dialogs)
    }

    /// What a record that a peer has changed asks of this node.
    private mutating func meetDemands(of did: DialogID, now: Instant) {
        var demands = proxy.demands(of: did, now: now, dialogs: store.dialogs)
        if demands.contains(.review) || proxy.hasContext(did) {
            proxy.review(did, now: now, dialogs: &store.dialogs)
            demands = proxy.demands(of: did, now: now, dialogs: store.dialogs)
        }
        if demands.contains(.spent) {
            proxy.learnSpent(did, now: now, dialogs: &store.dialogs)
        } else if demands.contains(.settled) {
            proxy.learnSettled(did, now: now, dialogs: &store.dialogs)
        } else if !demands.contains(.end) {
            return
        }
        // What was learned just now may have been the end.
        if proxy.demands(of: did, now: now, dialogs: store.dialogs).contains(.end) {
            proxy.shortenDeadline(did, flags: [], isAsked: true, now: now, dialogs: &store.dialogs)
        }
    }

    private mutating func freezeGranted(now: Instant) {
        for did in store.granted where !mutated("intent-not-final") {
            proxy.neighbours.frozenDialogs.insert(did, until: now.advanced(by: settings.takeover.intentLife), now: now)
        }
        store.granted.removeAll(keepingCapacity: true)
    }

    private mutating func putDeadlinesRight(now: Instant) {
        for (did, deadline) in store.misdated {
            proxy.correctDeadline(did, deadline, now: now, dialogs: &store.dialogs)
        }
        store.misdated.removeAll(keepingCapacity: true)
        for (did, deadline) in store.overruled {
            proxy.repeatRefresh(did, deadline, now: now, dialogs: &store.dialogs)
        }
        store.overruled.removeAll(keepingCapacity: true)
    }

    /// What peers changed: timers, transactions of ours that wait for such facts, orphans.
    mutating func lookAtTouched(now: Instant) {
        if !store.granted.isEmpty { freezeGranted(now: now) }
        for did in store.older {
            if LocationTable.isLocation(did.rawValue) {
                tellAgain(did.rawValue, now: now)
            } else {
                proxy.effects.items.append(.put(did))
            }
        }
        if !store.older.isEmpty { store.older.removeAll(keepingCapacity: true) }
        if !store.misdated.isEmpty || !store.overruled.isEmpty { putDeadlinesRight(now: now) }
        if !store.voided.isEmpty { keepEnds(now: now) }
        guard !store.touched.isEmpty else { return }
        for (did, record) in store.dialogs.takeUnpaid() {
            proxy.payEnd(did, record, now: now, dialogs: &store.dialogs)
        }
        var touched: [DialogID] = []
        swap(&touched, &store.touched)
        for did in touched {
            noteChange(did, now: now)
            meetDemands(of: did, now: now)
        }
        for did in store.arrived {
            if watchedMoments.contains(.loaded) { proxy.moments.append(DialogMoment(.loaded, did)) }
            proxy.recordArrived(did, now: now, dialogs: &store.dialogs)
            awaitTurn(did, now: now)
        }
        store.arrived.removeAll(keepingCapacity: true)
        touched.removeAll(keepingCapacity: true)
        if store.touched.isEmpty { swap(&touched, &store.touched) }
    }
}

extension ClusterAction {
    /// It refers to bytes in the arena.
    fileprivate var hasBytes: Bool {
        switch self {
        case .publish, .request, .reply: true
        default: false
        }
    }
}

// Messages that wait: for the record of their dialog (R2, `WaitingRoom`), or behind a 2xx that is held for its commit
// (S2-12). What is let go is handled before the event that let it go returns.

package import Dialogs
package import Primitives
import SIP

extension Proxy {
    /// Whether a request that would refresh a dialog, or cancel it, is kept until its record has been fetched, 200 ms
    /// at most: facts are published only of records that are here (R2). After that it goes by its Route, as any request
    /// does without a record (S1-7).
    func mayWait(for did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        neighbours.commits && !plan.hasWaited && !dialogs.contains(did) && neighbours.hasLivePeer
            && !mutated("refresh-waits-not")
    }

    /// Whether the request at hand waits for a record: one that teaches nothing by itself only where its CSeq may have
    /// to be moved (`CSeqShift`), and who joins cannot know that.
    func waits(for did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        guard Self.refreshing(message.method) || dialogs.hasAsked || neighbours.isJoining else { return false }
        // Who has just begun hears the others in a moment, and has their records then.
        if neighbours.isJoining, neighbours.expectsPeers, !plan.hasWaited, !dialogs.contains(did) { return true }
        return mayWait(for: did, plan, dialogs: dialogs)
    }

    /// Keeps a request for what it waits for.
    /// - Returns: False when it does not wait after all, for want of room: it goes on without. What would wait behind a
    ///   2xx is let go then, and its sender repeats it.
    mutating func keep(_ plan: RequestPlan, at stage: Stage, for awaited: Awaited) -> Bool {
        if awaited.isWord { return askAboutRequest(plan, awaited) }
        var request = WaitingRequest(bytes: message.snapshot(), plan: plan, stage: stage)
        switch awaited {
        case .script, .registrar: break
        case .record(let did, let isWanted):
            request.plan.hasWaited = true
            guard waitingRoom.keep(request, for: did, now: now) else {
                counters.waitsRefused += 1
                return false
            }
            if isWanted { effects.items.append(.wanted(did)) }
        case .answer(let id):
            let isKept = contexts.update(id) { context in
                guard context.queued.count < ResponseContext.queuedLimit else { return false }
                context.queued.append(request)
                return true
            }
            if isKept != true { counters.queuesRefused += 1 }
        }
        return true
    }

    /// Keeps a message whose dialog is not here for what it will teach when the record comes (R2); it is forwarded
    /// meanwhile.
    /// - Parameter isKept: It waits itself, and teaches then.
    mutating func park(_ did: DialogID, isKept: Bool = false) {
        effects.items.append(.wanted(did))
        guard !isKept, message.method == .ack || message.method == .bye else { return }
        counters.parkedRefused += waitingRoom.park(message.snapshot(), of: did, now: now) ? 0 : 1
    }

    /// A record came that was wanted: what was parked of it is learned, nothing is forwarded again.
    package mutating func recordArrived(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        let came = waitingRoom.take(did)
        released += came.requests
        for bytes in came.messages {
            guard loadMessage(bytes),
                let via = try? message.topmostVia(), let cSeq = try? message.cSeq()
            else { continue }
            var plan = RequestPlan(
                source: .none, listener: ListenerID(rawValue: 0), upstream: .none, addsReceived: false, cSeq: cSeq,
                via: via)
            consumeRoutes(&plan, dialogs: dialogs)
            plan.did = did
            matchDialog(&plan, dialogs: dialogs)
            guard plan.isKnown, plan.did == did, placeCSeq(&plan, dialogs: dialogs) else { continue }
            if message.method == .ack {
                learnAcknowledgement(did, plan, dialogs: &dialogs)
            } else {
                learnBye(did, plan.leg, dialogs: &dialogs)
            }
        }
    }

    /// Adopted INVITEs whose record has changed, and requests that were queued behind a 2xx which has gone now.
    mutating func replayQueued(dialogs: inout DialogTable) {
        while !released.isEmpty || !reviewsDue.isEmpty {
            let dids = reviewsDue
            reviewsDue.removeAll(keepingCapacity: true)
            for did in dids { review(did, dialogs: &dialogs) }
            let batch = released
            released.removeAll(keepingCapacity: true)
            for request in batch { goOn(request, dialogs: &dialogs) }
        }
    }
}

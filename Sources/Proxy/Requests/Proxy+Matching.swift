// Which dialog a request belongs to (S1-2b, S1-7, S2-17): one outside of any may be a copy, a spiral or the beginning
// of a call; one within is matched by the did in its Route, else by Call-ID and tags, and forwarded without a record
// just as well.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Looks a request outside of any dialog up before anything is created.
    mutating func matchInitial(_ plan: inout RequestPlan, dialogs: DialogTable) -> Decision {
        if message.method == .options, plan.consumedRoutes == routes.count, isForThisNode() { return .answerOptions }
        if let passage = passedBefore(plan) {
            if passage.returned { return .refuse(482) }
            let match = matchPass(passage, &plan, dialogs: dialogs)
            return match.isProceed ? decideRelay(plan) : match
        }
        plan.isEmergency = isEmergency(plan)
        if plan.relay == nil, !plan.isEmergency {
            let limits = decideLimits(plan)
            guard limits.isProceed else { return limits }
        }
        let shed = Decision.refuse(503, .shed, retryAfter: 5)
        guard message.method == .invite else { return isShed(plan) ? shed : .proceed }
        let did = dialogs.did(of: inviteIdentity(plan))
        plan.did = did
        if dialogs.contains(did), !mutated("second-branch") { return decideRepeated(did, plan, dialogs: dialogs) }
        // What is here goes on here, on a node that drains, too.
        if let known = attemptTriedAgain(plan, dialogs: dialogs) { return .adopt(known) }
        let relay = decideRelay(plan)
        guard relay.isProceed else { return relay }
        if isShed(plan) { return shed }
        // New dialogs are shed first, requests in a dialog never.
        if isFull(for: plan, dialogs) { return .refuse(503, .full, retryAfter: 10) }
        counters.callsTried += 1
        counters.emergencyCalls += plan.isEmergency ? 1 : 0
        plan.createsDialog = true
        plan.recordsRoute = true
        return .proceed
    }

    /// The Request-URI is the node or the cluster itself, without a user part.
    private func isForThisNode() -> Bool {
        guard let uri = try? URI(message.bytes, message.requestURI) else { return false }
        return uri.user.isEmpty && isOwn(uri, in: message.bytes)
    }

    /// Hash of everything that routing depends on (RFC 3261 §16.6 step 8): Request-URI, the Routes that are not ours,
    /// the connection that a Path of ours or a member names, and the headers that decide who may pass.
    func loopHash(_ plan: RequestPlan) -> UInt32 {
        var stream = hash.begin()
        stream.combine(message.bytes, message.requestURI)
        stream.combine(message.bytes, message.callID)
        stream.combine(message.bytes, message.fromTag)
        stream.combine(message.bytes, message.toTag)
        stream.combine(UInt64(plan.cSeq.number))
        for route in routes.dropFirst(plan.ownRoutes) { stream.combine(message.bytes, route.element) }
        if plan.namedFlow != .none { stream.combine(plan.namedFlow.rawValue) }
        if let path = plan.path {
            stream.combine(path.flow.map { UInt64($0.member) << 32 ^ $0.flow.rawValue } ?? 0)
            stream.combine(path.source.address.high ^ UInt64(path.source.port))
            stream.combine(path.source.address.low)
        }
        message.forEach(.proxyRequire) { stream.combine(message.bytes, $0.value) }
        message.forEach(.proxyAuthorization) { stream.combine(message.bytes, $0.value) }
        message.forEach(.authorization) { stream.combine(message.bytes, $0.value) }
        return UInt32(truncatingIfNeeded: stream.finish())
    }

    /// Finds the dialog of a request within one; it is forwarded without its record just as well.
    mutating func matchInDialog(_ plan: inout RequestPlan, dialogs: DialogTable) -> Decision {
        plan.isKnown = false
        let hint = plan.did
        matchDialog(&plan, dialogs: dialogs)
        if let hint, !plan.isKnown, waits(for: hint, plan, dialogs: dialogs) {
            return .wait(for: .record(hint, isWanted: false))  // `matchDialog` has asked for it.
        }
        guard let did = plan.did, plan.isKnown else { return .proceed }
        guard placeCSeq(&plan, dialogs: dialogs) else { return .refuse(500, .numbersUsedUp) }
        if let own = decideOwn(did, plan, dialogs: dialogs) { return own }
        plan.afterTheEnd = dialogs.state(did) == .deleted
        if message.method == .invite {
            if let passage = passedBefore(plan) { plan.pass = passage.pass }
            let repeated = decideRepeatedReInvite(did, plan, dialogs: dialogs)
            guard repeated.isProceed else { return repeated }
        }
        if plan.leg == .callee, let id = inviteContext(of: did, where: { !$0.held.isEmpty }) {
            return .wait(for: .answer(id))
        }
        guard neighbours.frozenDialogs.contains(did, now: now), message.method != .bye, !isKeepAlive(plan) else {
            return .proceed
        }
        return .refuse(refusalOfFrozen(did, dialogs: dialogs))
    }

    /// What a request gets whose dialog a member may be ending just now (R1). Where a later deadline has come since the
    /// end was granted, the call most likely goes on, and 481 would make its sender hang up (RFC 3261 §12.2.1.2): it is
    /// told to ask once more.
    private func refusalOfFrozen(_ did: DialogID, dialogs: DialogTable) -> Refusal {
        guard let deadline = dialogs.deadline(did), deadline > now else { return Refusal(481) }
        return Refusal(500, retryAfter: 1)
    }

    /// Verifies the hint or falls back to Call-ID and tags (S3-21).
    mutating func matchDialog(_ plan: inout RequestPlan, dialogs: DialogTable) {
        let bytes = message.bytes
        let hint = plan.did
        if let hint {
            if let leg = leg(of: hint, from: plan.source, dialogs: dialogs) {
                plan.leg = leg
                plan.isKnown = true
                return
            }
            if !dialogs.contains(hint) {
                park(hint, isKept: waits(for: hint, plan, dialogs: dialogs))
            } else if let leg = legOfUnansweredDialog(hint, dialogs: dialogs) {
                plan.leg = leg
                plan.isKnown = true
                return
            } else {
                counters.routeHintMismatches += 1
                plan.did = nil
            }
        }
        let found = dialogs.find(
            callID: bytes, message.callID, fromTag: bytes, message.fromTag, toTag: bytes, message.toTag)
        if let (did, leg) = found {
            plan.did = did
            plan.leg = hasEqualTags ? sender(did, from: plan.source, dialogs: dialogs) ?? leg : leg
            plan.isKnown = true
        } else if spellTags(dialogs: dialogs) {
            plan.did = hint
            matchDialog(&plan, dialogs: dialogs)
        } else if hint == nil, message.method == .bye {
            matchAnsweredLately(&plan, dialogs: dialogs)
        }
    }

    /// Tags are tokens, and those are compared without regard to case (RFC 3261 §7.3.1). Nearly every phone sends them
    /// as it got them, so they are looked for as they are first. Where only case differs the request gets the tags that
    /// the dialog began with: everything behind goes by them, and the other phone may compare byte for byte.
    /// - Returns: Whether it has other tags now.
    private mutating func spellTags(dialogs: DialogTable) -> Bool {
        let (from, to) = (message.fromTag, message.toTag)
        guard let tags = dialogs.spelling(message.bytes, callID: message.callID, fromTag: from, toTag: to) else {
            return false
        }
        var bytes = message.snapshot()
        bytes.replaceSubrange(from.range, with: tags.from)
        bytes.replaceSubrange(to.range, with: tags.to)
        guard bytes != message.bytes else { return false }
        return loadMessage(bytes)  // As long as before: whatever is known of it stays where it was.
    }

    /// A BYE without a did right after the 2xx, whose facts are on their way here: the only call of its Call-ID that is
    /// not known to be confirmed is its own, as with a did. Without that its record would live until its deadline.
    private func matchAnsweredLately(_ plan: inout RequestPlan, dialogs: DialogTable) {
        guard let did = dialogs.onlyUnconfirmed(callID: message.bytes, message.callID),
            let leg = legOfUnansweredDialog(did, dialogs: dialogs)
        else { return }
        plan.did = did
        plan.leg = leg
        plan.isKnown = true
    }

    /// The 2xx with the other To tag may still be on its way to this node: Call-ID and the caller's tag have to do
    /// until then.
    func legOfUnansweredDialog(_ did: DialogID, dialogs: DialogTable) -> Leg? {
        dialogs.view(did) { view, bytes -> Leg? in
            guard view.state < .confirmed, Text.same(bytes, view.callID, message.bytes, message.callID) else {
                return nil
            }
            if hasEqualTags, Text.same(bytes, view.fromTag, message.bytes, message.fromTag) {
                return sender(did, from: .none, dialogs: dialogs) ?? .caller
            }
            if Text.same(bytes, view.fromTag, message.bytes, message.fromTag) { return .caller }
            return Text.same(bytes, view.fromTag, message.bytes, message.toTag) ? .callee : nil
        } ?? nil
    }
}

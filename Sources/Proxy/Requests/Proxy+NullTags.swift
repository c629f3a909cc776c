// Dialogs of which one side has no tag, or both have the same. A missing tag is the null tag (RFC 3261 §12.1.1,
// §12.1.2, §12.2.2): RFC 2543 callees put none into To, some gateways none into From. So the To tag alone does not tell
// a request within a dialog, and equal tags do not tell who sent it.
//
//   within a dialog     it has a To tag; or a Route of ours names the dialog (did), which nothing has before its answer
//                       has come; or the record of its Call-ID has a callee without a tag
//   whose request       where both tags are the same, what only one side would write decides, in this order: the
//                       Request-URI (the other's Contact), the From URI, the Contact, and the source
//
// Not taken for a dialog: a provisional without a To tag (§12.1 asks for one). What a Route of ours names is taken for
// one also where its record is nowhere: a dialog begun anew with each re-INVITE would be ended by its own deadline, and
// with it a live call. A call of its own whose sender puts an old Route of ours into it goes on, and is not timed.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// Whether the request at hand is sent within a dialog, whose Routes have been read.
    func isWithinDialog(_ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        if !message.toTag.isEmpty || plan.namesSubscription { return true }
        if let hint = plan.did {
            guard let state = dialogs.state(hint), state != .deleted else { return true }
            guard let leg = leg(of: hint, from: plan.source, dialogs: dialogs) else {
                return message.method != .invite && legOfUnansweredDialog(hint, dialogs: dialogs) != nil
            }
            return !isInitial(hint, leg, plan, dialogs: dialogs)
        }
        let bytes = message.bytes
        guard
            let (did, leg) = dialogs.find(
                callID: bytes, message.callID, fromTag: bytes, message.fromTag, toTag: bytes, message.toTag),
            let state = dialogs.state(did), state >= .confirmedNotAcknowledged
        else { return false }
        guard message.method == .invite else { return true }
        return state != .deleted && !isInitial(did, leg, plan, dialogs: dialogs)
    }

    /// The INVITE that made the dialog, or another copy of it.
    private func isInitial(_ did: DialogID, _ leg: Leg, _ plan: RequestPlan, dialogs: DialogTable) -> Bool {
        guard message.method == .invite, leg == .caller else { return false }
        return dialogs.view(did) { view, _ in view.inviteCSeq == plan.cSeq.number } ?? false
    }

    /// A request outside of any dialog; a dialog that its Route names is another's. An INVITE whose CSeq leaves no room
    /// for ours is refused (§8.1.1.5).
    mutating func leaveForeignDialog(_ plan: inout RequestPlan) -> Decision {
        guard message.method != .invite || UInt64(plan.cSeq.number) < GeneratedCSeq.limit else { return .refuse(400) }
        guard plan.did != nil else { return .proceed }
        counters.routeHintMismatches += 1
        plan.did = nil
        return .proceed
    }

    /// Whether a Route of the message at hand names a dialog of the cluster's.
    func namesDialog() -> Bool {
        guard message.first(.route) != nil else { return false }
        var found: [NameAddress] = []
        message.nameAddresses(.route, into: &found)
        return found.contains { route in
            guard let uri = try? URI(message.bytes, route.uri) else { return false }
            return isOwn(uri, in: message.bytes) && didHint(uri, in: message.bytes) != nil
        }
    }

    // MARK: Sides

    /// Who sent the message at hand, or, for a response, its request; `nil` when it is not of this dialog.
    func leg(of did: DialogID, from source: Endpoint, dialogs: DialogTable) -> Leg? {
        let bytes = message.bytes
        guard
            let leg = dialogs.matches(
                did, callID: bytes, message.callID, fromTag: bytes, message.fromTag, toTag: bytes, message.toTag)
        else { return nil }
        return hasEqualTags ? sender(did, from: source, dialogs: dialogs) ?? leg : leg
    }

    var hasEqualTags: Bool { Text.same(message.bytes, message.fromTag, message.bytes, message.toTag) }

    /// Who sent the request at hand, by what its tags do not say; `nil` when nothing of it tells the sides apart.
    func sender(_ did: DialogID, from source: Endpoint, dialogs: DialogTable) -> Leg? {
        dialogs.view(did) { view, stored -> Leg? in
            let callee = view.out(toTag: message.bytes, message.toTag, in: stored)?.side ?? RecordView.Side()
            if message.isRequest,
                let leg = Self.side(
                    ofCaller: isSame(message.requestURI, callee.contact, stored),
                    ofCallee: isSame(message.requestURI, view.caller.contact, stored))
            {
                return leg
            }
            if let from = message.firstNameAddress(.from)?.uri,
                let leg = Self.side(
                    ofCaller: isNamed(from, by: view.from, stored), ofCallee: isNamed(from, by: view.to, stored))
            {
                return leg
            }
            guard message.isRequest else { return nil }
            if let contact = message.firstNameAddress(.contact)?.uri,
                let leg = Self.side(
                    ofCaller: isSame(contact, view.caller.contact, stored),
                    ofCallee: isSame(contact, callee.contact, stored))
            {
                return leg
            }
            return Self.side(
                ofCaller: Endpoint(fact: Array(stored[view.caller.endpoint.range])) == source,
                ofCallee: Endpoint(fact: Array(stored[callee.endpoint.range])) == source)
        } ?? nil
    }

    private static func side(ofCaller: Bool, ofCallee: Bool) -> Leg? {
        ofCaller == ofCallee ? nil : ofCaller ? .caller : .callee
    }

    private func isNamed(_ uri: ByteRange, by value: ByteRange, _ stored: [UInt8]) -> Bool {
        guard !value.isEmpty, let address = try? NameAddress(stored, value) else { return false }
        return isSame(uri, address.uri, stored)
    }

    /// Whether a URI of the message at hand and one of a record are equivalent (RFC 3261 §19.1.4).
    private func isSame(_ range: ByteRange, _ other: ByteRange, _ stored: [UInt8]) -> Bool {
        guard !range.isEmpty, !other.isEmpty else { return false }
        if Text.same(message.bytes, range, stored, other) { return true }
        guard let mine = try? URI(message.bytes, range), let theirs = try? URI(stored, other) else { return false }
        return mine.isEquivalent(to: theirs, in: message.bytes, stored)
    }
}

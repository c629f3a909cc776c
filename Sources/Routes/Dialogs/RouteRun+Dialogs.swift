// The modules dialog and ims_dialog: which dialog a run is about, what is known of it, and what is to be written.
//
//     dlg_get found one ─▶ that one     the record of the message is here ─▶ known     an INVITE begins one ─▶ coming
//
// Variables, profiles and flags of a coming dialog may be set before anybody knows whether the INVITE goes: they stand
// in its record if it does (`DialogDraft`).

package import Dialogs
internal import Primitives
internal import SIP

extension RouteRun {
    package enum DialogSubject: Equatable, Sendable {
        case none
        case coming
        case known(DialogID)

        package var did: DialogID? { if case .known(let did) = self { did } else { nil } }
    }

    package var dialog: DialogSubject {
        if let did = plan.dialogs.current { return .known(did) }
        if let did = point.did, dialogs.contains(did) { return .known(did) }
        return point.beginsDialog ? .coming : .none
    }

    /// `is_known_dlg`.
    package var isDialogKnown: Bool {
        switch dialog {
        case .known: true
        case .coming: plan.dialogs.isManaged
        case .none: false
        }
    }

    /// `dlg_manage`: the INVITE's dialog is tracked, also where no Record-Route brings its requests here.
    package mutating func manageDialog() -> Bool {
        if case .none = dialog { return false }
        plan.dialogs.isManaged = true
        return true
    }

    /// Whether the INVITE at hand begins a dialog, where that does not follow from its Record-Route (`dlg_flag`).
    package var tracksDialog: Bool? {
        if plan.dialogs.isManaged { return true }
        return settings.beginningFlag.map { state.flags >> UInt32($0) & 1 != 0 }
    }

    package mutating func findDialog(_ callID: [UInt8], _ fromTag: [UInt8], _ toTag: [UInt8]) -> DialogID? {
        dialogs.find(
            callID: callID, ByteRange(callID), fromTag: fromTag, ByteRange(fromTag), toTag: toTag, ByteRange(toTag))?.0
    }

    /// `dlg_get`: the run is about this dialog from now on.
    package mutating func getDialog(_ callID: [UInt8], _ fromTag: [UInt8], _ toTag: [UInt8]) -> Bool {
        guard let did = findDialog(callID, fromTag, toTag) else { return false }
        plan.dialogs.current = did
        return true
    }

    /// Whether the message goes from the callee to the caller; `nil` where that is not known.
    package var goesUpstream: Bool? {
        if let known = point.isUpstream { return known }
        guard let did = dialog.did, message.isRequest, !message.fromTag.isEmpty else { return nil }
        let tag = message.copy(message.fromTag)
        return dialogs.view(did) { view, bytes in !Text.same(bytes, view.fromTag, tag, ByteRange(tag)) }
    }

    // MARK: Writing

    /// Puts a write into the draft; `false` where the dialog is not there, is over, or takes no more.
    package mutating func write(_ change: StampedChange, to subject: DialogSubject) -> Bool {
        var room = StampedRoom()
        let did: DialogID?
        switch subject {
        case .none: return false
        case .coming: did = nil
        case .known(let known):
            guard let state = dialogs.state(known), state != .deleted else { return false }
            room = dialogs.view(known) { view, bytes in StampedRoom(view, bytes) } ?? room
            did = known
        }
        // All of a run's writes get one stamp, so there is one for each thing.
        plan.dialogs.writes.removeAll { $0.did == did && $0.change.isOfTheSame(as: change) }
        for write in plan.dialogs.writes where write.did == did { _ = room.admits(write.change) }
        guard plan.dialogs.writes.count < DialogDraft.writeLimit, room.admits(change) else {
            note(.warning, "the record of the dialog takes no more variables, profiles and flags")
            return false
        }
        plan.dialogs.writes.append(DialogDraft.Write(did: did, change: change))
        return true
    }

    /// What the draft says last of something.
    private func drafted<R>(_ subject: DialogSubject, _ pick: (StampedChange) -> R?) -> R? {
        for write in plan.dialogs.writes.reversed() where write.did == subject.did {
            if let found = pick(write.change) { return found }
        }
        return nil
    }

    // MARK: Variables

    package func dialogVariable(_ name: [UInt8], of subject: DialogSubject) -> RouteValue {
        let said = drafted(subject) { change -> [UInt8]?? in
            if case .variable(name, let value) = change { .some(value) } else { nil }
        }
        if let said { return said.map { .text($0) } ?? .null }
        guard let did = subject.did else { return .null }
        return (dialogs.view(did) { view, bytes in view.variable(name, in: bytes) } ?? nil).map { .text($0) } ?? .null
    }

    /// - Parameter value: Null takes it away.
    package mutating func setDialogVariable(
        _ name: [UInt8], _ value: RouteValue, of subject: DialogSubject
    ) -> Bool {
        guard 1...255 ~= name.count else { return false }
        return write(.variable(name, value: value.isNull ? nil : value.bytes), to: subject)
    }

    // MARK: Profiles

    /// The link that a script names; `nil`, and told, for what is none of the configuration's.
    private mutating func link(_ name: [UInt8], _ value: [UInt8]?) -> ProfileLink? {
        if settings.profilesNoValue.contains(name) { return ProfileLink(name: name) }
        guard settings.profilesWithValue.contains(name) else {
            note(.error, "profile \(name.shown) is none of ims_dialog.profiles_with_value and profiles_no_value")
            return nil
        }
        return ProfileLink(name: name, value: value)
    }

    package mutating func setProfile(_ name: [UInt8], _ value: [UInt8]?, isMember: Bool) -> Bool {
        guard let link = link(name, value) else { return false }
        if settings.profilesWithValue.contains(name) {
            guard let value = link.value, 1...255 ~= value.count, !value.contains(0) else {
                note(.error, "profile \(name.shown) needs a value of 1 to 255 bytes")
                return false
            }
        }
        return write(.profile(link, isMember: isMember), to: dialog)
    }

    /// Under one value, or, without one, any.
    package mutating func isInProfile(_ name: [UInt8], _ value: [UInt8]?) -> Bool {
        guard let link = link(name, value) else { return false }
        let subject = dialog
        let isAny = settings.profilesWithValue.contains(name) && value == nil
        var links: Set<ProfileLink> = []
        if let did = subject.did, dialogs.state(did) != .deleted {
            let found = dialogs.view(did) { view, bytes in
                var found: Set<ProfileLink> = []
                view.forEachProfile(in: bytes) { entry in
                    if entry.value != nil { found.insert(ProfileLink(key: Array(bytes[entry.key.range]))) }
                }
                return found
            }
            links = found ?? []
        }
        for write in plan.dialogs.writes where write.did == subject.did {
            guard case .profile(let link, let isMember) = write.change else { continue }
            if isMember { links.insert(link) } else { links.remove(link) }
        }
        return isAny ? links.contains { $0.name == name } : links.contains(link)
    }

    /// Over the cluster, and what other systems have told this node; `nil` for a profile that is not configured.
    package mutating func profileSize(_ name: [UInt8], _ value: [UInt8]?) -> Int? {
        guard let link = link(name, value) else { return nil }
        return dialogs.size(ofProfile: link) + memory.remoteCount(of: link, seconds: time.seconds)
    }

    /// `dlg_remote_profile`: counts, or counts no more, somebody else's call in a profile, on this node.
    /// - Parameters:
    ///   - command: `add` or `rm`.
    ///   - uid: What the call is called there.
    ///   - expires: When it counts no more by itself, seconds since 1970.
    package mutating func setRemoteProfile(
        _ command: [UInt8], _ name: [UInt8], _ value: [UInt8], uid: [UInt8], expires: Int
    ) -> Bool {
        let isWithValue = settings.profilesWithValue.contains(name)
        guard !uid.isEmpty, uid.count <= 255, let link = link(name, isWithValue ? value : nil),
            !isWithValue || 1...255 ~= value.count && !value.contains(0)
        else { return false }
        switch command.shown {
        case "add": return memory.addRemote(link, uid, until: expires, seconds: time.seconds)
        case "rm": return memory.removeRemote(link, uid)
        default: return false
        }
    }

    /// `dlg_set_timeout_by_profile`: a time for every dialog that is in a profile, under one value or any.
    package mutating func setTimeout(ofProfile name: [UInt8], _ value: [UInt8]?, _ seconds: Int) -> Bool {
        guard link(name, value) != nil, 1...604_800 ~= seconds,
            plan.dialogs.profileTimeouts.count < DialogDraft.writeLimit
        else { return false }
        let isWithValue = settings.profilesWithValue.contains(name)
        plan.dialogs.profileTimeouts.append(
            DialogDraft.ProfileTimeout(name: name, value: isWithValue ? value : nil, seconds: seconds))
        return true
    }

    // MARK: Flags and properties

    package mutating func setDialogFlag(_ flag: Int, _ isSet: Bool) -> Bool {
        guard 0...31 ~= flag else { return false }
        return write(.flag(UInt8(flag), isSet: isSet), to: dialog)
    }

    package var dialogFlags: UInt32 {
        let subject = dialog
        var flags = subject.did.flatMap { dialogs.view($0) { view, bytes in view.scriptFlags(in: bytes) } } ?? 0
        for write in plan.dialogs.writes where write.did == subject.did {
            guard case .flag(let number, let isSet) = write.change else { continue }
            if isSet { flags |= 1 << UInt32(number) } else { flags &= ~(1 << UInt32(number)) }
        }
        return flags
    }

    package mutating func setDialogProperty(_ name: [UInt8], _ isSet: Bool) -> Bool {
        guard let property = DialogProperty(rawValue: name.shown) else {
            note(.error, "\(name.shown) is none of ka-src, ka-dst, timeout-noreset")
            return false
        }
        return write(.property(property, isSet: isSet), to: dialog)
    }

    package var dialogTimeoutRoute: RouteValue {
        let subject = dialog
        let said = drafted(subject) { change -> [UInt8]?? in
            if case .word(.timeoutRoute, let text) = change { .some(text) } else { nil }
        }
        if let said { return said.map { .text($0) } ?? .null }
        let known = subject.did.flatMap { dialogs.view($0) { view, bytes in view.word(.timeoutRoute, in: bytes) } }
        return (known ?? nil).map { .text($0) } ?? .null
    }

    // MARK: Time and end

    /// `dlg_set_state`: a state follows from the messages, on every node alike, so only the one that it has is taken,
    /// and that it is over: nobody gets a BYE.
    package mutating func setDialogState(_ name: [UInt8]) -> Bool {
        guard let did = dialog.did, let state = dialogs.state(did), let first = name.first else { return false }
        let wanted: DialogState? =
            switch first | 0x20 {
            case UInt8(ascii: "u"): .unconfirmed
            case UInt8(ascii: "e"): .early
            case UInt8(ascii: "a"): .confirmedNotAcknowledged
            case UInt8(ascii: "c"): .confirmed
            case UInt8(ascii: "d"): .deleted
            default: nil
            }
        guard wanted != state else { return true }
        if wanted == .deleted { return end(did, .none, []) }
        note(.warning, "the state of a dialog follows from its messages: dlg_bye ends it")
        return false
    }

    package mutating func setDialogTimeout(_ seconds: Int, of subject: DialogSubject) -> Bool {
        guard 1...604_800 ~= seconds, subject != .none else { return false }
        if let did = subject.did, dialogs.state(did).map({ $0 == .deleted }) ?? true { return false }
        plan.dialogs.lifetimes.removeAll { $0.did == subject.did }
        plan.dialogs.lifetimes.append(DialogDraft.Lifetime(did: subject.did, seconds: seconds))
        return true
    }

    /// `timeout_avp`: what the script has left there is the time of the request's dialog, unless it has said one.
    package mutating func takeTimeoutFromAVP() {
        guard !settings.timeoutAVP.isEmpty else { return }
        let (subject, value) = (dialog, state.avp(settings.timeoutAVP))
        guard !value.isNull, subject != .none, !plan.dialogs.lifetimes.contains(where: { $0.did == subject.did })
        else { return }
        if subject.did.map({ dialogs.state($0) == .deleted }) ?? false { return }
        if !setDialogTimeout(value.number, of: subject) {
            note(.warning, "ims_dialog.timeout_avp has no time of 1 to 604 800 seconds")
        }
    }

    /// `dlg_bye`, `dlg_terminate`: it is ended when the run has ended, by the grants that every end needs.
    package mutating func endDialog(_ side: [UInt8], reason: [UInt8] = []) -> Bool {
        guard let side = DialogDraft.Side(rawValue: side.shown), side != .none, let did = dialog.did else {
            return false
        }
        return end(did, side, reason)
    }

    private mutating func end(_ did: DialogID, _ side: DialogDraft.Side, _ reason: [UInt8]) -> Bool {
        guard let state = dialogs.state(did), state != .deleted else { return false }
        guard side == .all || state >= .confirmedNotAcknowledged else { return false }
        guard plan.dialogs.endings.count < DialogDraft.writeLimit else { return false }
        plan.dialogs.endings.append(DialogDraft.Ending(did: did, side: side, reason: reason))
        return true
    }

    /// `dlg_refer`, `dlg_req_within`, `dlg_bridge`: asked for when the run has ended.
    package mutating func ask(_ request: DialogDraft.Request) -> Bool {
        switch request {
        case .within(let did, _, _, _, _, _), .refer(let did, _, _):
            guard dialogs.state(did) == .confirmed else { return false }
        case .bridge: break
        }
        guard plan.dialogs.requests.count < DialogDraft.writeLimit else { return false }
        plan.dialogs.requests.append(request)
        return true
    }

    /// `caller` or `callee`.
    package func side(_ name: [UInt8]) -> Leg? {
        switch name.shown.lowercased() {
        case "caller": .caller
        case "callee": .callee
        default: nil
        }
    }

    /// `dlg_set_ruri`: where the other side of the dialog says that it is.
    package mutating func setRemoteTarget() throws(RouteFault) -> Bool {
        guard let did = dialog.did, let isUpstream = goesUpstream else { return false }
        let field: DialogField = isUpstream ? .fromContact : .toContact
        guard case .text(let contact) = dialogs.value(of: field, did, defaultLifetime: 0) else { return false }
        return try setRequestURI(contact)
    }
}

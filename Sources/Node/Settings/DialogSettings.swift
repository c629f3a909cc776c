// `ims_dialog`: dialogs, under the module's own names and defaults (its README; units are the module's: seconds).

package struct DialogSettings: Equatable, Sendable {
    /// `ims_dialog.hash_size`, buckets, a power of two, 16 to 1 048 576, default 4096; the same on every node: digests
    /// are compared bucket by bucket.
    package var hashSize = 4_096
    /// `ims_dialog.rr_param`, name of the Record-Route parameter that carries the did, a token of at most 16
    /// characters, default `did`.
    package var rrParameter = "did"
    /// `ims_dialog.default_timeout`, seconds, 1 to 604 800, default 43 200: lifetime, started again by sequential
    /// requests.
    package var defaultTimeout: Duration = .seconds(43_200)
    /// `ims_dialog.early_timeout`, seconds, 1 to 3600, default 300: how long a dialog may stay unanswered.
    package var earlyTimeout: Duration = .seconds(300)
    /// `ims_dialog.noack_timeout`, seconds, 1 to 3600, or 0 (default): how long an answered one may wait for its ACK
    /// before it is ended; 0 never ends it, because a balancer that hides the ACK is likelier than a phone that sends
    /// none.
    package var noAckTimeout: Duration = .zero
    /// `ims_dialog.bye_early_code`, 400 to 699, default 480: what the caller of a ringing dialog gets when it is ended.
    package var byeEarlyCode = 480
    /// `ims_dialog.bye_early_reason`, 1 to 64 printable characters, default `Temporarily Unavailable`.
    package var byeEarlyReason = "Temporarily Unavailable"
    /// `ims_dialog.detect_spirals`, default 1; 0 has no effect, and a warning says so.
    package var detectsSpirals = true
    /// `ims_dialog.ka_timer`, seconds, 0 (default): no keep-alives, or 1 to 3600: how often Kamailio looks for dialogs
    /// to ask; here each has a moment of its own, and it only switches keep-alives on.
    package var keepAliveTimer: Duration = .zero
    /// `ims_dialog.ka_interval`, seconds, 0 (default) or 30 to 86 400: from one OPTIONS within a dialog to the next.
    package var keepAliveInterval: Duration = .zero
    /// `ims_dialog.ka_failed_limit`, 1 to 100, default 1: how often in a row a side may fail (408, 481, silence) until
    /// the dialog is ended.
    package var keepAliveFailedLimit = 1
    /// `ims_dialog.ka-src` and `ka-dst`, default false: which sides are asked in dialogs that begin at this node; what
    /// a script says with `dlg_set_property`.
    package var keepsCallerAlive = false
    package var keepsCalleeAlive = false
    /// `ims_dialog.dlg_flag`, -1 (default) or 0 to 31: the flag of a message without which an INVITE of a script begins
    /// no dialog; -1: each one that is record-routed begins one.
    package var beginningFlag = -1
    /// `ims_dialog.timeout_avp`, `$avp(NAME)`: what a script has put there is the lifetime of the request's dialog, in
    /// seconds. Empty (default): none.
    package var timeoutAVP = ""
    /// `ims_dialog.profiles_with_value` and `profiles_no_value`, names of `[A-Za-z0-9_]`, 64 characters each, with `;`
    /// between them; 64 in all. A profile that is in neither is refused by name.
    package var profilesWithValue: [String] = []
    package var profilesNoValue: [String] = []
    /// `ims_dialog.timeout_noreset`, default false: requests within a dialog do not move its deadline.
    package var keepsDeadline = false
    /// `ims_dialog.dlg_extra_hdrs`, header lines, 1024 characters in all: of every request that the cluster makes.
    package var extraHeaders = ""
    /// `ims_dialog.bridge_controller`, a SIP URI, default `sip:controller@kamailio.org`: who calls, and refers, for
    /// `dlg_bridge` and `dlg_refer`.
    package var bridgeController = "sip:controller@kamailio.org"
    /// `ims_dialog.bridge_contact`, a SIP URI that leads to the nodes; empty (default): the first of `sip.advertise`.
    package var bridgeContact = ""
    /// Parameters of the module that decide nothing here, where they were set (`ModuleParameter`).
    var idle: [String: String] = [:]
    /// `dialogs.events`, default false: what begins, fails, expires and ends is told by the dialog's actor, once, to
    /// the programs in its process and into `dialogs.events-file`.
    package var tellsEvents = false
    /// `dialogs.events-file`, a file to which each event that this node tells is appended as a line of JSON; an event
    /// counts as told when its line is in the file. Empty (default): none.
    package var eventsFile = ""
    /// `ims_dialog.event_callback`, the script's function that such an event is told to by its name, `dialog:start` and
    /// so on. Empty (default): none.
    package var eventCallback = ""
    /// `dialogs.limit`, records, live and tombstones, 100 to 10 000 000, default 1 000 000; at it a new dialog is
    /// refused with 503 and counted.
    package var limit = 1_000_000
    /// `dialogs.unrecorded`, `forward|refuse`, default forward: what becomes of a call that can have no record, because
    /// that would be too large.
    package var unrecorded: Unrecorded = .forward

    package enum Unrecorded: String, CaseIterable, Sendable {
        /// It goes on, and the cluster knows nothing of it.
        case forward
        /// 513 upstream; who has answered gets ACK and BYE.
        case refuse
    }

    package static let hashSizeLimit = 1_048_576

    package init() {}

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if hashSize < 16 || hashSize > Self.hashSizeLimit || hashSize & (hashSize - 1) != 0 {
            list.add("ims_dialog.hash_size", "must be a power of two, 16 to \(Self.hashSizeLimit)")
        }
        if !Self.isToken(rrParameter) || rrParameter.utf8.count > 16 {
            list.add("ims_dialog.rr_param", "must be a parameter name of 1 to 16 letters, digits, '-', '_' or '.'")
        } else if Self.takenParameters.contains(rrParameter.lowercased()) {
            list.add("ims_dialog.rr_param", "\(rrParameter) has a meaning of its own in a SIP URI; choose another name")
        }
        list.range("ims_dialog.default_timeout", defaultTimeout)
        list.range("ims_dialog.early_timeout", earlyTimeout)
        list.range("ims_dialog.noack_timeout", noAckTimeout)
        list.range("ims_dialog.bye_early_code", byeEarlyCode)
        list.range("ims_dialog.dlg_flag", beginningFlag)
        if !timeoutAVP.isEmpty, timeoutAVPName == nil {
            list.add("ims_dialog.timeout_avp", "'\(timeoutAVP)' is none like $avp(timeout)")
        }
        let printable = byeEarlyReason.utf8.allSatisfy { $0 >= 32 && $0 < 127 }
        if byeEarlyReason.isEmpty || byeEarlyReason.utf8.count > 64 || !printable {
            list.add("ims_dialog.bye_early_reason", "must be 1 to 64 printable characters")
        }
        if !eventsFile.isEmpty, !eventsFile.hasPrefix("/") || eventsFile.hasSuffix("/") {
            list.add(
                "dialogs.events-file", "'\(eventsFile)' is not a path like /var/lib/understudy/events.jsonl")
        }
        checkKeepAlive(&list)
        checkProfiles(&list)
        list.range("dialogs.limit", limit)
        return list.problems
    }

    /// What `timeout_avp` names: `$avp(timeout)`, or `$avp(s:timeout)` and `$avp(i:10)` of old configurations.
    package var timeoutAVPName: String? {
        guard timeoutAVP.hasPrefix("$avp("), timeoutAVP.hasSuffix(")") else { return nil }
        var name = timeoutAVP.dropFirst(5).dropLast()
        if name.hasPrefix("s:") || name.hasPrefix("i:") { name = name.dropFirst(2) }
        let isName = name.utf8.allSatisfy { $0 == 0x5F || $0 == 0x2D || $0 == 0x2E || Self.isWord($0) }
        return name.isEmpty || name.utf8.count > 64 || !isName ? nil : String(name)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    private func checkProfiles(_ list: inout ProblemList) {
        let both = [("profiles_with_value", profilesWithValue), ("profiles_no_value", profilesNoValue)]
        for (key, names) in both {
            for name in names where !Self.isProfileName(name) {
                list.add("ims_dialog.\(key)", "'\(name)' is no name of 1 to 64 letters, digits and '_'")
            }
            if Set(names).count < names.count { list.add("ims_dialog.\(key)", "a name is there twice") }
        }
        for name in profilesNoValue where profilesWithValue.contains(name) {
            list.add("ims_dialog.profiles_no_value", "'\(name)' is one of profiles_with_value, too")
        }
        if profilesWithValue.count + profilesNoValue.count > Self.profileLimit {
            list.add("ims_dialog.profiles_with_value", "at most \(Self.profileLimit) with profiles_no_value")
        }
        if ConfiguredURI(bridgeController) == nil {
            list.add("ims_dialog.bridge_controller", "must be a SIP URI like sip:controller@example.org")
        }
        if !bridgeContact.isEmpty, ConfiguredURI(bridgeContact) == nil {
            list.add("ims_dialog.bridge_contact", "must be a SIP URI like sip:controller@192.0.2.10:5060")
        }
        if let objection = Self.objection(toHeaders: extraHeaders) {
            list.add("ims_dialog.dlg_extra_hdrs", objection)
        }
    }

    package static let profileLimit = 64
    package static let headersLimit = 1_024

    static func isProfileName(_ name: String) -> Bool {
        1...64 ~= name.utf8.count
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95
            }
    }

    /// What a request of the cluster's own says by itself, and what would end its headers.
    private static let ownHeaders = [
        "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "route", "record-route", "max-forwards",
        "content-length", "l", "content-type", "c",
    ]

    /// Why these lines cannot stand in a request; `nil` when they can.
    static func objection(toHeaders text: String) -> String? {
        guard !text.isEmpty else { return nil }
        guard text.utf8.count <= headersLimit else { return "at most \(headersLimit) characters" }
        guard text.hasSuffix("\r\n") else { return "each header line ends with CRLF" }
        for line in text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast() {
            guard let colon = line.firstIndex(of: ":"), isToken(String(line[..<colon])),
                line.utf8.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 })
            else { return "'\(line)' is no header line" }
            if ownHeaders.contains(line[..<colon].lowercased()) { return "'\(line[..<colon])' is the request's own" }
        }
        return nil
    }

    private func checkKeepAlive(_ list: inout ProblemList) {
        list.range("ims_dialog.ka_timer", keepAliveTimer)
        list.range("ims_dialog.ka_interval", keepAliveInterval)
        if keepAliveInterval == .zero, keepAliveTimer != .zero {
            list.add("ims_dialog.ka_interval", "must be 30 to 86400 seconds when ims_dialog.ka_timer is set")
        }
        list.range("ims_dialog.ka_failed_limit", keepAliveFailedLimit)
    }

    /// Of URIs (RFC 3261 §19.1.1, RFC 5626, RFC 5627, RFC 3486, RFC 4244).
    private static let takenParameters = [
        "lr", "transport", "user", "method", "ttl", "maddr", "ob", "gr", "comp", "cause",
    ]

    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || byte == 45 || byte == 46 || byte == 95
            }
    }
}

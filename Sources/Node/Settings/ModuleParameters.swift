// Parameters of Kamailio's `ims_dialog` and `dialog` that have nothing to decide here, because the cluster always does
// the one thing, or has another key for it. They are taken, so that a configuration carried over starts as it is, and
// whoever sets one to something else than its default is told once what to use.

import SIP

/// One such parameter.
struct ModuleParameter: Sendable {
    enum Kind: Sendable {
        case flag
        case number(ClosedRange<Int64>)
        case text
    }

    var name: String
    var kind: Kind
    var standard: String
    /// What it means in the module.
    var meaning: String
    /// What is so here whatever it says, and what to use.
    var instead: String

    init(_ name: String, _ kind: Kind, _ standard: String, _ meaning: String, instead: String) {
        (self.name, self.kind, self.standard) = ("ims_dialog.\(name)", kind, standard)
        (self.meaning, self.instead) = (meaning, instead)
    }

    /// What is wrong with a value; `nil` when nothing is.
    func objection(to text: String) -> String? {
        switch kind {
        case .flag: return ["0", "1"].contains(text) ? nil : "'\(text)' is neither 0 nor 1"
        case .number(let range):
            guard let number = Int64(text), range.contains(number) else {
                return "must be \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .text: return text.utf8.count <= 256 ? nil : "at most 256 characters"
        }
    }

    var range: String {
        switch kind {
        case .flag: "`0`, `1`"
        case .number(let range): "\(range.lowerBound) to \(Int(range.upperBound).grouped)"
        case .text: "at most 256 characters"
        }
    }

    static let all: [ModuleParameter] = lookUp + lifetimes + requests + replication

    private static let lookUp = [
        ModuleParameter(
            "enable_stats", .flag, "1", "Whether statistics are kept", instead: "they always are; leave it out"),
        ModuleParameter(
            "dlg_match_mode", .number(0...2), "0", "What a request's dialog is found by",
            instead: "the did of a Route is tried first, then Call-ID and tags; leave it out"),
        ModuleParameter(
            "ruri_pvar", .text, "$ru", "Where the Request-URI of the record comes from",
            instead: "it is the INVITE's as it was received; use a variable of a route's dialog for another"),
        ModuleParameter(
            "initial_cbs_inscript", .flag, "1", "Whether callbacks of the INVITE run before the script",
            instead: "deprecated; they run when the record is made"),
        ModuleParameter(
            "h_id_start", .number(-1...2_147_483_647), "0", "The first h_id",
            instead: "h_id is a part of the did, the same on every node; leave it out"),
        ModuleParameter(
            "h_id_step", .number(1...2_147_483_647), "1", "From one h_id to the next",
            instead: "h_id is a part of the did, the same on every node; leave it out"),
        ModuleParameter(
            "dlg_filter_mode", .number(0...1), "0", "Whether only dialogs that begin here are tracked",
            instead: "every node holds every dialog; the metrics understudy_dialogs_own_… are of its own"),
        ModuleParameter(
            "dlg_ctxiuid_mode", .number(0...1), "0", "Whether the dialog's context outlives a message by its id",
            instead: "the dialog of a message is looked up each time; leave it out"),
        ModuleParameter(
            "dlg_mode", .number(0...1), "0", "Whether dialogs are kept per process",
            instead: "all are kept in one table; leave it out"),
        ModuleParameter(
            "debug_variables", .flag, "0", "Whether variables are written to the log",
            instead: "use understudy dialogs show"),
        ModuleParameter(
            "dbg_list", .number(0...1), "0", "Whether all dialogs are written to the log every 10 s",
            instead: "use understudy dialogs list"),
    ]

    private static let lifetimes = [
        ModuleParameter(
            "xavp_cfg", .text, "", "The XAVP that lifetime and BYE are read from",
            instead: "use timeout in the dialog of a route"),
        ModuleParameter(
            "end_timeout", .number(1...3_600), "300", "How long an ended dialog is kept for late messages, seconds",
            instead: "a tombstone is kept for 60 s, and until every member has it"),
        ModuleParameter(
            "send_bye", .flag, "0", "Whether a dialog whose time is up gets BYEs",
            instead: "it always does; leave it out"),
        ModuleParameter(
            "wait_ack", .flag, "1", "Whether a failed INVITE's transaction waits for its ACK",
            instead: "it always does (RFC 3261); ims_dialog.noack_timeout is of answered ones"),
        ModuleParameter(
            "timer_procs", .number(0...1), "0", "Whether timers have a process of their own",
            instead: "the SIP thread turns the wheel; leave it out"),
    ]

    private static let requests = [
        ModuleParameter(
            "track_cseq_updates", .flag, "0", "Whether CSeqs are shifted after a request of the proxy's own",
            instead: "they are, where the cluster has made a request of its own; leave it out"),
        ModuleParameter(
            "lreq_callee_headers", .text, "", "Header lines of requests to the callee alone",
            instead: "use ims_dialog.dlg_extra_hdrs, which is for both sides"),
        ModuleParameter(
            "keep_proxy_rr", .number(0...3), "0", "Whose own Record-Route stays in the route set of a request",
            instead: "a request of the cluster goes by the side's route set without our own; leave it out"),
    ]

    private static let replication = [
        ModuleParameter(
            "enable_dmq", .flag, "0", "Whether dialogs are replicated over DMQ",
            instead: "they are replicated over cluster.bus to cluster.peers"),
        ModuleParameter(
            "enable_dmq_ka_iflags_sync", .flag, "0", "Whether keep-alive flags are replicated over DMQ",
            instead: "everything of a record is replicated over cluster.bus"),
        ModuleParameter(
            "dmq_peer_id", .text, "dialog", "Who takes part in DMQ", instead: "use cluster.name"),
    ]
}

extension ModuleParameter {
    var key: SettingKey {
        var key = SettingKey(name: name, isList: false) { settings, texts in
            var text = texts[0].trimmed
            if case .flag = kind {
                text = ["true", "yes", "on"].contains(text.lowercased()) ? "1" : text
                text = ["false", "no", "off"].contains(text.lowercased()) ? "0" : text
            }
            if let objection = objection(to: text) { return objection }
            settings.dialogs.idle[name] = text == standard ? nil : text
            return nil
        }
        if !standard.isEmpty { key.value = { $0.dialogs.idle[name] ?? standard } }
        return key
    }

    var manual: SettingManual {
        SettingManual(
            "\(meaning). Without effect: \(instead)", range: range, value: standard.isEmpty ? "none" : nil)
    }
}

extension Settings {
    /// One line for each parameter that was set and decides nothing.
    func adviseModule(_ list: inout ProblemList) {
        for parameter in ModuleParameter.all where dialogs.idle[parameter.name] != nil {
            list.add(parameter.name, "has no effect: \(parameter.instead)")
        }
        if dialogs.tellsEvents, dialogs.eventsFile.isEmpty, dialogs.eventCallback.isEmpty {
            list.add(
                "dialogs.events",
                "is of no use without dialogs.events-file or ims_dialog.event_callback: nobody is told")
        }
        if !dialogs.tellsEvents, !dialogs.eventCallback.isEmpty {
            list.add("ims_dialog.event_callback", "is of no use without dialogs.events")
        }
        if !dialogs.tellsEvents, !dialogs.eventsFile.isEmpty {
            list.add("dialogs.events-file", "is of no use without dialogs.events")
        }
        if script.lua.isEmpty {
            if dialogs.beginningFlag >= 0 {
                list.add("ims_dialog.dlg_flag", "has no effect without a script: every initial INVITE begins a dialog")
            }
            if !dialogs.timeoutAVP.isEmpty {
                list.add(
                    "ims_dialog.timeout_avp",
                    "has no effect without a script: use timeout in the dialog of a route")
            }
        }
        storage.advise(&list)
        if !dialogs.detectsSpirals {
            list.add("ims_dialog.detect_spirals", "has no effect: a spiral belongs to the dialog that it came from")
        }
    }
}

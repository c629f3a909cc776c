// The modules hdr, textops, textopsx and sdpops.

internal import Primitives
internal import Routes
internal import SIP

extension Library {
    static let headers: [KSRFunction] = hdr + textops + lists + textopsx + sdpops

    private static func value(_ bytes: [UInt8]?, _ otherwise: RouteValue) -> RouteValue {
        bytes.map { .text($0) } ?? otherwise
    }

    private static let hdr: [KSRFunction] = [
        .asks("hdr.append", .text) { (run, given) throws(RouteFault) in try run.appendHeader(given.text(0)) },
        .asks("hdr.append_after", .text, .text) { (run, given) throws(RouteFault) in
            try run.insertHeader(given.text(0), after: true, given.text(1))
        },
        .asks("hdr.append_to_reply", .text) { (run, given) throws(RouteFault) in
            try run.addReplyLines(given.text(0))
            return true
        },
        .asks("hdr.insert", .text) { (run, given) throws(RouteFault) in try run.insertHeader(given.text(0)) },
        .asks("hdr.insert_before", .text, .text) { (run, given) throws(RouteFault) in
            try run.insertHeader(given.text(0), after: false, given.text(1))
        },
        // The module answers 1 whether there was one or not.
        .asks("hdr.remove", .text) { (run, given) throws(RouteFault) in
            _ = try run.removeHeaders(given.text(0))
            return true
        },
        .asks("hdr.rmappend", .text, .text) { (run, given) throws(RouteFault) in
            _ = try run.removeHeaders(given.text(0))
            return try run.appendHeader(given.text(1))
        },
        .asks("hdr.rminsert", .text, .text) { (run, given) throws(RouteFault) in
            _ = try run.removeHeaders(given.text(0))
            return try run.insertHeader(given.text(1))
        },
        .asks("hdr.is_present", .text) { run, given in run.hasHeader(given.text(0)) },
        .tells("hdr.match_content", .text, .text, .text, .text) { run, given in
            run.matchesContent(given.text(0), given.text(1), given.text(2), given.text(3))
        },
        KSRFunction("hdr.get", .value, .text) { run, given in value(run.header(given.text(0)), .null) },
        KSRFunction("hdr.gete", .value, .text) { run, given in value(run.header(given.text(0)), .text([])) },
        KSRFunction("hdr.getw", .value, .text) { run, given in value(run.header(given.text(0)), .text("<null>")) },
        KSRFunction("hdr.get_idx", .value, .text, .number) { run, given in
            value(run.header(given.text(0), at: given.number(1)), .null)
        },
        KSRFunction("hdr.gete_idx", .value, .text, .number) { run, given in
            value(run.header(given.text(0), at: given.number(1)), .text([]))
        },
        KSRFunction("hdr.getw_idx", .value, .text, .number) { run, given in
            value(run.header(given.text(0), at: given.number(1)), .text("<null>"))
        },
    ]

    private static let textops: [KSRFunction] = [
        .asks("textops.has_body") { run, _ in !run.message.body.isEmpty },
        .asks("textops.has_body_type", .text) { run, given in run.hasBody(ofType: given.text(0)) },
        .asks("textops.is_present_hf", .text) { run, given in run.hasHeader(given.text(0)) },
        .asks("textops.is_privacy", .text) { run, given in run.wantsPrivacy(given.text(0)) },
        .asks("textops.is_audio_on_hold") { run, _ in SessionDescription(run.message)?.isOnHold ?? false },
        .asks("textops.remove_hf", .text) { (run, given) throws(RouteFault) in try run.removeHeaders(given.text(0)) },
        .asks("textops.remove_hf_re", .text) { (run, given) throws(RouteFault) in
            guard let pattern = run.pattern(given.text(0)) else { return false }
            return try run.removeHeaders(matching: pattern)
        },
        .asks("textops.is_present_hf_re", .text) { run, given in
            guard let pattern = run.pattern(given.text(0)) else { return false }
            return run.hasHeader(matching: pattern)
        },
        .asks("textops.search", .text) { run, given in
            guard let pattern = run.pattern(given.text(0)) else { return false }
            return pattern.matchesWhole(run.message.bytes, 0..<run.message.bytes.count)
        },
        .asks("textops.search_body", .text) { run, given in
            guard let pattern = run.pattern(given.text(0)) else { return false }
            return pattern.matchesWhole(run.message.bytes, run.message.body.range)
        },
        .asks("textops.set_body", .text, .text) { (run, given) throws(RouteFault) in
            try run.setBody(given.text(0), given.text(1))
        },
        .asks("textops.cmp_str", .text, .text) { _, given in given.text(0) == given.text(1) },
        .asks("textops.cmp_istr", .text, .text) { _, given in
            RouteText.equalsIgnoringCase(given.text(0), given.text(1))
        },
        .asks("textops.starts_with", .text, .text) { _, given in given.text(0).starts(with: given.text(1)) },
        .asks("textops.ends_with", .text, .text) { _, given in
            given.text(0).count >= given.text(1).count
                && given.text(0).suffix(given.text(1).count).elementsEqual(given.text(1))
        },
        .asks("textops.str_find", .text, .text) { _, given in
            RouteText.find(given.text(1), in: given.text(0)) != nil
        },
        .asks("textops.str_ifind", .text, .text) { _, given in
            RouteText.find(given.text(1), in: given.text(0), ignoringCase: true) != nil
        },
    ]

    private static let lists: [KSRFunction] = [
        .asks("textops.in_list", .text, .text, .text) { _, given in
            RouteText.split(given.text(1), by: given.text(2).first ?? 0x2C).contains(given.text(0))
        },
        .asks("textops.in_list_prefix", .text, .text, .text) { _, given in
            RouteText.split(given.text(1), by: given.text(2).first ?? 0x2C).contains { element in
                !element.isEmpty && given.text(0).starts(with: element)
            }
        },
        .asks("textopsx.hf_value_exists", .text, .text) { run, given in run.listHas(given.text(0), given.text(1)) },
        .asks("textopsx.append_hf_value", .text, .text) { (run, given) throws(RouteFault) in
            try run.changeList(given.text(0), given.text(1), adds: true)
        },
        .asks("textopsx.include_hf_value", .text, .text) { (run, given) throws(RouteFault) in
            if run.listHas(given.text(0), given.text(1)) { return true }
            return try run.changeList(given.text(0), given.text(1), adds: true)
        },
        .asks("textopsx.exclude_hf_value", .text, .text) { (run, given) throws(RouteFault) in
            guard run.listHas(given.text(0), given.text(1)) else { return true }
            return try run.changeList(given.text(0), given.text(1), adds: false)
        },
        .asks("textopsx.assign_hf_value", .text, .text) { (run, given) throws(RouteFault) in
            guard let field = run.message.field(named: given.text(0)) else {
                return try run.appendHeader(given.text(0) + [0x3A, 0x20] + given.text(1))
            }
            try run.replaceValue(of: field, with: given.text(1))
            return true
        },
    ]

    private static let textopsx: [KSRFunction] = [
        .asks("textopsx.msg_apply_changes") { (run, _) throws(RouteFault) in try run.applyChanges() },
        .asks("textopsx.remove_body") { (run, _) throws(RouteFault) in try run.setBody([], []) },
        .asks("textopsx.change_reply_status", .number, .text) { (run, given) throws(RouteFault) in
            try run.changeStatus(given.number(0), given.text(1))
        },
        .asks("textopsx.change_reply_status_code", .number) { (run, given) throws(RouteFault) in
            try run.changeStatus(given.number(0), nil)
        },
    ]

    private static let sdpops: [KSRFunction] = [
        .asks("sdpops.sdp_content") { run, _ in SessionDescription(run.message) != nil },
        .asks("sdpops.sdp_with_media", .text) { run, given in
            SessionDescription(run.message)?.hasMedia(given.text(0)) ?? false
        },
        .asks("sdpops.sdp_with_transport", .text) { run, given in
            SessionDescription(run.message)?.hasTransport(given.text(0)) ?? false
        },
        .asks("sdpops.sdp_with_ice") { run, _ in
            SessionDescription(run.message)?.first([UInt8](text: "a=candidate")) != nil
        },
        .asks("sdpops.sdp_get", .text) { (run, given) throws(RouteFault) in
            guard SessionDescription(run.message) != nil else { return false }
            return try run.write(.text(run.message.copy(run.message.body)), to: given.text(0))
        },
        .asks("sdpops.sdp_get_line_startswith", .text, .text) { (run, given) throws(RouteFault) in
            guard let line = SessionDescription(run.message)?.first(given.text(1)) else { return false }
            return try run.write(.text(line), to: given.text(0))
        },
    ]
}

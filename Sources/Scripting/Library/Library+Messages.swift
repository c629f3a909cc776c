// The modules siputils, corex, kx, maxfwd and sanity: what a message is.

internal import Primitives
internal import Routes
internal import SIP

extension Library {
    static let messages: [KSRFunction] = siputils + uris + corex + kx + kxNumbers + checks

    private static let siputils: [KSRFunction] = [
        .asks("siputils.has_totag") { run, _ in !run.message.toTag.isEmpty },
        .asks("siputils.is_request") { run, _ in run.message.isRequest },
        .asks("siputils.is_reply") { run, _ in !run.message.isRequest },
        .asks("siputils.is_first_hop") { run, _ in run.isFirstHop() },
        .asks("siputils.is_user", .text) { run, given in run.isUser(given.text(0)) },
        .asks("siputils.uri_param", .text) { run, given in run.hasURIParameter(given.text(0)) },
        .asks("siputils.uri_param_any", .text) { run, given in run.hasURIParameter(given.text(0)) },
        .asks("siputils.uri_param_value", .text, .text) { run, given in
            run.hasURIParameter(given.text(0), value: given.text(1))
        },
        .asks("siputils.uri_param_rm", .text) { (run, given) throws(RouteFault) in
            try run.removeURIParameter(given.text(0))
        },
        .asks("siputils.add_uri_param", .text) { (run, given) throws(RouteFault) in
            try run.addURIParameter(given.text(0))
        },
        .asks("siputils.is_gruu") { run, _ in run.hasURIParameter([UInt8](text: "gr")) },
        .asks("siputils.options_reply") { run, _ in
            run.message.method == .options && run.reply(200, [UInt8](text: "OK"), isStateful: false)
        },
    ]

    private static let uris: [KSRFunction] = [
        .asks("siputils.is_uri", .text) { _, given in RouteRun.isURI(given.text(0)) },
        .asks("siputils.is_tel_number", .text) { _, given in RouteRun.isTelephoneNumber(given.text(0)) },
        .asks("siputils.is_numeric", .text) { _, given in RouteRun.isNumeric(given.text(0)) },
        .asks("siputils.is_alphanum", .text) { _, given in RouteRun.isAlphanumeric(given.text(0)) },
        .asks("siputils.is_alphanumex", .text, .text) { _, given in
            RouteRun.isAlphanumeric(given.text(0), given.text(1))
        },
        .asks("siputils.cmp_uri", .text, .text) { _, given in RouteRun.areEquivalent(given.text(0), given.text(1)) },
        .asks("siputils.cmp_aor", .text, .text) { _, given in RouteRun.areSameRecord(given.text(0), given.text(1)) },
        .asks("siputils.cmp_hdr_name", .text, .text) { _, given in
            RouteRun.isSameHeaderName(given.text(0), given.text(1))
        },
    ]

    private static let corex: [KSRFunction] = [
        .asks("corex.has_ruri_user") { run, _ in run.hasURIUser() },
        .asks("corex.has_user_agent") { run, _ in run.userAgent() != nil },
        .asks("corex.append_branch") { (run, _) throws(RouteFault) in try run.appendBranch(nil) },
        .asks("corex.append_branch_uri", .text) { (run, given) throws(RouteFault) in
            try run.appendBranch(given.text(0))
        },
        .asks("corex.append_branch_uri_q", .text, .text) { (run, given) throws(RouteFault) in
            try run.appendBranch(given.text(0), q: given.text(1))
        },
        .asks("corex.isxflagset", .number) { run, given in run.isExtendedFlagSet(given.number(0)) },
        .asks("corex.setxflag", .number) { run, given in run.setExtendedFlag(given.number(0), true) },
        .asks("corex.resetxflag", .number) { run, given in run.setExtendedFlag(given.number(0), false) },
    ]

    /// What kx has under three names: nil, empty or `<null>` where there is nothing.
    private static func reads(
        _ name: String, _ variable: StaticString, _ prefixes: [String] = ["get", "gete", "getw"]
    ) -> [KSRFunction] {
        guard let known = PseudoVariable([UInt8](copying: variable)) else { return [] }
        return prefixes.map { prefix in
            let otherwise: RouteValue =
                switch prefix {
                case "gete": .text([])
                case "getw": .text("<null>")
                default: .null
                }
            return KSRFunction("kx.\(prefix)_\(name)", .value) { run, _ in
                let value = known.value(in: run)
                return value.isNull ? otherwise : value
            }
        }
    }

    private static let kx: [KSRFunction] =
        reads("ruri", "$ru", ["get"]) + reads("ouri", "$ou", ["get"]) + reads("ruser", "$rU") + reads("rhost", "$rd")
        + reads("furi", "$fu", ["get"]) + reads("fuser", "$fU") + reads("fhost", "$fd") + reads("turi", "$tu", ["get"])
        + reads("tuser", "$tU") + reads("thost", "$td") + reads("duri", "$du") + reads("ua", "$ua")
        + reads("body", "$rb") + reads("au", "$au") + reads("cturi", "$(ct{nameaddr.uri})")
        + reads("callid", "$ci", ["get"]) + reads("method", "$rm", ["get"]) + reads("msgbuf", "$mb", ["get"])
        + reads("srcip", "$si", ["get"]) + reads("srcport", "$sp", ["get"]) + reads("srcuri", "$su", ["get"])
        + reads("rcvip", "$Ri", ["get"]) + reads("rcvport", "$Rp", ["get"]) + reads("proto", "$proto", ["get"])
        + reads("status", "$rs", ["gets"])

    private static func counts(_ name: String, _ body: @escaping @Sendable (RouteRun) -> Int) -> KSRFunction {
        KSRFunction("kx.\(name)", .number) { run, _ in .integer(body(run)) }
    }

    private static let kxNumbers: [KSRFunction] = [
        counts("get_status") { $0.message.isRequest ? -1 : $0.message.statusCode },
        counts("get_bodylen") { $0.message.body.count },
        counts("get_msglen") { $0.message.bytes.count },
        counts("get_msgtype") { $0.message.isRequest ? 1 : 2 },
        counts("get_conid") { $0.point.connection },
        counts("get_timestamp") { $0.time.seconds },
        KSRFunction("kx.get_nhuri", .value) { run, _ in
            run.nextHopURI.isEmpty ? .null : .text(run.nextHopURI)
        },
        // What `#!define` would have defined in a kamailio.cfg: nothing.
        .tells("kx.ifdef", .text) { _, _ in false },
        .tells("kx.ifndef", .text) { _, _ in true },
        KSRFunction("kx.get_def", .value, .text) { _, _ in .null },
        KSRFunction("kx.get_defn", .number, .text) { _, _ in .integer(0) },
    ]

    private static let checks: [KSRFunction] = [
        .asks("maxfwd.process_maxfwd", .number) { run, given in run.processMaxForwards(given.number(0)) },
        .asks("maxfwd.is_maxfwd_lt", .number) { run, given in
            guard let left = try? run.message.maxForwards() else { return false }
            return left < given.number(0)
        },
        .asks("sanity.sanity_check", .number, .number) { (run, given) throws(RouteFault) in
            try run.isSane(given.number(0), given.number(1))
        },
        .asks("sanity.sanity_check_defaults") { (run, _) throws(RouteFault) in try run.isSane(999, 7) },
    ]
}

// The modules sl, tm, tmx, rr, auth, auth_db and nathelper: what becomes of a request.

internal import Routes
internal import SIP

extension Library {
    static let answers: [KSRFunction] = sl + tm + tmQuestions + tmx + rr + auth + nathelper

    private static let sl: [KSRFunction] = [
        .asks("sl.sl_send_reply", .number, .text) { run, given in
            run.reply(given.number(0), given.text(1), isStateful: false)
        },
        .asks("sl.send_reply", .number, .text) { run, given in
            run.reply(given.number(0), given.text(1), isStateful: false)
        },
        .asks("sl.send_reply_mode", .number, .text, .number) { run, given in
            run.reply(given.number(0), given.text(1), isStateful: false)
        },
        .asks("sl.sl_reply_error") { run, _ in run.replyError() },
    ]

    private static func arms(_ name: String, _ route: RouteRun.ArmedRoute) -> KSRFunction {
        .asks("tm." + name, .text) { run, given in run.arm(route, given.text(0)) }
    }

    private static let tm: [KSRFunction] = [
        .asks("tm.t_relay") { run, _ in run.relay() },
        .asks("tm.t_newtran") { run, _ in run.createTransaction() },
        .asks("tm.t_reply", .number, .text) { run, given in
            run.reply(given.number(0), given.text(1), isStateful: true)
        },
        .asks("tm.t_send_reply", .number, .text) { run, given in
            run.reply(given.number(0), given.text(1), isStateful: true)
        },
        arms("t_on_branch", .branch), arms("t_on_reply", .onreply), arms("t_on_failure", .failure),
        arms("t_on_branch_failure", .branchFailure),
        .asks("tm.t_set_fr", .number, .number) { run, given in
            run.setAnswerTimes(final: given.number(0), first: given.number(1))
        },
        .asks("tm.t_set_fr_inv", .number) { run, given in run.setAnswerTimes(final: given.number(0), first: nil) },
        .asks("tm.t_reset_fr") { run, _ in
            (run.plan.finalAnswerTime, run.plan.firstAnswerTime) = (nil, nil)
            return true
        },
        .asks("tm.t_is_set", .text) { run, given in run.isArmed(given.text(0)) },
    ]

    private static let tmQuestions: [KSRFunction] = [
        KSRFunction("tm.t_check_trans", .number) { run, _ in .integer(run.checkTransaction()) },
        KSRFunction("tm.t_lookup_request", .number) { run, _ in .integer(run.checkTransaction()) },
        .asks("tm.t_lookup_cancel") { run, _ in run.point.isCanceled },
        .asks("tm.t_is_canceled") { run, _ in run.point.isCanceled },
        .asks("tm.t_check_status", .text) { run, given in
            guard let pattern = run.pattern(given.text(0)) else { return false }
            return run.checkStatus(pattern)
        },
        .asks("tm.t_grep_status", .number) { run, given in run.hasStatus(given.number(0)) },
        KSRFunction("tm.t_get_status_code", .number) { run, _ in
            .integer(run.message.isRequest ? run.point.status : run.message.statusCode)
        },
        KSRFunction("tm.t_get_branch_index", .number) { run, _ in .integer(run.point.branch) },
        .asks("tm.t_any_timeout") { run, _ in run.point.status == 408 && !run.point.isReceivedResponse },
        .asks("tm.t_branch_timeout") { run, _ in run.point.status == 408 && !run.point.isReceivedResponse },
        .asks("tm.t_any_replied") { run, _ in run.point.isReceivedResponse },
        .asks("tm.t_branch_replied") { run, _ in run.point.isReceivedResponse },
    ]

    private static func isIn(_ name: String, _ kind: RouteKind) -> KSRFunction {
        .asks("tmx.t_is_" + name) { run, _ in run.point.kind == kind }
    }

    private static let tmx: [KSRFunction] = [
        .asks("tmx.t_suspend") { run, _ in run.suspend() },
        .asks("tmx.t_continue", .number, .number, .text) { run, given in
            run.continueRequest(given.number(0), given.number(1), given.text(2))
        },
        // A copy of a request that is worked on never reaches a script.
        .asks("tmx.t_precheck_trans") { _, _ in false },
        isIn("request_route", .request), isIn("branch_route", .branch), isIn("failure_route", .failure),
        isIn("reply_route", .onreply),
        .asks("tmx.t_drop") { run, _ in
            run.plan.isDropped = true
            return true
        },
    ]

    private static let rr: [KSRFunction] = [
        .asks("rr.loose_route") { run, _ in run.followRoutes() },
        .asks("rr.loose_route_mode", .number) { run, _ in run.followRoutes() },
        .asks("rr.loose_route_preloaded") { run, _ in run.followRoutes(true) },
        .asks("rr.record_route") { run, _ in run.recordRoute() },
        .asks("rr.check_route_param", .text) { run, given in
            guard let pattern = run.pattern(given.text(0)) else { return false }
            return run.routeParametersHave(pattern)
        },
        .asks("rr.is_direction", .text) { run, given in run.isDirection(given.text(0)) },
        .asks("rr.add_rr_param", .text) { (run, given) throws(RouteFault) in
            try run.addRecordParameters(given.text(0))
        },
        .asks("rr.record_route_params", .text) { (run, given) throws(RouteFault) in
            try run.recordRoute(with: given.text(0))
        },
        .asks("rr.record_route_advertised_address", .text) { run, given in run.recordRoute(at: given.text(0)) },
        .asks("rr.next_hop_route") { run, _ in run.goToNextRoute() },
        .asks("rr.remove_record_route") { run, _ in
            (run.plan.recordsRoute, run.plan.recordParameters) = (false, [])
            return true
        },
    ]

    private static let auth: [KSRFunction] = [
        .asks("auth.auth_challenge", .text, .number) { (run, given) throws(RouteFault) in
            try run.challenge(given.text(0), given.number(1))
        },
        .asks("auth.consume_credentials") { (run, _) throws(RouteFault) in try run.consumeCredentials() },
        .asks("auth.has_credentials", .text) { run, given in run.hasCredentials(given.text(0)) },
        KSRFunction("auth.pv_auth_check", .number, .text, .text, .number, .number) { run, given in
            let answer = run.checkPassword(given.text(0), given.text(1), given.number(2), given.number(3))
            return .integer(run.authorized(given.text(0), answer))
        },
        KSRFunction("auth_db.auth_check", .number, .text, .text, .number) { run, given in
            .integer(run.authorized(given.text(0), run.checkCredentials(given.text(0), given.number(2))))
        },
    ]

    private static let nathelper: [KSRFunction] = [
        .asks("nathelper.nat_uac_test", .number) { run, given in run.isBehindNAT(given.number(0)) },
        .asks("nathelper.fix_nated_contact") { (run, _) throws(RouteFault) in try run.fixContact() },
        .asks("nathelper.fix_nated_register") { run, _ in run.fixRegister() },
        .asks("nathelper.add_rcv_param", .number) { (run, given) throws(RouteFault) in
            try run.addReceived(given.number(0))
        },
        KSRFunction("nathelper.set_contact_alias", .number) { (run, _) throws(RouteFault) in
            .integer(try run.setContactAlias())
        },
        KSRFunction("nathelper.add_contact_alias", .number) { (run, _) throws(RouteFault) in
            .integer(try run.setContactAlias())
        },
        KSRFunction("nathelper.handle_ruri_alias", .number) { (run, _) throws(RouteFault) in
            .integer(try run.followAlias())
        },
        .asks("nathelper.is_rfc1918", .text) { _, given in RouteRun.isPrivate(text: given.text(0)) ?? false },
    ]
}

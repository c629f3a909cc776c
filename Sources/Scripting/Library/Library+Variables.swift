// The modules pv, pvx, xlog, htable and cfgutils: what a script keeps and writes down.

internal import Primitives
internal import Routes

extension Library {
    static let variables: [KSRFunction] =
        pv + avp + stores + records("xavp", .xavp) + records("xavu", .xavu) + records("xavi", .xavi) + xavp + xlog
        + htable + htables + cfgutils

    private static let pv: [KSRFunction] = [
        KSRFunction("pv.get", .value, .text) { run, given in read(&run, given.text(0), .null) },
        KSRFunction("pv.gete", .value, .text) { run, given in read(&run, given.text(0), .text([])) },
        KSRFunction("pv.getw", .value, .text) { run, given in read(&run, given.text(0), .text("<null>")) },
        KSRFunction("pv.getvn", .value, .text, .number) { run, given in
            or(run.value(of: given.text(0)), .integer(given.number(1)))
        },
        KSRFunction("pv.getvs", .value, .text, .text) { run, given in
            or(run.value(of: given.text(0)), .text(given.text(1)))
        },
        KSRFunction("pv.geti", .number, .text) { run, given in .integer(run.value(of: given.text(0)).number) },
        .tells("pv.is_null", .text) { run, given in run.value(of: given.text(0)).isNull },
        .tells("pv.sets", .text, .text) { (run, given) throws(RouteFault) in
            try run.write(.text(given.text(1)), to: given.text(0))
        },
        .tells("pv.seti", .text, .number) { (run, given) throws(RouteFault) in
            try run.write(.integer(given.number(1)), to: given.text(0))
        },
        .tells("pv.unset", .text) { (run, given) throws(RouteFault) in try run.write(.null, to: given.text(0)) },
    ]

    private static let mediaStatistics = Array("$rtpstat".utf8)

    /// `$rtpstat` is what a media relay says when it is asked; it is read by these functions alone.
    private static func read(_ run: inout RouteRun, _ name: [UInt8], _ otherwise: RouteValue) -> RouteValue {
        if name == mediaStatistics {
            // Where it can be asked the run leaves, and this is not looked at.
            _ = run.askMediaStatistics(otherwise: otherwise)
            return otherwise
        }
        return or(run.value(of: name), otherwise)
    }

    private static func or(_ value: RouteValue, _ otherwise: RouteValue) -> RouteValue {
        value.isNull ? otherwise : value
    }

    private static let avp: [KSRFunction] = [
        KSRFunction("pvx.avp_get", .value, .text) { run, given in run.state.avp(given.text(0)) },
        KSRFunction("pvx.avp_gete", .value, .text) { run, given in or(run.state.avp(given.text(0)), .text([])) },
        KSRFunction("pvx.avp_getw", .value, .text) { run, given in or(run.state.avp(given.text(0)), .text("<null>")) },
        .asks("pvx.avp_is_null", .text) { run, given in run.state.avp(given.text(0)).isNull },
        .asks("pvx.avp_rm", .text) { run, given in run.state.popAVP(given.text(0)) },
        .asks("pvx.avp_sets", .text, .text) { (run, given) throws(RouteFault) in
            try run.state.pushAVP(given.text(0), .text(given.text(1)))
            return true
        },
        .asks("pvx.avp_seti", .text, .number) { (run, given) throws(RouteFault) in
            try run.state.pushAVP(given.text(0), .integer(given.number(1)))
            return true
        },
    ]

    private static let stores: [KSRFunction] = [
        KSRFunction("pvx.var_get", .value, .text) { run, given in run.state.variable(given.text(0)) },
        .asks("pvx.var_sets", .text, .text) { (run, given) throws(RouteFault) in
            try run.state.setVariable(given.text(0), .text(given.text(1)))
            return true
        },
        .asks("pvx.var_seti", .text, .number) { (run, given) throws(RouteFault) in
            try run.state.setVariable(given.text(0), .integer(given.number(1)))
            return true
        },
        KSRFunction("pvx.shv_get", .value, .text) { run, given in
            run.memory.shared[given.text(0)] ?? .integer(0)
        },
        .asks("pvx.shv_sets", .text, .text) { (run, given) throws(RouteFault) in
            try run.memory.setShared(given.text(0), .text(given.text(1)))
            return true
        },
        .asks("pvx.shv_seti", .text, .number) { (run, given) throws(RouteFault) in
            try run.memory.setShared(given.text(0), .integer(given.number(1)))
            return true
        },
    ]

    /// What xavp, xavu and xavi have alike.
    private static func records(_ prefix: String, _ kind: RouteState.RecordKind) -> [KSRFunction] {
        let base = "pvx.\(prefix)_"
        func reads(_ name: String, _ otherwise: RouteValue) -> [KSRFunction] {
            [
                KSRFunction(base + name, .value, .text) { run, given in
                    or(run.state.value(kind, given.text(0), nil), otherwise)
                },
                KSRFunction(base + "child_" + name, .value, .text, .text) { run, given in
                    or(run.state.value(kind, given.text(0), given.text(1)), otherwise)
                },
            ]
        }
        return reads("get", .null) + reads("gete", .text([])) + reads("getw", .text("<null>")) + [
            .asks(base + "is_null", .text) { run, given in run.state.record(kind, given.text(0)) == nil },
            .asks(base + "child_is_null", .text, .text) { run, given in
                run.state.value(kind, given.text(0), given.text(1)).isNull
            },
            .asks(base + "rm", .text) { run, given in run.state.remove(kind, given.text(0), nil) },
            .asks(base + "child_rm", .text, .text) { run, given in
                run.state.remove(kind, given.text(0), given.text(1))
            },
            .asks(base + "sets", .text, .text) { (run, given) throws(RouteFault) in
                try run.state.set(kind, given.text(0), nil, .text(given.text(1)))
                return true
            },
            .asks(base + "seti", .text, .number) { (run, given) throws(RouteFault) in
                try run.state.set(kind, given.text(0), nil, .integer(given.number(1)))
                return true
            },
            .asks(base + "child_sets", .text, .text, .text) { (run, given) throws(RouteFault) in
                try run.state.set(kind, given.text(0), given.text(1), .text(given.text(2)))
                return true
            },
            .asks(base + "child_seti", .text, .text, .number) { (run, given) throws(RouteFault) in
                try run.state.set(kind, given.text(0), given.text(1), .integer(given.number(2)))
                return true
            },
        ]
    }

    private static let xavp: [KSRFunction] = [
        KSRFunction("pvx.xavp_getd", .value, .text) { run, given in run.allFields(of: .xavp, given.text(0)) },
        KSRFunction("pvx.xavp_getd_p1", .value, .text, .number) { run, given in
            run.fields(of: .xavp, given.text(0), at: given.number(1))
        },
        KSRFunction("pvx.xavp_get_keys", .value, .text, .number) { run, given in
            run.keys(of: .xavp, given.text(0), at: given.number(1))
        },
        .asks("pvx.xavp_params_explode", .text, .text) { (run, given) throws(RouteFault) in
            try run.explode(given.text(0), into: given.text(1))
        },
        .asks("pvx.xavp_params_implode", .text, .text) { (run, given) throws(RouteFault) in
            guard let text = run.implode(given.text(0)) else { return false }
            return try run.write(.text(text), to: given.text(1))
        },
        .asks("pvx.evalx", .text, .text) { (run, given) throws(RouteFault) in
            try run.write(.text(run.text(of: RouteFormat(given.text(1)))), to: given.text(0))
        },
    ]

    private static func writes(_ name: String, _ level: RouteNote.Level) -> KSRFunction {
        .asks("xlog." + name, .text) { run, given in
            run.note(level, run.text(of: RouteFormat(given.text(0))))
            return true
        }
    }

    private static let xlog: [KSRFunction] = [
        writes("xdbg", .debug), writes("xinfo", .info), writes("xnotice", .notice), writes("xwarn", .warning),
        writes("xerr", .error), writes("xcrit", .error), writes("xalert", .error),
        .asks("xlog.xlog", .text, .text) { run, given in
            run.log(given.text(0), run.text(of: RouteFormat(given.text(1))))
            return true
        },
    ]

    private static let htable: [KSRFunction] = [
        KSRFunction("htable.sht_get", .value, .text, .text) { run, given in run.entry(given.text(0), given.text(1)) },
        KSRFunction("htable.sht_gete", .value, .text, .text) { run, given in
            or(run.entry(given.text(0), given.text(1)), .text([]))
        },
        KSRFunction("htable.sht_getw", .value, .text, .text) { run, given in
            or(run.entry(given.text(0), given.text(1)), .text("<null>"))
        },
        .asks("htable.sht_is_null", .text, .text) { run, given in run.entry(given.text(0), given.text(1)).isNull },
        .asks("htable.sht_sets", .text, .text, .text) { (run, given) throws(RouteFault) in
            try run.setEntry(given.text(0), given.text(1), .text(given.text(2)))
        },
        .asks("htable.sht_seti", .text, .text, .number) { (run, given) throws(RouteFault) in
            try run.setEntry(given.text(0), given.text(1), .integer(given.number(2)))
        },
        .asks("htable.sht_setxs", .text, .text, .text, .number) { (run, given) throws(RouteFault) in
            try run.setEntry(given.text(0), given.text(1), .text(given.text(2)), lifetime: given.number(3))
        },
        .asks("htable.sht_setxi", .text, .text, .number, .number) { (run, given) throws(RouteFault) in
            try run.setEntry(given.text(0), given.text(1), .integer(given.number(2)), lifetime: given.number(3))
        },
        .asks("htable.sht_setex", .text, .text, .number) { run, given in
            let lifetime = Duration.seconds(max(0, min(given.number(2), 1 << 31)))
            return run.memory.setLifetime(given.text(0), given.text(1), lifetime, at: run.time.now)
        },
        KSRFunction("htable.sht_inc", .number, .text, .text) { (run, given) throws(RouteFault) in
            .integer(try run.addToEntry(given.text(0), given.text(1), 1))
        },
        KSRFunction("htable.sht_dec", .number, .text, .text) { (run, given) throws(RouteFault) in
            .integer(try run.addToEntry(given.text(0), given.text(1), -1))
        },
    ]

    private static let htables: [KSRFunction] = [
        .asks("htable.sht_rm", .text, .text) { run, given in run.memory.remove(given.text(0), given.text(1)) },
        .asks("htable.sht_reset", .text) { run, given in run.memory.removeAll(given.text(0)) },
        .asks("htable.sht_match_name", .text, .text, .text) { run, given in
            run.matchesName(given.text(0), given.text(1), given.text(2))
        },
        .asks("htable.sht_match_str_value", .text, .text, .text) { run, given in
            run.matchesValue(given.text(0), given.text(1), given.text(2))
        },
        .asks("htable.sht_rm_name", .text, .text, .text) { run, given in
            run.removeEntries(given.text(0), given.text(1), given.text(2), byValue: false)
        },
        .asks("htable.sht_rm_value", .text, .text, .text) { run, given in
            run.removeEntries(given.text(0), given.text(1), given.text(2), byValue: true)
        },
        // One run at a time is all there is: nobody else holds an entry.
        .asks("htable.sht_lock", .text, .text) { _, _ in true },
        .asks("htable.sht_unlock", .text, .text) { _, _ in true },
    ]

    private static let cfgutils: [KSRFunction] = [
        .asks("cfgutils.check_route_exists", .text) { run, given in run.routeNames.contains(given.text(0)) },
        .asks("cfgutils.lock", .text) { _, _ in true }, .asks("cfgutils.unlock", .text) { _, _ in true },
        .asks("cfgutils.trylock", .text) { _, _ in true },
        .asks("cfgutils.rand_event") { run, _ in run.chance.next(below: 100) < run.memory.probability },
        KSRFunction("cfgutils.rand_get_prob", .number) { run, _ in .integer(run.memory.probability) },
        .asks("cfgutils.rand_set_prob", .number) { run, given in
            guard (0...100).contains(given.number(0)) else { return false }
            run.memory.probability = given.number(0)
            return true
        },
        .asks("cfgutils.sleep", .number) { run, given in wait(&run, given.number(0), 1_000) },
        .asks("cfgutils.usleep", .number) { run, given in wait(&run, given.number(0) / 1_000, 1) },
    ]

    /// A minute at most: who waits longer has been given up by whoever sent the request.
    private static func wait(_ run: inout RouteRun, _ count: Int, _ milliseconds: Int) -> Bool {
        guard count > 0, count <= 60_000 / milliseconds else { return count == 0 }
        run.leaving = .wait(milliseconds: count * milliseconds)
        return true
    }
}

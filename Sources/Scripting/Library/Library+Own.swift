// KSR's own functions, and the module `x`.

internal import Routes
internal import SIP

extension Library {
    static let own: [KSRFunction] = logs + methods + ourselves + flags + targets + sockets + control

    private static func logs(_ name: String, _ level: RouteNote.Level) -> KSRFunction {
        KSRFunction(name, .nothing, .text) { run, given in
            if run.hears(level) { run.note(level, given.text(0)) }
            return .nothing
        }
    }

    private static let logs: [KSRFunction] = [
        logs("dbg", .debug), logs("info", .info), logs("notice", .notice), logs("warn", .warning), logs("err", .error),
        logs("crit", .error),
        KSRFunction("log", .nothing, .text, .text) { run, given in
            run.log(given.text(0), given.text(1))
            return .nothing
        },
    ]

    private static func isMethod(_ name: String, _ method: Method) -> KSRFunction {
        .tells("is_" + name) { run, _ in run.method == method }
    }

    private static let methods: [KSRFunction] = [
        isMethod("ACK", .ack), isMethod("BYE", .bye), isMethod("CANCEL", .cancel), isMethod("INFO", .info),
        isMethod("INVITE", .invite), isMethod("MESSAGE", .message), isMethod("NOTIFY", .notify),
        isMethod("OPTIONS", .options), isMethod("PRACK", .prack), isMethod("PUBLISH", .publish),
        isMethod("REFER", .refer), isMethod("REGISTER", .register), isMethod("SUBSCRIBE", .subscribe),
        isMethod("UPDATE", .update),
        .tells("is_method", .text) { run, given in run.isMethod(given.text(0)) },
        .tells("is_method_in", .text) { run, given in run.isMethod(in: given.text(0)) },
    ]

    private static let ourselves: [KSRFunction] = [
        .tells("is_myself", .text) { run, given in run.isOurs(uri: given.text(0)) },
        .tells("is_myself_ruri") { run, _ in run.isOursByRequestURI },
        .tells("is_myself_furi") { run, _ in run.isOurs(header: .from) },
        .tells("is_myself_turi") { run, _ in run.isOurs(header: .to) },
        .tells("is_myself_duri") { run, _ in run.isOurs(uri: run.plan.destination) },
        .tells("is_myself_nhuri") { run, _ in run.isOurs(uri: run.nextHopURI) },
        .tells("is_myself_suri") { run, _ in run.isOurs(source: run.point.source) },
        .tells("is_myself_srcip") { run, _ in run.isOurs(source: run.point.source) },
    ]

    private static let flags: [KSRFunction] = [
        .tells("setflag", .number) { run, given in run.setFlag(given.number(0), true) },
        .tells("resetflag", .number) { run, given in run.setFlag(given.number(0), false) },
        .tells("isflagset", .number) { run, given in run.isFlagSet(given.number(0)) },
        .tells("setsflag", .number) { run, given in run.setScriptFlag(given.number(0), true) },
        .tells("resetsflag", .number) { run, given in run.setScriptFlag(given.number(0), false) },
        .tells("issflagset", .number) { run, given in run.isScriptFlagSet(given.number(0)) },
        .tells("setbflag", .number) { run, given in run.state.setBranchFlag(given.number(0), of: 0, to: true) },
        .tells("resetbflag", .number) { run, given in run.state.setBranchFlag(given.number(0), of: 0, to: false) },
        .tells("isbflagset", .number) { run, given in run.state.hasBranchFlag(given.number(0), of: 0) },
        .tells("setbiflag", .number, .number) { run, given in
            run.state.setBranchFlag(given.number(0), of: given.number(1), to: true)
        },
        .tells("resetbiflag", .number, .number) { run, given in
            run.state.setBranchFlag(given.number(0), of: given.number(1), to: false)
        },
        .tells("isbiflagset", .number, .number) { run, given in
            run.state.hasBranchFlag(given.number(0), of: given.number(1))
        },
    ]

    private static let targets: [KSRFunction] = [
        .tells("seturi", .text) { (run, given) throws(RouteFault) in try run.setRequestURI(given.text(0)) },
        .tells("setuser", .text) { (run, given) throws(RouteFault) in
            try run.setRequestURI(URIEdit.user(given.text(0), in: run.requestURI))
        },
        .tells("sethost", .text) { (run, given) throws(RouteFault) in
            try run.setRequestURI(URIEdit.host(given.text(0), in: run.requestURI))
        },
        .tells("setdsturi", .text) { run, given in run.setDestination(given.text(0)) },
        .tells("resetdsturi") { run, _ in run.resetDestination() },
        .tells("isdsturiset") { run, _ in !run.plan.destination.isEmpty },
        .asks("forward") { run, _ in run.forward() },
        .asks("forward_uri", .text) { run, given in run.setDestination(given.text(0)) && run.forward() },
    ]

    private static func isOver(_ name: String, _ transport: TransportProtocol) -> KSRFunction {
        .tells("is_" + name) { run, _ in run.point.source.transport == transport }
    }

    /// What this node does anyhow, or as it is configured: answers go where `sip.force_rport` says, no connection is
    /// opened for one, and those that are there are kept.
    private static func already(_ name: String) -> KSRFunction { .tells(name) { _, _ in true } }

    private static let sockets: [KSRFunction] = [
        isOver("UDP", .udp), isOver("TCP", .tcp), isOver("TLS", .tls), isOver("WS", .ws), isOver("WSS", .wss),
        .tells("is_WSX") { run, _ in run.point.source.transport == .ws || run.point.source.transport == .wss },
        .tells("is_SCTP") { _, _ in false },
        .tells("is_IPv4") { run, _ in !run.point.source.address.isIPv6 },
        .tells("is_IPv6") { run, _ in run.point.source.address.isIPv6 },
        .tells("is_proto", .text) { run, given in run.isTransport(given.text(0)) },
        .tells("is_src_port", .number) { run, given in Int(run.point.source.port) == given.number(0) },
        .tells("is_dst_port", .number) { run, given in Int(run.point.socket.port) == given.number(0) },
        already("force_rport"), already("add_local_rport"), already("set_reply_no_connect"),
        already("set_forward_no_connect"),
        already("set_reply_close"), already("set_forward_close"),
    ]

    private static let control: [KSRFunction] = [
        KSRFunction("set_drop", .nothing) { run, _ in
            run.plan.isDropped = true
            return .nothing
        },
        KSRFunction("x.exit", .nothing) { run, _ in
            run.leaving = .exit
            return .nothing
        },
        KSRFunction("x.drop", .nothing) { run, _ in
            run.plan.isDropped = true
            run.leaving = .exit
            return .nothing
        },
        KSRFunction("x.modf", .number, .text) { (run, given) throws(RouteFault) in
            let name = given.text(0).shown
            guard let function = byLastWord[name] else {
                run.note(.error, "function '\(name)' is not available")
                return .integer(-1)
            }
            return try function.call(&run, given.dropFirst())
        },
        KSRFunction("route", .number, .text) { run, given in
            run.note(.error, "there is no route block '\(given.text(0).shown)' of a kamailio.cfg")
            return .integer(-1)
        },
    ]

    /// By the name that a function has in a kamailio.cfg; of two, the first of their modules' names.
    private static let byLastWord: [String: KSRFunction] = Dictionary(
        functions.filter { $0.module != "x" }.map { (String($0.name.split(separator: ".").last ?? ""), $0) },
        uniquingKeysWith: { first, _ in first })
}

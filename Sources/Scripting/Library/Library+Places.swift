// The modules permissions, pike and dispatcher: by lists of addresses.

internal import Primitives
internal import Routes
internal import SIP

extension Library {
    static let places: [KSRFunction] = permissions + pike + dispatcher + dispatcherQuestions

    private static let permissions: [KSRFunction] = [
        .asks("permissions.allow_source_address", .number) { run, given in run.isPermitted(given.number(0)) },
        .asks("permissions.allow_address", .number, .text, .number) { run, given in
            run.isPermitted(given.number(0), given.text(1), given.number(2))
        },
        KSRFunction("permissions.allow_source_address_group", .number) { run, _ in
            .integer(run.settings.permissions.group(of: run.point.source.address, run.point.source.port) ?? -1)
        },
    ]

    private static let pike: [KSRFunction] = [
        KSRFunction("pike.pike_check_req", .number) { run, _ in .integer(run.checkRate(run.point.source.address)) },
        KSRFunction("pike.pike_check_ip", .number, .text) { run, given in
            let text = given.text(0)
            guard let address = Address(bytes: text, range: ByteRange(text)) else { return .integer(-1) }
            return .integer(run.checkRate(address))
        },
    ]

    private static let dispatcher: [KSRFunction] = [
        .asks("dispatcher.ds_select_dst", .number, .number) { (run, given) throws(RouteFault) in
            try run.dispatch(given.number(0), given.number(1))
        },
        .asks("dispatcher.ds_select_dst_limit", .number, .number, .number) { (run, given) throws(RouteFault) in
            try run.dispatch(given.number(0), given.number(1), limit: given.number(2))
        },
        .asks("dispatcher.ds_select_domain", .number, .number) { (run, given) throws(RouteFault) in
            try run.dispatch(given.number(0), given.number(1), setsURI: true)
        },
        .asks("dispatcher.ds_next_dst") { (run, _) throws(RouteFault) in try run.dispatchNext() },
        .asks("dispatcher.ds_next_domain") { (run, _) throws(RouteFault) in try run.dispatchNext(setsURI: true) },
        .asks("dispatcher.ds_mark_dst") { run, _ in run.markDestination([UInt8](text: "i")) },
        .asks("dispatcher.ds_mark_dst_state", .text) { run, given in run.markDestination(given.text(0)) },
    ]

    private static let dispatcherQuestions: [KSRFunction] = [
        .asks("dispatcher.ds_list_exists", .number) { run, given in run.memory.dispatcher.has(given.number(0)) },
        .asks("dispatcher.ds_is_active", .number) { run, given in run.memory.dispatcher.isActive(given.number(0)) },
        .asks("dispatcher.ds_is_from_list", .number) { run, given in run.isFromSet(given.number(0)) },
        .asks("dispatcher.ds_is_from_lists") { run, _ in run.isFromSet(-1) },
    ]
}

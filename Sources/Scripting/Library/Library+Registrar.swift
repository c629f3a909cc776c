// The module registrar, over contacts that are the cluster's.

internal import Routes

extension Library {
    static let registrar: [KSRFunction] = saving + lookups + questions

    private static let saving: [KSRFunction] = [
        KSRFunction("registrar.save", .number, .text, .number) { (run, given) throws(RouteFault) in
            .integer(try run.save(given.text(0), given.number(1)))
        },
        KSRFunction("registrar.save_uri", .number, .text, .number, .text) { (run, given) throws(RouteFault) in
            .integer(try run.save(given.text(0), given.number(1), for: given.text(2)))
        },
        .asks("registrar.reg_send_reply") { (run, _) throws(RouteFault) in try run.sendRegistrationReply() },
        .asks("registrar.set_q_override", .text) { run, given in run.setRegistrationQ(given.text(0)) },
        KSRFunction("registrar.unregister", .number, .text, .text) { run, given in
            .integer(run.unregister(given.text(0), given.text(1)))
        },
        KSRFunction("registrar.unregister_ruid", .number, .text, .text, .text) { run, given in
            .integer(run.unregister(given.text(0), given.text(1), ruid: given.text(2)))
        },
        .asks("registrar.add_sock_hdr", .text) { (run, given) throws(RouteFault) in
            try run.addSocketHeader(given.text(0))
        },
    ]

    private static let lookups: [KSRFunction] = [
        KSRFunction("registrar.lookup", .number, .text) { (run, given) throws(RouteFault) in
            .integer(try run.lookup(given.text(0)).rawValue)
        },
        KSRFunction("registrar.lookup_uri", .number, .text, .text) { (run, given) throws(RouteFault) in
            .integer(try run.lookup(given.text(0), given.text(1)).rawValue)
        },
        KSRFunction("registrar.lookup_branches", .number, .text) { (run, given) throws(RouteFault) in
            .integer(try run.lookupAll(given.text(0)).rawValue)
        },
        KSRFunction("registrar.lookup_to_dset", .number, .text, .text) { run, given in
            .integer(run.lookupBranches(of: given.text(1).isEmpty ? nil : given.text(1), given.text(0)).rawValue)
        },
    ]

    private static let questions: [KSRFunction] = [
        .asks("registrar.registered", .text) { run, given in run.isRegistered(given.text(0)) },
        .asks("registrar.registered_uri", .text, .text) { run, given in
            run.isRegistered(given.text(0), given.text(1))
        },
        .asks("registrar.registered_flags", .text, .text, .number) { run, given in
            run.isRegistered(given.text(0), given.text(1), given.number(2))
        },
        // What the action would restore, attributes of a contact, no contact has here.
        .asks("registrar.registered_action", .text, .text, .number, .number) { run, given in
            run.isRegistered(given.text(0), given.text(1), given.number(2))
        },
        .asks("registrar.reg_fetch_contacts", .text, .text, .text) { run, given in
            run.fetchContacts(given.text(0), given.text(1), as: given.text(2))
        },
        .asks("registrar.reg_free_contacts", .text) { run, given in run.freeContacts(given.text(0)) },
    ]
}

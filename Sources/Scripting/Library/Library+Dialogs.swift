// The modules dialog and ims_dialog. What the two have in common is one list under both names; Kamailio exports less of
// ims_dialog than it has.

internal import Dialogs
internal import Routes

extension Library {
    static let dialogs: [KSRFunction] = {
        let parts = [membership, profiles, facts, variables, ends, requests]
        let ofBoth = ["dialog", "ims_dialog"].flatMap { module in parts.flatMap { $0(module) } }
        return ofBoth + ofOtherDialogs + staticProfiles + alreadySo
    }()

    private static func membership(_ module: String) -> [KSRFunction] {
        [
            .asks("\(module).dlg_manage") { run, _ in run.manageDialog() },
            .asks("\(module).is_known_dlg") { run, _ in run.isDialogKnown },
            .asks("\(module).dlg_get", .text, .text, .text) { run, given in
                run.getDialog(given.text(0), given.text(1), given.text(2))
            },
            .asks("\(module).dlg_set_ruri") { (run, _) throws(RouteFault) in try run.setRemoteTarget() },
        ]
    }

    private static func profiles(_ module: String) -> [KSRFunction] {
        [
            .asks("\(module).set_dlg_profile", .text, .text) { run, given in
                run.setProfile(given.text(0), given.text(1), isMember: true)
            },
            .asks("\(module).unset_dlg_profile", .text, .text) { run, given in
                run.setProfile(given.text(0), given.text(1), isMember: false)
            },
            .asks("\(module).is_in_profile", .text, .text) { run, given in
                run.isInProfile(given.text(0), given.text(1).isEmpty ? nil : given.text(1))
            },
            .asks("\(module).get_profile_size", .text, .text, .text) { (run, given) throws(RouteFault) in
                let value = given.text(1).isEmpty ? nil : given.text(1)
                guard let size = run.profileSize(given.text(0), value) else { return false }
                return try run.write(.integer(size), to: given.text(2))
            },
        ]
    }

    /// Of profiles without values.
    private static let staticProfiles: [KSRFunction] = [
        .asks("dialog.set_dlg_profile_static", .text) { run, given in
            run.setProfile(given.text(0), nil, isMember: true)
        },
        .asks("dialog.unset_dlg_profile_static", .text) { run, given in
            run.setProfile(given.text(0), nil, isMember: false)
        },
        .asks("dialog.is_in_profile_static", .text) { run, given in run.isInProfile(given.text(0), nil) },
        .asks("dialog.get_profile_size_static", .text, .text) { (run, given) throws(RouteFault) in
            guard let size = run.profileSize(given.text(0), nil) else { return false }
            return try run.write(.integer(size), to: given.text(1))
        },
    ]

    private static func facts(_ module: String) -> [KSRFunction] {
        [
            .asks("\(module).dlg_setflag", .number) { run, given in run.setDialogFlag(given.number(0), true) },
            .asks("\(module).dlg_resetflag", .number) { run, given in run.setDialogFlag(given.number(0), false) },
            .asks("\(module).dlg_isflagset", .number) { run, given in
                0...31 ~= given.number(0) && run.dialogFlags >> UInt32(given.number(0)) & 1 != 0
            },
            .asks("\(module).dlg_set_property", .text) { run, given in run.setDialogProperty(given.text(0), true) },
            .asks("\(module).dlg_reset_property", .text) { run, given in
                run.setDialogProperty(given.text(0), false)
            },
            .asks("\(module).dlg_set_state", .text) { run, given in run.setDialogState(given.text(0)) },
            .asks("\(module).dlg_remote_profile", .text, .text, .text, .text, .number) { run, given in
                run.setRemoteProfile(
                    given.text(0), given.text(1), given.text(2), uid: given.text(3), expires: given.number(4))
            },
            .asks("\(module).dlg_set_timeout_by_profile", .text, .text, .number) { run, given in
                run.setTimeout(
                    ofProfile: given.text(0), given.text(1).isEmpty ? nil : given.text(1), given.number(2))
            },
            .asks("\(module).dlg_set_timeout", .number) { run, given in
                run.setDialogTimeout(given.number(0), of: run.dialog)
            },
        ]
    }

    private static func variable(_ name: String, _ null: RouteValue) -> KSRFunction {
        KSRFunction(name, .value, .text) { run, given in
            let value = run.dialogVariable(given.text(0), of: run.dialog)
            return value.isNull ? null : value
        }
    }

    private static func variables(_ module: String) -> [KSRFunction] {
        [
            .asks("\(module).var_sets", .text, .text) { run, given in
                run.setDialogVariable(given.text(0), .text(given.text(1)), of: run.dialog)
            },
            variable("\(module).var_get", .null), variable("\(module).var_gete", .text([])),
            variable("\(module).var_getw", .text("<null>")),
            .asks("\(module).var_rm", .text) { run, given in
                run.setDialogVariable(given.text(0), .null, of: run.dialog)
            },
            .asks("\(module).var_is_null", .text) { run, given in
                run.dialogVariable(given.text(0), of: run.dialog).isNull
            },
        ]
    }

    private static func ends(_ module: String) -> [KSRFunction] {
        [
            .asks("\(module).dlg_bye", .text) { run, given in run.endDialog(given.text(0)) },
            .asks("\(module).dlg_terminate", .text, .text) { run, given in
                let reason = given.text(1)
                return run.endDialog(given.text(0), reason: reason.isEmpty ? Array("call failed".utf8) : reason)
            },
        ]
    }

    /// What the cluster says to phones itself: asked for as the run ends, and told by an event.
    private static func requests(_ module: String) -> [KSRFunction] {
        [
            .asks("\(module).dlg_refer", .text, .text) { run, given in
                refer(&run, run.dialog.did, given.text(0), given.text(1))
            },
            .asks("\(module).dlg_refer_did", .number, .number, .text, .text) { run, given in
                let did = run.dialogs.did(entry: given.number(0), identifier: given.number(1))
                return refer(&run, did, given.text(2), given.text(3))
            },
            .asks("\(module).dlg_refer_cid", .text, .text, .text) { run, given in
                refer(&run, run.dialogs.live(callID: given.text(0)), given.text(1), given.text(2))
            },
            .asks("\(module).dlg_req_within", .text, .text) { run, given in
                within(&run, given, headers: nil, type: nil)
            },
            .asks("\(module).dlg_req_within3", .text, .text, .text) { run, given in
                within(&run, given, headers: 2, type: nil)
            },
            .asks("\(module).dlg_req_within4", .text, .text, .text, .text) { run, given in
                within(&run, given, headers: nil, type: 2)
            },
            .asks("\(module).dlg_req_within5", .text, .text, .text, .text, .text) { run, given in
                within(&run, given, headers: 2, type: 3)
            },
            .asks("\(module).dlg_bridge", .text, .text, .text) { run, given in
                run.ask(.bridge(from: given.text(0), to: given.text(1), proxy: given.text(2)))
            },
        ]
    }

    private static func refer(
        _ run: inout RouteRun, _ did: DialogID?, _ side: [UInt8], _ address: [UInt8]
    ) -> Bool {
        guard let did, let leg = run.side(side), !address.isEmpty else { return false }
        return run.ask(.refer(did, leg, to: address))
    }

    /// Side and method first; then, where these say so, header lines, content type and body.
    private static func within(_ run: inout RouteRun, _ given: KSRArguments, headers: Int?, type: Int?) -> Bool {
        guard let did = run.dialog.did, let leg = run.side(given.text(0)) else { return false }
        return run.ask(
            .within(
                did, leg, method: given.text(1), headers: headers.map { given.text($0) } ?? [],
                type: type.map { given.text($0) } ?? [], body: type.map { given.text($0 + 1) } ?? []))
    }

    private static let ofOtherDialogs: [KSRFunction] = [
        .asks("dialog.dlg_set_timeout_id", .number, .number, .number) { run, given in
            guard let did = run.dialogs.did(entry: given.number(1), identifier: given.number(2)) else { return false }
            return run.setDialogTimeout(given.number(0), of: .known(did))
        },
        .asks("dialog.dlg_set_var", .text, .text, .text, .text, .text) { run, given in
            guard let did = run.findDialog(given.text(0), given.text(1), given.text(2)) else { return false }
            return run.setDialogVariable(given.text(3), .text(given.text(4)), of: .known(did))
        },
        KSRFunction("dialog.dlg_get_var", .value, .text, .text, .text, .text) { run, given in
            guard let did = run.findDialog(given.text(0), given.text(1), given.text(2)) else { return .null }
            return run.dialogVariable(given.text(3), of: .known(did))
        },
    ]

    /// What every record has by itself: contacts, state and sockets follow the messages, and each node has each record,
    /// so that none need be loaded.
    private static let alreadySo: [KSRFunction] = [
        .asks("dialog.dlg_update_state") { run, _ in run.isDialogKnown },
        .asks("dialog.dlg_update_contact") { run, _ in run.isDialogKnown },
        .asks("dialog.dlg_update_socket") { run, _ in run.isDialogKnown },
        .asks("dialog.dlg_db_load_callid", .text) { run, given in run.dialogs.holds(callID: given.text(0)) },
        .asks("dialog.dlg_db_load_extra") { _, _ in true },
    ]
}

// The keys of a script's modules, by the modules' names (`SettingKeyTable`).

import Routes

extension SettingKey {
    static let moduleKeys = [
        list(
            "htable.htable", \.script.parameters.tables,
            { "'\($0)' is no table like ipban=>size=8;autoexpire=300; with autoexpire, updateexpire, initval" }
        ) { ScriptModuleSettings.table($0) },
        duration("pike.sampling_time_unit", \.script.parameters.pike.window, unit: .seconds, in: 1...3_600),
        integer("pike.reqs_density_per_unit", \.script.parameters.pike.density, in: 1...1_000_000),
        duration("auth.nonce_expire", \.script.parameters.nonceLifetime, unit: .seconds, in: 1...86_400),
        choice("auth.algorithm", \.script.parameters.algorithm),
        list(
            "permissions.address", \.script.parameters.networks,
            { "'\($0)' is not a group, a network and perhaps a port, like 1 192.0.2.0/24 5060" }
        ) { ScriptModuleSettings.network($0) },
        list(
            "rtpengine.sets", \.script.parameters.mediaRelays.servers,
            { "'\($0)' is not a set, an address and perhaps a weight up to 100, like 0 udp:192.0.2.1:2223=2" }
        ) { MediaRelaySettings.server($0) },
        duration(
            "rtpengine.rtpengine_tout_ms", \.script.parameters.mediaRelays.timeout, unit: .milliseconds,
            in: 20...5_000),
        integer("rtpengine.rtpengine_retr", \.script.parameters.mediaRelays.tries, in: 1...10),
        duration(
            "rtpengine.rtpengine_disable_tout", \.script.parameters.mediaRelays.disabledFor, unit: .seconds,
            in: 1...3_600),
        flag("registrar.use_domain", \.script.parameters.usesDomain),
        flag("registrar.append_branches", \.script.parameters.appendsBranches),
        text("registrar.xavp_cfg", \.script.parameters.matchRecord),
        text("registrar.event_callback", \.script.parameters.contactCallback),
        text("tm.event_callback", \.script.parameters.transactionCallback),
    ]
}

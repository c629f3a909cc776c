// The manual of the keys of a script's modules.

extension SettingManual {
    static let script: [String: SettingManual] = [
        "script.modules": SettingManual(
            """
            Modules that a script asks for by their tables before it calls them (`if KSR.nathelper then`)
            """,
            range: "list of `auth`, `auth_db`, `nathelper`, `permissions`, `rtpengine`",
            value: "none"),
        "htable.htable": SettingManual(
            """
            Tables that a script keeps values in (`KSR.htable`, `$sht`), each as Kamailio's parameter has it: \
            `ipban=>size=8;autoexpire=300;`, with `autoexpire` in seconds, `updateexpire` and a number as `initval`. A \
            table is this node's. Needs a restart
            """,
            range: "list of at most 16",
            value: "none"),
        "pike.sampling_time_unit": SettingManual(
            """
            The window in which a script's `KSR.pike` counts, seconds
            """),
        "pike.reqs_density_per_unit": SettingManual(
            """
            Requests of one source in a window that `KSR.pike` lets pass; no balancer and no member is counted
            """),
        "auth.nonce_expire": SettingManual(
            """
            How long a nonce of `KSR.auth` is good, seconds; the same on every node
            """),
        "auth.algorithm": SettingManual(
            """
            What a challenge of `KSR.auth` asks for; `both` offers SHA-256 first (RFC 8760)
            """),
        "permissions.address": SettingManual(
            """
            Networks by groups, for `KSR.permissions`: `1 192.0.2.0/24`, or with a port behind it
            """,
            range: "list of `GROUP NETWORK [PORT]`",
            value: "none"),
        "rtpengine.sets": SettingManual(
            """
            Media relays that a script's `KSR.rtpengine` asks: a set's number, an address, and perhaps a weight, \
            `0 udp:192.0.2.1:2223=2`; the same on every node. Needs a restart
            """,
            range: "list of at most 64 `SET udp:ADDRESS:PORT[=WEIGHT]`",
            value: "none"),
        "rtpengine.rtpengine_tout_ms": SettingManual(
            """
            How long a media relay's answer is waited for, each time that a command is sent
            """),
        "rtpengine.rtpengine_retr": SettingManual(
            """
            How often a command is sent to one media relay before the next is asked
            """),
        "rtpengine.rtpengine_disable_tout": SettingManual(
            """
            How long a media relay that has not answered is asked after all others, seconds
            """),
        "registrar.use_domain": SettingManual(
            """
            A script's registrar keeps `user@host`, not the user alone: the same on every node
            """),
        "registrar.append_branches": SettingManual(
            """
            `KSR.registrar.lookup` makes branches of the contacts beside the best one
            """),
        "registrar.event_callback": SettingManual(
            """
            The script's function that is told `usrloc:contact-expired` for each contact whose time is over, which \
            `$ulc(exp=>…)` is: within 40 s, on the node that acts for its address
            """,
            range: "name",
            value: "none"),
        "tm.event_callback": SettingManual(
            """
            The script's function that is told `tm:local-request` of each request that the cluster makes itself, \
            before it is sent for the first time
            """,
            range: "name",
            value: "none"),
        "registrar.xavp_cfg": SettingManual(
            """
            The xavp in which `KSR.registrar.registered_flags` finds `match_callid`, `match_received`, `match_contact`
            """,
            range: "name",
            value: "none"),
    ]
}

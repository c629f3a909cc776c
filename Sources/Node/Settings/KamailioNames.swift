// Names of Kamailio's core and modules that its configurations have and this one does not: what is written in their
// place here, or why nothing is. Names that mean the same are keys themselves (`ModuleParameters`).

enum KamailioNames {
    /// What somebody is told who wrote one; `nil` for another word.
    /// - Parameter key: Folded, as `SettingKey.fold` does.
    static func sentence(for key: String) -> String? {
        if let instead = parameters[key] { return "is a name of Kamailio's: \(instead)" }
        let parts = key.split(separator: ".").map(String.init)
        guard let first = parts.first, let instead = modules[first] ?? (parts.count == 1 ? core[first] : nil) else {
            return nil
        }
        return "is a name of Kamailio's: \(instead)"
    }

    static let processes = "one thread serves SIP; for more calls take more nodes"
    private static let service = "the service manager says that, as the shipped unit does"
    static let log = "the log is standard output; use node.log-level, and serve --log-format"
    private static let loading = "nothing is loaded; a module's parameters are a section, like ims_dialog"
    private static let transports = "sip.listen says which transports there are, like tcp://192.0.2.1:5060"
    static let oneFile = "a configuration is one file; variables and --set are for what differs"
    private static let hiding = "addresses are not hidden here; Kamailio in front can"
    private static let timers = "it follows from sip.t1-ms, of which it is 64 times"

    private static let core: [String: String] = [
        "loadmodule": loading, "loadmodulex": loading, "loadpath": loading, "mpath": loading, "modparam": loading,
        "modparamx": loading, "import-file": oneFile, "include-file": oneFile,
        "debug": "use node.log-level: debug, info, notice, warning or error", "log-stderror": log, "log-facility": log,
        "log-name": log, "log-prefix": log,
        "children": processes, "tcp-children": processes, "socket-workers": processes, "async-workers": processes,
        "fork": service, "user": service, "group": service, "workdir": service, "chroot": service, "pid-file": service,
        "port": "the port stands behind the address in sip.listen", "disable-tcp": transports, "enable-tls": transports,
        "enable-sctp": transports, "mhomed": "a request leaves from the address of its family in sip.listen",
        "auto-aliases": "use sip.alias, the domains that a script takes for ours",
        "advertised-address": "use sip.advertise, like sip:192.0.2.1:5060",
        "advertised-port": "use sip.advertise, like sip:192.0.2.1:5060",
        "tcp-max-connections": "use sip.tcp.connection-limit",
        "tls-max-connections": "use sip.tcp.connection-limit",
        "tcp-connection-lifetime": "use sip.tcp.idle-timeout-s",
        "tcp-connect-timeout": "use sip.tcp.connect-timeout-ms",
        "use-dns-cache": "answers are kept; use dns.cache-entries",
        "dns-cache-mem": "answers are kept; use dns.cache-entries",
        "request-route": "use routes, or a Lua script (script.lua)",
        "reply-route": "use a Lua script (script.lua)", "failure-route": "use a Lua script (script.lua)",
        "branch-route": "use a Lua script (script.lua)", "event-route": "use a Lua script (script.lua)",
    ]

    private static let parameters: [String: String] = [
        "tm.fr-timer": timers, "tm.fr-inv-timer": "use sip.timer-c-s", "tm.retr-timer1": "use sip.t1-ms",
        "tm.retr-timer2": "use sip.t2-ms", "tm.wt-timer": "use sip.t4-ms",
        "rtpengine.rtpengine-sock": "use rtpengine.sets, a line a server, like 0 udp:192.0.2.50:2223",
        "permissions.db-url": "use permissions.address", "permissions.address-file": "use permissions.address",
        "jsonrpcs.fifo-name": "use management.jsonrpc_fifo",
        "jsonrpcs.dgram-socket": "use management.jsonrpc_socket",
        "tls.certificate": "use sip.tls.certificate-file", "tls.private-key": "use sip.tls.key-file",
        "tls.ca-list": "use sip.tls.ca-file", "tls.verify-certificate": "use sip.tls.verify-client",
        "tls.require-certificate": "use sip.tls.verify-client",
        "dispatcher.ds-ping-interval": "use probe-interval-s of a set",
        "dispatcher.ds-probing-threshold": "use down-after of a set",
        "dispatcher.ds-inactive-threshold": "use up-after of a set",
        "app-lua.reload": "a reload reads the script again",
    ]

    private static let modules: [String: String] = [
        "dispatcher": "use sets, each with its targets and a policy, and set in a route",
        "usrloc": "contacts are the cluster's, in memory; use registrar",
        "nathelper": "use sip.force_rport, and script.modules: [nathelper] for a script",
        "nat-traversal": "use sip.force_rport",
        "rr": "each dialog is record-routed; use sip.advertise for the address",
        "jsonrpcs": "use management.http, management.jsonrpc_fifo and management.jsonrpc_socket",
        "xhttp": "use management.http", "ctl": "use management.ctl", "mi-fifo": "use management.mi_fifo",
        "app-lua": "use script.lua", "app-python3": "scripts are in Lua; use script.lua",
        "app-jsdt": "scripts are in Lua; use script.lua", "app-ruby": "scripts are in Lua; use script.lua",
        "dmq": "use cluster.bus and cluster.peers",
        "dmq-usrloc": "use cluster.bus and cluster.peers; contacts go over them, too",
        "siptrace": "messages are kept for understudy trace; use trace.memory-mb",
        "acc": "there is no accounting; use dialogs.events and dialogs.events-file",
        "sst": "use sip.session-expires and sip.min-se",
        "ratelimit": "use limits.source-per-second and limits.total-per-second",
        "pipelimit": "use limits.source-per-second and limits.total-per-second",
        "topoh": hiding, "topos": hiding,
        "path": "use path of a route", "websocket": "write ws:// or wss:// in sip.listen",
        "rtpproxy": "use rtpengine.sets", "mediaproxy": "use rtpengine.sets",
        "auth-db": "use registrar.credentials-file, and script.modules: [auth, auth_db] for a script",
        "db-mysql": "use storage.db_url, with sqlite:// or postgres://",
        "db-postgres": "use storage.db_url", "db-sqlite": "use storage.db_url",
        "lcr": "use routes and sets", "carrierroute": "use routes and sets", "drouting": "use routes and sets",
        "dialplan": "use routes, or a script", "mtree": "use routes, or a script",
        "maxfwd": "it is built in; use sip.max-forwards", "sanity": "it is built in", "textops": "it is built in",
        "siputils": "it is built in", "sl": "it is built in", "pv": "it is built in", "xlog": "it is built in",
        "presence": "there is none; a route takes SUBSCRIBE and PUBLISH to a server that has it",
    ]
}

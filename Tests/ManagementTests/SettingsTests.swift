// Settings as an operator meets them: each wrong configuration names exactly its key.

import Management
import Node
import Proxy
import SIP
import Testing

/// The least that serves: everything else is a default.
let leastOverrides = ["node.name=n1", "sip.listen=udp://127.0.0.11:5060"]

func load(
    yaml: String? = nil, environment: [String: String] = [:], _ overrides: [String] = [],
    files: [String: String] = [:]
) -> SettingsLoader.Loaded {
    SettingsLoader(
        file: yaml.map { Array($0.utf8) }, environment: environment, overrides: overrides,
        readFile: { path throws(SettingsLoader.Unreadable) in
            guard let text = files[path] else { throw SettingsLoader.Unreadable(reason: "no such file") }
            return Array(text.utf8)
        }
    ).load()
}

@Suite("Settings")
struct SettingsTests {
    @Test func `a name and a listener are enough`() {
        let loaded = load(leastOverrides)
        #expect(loaded.problems == [])
        #expect(loaded.settings.sip.advertised(for: loaded.settings.sip.listen[0]) == nil)
        #expect(loaded.settings.dialogs.hashSize == 4_096)
        #expect(loaded.settings.cluster.peers.isEmpty)
    }

    @Test func `without anything the two required keys are named`() {
        #expect(load().problems.map(\.key) == ["node.name", "sip.listen"])
    }

    @Test(arguments: [
        ("node.name=a b", "node.name"),
        ("node.name=", "node.name"),
        ("node.name=abcdefghijklmnopqrstuvwxyz0123456789", "node.name"),
        ("node.shards=2", "node.shards"),
        ("node.shards=x", "node.shards"),
        ("sip.listen=udp://127.0.0.1:5060,udp://127.0.0.1:5060", "sip.listen"),
        ("sip.listen=udp://127.0.0.1:5060,tcp://127.0.0.1:5061,ws://127.0.0.1:5061", "sip.listen"),
        ("sip.listen=tls://127.0.0.1:5061", "sip.tls.certificate-file,sip.tls.key-file"),
        ("sip.listen=sctp://127.0.0.1:5060", "sip.listen"),
        ("sip.service-address=tcp://127.0.0.21:5060", "sip.service-address"),
        ("sip.tls.key-file=/keys/absent.key", "sip.tls.key-file,sip.tls.certificate-file"),
        ("sip.tls.certificate-file=/keys/absent.pem", "sip.tls.certificate-file,sip.tls.key-file"),
        ("sip.tls.verify-client=true", "sip.tls.ca-file"),
        ("sip.tls.verify-client=perhaps", "sip.tls.verify-client"),
        ("sip.tcp.connection-limit=8", "sip.tcp.connection-limit"),
        ("sip.tcp.connections-per-source=0", "sip.tcp.connections-per-source"),
        ("sip.tcp.idle-timeout-s=5", "sip.tcp.idle-timeout-s"),
        ("sip.tcp.message-timeout-s=0", "sip.tcp.message-timeout-s"),
        ("sip.tcp.connect-timeout-ms=50", "sip.tcp.connect-timeout-ms"),
        ("sip.listen=udp://0.0.0.0:5060", "sip.listen"),
        ("sip.listen=udp://127.0.0.1", "sip.listen"),
        ("sip.listen=udp://127.0.0.1:0", "sip.listen"),
        ("sip.listen=udp://127.0.0.1:65536", "sip.listen"),
        ("sip.listen=udp://nowhere:5060", "sip.listen"),
        ("sip.listen=http://127.0.0.1:5060", "sip.listen"),
        ("sip.advertise=127.0.0.10:5060", "sip.advertise"),
        ("sip.advertise=sip:127.0.0.10:99999", "sip.advertise"),
        ("sip.advertise=sip:127.0.0.10;transport=tcp", "sip.advertise,sip.advertise"),
        ("sip.advertise=sip:127.0.0.10,sip:127.0.0.12", "sip.advertise"),
        ("sip.balancer=udp://127.0.0.10", "sip.balancer"),
        ("sip.force_rport=perhaps", "sip.force_rport"),
        ("sip.egress=balancer", "sip.egress"),
        ("sip.via=other", "sip.via"),
        ("sip.tls.hosts=a.example", "sip.tls.hosts"),
        ("sip.tls.hosts=a..example => /etc/hostname /etc/hostname", "sip.tls.hosts"),
        ("sip.late-answer=never", "sip.late-answer"),
        ("sip.min-se=89", "sip.min-se"),
        ("sip.min-se=86401", "sip.min-se"),
        ("sip.session-expires=89", "sip.session-expires"),
        ("sip.session-expires=86401", "sip.session-expires"),
        ("sip.lenient=2", "sip.lenient"),
        ("sip.t1-ms=10", "sip.t1-ms"),
        ("sip.t2-ms=100", "sip.t2-ms"),
        ("sip.timer-c-s=60", "sip.timer-c-s"),
        ("sip.max-forwards=0", "sip.max-forwards"),
        ("cluster.name=a/b", "cluster.name"),
        ("cluster.peers=127.0.0.12:7400", "cluster.bus"),
        ("cluster.bus=udp://127.0.0.11:7400", "cluster.bus"),
        ("cluster.bus=127.0.0.11:65535", "cluster.bus"),
        ("cluster.bus=10.0.0.1:7400", "cluster.key-file"),
        ("cluster.quorum=half", "cluster.quorum"),
        ("cluster.heartbeat-ms=200", "cluster.heartbeat-ms"),
        ("cluster.forget-after=1s", "cluster.forget-after"),
        ("cluster.dns=a.example:7400", "cluster.bus"),
        ("cluster.dns=a.example", "cluster.dns"),
        ("cluster.dns=127.0.0.12:7400", "cluster.dns"),
        ("cluster.dns=a..example:7400", "cluster.dns"),
        ("cluster.dns=a.example:65535", "cluster.dns"),
        ("dns.servers=ns.example", "dns.servers"),
        ("dns.servers=127.0.0.53,127.0.0.53:53", "dns.servers"),
        ("dns.servers=0.0.0.0", "dns.servers"),
        ("dns.timeout-ms=50", "dns.timeout-ms"),
        ("dns.tries=0", "dns.tries"),
        ("dns.cache-entries=1", "dns.cache-entries"),
        ("dns.families=ipv6", "dns.families"),
        ("dns.families=both", "dns.families"),
        ("replication.commit=two", "replication.commit"),
        ("replication.linger-ms=60", "replication.linger-ms"),
        ("replication.commit-timeout-ms=1", "replication.commit-timeout-ms"),
        ("ims_dialog.hash_size=1000", "ims_dialog.hash_size"),
        ("ims_dialog.rr_param=lr", "ims_dialog.rr_param"),
        ("ims_dialog.default_timeout=0", "ims_dialog.default_timeout"),
        ("ims_dialog.bye_early_code=200", "ims_dialog.bye_early_code"),
        ("ims_dialog.ka_timer=3601", "ims_dialog.ka_timer,ims_dialog.ka_interval"),
        ("ims_dialog.ka_timer=10", "ims_dialog.ka_interval"),
        ("ims_dialog.ka_interval=29", "ims_dialog.ka_interval"),
        ("ims_dialog.ka_interval=86401", "ims_dialog.ka_interval"),
        ("ims_dialog.ka_failed_limit=0", "ims_dialog.ka_failed_limit"),
        ("ims_dialog.ka_failed_limit=101", "ims_dialog.ka_failed_limit"),
        ("ims_dialog.ka-src=caller", "ims_dialog.ka-src"),
        ("ims_dialog.ka_dst=2", "ims_dialog.ka-dst"),
        ("ims_dialog.db_url=sqlite:///x", "ims_dialog.db_url"),
        ("dialogs.limit=1", "dialogs.limit"),
        ("takeover.early=maybe", "takeover.early"),
        ("takeover.stagger-ms=1", "takeover.stagger-ms"),
        ("routes=sip:(", "routes"),
        ("routes=sip:( => sip:127.0.0.1", "routes"),
        ("routes=.* => 127.0.0.1", "routes"),
        ("routes=.* => sip:example.org;transport=tcp", "routes"),
        ("routes=.* => sip:127.0.0.1 weight=0", "routes"),
        ("routes=.* => sip:127.0.0.1 q=1.5", "routes"),
        ("routes=.* => sip:127.0.0.1 policy=best", "routes"),
        ("routes=.* => @nowhere", "routes"),
        ("sets=gw => ", "sets"),
        ("sets=g w => sip:127.0.0.1", "sets"),
        ("sets=gw => sip:127.0.0.1 probe-interval-s=4000", "sets"),
        ("sets=gw => sip:127.0.0.1,gw => sip:127.0.0.2", "sets"),
        ("access.allow=10.0.0.0/33", "access.allow"),
        ("access.deny=10.0.0.1/24", "access.deny"),
        ("access.answer=404", "access.answer"),
        ("access.trusted=10.0.0.1/24", "access.trusted"),
        ("routes=.* => sip:127.0.0.1 path=maybe", "routes"),
        ("routes=.* => sip:127.0.0.1:5060 sip:127.0.0.1:5060;x=y", "routes"),
        ("sets=gw => sip:h.example sip:H.EXAMPLE", "sets"),
        ("limits.source-per-second=-1", "limits.source-per-second"),
        ("limits.total-burst=5", "limits.total-burst"),
        ("limits.sources=2", "limits.sources"),
        ("routes=.* => sip:127.0.0.1;transport=tcp", "routes"),
        ("routes=.* => sip:[::1]:5060", "routes"),
        ("sets=gw => sip:[::1]:5060", "sets"),
        ("script.path=/etc/scripts", "script.lua"),
        ("script.modules=registrar", "script.modules"),
        ("sip.alias=not a name", "sip.alias"),
        ("storage.db_url=sqlite://x", "storage.db_url"),
        ("storage.db_url=mysql://10.0.0.1/x", "storage.db_url"),
        ("storage.db_url=postgres://u:secret@db/calls", "storage.db_url"),
        ("storage.db_url=postgres://u:s?ecret@db/calls", "storage.db_url"),
        ("storage.db_url=postgres://u:s/ecret@db/calls", "storage.db_url"),
        ("storage.db_url=postgres://u@db/calls?password=secret", "storage.db_url"),
        ("storage.db_mode=4", "storage.db_mode"),
        ("storage.module=location", "storage.module"),
        ("storage.table_name=1x", "storage.table_name"),
        ("storage.table_name=a\"b", "storage.table_name"),
        ("storage.table_name=dialog_vars", "storage.vars_table_name"),
        ("storage.vars_table_name=", "storage.vars_table_name"),
        ("storage.state_column=start_time", "storage.start_time_column"),
        ("storage.timeout_column=xdata", "storage.timeout_column"),
        ("storage.db_mode=1", "storage.db_mode"),
        ("storage.db_update_period=0", "storage.db_update_period"),
        ("storage.db_fetch_rows=10001", "storage.db_fetch_rows"),
        ("storage.shared=perhaps", "storage.shared"),
        ("management.mi_fifo=run/mi", "management.mi_fifo"),
        ("management.ctl=tcp:10.0.0.1:2049", "management.ctl"),
        ("management.ctl=unix:/a,unix:/a", "management.ctl"),
        ("management.ctl=unix:/a,unix:/b,unix:/c,unix:/d,unix:/e", "management.ctl"),
        ("management.http=10.0.0.1:8080", "management.token-file,management.tls.certificate-file"),
        ("management.fault_injection=true", "management.fault_injection"),
        ("sip.ballancer=127.0.0.1", "sip.ballancer"),
        ("novalue", "novalue"),
    ])
    func `a wrong value is told with its key`(override: String, key: String) {
        let problems = load(leastOverrides + [override]).problems
        #expect(problems.map(\.key).joined(separator: ",") == key, "\(problems)")
    }

    @Test func `every transport can be listened on, with keys where TLS needs them`() throws {
        let yaml = """
            node: {name: n1}
            sip:
              listen: [udp://127.0.0.1:5060, tcp://127.0.0.1:5060, tls://127.0.0.1:5061, "ws://[::1]:80",
                "wss://[::1]:443"]
              tls: {certificate-file: /keys/a.pem, key-file: /keys/a.key, ca-file: /keys/ca.pem, verify-client: true}
              tcp: {connection-limit: 100, connections-per-source: 10, idle-timeout-s: 60, message-timeout-s: 5,
                connect-timeout-ms: 2s}
            """
        let loaded = load(yaml: yaml, files: ["/keys/a.pem": "", "/keys/a.key": "", "/keys/ca.pem": ""])
        #expect(loaded.problems == [])
        #expect(loaded.settings.sip.listen.map(\.transport) == [.udp, .tcp, .tls, .ws, .wss])
        var streams = ConnectionSettings()
        streams.certificateFile = "/keys/a.pem"
        streams.keyFile = "/keys/a.key"
        streams.authoritiesFile = "/keys/ca.pem"
        streams.verifiesClients = true
        streams.connectionLimit = 100
        streams.connectionsPerSource = 10
        streams.idleTimeout = .seconds(60)
        streams.messageTimeout = .seconds(5)
        streams.connectTimeout = .seconds(2)
        #expect(loaded.settings.sip.streams == streams)
    }

    @Test func `lists of hosts and of whom to trust have bounds, and no host is there twice`() {
        func complaints(_ override: String) -> String {
            load(leastOverrides + [override]).problems.map(\.message).joined(separator: "\n")
        }
        func hosts(_ count: Int) -> String {
            "sip.tls.hosts=" + (1...count).map { "h\($0).example => a.pem a.key" }.joined(separator: ",")
        }
        func trusted(_ count: Int) -> String {
            "access.trusted=" + (0..<count).map { "10.0.\($0 / 256).\($0 % 256)" }.joined(separator: ",")
        }
        #expect(complaints(hosts(65)).contains("at most 64") && !complaints(hosts(64)).contains("at most"))
        #expect(complaints(trusted(257)).contains("at most 256") && complaints(trusted(256)).isEmpty)
        var streams = ConnectionSettings()
        (streams.certificateFile, streams.keyFile) = ("c.pem", "c.key")
        streams.hosts = ["a.example", "b.example"].map { TLSHost(name: $0, certificateFile: "a", keyFile: "b") }
        #expect(streams.problems(needsCertificate: true).isEmpty)
        streams.hosts.append(streams.hosts[0])
        #expect(streams.problems(needsCertificate: true).map(\.message) == ["a.example is there twice"])
    }

    @Test func `keep-alives have the module's names, and are off unless all of them say so`() {
        let off = load(leastOverrides).settings.dialogs
        #expect(off.keepAliveTimer == .zero && off.keepAliveInterval == .zero && off.keepAliveFailedLimit == 1)
        #expect(!off.keepsCallerAlive && !off.keepsCalleeAlive)
        let yaml = """
            node: {name: n1}
            sip: {listen: [udp://127.0.0.11:5060]}
            ims_dialog: {ka_timer: 10, ka_interval: 60, ka_failed_limit: 3, ka-src: true, ka_dst: yes}
            """
        let loaded = load(yaml: yaml)
        #expect(loaded.problems == [])
        let dialogs = loaded.settings.dialogs
        #expect(dialogs.keepAliveTimer == .seconds(10) && dialogs.keepAliveInterval == .seconds(60))
        #expect(dialogs.keepAliveFailedLimit == 3 && dialogs.keepsCallerAlive && dialogs.keepsCalleeAlive)
        #expect(load(leastOverrides + ["ims_dialog.ka_interval=30"]).problems == [], "ka_timer is the switch")
    }

    @Test func `a route goes by a transport that the node speaks, and never by WebSocket`() {
        let listen = "sip.listen=udp://127.0.0.1:5060,tcp://127.0.0.1:5060,ws://127.0.0.1:80"
        let common = ["node.name=n1", listen]
        #expect(load(common + ["routes=.* => sip:127.0.0.1;transport=tcp"]).problems == [])
        for transport in ["tls", "ws"] {
            let problems = load(common + ["routes=.* => sip:127.0.0.1;transport=\(transport)"]).problems
            #expect(problems.map(\.key) == ["routes"])
        }
    }

    @Test func `members of a cluster need UDP between them, a lone node does not`() {
        let alone = ["node.name=n1", "sip.listen=tcp://127.0.0.1:5060"]
        #expect(load(alone).problems == [])
        let peers = ["cluster.bus=127.0.0.11:7400", "cluster.peers=127.0.0.12:7400"]
        #expect(load(alone + peers).problems.map(\.key) == ["sip.listen"])
    }

    @Test func `every fault of every route and set is told`() {
        let yaml = """
            node: {name: n1}
            sip: {listen: [udp://127.0.0.11:5060]}
            sets:
              - {name: gw, to: ["sip:127.0.0.1 weight=0", "127.0.0.2"], policy: best}
              - {to: [sip:127.0.0.1], colour: red}
            routes:
              - {match: "sip:(", source: [10.0.0.0/40], to: [sip:127.0.0.1]}
              - {to: [sip:127.0.0.1]}
              - {method: [IN VITE], header: ["X-Class"], set: gw, policy: hash}
            """
        let problems = load(yaml: yaml).problems
        #expect(problems.count { $0.key == "sets" } == 5, "\(problems)")
        #expect(problems.count { $0.key == "routes" } == 6, "\(problems)")
        #expect(problems.allSatisfy { $0.origin.hasPrefix("line ") })
    }

    @Test func `routes with conditions, a shared set and limits load`() {
        let yaml = """
            node: {name: n1}
            sip: {listen: [udp://127.0.0.11:5060]}
            access: {allow: [10.0.0.0/8, "2001:db8::/32"], deny: [10.0.0.66], answer: drop,
                     trusted: [10.0.0.9]}
            limits: {source-per-second: 20, total-per-second: 500, total-burst: 900}
            sets:
              - {name: gw, policy: weight, probe-interval-s: 10, up-after: 2, down-after: 4,
                 to: ["sip:127.0.0.1:5080 weight=3", "sip:127.0.0.2:5080 q=0.25"]}
            routes:
              - {match: "sip:.*@example.org", method: [INVITE, MESSAGE], source: [10.0.0.0/8], set: gw}
              - {header: ["X-Class: gold|silver"], to: [sip:127.0.0.3, sip:127.0.0.4], policy: parallel,
                 path: supported}
            """
        let loaded = load(yaml: yaml)
        #expect(loaded.problems == [])
        #expect(loaded.settings.access.trusted == [Subnet(text: "10.0.0.9")])
        #expect(loaded.settings.routes.map(\.path) == [nil, .supported])
        let set = loaded.settings.sets[0]
        #expect(set.targets.map(\.weight) == [3, 1] && set.targets.map(\.q) == [1_000, 250])
        #expect(set.policy == .weight && set.probeInterval == .seconds(10) && set.upAfter == 2 && set.downAfter == 4)
        #expect(loaded.settings.routes[0].destination == .named("gw"))
        #expect(loaded.settings.routes[1].targets.map(\.text) == ["sip:127.0.0.3", "sip:127.0.0.4"])
        #expect(loaded.settings.limits.effectiveSourceBurst == 40)
        #expect(loaded.settings.access.answer == .drop)
        let line = "routes=.* => sip:127.0.0.1 weight=2 sip:127.0.0.2 policy=weight"
        #expect(load(leastOverrides + [line]).settings.routes.first?.targets.count == 2)
        let named = load(leastOverrides + ["sets=gw => sip:127.0.0.1", "routes=.* => @gw path=required"])
        #expect(named.settings.routes.first?.path == .required)
        #expect(named.problems == [] && named.settings.routes.first?.destination == .named("gw"))
    }

    @Test func `every problem is reported at once, with its line`() {
        let yaml = """
            node: {name: n1, shards: 3}
            sip:
              listen: [udp://127.0.0.11:5060]
              t1-ms: fast
            colour: blue
            """
        let problems = load(yaml: yaml).problems
        #expect(problems.map(\.key).sorted() == ["colour", "node.shards", "sip.t1-ms"])
        #expect(problems.first { $0.key == "sip.t1-ms" }?.origin == "line 4")
        #expect(problems.first { $0.key == "node.shards" }?.origin == "line 1")
    }

    @Test(arguments: [
        ("sip.listne", "sip.listen"), ("cluster.peer", "cluster.peers"),
        ("ims_dialog.hashsize", "ims_dialog.hash_size"),
    ])
    func `an unknown key is told the nearest known one`(written: String, meant: String) {
        let problem = load(leastOverrides + ["\(written)=1"]).problems.first
        #expect(problem?.message == "is not a known key; did you mean \(meant)?")
    }

    @Test func `name servers and the name of the peers are read`() {
        let loaded = load(
            yaml: """
                node: {name: n1}
                sip: {listen: [udp://127.0.0.11:5060]}
                dns: {servers: [127.0.0.53, "[::1]:5353"], timeout-ms: 2s, tries: 3, cache-entries: 100, families: ipv4}
                cluster: {bus: "127.0.0.11:7400", dns: "Nodes.Example.org.:7400"}
                """)
        #expect(loaded.problems == [])
        #expect(loaded.settings.dns.servers.map(\.text) == ["127.0.0.53:53", "[::1]:5353"])
        #expect(loaded.settings.dns.timeout == .seconds(2))
        #expect(loaded.settings.dns.tries == 3 && loaded.settings.dns.cacheEntries == 100)
        #expect(loaded.settings.cluster.dns?.text == "nodes.example.org:7400")
    }

    @Test func `peers are listed or named, not both`() {
        let loaded = load(
            leastOverrides + [
                "cluster.bus=127.0.0.11:7400", "cluster.peers=127.0.0.12:7400", "cluster.dns=nodes.example:7400",
            ])
        #expect(loaded.problems.map(\.key) == ["cluster.dns"])
    }

    @Test func `our own bus among the peers is told, and a peer twice`() {
        let loaded = load(
            leastOverrides + [
                "cluster.bus=tcp://127.0.0.11:7400", "cluster.peers=127.0.0.11:7400,127.0.0.12:7400,127.0.0.12:7400",
            ])
        #expect(loaded.problems.map(\.key) == ["cluster.peers", "cluster.peers"])
    }

    @Test func `fault injection is refused off loopback even with a token`() {
        let loaded = load(
            leastOverrides + [
                "management.http=10.0.0.1:8080", "management.token-file=/t", "management.fault_injection=true",
                "management.insecure=true",
            ], files: ["/t": "0123456789abcdef\n"])
        #expect(loaded.problems.map(\.key) == ["management.fault_injection"])
    }

    @Test func `keys and tokens are read from their files, and never printed`() {
        let loaded = load(
            leastOverrides + [
                "cluster.bus=10.0.0.1:7400", "cluster.key-file=/k", "management.http=10.0.0.1:8080",
                "management.token-file=/t", "management.insecure=true",
            ], files: ["/k": "the-cluster-key-of-demo\n", "/t": "0123456789abcdef\nsecond line"])
        #expect(loaded.problems == [])
        #expect(loaded.settings.cluster.key == Secret(Array("the-cluster-key-of-demo".utf8)))
        #expect(loaded.settings.management.token == Secret(Array("0123456789abcdef".utf8)))
        let printed = "\(loaded.settings)" + String(reflecting: loaded.settings)
        #expect(!printed.contains("the-cluster-key") && !printed.contains("0123456789abcdef"))
    }

    @Test func `a short key and a missing token file are problems`() {
        let loaded = load(
            leastOverrides + ["cluster.key-file=/k", "management.token-file=/none"], files: ["/k": "short"])
        #expect(loaded.problems.map(\.key).sorted() == ["cluster.key-file", "management.token-file"])
    }

    @Test func `the documented example loads`() {
        let yaml = """
            node:        {name: n1, shards: 1}
            sip:
              listen:    [udp://127.0.0.11:5060]
              advertise: [sip:127.0.0.10:5060]
              balancer:  [127.0.0.10]
            cluster:
              name:      demo
              bus:       tcp://127.0.0.11:7400
              peers:     [tcp://127.0.0.12:7400, tcp://127.0.0.13:7400]
            replication: {commit: one, commit-timeout-ms: 50, linger-ms: 5}
            ims_dialog:  {hash_size: 4096, rr_param: did, default_timeout: 43200}
            routes:
              - {match: "sip:.*@example.org", to: [sip:127.0.0.1:5080]}
            management:  {http: 127.0.0.11:8080}
            """
        let loaded = load(yaml: yaml)
        #expect(loaded.problems == [])
        #expect(loaded.settings.sip.balancer.map(\.text) == ["127.0.0.10:5060"])
        #expect(loaded.settings.cluster.peers.map(\.text) == ["127.0.0.12:7400", "127.0.0.13:7400"])
        #expect(loaded.settings.routes.first?.targets.first?.endpoint?.text == "127.0.0.1:5080")
    }

    @Test func `the benchmark's command line loads`() {
        let loaded = load([
            "node.name=n1", "sip.listen=udp://127.0.1.1:5060", "sip.advertise=sip:127.0.1.1:5060", "cluster.name=bench",
            "cluster.bus=tcp://127.0.1.1:7400", "cluster.peers=127.0.1.2:7400,127.0.1.3:7400",
            "ims_dialog.hash_size=16384", "ims_dialog.default_timeout=43200", "management.http=127.0.1.1:8080",
        ])
        #expect(loaded.problems == [])
        #expect(loaded.settings.cluster.peers.count == 2)
        #expect(load(leastOverrides + ["cluster.bus=127.0.1.1:7400", "cluster.peers="]).settings.cluster.peers == [])
    }
}

@Suite("Where settings come from")
struct SettingsLoaderTests {
    @Test func `a variable wins over the file, and an option over both`() {
        let yaml = "node: {name: file}\nsip: {listen: [udp://127.0.0.11:5060], t1-ms: 100}\nims_dialog: {hash_size: 64}"
        let environment = ["UNDERSTUDY_NODE_NAME": "variable", "UNDERSTUDY_SIP_T1_MS": "200", "PATH": "/bin"]
        let loaded = load(yaml: yaml, environment: environment, ["sip.t1-ms=300"])
        #expect(loaded.problems == [])
        #expect(loaded.settings.node.name == "variable")
        #expect(loaded.settings.sip.t1 == .milliseconds(300))
        #expect(loaded.settings.dialogs.hashSize == 64)
    }

    @Test func `of two options for one key the last one wins`() {
        #expect(load(leastOverrides + ["node.name=a", "node.name=b"]).settings.node.name == "b")
    }

    @Test func `dash and underscore are the same in a key`() {
        let loaded = load(leastOverrides + ["sip.force-rport=true", "replication.linger_ms=7"])
        #expect(loaded.settings.sip.forceRport == .always)
        #expect(loaded.settings.replication.linger == .milliseconds(7))
    }

    @Test(arguments: [("90", 90_000), ("90s", 90_000), ("1500ms", 1_500), ("2m", 120_000), ("1h", 3_600_000)])
    func `a time may carry its unit`(text: String, milliseconds: Int64) {
        let loaded = load(leastOverrides + ["cluster.bootstrap-after=\(text)"])
        #expect(loaded.settings.cluster.bootstrapAfter.wholeMilliseconds == milliseconds)
    }

    @Test func `an unknown variable is a problem, the command line's own are not`() {
        let environment = ["UNDERSTUDY_SIP_LISTN": "x", "UNDERSTUDY_NODE": "http://127.0.0.1:8080"]
        #expect(load(environment: environment, leastOverrides).problems.map(\.key) == ["UNDERSTUDY_SIP_LISTN"])
    }

    @Test(arguments: ["node: {name: n1", "- a\n- b", "node:\n\t- x", "a: 1\na: 2"])
    func `a file that is no mapping is one problem, not a trap`(yaml: String) {
        #expect(!load(yaml: yaml, leastOverrides).problems.isEmpty)
    }
}

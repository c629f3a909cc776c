// Mistakes of kinds that nobody had tried: what an editor, a browser, a merge or a shell does to a configuration, what
// YAML reads otherwise than its writer, and values that are right by themselves.

import Management
import Node
import Testing

@Suite("Strange configurations")
struct StrangeConfigurationTests {
    private static let head =
        "node: {name: x1}\nsip:\n  listen: [\"udp://127.0.5.41:5060\", \"tcp://127.0.5.41:5060\"]\n"

    private func read(_ bytes: [UInt8]) -> SettingsLoader.Loaded {
        SettingsLoader(
            file: bytes, fileName: "a.yaml", environment: [:], overrides: [],
            readFile: { _ throws(SettingsLoader.Unreadable) in throw SettingsLoader.Unreadable(reason: "") }
        ).load()
    }

    @Test func `lines may end as on Windows or a Macintosh, also behind a comment`() {
        for end in ["\r\n", "\r"] {
            let text = "# mine\n\n\(Self.head)".replacing("\n", with: end)
            #expect(read(Array(text.utf8)).problems == [])
            let tab = read(Array("# mine\nnode:\n\tname: x\n".replacing("\n", with: end).utf8))
            #expect(tab.problems.map(\.description) == ["not YAML: a tab: YAML is indented with spaces only (line 3)"])
        }
    }

    @Test func `text of another encoding is refused where it is`() {
        for text in ["# M\u{fc}nchen\n\(Self.head)", "\(Self.head)  via: \u{fc}\n"] {
            let latin = text.unicodeScalars.map { UInt8($0.value) }
            let line = text.hasPrefix("#") ? 1 : 4
            #expect(
                read(latin).problems.map(\.description) == ["a.yaml is not UTF-8; save it as UTF-8 (line \(line))"])
        }
    }

    @Test(arguments: [
        ("  t1-ms:\u{a0}500\n", "a space that is not the plain one; write it anew (U+00A0)"),
        ("  t1-ms: \u{ff15}00\n", "a character of full width; write the plain one (U+FF15)"),
        ("  t1-ms: 500\u{200b}\n", "a character that is not seen; delete it (U+200B)"),
        ("  t1\u{2013}ms: 500\n", "a typographic dash; write - (U+2013)"),
        ("  via: \u{201c}own\u{201d}\n", "a typographic quotation mark; write \" or ' (U+201C)"),
        ("  via: own\u{7f}\n", "a control character; delete it (U+007F)"),
        ("  via: own\u{85}  t1-ms: 5\n", "a line end that is none here; begin a new line (U+0085)"),
        ("<<<<<<< HEAD\n  t1-ms: 500\n", "a merge was left unfinished here"),
        ("=======\n", "a merge was left unfinished here"), (">>>>>>> b\n", "a merge was left unfinished here"),
        ("  via: @own\n", "a value that begins with '@', '`' or '%' wants quotation marks"),
        ("  via: \"a\\.b\"\n", "in double quotes a '\\' begins an escape"),
        ("  balancer: [udp://[::1]:5060]\n", "an address with brackets wants quotation marks"),
        ("  balancer: [${HOST}]\n", "a value with braces wants quotation marks"),
        ("...\nx: y\n", "a line with '...' has ended the document"),
        ("management: {http: ::1:8080}\n", "an IPv6 address wants brackets and quotation marks"),
        ("!include b.yaml\n", "a tag like !include is not read; a configuration is one file"),
        ("}\n", "this '}' closes nothing"),
        ("x: \(String(repeating: "[", count: 2_000))\(String(repeating: "]", count: 2_000))\n", "nested too deeply"),
    ])
    func `what looks like something else is told in one sentence`(line: String, sentence: String) {
        let problems = load(yaml: Self.head + line).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(sentence), "\(problems)")
        #expect(problems.first?.contains("(line ") == true)
    }

    @Test func `such characters may stand in comments`() {
        let yaml = "# “quoted” – dashed\n\(Self.head)  t1-ms: 500 # half\u{a0}a second\n"
        #expect(load(yaml: yaml).problems == [])
    }

    @Test(arguments: [
        ("sip: {tls: {certificate-file:/c.pem}}\nnode: {name: x1}\n", "a space is missing behind 'certificate-file:'"),
        ("node:\n  name:x1\nsip: {listen: [\"udp://127.0.0.1:5060\"]}\n", "node: a space is missing behind 'name:'"),
        ("node: n1\nsip: {listen: [\"udp://127.0.0.1:5060\"]}\n", "node: is a section, not a key; it has name, shards"),
    ])
    func `a key that is one word with its value, or a section with one, is not passed over`(
        yaml: String, sentence: String
    ) {
        let problems = load(yaml: yaml).problems.map(\.description)
        #expect(problems.contains { $0.contains(sentence) }, "\(problems)")
        #expect(!problems.contains { $0.hasPrefix("node.name") }, "\(problems)")
    }

    @Test(arguments: [
        ("cluster: [a, b]\n", "cluster: is a section, not a key; it has name, bus"),
        ("sip.colour:\n", "sip.colour: is not a known key"),
        ("routes:\n  -\n", "routes: has an entry without a value; write one behind the '-' (line 5)"),
        ("access: {allow: [[10.0.0.0/8]]}\n", "access.allow: has a list within its list"),
        (
            "routes:\n  - {match: \"sip:.*\", to: [sip:127.0.0.1, {uri: sip:127.0.0.2}]}\n",
            "routes: has a field, to, that is neither a value nor a list of values"
        ),
        ("routes:\n  - {match: \"sip:(?!a)\", to: [sip:127.0.0.1]}\n", "'(?' is not available"),
        ("routes:\n  - {match: \"sip:[[:alpha:]]+\", to: [sip:127.0.0.1]}\n", "'[:' is not available"),
        ("routes:\n  - {match: 'sip:[\\d]+', to: [sip:127.0.0.1]}\n", "'\\d' is not available in [ ]"),
        (
            "routes:\n  - {match: \"sip:.*\", set: gatways}\nsets: [{name: gateways, to: [sip:127.0.0.1]}]\n",
            "'gatways' is none of sets; did you mean gateways?"
        ),
        ("routes:\n  - {match: \"sip:.*\", to: [\"sip:0.0.0.0\"]}\n", "sip:0.0.0.0: is no address to send to"),
        ("routes:\n  - {match: \"sip:.*\", to: [\"sip:224.0.1.75\"]}\n", "224.0.1.75 is a multicast address"),
        ("routes:\n  - {source: [10.0.0.1/8], to: [sip:127.0.0.1]}\n", "write 10.0.0.0/8"),
        ("access: {deny: [\"2001:db8::1/32\"]}\n", "has bits set behind the first 32; write 2001:db8::/32"),
        ("access: {deny: [\"2001:db8::1/127\"]}\n", "write 2001:db8::/127"),
        ("ims_dialog: {rr_param: transport}\n", "ims_dialog.rr_param: transport has a meaning of its own"),
        ("cluster: {bus: \"tcp://127.0.5.41:5060\"}\n", "sip.listen: tcp://127.0.5.41:5060 is taken by cluster.bus"),
        ("cluster: {bus: \"tcp://127.0.5.41:5059\"}\n", "sip.listen: tcp://127.0.5.41:5060 is taken by cluster.bus"),
        ("management: {http: \"127.0.5.41:5060\"}\n", "management.http: 127.0.5.41:5060 is taken by sip.listen"),
        (
            "cluster: {bus: \"127.0.5.41:7400\"}\n"
                + "management: {http: \"0.0.0.0:7401\", token-file: /t, insecure: true}\n",
            "management.http: 0.0.0.0:7401 is taken by cluster.bus"
        ),
        ("  service-address: 127.0.5.41:5060\n", "sip.service-address: 127.0.5.41:5060 is in sip.listen"),
        ("  balancer: [127.0.5.41]\n", "sip.balancer: 127.0.5.41:5060 is in sip.listen"),
        ("  balancer: [0.0.0.0]\n", "sip.balancer: 0.0.0.0:5060 is no address to send to"),
        ("cluster: {bus: \"tcp://[fe80::1]:7400\", key-file: /k}\n", "cluster.bus: fe80::1 is a link-local address"),
        ("cluster: {bus: \"tcp://[::ffff:10.0.0.1]:7400\", key-file: /k}\n", "write 10.0.0.1"),
        ("cluster: {bus: \"tcp://[fe80::1%eth0]:7400\"}\n", "a zone says nothing to a peer"),
        ("cluster: {bus: \"tcp://[::1:7400\"}\n", "the '[' is not closed by a ']'"),
        ("management: {http: \"127.0.0.1:+8080\"}\n", "'127.0.0.1:+8080' is not an address"),
        ("cluster: {bus: \"127.0.5.41:7400\", key-file: /same}\n", "/same holds one byte again and again"),
        ("management: {http: 127.0.0.1:8080, token-file: /blank}\n", "the first line of /blank is empty"),
        ("management: {http: 127.0.0.1:8080, token-file: /spaced}\n", "/spaced holds a token with a space"),
        (
            "management: {http: \"10.0.0.1:8080\", token-file: /t}\n",
            "management.tls.certificate-file: is required unless management.http is a loopback address"
        ),
        ("  t1-ms: 1.5s\n", "'1.5s' is not a time like 500 or 500ms: a whole number, with ms, s, m or h"),
        ("trace: {memory-mb: 16M}\n", "'16M' is not a whole number, 0 to 1024"),
        ("dialogs: {events: true, events-file: events.jsonl}\n", "'events.jsonl' is not a path like /var/lib"),
        ("management: {ctl: \"tcp:127.0.5.41:5060\"}\n", "management.ctl: 127.0.5.41:5060 is taken by sip.listen"),
        (
            "cluster: {bus: \"127.0.5.41:7400\"}\nmanagement: {ctl: \"tcp:127.0.5.41:7401\"}\n",
            "management.ctl: 127.0.5.41:7401 is taken by cluster.bus"
        ),
        (
            "management: {http: \"0.0.0.0:2049\", token-file: /t, insecure: true, ctl: \"tcp:127.0.0.1:2049\"}\n",
            "management.ctl: 127.0.0.1:2049 is taken by management.http, 0.0.0.0:2049"
        ),
        (
            "management: {ctl: [\"tcp:127.0.0.1:2049\", \"tcp:127.0.0.1\"]}\n",
            "management.ctl: 127.0.0.1:2049 is taken by management.ctl"
        ),
        (
            "cluster: {bus: \"127.0.5.41:7400\", peers: [\"127.0.5.41:7401\"]}\n",
            "cluster.peers: 127.0.5.41:7401 is our own: cluster.bus uses its port and the next"
        ),
        ("  balancer: [udp://192.0.2.1]\n", "leave udp:// out"),
        ("management: {http: \"https://127.0.0.1:8080\"}\n", "https is a matter of management.tls; leave it out"),
        ("management: {http: \"localhost:8080\"}\n", "localhost is a name, and names are not looked up here"),
        (
            "routes:\n  - {match: \"sip:.*\", dialog: {timeout: soon}, to: [sip:127.0.0.1]}\n",
            "dialog.timeout 'soon' is not a time like 30 or 30s"
        ),
        (
            "sets: [{name: gw, probe-interval-s: 2h, to: [sip:127.0.0.1]}]\nroutes: [{match: \".*\", set: gw}]\n",
            "probe-interval-s must be 0 to 3600 seconds"
        ),
        (
            "management: {http: \"127.0.0.1:8080\", tls: {certificate-file: /k}}\n",
            "management.tls.key-file: is required"
        ),
        ("management: {http: \"127.0.0.1:8080\", tls: {key-file: /k}}\n", "the certificate of management.tls.key-file"),
        ("cluster: {bus: \"127.0.5.41:7400\", key-file: /pem}\n", "/pem is a file of TLS, not a key of the cluster"),
        ("registrar: {domains: [\"example.org:5060\"]}\n", "'example.org:5060' is no domain like example.org"),
        ("storage: {db_url: \"sqllite:///x\", db_mode: 1}\n", "there is no sqllite://; did you mean sqlite://?"),
        ("storage: {db_url: \"sqlite://x\", db_mode: 1}\n", "behind sqlite:// stands a whole path"),
        ("storage: {db_url: \"jdbc:postgresql://h/x\", db_mode: 1}\n", "leave jdbc: out"),
        ("storage: {db_url: \"/x.db\", db_mode: 1}\n", "it begins with sqlite:// or postgres://"),
        (
            "n2:\n  node: {name: n2}\n  sip: {t1-ms: 5}\n",
            "n2: is not a known key: a file is of one node, and node stands"
        ),
        ("hosts: [a, b]\n", "hosts: is not a known key: a file is of one node"),
        ("include: b.yaml\n", "include: is not a known key: a configuration is one file"),
        ("node.log-file: /x\n", "node.log-file: is not a known key: the log is standard output"),
        ("log: {level: debug}\n", "the log is standard output"),
        ("sip.external-ip: 192.0.2.1\n", "use sip.advertise"),
        ("cluster.name: a$B\n", "a $ or % stands for nothing here"),
        (
            "sets: [{name: gw, to: [{uri: sip:127.0.0.1, weight: 5}]}]\n",
            "sets: has a field, to, that is neither a value nor a list of values; a target is one value, like"
        ),
        (
            "routes: [{match: \"+49.*\", to: [sip:127.0.0.1]}]\n",
            "'+' has nothing to repeat; write \\+ for the character"
        ),
    ])
    func `what was taken in silence is refused`(yaml: String, sentence: String) {
        let files = [
            "/k": "0123456789abcdef", "/t": "0123456789abcdef", "/same": String(repeating: "0", count: 32),
            "/blank": "\n0123456789abcdef", "/spaced": "0123456789 abcdef",
            "/pem": "-----BEGIN CERTIFICATE-----\nMIIB\n",
        ]
        let problems = load(yaml: Self.head + yaml, files: files).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(sentence), "\(problems)")
    }

    @Test(arguments: [
        (
            "routes:\n  - {match: \"sip:*@example.org\", to: [sip:127.0.0.1]}\n",
            "the '*' repeats the ':' before it; write .* for any text"
        ),
        (
            "routes:\n  - {match: \"sip:+49[:+]1.*\", to: [sip:127.0.0.1]}\n",
            "the '+' repeats the ':' before it; write \\+ for a plus"
        ),
        (
            "sets: [{name: gw, policy: weight, to: [\"sip:127.0.0.1;weight=5\"]}]\n"
                + "routes: [{match: \".*\", set: gw}]\n",
            "sets: set gw: in sip:127.0.0.1;weight=5 ;weight= is a parameter that is sent on"
        ),
        ("routes:\n  - {match: \"sip:.*\", to: [\"sip:$1@127.0.0.1\"]}\n", "a target has no variables"),
        ("access: {allow: [10.1.0.0/16], deny: [10.0.0.0/8]}\n", "access.allow: 10.1.0.0/16 is of no use: access.deny"),
        ("access: {allow: [\"2001:db8::/32\"]}\n", "access.allow: has no IPv4 address"),
        ("limits: {total-per-second: 5, source-per-second: 9}\n", "limits.source-per-second: is of no use"),
        ("storage: {db_url: \"sqlite:///x\", db_mode: 1, shared: true}\n", "storage.shared: is for a database that"),
        ("  alias: [example.org]\n", "sip.alias: is of no use without script.lua"),
        ("registrar: {max_expires: 3600}\n", "registrar.domains: is missing: without it, or a script, no phone"),
        ("registrar: {domains: [a.org, a.org]}\n", "registrar.domains: a.org is there twice"),
        ("registrar: {domains: [a.org], default_expires: 7201}\n", "registrar.default_expires: is not between"),
        (
            "routes:\n  - {match: \".*\", to: [\"sip:127.0.0.1 weight=3\", sip:127.0.0.2]}\n",
            "route 1: weight= has no effect with policy failover; write policy: weight, or hash"
        ),
        (
            "routes:\n  - {match: \".*\", policy: hash, to: [\"sip:127.0.0.1 q=0.3\", sip:127.0.0.2]}\n",
            "route 1: q= has no effect with policy hash; write policy: failover, or parallel"
        ),
        ("routes:\n  - {method: [ACK], to: [sip:127.0.0.1]}\n", "route 1: ACK goes where its INVITE went"),
        ("access: {trusted: [0.0.0.0/0]}\n", "access.trusted: 0.0.0.0/0 believes everybody"),
        ("  tls: {certificate-file: /k, key-file: /k}\n", "sip.tls.certificate-file: is of no use"),
        (
            "  advertise: [\"sip:127.0.5.10\", \"sip:127.0.5.10;transport=tcp\"]\n"
                + "  balancer: [127.0.5.10, 127.0.5.10]\n",
            "sip.balancer: 127.0.5.10:5060 is there twice"
        ),
        (
            "  advertise: [\"sip:127.0.5.10\", \"sip:127.0.5.10;transport=tcp\"]\n  balancer: [\"2001:db8::1\"]\n",
            "sip.balancer: [2001:db8::1]:5060 is of no use"
        ),
        (
            "cluster: {bus: \"10.0.0.1:7400\", peers: [\"127.0.0.1:7400\"], key-file: /k}\n",
            "cluster.peers: 127.0.0.1:7400 is this host itself"
        ),
        (
            "cluster: {bus: \"127.0.0.1:7400\", peers: [\"10.0.0.1:7400\"], key-file: /k}\n",
            "cluster.bus: 127.0.0.1:7400 is a loopback address, which 10.0.0.1:7400 cannot reach"
        ),
        ("management: {token-file: /t}\n", "management.token-file: is of no use without management.http"),
        (
            "management: {tls: {certificate-file: /k, key-file: /k}}\n",
            "management.tls.certificate-file: is of no use without management.http"
        ),
        (
            "management: {http: 127.0.0.1:8080, insecure: true, tls: {certificate-file: /k, key-file: /k}}\n",
            "management.insecure: is of no use with management.tls"
        ),
        (
            "management:\n  http: 127.0.0.1:8080\n  advertise: http://n1.example.org\n"
                + "  tls: {certificate-file: /k, key-file: /k}\n",
            "management.advertise: is http://, and management.tls"
        ),
        (
            "cluster: {bus: \"127.0.5.41:7400\", key-file: /k}\nmanagement: {http: 127.0.0.1:8080, token-file: /k}\n",
            "management.token-file: is cluster.key-file too"
        ),
    ])
    func `what is of no use is told`(yaml: String, sentence: String) {
        let loaded = load(yaml: Self.head + yaml, files: ["/k": "0123456789abcdef", "/t": "fedcba9876543210"])
        #expect(loaded.problems == [], "\(loaded.problems)")
        let said = loaded.warnings.map(\.description)
        #expect(said.count == 1 && said[0].contains(sentence), "\(said)")
    }

    @Test(arguments: [
        ("  t1-ms: 500\nsip.t1_ms: 600\n", "sip.t1-ms: is written twice; delete one of them (lines 4 and 5)"),
        ("  t1-ms: 500\n  t1_ms: 600\n", "sip.t1-ms: is written twice; delete one of them (lines 4 and 5)"),
        ("NODE: {name: x2}\n", "node.name: is written twice; delete one of them (lines 1 and 4)"),
    ])
    func `a key that is there twice in two spellings is refused`(yaml: String, sentence: String) {
        #expect(load(yaml: Self.head + yaml).problems.map(\.description) == [sentence])
    }

    @Test(arguments: [
        ("udp:127.0.5.41:5060", "write udp://127.0.5.41:5060"), ("udp:eth0:5060", "eth0 is a name, and names"),
        ("sctp://127.0.5.41:5060", "sctp is no transport here; there are udp, tcp, tls, ws, wss"),
        ("eth0:5060", "eth0 is a name, and names are not looked up here"),
        ("udp://sip.example.org:5060", "sip.example.org is a name, and names are not looked up here"),
        ("127.0.5.41:5060;transport=udp", "nothing may follow 127.0.5.41:5060"),
        ("127.0.5.41:5060 tcp://127.0.5.41:5060", "a list is written [127.0.5.41:5060, tcp://127.0.5.41:5060]"),
        ("127.0.5.41:5060 advertise 192.0.2.1:5060", "what is advertised is sip.advertise"),
    ])
    func `an address as another program takes it is told how it is written here`(text: String, sentence: String) {
        let said = load(yaml: "node: {name: x1}\nsip:\n  listen: [\"\(text)\"]\n").problems.map(\.description)
        #expect(said.count == 1 && said[0].contains(sentence) && said[0].hasSuffix("(line 3)"), "\(said)")
    }

    @Test(arguments: [
        ("modparam: x\n", "modparam: is a name of Kamailio's: nothing is loaded"),
        ("children: 8\n", "children: is a name of Kamailio's: one thread serves SIP"),
        ("log_stderror: no\n", "log_stderror: is a name of Kamailio's: the log is standard output"),
        ("dispatcher: {list_file: /x}\n", "dispatcher.list_file: is a name of Kamailio's: use sets"),
        ("dispatcher: {ds_ping_interval: 10}\n", "is a name of Kamailio's: use probe-interval-s of a set"),
        ("usrloc: {db_mode: 2}\n", "usrloc.db_mode: is a name of Kamailio's: contacts are the cluster's"),
        ("app_lua: {load: /x}\n", "app_lua.load: is a name of Kamailio's: use script.lua"),
        ("tm: {fr_timer: 3000}\n", "tm.fr_timer: is a name of Kamailio's: it follows from sip.t1-ms"),
        ("rtpengine: {rtpengine_sock: x}\n", "rtpengine.rtpengine_sock: is a name of Kamailio's: use rtpengine.sets"),
    ])
    func `a name of Kamailio's is told what stands in its place`(yaml: String, sentence: String) {
        let said = load(yaml: Self.head + yaml).problems.map(\.description)
        #expect(said.count == 1 && said[0].contains(sentence) && said[0].hasSuffix("(line 4)"), "\(said)")
    }

    @Test(arguments: [
        ("gw.example.org:5060", "; write sip:gw.example.org:5060"), ("<sip:127.0.0.1>", "; write it without < and >"),
        ("sip:127.0.0.1:99999", ": port 99999 is not 1 to 65535"), ("tel:+4930", ": a tel: URI names no place"),
        ("sip:127.0.0.1;transport=sctp", ": there is no sctp, only udp, tcp, tls, ws, wss"),
        ("sip:2001:db8::1", ": an IPv6 address stands in brackets, like sip:[2001:db8::1]"),
        ("1 sip:127.0.0.1:5060", ": only the URI stands here, sip:127.0.0.1:5060"),
    ])
    func `a target that is no SIP URI is told what is wrong with it`(text: String, sentence: String) {
        let yaml = "\(Self.head)sets: [{name: gw, to: [\"\(text)\"]}]\nroutes: [{match: \".*\", set: gw}]\n"
        let said = load(yaml: yaml).problems.map(\.description)
        // The route is not told that its set is none: the set is the mistake.
        #expect(said.count == 1 && said[0].contains("is not a SIP URI like sip:192.0.2.1:5080\(sentence)"), "\(said)")
    }

    @Test(arguments: [
        ("storage: {db_url: \"mysql://h/k\", db_mode: 1}\n", "storage.db_url: is not a URL like sqlite:///"),
        ("sip: {t1-ms: 5}\n", "is written twice"), ("cluster: {{ cluster }}\n", "a template was left unfilled here"),
        ("cluster: {name: {{ name }}}\n", "a template was left unfilled here: {{ name }} (line 4)"),
        ("cluster:\n  - name: a\n", "cluster: is a section; write its keys below it without the '- '"),
        ("  tls: {method: TLSv1.2}\n", "sip.tls.method: is not a known key; sip.tls has certificate-file, key-file, h"),
        ("routes: [{match: \"/sip:.*/\", to: [sip:127.0.0.1]}]\n", "a pattern stands here without slashes around"),
        (
            "routes: [{match: \".*\", dialog: {colour: red}, to: [sip:127.0.0.1]}]\n",
            "'dialog.colour' is not known; dialog has profiles"
        ),
    ])
    func `nothing is said that follows from another mistake`(yaml: String, sentence: String) {
        let said = load(yaml: Self.head + yaml).problems.map(\.description)
        #expect(said.count == 1 && said[0].contains(sentence), "\(said)")
    }

    @Test(arguments: ["node: {name: null}\n", "node: {name: ~}\n", "node:\n  name:\n"])
    func `what is nothing to YAML is nothing here`(yaml: String) {
        let said = load(yaml: "\(yaml)sip: {listen: [\"udp://127.0.5.41:5060\"]}\n").problems.map(\.description)
        #expect(said.count == 1 && said[0].hasPrefix("node.name: is required"), "\(said)")
    }

    @Test(arguments: [
        ("~/k", "~/k cannot be read: ; a ~ stands for no folder here"),
        ("$HOME/k", "$HOME/k cannot be read: ; a $ stands for no variable here"),
        ("k", "k cannot be read: ; without a / at its begin"),
        ("/none", "/none cannot be read:  (line 1)"),
    ])
    func `a path that a shell would have made another is told so`(path: String, sentence: String) {
        let yaml = "cluster: {bus: \"127.0.5.41:7400\", key-file: \(path)}\n\(Self.head)"
        let problems = read(Array(yaml.utf8)).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(sentence), "\(problems)")
    }

    @Test(arguments: [
        ("\n# none\n", "has no line like user:password; write one, or leave the key out"),
        ("bob:a\nalice:b\nbob:c\n", "has two lines for one user, 1 and 3; delete one"),
        ("bob a\n", "line 1 is not of the form user:password"),
    ])
    func `a file of phones that lets everybody in, or says two things, is refused`(file: String, sentence: String) {
        let yaml = "\(Self.head)registrar: {domains: [example.org], credentials-file: /p}\n"
        let problems = load(yaml: yaml, files: ["/p": file]).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(sentence), "\(problems)")
    }

    @Test func `what is said is one line that a terminal can show, and no page`() {
        let folded = load(yaml: "\(Self.head)  via: |\n    a\n    b\n").problems.map(\.description)
        #expect(folded == ["sip.via: 'a\\nb\\n' is not one of own, advertise (line 4)"])
        let escape = load(yaml: "\(Self.head)  via: \"\\e[31m\\u202e\"\n").problems.map(\.description)
        #expect(escape == ["sip.via: '\\u{1b}[31m\\u{202e}' is not one of own, advertise (line 4)"])
        let long = load(yaml: "\(Self.head)  via: \(String(repeating: "x", count: 5_000))\n").problems
        #expect(long.count == 1 && long[0].description.count < 700 && long[0].description.hasSuffix("(line 4)"))
        #expect(load(yaml: "\(Self.head)  via: >\n    own\n").problems == [])
    }
}

@Suite("Strange variables and options")
struct StrangeOverrideTests {
    @Test(arguments: [
        ("UNDERSTUDY_SIP_LISTEN", "\"udp://127.0.0.1:5060\"", "the quotation marks around"),
        ("UNDERSTUDY_SIP_LISTEN", "[udp://127.0.0.1:5060]", "a list is written without brackets here"),
        ("UNDERSTUDY_LOG_LEVEL", "debug", "did you mean UNDERSTUDY_NODE_LOG_LEVEL?"),
        ("UNDERSTUDY_SIP_T1-MS", "500", "did you mean UNDERSTUDY_SIP_T1_MS?"),
    ])
    func `what belongs to a file's YAML is told`(variable: String, text: String, sentence: String) {
        let problems = load(environment: [variable: text], leastOverrides).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(sentence), "\(problems)")
    }

    @Test func `an address in brackets is a list of one`() {
        let loaded = load(environment: ["UNDERSTUDY_SIP_BALANCER": "[2001:db8::1]"], leastOverrides)
        #expect(loaded.problems == [])
        #expect(load(environment: ["UNDERSTUDY_SIP_T1_MS": " 500\n"], leastOverrides).problems == [])
    }

    @Test(arguments: [
        (["sip.via='own'"], "sip.via: the quotation marks around 'own'"), ([""], "'' is not of the form KEY=VALUE"),
        (["=x"], "'=x' is not of the form KEY=VALUE"),
        (["sip.t1-ms: 5"], "sip.t1-ms: 5: is not of the form KEY=VALUE"),
        (["sip=x"], "sip: is a section, not a key"), (["UNDERSTUDY_SIP_T1_MS=500"], "did you mean sip.t1-ms?"),
    ])
    func `a --set that is none is told`(options: [String], sentence: String) {
        let problems = load(leastOverrides + options).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains(sentence), "\(problems)")
        #expect(load(leastOverrides + [" sip.t1-ms = 500 "]).problems == [])
    }

    @Test func `of two for one key the last one holds, with a warning`() {
        let loaded = load(leastOverrides + ["sip.t1-ms=500", "SIP.T1_MS=600"])
        #expect(loaded.problems == [] && loaded.settings.sip.t1 == .milliseconds(600))
        #expect(loaded.warnings.map(\.description) == ["sip.t1-ms: is set twice; the last one holds (--set)"])
    }
}

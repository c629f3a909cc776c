// Mistakes that a newcomer makes in a configuration, each with the one sentence that he is told: the key, what is
// wrong, the line. Beside a first trial's table stand mistakes of the same kinds that it did not have.

import Management
import Node
import SIP
import Testing

@Suite("Mistakes in a configuration file")
struct ConfigurationMistakeTests {
    /// What is said about a file, with what the file lacks besides.
    func said(_ yaml: String, environment: [String: String] = [:]) -> [String] {
        load(yaml: yaml, environment: environment).problems.map(\.description)
    }

    static let head = "node: {name: x1}\nsip:\n  listen: [udp://127.0.5.41:5060]\n"

    @Test(arguments: [
        (
            "management:\n  http: {address: 127.0.0.1, port: 8080}\n",
            "management.http: takes a value like 127.0.0.1:8080, not keys of its own (line 5)"
        ),
        ("cluster: {key: /k}\n", "cluster.key: is not a known key; did you mean cluster.key-file? (line 4)"),
        ("sip.tls.cert: /c\n", "sip.tls.cert: is not a known key; did you mean sip.tls.certificate-file? (line 4)"),
        ("sip.proxy_protocol: 1\n", "sip.proxy_protocol: is not a known key; sip has listen, advertise, balancer"),
        ("colour: blue\n", "colour: is not a known key; the sections are node, sip, dns, cluster"),
        (
            "cluster: {advertise: \"sip:127.0.5.10:5060\"}\n",
            "cluster.advertise: is not a known key; did you mean sip.advertise? (line 4)"
        ),
        ("clutser: {name: a}\n", "clutser.name: is not a known key; did you mean cluster.name? (line 4)"),
        ("ims_dialog: {default_timeout: -1}\n", "ims_dialog.default_timeout: must be 1 to 604800 seconds (line 4)"),
        (
            "ims_dialog: {default_timeout: 99999999999999999999}\n",
            "ims_dialog.default_timeout: must be 1 to 604800 seconds (line 4)"
        ),
        (
            "ims_dialog: {hash_size: 99999999999999999999}\n",
            "ims_dialog.hash_size: must be a power of two, 16 to 1048576 (line 4)"
        ),
        ("ims_dialog: {hash_size: -4096}\n", "ims_dialog.hash_size: must be a power of two, 16 to 1048576 (line 4)"),
        ("dialogs: {limit: 12x}\n", "dialogs.limit: '12x' is not a whole number, 100 to 10000000 (line 4)"),
        (
            "routes:\n  - {mach: \"sip:.*\", to: [sip:127.0.0.1]}\n",
            "routes: route 1: 'mach' is not known; did you mean match? (line 4)"
        ),
        (
            "routes:\n  - {match: \"sip:.*\", too: [sip:127.0.0.1]}\n",
            "routes: route 1: 'too' is not known; did you mean to? (line 4)"
        ),
        (
            "sets:\n  - {name: a, targets: [sip:127.0.0.1]}\n",
            "sets: set 1: 'targets' is not known; there are name, to, policy"
        ),
        (
            "routes: {match: \"sip:.*\", to: [sip:127.0.0.1]}\n",
            "routes: takes a list: begin each of its mappings with '- ' (line 4)"
        ),
        (
            "cluster: {heartbeat-ms: 500}\n",
            "cluster.heartbeat-ms: 500 needs a cluster.suspicion-ms of 1500 or more, three "
                + "heartbeats; it is 400 (line 4)"
        ),
        (
            "cluster: {heartbeat-ms: 500, suspicion-ms: 600}\n",
            "cluster.suspicion-ms: must be 1500 to 60000 milliseconds, three times "
                + "cluster.heartbeat-ms at least (line 4)"
        ),
        ("node.shards: 2\n", "node.shards: only 1 is available in this version"),
        ("replication:\n  commit: {one: 1}\n", "replication.commit: takes one value, not keys of its own (line 5)"),
        (
            "access:\n  allow:\n    - 10.0.0.0/8\n    - {deny: all}\n",
            "access.allow: mixes plain values and mappings (line 6)"
        ),
        (
            "routes:\n  - {match: \"sip:(a\", to: [sip:127.0.0.1]}\n",
            "routes: route 1: match 'sip:(a': '(' without ')' (line 4)"
        ),
        (
            "base: &b {t1-ms: 500}\nreplication:\n  <<: *b\n",
            "replication: merging with << is not read; write the keys out"
        ),
    ])
    func `a value that is wrong is told once, with its line`(yaml: String, sentence: String) {
        let said = said(Self.head + yaml)
        #expect(said.contains { $0.hasPrefix(sentence) }, "\(said)")
        // Nothing follows from it that the reader would have to see through.
        #expect(said.count == (yaml.hasPrefix("base:") ? 2 : 1), "\(said)")
    }

    @Test(arguments: [
        (
            "udp://2001:db8::1:5060",
            "an IPv6 address stands in brackets before its port, like udp://[2001:db8::1]:5060"
        ),
        ("2001:db8::1", "an IPv6 address stands in brackets before its port, like [2001:db8::1]:5060"),
        ("udp://127.0.0.1:70000", "port 70000 is not 1 to 65535"), ("127.0.0.1:0", "port 0 is not 1 to 65535"),
        ("udp://[::1]:99999", "port 99999 is not 1 to 65535"),
        ("udp://127.0.0.1", "has no port, like udp://192.0.2.1:5060"), ("[::1]", "has no port"),
        ("udp://:5060", "name one address of this host"), ("udp://*:5060", "name one address of this host"),
        ("udp://127.0.0.1:5060-5064", "each has one port"), ("udp://127.0.0.1:5060,5062", "'5062' is not"),
        ("udp://127.0.0.1/24:5060", "127.0.0.1 is one, and a block of them is none"),
        ("5060", "is not an address like udp://192.0.2.1:5060"), ("upd://127.0.0.1:5060", "is not an address like"),
        ("udp://300.1.2.3:5060", "is not an address like"), ("udp://host.example:5060", "is not an address like"),
    ])
    func `an address that is none is told what is wrong with it`(text: String, sentence: String) {
        let said = said("node: {name: x1}\nsip:\n  listen: [\"\(text)\"]\n")
        #expect(said.count == 1 && said[0].contains(sentence) && said[0].hasSuffix("(line 3)"), "\(said)")
    }

    @Test(arguments: [
        ("node: {name: x1}\nnode: {shards: 1}\n", "node: is written twice in one section", "lines 1 and 2"),
        (
            "sip:\n  t1-ms: 500\n  # t1-ms: 1\n  t2-ms: 600\n  t1-ms: 700\nnode:\n  name: a\n",
            "t1-ms: is written twice",
            "lines 2 and 5"
        ),
        ("node:\n\tname: x1\n", "a tab: YAML is indented with spaces only", "line 2"),
        (
            "node: {name: x1}\nsip:\n  listen: [udp://127.0.0.1:5060\n  t1-ms: 5\n",
            "the '[' that opens here is not closed", "line 3"
        ),
        ("node: {name: x1\nsip: {t1-ms: 5}\n", "the '{' that opens here is not closed", "line 1"),
        ("node: {name: \"x1}\n", "the quotation mark that opens here is not closed", "line 1"),
        ("node: {name: x1}\n---\nsip: {t1-ms: 5}\n", "a second document begins here; a file holds one", "line 2"),
        ("node:\n  name: x1\n shards: 1\n", "not YAML: this line is not indented like its neighbours", "line 3"),
        ("node: {name: *x}\n", "an alias names an anchor that is not there", "line 1"),
        ("node:\n  name: a: b\n", "a second ':' in this line", "line 2"),
        ("", "the file is empty: write at least node:", ""), ("# nothing\n\n", "the file is empty", ""),
        ("#!KAMAILIO\ndebug=2\n", "the file is a configuration of Kamailio's", ""),
        ("[node]\nname = \"x1\"\n", "the file is no YAML: a section is a word and a colon", ""),
        ("loadmodule \"tm.so\"\n", "the file is a configuration of Kamailio's", ""),
        ("- a\n- b\n", "the file has no sections like 'node:' and 'sip:'", ""),
        ("just a text\n", "the file has no sections like 'node:' and 'sip:'", ""),
        ("node: \u{0}\n", "the file is no text: byte 6 is 0", ""),
        ("\u{7f}ELF\u{1}\n", "the file is no text: byte 4 is 1", ""),
    ])
    func `a file that cannot be read is one problem, where it really is`(yaml: String, sentence: String, line: String) {
        let problems = load(yaml: yaml).problems
        #expect(problems.count == 1, "\(problems)")
        #expect(problems.first?.description.contains(sentence) == true, "\(problems)")
        #expect(problems.first?.origin == line, "\(problems)")
    }

    @Test func `a key that is almost right is told once, not also as missing`() {
        let almost = said("nodes: {name: x1}\nsip: {listen: [udp://127.0.5.41:5060]}\n")
        #expect(almost == ["nodes.name: is not a known key; did you mean node.name? (line 1)"])
        let list = said("nodes: [{name: x1}]\nsip: {listen: [udp://127.0.5.41:5060]}\n")
        #expect(list.first?.hasPrefix("nodes: is not a known key: a file is of one node") == true, "\(list)")
        let both = said("n1:\n  node: {name: n1}\nn2:\n  node: {name: n2}\n")
        #expect(both.map { $0.prefix(3) } == ["n1:", "n2:"], "and nothing of what they lack: \(both)")
    }

    @Test func `UTF-16 is told, a byte order mark is not`() {
        let marked = [0xEF, 0xBB, 0xBF] + Array(Self.head.utf8)
        func read(_ bytes: [UInt8]) -> SettingsLoader.Loaded {
            SettingsLoader(
                file: bytes, fileName: "a.yaml", environment: [:], overrides: [],
                readFile: { _ throws(SettingsLoader.Unreadable) in throw SettingsLoader.Unreadable(reason: "") }
            ).load()
        }
        #expect(read(marked).problems == [])
        #expect(read([0xFF, 0xFE, 0x6E, 0]).problems.map(\.description) == ["a.yaml is UTF-16; save it as UTF-8"])
    }

    @Test func `problems stand in the file's order, and T1 does not accuse T2`() {
        let yaml = "sip:\n  t1-ms: 77777\n  listen: [5060]\nnode: {name: a b}\nclutser: {name: a}\n"
        #expect(load(yaml: yaml).problems.map(\.key) == ["sip.t1-ms", "sip.listen", "node.name", "clutser.name"])
    }

    @Test(arguments: [
        "UNDERSTUDY_SERVICE_HOST", "UNDERSTUDY_SERVICE_PORT", "UNDERSTUDY_SERVICE_PORT_SIP", "UNDERSTUDY_PORT",
        "UNDERSTUDY_PORT_5060_UDP", "UNDERSTUDY_PORT_5060_UDP_ADDR", "UNDERSTUDY_PORT_8080_TCP_PROTO",
        "UNDERSTUDY_SIP_SERVICE_HOST", "UNDERSTUDY_SIP_PORT_5060_SCTP_PORT",
    ])
    func `a variable that a platform sets is left alone`(variable: String) {
        let loaded = load(environment: [variable: "tcp://10.0.0.1:5060"], leastOverrides)
        #expect(loaded.problems == [] && loaded.warnings == [])
    }

    @Test func `a variable that is nearly a setting is refused, one that is none is a warning`() {
        let loaded = load(environment: ["UNDERSTUDY_SIP_LISTN": "x"], leastOverrides)
        #expect(
            loaded.problems.map(\.description) == [
                "UNDERSTUDY_SIP_LISTN: is not a known variable; did you mean UNDERSTUDY_SIP_LISTEN? (environment)"
            ])
        let secret = load(environment: ["UNDERSTUDY_CLUSTER_KEY": "abc"], leastOverrides)
        #expect(secret.problems.first?.message.hasSuffix("did you mean UNDERSTUDY_CLUSTER_KEY_FILE?") == true)
        let other = load(environment: ["UNDERSTUDY_HOME": "/"], leastOverrides)
        #expect(other.problems == [])
        #expect(other.warnings.map(\.key) == ["UNDERSTUDY_HOME"])
    }
}

@Suite("What a configuration probably does not mean")
struct AdviceTests {
    func advice(_ yaml: String) -> [String] {
        let loaded = load(yaml: ConfigurationMistakeTests.head + yaml, files: ["/k": "0123456789abcdef"])
        #expect(loaded.problems == [], "\(loaded.problems)")
        return loaded.warnings.map(\.description)
    }

    @Test(arguments: [
        ("  balancer: [127.0.5.10]\n", "sip.balancer: without sip.advertise"),
        (
            "routes:\n  - {match: \"sip:.*\", to: [\"sip:127.0.5.41:5060\"]}\n",
            "routes: route 1: sip:127.0.5.41:5060 is this node's own address"
        ),
        (
            "routes:\n  - {match: \"sip:.*\", to: [\"sip:127.0.5.41\"]}\n",
            "routes: route 1: sip:127.0.5.41 is this node's own"
        ),
        (
            "  advertise: [\"sip:127.0.5.10:5060\"]\nroutes:\n  - {match: \"sip:.*\", to: [\"sip:127.0.5.10\"]}\n",
            "routes: route 1: sip:127.0.5.10 is in sip.advertise"
        ),
        (
            "routes:\n  - {match: \".*\", to: [sip:127.0.0.1]}\n  - {match: \"sip:a@.*\", to: [sip:127.0.0.2]}\n",
            "routes: route 2 can never match: route 1 takes all that it would"
        ),
        (
            "routes:\n  - {match: \"sip:a@b\", to: [sip:127.0.0.1]}\n  - {match: \"sip:a@b\", "
                + "method: [INVITE], to: [sip:127.0.0.2]}\n",
            "routes: route 2 can never match"
        ),
        (
            "routes:\n  - {match: \"bob@example.org\", to: [sip:127.0.0.1]}\n",
            "routes: route 1 can never match: a Request-URI begins with its scheme"
        ),
        (
            "routes:\n  - {method: [INVIT], to: [sip:127.0.0.1]}\n",
            "routes: route 1: no request has the method INVIT; did you mean INVITE?"
        ),
        ("access: {deny: [0.0.0.0/0]}\n", "access.deny: 0.0.0.0/0 is every IPv4 address: nobody could send anything"),
        (
            "routes:\n  - {match: \"sip:a@b\", to: [sip:127.0.0.1]}\nsets:\n  - {name: gw, to: [sip:127.0.0.2]}\n",
            "sets: no route goes to set gw"
        ),
    ])
    func `each is told with what to do, and its line`(yaml: String, sentence: String) {
        let said = advice(yaml)
        #expect(said.contains { $0.hasPrefix(sentence) }, "\(said)")
        #expect(said.count == 1 && said[0].hasSuffix(")"), "\(said)")
    }

    @Test(arguments: [
        "routes:\n  - {match: \"sip:a@.*\", to: [sip:127.0.0.1]}\n  - {match: \".*\", to: [sip:127.0.0.2]}\n",
        "routes:\n  - {match: \".*\", method: [REGISTER], to: [sip:127.0.0.1]}\n  - {match: \".*\", "
            + "to: [sip:127.0.0.2]}\n",
        "routes:\n  - {source: [10.0.0.1], to: [sip:127.0.0.1]}\n  - {method: [INVITE], to: [sip:127.0.0.2]}\n",
        "routes:\n  - {match: \"sip:bob@h\", to: [\"sip:alice@127.0.5.41:5060\"]}\n",
        "routes:\n  - {match: \"(sips?|tel):.*\", to: [sip:127.0.0.1]}\n",
        "  advertise: [\"sip:127.0.5.10:5060\"]\n  balancer: [127.0.5.10]\n",
        "management: {http: 127.0.0.1:8080}\ncluster: {bus: \"127.0.0.1:7400\"}\n",
        "cluster: {bus: \"10.0.0.1:7400\", key-file: /k}\nmanagement: {http: 127.0.0.1:8080}\n",
    ])
    func `what may well be meant is not warned of`(yaml: String) {
        #expect(advice(yaml) == [])
    }
}

@Suite("Anchors in patterns")
struct AnchorTests {
    @Test(arguments: [
        ("^sip:bob@example.org$", "sip:bob@example.org", true),
        ("^sip:bob@example.org", "sip:bob@example.org;x=y", true),
        ("sip:bob@example.org$", "sip:bob@example.org:5060", true), ("^sip:.*$", "sip:x@y", true),
        ("^sip:bob@example.org$", "sip:bobby@example.org", false),
        ("^sip:a@h$|^sip:b@h$", "sip:b@h", true), ("(^sip:a@h$)|(^sip:b@h$)", "sip:a@h", true),
        ("^(sip:a@h|sip:b@h)$", "sip:b@h", true), ("^((sip|sips):a@h$)", "sips:a@h", true),
        ("sip:a\\$@h", "sip:a$@h", true), ("sip:[$^]+@h$", "sip:$^@h", true), ("sip:a\\$", "sip:a$", true),
        ("^sip:a@h$|tel:.*", "tel:1", true),
    ])
    func `they may stand at the ends of the pattern and of each choice, and say nothing more`(
        pattern: String, uri: String, matches: Bool
    ) throws {
        #expect(try RoutePattern(pattern).matches(Array(uri.utf8)) == matches)
    }

    @Test(arguments: ["^", "$", "^$", "a^b", "a$b", "(a$)b", "a(^b)", "(a|b$)c", "^*"])
    func `anywhere else they are refused`(pattern: String) {
        #expect(throws: RoutePattern.PatternError.self) { try RoutePattern(pattern) }
    }
}

// `config init`: whatever is answered, the files that are written can be used as they are.

import Foundation
import Management
import Node
import SIP
import Testing

@Suite("A cluster from five answers")
struct ClusterPlanTests {
    static let templates: BalancerTemplates = {
        let root = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        func shipped(_ name: String) -> String {
            let file = root.appending(path: "Deploy/balancer/\(name)")
            return (try? Data(contentsOf: file)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        return BalancerTemplates(
            kamailio: shipped("kamailio.cfg"), nginx: shipped("nginx.conf"), haproxy: shipped("haproxy.cfg"))
    }()

    static func plan(
        _ balancer: ClusterPlan.Balancer, nodes: [String] = ["192.0.2.41", "192.0.2.42", "192.0.2.43"],
        front: String = "192.0.2.40", targets: [String] = ["sip:192.0.2.30"]
    ) -> ClusterPlan {
        var plan = ClusterPlan()
        plan.nodes = nodes
        plan.balancer = balancer
        plan.balancerAddress = balancer == .none ? "" : front
        plan.targets = targets
        return plan
    }

    static func files(_ plan: ClusterPlan) -> [PlannedFile] {
        plan.files(templates) { "0123456789abcdef0123456789abcdef" }
    }

    private func settings(_ file: PlannedFile, of files: [PlannedFile]) -> SettingsLoader.Loaded {
        SettingsLoader(
            file: Array(file.text.utf8), environment: [:], overrides: [],
            readFile: { path throws(SettingsLoader.Unreadable) in
                let name = String(path.split(separator: "/").last ?? "")
                guard path.hasPrefix("/etc/understudy/"), let found = files.first(where: { $0.name == name }) else {
                    throw SettingsLoader.Unreadable(reason: "no such file")
                }
                return Array(found.text.utf8)
            }
        ).load()
    }

    @Test(
        arguments: ClusterPlan.Balancer.allCases,
        [
            (["192.0.2.41", "192.0.2.42", "192.0.2.43"], "192.0.2.40", ["sip:192.0.2.30"]),
            (["127.0.3.11", "127.0.3.12"], "127.0.3.10", []),
            (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], "2001:db8::9", ["sip:[2001:db8::5]:5070"]),
            (["10.0.0.1", "10.0.0.2"], "10.0.0.3", ["sip:10.0.0.9 weight=2", "sip:gw.example.org;transport=tcp"]),
        ])
    func `every node's file is good, without a warning, and they belong together`(
        balancer: ClusterPlan.Balancer, answers: (nodes: [String], front: String, targets: [String])
    ) throws {
        let plan = Self.plan(balancer, nodes: answers.nodes, front: answers.front, targets: answers.targets)
        // A weight is not a URI's: the question is for where calls go.
        guard !answers.targets.contains(where: { $0.contains("weight") }) else {
            #expect(plan.problems().map(\.key) == ["--to"])
            return
        }
        #expect(plan.problems() == [])
        let files = Self.files(plan)
        let loaded = answers.nodes.indices.map { index in
            settings(files.first { $0.name == "n\(index + 1).yaml" }!, of: files)
        }
        for (index, one) in loaded.enumerated() {
            #expect(one.problems == [] && one.warnings == [], "\(one.problems) \(one.warnings)")
            #expect(one.settings.node.name == "n\(index + 1)")
            #expect(one.settings.cluster.peers.count == answers.nodes.count - 1)
            let others = loaded.filter { $0.settings.node.name != one.settings.node.name }
            for other in others {
                let bus = try #require(other.settings.cluster.bus)
                #expect(one.settings.cluster.peers.contains { $0.address == bus.address && $0.port == bus.port })
                #expect(one.settings.cluster.key == other.settings.cluster.key)
                #expect(one.settings.sip.advertise == other.settings.sip.advertise)
            }
            #expect(one.settings.routes.count == (answers.targets.isEmpty ? 0 : 1))
        }
    }

    @Test func `the balancer's files have its nodes, its address and nothing of the example's, nor TLS`() {
        let nodes = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"]
        func file(_ balancer: ClusterPlan.Balancer, _ name: String) -> String {
            Self.files(Self.plan(balancer, nodes: nodes, front: "10.1.0.9")).first { $0.name == name }?.text ?? ""
        }
        let nginx = file(.nginx, "nginx.conf")
        let haproxy = file(.haproxy, "haproxy.cfg")
        let kamailio = file(.kamailio, "kamailio.cfg")
        for (text, server) in [(nginx, "server "), (haproxy, "server n")] {
            let servers = text.split(separator: "\n").filter {
                $0.drop { $0 == " " }.hasPrefix(server) && !$0.hasSuffix("{")
            }
            #expect(servers.count == 4, "\(servers)")
            #expect(zip(servers, nodes).allSatisfy { $0.contains("\($1):5060") }, "\(servers)")
            let rules = text.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("#") }.joined()
            #expect(!rules.contains("192.0.2.") && !rules.contains("5061") && rules.contains("10.1.0.9:5060"))
            #expect(!rules.contains("_tls"))
        }
        #expect(nginx.count { $0 == "{" } == nginx.count { $0 == "}" })
        #expect(kamailio.contains("#!define BALANCER udp:10.1.0.9:5060"))
        #expect(kamailio.contains("\"/etc/understudy/dispatcher.list\""))
        #expect(
            file(.kamailio, "dispatcher.list")
                == "1 sip:10.1.0.1:5060\n1 sip:10.1.0.2:5060\n1 sip:10.1.0.3:5060\n1 sip:10.1.0.4:5060\n")
        #expect(Self.files(Self.plan(.none)).map(\.name) == ["n1.yaml", "n2.yaml", "n3.yaml", "cluster.key"])
    }

    @Test(arguments: ClusterPlan.Balancer.allCases)
    func `with TLS the nodes listen to it, the balancer knows of it, and a certificate is asked for`(
        balancer: ClusterPlan.Balancer
    ) throws {
        let nodes = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"]
        var plan = Self.plan(balancer, nodes: nodes, front: "10.1.0.9")
        plan.hasTLS = true
        #expect(plan.problems() == [])
        var files = Self.files(plan)
        // Nothing is wrong with a node's file but what its owner has to bring.
        let lacking = settings(files[0], of: files).problems
        #expect(lacking.map(\.key) == ["sip.tls.certificate-file", "sip.tls.key-file"])
        for name in ["tls.pem", "tls.key"] {
            var brought = files[0]
            (brought.name, brought.text) = (name, "-----BEGIN")
            files.append(brought)
        }
        let loaded = settings(files[0], of: files)
        #expect(loaded.problems == [] && loaded.warnings == [], "\(loaded.problems) \(loaded.warnings)")
        #expect(loaded.settings.sip.listen.contains { $0.transport == .tls && $0.port == 5_061 })
        let names = balancer == .none ? "IP:10.1.0.1,IP:10.1.0.2,IP:10.1.0.3,IP:10.1.0.4" : "IP:10.1.0.9"
        #expect(plan.trialCertificate.contains("subjectAltName=\(names) -keyout /etc/understudy/tls.key"))
        guard balancer != .none else { return }
        #expect(loaded.settings.sip.advertise.map(\.text).contains("sip:10.1.0.9:5061;transport=tls"))
        guard balancer != .kamailio else { return kamailioEndsTLS(files, nodes) }
        let text = try #require(files.first { $0.name == (balancer == .nginx ? "nginx.conf" : "haproxy.cfg") }?.text)
        for port in [5_060, 5_061] {
            for node in nodes {
                let servers = text.split(separator: "\n").filter { $0.contains("\(node):\(port)") }
                #expect(servers.count == 1 && servers[0].contains("server "), "\(servers)")
            }
            #expect(text.contains("10.1.0.9:\(port)"))
        }
    }

    private func kamailioEndsTLS(_ files: [PlannedFile], _ nodes: [String]) {
        let list = files.first { $0.name == "dispatcher.list" }?.text
        let wanted =
            nodes.map { "1 sip:\($0):5060\n" }
            + nodes.map {
                "2 sip:\($0):5061;transport=tls 0 0 socket=tls:10.1.0.9:5061\n"
            }
        #expect(list == wanted.joined())
        let text = files.first { $0.name == "kamailio.cfg" }?.text ?? ""
        #expect(text.hasPrefix("#!KAMAILIO\n#!define WITH_TLS\n"))
        #expect(text.contains("#!define BALANCER_TLS tls:10.1.0.9:5061\n"))
        #expect(text.contains("#!define PHONES 10.1.0.9:5062\n"))
        #expect(text.contains("#!define CERTIFICATE \"/etc/understudy/tls.pem\"\n"))
        #expect(text.contains("#!define KEY \"/etc/understudy/tls.key\"\n"))
        #expect(!text.contains("127.0.0.10"))
        let plain = Self.files(Self.plan(.kamailio)).first { $0.name == "kamailio.cfg" }?.text ?? ""
        #expect(plain.hasPrefix("#!KAMAILIO\n#") && !plain.contains("#!define WITH_TLS"))
    }

    @Test(arguments: ClusterPlan.Balancer.allCases)
    func `a witness has a file of its own, and every node knows its bus`(balancer: ClusterPlan.Balancer) throws {
        var plan = Self.plan(balancer, nodes: ["192.0.2.41", "192.0.2.42"])
        plan.witness = "192.0.2.44"
        #expect(plan.problems() == [])
        let files = Self.files(plan)
        let file = try #require(files.first { $0.name == "witness.yaml" })
        let witness = settings(file, of: files)
        #expect(witness.problems == [] && witness.warnings == [], "\(witness.problems) \(witness.warnings)")
        #expect(witness.settings.node.isWitness && witness.settings.cluster.peers.count == 2)
        for name in ["n1.yaml", "n2.yaml"] {
            let node = settings(try #require(files.first { $0.name == name }), of: files)
            #expect(node.problems == [] && node.settings.cluster.peers.contains { $0.text == "192.0.2.44:7400" })
            #expect(!node.settings.node.isWitness)
        }
        plan.witness = "192.0.2.42"
        #expect(plan.problems().map(\.key) == ["--witness"])
        plan.witness = "n9"
        #expect(plan.problems().map(\.key) == ["--witness"])
        plan.witness = "2001:db8::1"
        #expect(plan.problems().map(\.key) == ["--witness"])
    }

    @Test func `a witness has a bus and peers, and nothing that speaks SIP`() {
        let bus = ["cluster.bus=127.0.0.14:7400", "cluster.peers=127.0.0.11:7400,127.0.0.12:7400"]
        #expect(load(["node.name=w", "node.witness=true"] + bus).problems == [])
        func keys(_ more: [String]) -> [String] {
            load(["node.name=w", "node.witness=true"] + more).problems.map(\.key)
        }
        #expect(keys([]) == ["cluster.peers"])
        #expect(keys(bus + ["sip.listen=udp://127.0.0.14:5060"]) == ["sip.listen"])
        #expect(keys(bus + ["routes=sip:.* => sip:127.0.0.1:5080"]) == ["routes"])
        #expect(keys(["cluster.peers=192.0.2.1:7400", "cluster.bus=192.0.2.2:7400"]) == ["cluster.key-file"])
    }

    @Test func `secrets are marked, each its own, and no file holds another's`() {
        var count = 0
        let files = Self.plan(.haproxy).files(Self.templates) {
            count += 1
            return "secret-number-\(count)"
        }
        #expect(files.filter(\.isSecret).map(\.name) == ["cluster.key", "token"])
        #expect(files.filter(\.isSecret).map(\.text) == ["secret-number-1\n", "secret-number-2\n"])
        #expect(files.filter { !$0.isSecret }.allSatisfy { !$0.text.contains("secret-number") })
    }

    @Test(arguments: [
        ("--cluster-name", "'a b' is not a name"), ("--nodes", "'n1' is not an address like 192.0.2.11"),
        ("--nodes", "name 2 to 16 addresses"), ("--nodes", "an address is there twice"),
        ("--nodes", "IPv4 or IPv6, not both"), ("--balancer-address", "is a node's"),
        ("--balancer-address", "'' is not an address like 192.0.2.10; kamailio needs one"),
        ("--balancer-address", "must be of the family of --nodes"), ("--to", "'gateway' is not a SIP URI"),
    ])
    func `an answer that cannot be used is told by its option`(option: String, sentence: String) {
        let plans: [(inout ClusterPlan) -> Void] = [
            { $0.name = "a b" }, { $0.nodes[0] = "n1" }, { $0.nodes = ["192.0.2.1"] }, { $0.nodes[1] = $0.nodes[0] },
            { $0.nodes[1] = "2001:db8::1" }, { $0.balancerAddress = $0.nodes[2] }, { $0.balancerAddress = "" },
            { $0.balancerAddress = "2001:db8::9" }, { $0.targets = ["gateway"] },
        ]
        let told = plans.flatMap { change in
            var plan = Self.plan(.kamailio)
            change(&plan)
            return plan.problems()
        }
        #expect(told.contains { $0.key == option && $0.message.hasPrefix(sentence) }, "\(told)")
    }
}

// A cluster in five answers, and the files that follow from them: one configuration a node, the balancer's, the key.
// Pure: texts in, texts out; `understudy config init` asks and writes.
//
// The balancer's files are those of `Deploy/balancer` with other addresses, so that what is written there of rules and
// traps is at hand where they are used. What they have for TLS is left out, or switched off, unless it was asked for:
// nginx and HAProxy pass it through to the nodes, Kamailio ends it and speaks TLS to the nodes, too. The certificate
// whoever runs the cluster has to bring.

package import Node
import SIP

/// The answers.
package struct ClusterPlan: Equatable, Sendable {
    package enum Balancer: String, CaseIterable, Sendable { case kamailio, nginx, haproxy, none }

    package var name = "production"
    /// Addresses, without ports.
    package var nodes: [String] = []
    package var balancer = Balancer.kamailio
    package var balancerAddress = ""
    /// The address of a process that only votes, beside the nodes; empty: none.
    package var witness = ""
    /// SIP URIs that every call goes to; none: each goes by its own Request-URI.
    package var targets: [String] = []
    /// Phones come over TLS, too.
    package var hasTLS = false
    /// Where the files stand on the nodes, an absolute path.
    package var folder = "/etc/understudy"

    package static let nodeRange = 2...16

    package init() {}

    /// The key for the answer, and why it cannot be used.
    package func problems() -> [SettingProblem] {
        var list: [SettingProblem] = []
        func add(_ key: String, _ message: String) { list.append(SettingProblem(key: key, message: message)) }
        if let reason = NodeSettings.objection(toName: name) { add("--cluster-name", reason) }
        let addresses = nodes.map { Address(text: $0) }
        for (text, address) in zip(nodes, addresses) where address == nil {
            add("--nodes", "'\(text)' is not an address like 192.0.2.11")
        }
        if !Self.nodeRange.contains(nodes.count) {
            add("--nodes", "name \(Self.nodeRange.lowerBound) to \(Self.nodeRange.upperBound) addresses, one a node")
        }
        if !witness.isEmpty {
            let address = Address(text: witness)
            if address == nil { add("--witness", "'\(witness)' is not an address like 192.0.2.14") }
            if let address, addresses.contains(address) {
                add("--witness", "is a node's; a witness needs its own host")
            }
            if let address, let first = addresses.compactMap(\.self).first, first.isIPv6 != address.isIPv6 {
                add("--witness", "must be of the family of --nodes")
            }
        }
        if Set(nodes).count < nodes.count { add("--nodes", "an address is there twice: one node on each host") }
        let known = addresses.compactMap(\.self)
        if Set(known.map(\.isIPv6)).count > 1 { add("--nodes", "IPv4 or IPv6, not both") }
        if balancer != .none {
            if let address = Address(text: balancerAddress) {
                if known.contains(address) { add("--balancer-address", "is a node's; give the balancer its own") }
                if let first = known.first, first.isIPv6 != address.isIPv6 {
                    add("--balancer-address", "must be of the family of --nodes")
                }
            } else {
                let kind = balancer.rawValue
                add("--balancer-address", "'\(balancerAddress)' is not an address like 192.0.2.10; \(kind) needs one")
            }
        }
        for target in targets where ConfiguredURI(target) == nil {
            add("--to", "'\(target)' is not a SIP URI like sip:192.0.2.30")
        }
        return list
    }
}

package struct PlannedFile: Equatable, Sendable {
    package var name: String
    package var text: String
    /// Nobody but its owner may read it.
    package var isSecret = false
}

/// The files of `Deploy/balancer`.
package struct BalancerTemplates: Sendable {
    package var kamailio: String
    package var nginx: String
    package var haproxy: String

    package init(kamailio: String, nginx: String, haproxy: String) {
        self.kamailio = kamailio
        self.nginx = nginx
        self.haproxy = haproxy
    }
}

extension ClusterPlan {
    /// Every file to be written.
    /// - Parameter secret: Makes a new one each time.
    package func files(_ templates: BalancerTemplates, secret: () -> String) -> [PlannedFile] {
        var files = nodes.indices.map { PlannedFile(name: "\(Self.node($0)).yaml", text: configuration(of: $0)) }
        if !witness.isEmpty { files.append(PlannedFile(name: "witness.yaml", text: witnessConfiguration())) }
        files.append(PlannedFile(name: "cluster.key", text: secret() + "\n", isSecret: true))
        if isManagementOpen { files.append(PlannedFile(name: "token", text: secret() + "\n", isSecret: true)) }
        switch balancer {
        case .kamailio:
            files.append(PlannedFile(name: "kamailio.cfg", text: kamailio(templates.kamailio)))
            var list = nodes.map { "1 sip:\(Self.host($0)):5060\n" }.joined()
            if hasTLS {
                list += nodes.map { "2 sip:\(Self.host($0)):5061;transport=tls 0 0 socket=tls:\(front):5061\n" }
                    .joined()
            }
            files.append(PlannedFile(name: "dispatcher.list", text: list))
        case .nginx: files.append(PlannedFile(name: "nginx.conf", text: nginx(templates.nginx)))
        case .haproxy: files.append(PlannedFile(name: "haproxy.cfg", text: haproxy(templates.haproxy)))
        case .none: break
        }
        return files
    }

    static func node(_ index: Int) -> String { "n\(index + 1)" }

    private static func host(_ address: String) -> String {
        address.contains(":") && !address.hasPrefix("[") ? "[\(address)]" : address
    }

    private static func port(_ transport: String) -> Int { transport == "tls" ? 5_061 : 5_060 }

    private var front: String { Self.host(balancerAddress) }

    /// HAProxy asks `/readyz` of every node.
    private var isManagementOpen: Bool { balancer == .haproxy }

    /// Where the nodes look for what their owner has to bring.
    package var certificateFile: String { "\(folder)/tls.pem" }
    package var certificateKeyFile: String { "\(folder)/tls.key" }

    /// How a certificate is made that is good enough for a trial.
    package var trialCertificate: String {
        let names = (balancer == .none ? nodes : [balancerAddress]).map { "IP:\($0)" }.joined(separator: ",")
        return "openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=\(name) "
            + "-addext subjectAltName=\(names) -keyout \(certificateKeyFile) -out \(certificateFile)"
    }

    // MARK: A node

    private func configuration(of index: Int) -> String {
        let own = Self.host(nodes[index])
        let isByTCP = balancer == .nginx || balancer == .haproxy
        let transports = ["udp"] + (isByTCP ? ["tcp"] : []) + (hasTLS ? ["tls"] : [])
        let peers = buses(besides: nodes[index])
        var lines = [
            "# Node \(Self.node(index)) of \(nodes.count) of an Understudy cluster, made by understudy config init.",
            "# The example that comes with the program explains each key; understudy config check names every problem.",
            "",
            "node: {name: \(Self.node(index))}",
            "",
            "sip:",
            "  listen: [\(list(transports.map { "\($0)://\(own):\(Self.port($0))" }))]",
        ]
        if hasTLS {
            lines += [
                "  tls:   # bring them: PEM, the certificate with its chain; on every node the same",
                "    certificate-file: \(quoted(certificateFile))", "    key-file: \(quoted(certificateKeyFile))",
            ]
        }
        if balancer != .none {
            let names = transports.map { "sip:\(front):\(Self.port($0))" + ($0 == "udp" ? "" : ";transport=\($0)") }
            lines.append("  advertise: [\(list(names))]   # goes into Record-Route: the balancer's address")
            lines.append("  balancer: [\(list([front]))]   # whose packets come for others")
        }
        lines += cluster(own, peers)
        if targets.isEmpty {
            lines.append("routes: []   # each request goes by its Request-URI")
        } else {
            lines += ["routes:   # the first match wins", "  - {match: \"sips?:.*\", to: [\(list(targets))]}"]
        }
        lines += ["", "management:"] + management(own)
        return lines.joined(separator: "\n") + "\n"
    }

    /// The buses of all but one of them.
    private func buses(besides own: String) -> [String] {
        (nodes + (witness.isEmpty ? [] : [witness])).filter { $0 != own }.map { "tcp://\(Self.host($0)):7400" }
    }

    private func cluster(_ own: String, _ peers: [String]) -> [String] {
        [
            "", "cluster:", "  name: \(name)", "  bus: \(quoted("tcp://\(own):7400"))   # and the next port",
            "  peers: [\(list(peers))]", "  key-file: \(quoted("\(folder)/cluster.key"))   # the same on every node",
            "",
        ]
    }

    private func witnessConfiguration() -> String {
        let own = Self.host(witness)
        let lines =
            [
                "# The witness of an Understudy cluster of \(nodes.count) nodes, made by understudy config init.",
                "# It votes, and has neither SIP nor records. Give it a host of its own, and a network path of its own",
                "# to each node.",
                "",
                "node: {name: witness, witness: true}",
            ] + cluster(own, buses(besides: witness)) + ["management:", localManagement(own)]
        return lines.joined(separator: "\n") + "\n"
    }

    /// On loopback, where commands on the host need no token; the nodes ask each other over the bus.
    private func management(_ own: String) -> [String] {
        if isManagementOpen {
            return [
                "  http: \(quoted("\(own):8080"))   # HAProxy asks /readyz here",
                "  token-file: \(quoted("\(folder)/token"))   # for commands from elsewhere: --token-file",
                "  insecure: true   # its checks come without TLS: keep this network to yourself",
            ]
        }
        return [localManagement(own)]
    }

    private func localManagement(_ own: String) -> String {
        // Several nodes of one host share a loopback address, but not its ports.
        let isTrial = Address(text: own.filter { $0 != "[" && $0 != "]" })?.isLoopback == true
        return "  http: \(quoted(isTrial ? "\(own):8080" : "127.0.0.1:8080"))"
    }

    private func list(_ texts: [String]) -> String { texts.map(quoted).joined(separator: ", ") }

    private func quoted(_ text: String) -> String {
        "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }

    // MARK: Balancers

    private func kamailio(_ template: String) -> String {
        var text = replace("udp:127.0.0.10:5060", in: template, by: "udp:\(front):5060")
        text = replace("/etc/kamailio/dispatcher.list", in: text, by: "\(folder)/dispatcher.list")
        text = replace("tls:127.0.0.10:5061", in: text, by: "tls:\(front):5061")
        text = replace("127.0.0.10:5062", in: text, by: "\(front):5062")
        text = replace("\"/etc/kamailio/tls.pem\"", in: text, by: quoted(certificateFile))
        text = replace("\"/etc/kamailio/tls.key\"", in: text, by: quoted(certificateKeyFile))
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("# usage: kamailio") {
                lines.append("# usage: kamailio -f \(folder)/kamailio.cfg -m 256 -DD -E")
            } else if !line.hasPrefix("#        and, with phones that come by TLS"), !line.hasPrefix("#        -A '") {
                lines.append(line)
            }
            if hasTLS, line.hasPrefix("#!KAMAILIO") { lines.append("#!define WITH_TLS") }
        }
        return lines.joined(separator: "\n")
    }

    private func nginx(_ template: String) -> String {
        servers(fitting(template)) { "        server \(Self.host($0.address)):\($0.port) max_fails=1 fail_timeout=2s;" }
    }

    private func haproxy(_ template: String) -> String {
        servers(fitting(template)) { "    server \($0.name) \(Self.host($0.address)):\($0.port)" }
    }

    /// Without the blocks, one after another with an empty line between, that are for TLS alone, unless there is TLS.
    private func fitting(_ template: String) -> String {
        guard !hasTLS else { return template }
        var blocks: [[Substring]] = [[]]
        for line in template.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { blocks.append([]) } else { blocks[blocks.count - 1].append(line) }
        }
        let kept = blocks.filter { block in
            !block.contains { line in ["understudy_tls", "nodes_tls", "sip_tls"].contains { line.contains($0) } }
                // The last block of a section ends with the section's bracket, which stays.
                || block.isEmpty
        }
        return kept.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    /// The servers of the template are three; those of the cluster stand in their place.
    private func servers(
        _ template: String, _ line: ((name: String, address: String, port: Int)) -> String
    ) -> String {
        var lines: [String] = []
        var isWritten = false
        for text in template.split(separator: "\n", omittingEmptySubsequences: false) {
            let words = text.split(separator: " ")
            guard words.first == "server", words.count > 2, text.contains("192.0.2.1") else {
                isWritten = false
                lines.append(replace("192.0.2.10", in: String(text), by: front))
                continue
            }
            let port = text.contains(":5061") ? 5_061 : 5_060
            if !isWritten { lines += nodes.indices.map { line((Self.node($0), nodes[$0], port)) } }
            isWritten = true
        }
        return lines.joined(separator: "\n")
    }

    private func replace(_ old: String, in text: String, by new: String) -> String {
        var (result, rest) = ("", Substring(text))
        while let range = rest.firstRange(of: old) {
            result += rest[..<range.lowerBound] + new
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}

// `understudy config init`: a cluster from five answers. The answers come from options, or from whoever is at the
// terminal; the files are `ClusterPlan`'s.

import ArgumentParser
import Foundation
import Glibc
import Management
import Node

struct InitConfiguration: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Write the configuration of a new cluster, its balancer's and its key.",
        discussion: """
            Asks for what no option gives: the cluster's name, its nodes' addresses, which balancer stands in front \
            and where, where calls go, and whether phones come over TLS, too. Writes \
            n1.yaml, n2.yaml and so on, with --witness that one's, the balancer's configuration, and cluster.key with \
            mode 600, into one folder. \
            Nothing that exists is written over.

            Exit codes: 0 written; 2 an answer cannot be used, or a file could not be written.
            """)

    @Option(help: ArgumentHelp("What the cluster is called.", valueName: "NAME")) var clusterName: String?
    @Option(help: ArgumentHelp("The nodes' addresses, separated by commas.", valueName: "ADDRESS,…")) var nodes: String?
    @Option(
        help: ArgumentHelp("kamailio, nginx, haproxy or none.", valueName: "KIND"),
        completion: .list(ClusterPlan.Balancer.allCases.map(\.rawValue)))
    var balancer: String?
    @Option(help: ArgumentHelp("The balancer's address.", valueName: "ADDRESS")) var balancerAddress: String?
    @Option(
        help: ArgumentHelp(
            "Where calls go: SIP URIs, separated by commas; none: each by its Request-URI.", valueName: "URI,…"))
    var to: String?
    @Option(
        help: ArgumentHelp(
            "A host for a process that only votes: the third voice where there are two nodes.", valueName: "ADDRESS"))
    var witness: String?
    @Flag(
        inversion: .prefixedNo,
        help: "Phones come over TLS, too, on port 5061. The certificate is yours to bring."
    )
    var tls: Bool?
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The folder to write into; made if it is not there.", valueName: "FOLDER"),
        completion: .directory)
    var output = "understudy-cluster"
    @Option(
        help: ArgumentHelp(
            "Where the files will be on the nodes, when that is not the folder they are written into.",
            valueName: "FOLDER"))
    var installedIn: String?

    func run() async throws {
        var plan = ClusterPlan()
        let folder = URL(filePath: output).standardizedFileURL.path
        plan.folder = installedIn ?? folder
        try answer(&plan)
        let templates = BalancerTemplates(
            kamailio: ShippedBalancer.kamailio, nginx: ShippedBalancer.nginx, haproxy: ShippedBalancer.haproxy)
        let files = plan.files(templates, secret: NewKey.digits)
        try write(files, to: folder)
        for file in files { Console.print("\(folder)/\(file.name)\(file.isSecret ? ", mode 600" : "")") }
        for line in Self.steps(plan, folder) { Console.print(line) }
    }

    // MARK: Answers

    private func answer(_ plan: inout ClusterPlan) throws {
        try ask("What is the cluster called?", clusterName, "--cluster-name", standard: plan.name, &plan) {
            $0.name = $1
        }
        try ask(
            "The addresses of its nodes, separated by commas, like 192.0.2.11,192.0.2.12,192.0.2.13?", nodes, "--nodes",
            &plan
        ) {
            $0.nodes = Self.list($1)
        }
        if witness != nil { try ask("", witness, "--witness", &plan) { $0.witness = $1 } }
        let kinds = ClusterPlan.Balancer.allCases.map(\.rawValue)
        try ask(
            "Which balancer stands in front: \(kinds.joined(separator: ", "))?", balancer, "--balancer",
            standard: plan.balancer.rawValue, allowed: kinds, &plan
        ) { $0.balancer = ClusterPlan.Balancer(rawValue: $1) ?? .none }
        if plan.balancer != .none {
            try ask("The balancer's address?", balancerAddress, "--balancer-address", &plan) { $0.balancerAddress = $1 }
        }
        try ask(
            "Where do calls go, like sip:192.0.2.30; nothing: each by its Request-URI?", to, "--to", standard: "", &plan
        ) { $0.targets = $1 == "none" ? [] : Self.list($1) }
        try ask(
            "Do phones come over TLS, too: yes or no?", tls.map { $0 ? "yes" : "no" }, "--tls", standard: "no",
            allowed: ["yes", "no"], isLast: true, &plan
        ) { $0.hasTLS = $1 == "yes" }
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// Takes the option's value, or asks until the answer can be used.
    private func ask(
        _ question: String, _ given: String?, _ option: String, standard: String? = nil, allowed: [String]? = nil,
        isLast: Bool = false, _ plan: inout ClusterPlan, _ take: (inout ClusterPlan, String) -> Void
    ) throws {
        var given = given
        while true {
            let text = try given ?? Self.read(question, option, standard, isLast: isLast)
            var tried = plan
            take(&tried, text)
            var problems = tried.problems().filter { $0.key == option }
            if let allowed, !allowed.contains(text) {
                let near = NearMiss.of(text, among: allowed).map { "; did you mean \($0)?" } ?? ""
                let message = "'\(text)' is not one of \(allowed.joined(separator: ", "))\(near)"
                problems = [SettingProblem(key: option, message: message)]
            }
            plan = tried
            if problems.isEmpty { return }
            for problem in problems { Console.complain(problem.description) }
            // At a terminal there is another try; an option, or a file of answers, has had it.
            guard given == nil, isatty(STDIN_FILENO) == 1 else { throw Console.failed }
            given = nil
        }
    }

    /// - Parameter isLast: Answers that end before it have given its usual one.
    private static func read(
        _ question: String, _ option: String, _ standard: String?, isLast: Bool
    ) throws -> String {
        let hint = standard.map { $0.isEmpty ? " [none] " : " [\($0)] " } ?? " "
        Console.ask(question + hint)
        guard let line = readLine() else {
            Console.ask("\n")
            if isLast, let standard { return standard }
            Console.complain("\(option) is missing: \(question)")
            throw Console.failed
        }
        let text = line.trimmingCharacters(in: .whitespaces)
        return text.isEmpty ? standard ?? "" : text
    }

    // MARK: Files

    private func write(_ files: [PlannedFile], to folder: String) throws {
        let manager = FileManager.default
        do {
            try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            let reason = manager.fileExists(atPath: folder) ? "a file has that name" : Console.reason(error)
            Console.complain("the folder \(folder) cannot be made: \(reason)")
            throw Console.failed
        }
        let there = files.map(\.name).filter { manager.fileExists(atPath: "\(folder)/\($0)") }
        guard there.isEmpty else {
            Console.complain(
                "\(folder) has \(there.joined(separator: ", ")) already, and nothing is written over: name another "
                    + "folder with --output, or delete what is there")
            throw Console.failed
        }
        for file in files {
            try NewFile.write(file.text, to: "\(folder)/\(file.name)", mode: file.isSecret ? 0o600 : 0o644)
        }
    }

    private static func steps(_ plan: ClusterPlan, _ folder: String) -> [String] {
        let check = "understudy config check --elsewhere \(folder)/n1.yaml"
        let secrets = plan.balancer == .haproxy ? "cluster.key and token" : "cluster.key"
        var lines = [
            "",
            "Next: copy \(secrets) to \(plan.folder) of every node, and of n1.yaml, n2.yaml, … each node its own;",
            "then on each: understudy serve --config \(plan.folder)/n1.yaml (its own), and anywhere: understudy check",
            "To look at a file before: \(check)",
        ]
        if plan.hasTLS {
            lines += [
                "TLS: bring \(plan.certificateFile) and \(plan.certificateKeyFile) (mode 600), PEM, to every node"
                    + (plan.balancer == .kamailio ? " and to the balancer;" : ";"),
                "for a trial make them so:",
                "  \(plan.trialCertificate)",
            ]
        }
        if !plan.witness.isEmpty {
            lines.append("The witness, on \(plan.witness): cluster.key and witness.yaml, started like a node.")
        } else if plan.nodes.count == 2 {
            lines.append("Two nodes: --witness ADDRESS adds a third voice, so that a partition ends no call early.")
        }
        switch plan.balancer {
        case .kamailio: lines.append("The balancer: kamailio -f \(plan.folder)/kamailio.cfg -m 256 -DD -E")
        case .nginx: lines.append("The balancer: nginx -c \(plan.folder)/nginx.conf")
        case .haproxy:
            lines.append("The balancer, of TCP\(plan.hasTLS ? " and TLS" : ""): haproxy -f \(plan.folder)/haproxy.cfg")
        case .none: break
        }
        return lines
    }
}

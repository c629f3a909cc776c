// Names of keys that other programs have and nobody needs to have here: why there is none, and what does the same.

enum WishedNames {
    /// - Parameter key: Folded, as `SettingKey.fold` does.
    static func sentence(for key: String) -> String? {
        let parts = key.split(separator: ".").map(String.init)
        guard let first = parts.first, let last = parts.last else { return nil }
        if key == "nodes" { return "is not a known key: \(oneNode)" }
        if parts.count == 1 || !SettingKey.isSection(first), let reason = sections[first] {
            return "is not a known key: \(reason)"
        }
        return leaves[last].map { "is not a known key: \($0)" }
    }

    private static let oneNode = "a file is of one node; give each its own, with node.name and its sip.listen"
    private static let (oneFile, log) = (KamailioNames.oneFile, KamailioNames.log)
    private static let (threads, variables) = (
        KamailioNames.processes, "variables are the environment's, like UNDERSTUDY_NODE_NAME"
    )
    private static let advertise = "use sip.advertise, like sip:192.0.2.1:5060"

    private static let sections: [String: String] = [
        "include": oneFile, "includes": oneFile, "import": oneFile, "imports": oneFile, "extends": oneFile,
        "hosts": oneNode, "servers": oneNode, "members": oneNode,
        "log": log, "logs": log, "logging": log, "syslog": log,
        "env": variables, "vars": variables, "variables": variables,
    ]

    private static let leaves: [String: String] = [
        "log-file": log, "logfile": log, "log-path": log, "log-format": log, "syslog": log,
        "workers": threads, "threads": threads,
        "interface": "an address stands in sip.listen, not the name of an interface",
        "external-ip": advertise, "public-ip": advertise,
    ]
}

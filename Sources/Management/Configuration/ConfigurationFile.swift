// Reads a YAML configuration into keys, values and lines. Sections nest: `sip: {t1-ms: 500}` and `sip.t1-ms: 500` are
// the same key. A value is a scalar, a list of scalars, or, for `routes`, a list of mappings. An empty value is as if
// the key were not there. What the keys mean is not known here.

import Yams
package import Node

/// One value of a configuration and where it was written.
package struct ConfigurationEntry: Equatable, Sendable {
    package var key: String
    package var value: SettingValue
    package var origin: String
}

package struct ConfigurationFile: Sendable {
    package private(set) var entries: [ConfigurationEntry] = []
    package private(set) var problems: [SettingProblem] = []

    /// Sections deeper than this are refused: no key is.
    static let depthLimit = 4

    package init(yaml: String) {
        do {
            guard let root = try Yams.compose(yaml: yaml) else { return }
            guard case .mapping(let mapping) = root else {
                problems.append(SettingProblem(key: "", message: "the file is not a mapping of sections"))
                return
            }
            read(mapping, prefix: "", depth: 0)
        } catch let error as YamlError {
            problems.append(Self.problem(of: error))
        } catch {
            problems.append(SettingProblem(key: "", message: "the file is not YAML"))
        }
    }

    private mutating func read(_ mapping: Yams.Node.Mapping, prefix: String, depth: Int) {
        for (name, node) in mapping {
            guard let word = name.scalar?.string else {
                add(problem: "a key must be a word", at: name, key: prefix)
                continue
            }
            let key = prefix.isEmpty ? word : "\(prefix).\(word)"
            switch node {
            case .scalar(let scalar):
                if !scalar.string.isEmpty || scalar.style != .plain { add(key, .list([scalar.string]), at: name) }
            case .sequence(let sequence): readList(Array(sequence), key: key, at: name)
            case .mapping(let inner):
                if depth < Self.depthLimit {
                    read(inner, prefix: key, depth: depth + 1)
                } else {
                    add(problem: "is nested too deeply", at: name, key: key)
                }
            case .alias: add(problem: "aliases are not read", at: name, key: key)
            }
        }
    }

    private mutating func readList(_ nodes: [Yams.Node], key: String, at name: Yams.Node) {
        let scalars = nodes.compactMap { $0.scalar?.string }
        if scalars.count == nodes.count { return add(key, .list(scalars), at: name) }
        var rows: [[String: [String]]] = []
        for node in nodes {
            guard case .mapping(let mapping) = node else {
                return add(problem: "mixes plain values and mappings", at: node, key: key)
            }
            var row: [String: [String]] = [:]
            for (field, value) in mapping {
                let texts =
                    value.sequence.map { $0.compactMap { $0.scalar?.string } } ?? value.scalar.map { [$0.string] }
                guard let word = field.scalar?.string, let texts else {
                    return add(problem: "has a field that is neither a value nor a list", at: field, key: key)
                }
                row[word] = texts
            }
            rows.append(row)
        }
        add(key, .table(rows), at: name)
    }

    private mutating func add(_ key: String, _ value: SettingValue, at node: Yams.Node) {
        entries.append(ConfigurationEntry(key: key, value: value, origin: Self.line(of: node)))
    }

    private mutating func add(problem: String, at node: Yams.Node, key: String) {
        problems.append(SettingProblem(key: key, message: problem, origin: Self.line(of: node)))
    }

    private static func line(of node: Yams.Node) -> String { node.mark.map { "line \($0.line)" } ?? "" }

    private static func problem(of error: YamlError) -> SettingProblem {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            SettingProblem(key: "", message: "not YAML: \(problem)", origin: "line \(mark.line)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            SettingProblem(
                key: "\(duplicates.first ?? "")", message: "is written twice in one section",
                origin: "line \(context.mark.line)")
        default: SettingProblem(key: "", message: "the file is not YAML")
        }
    }
}

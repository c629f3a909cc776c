// Reads a YAML configuration into keys, values and lines. Sections nest: `sip: {t1-ms: 500}` and `sip.t1-ms: 500` are
// the same key. A value is a scalar, a list of scalars, or, for `routes`, a list of mappings. An empty value is as if
// the key were not there. What the keys mean is not known here.
//
// A file that is no configuration at all is told as one thing, with what it seems to be (`ConfigurationText`), and
// nothing is said of keys that it lacks.

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
    /// Nothing can be said of what is not in it.
    package private(set) var isUnreadable = false

    /// Sections deeper than this are refused: no key is.
    static let depthLimit = 4

    /// - Parameter name: For what is said of the whole file.
    package init(yaml bytes: [UInt8], name: String) {
        do throws(ConfigurationText.Refusal) {
            read(try ConfigurationText(bytes, name: name), name)
        } catch {
            refuse(error.problem)
        }
    }

    private mutating func read(_ text: ConfigurationText, _ name: String) {
        do {
            switch try Yams.compose(yaml: text.yaml) {
            case nil: refuse(SettingProblem(key: "", message: "\(name) is empty: \(ConfigurationText.least)"))
            case .mapping(let mapping):
                read(mapping, prefix: "", depth: 0)
                refuseTwins()
            default: refuse(SettingProblem(key: "", message: "\(name) \(ConfigurationText.noSections)"))
            }
        } catch let error as YamlError {
            refuse(text.problem(of: error))
        } catch {
            refuse(SettingProblem(key: "", message: "\(name) is not YAML"))
        }
    }

    /// To YAML `t1-ms` and `t1_ms` are two keys, and so are `sip.t1-ms` and the one in its section.
    private mutating func refuseTwins() {
        var origins: [String: String] = [:]
        for entry in entries {
            guard let key = SettingKey.named(entry.key)?.name else { continue }
            guard let first = origins.updateValue(entry.origin, forKey: key) else { continue }
            let numbers = [first, entry.origin].map { $0.drop { !$0.isNumber } }.joined(separator: " and ")
            let message = "is written twice; delete one of them"
            problems.append(SettingProblem(key: key, message: message, origin: "lines \(numbers)"))
        }
    }

    private mutating func refuse(_ problem: SettingProblem) {
        problems = [problem]
        isUnreadable = true
    }

    private mutating func read(_ mapping: Yams.Node.Mapping, prefix: String, depth: Int) {
        for (name, node) in mapping {
            guard let word = name.scalar?.string else {
                add(problem: "a key must be a word", at: name, key: prefix)
                continue
            }
            let key = prefix.isEmpty ? word : "\(prefix).\(word)"
            guard word != "<<" else {
                add(problem: "merging with << is not read; write the keys out", at: name, key: prefix)
                continue
            }
            switch node {
            case .scalar(let scalar): readScalar(scalar, word: word, key: key, at: name)
            case .sequence(let sequence): readList(Array(sequence), key: key, at: name)
            case .mapping(let inner):
                if depth == 0, let known = Self.sectionsBelow(inner, key) {
                    let message = "is not a known key: a file is of one node, and \(known) stands at the left edge"
                    add(problem: message, at: name, key: key)
                    isUnreadable = true
                } else {
                    readSection(inner, key: key, at: name, depth: depth)
                }
            case .alias: add(problem: "aliases are not read", at: name, key: key)
            }
        }
    }

    /// A key without a value is as if it were not there, if it is one.
    private mutating func readScalar(_ scalar: Yams.Node.Scalar, word: String, key: String, at name: Yams.Node) {
        let text = SettingKey.isSection(key) ? scalar.string : ""
        if SettingKey.named(key) == nil, let begun = Self.unspaced(word) ?? Self.unspaced(text) {
            // What the word begins is not missing.
            let said = begun == word.prefix(begun.count) ? String(key.dropLast(word.count)) + begun : key
            return add(problem: "a space is missing behind '\(begun):'", at: name, key: said)
        }
        if Self.isNothing(scalar), SettingKey.named(key) != nil || SettingKey.isSection(key) { return }
        add(key, .list([scalar.string]), at: name)
    }

    /// YAML's own words for no value, too.
    private static func isNothing(_ scalar: Yams.Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// `name` for `name:x1`, which is one word to YAML.
    private static func unspaced(_ text: String) -> String? {
        guard let colon = text.firstIndex(of: ":"), !text.contains("://"), text[colon...].count > 1 else { return nil }
        let begun = text[..<colon]
        let isWord = begun.allSatisfy { $0.isLetter || $0.isNumber || "-_.".contains($0) }
        return begun.first?.isLetter == true && isWord ? String(begun) : nil
    }

    /// Of a word that is no section, the first of ours below it: `understudy: {node: …, sip: …}`.
    private static func sectionsBelow(_ inner: Yams.Node.Mapping, _ key: String) -> String? {
        guard !SettingKey.isSection(key) else { return nil }
        return inner.keys.lazy.compactMap { $0.scalar?.string }.first { word in
            SettingKey.isSection(word) && inner[Yams.Node(word)]?.mapping != nil
        }
    }

    /// A mapping under a key that takes a value is told once, not once for each of its own keys.
    private mutating func readSection(_ inner: Yams.Node.Mapping, key: String, at name: Yams.Node, depth: Int) {
        if let known = SettingKey.named(key) {
            return add(problem: known.objectionToSection, at: name, key: known.name)
        }
        guard depth < Self.depthLimit else { return add(problem: "is nested too deeply", at: name, key: key) }
        read(inner, prefix: key, depth: depth + 1)
    }

    private mutating func readList(_ nodes: [Yams.Node], key: String, at name: Yams.Node) {
        let scalars = nodes.compactMap { $0.scalar?.string }
        for node in nodes where node.scalar.map(Self.isNothing) ?? false {
            return add(problem: "has an entry without a value; write one behind the '-'", at: node, key: key)
        }
        if scalars.count == nodes.count { return add(key, .list(scalars), at: name) }
        if SettingKey.named(key) == nil, SettingKey.isSection(key) {
            return add(problem: "is a section; write its keys below it without the '- '", at: name, key: key)
        }
        var rows: [[String: [String]]] = []
        for node in nodes {
            if node.sequence != nil { return add(problem: "has a list within its list", at: node, key: key) }
            guard case .mapping(let mapping) = node else {
                return add(problem: "mixes plain values and mappings", at: node, key: key)
            }
            var row: [String: [String]] = [:]
            for (field, value) in Self.flattened(mapping) {
                let values = value.sequence.map { Array($0) } ?? [value]
                let texts = values.compactMap { $0.scalar?.string }
                guard let word = field.scalar?.string, texts.count == values.count else {
                    let what = field.scalar.map { ", \($0.string)," } ?? ""
                    let isTarget = field.scalar?.string == "to"
                    let hint = isTarget ? "; a target is one value, like 'sip:192.0.2.1 weight=5'" : ""
                    let problem = "has a field\(what) that is neither a value nor a list of values\(hint)"
                    return add(problem: problem, at: field, key: key)
                }
                row[word] = texts
            }
            rows.append(row)
        }
        add(key, .table(rows), at: name)
    }

    /// A mapping within a row as fields of the row, `dialog.timeout`; deeper ones than `rowDepth` stay as they are.
    private static func flattened(_ mapping: Yams.Node.Mapping, depth: Int = 0) -> [(Yams.Node, Yams.Node)] {
        mapping.flatMap { field, value -> [(Yams.Node, Yams.Node)] in
            guard depth < rowDepth, let word = field.scalar, let inner = value.mapping else { return [(field, value)] }
            return flattened(inner, depth: depth + 1).map { name, value in
                guard let below = name.scalar else { return (name, value) }
                let path = Yams.Node.Scalar("\(word.string).\(below.string)", below.tag, below.style, below.mark)
                return (.scalar(path), value)
            }
        }
    }

    private static let rowDepth = 2

    private mutating func add(_ key: String, _ value: SettingValue, at node: Yams.Node) {
        entries.append(ConfigurationEntry(key: key, value: value, origin: Self.line(of: node)))
    }

    private mutating func add(problem: String, at node: Yams.Node, key: String) {
        problems.append(SettingProblem(key: key, message: problem, origin: Self.line(of: node)))
    }

    private static func line(of node: Yams.Node) -> String { node.mark.map { "line \($0.line)" } ?? "" }
}

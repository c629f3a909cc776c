// Looks at a command line before the parser does, because the parser tells some mistakes by their second consequence:
// `statsu --node URL` is an unknown option to it, a number below zero a missing value, an option that is given twice
// nothing at all. What is right, or what the parser tells well itself, passes as it was typed.

import Node

package struct CommandReader: Sendable {
    package enum Reading: Equatable, Sendable {
        /// For the parser.
        case arguments([String])
        /// One sentence; exit code 64.
        case mistake(String)
    }

    private let tree: CommandTree

    package init(_ tree: CommandTree) { self.tree = tree }

    package func read(_ words: [String]) -> Reading {
        guard let first = words.first else { return .arguments(words) }
        if ["-v", "-V", "version"].contains(first) { return .arguments(["--version"]) }
        // The parser's own, for completion scripts.
        if first.hasPrefix("---") || first.hasPrefix("--generate-completion") || first.hasPrefix("--experimental") {
            return .arguments(words)
        }
        var (command, path, at) = (tree, [tree.name], 0)
        if first == "help" { return readHelp(words) }
        while !command.commands.isEmpty, at < words.count {
            let word = words[at]
            if ["-h", "--help", "--version"].contains(word) { return .arguments(words) }
            guard let next = command.command(word) else { return .mistake(unknown(word, after: path, in: command)) }
            command = next
            path.append(word)
            at += 1
        }
        return readLeaf(command, path, Array(words[..<at]), Array(words[at...]))
    }

    private func readHelp(_ words: [String]) -> Reading {
        var (command, path) = (tree, [tree.name])
        for word in words.dropFirst() where !word.hasPrefix("-") {
            guard !command.commands.isEmpty else { break }
            guard let next = command.command(word) else { return .mistake(unknown(word, after: path, in: command)) }
            command = next
            path.append(word)
        }
        return .arguments(words)
    }

    private func unknown(_ word: String, after path: [String], in command: CommandTree) -> String {
        let names = command.commands.map(\.name)
        let list = names.joined(separator: ", ")
        let start = path.joined(separator: " ")
        guard !word.hasPrefix("-") else {
            return "'\(start)' wants a command before \(word), one of \(list): \(start) \(names.first ?? "") \(word) …"
        }
        if let near = NearMiss.of(word, among: names) {
            return "'\(word)' is not a command of '\(start)'; did you mean '\(start) \(near)'?"
        }
        // The word may be right one floor below or above.
        if let group = command.commands.first(where: { $0.command(word) != nil }) {
            return "'\(word)' is not a command of '\(start)'; did you mean '\(start) \(group.name) \(word)'?"
        }
        if path.count > 1, tree.command(word) != nil {
            return "'\(word)' is not a command of '\(start)'; did you mean '\(tree.name) \(word)'?"
        }
        return "'\(word)' is not a command of '\(start)'; there are \(list)"
    }

    // MARK: Options and values

    /// What was typed after the command, sorted into options and the rest.
    private struct Leaf {
        var options: [String] = []
        var positionals: [String] = []
        var hasNegative = false
    }

    private func readLeaf(
        _ command: CommandTree, _ path: [String], _ head: [String], _ words: [String]
    ) -> Reading {
        let name = path.joined(separator: " ")
        var leaf = Leaf()
        var seen: Set<String> = []
        var at = 0
        while at < words.count {
            let word = words[at]
            at += 1
            if word == "--" {
                leaf.positionals += words[at...]
                leaf.hasNegative = true
                break
            }
            if Self.isNegativeNumber(word) {
                leaf.positionals.append(word)
                leaf.hasNegative = true
            } else if word.hasPrefix("-"), word != "-" {
                let written = String(word.prefix { $0 != "=" })
                let option = command.option(written)
                if let option, option.takesValue, !option.isRepeating, !seen.insert(option.names.joined()).inserted {
                    return .mistake("\(written) was given twice; '\(name)' takes it once")
                }
                if let option, option.takesValue, !word.contains("="), at < words.count {
                    // With a value that looks like an option the parser would call it missing; an empty one behind an
                    // equals sign, too.
                    let isJoined = written.hasPrefix("--") && !words[at].isEmpty
                    leaf.options += isJoined ? ["\(written)=\(words[at])"] : [written, words[at]]
                    let isOption = words[at].hasPrefix("-") && !Self.isNegativeNumber(words[at])
                    if isOption { return .mistake("\(written) wants a value before \(words[at])") }
                    if Self.isNegativeNumber(words[at]), let long = option.names.first(where: { $0.hasPrefix("--") }) {
                        leaf.options.removeLast(written.hasPrefix("--") ? 1 : 2)
                        leaf.options.append("\(long)=\(words[at])")
                    }
                    at += 1
                } else {
                    leaf.options.append(word)
                }
            } else {
                leaf.positionals.append(word)
            }
        }
        if let mistake = surplus(command, name, leaf) { return .mistake(mistake) }
        let rest = leaf.hasNegative && !leaf.positionals.isEmpty ? ["--"] + leaf.positionals : leaf.positionals
        return .arguments(head + leaf.options + rest)
    }

    /// A word that belongs behind an option.
    private func surplus(_ command: CommandTree, _ name: String, _ leaf: Leaf) -> String? {
        guard command.positionals.isEmpty, command.commands.isEmpty, let word = leaf.positionals.first else {
            return nil
        }
        if command.option("--config") != nil {
            return "'\(name)' takes its file by an option: \(name) --config \(word)"
        }
        if command.option("--node") != nil, ManagementURL(word) != nil {
            return "'\(name)' takes the node by an option: \(name) --node \(word)"
        }
        return nil
    }

    private static func isNegativeNumber(_ word: String) -> Bool {
        guard word.hasPrefix("-"), let digit = word.dropFirst().utf8.first else { return false }
        return (48...57).contains(digit)
    }
}

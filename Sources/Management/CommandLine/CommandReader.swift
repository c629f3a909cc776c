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
            guard let next = command.command(word) else {
                return .mistake(unknown(word, after: path, in: command, among: words))
            }
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
            guard let next = command.command(word) else {
                return .mistake(unknown(word, after: path, in: command, among: words))
            }
            command = next
            path.append(word)
        }
        return .arguments(words)
    }

    /// - Parameter words: All that was typed.
    private func unknown(
        _ word: String, after path: [String], in command: CommandTree, among words: [String]
    ) -> String {
        let names = command.commands.map(\.name)
        let list = names.joined(separator: ", ")
        let start = path.joined(separator: " ")
        guard !word.hasPrefix("-") else {
            let meant = words.first(where: names.contains) ?? names.first ?? ""
            return "'\(start)' wants a command before \(word), one of \(list): \(start) \(meant) \(word) …"
        }
        if path.count == 1, let sentence = elsewhere(word, start) { return sentence }
        if let meant = Self.synonyms.first(where: { $0.words.contains(word.lowercased()) })?.names
            .first(where: names.contains)
        {
            return "'\(word)' is not a command of '\(start)'; did you mean '\(start) \(meant)'?"
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

    /// Words for what a command does, and its names in one group or another.
    private static let synonyms: [(words: Set<String>, names: [String])] = [
        (["ls", "dump", "all"], ["list"]), (["get", "info", "cat", "print", "describe", "lookup"], ["show", "list"]),
        (["delete", "rm", "del", "kill", "hangup", "terminate", "bye"], ["end", "remove"]),
        (["test", "validate", "verify", "lint", "syntax"], ["check"]),
        (["create", "generate", "gen", "make", "add"], ["new", "init"]), (["save", "backup"], ["export"]),
        (["change", "replace"], ["rotate", "set"]), (["edit", "update"], ["set"]),
    ]

    /// What other programs of the kind have as a command.
    private func elsewhere(_ word: String, _ start: String) -> String? {
        switch word.lowercased() {
        case "stop", "restart", "kill", "quit", "shutdown":
            return "'\(word)' is not a command of '\(start)': a node drains and leaves on SIGTERM, as from systemctl"
        case "start", "run", "up": return meant(word, start, "serve")
        case "nodes", "members", "peers", "cluster", "health", "info", "uptime", "dispatcher", "targets":
            return meant(word, start, "status")
        case "ul", "usrloc", "registrations", "aor", "online": return meant(word, start, "contacts list")
        case "monitor", "moni", "watch", "stats", "statistics": return meant(word, start, "top")
        case "mi", "fifo", "kamcmd", "ctl", "call", "request": return meant(word, start, "rpc")
        case "sngrep", "siptrace", "ladder", "sip": return meant(word, start, "trace")
        case "validate", "lint", "verify", "syntax", "test", "configtest": return meant(word, start, "config check")
        case "calls", "sessions", "ps": return meant(word, start, "dialogs list")
        case "log", "logs":
            return "'\(word)' is not a command of '\(start)': a node's log is its standard output, "
                + "and journalctl has it"
        default: return nil
        }
    }

    private func meant(_ word: String, _ start: String, _ command: String) -> String? {
        let group = String(command.prefix { $0 != " " })
        guard tree.command(group) != nil else { return nil }
        return "'\(word)' is not a command of '\(start)'; did you mean '\(start) \(command)'?"
    }

    // MARK: Options and values

    /// What was typed after the command, sorted into options and the rest.
    private struct Leaf {
        var options: [String] = []
        var positionals: [String] = []
        var hasNegative = false
        /// Options that the command does not have.
        var unknown: [String] = []
        /// An option at the end whose value is missing.
        var unfinished: String?
        /// The option, with its value, before the first word that belongs to none.
        var before: (option: String, value: String)?
    }

    private static let dashes: Set<Character> = [
        "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}", "\u{2014}", "\u{2212}",
    ]

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
            if let first = word.first, Self.dashes.contains(first) {
                let rest = word.drop { Self.dashes.contains($0) || $0 == "-" }
                let plain = (rest.count == 1 ? "-" : "--") + rest
                return .mistake("'\(word)' begins with a typographic dash; write \(plain)")
            }
            if Self.isNegativeNumber(word) {
                leaf.positionals.append(word)
                leaf.hasNegative = true
            } else if word.hasPrefix("-"), word != "-" {
                let written = String(word.prefix { $0 != "=" })
                let option = command.option(written)
                if option == nil, !command.isFlags(written),
                    !["-h", "--help", "--help-hidden", "--version"].contains(written)
                {
                    leaf.unknown.append(written)
                }
                if let option, option.takesValue, word.hasSuffix("=") || !word.contains("=") && at == words.count {
                    leaf.unfinished = written
                }
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
                    if at + 1 < words.count, !words[at + 1].hasPrefix("-"), leaf.before == nil {
                        leaf.before = (written, words[at])
                    }
                    at += 1
                } else {
                    leaf.options.append(word)
                }
            } else {
                leaf.positionals.append(word)
            }
        }
        // The parser would take a word that stands elsewhere for the missing value.
        if let option = leaf.unfinished, !leaf.positionals.isEmpty {
            return .mistake("\(option) wants a value, and none stands behind it")
        }
        if let mistake = surplus(command, name, leaf) { return .mistake(mistake) }
        let rest = leaf.hasNegative && !leaf.positionals.isEmpty ? ["--"] + leaf.positionals : leaf.positionals
        return .arguments(head + leaf.options + rest)
    }

    /// A word that belongs behind an option.
    private func surplus(_ command: CommandTree, _ name: String, _ leaf: Leaf) -> String? {
        if command.positionals.first?.name == "file", let word = leaf.positionals.first,
            let option = leaf.unknown.first(where: { ["-c", "--config", "-f", "--file"].contains($0) })
        {
            return "'\(name)' takes its file without \(option): \(name) \(word)"
        }
        let isFile = command.option("--config") != nil && leaf.unknown.contains { ["-f", "--file"].contains($0) }
        if let option = leaf.unknown.first, !isFile { return unknown(option: option, of: command, name) }
        guard command.positionals.isEmpty, command.commands.isEmpty, let word = leaf.positionals.first else {
            return nil
        }
        if word == "help" {
            return "'\(name)' takes no word; did you mean '\(tree.name) help\(name.dropFirst(tree.name.count))'?"
        }
        if let (option, value) = leaf.before, !["--config", "-c", "--node", "-n"].contains(option) {
            if ["--set", "-s"].contains(option), !value.contains("=") {
                return "\(option) wants KEY=VALUE, written together: \(option) \(value)=\(word)"
            }
            return "'\(word)' belongs to no option: \(option) takes one value, \(value); more of it is written with a "
                + "comma or in quotation marks"
        }
        if command.name == "export" {
            return "'\(name)' writes to standard output: \(name) > \(word)"
        }
        if command.option("--config") != nil {
            let isGiven = leaf.options.contains { $0.hasPrefix("--config") || $0 == "-c" }
            if isGiven { return "'\(word)' is one word too many: '\(name)' takes options only" }
            return "'\(name)' takes its file by an option: \(name) --config \(word)"
        }
        if command.option("--node") != nil, ManagementURL(word) != nil {
            return "'\(name)' takes the node by an option: \(name) --node \(word)"
        }
        return nil
    }

    /// The parser's own guess is the nearest option however far away it is.
    private func unknown(option: String, of command: CommandTree, _ name: String) -> String {
        let known = command.options.flatMap(\.names).filter { $0.hasPrefix("--") }
        // Dashes are not what anybody mistypes.
        if let near = NearMiss.of(Self.bare(option), among: known.map(Self.bare)) {
            return "'\(option)' is not an option of '\(name)'; did you mean --\(near)?"
        }
        guard !known.isEmpty else { return "'\(option)' is not an option of '\(name)', which has none" }
        return "'\(option)' is not an option of '\(name)'; there are \(known.joined(separator: ", "))"
    }

    private static func bare(_ option: String) -> String { String(option.drop { $0 == "-" }) }

    private static func isNegativeNumber(_ word: String) -> Bool {
        guard word.hasPrefix("-"), let digit = word.dropFirst().utf8.first else { return false }
        return (48...57).contains(digit)
    }
}

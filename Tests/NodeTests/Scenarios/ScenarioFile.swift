// A scenario file: comments, and blocks of commands with what they led to.
//
//     # What the file shows, and by which rule.
//
//     cluster 3
//     alice calls bob through n1      commands, one a line
//     ----
//          0  alice -> n1   INVITE    what happened, up to an empty line
//
// Everything but what happened is kept as it was written when the file is recorded again.

struct ScenarioFile {
    enum Item {
        /// A comment or an empty line.
        case text(String)
        case block(Block)
    }

    struct Block {
        var commands: [String]
        var expected: [String]
    }

    static let rule = "----"

    var items: [Item] = []

    init(_ text: String) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...]
        if lines.last == "" { lines.removeLast() }
        while let first = lines.first {
            guard !first.isEmpty, !first.hasPrefix("#") else {
                items.append(.text(lines.removeFirst()))
                continue
            }
            let commands = lines.prefix { $0 != Self.rule && !$0.isEmpty }
            lines = lines[commands.endIndex...].dropFirst()
            let expected = lines.prefix { !$0.isEmpty }
            lines = lines[expected.endIndex...]
            items.append(.block(Block(commands: Array(commands), expected: Array(expected))))
        }
    }

    var text: String {
        items.map { item in
            switch item {
            case .text(let line): line + "\n"
            case .block(let block): (block.commands + [Self.rule] + block.expected).map { $0 + "\n" }.joined()
            }
        }.joined()
    }

    /// The comments before the first command.
    var head: String {
        var lines: [String] = []
        for case .text(let line) in items.prefix(while: { if case .text = $0 { true } else { false } }) {
            lines.append(line.drop { $0 == "#" || $0 == " " }.description)
        }
        return lines.joined(separator: " ")
    }

    var blocks: [Block] {
        items.compactMap { if case .block(let block) = $0 { block } else { nil } }
    }

    /// The same file with what a run of it led to.
    func recorded(_ outputs: [[String]]) -> ScenarioFile {
        var (file, outputs) = (self, outputs[...])
        for index in file.items.indices {
            guard case .block(var block) = file.items[index], let output = outputs.popFirst() else { continue }
            block.expected = output
            file.items[index] = .block(block)
        }
        return file
    }
}

/// A command of a file that says nothing that could be done.
struct ScenarioError: Error, CustomStringConvertible {
    var description: String
}

/// The words of a command; what stands after `with` is one.
struct ScenarioCommand {
    var words: [String]
    /// Headers that the message has besides: `with A: b | C: d`.
    var headers: [String] = []
    /// Which node it reaches: `through n2`.
    var through: String?

    init(_ line: String) {
        var rest = Substring(line)
        if let range = line.firstRange(of: " with ") {
            headers = rest[range.upperBound...].split(separator: "|").map { Self.trimmed($0) }
            rest = rest[..<range.lowerBound]
        }
        words = Self.split(rest)
        if let at = words.firstIndex(of: "through"), at + 1 < words.count {
            through = words[at + 1]
            words.removeSubrange(at...(at + 1))
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    /// At spaces, but for those between quotes.
    private static func split(_ text: Substring) -> [String] {
        var (words, word, isQuoted) = ([String](), "", false)
        for character in text {
            switch character {
            case "\"": isQuoted.toggle()
            case " " where !isQuoted:
                if !word.isEmpty { words.append(word) }
                word = ""
            default: word.append(character)
            }
        }
        return word.isEmpty ? words : words + [word]
    }
}

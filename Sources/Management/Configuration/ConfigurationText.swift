// The bytes of a configuration file before and around YAML: what is no text, what is somebody else's configuration, and
// where a mistake really is that a YAML parser notices only later.

import Node
import Yams

struct ConfigurationText {
    /// Why it is no configuration.
    struct Refusal: Error {
        var problem: SettingProblem
    }

    static let least = "write at least node: {name: n1} and sip: {listen: [udp://192.0.2.11:5060]}"
    static let noSections = "has no sections like 'node:' and 'sip:', each with its keys below"

    let yaml: String
    private let name: String
    private let lines: [Substring]

    /// - Parameter name: The file's, for messages.
    init(_ bytes: [UInt8], name: String) throws(Refusal) {
        // A byte order mark says what is known already.
        var bytes = bytes[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        func refuse(_ message: String, line: Int? = nil) -> Refusal {
            let origin = line.map { "line \($0)" } ?? ""
            return Refusal(problem: SettingProblem(key: "", message: message, origin: origin))
        }
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw refuse("\(name) is UTF-16; save it as UTF-8")
        }
        if let strange = bytes.firstIndex(where: { $0 < 32 && $0 != 9 && $0 != 10 && $0 != 13 }) {
            let offset = bytes.distance(from: bytes.startIndex, to: strange)
            throw refuse("\(name) is no text: byte \(offset) is \(bytes[strange])")
        }
        yaml = String(decoding: bytes, as: UTF8.self)
        self.name = name
        lines = yaml.split(separator: "\n", omittingEmptySubsequences: false)
        let said = lines.filter { line in
            line.contains { $0 != " " && $0 != "\t" && $0 != "\r" } && !Self.isComment(line)
        }
        if said.isEmpty { throw refuse("\(name) is empty: \(Self.least)") }
        if let first = said.first, first.hasPrefix("["), said.count > 1, said[1].contains("=") {
            throw refuse(
                "\(name) is no YAML: a section is a word and a colon, like 'node:', with its keys below, indented")
        }
        if yaml.hasPrefix("#!KAMAILIO") || yaml.hasPrefix("#!SER") || said.contains(where: Self.isKamailios) {
            throw refuse("\(name) is a configuration of Kamailio's; \(Self.least)")
        }
    }

    private static func isComment(_ line: Substring) -> Bool {
        line.first { $0 != " " && $0 != "\t" } == "#"
    }

    private static func isKamailios(_ line: Substring) -> Bool {
        ["loadmodule \"", "modparam(\"", "request_route {", "request_route{"].contains { line.hasPrefix($0) }
    }

    // MARK: What the parser found

    func problem(of error: YamlError) -> SettingProblem {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return self.problem(context, problem, line: mark.line)
        case .duplicatedKeysInMapping(let duplicates, let context):
            return duplicate(duplicates.first ?? "", line: context.mark.line, column: context.mark.column)
        case .reader(let problem, _, _, _):
            return SettingProblem(key: "", message: "\(name) is not YAML: \(problem)")
        default: return SettingProblem(key: "", message: "\(name) is not YAML")
        }
    }

    /// In our words where the parser's say what it looked for, not what is wrong.
    private func problem(_ context: YamlError.Context?, _ problem: String, line: Int) -> SettingProblem {
        let begun = context?.text ?? ""
        let start = context?.mark.line ?? line
        func told(_ message: String, _ line: Int) -> SettingProblem {
            SettingProblem(key: "", message: "not YAML: \(message)", origin: "line \(line)")
        }
        if let tab = tabbedLine(upTo: line) { return told("a tab: YAML is indented with spaces only", tab) }
        if problem.contains("found another document") {
            return told("a second document begins here; a file holds one", line)
        }
        if begun.contains("flow sequence") { return told("the '[' that opens here is not closed by a ']'", start) }
        if begun.contains("flow mapping") { return told("the '{' that opens here is not closed by a '}'", start) }
        if begun.contains("quoted scalar") { return told("the quotation mark that opens here is not closed", start) }
        if problem.contains("undefined alias") { return told("an alias names an anchor that is not there", line) }
        if problem.contains("mapping values are not allowed") {
            return told("a second ':' in this line; quote the value, or indent the key like its neighbours", line)
        }
        if problem.contains("could not find expected ':'") { return told("a ':' is missing after a key", start) }
        if begun.contains("block mapping") || begun.contains("block collection") {
            return told("this line is not indented like its neighbours", line)
        }
        return told(problem, line)
    }

    /// The first line with a tab before its first word, as far as the parser came.
    private func tabbedLine(upTo last: Int) -> Int? {
        lines.prefix(last).firstIndex { line in
            line.prefix { $0 == " " || $0 == "\t" }.contains("\t") && !Self.isComment(line)
        }.map { $0 + 1 }
    }

    /// The parser names the first line only.
    private func duplicate(_ key: String, line: Int, column: Int) -> SettingProblem {
        var found = [line]
        let indent = String(repeating: " ", count: max(0, column - 1))
        for (index, text) in lines.enumerated().dropFirst(line) {
            let content = text.drop { $0 == " " }
            if content.isEmpty || content.first == "#" || content.first == "\r" { continue }
            guard text.hasPrefix(indent) else { break }
            let rest = text.dropFirst(indent.count)
            if rest.hasPrefix(key), rest.dropFirst(key.count).drop(while: { $0 == " " }).first == ":" {
                found.append(index + 1)
            }
        }
        let message = "is written twice in one section; join the two, or delete one"
        let origin = found.count == 1 ? "line \(line)" : "lines \(found.map(String.init).joined(separator: " and "))"
        return SettingProblem(key: key, message: message, origin: origin)
    }
}

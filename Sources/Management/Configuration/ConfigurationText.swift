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
        let plain = Self.withPlainLineEnds(bytes)
        guard let text = String(validating: plain, as: UTF8.self) else {
            let rows = plain.split(separator: 10, omittingEmptySubsequences: false)
            let wrong = rows.firstIndex { String(validating: $0, as: UTF8.self) == nil }
            throw refuse("\(name) is not UTF-8; save it as UTF-8", line: wrong.map { $0 + 1 })
        }
        yaml = text
        self.name = name
        lines = yaml.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            if let what = Self.disguise(in: line) { throw refuse("not YAML: \(what)", line: index + 1) }
        }
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

    /// Windows ends a line with CR LF, and the first Macintosh did with CR.
    private static func withPlainLineEnds(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        guard bytes.contains(13) else { return Array(bytes) }
        var plain: [UInt8] = []
        plain.reserveCapacity(bytes.count)
        var wasReturn = false
        for byte in bytes {
            if byte != 10 || !wasReturn { plain.append(byte == 13 ? 10 : byte) }
            wasReturn = byte == 13
        }
        return plain
    }

    /// What an editor, a browser or a merge has put there that looks like something else.
    private static func disguise(in line: Substring) -> String? {
        if line.hasPrefix("!") {
            return "a tag like \(line.prefix { $0 != " " }) is not read; a configuration is one file"
        }
        if line.hasPrefix("<<<<<<< ") || line.hasPrefix(">>>>>>> ") || line == "=======" {
            return "a merge was left unfinished here; keep one of its sides"
        }
        guard !isComment(line) else { return nil }
        for (begin, end) in [("{{", "}}"), ("{%", "%}"), ("<%", "%>")] {
            guard let first = line.firstRange(of: begin), let last = line.firstRange(of: end),
                first.upperBound <= last.lowerBound
            else { continue }
            return "a template was left unfilled here: \(line[first.lowerBound..<last.upperBound])"
        }
        guard line.utf8.contains(where: { $0 >= 0x7F }) else { return nil }
        let said = line.firstRange(of: " #").map { line[..<$0.lowerBound] } ?? line
        for scalar in said.unicodeScalars {
            guard let what = disguise(scalar) else { continue }
            let digits = String(scalar.value, radix: 16, uppercase: true)
            return "\(what) (U+\(String(repeating: "0", count: max(0, 4 - digits.utf8.count)))\(digits))"
        }
        return nil
    }

    private static func disguise(_ scalar: Unicode.Scalar) -> String? {
        switch scalar.value {
        case 0x7F...0x84, 0x86...0x9F: "a control character; delete it"
        case 0x85, 0x2028, 0x2029: "a line end that is none here; begin a new line"
        case 0xA0, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: "a space that is not the plain one; write it anew"
        case 0xAD, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x2069, 0xFEFF: "a character that is not seen; delete it"
        case 0xAB, 0xBB, 0x2018...0x201F: "a typographic quotation mark; write \" or '"
        case 0x2010...0x2015, 0x2212: "a typographic dash; write -"
        case 0xFF01...0xFF5E: "a character of full width; write the plain one"
        default: nil
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
        if problem.contains("unknown escape character") {
            return told("in double quotes a '\\' begins an escape; write '\\\\', or single quotes around it", line)
        }
        if problem.contains("cannot start any token") {
            return told("a value that begins with '@', '`' or '%' wants quotation marks", line)
        }
        if problem.contains("expected <document start>") {
            return told("a line with '...' has ended the document; nothing may follow it", line)
        }
        if problem.contains("nesting level") { return told("this is nested too deeply", line) }
        if begun.contains("flow"), lines.indices.contains(start - 1) {
            let text = lines[start - 1]
            if text.contains("://[") {
                return told("an address with brackets wants quotation marks, like \"udp://[2001:db8::1]:5060\"", start)
            }
            if Self.hasBareIPv6(text) {
                return told("an IPv6 address wants brackets and quotation marks, like \"[2001:db8::1]:5060\"", start)
            }
            if text.contains("${") { return told("a value with braces wants quotation marks", start) }
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
            let first = lines.indices.contains(line - 1) ? lines[line - 1].first { $0 != " " } : nil
            if let first, "}]".contains(first) { return told("this '\(first)' closes nothing", line) }
            return told("this line is not indented like its neighbours", line)
        }
        return told(problem, line)
    }

    /// Two colons together stand in nothing else, and begin a value in a flow at times.
    private static func hasBareIPv6(_ line: Substring) -> Bool {
        line.split { " ,{}\"'".contains($0) }.contains { $0.hasPrefix("::") || $0.contains("://::") }
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

// What happened, as lines of a scenario file: time in milliseconds, who to whom, and the message in a word or two.
// Addresses become names; what a file shows more than once is marked `again`. A sentence that several nodes log
// within a block is one line, at the time of the first.

import Node

struct StageTranscript {
    private struct Line {
        var time: Int64
        /// It is told at that time, and not what happened then.
        var isSaid = false
        var who: String
        var text: String
        /// The nodes that log it.
        var nodes: [Int] = []
    }

    /// Sentences of several nodes that are further apart, in milliseconds, are lines of their own.
    private static let moment: Int64 = 500

    /// What happens now is not to be read.
    var isSilent = false
    private var lines: [Line] = []
    private var seen: Set<String> = []
    private var messages: [(what: String, to: String, text: String)] = []
    private var numbers: [String: Int] = [:]

    // MARK: Writing

    mutating func say(_ text: String, at time: Int64) {
        guard !isSilent else { return }
        lines.append(Line(time: time, isSaid: true, who: "", text: text))
    }

    mutating func add(_ message: String, from: String, to: String, at time: Int64, isLost: Bool = false) {
        let what = Self.name(of: message)
        messages.append((what, to, message))
        guard !isSilent else { return }
        let isAgain = !seen.insert("\(from.hasPrefix("n") ? "node" : from) \(to) \(what) \(message.key)").inserted
        var text = what
        if message.statusCode > 0 {
            if let seconds = message.headers("Retry-After").first { text += ", retry after \(seconds) s" }
        } else if let reason = message.headers("Reason").first {
            text += ", \(reason.value("text") ?? reason)"
        }
        if isAgain { text += ", again" }
        if isLost { text += ", lost" }
        lines.append(Line(time: time, who: "\(from) -> \(to)", text: text))
    }

    mutating func log(_ note: Note, of node: Int, at time: Int64) {
        guard !isSilent, note.message != "node state" else { return }
        let hidden = ["incarnation", "epoch", "call-id", "because", "milliseconds"]
        let values = note.metadata.filter { !hidden.contains($0.0) }.map { "\($0.0)=\($0.1)" }
        let text = ([note.message] + values).joined(separator: " ")
        let place = lines.firstIndex { !$0.nodes.isEmpty && $0.text == text && time - $0.time < Self.moment }
        if let place {
            if !lines[place].nodes.contains(node) { lines[place].nodes.append(node) }
        } else {
            lines.append(Line(time: time, who: "", text: text, nodes: [node]))
        }
    }

    /// The lines since the last time, in order.
    mutating func take() -> [String] {
        defer { lines = [] }
        let ordered = lines.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
        return ordered.map { _, line in
            let who = line.nodes.isEmpty ? line.who : line.nodes.sorted().map { "n\($0 + 1)" }.joined(separator: ", ")
            guard !line.isSaid else { return line.text }
            let text = line.nodes.isEmpty ? line.text : "log: \(line.text)"
            return "\(Self.left(String(line.time), 6))  \(Self.right(who, 16)) \(text)"
        }
    }

    private static func left(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func right(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    // MARK: Names

    /// `INVITE`, `200 INVITE`.
    private static func name(of message: String) -> String {
        message.statusCode > 0 ? "\(message.statusCode) \(message.cSeqMethod)" : message.cSeqMethod
    }

    /// The last message of this name that somebody got.
    func last(_ what: String, to: String) -> String? { messages.last { $0.what == what && $0.to == to }?.text }

    /// Of the call that was set up last, for a file's `$did`.
    var lastDid: String {
        let routes = messages.last { $0.what == "INVITE" && !$0.text.headers("Record-Route").isEmpty }?.text
        return routes?.headers("Record-Route")[0].value("did").map { String($0.prefix { $0 != ">" }) } ?? ""
    }

    func name(of address: String) -> String { address == Stage.advertised ? "cluster" : address }

    /// Addresses by name, branches and dids by the order in which they were shown.
    mutating func withNames(_ text: String) -> String {
        var text = text
        for (place, name) in Stage.names.enumerated().reversed() {
            Self.replace("10.0.9.\(place + 1)", by: name, in: &text)
        }
        for number in (1...9).reversed() {
            Self.replace("10.0.1.\(number)", by: "n\(number)", in: &text)
            Self.replace("10.0.2.\(number)", by: "service\(number)", in: &text)
        }
        Self.replace("10.0.0.100", by: "cluster", in: &text)
        for (name, start) in [("branch", "z9hG4bK"), ("did", "did=")] {
            let parts = text.split(separator: ";", omittingEmptySubsequences: false).map { part -> String in
                guard let range = part.firstRange(of: start), !part.contains("z9hG4bK-") else { return String(part) }
                let value = part[range.upperBound...].prefix { $0 != ">" }
                let rest = part[range.upperBound...].dropFirst(value.count)
                return name == "did"
                    ? "did=#\(number(of: value))\(rest)" : "branch=#\(number(of: value))\(rest)"
            }
            text = parts.joined(separator: ";")
        }
        return text
    }

    private mutating func number(of value: Substring) -> Int {
        if let known = numbers[String(value)] { return known }
        numbers[String(value)] = numbers.count + 1
        return numbers.count
    }

    private static func replace(_ address: String, by name: String, in text: inout String) {
        text = text.replacing("\(address):5060", with: name).replacing(address, with: name)
    }
}

extension String {
    /// What makes a message the same as another: its transaction, and the dialog of an answer.
    fileprivate var key: String { "\(transaction) \(cSeqNumber) \(header("Call-ID")) \(header("To"))" }
}

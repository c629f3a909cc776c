// One line of a log, in the two shapes there are: for people, the sentence first and its metadata behind; for machines,
// one JSON object. Time is UTC to the millisecond. Under journald each line begins with its priority (sd-daemon(3)),
// and has no time of its own, which the journal writes.

import Foundation
package import Node

package struct LogLine: Sendable {
    package enum Format: String, CaseIterable, Sendable {
        /// `journal` where standard output is journald's, else `text`.
        case auto, text, journal, json
    }

    package var unixMilliseconds: Int64
    package var level: NoteLevel
    package var node: String
    package var note: Note

    package init(unixMilliseconds: Int64, node: String, note: Note) {
        self.unixMilliseconds = unixMilliseconds
        level = note.level
        self.node = node
        self.note = note
    }

    /// - Parameter format: Not `auto`: whoever writes knows where to.
    package func text(_ format: Format) -> String {
        switch format {
        case .json: json
        case .journal: "<\(priority)>\(sentence)"
        case .text, .auto: "\(time) \(name) \(sentence)"
        }
    }

    /// A constant sentence, and what varies as `name=value`; a value with a space or a quotation mark is quoted.
    private var sentence: String {
        let pairs = (note.metadata + [("node", node)]).map { " \($0.0)=\(Self.quoted($0.1))" }
        return note.message + pairs.joined()
    }

    private var json: String {
        var members: [JSONValue.Member] = [
            .init("time", .string(time)), .init("level", .string(name)), .init("message", .string(note.message)),
            .init("node", .string(node)),
        ]
        members += note.metadata.map { .init($0.0, .string($0.1)) }
        return JSONValue.object(members).printed
    }

    /// As syslog counts.
    private var priority: Int {
        switch level {
        case .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        }
    }

    private var name: String { level.name }

    /// `2026-11-29T15:20:11.042Z`
    private var time: String {
        let seconds = unixMilliseconds.quotientAndRemainder(dividingBy: 1_000)
        var calendar = Calendar(identifier: .gregorian)
        if let utc = TimeZone(secondsFromGMT: 0) { calendar.timeZone = utc }
        let parts = calendar.dateComponents(
            [.year, .month, .day, .hour, .minute, .second],
            from: Date(timeIntervalSince1970: Double(seconds.quotient)))
        func digits(_ number: Int?, _ count: Int) -> String {
            let text = String(number ?? 0)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        return "\(digits(parts.year, 4))-\(digits(parts.month, 2))-\(digits(parts.day, 2))T\(digits(parts.hour, 2)):"
            + "\(digits(parts.minute, 2)):\(digits(parts.second, 2)).\(digits(Int(seconds.remainder), 3))Z"
    }

    /// What came over a network may hold anything; a line stays a line.
    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != 34 && $0 != 61 }
        guard !isPlain else { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case _ where scalar.value < 32 || scalar.value == 127: text += "?"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}

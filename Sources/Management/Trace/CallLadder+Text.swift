// The ladder as text: a line an event, a column a party.
//
//     14:03:22.117  10.0.0.1:5060         n1                  10.0.0.2:5060
//     14:03:22.117       |------INVITE----->|                       |
//     14:03:22.120       |                  * publishes the dialog  |

extension CallLadder {
    private static let timeWidth = 14

    /// - Parameters:
    ///   - messages: Each message stands below its arrow.
    ///   - clock: Writes a moment as twelve characters.
    package func text(messages: Bool, clock: (Int64) -> String) -> String {
        let step = max(20, (parties.map(\.count).max() ?? 0) + 2)
        func place(_ column: Int) -> Int { step / 2 + column * step }
        var lines = [Self.padded("", Self.timeWidth) + header(step)]
        for (at, row) in rows {
            var line = Array(repeating: Character(" "), count: step * parties.count)
            for column in parties.indices { line[place(column)] = "|" }
            switch row {
            case .message(let message): draw(message, place(message.from), place(message.to), in: &line)
            case .deed(let column, let sentence):
                line[place(column)] = "*"
                let tail = Array(" " + sentence)
                let start = place(column) + 1
                if start + tail.count > line.count {
                    line += Array(repeating: " ", count: start + tail.count - line.count)
                }
                line.replaceSubrange(start..<start + tail.count, with: tail)
            }
            lines.append(Self.padded(clock(at), Self.timeWidth) + Self.trimmed(line))
            if messages, case .message(let message) = row { lines += Self.indented(message.text) }
        }
        return (lines + [""] + footer).joined(separator: "\n")
    }

    package var footer: [String] { [outcome] + dialogs + remarks }

    private func header(_ step: Int) -> String {
        Self.trimmed(
            Array(
                parties.map { party in
                    let left = max(0, (step - party.count) / 2)
                    return Self.padded(String(repeating: " ", count: left) + party, step)
                }.joined()))
    }

    private func draw(_ message: Message, _ from: Int, _ to: Int, in line: inout [Character]) {
        let label = message.label
        guard from != to else {
            line[from] = "@"
            return
        }
        let (left, right) = (min(from, to), max(from, to))
        for offset in left + 1..<right { line[offset] = message.isRepeated ? "=" : "-" }
        line[to < from ? left + 1 : right - 1] = to < from ? "<" : ">"
        let room = right - left - 5
        let shown = label.count > room ? label.prefix(max(0, room - 1)) + "…" : label[...]
        let start = left + 3 + max(0, room - shown.count) / 2
        for (offset, character) in shown.enumerated() { line[start + offset] = character }
    }

    private static func indented(_ text: String) -> [String] {
        text.split(separator: "\r\n", omittingEmptySubsequences: false).map {
            "    " + $0.replacing("\u{1B}", with: "?")
        }
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func trimmed(_ line: [Character]) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return String(line)
    }
}

// A plain table: columns as wide as their widest cell, two spaces between them, no colours, so that it reads the same
// on a terminal and through a pipe. With a width it fits: the columns that may be cut give way, the widest first, and a
// cut cell ends with an ellipsis; where that is not enough, one space stands between columns.

package struct Table {
    private let header: [String]
    private var rows: [[String]] = []
    /// Columns whose cells stand at the right.
    private let numeric: [Int]
    /// Columns that give way when the table is too wide.
    private let elastic: [Int]

    /// No column is cut below this.
    private static let least = 6

    package init(_ header: [String], numeric: [Int] = [], elastic: [Int] = []) {
        self.header = header
        self.numeric = numeric
        self.elastic = elastic.filter(header.indices.contains)
    }

    package mutating func add(_ row: [String]) { rows.append(row) }

    package var text: String { text(width: .max) }

    package func text(width: Int) -> String {
        let all = [header] + rows
        var widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        var excess = widths.reduce(0, +) + 2 * (widths.count - 1) - width
        while excess > 0, let widest = elastic.filter({ widths[$0] > Self.least }).max(by: { widths[$0] < widths[$1] })
        {
            widths[widest] -= 1
            excess -= 1
        }
        let gap = excess > 0 ? " " : "  "
        return all.map { row in
            let cells = row.indices.map { column -> String in
                let cell = Self.cut(row[column], widths[column])
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if numeric.contains(column) { return padding + cell }
                return column == row.count - 1 ? cell : cell + padding
            }
            return cells.joined(separator: gap)
        }.joined(separator: "\n")
    }

    private static func cut(_ text: String, _ width: Int) -> String {
        text.count <= width ? text : text.prefix(width - 1) + "…"
    }
}

/// A JSON value as a cell of a table.
package enum Cell {
    package static func text(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .bool(let flag): flag ? "yes" : "no"
        case .integer(let number): String(number)
        case .number(let number): "\((number * 10).rounded() / 10)"
        case .string(let text): text
        case .array(let elements): elements.map(text).joined(separator: " ")
        case .object(let members): members.map { "\($0.name)=\(text($0.value))" }.joined(separator: " ")
        }
    }

    package static func text(_ value: JSONValue?) -> String { value.map { text($0) } ?? "" }

    package static func seconds(_ value: JSONValue?) -> Double? {
        switch value {
        case .number(let number): number
        case .integer(let number): Double(number)
        default: nil
        }
    }
}

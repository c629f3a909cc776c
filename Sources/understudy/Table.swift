// A plain table: columns as wide as their widest cell, two spaces between them, no colours, so that it reads the same
// on a terminal and through a pipe.

struct Table {
    private let header: [String]
    private var rows: [[String]] = []
    /// Columns whose cells stand at the right.
    private let numeric: [Int]

    init(_ header: [String], numeric: [Int] = []) {
        self.header = header
        self.numeric = numeric
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                if numeric.contains(column) { return padding + row[column] }
                return column == row.count - 1 ? row[column] : row[column] + padding
            }
            return cells.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

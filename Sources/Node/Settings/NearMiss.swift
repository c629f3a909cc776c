// What somebody who mistyped a word meant: the known word with the fewest edits, if so few that it can be meant.

package enum NearMiss {
    /// The nearest of the known words, or one that the written word begins; `nil` when none is near.
    package static func of(_ written: String, among known: [String]) -> String? {
        let written = written.lowercased()
        let limit = max(1, written.utf8.count / 3)
        let ranked = known.map { (distance: distance(written, $0.lowercased()), word: $0) }
        if let best = ranked.min(by: { ($0.distance, $0.word) < ($1.distance, $1.word) }), best.distance <= limit {
            return best.word
        }
        let begun = known.filter { written.utf8.count >= 3 && $0.lowercased().hasPrefix(written) }
        return begun.count == 1 ? begun[0] : nil
    }

    /// Insertions, deletions and substitutions, and neighbours that changed places count one each.
    package static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8.prefix(128))
        let right = Array(right.utf8)
        var before: [Int] = []
        var row = Array(0...right.count)
        for (line, byte) in left.enumerated() {
            var next = [line + 1]
            for column in right.indices {
                var least = min(row[column] + (byte == right[column] ? 0 : 1), row[column + 1] + 1, next[column] + 1)
                let isSwap = line > 0 && column > 0 && byte == right[column - 1] && left[line - 1] == right[column]
                if isSwap { least = min(least, before[column - 1] + 1) }
                next.append(least)
            }
            before = row
            row = next
        }
        return row[right.count]
    }
}

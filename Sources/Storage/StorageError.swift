// What a database answers instead of doing what it is asked: one sentence, without what was to be written.

package struct StorageError: Error, Equatable, CustomStringConvertible {
    package let description: String
    /// Nobody could be asked: it may be there later, as it is.
    package let isAway: Bool

    package init(_ description: String, isAway: Bool = false) {
        self.description = description
        self.isAway = isAway
    }

    /// - Parameter found: `nil` for a table that has none.
    static func version(of table: String, _ found: String?, needed: [Int]) -> StorageError {
        let told = found.map { "is of version \($0)" } ?? "has no version"
        let numbers = needed.map(String.init).joined(separator: " or ")
        return StorageError("table \(table) \(told); this program needs \(numbers)")
    }
}

// What a database answers instead of doing what it is asked: one sentence, without what was to be written.

package struct StorageError: Error, Equatable, CustomStringConvertible {
    package let description: String
    /// Nobody could be asked: it may be there later, as it is.
    package let isAway: Bool

    package init(_ description: String, isAway: Bool = false) {
        self.description = description
        self.isAway = isAway
    }
}

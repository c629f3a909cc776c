// What a database answers instead of doing what it is asked: one sentence, without what was to be written.

package struct StorageError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

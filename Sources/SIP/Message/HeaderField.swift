// HeaderField is one entry of a message's index: which header, and where its line and value are.

package import Primitives

package struct HeaderField: Equatable, Sendable {
    package var name: HeaderName
    /// From the name's first byte to past the line end, folded lines included (RFC 3261 §7.3.1).
    package var line: ByteRange
    /// The value without white space around it; folds inside of it are kept.
    package var value: ByteRange

    package init(name: HeaderName, line: ByteRange, value: ByteRange) {
        self.name = name
        self.line = line
        self.value = value
    }
}

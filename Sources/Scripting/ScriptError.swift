// ScriptError is why a script could not be loaded, or a run could not go on: what, and in which line of which file.

package struct ScriptError: Error, Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case error
        /// More instructions than a run may have.
        case steps
        /// More memory than a run may have.
        case memory
    }

    package var kind: Kind
    package var file: String
    /// 0 where it is not known.
    package var line: Int
    package var text: String

    package init(kind: Kind, file: String, line: Int, text: String) {
        self.kind = kind
        self.file = file
        self.line = line
        self.text = text
    }

    /// One line: where, and what.
    package var sentence: String {
        let place = file.isEmpty ? "" : line > 0 ? "\(file):\(line): " : "\(file): "
        return text.hasPrefix(place) || text.contains(":\(line): ") ? text : place + text
    }
}

// RouteFault is a mistake that a script is told as an error, with its file and line: what it asked cannot be done, and
// going on as if it had been would send a wrong message.

package import SIP

package enum RouteFault: Error, Equatable, Sendable {
    case edit(MessageEdits.Refusal)
    /// A function that says nothing in this route.
    case notHere(StaticString)
    case tooMuch(StaticString, Int)
    case notServed(StaticString)

    package var text: String {
        switch self {
        case .edit(let refusal): "an edit that does not fit: \(Self.text(refusal))"
        case .notHere(let what): "\(what)"
        case .tooMuch(let what, let limit): "too many \(what): \(limit) at most"
        case .notServed(let what): "\(what)"
        }
    }

    private static func text(_ refusal: MessageEdits.Refusal) -> String {
        switch refusal {
        case .notHeaderLines: "the text is not header lines"
        case .overlap: "these bytes were changed before"
        case .tooManyEdits: "too many in one message"
        case .badValue: "a value that cannot stand there"
        case .unreadable: "the message would not be readable"
        case .anotherMessage: "the message would be of another transaction or dialog"
        }
    }

    package static func == (left: RouteFault, right: RouteFault) -> Bool { left.text == right.text }
}

/// A line for the log.
package struct RouteNote: Equatable, Sendable {
    package enum Level: UInt8, Sendable { case debug, info, notice, warning, error }

    package var level: Level
    package var text: [UInt8]

    package init(_ level: Level, _ text: [UInt8]) {
        self.level = level
        self.text = text
    }
}

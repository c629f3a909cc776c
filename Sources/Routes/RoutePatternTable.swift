// The regular expressions of scripts, compiled once. They are `RoutePattern`s, which never take long; a text that is
// none matches nothing, and the log says why.
//
// Limit: 256 different texts are kept; beyond that one is compiled each time.

package import SIP

package struct RoutePatternTable: Sendable {
    package static let limit = 256

    private var known: [[UInt8]: RoutePattern] = [:]

    package init() {}

    package mutating func find(_ text: [UInt8]) throws(RoutePattern.PatternError) -> RoutePattern {
        if let pattern = known[text] { return pattern }
        let pattern = try RoutePattern(searching: text)
        if known.count < Self.limit { known[text] = pattern }
        return pattern
    }
}

extension RouteRun {
    package mutating func pattern(_ text: [UInt8]) -> RoutePattern? {
        do throws(RoutePattern.PatternError) {
            return try patterns.find(text)
        } catch {
            note(.error, "the pattern \(text.shown) \(error.reason)")
            return nil
        }
    }
}

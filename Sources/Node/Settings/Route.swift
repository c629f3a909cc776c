// `routes`: a static routing table for nodes without a script. The first route whose pattern covers an initial
// request's Request-URI names where it goes. A list of targets is read; `Settings.problems` allows one, until requests
// are forked.

package struct Route: Equatable, Sendable {
    /// `match`
    package var pattern: RoutePattern
    /// `to`, 1 to 16 SIP URIs.
    package var targets: [ConfiguredURI]

    package static let targetLimit = 16

    package init(pattern: RoutePattern, targets: [ConfiguredURI]) {
        self.pattern = pattern
        self.targets = targets
    }

    /// Makes a route from texts, or says what is wrong with them.
    package static func make(match: String, to texts: [String]) throws(SettingProblem) -> Route {
        let pattern: RoutePattern
        do {
            pattern = try RoutePattern(match)
        } catch {
            throw SettingProblem(key: "routes", message: "match '\(match)': \(error.reason)")
        }
        guard !texts.isEmpty, texts.count <= targetLimit else {
            throw SettingProblem(key: "routes", message: "'\(match)' needs 1 to \(targetLimit) SIP URIs in 'to'")
        }
        var targets: [ConfiguredURI] = []
        for text in texts {
            guard let uri = ConfiguredURI(text) else {
                throw SettingProblem(key: "routes", message: "'\(text)' is not a SIP URI like sip:192.0.2.1:5080")
            }
            targets.append(uri)
        }
        return Route(pattern: pattern, targets: targets)
    }

    /// The one-line form of `--set` and the environment: `MATCH => URI URI …`.
    package static func parse(_ text: String) throws(SettingProblem) -> Route {
        guard let arrow = text.firstRange(of: "=>") else {
            throw SettingProblem(key: "routes", message: "'\(text)' is not of the form MATCH => URI")
        }
        let targets = text[arrow.upperBound...].split(separator: " ").map(String.init)
        return try make(match: text[..<arrow.lowerBound].trimmed, to: targets)
    }
}

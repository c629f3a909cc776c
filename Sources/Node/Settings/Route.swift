// `routes`: a static routing table for nodes without a script. The first route whose conditions all hold for an initial
// request says to which targets it goes: its own (`to`), or a named set (`set`).

package import Proxy
package import SIP

package struct Route: Equatable, Sendable {
    /// One value of a header, matched as a whole.
    package struct HeaderMatch: Equatable, Sendable {
        package var name: String
        package var pattern: RoutePattern
    }

    package enum Destination: Equatable, Sendable {
        /// `set`: the name of one of `sets`.
        case named(String)
        /// `to`
        case own(RouteSet)
    }

    /// `match`, over the Request-URI; `nil` takes every one.
    package var pattern: RoutePattern?
    /// `method`, at most 16; none: every method.
    package var methods: [String] = []
    /// `source`, addresses and blocks of them, at most 64; none: every source.
    package var sources: [Subnet] = []
    /// `header`, at most 8, each `Name: PATTERN`; all must hold.
    package var headers: [HeaderMatch] = []
    package var path: PathUse?
    /// `emergency`, true or false, default false: its calls are shed last. They are exempt from `limits`, may use the
    /// reserve of `limits.emergency-reserve`, and are served while the node drains and no other is there.
    package var isEmergency = false
    /// What the dialogs of its calls begin with: profiles, variables, flags, properties, a timeout.
    package var dialog: DialogTemplate?
    package var destination: Destination

    package static let methodLimit = 16
    package static let sourceLimit = 64
    package static let headerLimit = 8
    private static let fields = ["match", "method", "source", "header", "path", "emergency", "to", "set"]

    package init(pattern: RoutePattern?, destination: Destination) {
        self.pattern = pattern
        self.destination = destination
    }

    /// Its own targets; none for a route to a named set.
    package var targets: [ConfiguredURI] {
        if case .own(let set) = destination { set.targets.map(\.uri) } else { [] }
    }

    /// Reads a row of the table, and adds everything that is wrong with it to `problems`.
    package static func read(_ row: [String: [String]], number: Int, problems: inout [SettingProblem]) -> Route? {
        var faults = RowFaults(key: "routes", row: "route \(number)")
        faults.checkFields(
            of: row.filter { !$0.key.hasPrefix("dialog.") }, known: fields + ["dialog"] + RouteSet.options)
        let pattern = row["match"].flatMap { texts -> RoutePattern? in
            guard texts.count == 1 else {
                faults.add("match is one pattern")
                return nil
            }
            return faults.pattern(texts[0], "match")
        }
        var route = Route(pattern: pattern, destination: .named(""))
        route.methods = readMethods(row["method"] ?? [], &faults)
        route.sources = readSources(row["source"] ?? [], &faults)
        route.headers = readHeaders(row["header"] ?? [], &faults)
        if let texts = row["path"] {
            route.path = texts.count == 1 ? PathUse(rawValue: texts[0].trimmed) : nil
            if route.path == nil {
                faults.add("path is one of \(PathUse.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        route.dialog = readDialog(row, &faults)
        if let texts = row["emergency"] {
            switch texts.count == 1 ? texts[0].trimmed : "" {
            case "true": route.isEmergency = true
            case "false": break
            default: faults.add("emergency is true or false")
            }
        }
        let hasCondition = ["match", "method", "source", "header"].contains { row[$0] != nil }
        if !hasCondition, !faults.hasUnknownField {
            faults.add("has no condition: match, method, source or header (match: \".*\" takes everything)")
        }
        switch (row["set"], row["to"]) {
        case (let names?, nil):
            if names.count != 1 { faults.add("set is one name") }
            if row.keys.contains(where: RouteSet.options.contains) {
                faults.add("\(RouteSet.options.joined(separator: ", ")) belong to the set that it names")
            }
            route.destination = .named(names.first ?? "")
        case (nil, let texts?):
            if let set = RouteSet.read(texts, options: row, name: "routes[\(number)]", &faults) {
                route.destination = .own(set)
            }
        case (nil, nil) where faults.hasUnknownField: break
        default: faults.add("has either to, a list of SIP URIs, or set, the name of one of sets")
        }
        problems += faults.problems
        return faults.problems.isEmpty ? route : nil
    }

    private static func readMethods(_ texts: [String], _ faults: inout RowFaults) -> [String] {
        if texts.count > methodLimit { faults.add("method: at most \(methodLimit)") }
        for text in texts where text.isEmpty || text.utf8.count > 32 || !DialogSettings.isToken(text) {
            faults.add("method: '\(text)' is not a method like INVITE")
        }
        return texts
    }

    private static func readSources(_ texts: [String], _ faults: inout RowFaults) -> [Subnet] {
        if texts.count > sourceLimit { faults.add("source: at most \(sourceLimit)") }
        return texts.compactMap { text in
            let subnet = Subnet(text: text.trimmed)
            if subnet == nil { faults.add("source: \(Subnet.objection(to: text))") }
            return subnet
        }
    }

    private static func readHeaders(_ texts: [String], _ faults: inout RowFaults) -> [HeaderMatch] {
        if texts.count > headerLimit { faults.add("header: at most \(headerLimit)") }
        return texts.compactMap { text in
            guard let colon = text.firstIndex(of: ":"), DialogSettings.isToken(text[..<colon].trimmed) else {
                faults.add("header: '\(text)' is not of the form Name: PATTERN")
                return nil
            }
            guard let pattern = faults.pattern(text[text.index(after: colon)...].trimmed, "header") else { return nil }
            return HeaderMatch(name: text[..<colon].trimmed, pattern: pattern)
        }
    }

    /// The one-line form of `--set` and the environment: `MATCH => URI [weight=N] [q=X] URI … [policy=NAME]
    /// [path=USE] [emergency=true] [dialog.profiles=NAME] …`, or `MATCH => @SET [path=USE] …`.
    package static func parse(_ text: String, number: Int, problems: inout [SettingProblem]) -> Route? {
        let more = ["path", "emergency"] + dialogFields.map { "dialog.\($0)" }
        guard let (match, row) = RouteSet.row(ofLine: text, and: more) else {
            problems.append(SettingProblem(key: "routes", message: "'\(text)' is not of the form MATCH => URI"))
            return nil
        }
        var fields = row
        fields["match"] = [match]
        if let only = row["to"], only.count == 1, only[0].hasPrefix("@") {
            fields["to"] = nil
            fields["set"] = [String(only[0].dropFirst())]
        }
        return read(fields, number: number, problems: &problems)
    }
}

// Dialogs as people read them: a list that fits a terminal, newest first unless told otherwise, and one dialog in full
// with its times as spans and moments.

package struct DialogList {
    package enum Order: String, CaseIterable, Sendable {
        case age, remaining, state, home, from, to
        case callID = "call-id"
    }

    private var dialogs: [JSONValue] = []
    private let order: Order
    private let isReversed: Bool
    private let limit: Int
    /// How many matched, shown or not.
    package private(set) var matched = 0

    /// - Parameter limit: Not more than these are kept.
    package init(order: Order, isReversed: Bool, limit: Int) {
        self.order = order
        self.isReversed = isReversed
        self.limit = limit
    }

    package mutating func add(_ page: [JSONValue]) {
        matched += page.count
        dialogs += page
        // What cannot be shown any more is not kept: a node may hold a million.
        if limit < 1_000_000, dialogs.count > 2 * limit + 4_000 { trim() }
    }

    /// In order, at most `limit`.
    package mutating func rows() -> [JSONValue] {
        trim()
        return dialogs
    }

    private mutating func trim() {
        let (order, isReversed) = (order, isReversed)
        let keyed = dialogs.map { (key: Self.key($0, order), did: Cell.text($0["did"]), dialog: $0) }
        dialogs = keyed.sorted { left, right in
            if left.key != right.key { return isReversed ? right.key < left.key : left.key < right.key }
            return left.did < right.did
        }.prefix(limit).map(\.dialog)
    }

    private enum Key: Equatable, Comparable {
        case number(Double)
        case text(String)
    }

    private static func key(_ dialog: JSONValue, _ order: Order) -> Key {
        switch order {
        case .age: .number(Cell.seconds(dialog["age_s"]) ?? 0)
        // Without a deadline it stands last.
        case .remaining: .number(Cell.seconds(dialog["remaining_s"]) ?? .infinity)
        case .state: .text(Cell.text(dialog["state"]))
        case .home: .text(Cell.text(dialog["home"]))
        case .from: .text(DialogText.party(Cell.text(dialog["from"])))
        case .to: .text(DialogText.party(Cell.text(dialog["to"])))
        case .callID: .text(Cell.text(dialog["call_id"]))
        }
    }

    /// - Parameter width: Of the terminal; what is wider than 100 also has room for the Call-ID.
    package static func table(_ rows: [JSONValue], width: Int) -> String {
        let hasCallID = width > 100
        var header = ["DID", "STATE", "AGE", "LEFT", "NODE", "FROM", "TO"]
        if hasCallID { header.append("CALL-ID") }
        var table = Table(header, numeric: [2, 3], elastic: [4, 5, 6, 7])
        for dialog in rows {
            let (home, actor) = (Cell.text(dialog["home"]), Cell.text(dialog["actor"]))
            var row = [
                Cell.text(dialog["did"]), Cell.text(dialog["state"]),
                TimeText.column(seconds: Cell.seconds(dialog["age_s"]) ?? 0),
                Cell.seconds(dialog["remaining_s"]).map { TimeText.column(seconds: $0) } ?? "-",
                actor.isEmpty || actor == home ? home : "\(home)>\(actor)",
                DialogText.party(Cell.text(dialog["from"])), DialogText.party(Cell.text(dialog["to"])),
            ]
            if hasCallID { row.append(Cell.text(dialog["call_id"])) }
            table.add(row)
        }
        return table.text(width: width)
    }

    /// `3 of 2000 dialogs`.
    package func footer(shown: Int, held: Int) -> String {
        let noun = held == 1 ? "dialog" : "dialogs"
        if matched == 0 { return held == 0 ? "no dialogs" : "none of \(held) \(noun) matches" }
        return matched == shown || matched == held
            ? "\(shown) of \(max(held, shown)) \(noun)" : "\(shown) of \(matched) that match, of \(held) \(noun)"
    }
}

package enum DialogText {
    /// Who a From or To value means, shortly: `bob@example.org` of `"Bob" <sip:bob@example.org;x=y>;tag=1`.
    package static func party(_ value: String) -> String {
        var uri = Substring(value)
        if let open = uri.firstIndex(of: "<") {
            uri = uri[uri.index(after: open)...]
            uri = uri.prefix { $0 != ">" }
        }
        for scheme in ["sip:", "sips:", "tel:"] where uri.lowercased().hasPrefix(scheme) {
            uri = uri.dropFirst(scheme.count)
            break
        }
        uri = uri.prefix { $0 != ";" && $0 != "?" }
        return String(uri.map { $0.isASCII && !$0.isNewline && $0 >= " " && $0 != "\u{7F}" ? $0 : "?" })
    }

    /// Everything known of one dialog, a field a line, what is empty left out.
    package static func fields(of dialog: JSONValue, unixSeconds now: Double) -> String {
        var table = Table(["FIELD", "VALUE"])
        flatten(dialog, into: &table, prefix: "", now: now)
        return table.text
    }

    private static func flatten(_ value: JSONValue, into table: inout Table, prefix: String, now: Double) {
        switch value {
        case .object(let members):
            for member in members {
                let name = prefix.isEmpty ? member.name : "\(prefix).\(member.name)"
                flatten(member.value, into: &table, prefix: name, now: now)
            }
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                flatten(element, into: &table, prefix: "\(prefix)[\(index)]", now: now)
            }
        case .null: break
        case .bool, .integer, .number, .string:
            guard let row = row(prefix, value, now: now), !row.1.isEmpty else { return }
            table.add([row.0, row.1])
        }
    }

    /// Times as a reader wants them; `nil` for one that another line tells.
    private static func row(_ name: String, _ value: JSONValue, now: Double) -> (String, String)? {
        let seconds = Cell.seconds(value) ?? 0
        func span(_ seconds: Double) -> String { TimeText.span(seconds: seconds) }
        func moment(_ seconds: Double) -> String { TimeText.moment(unixSeconds: seconds) }
        switch name {
        case "age_s": return ("began", "\(moment(now - seconds)), \(span(seconds)) ago")
        case "remaining_s":
            return seconds < 0
                ? ("ends", "\(moment(now + seconds)), due since \(span(-seconds))")
                : ("ends", "\(moment(now + seconds)), in \(span(seconds))")
        case "changed_ms": return ("changed", "\(moment(now - seconds / 1_000)), \(span(seconds / 1_000)) ago")
        case "lifetime_ms": return ("lifetime", seconds == 0 ? "" : span(seconds / 1_000))
        case "answered_ms": return ("answered", seconds == 0 ? "" : "\(span(seconds / 1_000)) after it began")
        case "ended_ms": return ("ended", seconds == 0 ? "" : "\(span(seconds / 1_000)) after it began")
        case "deadline_ms", "born_unix_ms": return nil
        default: return (name, Cell.text(value))
        }
    }
}

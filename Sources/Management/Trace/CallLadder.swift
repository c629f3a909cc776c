// CallLadder is one call as all nodes saw it: what each of them kept (`cluster.trace`), laid side by side. A message
// between two nodes was kept twice, and is shown once. Clocks of hosts differ: where a message came before it was sent,
// the receiver's events are moved.
//
// Limit: what the nodes kept. Nothing is shown of a node that could not be asked, and the ladder says so.

package struct CallLadder: Equatable, Sendable {
    package struct Message: Equatable, Sendable {
        package var from: Int
        package var to: Int
        /// `INVITE`, `180 Ringing`
        package var label: String
        package var text: String
        /// It was there before, on the same way.
        package var isRepeated = false
    }

    package enum Row: Equatable, Sendable {
        case message(Message)
        /// What a node did, and which column it is.
        case deed(Int, String)
    }

    /// Who took part, in order of appearance: names of nodes, addresses of others.
    package internal(set) var parties: [String] = []
    /// Unix time in milliseconds, and what happened.
    package internal(set) var rows: [(at: Int64, row: Row)] = []
    package internal(set) var dialogs: [String] = []
    /// One sentence: how the call was answered.
    package internal(set) var outcome = ""
    /// Sentences about what is missing.
    package internal(set) var remarks: [String] = []

    package static func == (left: CallLadder, right: CallLadder) -> Bool {
        left.parties == right.parties && left.dialogs == right.dialogs && left.outcome == right.outcome
            && left.remarks == right.remarks
            && left.rows.elementsEqual(right.rows) { $0.at == $1.at && $0.row == $1.row }
    }

    private struct Event {
        var node: String
        var at: Int64
        var number: Int64
        var kind: String
        var peer: String
        var text: String
    }

    /// - Parameter reports: What each node answered.
    package init(_ reports: [JSONValue]) {
        var names: [String: String] = [:]
        for report in reports {
            for address in report["addresses"]?.elements ?? [] {
                names[address.text ?? ""] = report["node"]?.text
            }
        }
        var events: [Event] = []
        for report in reports { events += Self.events(report, names) }
        let shifts = Self.shifts(events)
        for index in events.indices { events[index].at += shifts[events[index].node] ?? 0 }
        events.sort { ($0.at, $0.node, $0.number) < ($1.at, $1.node, $1.number) }
        show(Self.once(events))
        outcome = Self.outcome(rows, parties)
        dialogs = Self.dialogs(reports)
        for report in reports where report["on"]?.flag == false {
            remarks.append("\(report["node"]?.text ?? "?") keeps no messages: trace.memory-mb is 0 there")
        }
    }

    package var isEmpty: Bool { rows.isEmpty }

    /// Who could not be asked.
    package mutating func addSilent(_ sentences: [String]) { remarks += sentences }

    private static func events(_ report: JSONValue, _ names: [String: String]) -> [Event] {
        let node = report["node"]?.text ?? "?"
        return (report["events"]?.elements ?? []).map { event in
            let peer = event["peer"]?.text ?? ""
            return Event(
                node: node, at: event["at_ms"]?.whole ?? 0, number: event["number"]?.whole ?? 0,
                kind: event["kind"]?.text ?? "", peer: names[peer] ?? peer, text: event["text"]?.text ?? "")
        }
    }

    /// How far each node's clock is behind, as far as that shows: nothing arrives before it is sent.
    private static func shifts(_ events: [Event]) -> [String: Int64] {
        var shifts: [String: Int64] = [:]
        for _ in 0..<4 {
            for sent in events where sent.kind == "sent" {
                guard let got = events.first(where: { isSame(sent, $0) }) else { continue }
                let late = sent.at + (shifts[sent.node] ?? 0) - got.at - (shifts[got.node] ?? 0)
                if late > 0 { shifts[got.node, default: 0] += late }
            }
        }
        return shifts
    }

    private static func isSame(_ sent: Event, _ received: Event) -> Bool {
        received.kind == "received" && received.node == sent.peer && received.peer == sent.node
            && received.text == sent.text
    }

    /// Without the receiver's copy of what another node sent.
    private static func once(_ events: [Event]) -> [Event] {
        var left = events.filter { $0.kind == "sent" }
        return events.filter { event in
            guard event.kind == "received", let at = left.firstIndex(where: { isSame($0, event) }) else { return true }
            left.remove(at: at)
            return false
        }
    }

    private mutating func show(_ events: [Event]) {
        let moments = events.filter { $0.kind == "sent" || $0.kind == "received" }.map(\.at)
        let span = (moments.min() ?? 0) - 1_000...(moments.max() ?? 0) + 60_000
        var seen = Set<String>()
        for event in events {
            switch event.kind {
            case "sent", "received":
                let isSent = event.kind == "sent"
                let (from, to) = isSent ? (event.node, event.peer) : (event.peer, event.node)
                let message = Message(
                    from: column(from), to: column(to), label: Self.label(event.text), text: event.text,
                    isRepeated: !seen.insert("\(from) \(to) \(event.text)").inserted)
                rows.append((event.at, .message(message)))
            case "members" where !span.contains(event.at): break
            default: rows.append((event.at, .deed(column(event.node), event.text)))
            }
        }
    }

    private mutating func column(_ name: String) -> Int {
        if let known = parties.firstIndex(of: name) { return known }
        parties.append(name)
        return parties.count - 1
    }

    /// Method, or status and phrase.
    static func label(_ text: String) -> String {
        let line = text.prefix { $0 != "\r\n" && $0 != "\n" && $0 != "\r" }
        guard line.hasPrefix("SIP/2.0 ") else { return String(line.prefix { $0 != " " }) }
        let method = header("CSeq", text)?.split(separator: " ").last ?? ""
        let status = line.dropFirst(8).prefix(28)
        return method == "INVITE" || method.isEmpty ? String(status) : "\(status) (\(method))"
    }

    static func header(_ name: String, _ text: String) -> String? {
        for line in text.split(separator: "\r\n") where line.lowercased().hasPrefix(name.lowercased() + ":") {
            return line.dropFirst(name.count + 1).trimmingPrefix { $0 == " " }.description
        }
        return nil
    }

    /// How the INVITE that made the call was answered, and by whom first.
    private static func outcome(_ rows: [(at: Int64, row: Row)], _ parties: [String]) -> String {
        var finals: [(status: Int, label: String, by: String)] = []
        for (_, row) in rows {
            guard case .message(let message) = row, let status = status(message.text),
                header("CSeq", message.text)?.hasSuffix(" INVITE") == true
            else { continue }
            if (200..<300).contains(status) { return "answered: \(message.label), by \(parties[message.from])" }
            if status >= 300, !finals.contains(where: { $0.label == message.label }) {
                finals.append((status, message.label, parties[message.from]))
            }
        }
        guard let last = finals.last else { return "no final answer to its INVITE was kept" }
        let others = finals.dropLast().map { "\($0.label) by \($0.by)" }.joined(separator: ", ")
        return "failed: \(last.label), said first by \(last.by)" + (others.isEmpty ? "" : "; before that \(others)")
    }

    private static func status(_ text: String) -> Int? {
        text.hasPrefix("SIP/2.0 ") ? Int(text.dropFirst(8).prefix(3)) : nil
    }

    private static func dialogs(_ reports: [JSONValue]) -> [String] {
        var found: [String: String] = [:]
        for report in reports {
            for dialog in report["dialogs"]?.elements ?? [] {
                let (did, home, actor) = (
                    dialog["did"]?.text ?? "", dialog["home"]?.text ?? "", dialog["actor"]?.text ?? ""
                )
                let state = dialog["state"]?.text ?? ""
                let whose = actor == home || actor.isEmpty ? "home \(home)" : "home \(home), now \(actor) acts for it"
                found[did] = found[did] ?? "dialog \(did): \(state), \(whose)"
            }
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }
}

// `understudy status` as text: this node, its members, its targets. Every line says something that can be acted on
// without the source: who is waited for, since when, and what was never heard.

package enum StatusText {
    package static func text(_ status: JSONValue, width: Int) -> String {
        func text(_ name: String) -> String { Cell.text(status[name]) }
        let view = (status["view"]?.elements ?? []).map(Cell.text).joined(separator: " ")
        let counts = ["unconfirmed", "early", "confirmed_na", "confirmed", "deleted"].map { name in
            "\(name) \(Cell.text(status["dialogs"]?[name]))"
        }
        let build = [text("version"), text("commit").isEmpty ? "" : "commit \(text("commit"))"]
        let version = build.filter { !$0.isEmpty }.joined(separator: ", ")
        var lines = [
            "node      \(text("node")) of \(text("cluster")), \(state(status))",
            "quorum    \(text("quorum"))",
            "view      \(text("epoch") == "0" ? "none yet" : "epoch \(text("epoch")): \(view)")",
            "dialogs   \(Cell.text(status["dialogs"]?["held"])) held, "
                + "\(Cell.text(status["dialogs"]?["acting"])) acted for here",
            "          \(counts.joined(separator: ", "))",
        ]
        if let sealing = status["sealing"], sealing["sending"] != nil { lines.append("key       \(keys(sealing))") }
        if let storage = status["storage"], storage["mode"] != nil { lines.append("storage   \(kept(storage))") }
        if !version.isEmpty { lines.append("version   \(version)") }
        if let script = status["script"], script["version"] != nil {
            lines.append("script    \(Cell.text(script["version"])), \(Cell.text(script["file"]))")
        }
        if let up = Cell.seconds(status["uptime_s"]) { lines.append("up        \(TimeText.span(seconds: up))") }
        lines += ["", members(status, width: width)]
        for stranger in status["strangers"]?.elements ?? [] {
            let seconds = TimeText.span(seconds: Cell.seconds(stranger["silent_s"]) ?? 0)
            lines.append(
                "\(Cell.text(stranger["name"])) sends frames with another cluster.name or cluster "
                    + "key, last \(seconds) ago"
            )
        }
        for member in status["members"]?.elements ?? [] {
            let keys = (member["differs"]?.elements ?? []).map(Cell.text).joined(separator: ", ")
            guard !keys.isEmpty else { continue }
            lines.append("\(Cell.text(member["name"])) differs from this node in \(keys)")
        }
        for member in status["members"]?.elements ?? [] where member["self"]?.flag != true {
            let version = Cell.text(member["version"])
            guard !version.isEmpty, !text("version").isEmpty, version != text("version") else { continue }
            lines.append("\(Cell.text(member["name"])) is of version \(version)")
        }
        if let targets = status["targets"]?.elements, !targets.isEmpty {
            lines += ["", self.targets(targets, width: width)]
        }
        return lines.joined(separator: "\n")
    }

    /// `1a2b3c4d`; while keys are changed `1a2b3c4d seals, 9f8e7d6c is held too; not by n2`
    private static func keys(_ sealing: JSONValue) -> String {
        let sending = Cell.text(sealing["sending"])
        let held = (sealing["held"]?.elements ?? []).map(Cell.text)
        guard let other = held.first(where: { $0 != sending }) else { return sending }
        let without = (sealing["members"]?.elements ?? []).filter { member in
            !(member["held"]?.elements ?? []).map(Cell.text).contains(other)
        }.map { Cell.text($0["name"]) }
        let lack = without.isEmpty ? "" : "; not by \(without.joined(separator: ", "))"
        return "\(sending) seals, \(other) is held too\(lack)"
    }

    /// `mode 1, all stored`; `mode 1, 120 records not stored for 14 s: the last attempt failed; 3 rows held back`
    private static func kept(_ storage: JSONValue) -> String {
        var text = "mode \(Cell.text(storage["mode"]))"
        let (lag, heldBack) = (Cell.text(storage["lag_records"]), Cell.text(storage["held_back"]))
        switch Cell.text(storage["state"]) {
        case "opening": text += ", is not there"
        case "waiting": text += ", waits for the members to say what is to be read"
        case "loading": text += ", is being read"
        default:
            let seconds = TimeText.span(seconds: Cell.seconds(storage["lag_s"]) ?? 0)
            text += lag == "0" ? ", all stored" : ", \(lag) records not stored for \(seconds)"
        }
        if storage["failing"]?.flag == true { text += "; the last attempt failed" }
        return heldBack == "0" ? text : "\(text); \(heldBack) rows held back"
    }

    private static func state(_ status: JSONValue) -> String {
        let (state, reason) = (Cell.text(status["state"]), Cell.text(status["not_ready_reason"]))
        if reason.isEmpty { return "\(state), ready" }
        // The reason of a joining node begins with its state.
        return reason.hasPrefix(state) ? reason : "\(state): \(reason)"
    }

    private static func members(_ status: JSONValue, width: Int) -> String {
        var table = Table(["MEMBER", "STATE", "BEHIND", "BUS", "MANAGEMENT"], numeric: [2], elastic: [0, 3, 4])
        for member in status["members"]?.elements ?? [] {
            let isSelf = member["self"]?.flag == true
            var name = Cell.text(member["name"])
            if name.isEmpty { name = "?" }
            if isSelf { name += " *" }
            table.add([
                name, standing(member), isSelf ? "" : behind(member), Cell.text(member["bus"]),
                Cell.text(member["url"]),
            ])
        }
        return table.text(width: width)
    }

    private static func standing(_ member: JSONValue) -> String {
        let state = Cell.text(member["state"])
        let silent = TimeText.column(seconds: Cell.seconds(member["silent_s"]) ?? 0)
        var text: String
        switch state {
        case "absent": text = "never heard"
        case "down": text = member["gone"]?.flag == true ? "down, gone \(silent)" : "down, silent \(silent)"
        case "left": text = "left \(silent) ago"
        default: text = state
        }
        if member["witness"]?.flag == true { text += ", witness" }
        if member["listed"]?.flag == false { text += ", not in cluster.peers" }
        return text
    }

    private static func behind(_ member: JSONValue) -> String {
        guard ["joining", "up", "draining"].contains(Cell.text(member["state"])) else { return "-" }
        let frames = Cell.text(member["lag_frames"])
        let milliseconds = Cell.seconds(member["lag_ms"]) ?? 0
        return milliseconds == 0 ? frames : "\(frames), \(Int(milliseconds)) ms"
    }

    private static func targets(_ targets: [JSONValue], width: Int) -> String {
        let columns = ["set", "uri", "state", "changed_s", "policy", "probed", "requests", "silences"]
        var table = Table(
            ["SET", "TARGET", "STATE", "SINCE", "POLICY", "PROBED", "REQUESTS", "SILENT"], numeric: [3, 6, 7],
            elastic: [0, 1])
        for target in targets {
            var row = columns.map { Cell.text(target[$0]) }
            row[3] = TimeText.column(seconds: Cell.seconds(target["changed_s"]) ?? 0)
            table.add(row)
        }
        return table.text(width: width)
    }
}

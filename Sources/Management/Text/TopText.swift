// What `understudy top` shows: a line a node, rates from two looks at its counters.

package enum TopText {
    /// - Parameters:
    ///   - before: What each node said at the last look, by name; a node that has restarted since begins anew.
    ///   - silent: Who could not be asked, and why.
    package static func text(
        _ now: [JSONValue], before: [JSONValue], silent: [(name: String, why: String)], width: Int
    ) -> String {
        var table = Table(
            [
                "NODE", "STATE", "CPS", "ASR", "REQ/S", "2XX", "3XX", "4XX", "5XX", "6XX", "HELD", "ACTS", "RING",
                "OPEN", "LAG", "CPU",
            ],
            numeric: Array(2...15), elastic: [0])
        var (dialogs, calls) = (Int64(0), 0.0)
        for look in now {
            let name = look["node"]?.text ?? "?"
            let last = before.first { $0["node"]?.text == name }
            let rates = Rates(look, last)
            dialogs += whole(look["acting"])
            calls += rates.calls ?? 0
            table.add(
                [
                    name, look["state"]?.text ?? "?", shown(rates.calls), rates.answered.map { "\($0)%" } ?? "-",
                    shown(rates.requests), shown(rates.classes[1]), shown(rates.classes[2]), shown(rates.classes[3]),
                    shown(rates.classes[4]), shown(rates.classes[5]), String(whole(look["held"])),
                    String(whole(look["acting"])), String(whole(look["ringing"])), String(whole(look["transactions"])),
                    "\(whole(look["lag_ms"]))ms", rates.cpu.map { "\($0)%" } ?? "-",
                ])
        }
        for (name, why) in silent {
            table.add([name, "?"] + Array(repeating: "-", count: 14))
            _ = why
        }
        let head = "\(now.count) nodes, \(dialogs) dialogs, \(shown(calls)) calls/s"
        return ([head, table.text(width: width)] + silent.map { "\($0.name): \($0.why)" }).joined(separator: "\n")
    }

    private struct Rates {
        var calls: Double?
        var requests: Double?
        var classes: [Double?] = Array(repeating: nil, count: 6)
        /// Of the calls tried since the last look, as many in a hundred were answered meanwhile.
        var answered: Int64?
        var cpu: Int64?

        init(_ now: JSONValue, _ before: JSONValue?) {
            let time = whole(now["uptime_ms"]) - whole(before?["uptime_ms"])
            guard let before, time > 0 else { return }
            func grown(_ name: String) -> Int64 { whole(now[name]) - whole(before[name]) }
            func rate(_ count: Int64) -> Double { Double(count) * 1_000 / Double(time) }
            calls = rate(grown("calls_tried"))
            requests = rate(grown("requests"))
            let (new, old) = (now["answers"]?.elements ?? [], before["answers"]?.elements ?? [])
            for index in classes.indices where new.indices.contains(index) && old.indices.contains(index) {
                classes[index] = rate(whole(new[index]) - whole(old[index]))
            }
            if grown("calls_tried") > 0 { answered = min(100, grown("calls_answered") * 100 / grown("calls_tried")) }
            cpu = grown("cpu_us") / 10 / time
        }
    }

    private static func whole(_ value: JSONValue?) -> Int64 { value?.whole ?? 0 }

    private static func shown(_ rate: Double?) -> String {
        guard let rate else { return "-" }
        return rate >= 100 || rate == 0 ? String(Int(rate.rounded())) : "\((rate * 10).rounded() / 10)"
    }
}

// `understudy status`: one node's view of itself and its cluster.

import ArgumentParser
import Management

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Members, view, quorum, dialogs by state, lag to each peer.",
        discussion: """
            JSON: {"node","cluster","state","ready","not_ready_reason","quorum","epoch","incarnation","transactions",\
            "uptime_s","view":[NAME],"dialogs":{"unconfirmed","early","confirmed_na","confirmed","deleted","held",\
            "acting"},"members":[{"name","state","incarnation","bus","url","self","in_view","fit","lag_frames",\
            "lag_ms","applied","acknowledged"}],"targets":[{"set","uri","policy","state","probed","changed_s","streak",\
            "probes","requests","silences"}]}. held counts live records, home and replicas; acting those this node \
            acts for.
            """)

    @OptionGroup var options: NodeOptions
    @Flag(help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        let status = try await options.call("cluster.status")
        Console.print(json ? status.sorted.printed : Self.table(status))
    }

    static func table(_ status: JSONValue) -> String {
        func text(_ name: String) -> String { status[name].map(Cell.text) ?? "" }
        let reason = text("not_ready_reason")
        let view = (status["view"]?.elements ?? []).map(Cell.text).joined(separator: " ")
        let counts = ["unconfirmed", "early", "confirmed_na", "confirmed", "deleted", "held", "acting"].map { name in
            "\(name) \(status["dialogs"]?[name].map(Cell.text) ?? "")"
        }
        var lines = [
            "node      \(text("node")) of \(text("cluster")), \(text("state"))\(reason.isEmpty ? "" : ": \(reason)")",
            "quorum    \(text("quorum"))",
            "view      epoch \(text("epoch")): \(view)",
            "dialogs   \(counts.joined(separator: ", "))",
            "",
        ]
        var table = Table(
            ["MEMBER", "STATE", "LAG FRAMES", "LAG MS", "APPLIED", "BUS", "MANAGEMENT"], numeric: [2, 3, 4])
        for member in status["members"]?.elements ?? [] {
            let columns = ["name", "state", "lag_frames", "lag_ms", "applied", "bus", "url"]
            var row = columns.map { member[$0].map(Cell.text) ?? "" }
            if row[0].isEmpty { row[0] = "(never heard)" }
            if member["self"]?.flag == true { row[0] += " *" }
            table.add(row)
        }
        lines.append(table.text)
        if let targets = status["targets"]?.elements, !targets.isEmpty {
            lines += ["", self.table(ofTargets: targets)]
        }
        return lines.joined(separator: "\n")
    }
}

extension Status {
    static func table(ofTargets targets: [JSONValue]) -> String {
        let columns = ["set", "uri", "state", "changed_s", "policy", "probed", "requests", "silences"]
        var table = Table(
            ["SET", "TARGET", "STATE", "SINCE S", "POLICY", "PROBED", "REQUESTS", "SILENCES"], numeric: [3, 6, 7])
        for target in targets { table.add(columns.map { target[$0].map(Cell.text) ?? "" }) }
        return table.text
    }
}

/// A JSON value as a cell of a table.
enum Cell {
    static func text(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .bool(let flag): flag ? "yes" : "no"
        case .integer(let number): String(number)
        case .number(let number): "\((number * 10).rounded() / 10)"
        case .string(let text): text
        case .array(let elements): elements.map(text).joined(separator: " ")
        case .object(let members): members.map { "\($0.name)=\(text($0.value))" }.joined(separator: " ")
        }
    }
}

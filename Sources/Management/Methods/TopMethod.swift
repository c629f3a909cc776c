// `cluster.top`: the numbers of a node that `understudy top` makes rates of.

import Node

/// Part of `understudy top`.
enum ClusterTop: RPCMethod {
    static let name = "cluster.top"
    static let parameters: [String] = []
    static let summary = """
        Counters and gauges of one node for a live view: requests, answers by class, calls tried and answered, \
        dialogs, transactions, lag, CPU time. Rates follow from two of them.
        """
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let status = try await context.node.status()
        var values: [String: Int64] = [:]
        var answers = Array(repeating: Int64(0), count: 6)
        for metric in try await context.node.metrics() {
            if metric.name == "understudy_sip_answers_total",
                let digit = metric.labels.first?.value.first?.wholeNumberValue,
                (1...6).contains(digit)
            {
                answers[digit - 1] = metric.value
            }
            if metric.labels.isEmpty { values[metric.name] = metric.value }
        }
        let lag = status.members.filter { !$0.isSelf && $0.state == "up" }.map(\.lagMilliseconds).max() ?? 0
        return [
            "node": .string(status.node), "state": .string(status.state),
            "uptime_ms": .count(status.uptimeMilliseconds),
            "requests": .count(values["understudy_sip_requests_total"] ?? 0),
            "calls_tried": .count(values["understudy_calls_tried_total"] ?? 0),
            "calls_answered": .count(values["understudy_calls_answered_total"] ?? 0),
            "answers": .array(answers.map { .count($0) }),
            "cpu_us": .count(values["process_cpu_seconds_total"] ?? 0),
            "held": .count(status.dialogs.held), "acting": .count(status.dialogs.acting),
            "ringing": .count(status.dialogs.early + status.dialogs.unconfirmed),
            "transactions": .count(status.openTransactions), "lag_ms": .count(lag),
        ]
    }
}

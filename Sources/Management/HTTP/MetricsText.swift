// The Prometheus text format (version 0.0.4) of a node's counters, with the gauges that follow from its status.
// Metrics of one name must stand together; they keep the order of their first appearance.

import Node

enum MetricsText {
    static func render(_ status: StatusReport, _ counters: [MetricReport]) -> String {
        var order: [String] = []
        var groups: [String: [MetricReport]] = [:]
        for metric in gauges(status) + counters {
            if groups[metric.name] == nil { order.append(metric.name) }
            groups[metric.name, default: []].append(metric)
        }
        var text = ""
        for name in order {
            guard let group = groups[name], let first = group.first else { continue }
            text += "# HELP \(name) \(escaped(first.help, quotes: false))\n# TYPE \(name) \(first.kind.rawValue)\n"
            for metric in group { text += "\(name)\(labels(metric.labels)) \(metric.value)\n" }
        }
        return text
    }

    private static func gauges(_ status: StatusReport) -> [MetricReport] {
        func gauge(_ name: String, _ help: String, _ value: Int64, _ labels: [(String, String)] = []) -> MetricReport {
            let labels = labels.map { MetricReport.Label(name: $0.0, value: $0.1) }
            return MetricReport(name: name, help: help, kind: .gauge, labels: labels, value: value)
        }
        let counts = status.dialogs
        let states = [
            ("unconfirmed", counts.unconfirmed), ("early", counts.early),
            ("confirmed_na", counts.confirmedNotAcknowledged), ("confirmed", counts.confirmed),
            ("deleted", counts.deleted),
        ]
        var gauges = states.map { state, count in
            gauge("understudy_dialogs", "Dialogs held, by state", Int64(count), [("state", state)])
        }
        if !status.version.isEmpty {
            let labels = [("version", status.version), ("commit", status.commit), ("build", status.build)]
            gauges.append(gauge("understudy_build_info", "Which build runs; always 1", 1, labels))
        }
        gauges += [
            gauge(
                "understudy_draining", "1 while balancers are told to send no new calls",
                status.state == "draining" ? 1 : 0),
            gauge("understudy_dialogs_held", "Live dialogs, home and replicas", Int64(counts.held)),
            gauge("understudy_dialogs_acting", "Live dialogs this node acts for", Int64(counts.acting)),
            gauge(
                "understudy_ready", "1 when balancers may send new calls here", status.notReadyReason.isEmpty ? 1 : 0),
            gauge("understudy_quorum", "1 when a majority is there", status.quorum == "held" ? 1 : 0),
            gauge("understudy_view_epoch", "Epoch of the view", Int64(clamping: status.epoch)),
            gauge("understudy_view_members", "Members of the view", Int64(status.view.count)),
            gauge("understudy_uptime_seconds", "Since the process began", status.uptimeMilliseconds / 1_000),
        ]
        for member in status.members where !member.isSelf && !member.name.isEmpty {
            let label = [("member", member.name)]
            gauges += [
                gauge("understudy_member_up", "1 when the member is up", member.state == "up" ? 1 : 0, label),
                gauge("understudy_member_lag_frames", "Frames not applied yet", Int64(member.lagFrames), label),
            ]
        }
        return gauges
    }

    private static func labels(_ labels: [MetricReport.Label]) -> String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",") + "}"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.append(character)
            }
        }
        return result
    }
}

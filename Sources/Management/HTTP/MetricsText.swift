// The Prometheus text format (version 0.0.4) of a node's counters, with the gauges that follow from its status.
// Metrics of one name must stand together; they keep the order of their first appearance.

import Node

enum MetricsText {
    static func render(_ status: StatusReport, _ counters: [MetricReport]) -> String {
        var order: [String] = []
        var groups: [String: [MetricReport]] = [:]
        for metric in gauges(status) + counters {
            if groups[metric.family] == nil { order.append(metric.family) }
            groups[metric.family, default: []].append(metric)
        }
        var text = ""
        for name in order {
            guard let group = groups[name], let first = group.first else { continue }
            text += "# HELP \(name) \(escaped(first.help, quotes: false))\n# TYPE \(name) \(first.kind.rawValue)\n"
            for metric in group {
                let value = MetricReport.decimal(metric.value, over: metric.divisor)
                text += "\(metric.name)\(labels(metric.labels)) \(value)\n"
            }
        }
        return text
    }

    private static func gauges(_ status: StatusReport) -> [MetricReport] {
        func gauge(_ name: String, _ help: String, _ value: Int64, _ labels: [(String, String)] = []) -> MetricReport {
            let labels = labels.map { MetricReport.Label(name: $0.0, value: $0.1) }
            return MetricReport(name: name, help: help, kind: .gauge, labels: labels, value: value)
        }
        func seconds(_ name: String, _ help: String, _ value: Int64, _ labels: [(String, String)]) -> MetricReport {
            var report = gauge(name, help, value, labels)
            report.divisor = 1_000
            return report
        }
        func counter(
            _ name: String, _ help: String, _ value: some BinaryInteger, _ labels: [(String, String)]
        ) -> MetricReport {
            var report = gauge(name, help, Int64(clamping: value), labels)
            report.kind = .counter
            return report
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
                seconds(
                    "understudy_member_lag_seconds", "For how long they have not been", member.lagMilliseconds, label),
                seconds(
                    "understudy_member_silent_seconds", "Since the member was last heard", member.silentMilliseconds,
                    label),
            ]
        }
        for target in status.targets {
            let label = [("set", target.set), ("uri", target.uri)]
            gauges += [
                gauge("understudy_target_up", "1 when the target answers", target.state == "up" ? 1 : 0, label),
                counter("understudy_target_requests_total", "Requests that went to the target", target.requests, label),
                counter("understudy_target_silences_total", "Of these, not answered", target.silences, label),
                counter("understudy_target_probes_total", "OPTIONS sent to the target", target.probes, label),
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

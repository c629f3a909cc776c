// What a node's script does, as metrics: always there, at 0 without a script, so that alerts can be written for them.

package import Node
internal import Primitives
internal import Routes

package enum ScriptMetrics {
    package static func reports(_ judge: ScriptJudge?) -> [MetricReport] {
        let counters = judge?.counters ?? ScriptEngine.Counters()
        func counter(_ name: String, _ help: String, _ value: UInt64) -> MetricReport {
            MetricReport(
                name: "understudy_script_\(name)_total", help: help, kind: .counter, value: Int64(clamping: value))
        }
        func gauge(_ name: String, _ help: String, _ value: Int) -> MetricReport {
            MetricReport(name: "understudy_script_\(name)", help: help, kind: .gauge, value: Int64(value))
        }
        var reports = [
            counter("runs", "Routes of the script that were run", counters.runs),
            counter("errors", "Runs that ended with an error", counters.errors),
            counter("step_limits", "Of these, runs that took too many steps", counters.stepLimits),
            counter("memory_limits", "Of these, runs that wanted too much memory", counters.memoryLimits),
            counter("waits", "Runs that waited", counters.waits),
            gauge("memory_bytes", "Bytes that the script's state takes", judge?.memory ?? 0),
            gauge("transactions", "Transactions whose values are kept for the script", judge?.transactionCount ?? 0),
        ]
        let media = judge?.mediaRelays.counters ?? MediaRelays.Counters()
        reports += [
            counter("media_commands", "Commands that media relays were asked for", media.asked),
            counter("media_refusals", "Commands that a media relay has refused", media.refused),
            counter("media_failures", "Commands that no media relay has answered", media.failed),
            counter("media_retransmissions", "Commands sent again to the same relay", media.retransmitted),
            counter("media_failovers", "Commands sent to another relay, since one could not", media.failovers),
            counter("media_stray", "Datagrams to the relays' socket that answered nothing", media.stray),
            counter("media_overflowed", "Commands that there was no room, or no relay, for", media.overflowed),
            gauge("media_pending", "Commands that wait for a relay", judge?.mediaRelays.pendingCount ?? 0),
        ]
        for kind in RouteKind.allCases {
            reports += MetricReport.histogram(
                "understudy_script_run_seconds", "How long runs of the script take, by the route",
                judge?.times[kind] ?? Histogram(), labels: [.init(name: "route", value: kind.name)])
        }
        return reports
    }
}

extension RouteKind {
    /// As the metrics name it.
    var name: String {
        switch self {
        case .request: "request"
        case .reply: "reply"
        case .branch: "branch"
        case .onsend: "onsend"
        case .onreply: "onreply"
        case .branchFailure: "branch_failure"
        case .failure: "failure"
        case .event: "event"
        }
    }
}

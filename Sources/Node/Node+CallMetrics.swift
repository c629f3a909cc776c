// What an operator looks at first: calls tried and answered, requests by method, answers by class, and how long things
// take.

import Primitives
import Proxy
import SIP

extension Node {
    func callMetrics() -> [MetricReport] {
        let sip = proxy.counters
        var reports = [
            counter("calls_tried", "INVITEs that made a dialog here", sip.callsTried),
            counter("calls_answered", "Of these, answered 2xx through this node", sip.callsAnswered),
            MetricReport(
                name: "understudy_trace_entries", help: "Messages and deeds kept for traces", kind: .gauge,
                value: Int64(trace.count)),
            MetricReport(
                name: "understudy_trace_bytes", help: "What they fill; trace.memory-mb bounds it", kind: .gauge,
                value: Int64(trace.byteCount)),
        ]
        for method in Method.allCases {
            let name = method == .other ? "other" : method.name.description
            reports.append(
                MetricReport(
                    name: "understudy_sip_requests_by_method_total", help: "Requests received, by method",
                    kind: .counter, labels: [MetricReport.Label(name: "method", value: name)],
                    value: Int64(clamping: proxy.requestsByMethod[Int(method.rawValue)])))
        }
        for digit in 1...6 {
            reports.append(
                MetricReport(
                    name: "understudy_sip_answers_total",
                    help: "Answers sent to who asked, by class, without repetitions",
                    kind: .counter, labels: [MetricReport.Label(name: "class", value: "\(digit)xx")],
                    value: Int64(clamping: proxy.answersByClass[digit])))
        }
        return reports
            + MetricReport.histogram(
                "understudy_call_setup_seconds", "From an INVITE to its 2xx, ringing included", proxy.setUpTimes)
            + MetricReport.histogram(
                "understudy_commit_wait_seconds", "For how long 2xx were held for a commit", proxy.commitWaits)
            + MetricReport.histogram(
                "understudy_member_lag_duration_seconds", "Lag of live members, each time it was looked at", memberLags)
            + MetricReport.histogram(
                "understudy_takeover_duration_seconds",
                "From a view without a member to the moment when all its dialogs have been looked at", takeoverTimes)
    }
}

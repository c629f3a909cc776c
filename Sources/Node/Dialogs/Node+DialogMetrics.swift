// The module's statistics, what scripts write and what is told of dialogs, for Prometheus.

import Proxy

extension Node {
    func dialogMetrics() -> [MetricReport] {
        let (all, own) = (statistics(), statistics(ofThisNode: true))
        return [
            gauge("dialogs_active", "Answered dialogs of the cluster", all.active),
            gauge("dialogs_own_active", "Of these, the ones that this node is the home of", own.active),
            counter("dialogs_processed", "Dialogs of the cluster that this node has heard of", all.processed),
            counter("dialogs_own_processed", "Of these, the ones that this node is the home of", own.processed),
            counter("dialogs_expired", "Dialogs of the cluster that ended because their time was up", all.expired),
            counter("dialogs_own_expired", "Of these, the ones that this node is the home of", own.expired),
            counter("dialogs_failed", "Dialogs of the cluster whose INVITE failed", all.failed),
            counter("dialogs_own_failed", "Of these, the ones that this node is the home of", own.failed),
            counter("dialog_changes", "Writes of variables, profiles and flags on this node", counters.changesWritten),
            counter(
                "dialog_changes_refused", "Writes that were refused: the record takes no more",
                counters.changesRefused),
            counter(
                "dialog_facts_left_out", "Variables and profiles of routes that did not fit",
                proxy.counters.dialogFactsLeftOut),
            counter("dialog_events", "Events of dialogs' lives that this node told", counters.eventsTold),
            counter(
                "dialog_events_repeated", "Of these, told again since no program had confirmed them",
                counters.eventsRepeated),
            counter(
                "dialog_events_put_off", "Dialogs not told of at once, since too many wait for a confirmation",
                counters.eventsPutOff),
            gauge("dialog_events_unconfirmed", "Dialogs of which no program has confirmed an event", unconfirmed.count),
            counter("dialog_events_unmarked", "Of these, not marked as told", counters.eventsUnmarked),
            counter("dialog_events_lost", "Ends that nobody told before their record was forgotten", store.untold),
        ] + requestMetrics()
    }

    private func requestMetrics() -> [MetricReport] {
        [
            counter(
                "dialog_requests_asked", "Requests within dialogs that this node was asked for",
                counters.requestsAsked),
            counter("dialog_requests_refused", "Those that it refused at once", counters.requestsRefused),
            counter("dialog_requests_accepted", "Those that were answered 2xx", counters.requestsAccepted),
            counter(
                "dialog_requests_failed", "Those with another final answer, or none", counters.requestsFailed),
            counter(
                "dialog_requests_not_made", "Those that did not leave: a member did not take the shift",
                counters.requestsNotMade),
            counter(
                "dialog_requests_overtaken", "Those in whose place another node's was made",
                counters.requestsOvertaken),
            counter(
                "dialog_requests_inherited", "Those of dead nodes that this one took up", counters.requestsInherited),
            counter("dialog_requests_given_up", "Those of dead nodes that it gave up", counters.requestsGivenUp),
            counter(
                "dialog_requests_unwatched", "Those of other members that it has no room to watch",
                counters.requestsUnwatched),
            counter("dialog_requests_unmarked", "Results that the record did not take", counters.requestsUnmarked),
            counter(
                "dialog_requests_sent", "Requests within dialogs that were sent, without repetitions",
                proxy.counters.requestsWithin),
            counter("dialog_refers_made", "Calls that phones tell to have made for a REFER", counters.refersMade),
            counter("dialog_refers_failed", "Calls that phones tell not to have made", counters.refersFailed),
            counter("dialog_bridges", "Bridges that somebody has asked this node for", counters.bridgesAsked),
            counter("dialog_bridges_failed", "Bridges whose first phone did not answer", counters.bridgesFailed),
            counter(
                "sip_requests_to_the_cluster", "Requests within dialogs that were for the cluster itself",
                proxy.counters.ownAnswered),
            counter("sip_requests_moved", "Requests whose CSeq was moved for these", proxy.counters.requestsMoved),
            counter(
                "sip_cseqs_used_up", "Requests whose moved CSeq would not fit 32 bits: refused, but for an ACK",
                proxy.counters.numbersUsedUp),
        ]
    }
}

// The node's counters and gauges under the names that Prometheus sees, one row each: the table below is the reference
// page. What follows from `status` (dialogs by state, members, lag) is added by management itself.

import Cluster
import Dialogs
package import Primitives
import Proxy
import SIP

extension Node {
    package func metrics(now: Instant) -> [MetricReport] {
        sipMetrics() + routingMetrics() + dnsMetrics() + takeoverMetrics() + keepAliveMetrics() + clusterMetrics()
            + boundMetrics() + callMetrics() + dialogMetrics() + registrarMetrics() + storageMetrics(now: now)
            + gauges(now: now)
    }

    /// Those of requests and where they go alone: few enough to be looked at each second (`NodeWatch`).
    package func watchedMetrics() -> [MetricReport] { sipMetrics() + routingMetrics() }

    func counter(_ name: String, _ help: String, _ value: UInt64) -> MetricReport {
        MetricReport(name: "understudy_\(name)_total", help: help, kind: .counter, value: Int64(clamping: value))
    }

    func gauge(_ name: String, _ help: String, _ value: Int) -> MetricReport {
        MetricReport(name: "understudy_\(name)", help: help, kind: .gauge, value: Int64(value))
    }

    private func sipMetrics() -> [MetricReport] {
        let sip = proxy.counters
        return [
            counter("sip_requests", "Requests received", sip.requests),
            counter("sip_responses", "Responses received", sip.responses),
            counter("sip_forwarded", "Requests forwarded", sip.forwarded),
            counter("sip_malformed", "Messages that could not be read", sip.malformed),
            counter("sip_dropped", "Messages dropped: no way to answer or forward them", sip.dropped),
            counter("sip_rejected", "Requests the proxy refused itself", sip.rejected),
            counter("sip_overloaded", "Requests refused because too many transactions were open", sip.overloaded),
            counter(
                "sip_shed", "New requests refused: datagrams stood in the socket for too long (limits.overload-ms)",
                sip.shed),
            counter("sip_emergency_calls", "Emergency calls tried on this node", sip.emergencyCalls),
            counter(
                "sip_retransmissions_absorbed", "Repeated messages that went no further", sip.retransmissionsAbsorbed),
            counter("sip_retransmissions_sent", "Messages this node sent again", sip.retransmissionsSent),
            counter("sip_stray_responses", "Responses that belong to nothing here", sip.strayResponses),
            counter("sip_passed_to_owner", "Responses passed to the live member that owns them", sip.passedToOwner),
            counter(
                "sip_foreign_absorbed", "Messages of another member's transaction, turned into facts",
                sip.foreignAbsorbed),
            counter(
                "sip_stale_dropped", "Requests that had waited in the socket for more than two seconds",
                sip.staleDropped),
            counter("sip_held_responses", "2xx responses held for a commit", sip.heldResponses),
            counter("sip_flows_closed", "Connections whose end this node was told", counters.flowsClosed),
            counter(
                "sip_passed_to_flow", "Requests passed to the member that holds their connection", sip.passedToFlow),
            counter("sip_relayed", "INVITEs relayed to other members while this node drained", sip.relayed),
            counter("sip_relayed_anew", "Of these, relayed again to another member", sip.relayedAnew),
            counter(
                "sip_relays_refused", "INVITEs refused 503 while this node drained and no member took calls",
                sip.relaysRefused),
            counter("sip_relayed_here", "INVITEs that draining members relayed to this node", sip.relayedHere),
            counter(
                "sip_relayed_answers_stray", "Answers to relayed INVITEs that are not here, sent on by their Via",
                sip.relayedAnswersStray),
            counter("sip_flows_gone", "Requests refused 430: their connection has ended", sip.flowsGone),
            counter(
                "sip_refusals_acknowledged", "ACKs of refusals of the cluster's own within dialogs",
                sip.refusalsAcknowledged),
            counter(
                "sip_refusals_forgotten", "Refusals within dialogs whose ACK can be told by the record only",
                sip.refusalsForgotten),
            counter("dialogs_route_hint_mismatches", "Routes whose did named another dialog", sip.routeHintMismatches),
            counter("dialogs_unseen_ack", "Dialogs whose ACK no node saw", sip.dialogsUnseenAcknowledgement),
        ]
    }

    private func routingMetrics() -> [MetricReport] {
        let sip = proxy.counters
        return [
            counter("sip_branches_added", "Branches beyond the first of their request", sip.branchesAdded),
            counter("sip_branches_refused", "Branches that one request had too many of", sip.branchesRefused),
            counter("sip_failovers", "Branches that another address of their target took over", sip.failovers),
            counter(
                "sip_transport_errors", "Requests and CANCELs given up because there was no way to send them",
                sip.transportErrors),
            counter(
                "sip_challenges_left_out", "Challenges that did not fit into the answer chosen", sip.challengesLeftOut),
            counter(
                "sip_late_answers_ended", "Callees that answered after another one, ended by ACK and BYE",
                sip.lateAnswersEnded),
            counter(
                "sip_reasons_left_out", "CANCELs whose Reasons were too long to be copied whole", sip.reasonsLeftOut),
            counter("sip_access_denied", "Requests that the access list refused", sip.accessDenied),
            counter(
                "sip_rate_limited_source", "Requests refused: too many from their source", sip.rateLimitedSource),
            counter("sip_rate_limited_total", "Requests refused: too many from all sources", sip.rateLimitedTotal),
            counter("target_probes", "OPTIONS sent to targets of static routes", sip.probes),
            counter("targets_went_down", "Targets that stopped answering", sip.targetsWentDown),
            counter("targets_came_up", "Targets that answered again", sip.targetsCameUp),
            counter("all_targets_down", "Requests for a set without a target that is up", sip.allTargetsDown),
        ]
    }

    private func downCount(now: Instant) -> Int {
        proxy.targets(now: now).count { !$0.isUp }
    }

    private func dnsMetrics() -> [MetricReport] {
        let dns = resolver.counters
        return [
            counter("dns_resolutions", "Look-ups of where to send", dns.resolutions),
            counter("dns_resolutions_empty", "Look-ups that ended without an address", dns.empty),
            counter("dns_cache_hits", "Questions answered from the cache", dns.hits),
            counter("dns_cache_misses", "Questions the servers were needed for", dns.misses),
            counter("dns_cache_evicted", "Answers pushed out of a full cache", dns.evicted),
            counter("dns_stale_answers", "Questions answered by an expired answer, for want of a newer one", dns.stale),
            counter("dns_questions", "Questions asked", dns.asked),
            counter("dns_failures", "Questions without an answer", dns.failures),
            counter("dns_timeouts", "Questions nobody answered in time", dns.timeouts),
            counter("dns_malformed", "Answers that could not be read", dns.malformed),
            counter("dns_late", "Answers nobody waited for any more", dns.late),
            counter(
                "dns_refused", "Look-ups and questions refused because too many were under way",
                dns.questionsRefused &+ dns.resolutionsRefused),
            counter("peers_refused", "Addresses of cluster.dns beyond the limit", counters.peersRefused),
        ]
    }

    private func takeoverMetrics() -> [MetricReport] {
        let sip = proxy.counters
        return [
            counter(
                "takeovers", "Expired dialogs this node asked to end for a home that is not fit", counters.takeovers),
            counter("takeover_early", "Call set-ups of dead nodes finished here", sip.takeoverEarly),
            counter("takeover_resent", "2xx responses of dead nodes sent again here", sip.takeoverResent),
            counter(
                "takeover_adopted", "INVITEs that came again here, of dead nodes or of who gave one up", sip.adopted),
            counter("sip_attempts_cut", "requests whose Call-ID has more records than are looked at", sip.attemptsCut),
            counter(
                "takeover_unreachable", "Callers of dead nodes without a way to answer them", sip.takeoverUnreachable),
            counter("byes_generated", "BYEs the cluster made, sent by this node", sip.byesGenerated),
            counter("intents", "Questions whether a dialog may be ended", counters.intentsAsked),
            counter("intents_granted", "Questions granted by a majority", counters.intentsGranted),
            counter("intents_refused", "Questions refused by a member that knew better", counters.intentsRefused),
            counter(
                "commits_unacknowledged", "Responses that went out without the peers they waited for",
                counters.uncommitted),
            counter("refresh_uncommitted", "Refreshes that went out uncommitted", counters.refreshUncommitted),
        ]
    }

    private func keepAliveMetrics() -> [MetricReport] {
        let sip = proxy.counters
        return [
            counter("keepalives_sent", "OPTIONS within dialogs sent to phones", sip.keepAlivesSent),
            counter("keepalives_failed", "Of these, answered 408 or 481, or not at all", sip.keepAlivesFailed),
            counter(
                "keepalives_unsendable", "Phones not asked because no way leads to them now", sip.keepAlivesUnsendable),
            counter(
                "keepalives_put_off", "Dialogs looked at late because too many were due at once", sip.keepAlivesPutOff),
            counter(
                "keepalives_refused", "Dialogs not watched because too many are", sip.keepAlivesRefused),
            counter(
                "dialogs_ended_by_keepalive", "Dialogs ended because a phone does not answer, or has them no more",
                sip.dialogsEndedByKeepAlive),
        ]
    }

    private func clusterMetrics() -> [MetricReport] {
        let bus = cluster.counters
        return [
            counter("bus_frames_sent", "Frames published", bus.framesOut),
            counter("bus_frames_received", "Frames received", bus.framesIn),
            counter("bus_bytes_sent", "Bytes published", bus.bytesOut),
            counter("bus_bytes_received", "Bytes received", bus.bytesIn),
            counter("bus_frames_malformed", "Frames that could not be read", bus.malformedFrames),
            counter(
                "bus_frames_foreign", "Frames of another cluster or version", bus.foreignCluster &+ bus.foreignVersion),
            counter("bus_gaps", "Gaps found in peers' streams", bus.gaps),
            counter("bus_repairs", "Sequences mended by asking for them", bus.repairsIn),
            counter("bus_parked", "Facts that came before their record", bus.parked),
            counter(
                "bus_unsent", "Facts that no frame took, for their size or because too many waited", bus.unsentEntries),
            counter("inquiries_sent", "Operators' inquiries of other members through this node", bus.inquiriesOut),
            counter("inquiries_received", "Operators' inquiries through other members", bus.inquiriesIn),
            counter("inquiries_unanswered", "Inquiries that nobody answered in time", bus.inquiriesUnanswered),
            counter("commits", "Commits acknowledged in time", bus.commits),
            counter("commit_timeouts", "Commits nobody acknowledged in time", bus.commitTimeouts),
            counter("commits_alone", "Commits with no peer to wait for", bus.committedAlone),
            counter("digest_repaired", "Records mended by comparing digests", bus.digestRepaired),
            counter(
                "records_refused", "Records refused: malformed, too large or of another dialog", bus.recordsRefused),
            counter("view_changes", "Changes of view", bus.viewChanges),
            counter("late_loops", "Times the SIP loop came much too late", bus.lateLoops),
        ]
    }

    private func gauges(now: Instant) -> [MetricReport] {
        [
            gauge("transactions", "Transactions open", proxy.contextCount),
            gauge("relayed_invites", "INVITEs relayed to members that have no final answer", proxy.openRelayCount),
            gauge("keepalives_watched", "Dialogs whose phones are asked, by their actor", proxy.keepAlives.count),
            gauge("dns_questions_under_way", "Questions waiting for the servers", resolver.questionCount),
            gauge("dns_cache_entries", "Answers kept", resolver.cachedCount),
            gauge("records", "Records held, tombstones included", store.dialogs.count),
            gauge("targets_down", "Targets of static routes that do not answer", downCount(now: now)),
            gauge("record_bytes", "Bytes of all records", store.dialogs.blobByteCount),
        ]
    }
}

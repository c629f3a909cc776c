// What happened at the bounds of this node, one counter for each: <doc:Bounds> says which bound each belongs to.

import Cluster
import Dialogs
import Proxy
import SIP

extension Node {
    func boundMetrics() -> [MetricReport] { callBoundMetrics() + recordBoundMetrics() + busBoundMetrics() }

    private func callBoundMetrics() -> [MetricReport] {
        let sip = proxy.counters
        return [
            counter(
                "sip_holds_refused", "2xx that went on uncommitted: too many of their INVITE were held",
                sip.holdsRefused),
            counter("sip_queues_refused", "Requests that found no room behind a held 2xx", sip.queuesRefused),
            counter("sip_waits_refused", "Requests that did not wait for their record: too many do", sip.waitsRefused),
            counter("sip_parked_refused", "ACKs and BYEs not kept for their record: too many are", sip.parkedRefused),
            counter("sip_parked_expired", "ACKs and BYEs let go: their record did not come", sip.parkedExpired),
            counter(
                "sip_awaited_forgotten", "Dialogs forgotten whose record a 2xx waited for", sip.awaitedForgotten),
            counter(
                "sip_early_tags_left_out", "Early dialogs that do not end with their branch: too many of it",
                sip.earlyTagsLeftOut),
            counter("scripts_refused", "Questions that no script was asked: too many were open", sip.scriptsRefused),
            counter("scripts_expired", "Questions that a script left without a verdict", sip.scriptsExpired),
            counter("scripts_unreadable", "Messages that a script made unreadable", sip.scriptsUnreadable),
            counter(
                "sip_freezes_evicted", "Dialogs being ended that were let go early",
                proxy.neighbours.frozenDialogs.evicted),
            counter(
                "sip_last_records_evicted", "Ended dialogs forgotten with a member's transaction open",
                proxy.lastRecords.evicted + proxy.owedEnds.evicted),
        ]
    }

    private func recordBoundMetrics() -> [MetricReport] {
        let (sip, table) = (proxy.counters, store.dialogs.counters)
        return [
            counter("facts_refused", "Facts that did not fit their record", sip.factsRefused),
            counter("facts_unreadable", "Facts of this node's own that made no sense", sip.factsUnreadable),
            counter(
                "answers_not_kept", "2xx recorded without their bytes: no heir repeats them",
                sip.answersNotKept + UInt64(table.answersLeftOut)),
            counter(
                "dialogs_unrecorded", "Dialogs that could have no record (dialogs.unrecorded)", sip.unrecorded),
            counter("legs_unreachable", "Sides of ended dialogs for which no BYE could be made", sip.legsUnreachable),
            counter("records_refused_full", "Facts and records refused for their size", UInt64(table.full)),
            counter("records_refused_malformed", "Facts and records that could not be read", UInt64(table.malformed)),
            counter("records_refused_limit", "Records refused at dialogs.limit", UInt64(table.refusedAtLimit)),
            counter("records_refused_mismatch", "Facts of another dialog's Call-ID or tag", UInt64(table.mismatches)),
        ]
    }

    private func busBoundMetrics() -> [MetricReport] {
        let bus = cluster.counters
        return [
            counter("bus_parked_dropped", "Facts let go whose record did not come", bus.parkedDropped),
            counter("bus_ranges_dropped", "Facts to be asked for again: too many gaps", bus.rangesDropped),
            counter("bus_ring_overruns", "Gaps older than the ring: replicas were compared", bus.ringOverruns),
            counter("bus_fetches_left_out", "Records not asked for: too many were", bus.fetchesLeftOut),
            counter("bus_pushes_left_out", "Facts not pushed: too many were", bus.pushesLeftOut),
            counter("bus_ages_left_out", "Ages of dialogs believed unseen: too many were told", bus.agesLeftOut),
            counter("bus_members_refused", "Processes beyond those a cluster may have", bus.tooManyMembers),
            counter("commit_waits_refused", "Commits not waited for: too many are", bus.waitsRefused),
            counter("intents_unasked", "Questions not asked: too many are open", bus.asksRefused),
            counter("heir_questions_unasked", "Questions of heirs not asked: too many are open", bus.questionsRefused),
            counter(
                "heir_questions_told_again", "Answers to heirs told once more, since more is known", bus.askersTold),
            counter(
                "heir_questions_unanswered", "Questions of heirs that a peer did not answer in time",
                bus.questionsUnanswered),
            counter(
                "heir_questions_forgotten", "Questions of heirs that are not answered once more: too many were asked",
                bus.questionsForgotten),
            counter("intents_forgotten", "Intents forgotten for later ones", store.intents.forgotten),
            counter("tombstones_forced", "Tombstones forgotten early: too many were kept", bus.tombstonesForced),
            counter("inquiries_left_out", "Operators' inquiries not sent on: too many are open", bus.inquiriesLeftOut),
            counter("inquiries_refused", "Inquiries without their code, or sent again", bus.inquiriesRefused),
            counter("inquiries_forged", "Answers to inquiries without their code", bus.inquiriesForged),
            counter("inquiries_too_long", "Inquiries whose answer is too long", bus.inquiriesTooLong),
        ]
    }
}

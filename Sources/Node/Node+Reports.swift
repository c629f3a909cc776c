// What operators see and ask for: reports are copies made on the node's own thread, bounded so that none holds up a
// call; requests are the same facts that messages teach, so they replicate like any other.

import Cluster
import Dialogs
package import Primitives
import Proxy
import SIP

extension Node {
    /// Above so many records `acting` is what the last walk counted, a few seconds old.
    private static let exactActingLimit = 20_000

    package func status(now: Instant) -> StatusReport {
        var report = StatusReport()
        report.node = settings.node.name
        report.cluster = settings.cluster.name
        report.state = cluster.state.name
        report.incarnation = cluster.localMember.boot
        report.dialogLimit = settings.dialogs.limit
        report.waiting = cluster.joinWait(now: now).map(Self.sentence(of:)) ?? ""
        report.notReadyReason =
            report.waiting.isEmpty ? notReadyReason(now: now) : "\(notReadyReason(now: now)): \(report.waiting)"
        report.strangers = cluster.strangers.map {
            StrangerReport(name: $0.name, silentMilliseconds: max(0, now.milliseconds(since: $0.lastHeard)))
        }
        report.quorum = cluster.quorum == .held ? "held" : "lost"
        report.epoch = cluster.view.epoch
        report.view = cluster.view.members.map(\.name).sorted()
        report.dialogs = dialogCounts()
        report.members = memberReports(now: now)
        report.targets = targets(now: now)
        report.openTransactions = proxy.openTransactionCount
        report.openInvites = proxy.openInviteCount
        report.unacknowledged = proxy.unacknowledgedCount(store.dialogs)
        report.openRelays = proxy.openRelayCount
        report.mayLeave = cluster.servingPeerCount == 0 || cluster.hasEqualPeer(store)
        report.uptimeMilliseconds = now.milliseconds(since: startedAt)
        report.storage = storageReport(now: now)
        return report
    }

    /// Targets of static routes.
    package func targets(now: Instant) -> [TargetReport] {
        proxy.targets(now: now).map { target in
            var report = TargetReport()
            report.set = target.set
            report.uri = String(decoding: target.uri, as: UTF8.self)
            report.policy = target.policy.rawValue
            report.state = target.isUp ? "up" : "down"
            report.isProbed = target.isProbed
            report.changedMilliseconds = target.changedMilliseconds
            report.streak = target.streak
            report.probes = target.probes
            report.requests = target.requests
            report.silences = target.silences
            return report
        }
    }

    private func dialogCounts() -> DialogCounts {
        var counts = DialogCounts()
        let dialogs = store.dialogs
        counts.unconfirmed = dialogs.count(in: .unconfirmed)
        counts.early = dialogs.count(in: .early)
        counts.confirmedNotAcknowledged = dialogs.count(in: .confirmedNotAcknowledged)
        counts.confirmed = dialogs.count(in: .confirmed)
        counts.deleted = dialogs.count(in: .deleted)
        counts.held = dialogs.live
        guard dialogs.count <= Self.exactActingLimit else {
            counts.acting = walk.actingAtLast
            return counts
        }
        var position: UInt32?
        while let (slot, did) = dialogs.next(after: position) {
            position = slot
            if dialogs.state(did) != .deleted, actorName(did) == settings.node.name { counts.acting += 1 }
        }
        return counts
    }

    /// Whom a joining node waits for, since when, and until when.
    static func sentence(of wait: JoinWait) -> String {
        let since = "for \(wait.sinceMilliseconds / 1_000) s"
        if wait.awaitsNames { return "waits \(since) for the addresses of cluster.dns" }
        if !wait.comparing.isEmpty {
            return "compares its replicas with \(wait.comparing.joined(separator: ", ")), \(since)"
        }
        let whom = wait.unheard.isEmpty ? "peers" : wait.unheard.joined(separator: ", ")
        let start = "waits \(since) for \(whom), not heard"
        if let until = wait.untilMilliseconds { return "\(start); serves without in \((until + 999) / 1_000) s" }
        if wait.missingForMajority > 0 {
            return "\(start); \(wait.missingForMajority) more must be heard to make a majority"
        }
        return start
    }

    private func memberReports(now: Instant) -> [MemberReport] {
        let reports = cluster.members(now: now).map { member in
            var report = MemberReport()
            report.name = member.name
            report.state = member.isAbsent ? "absent" : member.state.name
            report.incarnation = member.boot
            report.bus = member.isSelf ? settings.cluster.bus?.text ?? "" : member.bus
            report.managementURL = member.hello.management
            report.version = member.hello.software
            report.isSelf = member.isSelf
            report.isInView = member.isInView
            report.isFit = member.isFit
            report.isProvenGone = member.isProvenGone
            report.isWitness = member.isWitness
            report.isListed = member.isSelf || !member.bus.isEmpty
            report.silentMilliseconds = member.silentMilliseconds
            report.differs =
                member.isSelf
                ? [] : Self.differences(cluster.hello.settings, member.hello.settings, settings)
            report.lagFrames = Int(clamping: member.lagFrames)
            // A heartbeat comes every 100 ms: what is younger than a few of them is no lag.
            let isCurrent = member.lagFrames == 0 && member.silentMilliseconds < 500
            report.lagMilliseconds = isCurrent ? 0 : member.silentMilliseconds
            report.applied = member.applied
            report.acknowledged = member.acknowledged
            return report
        }
        return reports.sorted { ($0.name, $0.bus) < ($1.name, $1.bus) }
    }

    // MARK: Dialogs

    /// Looks at no more than this many records a page.
    private static let pageScan = 4_000

    package func dialogs(_ query: DialogQuery, now: Instant) -> DialogPage {
        var page = DialogPage()
        var position = query.cursor
        for _ in 0..<Self.pageScan {
            guard let (slot, did) = store.dialogs.next(after: position) else { return page }
            position = slot
            guard let state = store.dialogs.state(did) else { continue }
            guard query.takes(state: state.name) else { continue }
            let age = store.dialogs.age(did, now: now)?.wholeMilliseconds ?? 0
            guard query.takes(ageMilliseconds: age) else { continue }
            if let home = query.home, homeName(did) != home { continue }
            if let actor = query.actor, actorName(did) != actor { continue }
            guard let report = dialog(did, now: now) else { continue }
            if let callID = query.callID, report.callID != callID { continue }
            guard query.takes(from: report.from, to: report.to) else { continue }
            guard query.takes(profiles: report.profiles, variables: report.variables) else { continue }
            page.dialogs.append(report)
            if page.dialogs.count >= query.limit { break }
        }
        page.next = position
        return page
    }

    package func dialog(did text: String, now: Instant) -> DialogReport? {
        DialogID(hex: text).flatMap { dialog($0, now: now) }
    }

    func dialog(_ did: DialogID, now: Instant) -> DialogReport? {
        guard let record = store.dialogs.record(did) else { return nil }
        var report = DialogReport()
        report.did = did.hex
        report.bucket = store.dialogs.bucket(of: did)
        report.callID = text(record.callID)
        report.fromTag = text(record.fromTag)
        let main = record.outs.first { $0.state == .confirmed } ?? record.outs.first
        report.toTag = text(main?.toTag ?? [])
        report.inviteCSeq = record.inviteCSeq
        report.state = record.state?.name ?? ""
        report.home = record.home.map { text($0.name) } ?? ""
        report.actor = record.state == .deleted ? "" : actorName(did) ?? ""
        if record.state != .deleted, let deadline = store.dialogs.deadline(did) {
            report.remainingMilliseconds = deadline.milliseconds(since: now)
        }
        report.ageMilliseconds = store.dialogs.age(did, now: now)?.wholeMilliseconds ?? 0
        report.changedMilliseconds = store.dialogs.changedAt(did).map { now.milliseconds(since: $0) } ?? 0
        report.deadlineGeneration = record.deadline?.generation ?? 0
        report.deadlineMilliseconds = record.deadline?.atMilliseconds ?? 0
        report.lifetimeMilliseconds = record.deadline?.lifetimeMilliseconds ?? 0
        report.hasSessionTimer = record.deadline.map { $0.ordinaryMilliseconds > 0 } ?? false
        report.from = text(record.from)
        report.to = text(record.to)
        report.requestURI = text(record.requestURI)
        report.caller = side(record.caller, record.home)
        report.outs = record.outs.map { out in
            var value = OutReport()
            value.toTag = text(out.toTag)
            value.state = out.state?.name ?? ""
            value.side = side(out.side, record.home)
            value.acknowledged = out.acked
            value.holdsAnswer = !out.answer.isEmpty
            return value
        }
        report.pendings = record.pendings.map(pending)
        report.flags = record.flags.names
        report.moduleFlags = record.flags.moduleBits
        report.end = end(did, record, now: now)
        tellStamped(record, in: &report)
        report.bytes = store.dialogs.bytes(did)?.count ?? 0
        report.digest = store.dialogs.contentDigest(did) ?? 0
        return report
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func side(_ side: Record.Side, _ home: Record.Home?) -> SideReport {
        var report = SideReport()
        report.cseq = side.cseq
        report.contact = text(side.contact)
        report.routes = text(side.routes)
        report.endpoint = text(side.endpoint)
        let sentBy = side.sentBy.isEmpty ? home?.sentBy ?? [] : side.sentBy
        if let endpoint = Endpoint(fact: side.endpoint), !sentBy.isEmpty {
            report.socket = "\(endpoint.transport.configuredName):\(text(sentBy))"
        }
        return report
    }

    private func pending(_ pending: Record.Pending) -> PendingReport {
        var report = PendingReport()
        report.branch = text(pending.branch)
        report.leg = pending.leg == .caller ? "caller" : "callee"
        report.cseq = pending.cseq
        report.progress = pending.progress.names
        report.target = text(pending.target)
        return report
    }

    // MARK: Membership and replicas

    package mutating func drain(_ isDraining: Bool, now: Instant, into out: inout Outbox) -> StatusReport {
        cluster.drain(isDraining, out: &clusterActions)
        advance(to: now, into: &out)
        refreshMembership(now: now)
        return status(now: now)
    }

    /// Tells the peers that this process goes; its dialogs are theirs from then on.
    package mutating func leave(now: Instant, into out: inout Outbox) {
        cluster.leave(now: now, out: &clusterActions)
        advance(to: now, into: &out)
    }

    package func digests() -> DigestReport {
        var report = DigestReport()
        report.node = settings.node.name
        report.incarnation = cluster.localMember.boot
        report.root = store.dialogs.rootDigest
        report.live = store.dialogs.live
        report.buckets = store.dialogs.digests
        return report
    }

    package func buckets(_ numbers: [Int], now: Instant) -> [BucketReport] {
        numbers.prefix(BucketReport.requestLimit).filter { 0..<store.dialogs.bucketCount ~= $0 }.map { number in
            var report = BucketReport()
            report.bucket = number
            for did in store.dialogs.dids(inBucket: number) {
                var record = RecordDigest()
                record.did = did.hex
                record.callID = store.dialogs.view(did) { view, bytes in Text.string(bytes, view.callID) } ?? ""
                record.state = store.dialogs.state(did)?.name ?? ""
                record.digest = store.dialogs.contentDigest(did) ?? 0
                record.changedMilliseconds = store.dialogs.changedAt(did).map { now.milliseconds(since: $0) } ?? 0
                report.records.append(record)
            }
            return report
        }
    }

    package mutating func repair(now: Instant, into out: inout Outbox) -> RepairReport {
        var report = RepairReport()
        report.asked = cluster.members(now: now).filter { $0.isLive && !$0.isSelf }.map(\.name).sorted()
        report.repaired = cluster.counters.digestRepaired
        cluster.repair()
        advance(to: now, into: &out)
        return report
    }

    /// Test aid: loses one replica silently.
    package mutating func forget(did text: String) -> Bool {
        guard settings.management.allowsFaultInjection, let did = DialogID(hex: text) else { return false }
        return store.dialogs.remove(did)
    }

    /// Test aid: shifts the wall clock that is shown; nothing else uses it.
    package mutating func skew(seconds: Int) {
        unixMilliseconds += Int64(clamping: seconds) * 1_000
    }

    /// Unix time in milliseconds, for display.
    package func unixTime(at now: Instant) -> Int64 {
        unixMilliseconds + now.milliseconds(since: startedAt)
    }
}

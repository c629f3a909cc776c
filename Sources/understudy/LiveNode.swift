// The running node as management sees it: each question is run on the SIP thread between two turns, and its answer
// carried back. Until the thread has been started, and after it has been told to stop, every question is answered by
// `NodeStopped`.

import Cluster
import Dialogs
import Management
import Nanomsg
import Node
import Primitives
import SIP
import Scripting
import Sealing
import Synchronization
import Transports

final class LiveNode: ManagedNode {
    private struct Running: Sendable {
        let thread: SIPThread<ScriptedNode>
        let bus: Bus?
        let seal: BusSealing?
        let dns: DNSClient
        let streams: StreamService?
    }

    /// What is asked of the process, not of the node.
    struct Controls: Sendable {
        let log: NodeLog
        /// Reads the configuration again and tells what it changed.
        let reload: @Sendable () async -> ReloadReport
    }

    private let running = Mutex<Running?>(nil)
    private let controls = Mutex<Controls?>(nil)
    /// Seconds, by `fault.skew`.
    private let shift = Mutex<Int64>(0)
    private let inquiries = Inquiries()
    private let certificates = Mutex<[MetricReport]>([])
    private let events = Mutex<EventSink?>(nil)

    func begin(
        _ thread: SIPThread<ScriptedNode>, _ bus: Bus?, _ seal: BusSealing?, _ dns: DNSClient, _ streams: StreamService?
    ) {
        running.withLock { $0 = Running(thread: thread, bus: bus, seal: seal, dns: dns, streams: streams) }
    }

    func end() {
        running.withLock { $0 = nil }
        inquiries.endAll()
        events.withLock { $0 }?.stop()
    }

    /// Answers what members ask over the bus; called on the SIP thread.
    func take(_ event: InquiryEvent) {
        switch event {
        case .ended(let token, let outcome): inquiries.end(token, outcome)
        case .heard(let id, let text):
            Task {
                let context = RPCContext(node: self, allowsFaultInjection: false, unixSeconds: { self.unixSeconds })
                let answer = await BusDoor(RPCServer(context)).answer(text)
                // A node that has stopped meanwhile answers nobody.
                _ = try? await ask { node, now, _ in node.answer(id, with: answer, now: now) }
            }
        }
    }

    func inquire(of member: String, _ text: [UInt8]) async throws(NodeStopped) -> InquiryOutcome {
        let thread = try current().thread
        return await inquiries.begin { token in
            await thread.perform { machine, now, out in
                machine.node.inquire(of: member, text, token: token, now: now, into: &out)
            }
        }
    }

    /// Whoever writes the events of dialogs' lives, for its counts.
    func follow(_ sink: EventSink?) { events.withLock { $0 = sink } }

    /// Those events are where they are to be.
    func confirm(_ events: [LifeEvent]) {
        Task {
            // A node that has stopped meanwhile tells nobody; whoever acts in its place tells it again.
            _ = try? await ask { node, now, out in
                for event in events { node.confirm(event, now: now, into: &out) }
            }
        }
    }

    func control(_ wanted: Controls) { controls.withLock { $0 = wanted } }

    func reload() async throws(NodeStopped) -> ReloadReport {
        guard let controls = controls.withLock({ $0 }) else { throw NodeStopped() }
        return await controls.reload()
    }

    func logLevel(_ level: NoteLevel?) async throws(NodeStopped) -> NoteLevel {
        guard let log = controls.withLock({ $0 })?.log else { throw NodeStopped() }
        if let level { log.level = level }
        return log.level
    }

    /// Takes over what a running node can take of other settings.
    func adopt(_ settings: Settings) async {
        let secrets = settings.cluster.keys.seals.map(\.bytes)
        if !secrets.isEmpty { running.withLock { $0 }?.seal?.adopt(secrets) }
        _ = try? await ask { node, now, out in node.reload(settings, now: now, into: &out) }
    }

    /// Serves with another script.
    /// - Returns: Why the one from before serves on.
    func adopt(_ source: ScriptSource, _ recipe: ScriptRecipe) async -> String? {
        guard let running = running.withLock({ $0 }) else { return "the node is stopping" }
        return await running.thread.perform { machine, _, _ in machine.adopt(source, recipe) }
    }

    /// Why the node cannot take other settings now.
    func objections(to settings: Settings) async -> [String] {
        (try? await ask { node, _, _ in node.objections(to: settings) }) ?? []
    }

    /// The wall clock as shown, with the shift of `fault.skew`.
    var unixSeconds: Int64 { BootClock.unixMilliseconds / 1_000 + shift.withLock { $0 } }

    private func current() throws(NodeStopped) -> Running {
        guard let running = running.withLock({ $0 }) else { throw NodeStopped() }
        return running
    }

    private func ask<R: Sendable>(
        _ body: @escaping @Sendable (inout Node, Instant, inout Outbox) -> R
    ) async throws(NodeStopped) -> R {
        await (try current()).thread.perform { machine, now, out in body(&machine.node, now, &out) }
    }

    func status() async throws(NodeStopped) -> StatusReport {
        var report = Self.signed(try await ask { node, now, _ in node.status(now: now) })
        report.sealing = try current().seal.map { SealingReport($0.report()) }
        report.script = await (try current()).thread.perform { machine, _, _ in machine.script }
        return report
    }

    private static func signed(_ report: StatusReport) -> StatusReport {
        var report = report
        report.version = Build.version
        report.commit = Build.commit
        report.build = Build.number
        return report
    }

    func metrics() async throws(NodeStopped) -> [MetricReport] {
        let running = try current()
        let reports = await running.thread.perform { machine, now, _ in machine.metrics(now: now) }
        return reports
            + ShellMetrics.reports(
                await running.thread.counters(), running.bus?.counters, running.seal?.report(), running.dns.counters,
                await running.streams?.counters())
            + ProcessMetrics.reports() + certificates.withLock { $0 } + EventSink.metrics(events.withLock { $0 })
    }

    /// What the process itself looks at each second: asked for at once, since each question wakes the SIP thread, and
    /// not with all metrics, which would be most of what an idle node does.
    struct Look: Sendable {
        var status: StatusReport
        var metrics: [MetricReport]
        var serviceAddresses: [Endpoint]
    }

    func look() async throws(NodeStopped) -> Look {
        try await ask { node, now, _ in
            Look(
                status: node.status(now: now), metrics: node.watchedMetrics(), serviceAddresses: node.serviceAddresses)
        }
    }

    /// What is told of the certificates: read when they are, not for each question.
    func tellCertificates(_ settings: Settings) {
        let ends = ProcessMetrics.certificates(settings)
        certificates.withLock { $0 = ends }
    }

    func dialogs(_ query: DialogQuery) async throws(NodeStopped) -> DialogPage {
        try await ask { node, now, _ in node.dialogs(query, now: now) }
    }

    func dialog(did: String) async throws(NodeStopped) -> DialogReport? {
        try await ask { node, now, _ in node.dialog(did: did, now: now) }
    }

    func end(did: String) async throws(NodeStopped) -> EndReport {
        try await ask { node, now, out in node.endDialog(did: did, now: now, into: &out) }
    }

    func terminate(did: String, _ ending: DialogEnding) async throws(NodeStopped) -> Result<EndReport, DialogError> {
        try await ask { node, now, out in
            do throws(DialogError) {
                return .success(try node.terminate(did: did, ending, now: now, into: &out))
            } catch { return .failure(error) }
        }
    }

    func change(did: String, _ changes: [DialogChange]) async throws(NodeStopped) -> DialogError? {
        try await ask { node, now, out in
            do throws(DialogError) {
                try node.change(did: did, changes, now: now, into: &out)
                return nil
            } catch { return error }
        }
    }

    func request(did: String, _ request: DialogRequest) async throws(NodeStopped) -> Result<UInt32, DialogError> {
        try await ask { node, now, out in
            do throws(DialogError) {
                return .success(try node.request(did: did, request, now: now, into: &out))
            } catch { return .failure(error) }
        }
    }

    func refer(did: String, _ side: Leg, to address: String) async throws(NodeStopped) -> Result<UInt32, DialogError> {
        try await ask { node, now, out in
            do throws(DialogError) {
                return .success(try node.refer(did: did, side, to: address, now: now, into: &out))
            } catch { return .failure(error) }
        }
    }

    func bridge(_ bridge: DialogBridge) async throws(NodeStopped) -> DialogError? {
        try await ask { node, now, out in
            do throws(DialogError) {
                try node.bridge(bridge, now: now, into: &out)
                return nil
            } catch { return error }
        }
    }

    func did(callID: String, fromTag: String, toTag: String) async throws(NodeStopped) -> String? {
        try await ask { node, _, _ in node.did(callID: callID, fromTag: fromTag, toTag: toTag) }
    }

    func profiles() async throws(NodeStopped) -> [ProfileReport] { try await ask { node, _, _ in node.profiles() } }

    func size(ofProfile name: String, value: String?) async throws(NodeStopped) -> Result<Int, DialogError> {
        try await ask { node, _, _ in
            do throws(DialogError) {
                return .success(try node.size(ofProfile: name, value: value))
            } catch { return .failure(error) }
        }
    }

    func statistics(ofThisNode isOwn: Bool) async throws(NodeStopped) -> DialogStatistics {
        try await ask { node, _, _ in node.statistics(ofThisNode: isOwn) }
    }

    func contacts(after cursor: UInt32?) async throws(NodeStopped) -> ContactPage {
        try await ask { node, now, _ in node.contacts(after: cursor, now: now) }
    }

    func contacts(of address: String, in table: String) async throws(NodeStopped) -> AddressReport? {
        try await ask { node, now, _ in node.contacts(of: address, in: table, now: now) }
    }

    func removeContacts(of address: String, in table: String, uri: String?) async throws(NodeStopped) -> Int? {
        try await ask { node, now, out in
            node.removeContacts(of: address, in: table, uri: uri, now: now, into: &out)
        }
    }

    func addContact(_ wish: ContactWish) async throws(NodeStopped) -> String? {
        try await ask { node, now, out in node.addContact(wish, now: now, into: &out) }
    }

    func drain(_ isDraining: Bool) async throws(NodeStopped) -> StatusReport {
        Self.signed(try await ask { node, now, out in node.drain(isDraining, now: now, into: &out) })
    }

    func trace(callID: String) async throws(NodeStopped) -> TraceReport {
        try await ask { node, now, _ in node.trace(callID: callID, now: now) }
    }

    func digests() async throws(NodeStopped) -> DigestReport { try await ask { node, _, _ in node.digests() } }

    func buckets(_ numbers: [Int]) async throws(NodeStopped) -> [BucketReport] {
        try await ask { node, now, _ in node.buckets(numbers, now: now) }
    }

    func repair() async throws(NodeStopped) -> RepairReport {
        try await ask { node, now, out in node.repair(now: now, into: &out) }
    }

    func forget(did: String) async throws(NodeStopped) -> Bool {
        try await ask { node, _, _ in node.forget(did: did) }
    }

    func pauseBus(seconds: Int) async throws(NodeStopped) { try current().bus?.pause(seconds: Double(seconds)) }

    func skew(seconds: Int) async throws(NodeStopped) { shift.withLock { $0 = Int64(seconds) } }

    /// Opens the service addresses of the cluster that are not open yet.
    func open(_ wanted: [Endpoint], besides opened: inout [Endpoint]) async -> [UDPError] {
        guard let running = try? current() else { return [] }
        var failures: [UDPError] = []
        for endpoint in wanted where !opened.contains(endpoint) {
            opened.append(endpoint)
            do throws(UDPError) {
                _ = try await running.thread.listen(on: endpoint, binding: .anyAddress)
            } catch {
                failures.append(error)
            }
        }
        return failures
    }

    /// What the storage has done; the node hears it between two turns, in the order told.
    /// - Returns: Whether there is a node.
    func tell(_ outcome: StorageOutcome) -> Bool {
        guard let thread = running.withLock({ $0 })?.thread else { return false }
        thread.performLater { machine, now, out in machine.node.receive(storage: outcome, now: now, into: &out) }
        return true
    }

    /// Everything that is to be stored goes to the storage.
    /// - Returns: Whether all is stored, or there is no node any more.
    func flushStorage() async -> Bool {
        (try? await ask { node, now, out in
            node.flushStorage(now: now, into: &out)
            return node.isStorageFlushed
        }) ?? true
    }

    func isStorageFlushed() async -> Bool { (try? await ask { node, _, _ in node.isStorageFlushed }) ?? true }

    /// Says goodbye to the cluster; its frames go out with the turn this runs in.
    func leave() async {
        _ = try? await ask { node, now, out in node.leave(now: now, into: &out) }
    }
}

extension SealingReport {
    fileprivate init(_ report: BusSealing.Report) {
        self.init(
            sending: Self.text(report.sending), held: report.held.map { Self.text($0) },
            members: report.members.map { name, keys in
                Member(
                    name: name, sending: Self.text(keys.sending),
                    held: [keys.sending, keys.other].filter { $0 != 0 }.map { Self.text($0) })
            })
    }
}

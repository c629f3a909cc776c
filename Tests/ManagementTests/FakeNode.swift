// A node made of prepared reports, which remembers what it was asked to do.

import Cluster
import Dialogs
import Management
import Node
import Synchronization

final class FakeNode: ManagedNode {
    struct State: Sendable {
        var status = StatusReport()
        var dialogs: [DialogReport] = []
        var tombstones: [RecordDigest] = []
        var deeds: [String] = []
        /// Whom it has asked over the bus.
        var inquired: [String] = []
        var endOutcome = EndReport.ending
        var isStopped = false
        /// Why nothing is changed; `nil` changes it.
        var changeOutcome: DialogError?
        var contexts: [String: [String]] = [:]
        var profiles: [ProfileReport] = []
        var addresses: [AddressReport] = []
        var statistics = DialogStatistics()
        var reloadReport = ReloadReport()
        var logLevel = NoteLevel.info
        var bucketCount = FakeNode.bucketCount
        /// Whoever is ended has ended.
        var endsDialogs = false
        var processed: Int64 = 0
    }

    let state: Mutex<State>
    /// The bus: what becomes of what is asked of a member.
    let bus = Mutex<@Sendable (String, [UInt8]) async -> InquiryOutcome>({ _, _ in .unknownMember })
    static let bucketCount = 16

    init(_ name: String, _ dialogs: [DialogReport] = []) {
        var state = State()
        state.status.node = name
        state.status.cluster = "demo"
        state.status.state = "up"
        state.status.quorum = "held"
        state.status.view = [name]
        state.dialogs = dialogs
        self.state = Mutex(state)
    }

    var deeds: [String] { state.withLock { $0.deeds } }

    private func get<R: Sendable>(_ body: (inout State) -> R) throws(NodeStopped) -> R {
        let answer: R? = state.withLock { $0.isStopped ? nil : body(&$0) }
        guard let answer else { throw NodeStopped() }
        return answer
    }

    func status() async throws(NodeStopped) -> StatusReport { try get { $0.status } }

    func metrics() async throws(NodeStopped) -> [MetricReport] {
        let processed = try get { $0.processed }
        return [
            MetricReport(name: "understudy_takeovers_total", help: "Taken \"over\"", kind: .counter, value: 7),
            MetricReport(name: "understudy_dialogs_processed_total", help: "Seen", kind: .counter, value: processed),
        ]
    }

    func dialogs(_ query: DialogQuery) async throws(NodeStopped) -> DialogPage {
        try get { state in
            let found = state.dialogs.filter { dialog in
                query.takes(state: dialog.state) && query.takes(ageMilliseconds: dialog.ageMilliseconds)
                    && query.takes(from: dialog.from, to: dialog.to)
                    && query.takes(profiles: dialog.profiles, variables: dialog.variables)
                    && (query.home == nil || dialog.home == query.home)
                    && (query.callID == nil || dialog.callID == query.callID)
            }
            let start = Int(query.cursor ?? 0)
            var page = DialogPage()
            page.dialogs = Array(found.dropFirst(start).prefix(query.limit))
            let end = start + page.dialogs.count
            if end < found.count { page.next = UInt32(end) }
            return page
        }
    }

    func dialog(did: String) async throws(NodeStopped) -> DialogReport? {
        try get { $0.dialogs.first { $0.did == did } }
    }

    func terminate(did: String, _ ending: DialogEnding) async throws(NodeStopped) -> Result<EndReport, DialogError> {
        try get { state in
            state.deeds.append("terminate \(did) \(ending.side.rawValue) '\(ending.reason)' '\(ending.headers)'")
            return state.changeOutcome.map { .failure($0) } ?? .success(state.endOutcome)
        }
    }

    func change(did: String, _ changes: [DialogChange]) async throws(NodeStopped) -> DialogError? {
        try get { state in
            state.deeds.append("change \(did) \(changes)")
            return state.changeOutcome
        }
    }

    func contexts(_ listing: ContextListing, of dids: [String]) async throws(NodeStopped) -> [String: [String]] {
        try get { state in
            state.contexts.filter { dids.contains($0.key) }.mapValues { listing == .rpc ? $0 : $0.map { "MI \($0)" } }
        }
    }

    func request(did: String, _ request: DialogRequest) async throws(NodeStopped) -> Result<UInt32, DialogError> {
        try get { state in
            let parts = [request.method, request.headers, request.contentType, request.body]
            state.deeds.append("request \(did) \(request.side) \(parts)")
            return state.changeOutcome.map { .failure($0) } ?? .success(4_097)
        }
    }

    func refer(did: String, _ side: Leg, to address: String) async throws(NodeStopped) -> Result<UInt32, DialogError> {
        try get { state in
            state.deeds.append("refer \(did) \(side) \(address)")
            return state.changeOutcome.map { .failure($0) } ?? .success(4_097)
        }
    }

    func bridge(_ bridge: DialogBridge) async throws(NodeStopped) -> DialogError? {
        try get { state in
            state.deeds.append("bridge \(bridge.from) \(bridge.to) '\(bridge.proxy)' \(bridge.body ?? "hold")")
            return state.changeOutcome
        }
    }

    func did(callID: String, fromTag: String, toTag: String) async throws(NodeStopped) -> String? {
        try get { state in
            state.dialogs.first { $0.callID == callID && $0.fromTag == fromTag && $0.toTag == toTag }?.did
        }
    }

    func profiles() async throws(NodeStopped) -> [ProfileReport] { try get { $0.profiles } }

    func size(ofProfile name: String, value: String?) async throws(NodeStopped) -> Result<Int, DialogError> {
        try get { state in
            guard state.profiles.contains(where: { $0.name == name }) else { return .failure(.unknownProfile(name)) }
            let links = state.dialogs.flatMap(\.profiles)
            return .success(links.count { $0.key == name && (value == nil || $0.value == value) })
        }
    }

    func statistics(ofThisNode isOwn: Bool) async throws(NodeStopped) -> DialogStatistics {
        try get { state in
            var found = isOwn ? DialogStatistics() : state.statistics
            guard !isOwn else { return found }
            let dialogs = state.status.dialogs
            found.active = max(found.active, dialogs.confirmedNotAcknowledged + dialogs.confirmed)
            found.early = max(found.early, dialogs.early)
            found.processed = max(found.processed, UInt64(clamping: state.processed))
            return found
        }
    }

    func contacts(after cursor: UInt32?) async throws(NodeStopped) -> ContactPage {
        try get { ContactPage(addresses: $0.addresses) }
    }

    func contacts(of address: String, in table: String) async throws(NodeStopped) -> AddressReport? {
        try get { state in state.addresses.first { $0.address == address && $0.table == table } }
    }

    func removeContacts(of address: String, in table: String, uri: String?) async throws(NodeStopped) -> Int? {
        try get { state in
            let found = state.addresses.first { $0.address == address && $0.table == table }?.contacts ?? []
            let count = found.count { uri == nil || $0.uri == uri }
            if count > 0 || uri == nil { state.deeds.append("remove \(table) \(address) \(uri ?? "all")") }
            return count
        }
    }

    func addContact(_ wish: ContactWish) async throws(NodeStopped) -> String? {
        try get { state in
            state.deeds.append(
                "add \(wish.table) \(wish.address) \(wish.uri) \(wish.expiresSeconds) \(wish.q) \(wish.path) "
                    + "\(wish.flags) \(wish.methods)")
            return nil
        }
    }

    func end(did: String) async throws(NodeStopped) -> EndReport {
        try get { state in
            state.deeds.append("end \(did)")
            if state.endsDialogs {
                state.dialogs.removeAll { $0.did == did }
                state.status.dialogs.confirmed = state.dialogs.count
            }
            return state.endOutcome
        }
    }

    func drain(_ isDraining: Bool) async throws(NodeStopped) -> StatusReport {
        try get { state in
            state.status.state = isDraining ? "draining" : "up"
            return state.status
        }
    }

    func trace(callID: String) async throws(NodeStopped) -> TraceReport {
        try get { state in
            var report = TraceReport()
            report.node = state.status.node
            return report
        }
    }

    func digests() async throws(NodeStopped) -> DigestReport {
        try get { state in
            var report = DigestReport()
            report.node = state.status.node
            report.buckets = Array(repeating: 0, count: state.bucketCount)
            report.live = state.dialogs.count { $0.state != "deleted" }
            for dialog in state.dialogs where dialog.state != "deleted" {
                report.buckets[dialog.bucket % state.bucketCount] &+= dialog.digest
                report.root &+= dialog.digest
            }
            return report
        }
    }

    func buckets(_ numbers: [Int]) async throws(NodeStopped) -> [BucketReport] {
        try get { state in
            numbers.filter { (0..<state.bucketCount).contains($0) }.map { number in
                var report = BucketReport()
                report.bucket = number
                report.records = state.dialogs.filter { $0.bucket == number }.map { dialog in
                    var record = RecordDigest()
                    record.did = dialog.did
                    record.callID = dialog.callID
                    record.state = dialog.state
                    record.digest = dialog.digest
                    record.changedMilliseconds = dialog.changedMilliseconds
                    return record
                }
                return report
            }
        }
    }

    func repair() async throws(NodeStopped) -> RepairReport {
        try get { state in
            state.deeds.append("repair")
            return RepairReport()
        }
    }

    func inquire(of member: String, _ text: [UInt8]) async throws(NodeStopped) -> InquiryOutcome {
        try get { $0.inquired.append(member) }
        return await bus.withLock { $0 }(member, text)
    }

    func reload() async throws(NodeStopped) -> ReloadReport {
        try get { state in
            state.deeds.append("reload")
            return state.reloadReport
        }
    }

    func logLevel(_ level: NoteLevel?) async throws(NodeStopped) -> NoteLevel {
        try get { state in
            if let level { state.logLevel = level }
            return state.logLevel
        }
    }

    func forget(did: String) async throws(NodeStopped) -> Bool {
        try get { state in
            state.dialogs.removeAll { $0.did == did }
            return true
        }
    }

    func pauseBus(seconds: Int) async throws(NodeStopped) { try get { $0.deeds.append("pause \(seconds)") } }
    func skew(seconds: Int) async throws(NodeStopped) { try get { $0.deeds.append("skew \(seconds)") } }
}

extension DialogReport {
    /// A confirmed dialog that was last touched long ago.
    static func confirmed(_ number: Int, changed: Int64 = 60_000, digest: UInt64? = nil) -> DialogReport {
        var dialog = DialogReport()
        let digits = String(number, radix: 16)
        dialog.did = String(repeating: "0", count: 16 - digits.count) + digits
        dialog.bucket = number % FakeNode.bucketCount
        dialog.callID = "call-\(number)@pc33"
        dialog.fromTag = "f\(number)"
        dialog.toTag = "t\(number)"
        dialog.state = "confirmed"
        dialog.home = "n1"
        dialog.actor = "n1"
        dialog.remainingMilliseconds = 17_352
        dialog.ageMilliseconds = 2_648
        dialog.changedMilliseconds = changed
        dialog.lifetimeMilliseconds = 20_000
        dialog.from = "<sip:a@h>;tag=f\(number)"
        dialog.to = "<sip:b@h>"
        dialog.requestURI = "sip:b@h"
        var out = OutReport()
        out.toTag = dialog.toTag
        out.state = "confirmed"
        dialog.outs = [out]
        dialog.digest = digest ?? UInt64(number) &* 0x9E37_79B9_7F4A_7C15
        return dialog
    }
}

extension FakeNode {
    /// Two dialogs that are up; the first is in both kinds of profile.
    static func withProfiles() -> FakeNode {
        let node = FakeNode("n1", [.confirmed(1), .confirmed(2)])
        node.state.withLock { state in
            state.profiles = [
                ProfileReport(name: "caller", takesValue: true, size: 2),
                ProfileReport(name: "calls", takesValue: false, size: 1),
            ]
            state.dialogs[0].profiles = [.init(key: "caller", value: "alice"), .init(key: "calls", value: "")]
        }
        return node
    }
}

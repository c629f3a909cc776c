// `understudy check`: what counts as a difference, what is in flight, and the shape of its answer.

import Cluster
import Management
import Node
import Synchronization
import Testing

/// Asks a fake node through the real methods, without HTTP.
struct DirectCaller: RPCCaller {
    let label: String
    let node: FakeNode

    func call(_ method: String, _ params: JSONValue) async throws(ClientError) -> JSONValue {
        let server = RPCServer(RPCContext(node: node, allowsFaultInjection: true, unixSeconds: { 0 }))
        let request: JSONValue = ["jsonrpc": "2.0", "method": .string(method), "params": params, "id": 1]
        let reply = await server.answer(request.bytes)
        if let error = reply.body["error"] {
            throw .refused(url: label, RPCError(reply.status, error["message"]?.text ?? ""))
        }
        return reply.body["result"] ?? .null
    }
}

/// Some nodes, their management addresses, their bus, and a clock that moves only when somebody waits.
final class CheckWorld: Sendable {
    let nodes: [FakeNode]
    let now = Mutex<Int64>(0)
    /// Names that neither a URL nor the bus leads to.
    let cutOff = Mutex<Set<String>>([])
    /// Where a URL, or a name on the bus, leads instead.
    let detours = Mutex<[String: String]>([:])
    /// Runs at every pause.
    let onPause: @Sendable (CheckWorld) -> Void

    init(_ nodes: [FakeNode], onPause: @escaping @Sendable (CheckWorld) -> Void = { _ in }) {
        self.nodes = nodes
        self.onPause = onPause
        for node in nodes {
            let members = nodes.map { other in
                var member = MemberReport()
                member.name = other.state.withLock { $0.status.node }
                member.state = "up"
                member.isSelf = other === node
                member.managementURL = "http://\(member.name):8080"
                return member
            }
            node.state.withLock { $0.status.members = members }
            node.bus.withLock { bus in bus = { [unowned self] member, text in await self.carry(text, to: member) } }
        }
    }

    private func carry(_ text: [UInt8], to member: String) async -> InquiryOutcome {
        let name = detours.withLock { $0[member] } ?? member
        guard let node = nodes.first(where: { $0.state.withLock { $0.status.node } == name }) else {
            return .unknownMember
        }
        guard !cutOff.withLock({ $0.contains(name) }) else { return .silent }
        let context = RPCContext(node: node, allowsFaultInjection: true, unixSeconds: { 0 })
        return .answered(await BusDoor(RPCServer(context)).answer(text))
    }

    func run(
        _ urls: [String] = ["http://n1:8080"], repairing: Bool = false, isPartial: Bool = false
    ) async throws(CheckError) -> CheckReport {
        let check = ReplicaCheck(
            caller: { [nodes] url throws(ClientError) in
                let name = self.detours.withLock { $0[url] } ?? String(url.dropFirst(7).prefix { $0 != ":" })
                let node = nodes.first { node in node.state.withLock { $0.status.node } == name }
                guard let node, !self.cutOff.withLock({ $0.contains(name) }) else {
                    throw .unreachable(url: url, reason: "connection refused")
                }
                return DirectCaller(label: url, node: node)
            },
            pause: { duration in
                self.now.withLock { $0 += duration.wholeMilliseconds }
                self.onPause(self)
            },
            milliseconds: { self.now.withLock { $0 } })
        return try await check.run(urls: urls, repairing: repairing, isPartial: isPartial)
    }
}

@Suite("Comparing replicas: understudy check")
struct CheckTests {
    let dialogs = (1...40).map { DialogReport.confirmed($0) }

    @Test func `equal replicas are equal, and the members are found through one`() async throws {
        let report = try await CheckWorld([FakeNode("n2", dialogs), FakeNode("n1", dialogs)]).run()
        #expect(report.verdict == .equal && report.inFlight == 0)
        #expect(report.members == ["n1", "n2"])
        #expect(
            report.json.sorted.printed
                == #"{"dialogs":40,"equal":true,"in_flight":0,"members":["n1","n2"],"missing":0,"not_asked":[],"#
                + #""partial":false,"remarks":[],"unequal":[]}"#)
        #expect(report.summary == "equal: 40 dialogs on n1, n2")
    }

    @Test func `a forgotten replica is named at once`() async throws {
        let world = CheckWorld([FakeNode("n1", dialogs), FakeNode("n2", dialogs), FakeNode("n3", dialogs)])
        world.nodes[1].state.withLock { _ = $0.dialogs.remove(at: 6) }
        let report = try await world.run()
        #expect(world.now.withLock { $0 } == 0)
        #expect(
            report.json.sorted.printed == """
                {"dialogs":40,"equal":false,"in_flight":0,"members":["n1","n2","n3"],"missing":1,"not_asked":[],\
                "partial":false,"remarks":[],"unequal":[{"call_id":"call-7@pc33",\
                "did":"0000000000000007","differs":["missing on n2"]}]}
                """)
    }

    @Test func `fields that differ are named`() async throws {
        var other = dialogs
        other[4].digest = 99
        other[4].lifetimeMilliseconds = 30_000
        other[4].actor = "n2"
        other[4].remainingMilliseconds = 1
        let report = try await CheckWorld([FakeNode("n1", dialogs), FakeNode("n2", other)]).run()
        #expect(report.unequal.map(\.differs) == [["lifetime_ms"]])
        #expect(report.missing == 0)
    }

    @Test func `a difference in what is not shown is still a difference`() async throws {
        var other = dialogs
        other[4].digest = 99
        let report = try await CheckWorld([FakeNode("n1", dialogs), FakeNode("n2", other)]).run()
        #expect(report.unequal.map(\.differs) == [["record"]])
    }

    @Test func `what is still changing is asked about again, and is equal once it has arrived`() async throws {
        let young = DialogReport.confirmed(50, changed: 3)
        let world = CheckWorld([FakeNode("n1", dialogs + [young]), FakeNode("n2", dialogs)]) { world in
            world.nodes[1].state.withLock { if $0.dialogs.count == 40 { $0.dialogs.append(young) } }
        }
        let report = try await world.run()
        #expect(report.verdict == .equal && report.inFlight == 0)
        #expect(world.now.withLock { $0 } == 250)
    }

    @Test func `what goes on changing for three seconds is in flight, not unequal`() async throws {
        let young = DialogReport.confirmed(50, changed: 3)
        let world = CheckWorld([FakeNode("n1", dialogs + [young]), FakeNode("n2", dialogs)])
        let report = try await world.run()
        #expect(report.verdict == .equal && report.inFlight == 1)
        #expect(world.now.withLock { $0 } == 3_000)
    }

    @Test func `a dialog that ended on one member just now is in flight, a kept tombstone is no difference`()
        async throws
    {
        var ended = dialogs
        ended[0].state = "deleted"
        ended[0].changedMilliseconds = 10
        ended[1].state = "deleted"
        var dropped = dialogs
        dropped.remove(at: 1)
        let report = try await CheckWorld([FakeNode("n1", ended), FakeNode("n2", dropped)]).run()
        #expect(report.verdict == .equal && report.inFlight == 1)
    }

    @Test func `repair is asked of all, compared again until it is equal, and tells what was mended where`()
        async throws
    {
        let whole = (1...40).map { DialogReport.confirmed($0) }
        var stale = whole
        stale[4].digest = 99
        let world = CheckWorld([FakeNode("n1", whole), FakeNode("n2", Array(stale.dropLast()))]) { world in
            let isRepaired = world.nodes.allSatisfy { $0.deeds == ["repair"] }
            if isRepaired { world.nodes[1].state.withLock { $0.dialogs = (1...40).map { .confirmed($0) } } }
        }
        let report = try await world.run(repairing: true)
        #expect(report.verdict == .equal)
        #expect(
            report.repairLines == [
                "mended on n2: 0000000000000005 call-5@pc33", "mended on n2: 0000000000000028 call-40@pc33",
            ])
        let again = try await world.run(repairing: true)
        #expect(again.repairLines == ["nothing to mend"])
        #expect(again.change(since: report) == "")
    }

    @Test func `tables of different sizes are told`() {
        var small = DigestReport()
        small.buckets = [1]
        var large = DigestReport()
        large.buckets = [1, 2]
        #expect(ReplicaComparison.unequalBuckets([small, large]) == nil)
        #expect(ReplicaComparison.unequalBuckets([large, large]) == [])
        #expect(ReplicaComparison.unequalBuckets([]) == [])
    }

    @Test func `a witness has nothing to compare, and nothing is missing without it`() async throws {
        let nodes = [FakeNode("n1", dialogs), FakeNode("n2", dialogs), FakeNode("n3")]
        let world = CheckWorld(nodes)
        for node in nodes { node.state.withLock { $0.status.members[2].isWitness = true } }
        #expect(try await world.run().members == ["n1", "n2"])
        // Whoever asks it asks the others through it.
        #expect(try await world.run(["http://n3:8080"]).members == ["n1", "n2"])
        world.cutOff.withLock { _ = $0.insert("n3") }
        let report = try await world.run()
        #expect(report.members == ["n1", "n2"] && report.unasked.isEmpty && report.verdict == .equal)
    }

    @Test func `what asking took is added to the time a change may be under way`() {
        var record = RecordDigest()
        record.did = "a"
        record.state = "confirmed"
        record.changedMilliseconds = 2_500
        let snapshots = [ReplicaSnapshot(member: "n1", records: [record]), ReplicaSnapshot(member: "n2", records: [])]
        #expect(ReplicaComparison.differences(snapshots).map(\.isSettled) == [true])
        #expect(ReplicaComparison.differences(snapshots, askingMilliseconds: 600).map(\.isSettled) == [false])
    }
}

@Suite("The JSON of the command line")
struct CommandLineShapeTests {
    @Test func `status has its documented shape`() {
        var status = StatusReport()
        status.node = "n1"
        status.cluster = "demo"
        status.state = "up"
        status.quorum = "held"
        status.view = ["n1", "n2"]
        status.incarnation = 1_700_000_000_000
        status.dialogs.confirmed = 5
        status.dialogs.held = 6
        status.dialogs.early = 1
        var member = MemberReport()
        member.name = "n2"
        member.state = "up"
        member.applied = 12
        status.members = [member]
        #expect(
            status.json.sorted.printed == """
                {"build":"","cluster":"demo","commit":"","dialogs":{"acting":0,"confirmed":5,"confirmed_na":0,\
                "deleted":0,"early":1,"held":6,\
                "unconfirmed":0},"epoch":0,"incarnation":1700000000000,"invites":0,\
                "members":[{"acknowledged":0,\
                "applied":12,"bus":"","differs":[],\
                "fit":false,"gone":false,"in_view":false,"incarnation":0,"lag_frames":0,"lag_ms":0,"listed":false,\
                "name":"n2","self":false,"silent_s":0.0,\
                "state":"up","url":"","version":"","witness":false}],"node":"n1","not_ready_reason":"",\
                "quorum":"held","ready":true,"relayed":0,"script":null,"sealing":null,\
                "state":"up","storage":null,"strangers":[],"targets":[],"transactions":0,"unacknowledged":0,\
                "uptime_s":0.0,"version":"",\
                "view":["n1","n2"],"waiting":""}
                """)
    }

    @Test func `a listed dialog is flat, so that patterns find call_id and state`() {
        let list = JSONValue.array([DialogReport.confirmed(1).summary, DialogReport.confirmed(2).summary]).sorted
            .printed
        #expect(
            list.split(separator: "\n").first == """
                [{"actor":"n1","age_s":2.648,"call_id":"call-1@pc33","did":"0000000000000001",\
                "from":"<sip:a@h>;tag=f1",\
                "from_tag":"f1","home":"n1","outs":1,"remaining_s":17.352,"state":"confirmed","to":"<sip:b@h>",\
                "to_tag":"t1"},
                """)
        let found = list.matches(of: /"call_id"\s*:\s*"([^"]+)"[^{}]*?"state"\s*:\s*"([a-z_]+)"/).map { String($0.1) }
        #expect(found == ["call-1@pc33", "call-2@pc33"])
    }

    @Test func `a dialog without a deadline has no remaining time`() {
        var dialog = DialogReport.confirmed(1)
        dialog.remainingMilliseconds = nil
        #expect(dialog.summary["remaining_s"] == .null)
    }
}

// `understudy check` says equal only when everybody was asked: whoever was not is named, with what the others know.

import Management
import Node
import Synchronization
import Testing

@Suite("Who has to be asked, and who could not be")
struct RollCallTests {
    let dialogs = (1...3).map { DialogReport.confirmed($0) }

    func world(_ names: [String] = ["n1", "n2", "n3"]) -> CheckWorld {
        CheckWorld(names.map { FakeNode($0, dialogs) })
    }

    /// Changes what every node says of a member.
    func say(of name: String, in world: CheckWorld, _ change: (inout MemberReport) -> Void) {
        for node in world.nodes {
            node.state.withLock { state in
                for at in state.status.members.indices where state.status.members[at].name == name {
                    change(&state.status.members[at])
                }
            }
        }
    }

    /// Adds a configured peer that a node never heard.
    func addUnheard(_ bus: String, to node: FakeNode) {
        var peer = MemberReport()
        peer.state = "absent"
        peer.bus = bus
        peer.isListed = true
        node.state.withLock { [peer] in $0.status.members.append(peer) }
    }

    @Test(arguments: [
        ("down", false, "down: silent for 12 s"), ("down", true, "down: its process is gone, since 12 s"),
        ("left", false, "it left in good order, 12 s ago"), ("up", false, "up"),
    ])
    func `a member that does not answer makes it 2, and its state is told`(
        state: String, isGone: Bool, standing: String
    ) async throws {
        let world = world()
        world.cutOff.withLock { _ = $0.insert("n3") }
        say(of: "n3", in: world) { member in
            member.state = state
            member.isProvenGone = isGone
            member.silentMilliseconds = 12_345
        }
        let report = try await world.run()
        #expect(report.verdict == .notAllAsked)
        #expect(report.members == ["n1", "n2"])
        #expect(report.unasked.map(\.name) == ["n3"])
        let asked = state == "up" ? "; n3 did not answer n1 over the bus in time" : ""
        #expect(report.unasked[0].why == standing + asked)
        #expect(report.summary == "not all asked: 3 dialogs equal on n1, n2; not asked: n3")
        #expect(report.json["equal"] == false)
        let partial = try await world.run(isPartial: true)
        #expect(partial.verdict == .equal && partial.unasked.count == 1)
        #expect(partial.json["equal"] == true && partial.json["partial"] == true)
    }

    @Test func `a member is asked through whichever of the given nodes hears it`() async throws {
        let world = world()
        world.nodes[0].state.withLock { $0.status.members[2].state = "down" }
        #expect(try await world.run().unasked.map(\.name) == ["n3"])
        #expect(try await world.run(["http://n1:8080", "http://n2:8080"]).members == ["n1", "n2", "n3"])
        #expect(world.nodes[1].state.withLock { $0.inquired.contains("n3") })
        #expect(!world.nodes[0].state.withLock { $0.inquired.contains("n3") })
    }

    @Test func `a member that only another knows is named with who knows it`() async throws {
        let world = world()
        world.nodes[0].state.withLock { _ = $0.status.members.removeLast() }
        let report = try await world.run()
        #expect(report.members == ["n1", "n2"])
        #expect(report.unasked.map(\.why) == ["up to n2, not heard by n1"])
    }

    @Test func `nobody but the given is asked over HTTP`() async throws {
        let world = world()
        for name in ["n2", "n3"] { say(of: name, in: world) { $0.managementURL = "http://127.0.0.1:8080" } }
        #expect(try await world.run().summary == "equal: 3 dialogs on n1, n2, n3")
    }

    @Test func `a member that is gone and whose name comes with another key is told so`() async throws {
        let world = world()
        say(of: "n3", in: world) { member in
            member.state = "left"
            member.silentMilliseconds = 2_000
        }
        world.nodes[1].state.withLock { $0.status.strangers = [StrangerReport(name: "n3", silentMilliseconds: 90)] }
        let why = try await world.run().unasked.first?.why ?? ""
        #expect(why.hasPrefix("it left in good order, 2 s ago; frames of n3 come to n2 with another cluster.name"))
        // A stranger that was heard before the member is one no more.
        world.nodes[1].state.withLock { $0.status.strangers[0].silentMilliseconds = 3_000 }
        #expect(try await world.run().unasked.first?.why == "it left in good order, 2 s ago")
    }

    @Test func `a peer that was never heard is named by its address, once`() async throws {
        let world = world(["n1", "n2"])
        for node in world.nodes { addUnheard("192.0.2.13:7400", to: node) }
        let report = try await world.run()
        #expect(report.verdict == .notAllAsked)
        #expect(report.unasked.map(\.name) == ["192.0.2.13:7400"])
        #expect(report.unasked[0].why.hasPrefix("never heard by n1, n2: not started, cut off, or"))
        #expect(try await world.run(["http://n1:8080", "http://n2:8080"]).verdict == .notAllAsked)
    }

    @Test func `frames of another cluster or key explain who was never heard`() async throws {
        let world = world(["n1"])
        addUnheard("192.0.2.12:7400", to: world.nodes[0])
        world.nodes[0].state.withLock { $0.status.strangers = [StrangerReport(name: "n2", silentMilliseconds: 90)] }
        let report = try await world.run()
        #expect(
            report.unasked.map(\.why) == [
                "never heard by n1, where frames of n2 come with another cluster.name or cluster key"
            ])
    }

    @Test func `two nodes that were both asked and never heard each other are not equal`() async throws {
        let world = world(["n1", "n2"])
        for (node, other) in [(world.nodes[0], "n2"), (world.nodes[1], "n1")] {
            node.state.withLock { state in
                state.status.members.removeAll { $0.name == other }
                state.status.members[0].bus = state.status.node == "n1" ? "192.0.2.11:7400" : "192.0.2.12:7400"
            }
            addUnheard(other == "n1" ? "192.0.2.11:7400" : "192.0.2.12:7400", to: node)
        }
        let report = try await world.run(["http://n1:8080", "http://n2:8080"])
        #expect(report.verdict == .notAllAsked)
        #expect(report.unasked.map(\.name) == ["n1", "n2"])
    }

    @Test func `an answer by another name does not count`() async throws {
        let world = world(["n1", "n2"])
        world.detours.withLock { $0["n2"] = "n1" }
        let report = try await world.run()
        #expect(report.verdict == .notAllAsked && report.members == ["n1"])
        let why = report.unasked.first?.why ?? ""
        #expect(why.contains("answers as n1"))
    }

    @Test func `a member of another cluster is named, one without management is asked`() async throws {
        let world = world()
        say(of: "n2", in: world) { $0.managementURL = "" }
        world.nodes[2].state.withLock { $0.status.cluster = "other" }
        let report = try await world.run()
        #expect(report.members == ["n1", "n2"] && report.unasked.map(\.name) == ["n3"])
        #expect(report.unasked[0].why.hasSuffix("answers for another cluster, other"))
    }

    @Test func `a table of another size is left out, and told with both sizes`() async throws {
        let world = world()
        world.nodes[1].state.withLock { $0.bucketCount = 8 }
        let report = try await world.run()
        #expect(report.verdict == .notAllAsked && report.members == ["n1", "n3"])
        #expect(report.unasked.map(\.name) == ["n2"])
        #expect(
            report.unasked.first?.why
                == "its ims_dialog.hash_size is 8, that of n3 16: set the same value on every node"
                || report.unasked.first?.why
                    == "its ims_dialog.hash_size is 8, that of n1 16: set the same value on every node"
        )
    }

    @Test func `every known member is asked, whichever URLs are given, unless only those are meant`() async throws {
        let world = world()
        #expect(try await world.run(["http://n1:8080", "http://n2:8080"]).members == ["n1", "n2", "n3"])
        #expect(try await world.run(["http://n1:8080", "http://n2:8080"], isPartial: true).members == ["n1", "n2"])
        #expect(try await world.run(isPartial: true).members == ["n1", "n2", "n3"])
    }

    @Test func `a node is named once`() async {
        let world = world()
        await #expect(
            throws: CheckError.askedTwice(name: "n1", first: "http://n1:8080", second: "http://n1:8080")
        ) { try await world.run(["http://n1:8080", "http://n1:8080"]) }
    }

    @Test func `nobody to ask is an error, one of several is named`() async throws {
        let world = world()
        await #expect(throws: CheckError.client(.unreachable(url: "http://n9:8080", reason: "connection refused"))) {
            try await world.run(["http://n9:8080"])
        }
        let report = try await world.run(["http://n1:8080", "http://n9:8080"], isPartial: true)
        #expect(report.members == ["n1"] && report.unasked.map(\.name) == ["http://n9:8080"])
    }

    @Test func `nodes of different clusters are not compared`() async {
        let world = world()
        world.nodes[1].state.withLock { $0.status.cluster = "other" }
        await #expect(throws: CheckError.clustersDiffer(["demo", "other"])) {
            try await world.run(["http://n1:8080", "http://n2:8080"])
        }
    }

    @Test func `settings that differ are told once for each pair, and do not make the replicas unequal`() async throws {
        let world = world()
        world.nodes[0].state.withLock { $0.status.members[1].differs = ["sip.advertise"] }
        world.nodes[1].state.withLock { $0.status.members[0].differs = ["sip.advertise", "ims_dialog.rr_param"] }
        let report = try await world.run()
        #expect(report.verdict == .equal)
        #expect(
            report.remarks == [
                "n1 and n2 differ in ims_dialog.rr_param, sip.advertise: set the same value on every node"
            ])
    }

    @Test func `a watcher is told what is new`() {
        var before = CheckReport()
        before.members = ["n1", "n2"]
        before.dialogs = 10
        var after = before
        after.members = ["n1", "n3"]
        after.dialogs = 8
        after.unasked = [.init(name: "n2", why: "down")]
        #expect(after.change(since: before) == "-2 dialogs, n3 is back, n2 is missing, was equal")
        #expect(after.change(since: after) == "" && after.change(since: nil) == "")
    }
}

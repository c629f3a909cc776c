// What a log says, and how seldom it says the same.

import Management
import Node
import Primitives
import Synchronization
import Testing

@Suite("Lines of the log")
struct LogLineTests {
    let line = LogLine(
        unixMilliseconds: 1_795_957_137_042, node: "n1",
        note: Note(.warning, "a target is down", [("target", "sip:192.0.2.1"), ("why", "no \"answer\"\n\u{1B}[2J")]))

    @Test func `for people the sentence comes first, and the time has milliseconds`() {
        #expect(
            line.text(.text)
                == "2026-11-29T12:58:57.042Z warning a target is down target=sip:192.0.2.1 "
                + "why=\"no \\\"answer\\\"\\n?[2J\" node=n1")
    }

    @Test(arguments: [
        (NoteLevel.debug, 7), (.info, 6), (.notice, 5), (.warning, 4), (.error, 3),
    ])
    func `for journald it begins with the priority, and has no time`(level: NoteLevel, priority: Int) {
        let line = LogLine(unixMilliseconds: 0, node: "n1", note: Note(level, "node ready"))
        #expect(line.text(.journal) == "<\(priority)>node ready node=n1")
    }

    @Test func `for machines it is one object`() throws {
        let value = try JSONValue(parsing: line.text(.json))
        #expect(value["message"] == "a target is down" && value["level"] == "warning" && value["node"] == "n1")
        #expect(value["time"] == "2026-11-29T12:58:57.042Z" && value["target"] == "sip:192.0.2.1")
        #expect(!line.text(.json).contains("\n"))
    }

    @Test func `levels have names, and no others`() {
        for level in NoteLevel.all { #expect(NoteLevel(name: level.name.uppercased()) == level) }
        #expect(NoteLevel(name: "verbose") == nil)
    }
}

@Suite("The same line again and again")
struct LogRepeatsTests {
    @Test func `a burst is written, the rest is counted, and told once a minute and at the end`() {
        var repeats = LogRepeats()
        let note = Note(.warning, "no node saw the ACK", [("call-id", "a")])
        var written = 0
        for moment in 0..<Int64(1_000) { written += repeats.take(note, now: moment).count }
        #expect(written == LogRepeats.burst)
        #expect(repeats.settle(now: 30_000).isEmpty)
        let later = repeats.take(note, now: 60_000)
        #expect(later.count == 2)
        #expect(later[0].metadata.first?.1 == "980" && later[1].metadata.count == 1)
        for _ in 0..<40 { _ = repeats.take(note, now: 61_000) }
        let end = repeats.settle(now: 125_000)
        #expect(end.map(\.message) == ["no node saw the ACK"] && end.first?.metadata.first?.1 == "21")
        #expect(repeats.settle(now: 300_000).isEmpty)
    }

    @Test func `kinds do not take each other's place`() {
        var repeats = LogRepeats()
        for moment in 0..<Int64(100) { _ = repeats.take(Note(.info, "a"), now: moment) }
        #expect(repeats.take(Note(.info, "b"), now: 100).count == 1)
    }

    @Test func `nor do lines of a script, as long as there are not too many`() {
        var repeats = LogRepeats()
        func note(_ line: Int) -> Note { Note(.warning, "it failed", [("file", "a.lua"), ("line", "\(line)")]) }
        for moment in 0..<Int64(100) { _ = repeats.take(note(1), now: moment) }
        #expect(repeats.take(note(1), now: 100).isEmpty && repeats.take(note(2), now: 100).count == 1)
        // Of very many lines those that are beyond the limit are one kind together.
        let written = (3..<2_000).reduce(0) { $0 + repeats.take(note($1), now: 200).count }
        #expect(written == LogRepeats.placeLimit - 2 + LogRepeats.burst)
    }
}

@Suite("What the counters tell")
struct NodeWatchTests {
    func metric(_ name: String, _ value: Int64) -> MetricReport {
        MetricReport(name: name, help: "", kind: .counter, value: value)
    }

    @Test func `what is looked at is among what a node tells each second`() {
        let node = Node(settings: Settings(), boot: 1, seed: 1, now: .zero, unixMilliseconds: 0)
        #expect(Set(node.watchedMetrics().map(\.name)).isSuperset(of: NodeWatch.metrics))
    }

    @Test func `a flood is one line when it begins, one a minute, and one when it has ended`() {
        var watch = NodeWatch()
        var status = StatusReport()
        status.dialogLimit = 1_000
        var total: Int64 = 0
        var lines: [(look: Int, note: Note)] = []
        for look in 0..<200 {
            if (5..<130).contains(look) { total += 50 }
            for note in watch.look(status, [metric("understudy_sip_rate_limited_source_total", total)]) {
                lines.append((look, note))
            }
        }
        #expect(lines.map(\.look) == [5, 65, 125, 139])
        #expect(lines[0].note.message == "requests are refused: too many from one source")
        #expect(lines[0].note.metadata.map(\.1) == ["50", "limits.source-per-second"])
        #expect(lines[3].note.metadata.first?.1 == "6250")
        #expect(lines.map(\.note.level) == [.warning, .warning, .warning, .notice])
    }

    @Test(arguments: [(1_000, "dialogs.limit"), (10, "transactions, which has no setting")])
    func `a full table is named by its limit`(held: Int, limit: String) {
        var watch = NodeWatch()
        var status = StatusReport()
        status.dialogLimit = 1_000
        status.dialogs.held = held
        let notes = watch.look(status, [metric("understudy_sip_overloaded_total", 3)])
        #expect(notes.map { $0.metadata.last?.1 } == [limit])
    }

    @Test func `a join that does not end is told of, again and again`() {
        var watch = NodeWatch()
        var status = StatusReport()
        status.state = "joining"
        status.waiting = "waits for 35 s for 192.0.2.12:7400, not heard"
        var looks: [Int] = []
        for look in 1...130 {
            for note in watch.look(status, []) {
                looks.append(look)
                #expect(note.metadata.first?.1 == status.waiting)
            }
        }
        #expect(looks == [35, 60, 120])
        status.state = "up"
        #expect(watch.look(status, []).isEmpty)
    }

    @Test func `a target that goes down and comes up is told, and a member with other settings`() {
        var watch = NodeWatch()
        var status = StatusReport()
        var target = TargetReport()
        target.uri = "sip:192.0.2.1"
        target.state = "up"
        status.targets = [target]
        var member = MemberReport()
        member.name = "n2"
        status.members = [member]
        #expect(watch.look(status, []).isEmpty)
        status.targets[0].state = "down"
        status.members[0].differs = ["sip.advertise"]
        #expect(
            watch.look(status, []).map(\.message) == [
                "a target is down", "a member has other settings where all must have the same",
            ])
        #expect(watch.look(status, []).isEmpty)
        status.targets[0].state = "up"
        status.members[0].differs = []
        #expect(
            watch.look(status, []).map(\.message) == [
                "a target answers again", "a member has the same settings again",
            ])
    }
}

@Suite("Reading the configuration again")
struct ReloadTests {
    func report(_ before: [String], _ after: [String], files: [String: String] = [:]) -> ReloadReport {
        Reload.report(from: load(leastOverrides + before), to: load(leastOverrides + after, files: files))
    }

    @Test func `what can be taken at once is told apart from what needs a restart`() {
        let report = report(
            ["limits.source-per-second=5"],
            ["access.allow=10.0.0.0/8", "limits.source-per-second=9", "sip.t1-ms=400", "routes=.* => sip:127.0.0.1"])
        #expect(report.applied == ["routes", "access.allow", "limits.source-per-second"])
        #expect(report.needsRestart == ["sip.t1-ms"])
        #expect(report.refused == [])
        let lines = ReloadReport.lines(of: report.json)
        #expect(lines[0] == "changed: routes, access.allow, limits.source-per-second")
        #expect(lines[1] == "needs a restart: sip.t1-ms")
    }

    @Test func `peers are taken while the bus stays what it is, and no name finds them`() {
        let bus = "cluster.bus=127.0.0.1:7400"
        let (two, three) = ("cluster.peers=127.0.0.2:7400", "cluster.peers=127.0.0.2:7400,127.0.0.3:7400")
        #expect(report([bus, two], [bus, three]).applied == ["cluster.peers"])
        #expect(report([bus, three], [bus, two]).applied == ["cluster.peers"])
        #expect(report([bus], [bus, two]).applied == ["cluster.peers"], "a lone node gets company")
        let moved = report([bus, two], ["cluster.bus=127.0.0.1:7410", three])
        #expect(moved.applied == [] && moved.needsRestart == ["cluster.bus", "cluster.peers"])
        let named = report([bus, two], [bus, "cluster.dns=nodes.example.org:7400"])
        #expect(named.applied == [] && named.needsRestart == ["cluster.peers", "cluster.dns"])
        #expect(report([], [bus, two]).needsRestart == ["cluster.bus", "cluster.peers"], "there is no bus yet")
    }

    @Test func `the level of the log is a key, too`() {
        #expect(report([], ["node.log-level=debug"]).applied == ["node.log-level"])
        #expect(load(leastOverrides + ["node.log-level=Warning"]).settings.node.logLevel == .warning)
        #expect(
            report([], ["node.log-level=loud"]).refused
                == ["node.log-level: 'loud' is not one of debug, info, notice, warning, error (--set)"])
    }

    @Test func `a value that is written otherwise and means the same is a change of nothing`() {
        #expect(report(["access.allow=10.0.0.1"], ["access.allow=10.0.0.1"]).applied == [])
        #expect(ReloadReport.lines(of: report([], []).json) == ["nothing has changed"])
        #expect(report(["limits.total-per-second=5"], []).applied == ["limits.total-per-second"], "its default again")
    }

    @Test func `a configuration with a problem changes nothing`() {
        let report = report([], ["access.allow=10.0.0.0/8", "sip.t1-ms=fast"])
        #expect(report.applied == [] && report.needsRestart == [])
        let time = "a time like 500 or 500ms: a whole number, with ms, s, m or h"
        #expect(report.refused == ["sip.t1-ms: 'fast' is not \(time) (--set)"])
        #expect(ReloadReport.lines(of: report.json)[0].hasPrefix("refused, nothing was changed: sip.t1-ms"))
    }

    @Test func `the methods answer with the report, and with the level`() async throws {
        let node = FakeNode("n1")
        let caller = DirectCaller(label: "n1", node: node)
        node.state.withLock { $0.reloadReport.applied = ["access.deny"] }
        #expect(try await caller.call("cluster.reload", ["n1"])["applied"] == ["access.deny"])
        await #expect(throws: ClientError.refused(url: "n1", RPCError(409, "This is n1, not n2"))) {
            try await caller.call("cluster.reload", ["n2"])
        }
        #expect(node.deeds == ["reload"])
        #expect(try await caller.call("cluster.log_level", [])["level"] == "info")
        #expect(try await caller.call("cluster.log_level", ["Debug"])["level"] == "debug")
        await #expect(throws: ClientError.self) { try await caller.call("cluster.log_level", ["loud"]) }
        #expect(node.state.withLock { $0.logLevel } == .debug)
    }

    @Test func `a node is drained by its own name only`() async throws {
        let node = FakeNode("n1")
        let caller = DirectCaller(label: "n1", node: node)
        await #expect(throws: ClientError.refused(url: "n1", RPCError(409, "This is n1, not n2"))) {
            try await caller.call("cluster.drain", ["n2"])
        }
        #expect(node.state.withLock { $0.status.state } == "up")
        #expect(try await caller.call("cluster.drain", ["n1"])["state"] == "draining")
        #expect(try await caller.call("cluster.undrain", [])["state"] == "up")
    }
}

// Each bound of a run and of a node's memory is reached, and what happens there is told.

import Primitives
import Routes
import SIP
import Testing

@Suite("Bounds of routes")
struct RouteLimitTests {
    @Test func `a transaction keeps so many values and no more`() throws {
        var state = RouteState()
        for index in 0..<RouteState.valueLimit { try state.pushAVP(Array("a\(index)".utf8), .integer(index)) }
        #expect(throws: RouteFault.self) { try state.pushAVP([1], .integer(1)) }
        #expect(throws: RouteFault.self) { try state.setVariable([1], .integer(1)) }
        #expect(throws: RouteFault.self) { try state.set(.xavp, [1], nil, .integer(1)) }
        #expect(state.popAVP(Array("a0".utf8)) == true)
        try state.setVariable([1], .integer(1))
    }

    @Test func `a transaction keeps so many bytes of values and no more`() throws {
        var state = RouteState()
        let half = [UInt8](repeating: 0x78, count: RouteState.textLimit / 2)
        try state.pushAVP([1], .text(half))
        try state.setVariable([1], .text(half))
        #expect(throws: RouteFault.self) { try state.pushAVP([1], .text([1])) }
        try state.setVariable([1], .text([]))
        try state.pushAVP([1], .text(half))
        #expect(throws: RouteFault.self) { try state.setVariable([1], .text([1])) }
    }

    @Test func `a run adds so many branches and no more`() throws {
        var run = try RouteBench.run()
        for _ in 0..<RoutePlan.branchLimit { #expect(try run.appendBranch(nil)) }
        #expect(throws: RouteFault.self) { try run.appendBranch(nil) }
    }

    @Test func `a run writes so many things of dialogs and no more`() throws {
        var run = try RouteBench.run()
        run.point.beginsDialog = true
        func set(_ name: String, _ value: Int) -> Bool {
            run.setDialogVariable(Array(name.utf8), .integer(value), of: run.dialog)
        }
        for index in 0..<DialogDraft.writeLimit {
            let isSet = set("v\(index)", 1)
            #expect(isSet)
        }
        // What is written again takes no further place.
        let (isMore, isAgain) = (set("one more", 1), set("v0", 2))
        #expect(!isMore && isAgain)
        #expect(run.text("$dlg_var(v0)") == "2" && run.text("$dlg_var(one more)") == nil)
    }

    @Test func `a profile counts so many calls of other systems and no more`() throws {
        var settings = RouteBench.settings()
        settings.profilesNoValue = [Array("calls".utf8)]
        var run = try RouteBench.run(settings: settings)
        let name = Array("calls".utf8)
        func add(_ number: Int, until seconds: Int) -> Bool {
            run.setRemoteProfile(
                Array("add".utf8), name, [], uid: Array("\(number)".utf8), expires: run.time.seconds + seconds)
        }
        for number in 0..<RouteMemory.remoteLimit {
            try #require(add(number, until: number == 7 ? 0 : 60))
        }
        let (isMore, isEvenMore) = (add(-1, until: 60), add(-2, until: 60))
        #expect(isMore && !isEvenMore, "one had ended")
        #expect(run.profileSize(name, nil) == RouteMemory.remoteLimit)
    }

    @Test func `so many requests are suspended and no more`() throws {
        var run = try RouteBench.run()
        run.point.transaction = 1
        for number in 0..<UInt64(SuspendedRequests.limit) { run.suspended.insert(number + 2) }
        #expect(run.suspend() == false)
        run.suspended.remove(2)
        #expect(run.suspend() == true)
    }

    @Test func `answers get so many bytes of header lines and no more`() throws {
        var run = try RouteBench.run()
        let line = Array("X: ".utf8) + [UInt8](repeating: 0x78, count: RoutePlan.replyLimit - 5)
        try run.addReplyLines(line)
        #expect(throws: RouteFault.self) { try run.addReplyLines(Array("X: 1".utf8)) }
    }

    @Test func `a run writes so many log lines of such a length and no more`() throws {
        var run = try RouteBench.run()
        for _ in 0...RouteRun.noteLimit { run.note(.info, [UInt8](repeating: 0x78, count: 2_000)) }
        #expect(run.notes.count == RouteRun.noteLimit)
        #expect(run.notes[0].text.count == RouteRun.noteSizeLimit)
        #expect(run.notes.last?.level == .warning)
    }

    @Test func `a node keeps so many shared variables and no more`() throws {
        var memory = RouteMemory(RouteSettings())
        for index in 0..<RouteMemory.sharedLimit { try memory.setShared(Array("v\(index)".utf8), .integer(1)) }
        #expect(throws: RouteFault.self) { try memory.setShared([1], .integer(1)) }
        try memory.setShared(Array("v0".utf8), .integer(2))
    }

    @Test func `a table takes so many entries, and those that ended make room`() throws {
        var settings = RouteSettings()
        settings.tables = [HashTableSettings(name: [1], lifetime: .seconds(1))]
        var memory = RouteMemory(settings)
        for index in 0..<RouteMemory.entryLimit {
            #expect(try memory.set([1], Array("\(index)".utf8), .integer(1), at: .zero))
        }
        #expect(throws: RouteFault.self) { try memory.set([1], [0], .integer(1), at: .zero) }
        #expect(try memory.set([1], [0], .integer(1), at: Instant(nanoseconds: 2_000_000_000)))
        #expect(memory.tables[0].entries.count == 1)
        #expect(try !memory.set([2], [0], .integer(1), at: .zero))
    }

    @Test func `a full table is walked once a second, and pike's sources once a window`() throws {
        func moment(_ milliseconds: Int64) -> Instant { Instant.zero.advanced(milliseconds: milliseconds) }
        var settings = RouteSettings()
        settings.tables = [HashTableSettings(name: [1])]
        var memory = RouteMemory(settings)
        let short = Duration.milliseconds(500)
        #expect(try memory.set([1], [0], .integer(1), lifetime: short, at: .zero))
        for index in 1..<RouteMemory.entryLimit {
            _ = try memory.set([1], Array("\(index)".utf8), .integer(1), at: .zero)
        }
        for time in [0, 600, 999] as [Int64] {
            #expect(throws: RouteFault.self) { try memory.set([1], [1], .integer(1), at: moment(time)) }
        }
        #expect(try memory.set([1], [1], .integer(1), at: moment(1_000)))

        var pike = Pike(PikeSettings())
        pike.settings.density = 1
        for index in 0..<Pike.sourceLimit {
            let address = try #require(Address(text: "10.\(index >> 16).\(index >> 8 & 255).\(index & 255)"))
            _ = pike.check(address, at: .zero)
        }
        let late = try #require(Address(text: "192.0.2.1"))
        let before = ([3_900, 4_500, 5_800] as [Int64]).map { pike.check(late, at: moment($0)) }
        let after = (0..<2).map { _ in pike.check(late, at: moment(5_900)) }
        #expect(before == [.fine, .fine, .fine] && after == [.fine, .justBlocked])
    }

    @Test func `pike knows so many sources; one more is not counted`() throws {
        var settings = PikeSettings()
        settings.density = 1
        var pike = Pike(settings)
        for index in 0..<Pike.sourceLimit {
            let address = try #require(Address(text: "10.\(index >> 16).\(index >> 8 & 255).\(index & 255)"))
            #expect(pike.check(address, at: .zero) == .fine)
        }
        let late = try #require(Address(text: "192.0.2.1"))
        for _ in 0..<5 { #expect(pike.check(late, at: .zero) == .fine) }
        let known = try #require(Address(text: "10.0.0.1"))
        #expect(pike.check(known, at: .zero) == .justBlocked)
    }

    @Test func `patterns beyond those that are kept match all the same`() throws {
        var table = RoutePatternTable()
        for index in 0...RoutePatternTable.limit {
            let text = Array("x\(index)y".utf8)
            #expect(try table.find(text).matchesWhole(text, 0..<text.count))
        }
    }
}

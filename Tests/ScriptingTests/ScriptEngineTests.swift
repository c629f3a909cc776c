// The engine: what a run may do, what ends it, and that nothing of it is left.

import Routes
import Scripting
import Testing

@Suite("The script engine")
struct ScriptEngineTests {
    private func outcome(_ body: String, limits: ScriptLimits = ScriptLimits()) throws -> (ScriptOutcome, [String]) {
        let engine = try ScriptBench.engine("function f()\n\(body)\nend", limits: limits)
        return (engine.route("f"), engine.notes)
    }

    private func fault(_ body: String, limits: ScriptLimits = ScriptLimits()) throws -> ScriptError? {
        guard case .failed(let error) = try outcome(body, limits: limits).0 else { return nil }
        return error
    }

    @Test func `a route reads the message and decides`() throws {
        let engine = try ScriptBench.engine(
            """
            function ksr_request_route()
              KSR.info(KSR.pv.get("$ru") .. " " .. KSR.kx.get_method() .. " " .. KSR.kx.get_srcport())
              if KSR.is_INVITE() and KSR.siputils.has_totag() < 0 then KSR.rr.record_route() end
              KSR.hdr.append("P-Hint: x\\r\\n")
              if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
              KSR.x.exit()
              KSR.err("not reached")
            end
            """)
        #expect(engine.route("ksr_request_route") == .exited)
        #expect(engine.notes == ["sip:bob@example.org INVITE 6000"])
        #expect(engine.run.plan.verdict == .relayed && engine.run.plan.recordsRoute)
        #expect(try engine.run.edited()?.shown.contains("P-Hint: x\r\n") == true)
        #expect(engine.route("nothing") == .absent)
    }

    @Test(arguments: [
        "pcall(function() KSR.x.exit() end) KSR.err('no')",
        "pcall(pcall, KSR.x.exit) KSR.err('no')",
        "xpcall(KSR.x.exit, function() KSR.err('no') end) KSR.err('no')",
        "pcall(table.sort, {3, 2, 1}, function() KSR.x.exit() end) KSR.err('no')",
        "pcall(string.gsub, 'abc', '.', function() KSR.x.exit() end) KSR.err('no')",
        "local t = setmetatable({}, {__index = function() KSR.x.drop() end}) local x = t.y KSR.err('no')",
    ])
    func `nothing catches an exit`(body: String) throws {
        let (outcome, notes) = try outcome(body)
        #expect(outcome == .exited)
        #expect(notes.isEmpty)
    }

    @Test(arguments: [
        "while true do end", "while true do pcall(function() while true do end end) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "local function g() return g() end g()", "for i = 1, 1e12 do end", "repeat until false",
        "t = setmetatable({}, {__close = function() while true do end end}) pcall(load('local x <close> = t f()'))",
    ])
    func `a run that does not end is ended`(body: String) throws {
        let error = try #require(try fault(body))
        #expect(error.kind == .steps)
        #expect(error.file == "route.lua" && error.line == 2)
    }

    @Test(arguments: [
        "local s = string.rep('x', 1e9)", "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = string.rep('x', 100000) end",
        "while true do pcall(string.rep, 'x', 9000000) end",
    ])
    func `a run that wants too much memory is ended`(body: String) throws {
        let error = try #require(try fault(body))
        #expect(error.kind == .memory || error.text.contains("memory"))
        #expect(error.line == 2)
    }

    @Test(arguments: [
        ("error('boom')", "boom"), ("local x = nil + 1", "arithmetic"), ("KSR.hdr.foo()", "field 'foo'"),
        ("KSR.nothing.foo()", "field 'nothing'"), ("error({})", "table"),
        ("local function g() return 1 + g() end g()", "more than 20000 calls"),
        ("require('cjson')", "module 'cjson'"),
        ("KSR.hdr.append('no line')", "KSR.hdr.append: an edit that does not fit"),
        ("string.rep('x', 1 << 40)", "repetitions"), ("setmetatable({}, {__gc = error})", "finalizer"),
        ("(('a?'):rep(40)):find(('a?'):rep(40))", "repeats"),
    ])
    func `an error names its file and line`(body: String, text: String) throws {
        let error = try #require(try fault("\n" + body))
        #expect(error.file == "route.lua" && error.line == 3)
        #expect(error.text.contains(text), "\(error.text)")
    }

    @Test(arguments: ["io", "debug", "coroutine", "dofile", "loadfile", "collectgarbage", "print"])
    func `what reaches outside is not there`(name: String) throws {
        let (outcome, notes) = try outcome("KSR.info(type(\(name)))")
        #expect(outcome == .ended && notes == ["nil"])
    }

    @Test(arguments: [
        ("KSR.info(select('#', unpack({1, 2})))", "2"), ("KSR.info(table.getn({1, 2, 3}))", "3"),
        ("KSR.info(loadstring('return 5')())", "5"), ("KSR.info(math.pow(2, 3))", "8"), ("KSR.info(10 / 2)", "5"),
        ("KSR.info(os.time())", "1000000000"), ("KSR.info(os.date('!%Y'))", "2001"),
        ("KSR.info(tostring(load('\\27Lua')))", "nil"), ("KSR.info(pcall(error, 'x') and 'a' or 'b')", "b"),
        ("KSR.info(select(2, xpcall(error, function(e) return 'h' .. e end, 'x')))", "hx"),
        ("KSR.info(package.path)", ""), ("KSR.info(os.clock() >= 0 and 'ok')", "ok"),
    ])
    func `the library is Lua's, with the names of 5_1`(body: String, text: String) throws {
        let (outcome, notes) = try outcome(body)
        #expect(outcome == .ended && notes == [text])
    }

    @Test func `chance, time and the order of keys are replayed`() throws {
        var limits = ScriptLimits()
        limits.isReplayable = true
        let text = """
            function f()
              local t = {}
              for i = 1, 50 do t["k" .. i] = i t[i * 7] = i end
              local s = ""
              for k in pairs(t) do s = s .. k .. "," end
              KSR.info(s .. math.random() .. "," .. math.random(1000) .. "," .. math.random(5, 9) .. os.date("%H"))
            end
            """
        let first = try ScriptBench.engine(text, limits: limits)
        let second = try ScriptBench.engine(text, limits: limits)
        #expect(first.route("f") == .ended && second.route("f") == .ended)
        #expect(first.notes == second.notes)
        #expect(first.notes.first?.hasPrefix("7,14,21,") == true)
    }

    @Test func `modules are the texts that were read before`() throws {
        let engine = try ScriptBench.engine(
            "m = require('a.b') assert(require('a.b') == m)\nfunction f() KSR.info(m.name .. require('c').name) end",
            modules: ["a/b.lua": "return {name = ...}", "c/init.lua": "name = 1 return {name = 'c'}"])
        #expect(engine.route("f") == .ended)
        #expect(engine.notes == ["a.bc"])
        #expect(throws: ScriptError.self) { try ScriptBench.engine("require('missing')") }
        #expect(throws: ScriptError.self) { try ScriptBench.engine("require('bad')", modules: ["bad.lua": "x = = 1"]) }
    }

    @Test func `a script that cannot be loaded says where`() throws {
        for (text, line) in [("x = = 1", 1), ("\n\nerror('at load')", 3), ("while true do end", 1)] {
            do {
                _ = try ScriptBench.engine(text)
                Issue.record("\(text) was loaded")
            } catch {
                let fault = try #require(error as? ScriptError)
                #expect(fault.file == "route.lua" && fault.line == line, "\(fault)")
                #expect(fault.sentence.hasPrefix("route.lua:\(line):"))
            }
        }
    }

    @Test func `a run waits under a token, and others go on meanwhile`() throws {
        let engine = try ScriptBench.engine(
            """
            function f() KSR.pv.sets("$avp(a)", "kept") pcall(function()
              local r = KSR.cfgutils.sleep(2) KSR.info("woke " .. r .. KSR.pv.get("$avp(a)")) end) end
            function g() KSR.info("other") end
            """)
        guard case .waiting(let token, let milliseconds) = engine.route("f") else {
            Issue.record("it did not wait")
            return
        }
        #expect(milliseconds == 2_000)
        #expect(engine.route("g") == .ended && engine.notes == ["other"])
        #expect(engine.resume(token) == .ended)
        #expect(engine.notes == ["woke 1kept"])
        #expect(engine.resume(token) == .absent)
        guard case .waiting(let second, _) = engine.route("f") else { return }
        engine.drop(second)
        #expect(engine.waitingCount == 0)
    }

    @Test func `so many runs wait and no more`() throws {
        let engine = try ScriptBench.engine("function f() KSR.cfgutils.usleep(1000) end")
        for _ in 0..<ScriptEngine.waitingLimit {
            guard case .waiting = engine.route("f") else {
                Issue.record("it did not wait")
                return
            }
        }
        guard case .failed = engine.route("f") else {
            Issue.record("one more waited")
            return
        }
        #expect(engine.counters.waits == UInt64(ScriptEngine.waitingLimit))
    }

    @Test func `each limit is counted`() throws {
        let engine = try ScriptBench.engine(
            "function a() error('x') end function b() while true do end end function c() string.rep('x', 9000000) end")
        for route in ["a", "b", "c"] {
            guard case .failed = engine.route(route) else {
                Issue.record("\(route) did not fail")
                continue
            }
        }
        #expect(engine.counters.errors == 3 && engine.counters.stepLimits == 1 && engine.counters.memoryLimits == 1)
    }

    @Test func `memory is flat over very many runs, whichever way they end`() throws {
        let engine = try ScriptBench.engine(
            """
            function ended() local t = {} for i = 1, 5 do t[i] = KSR.pv.get("$ru") .. i end return t end
            function exited() KSR.x.exit() end
            function failed() error("x" .. os.time()) end
            """)
        func runs(_ count: Int) {
            for index in 0..<count {
                _ = engine.start(Array(["ended", "exited", "failed"][index % 3].utf8))
            }
        }
        runs(3_000)
        let before = engine.memory
        runs(60_000)
        #expect(engine.memory < before * 2 + 65_536, "\(before) then \(engine.memory)")
    }
}

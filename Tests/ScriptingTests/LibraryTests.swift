// The table of KSR functions: each is called as it should be and as it should not, and stands in the list of what
// Kamailio exports, with its types, where that list is at hand.

import Foundation
import Routes
import Scripting
import Testing

@Suite("KSR's functions")
struct LibraryTests {
    /// Not exported by name: they come with the Lua engine, or with a module that has no place in the list.
    private static let ours: Set<String> = ["x.exit", "x.drop", "x.modf", "auth_db.auth_check"]

    /// Of Kamailio's later versions, and those that ims_dialog and dialog have without exporting them.
    private static func isLater(_ name: String) -> Bool {
        name.hasPrefix("ims_dialog.")
            || [
                "dialog.dlg_set_ruri", "dialog.dlg_terminate", "dialog.dlg_set_var", "dialog.dlg_get_var",
                "dialog.dlg_set_state", "dialog.dlg_remote_profile", "dialog.dlg_set_timeout_by_profile",
                "dialog.dlg_update_state", "dialog.dlg_update_contact", "dialog.dlg_update_socket",
                "dialog.dlg_refer", "dialog.dlg_refer_did", "dialog.dlg_refer_cid", "dialog.dlg_req_within",
                "dialog.dlg_req_within3", "dialog.dlg_req_within4", "dialog.dlg_req_within5",
            ].contains(name)
    }

    /// A file of the shared test data, read in place.
    private static func shared(_ name: String) -> String? {
        let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let folders =
            [root.deletingLastPathComponent(), root.deletingLastPathComponent().deletingLastPathComponent()]
            + (ProcessInfo.processInfo.environment["SHARED_FOLDER"].map { [URL(filePath: $0)] } ?? [])
        let paths = folders.map { $0.appending(path: "shared/testdata/kemi/" + name) }
        return paths.compactMap { try? String(contentsOf: $0, encoding: .utf8) }.first
    }

    /// How often public scripts call a function.
    private static let usage: [(name: String, calls: Int)]? = shared("kemi-usage.tsv").map { text in
        text.split(separator: "\n").dropFirst().compactMap { line in
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard cells.count > 2, let calls = Int(cells[2]) else { return nil }
            return (String(cells[1].dropFirst(4)), calls)
        }
    }

    private static let list: [String: (result: String, parameters: [String])]? = {
        guard let text = shared("kemi-api-kamailio-5.6.3.tsv") else { return nil }
        var list: [String: (String, [String])] = [:]
        for line in text.split(separator: "\n").dropFirst() {
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard cells.count > 2, cells[0].hasPrefix("KSR.") else { continue }
            let parameters =
                cells[2] == "none"
                ? []
                : cells[2].split(separator: ",").map {
                    $0.trimmingCharacters(in: .whitespaces)
                }
            list[String(cells[0].dropFirst(4))] = (cells[1], parameters)
        }
        return list
    }()

    @Test func `every name stands once`() {
        let names = Library.functions.map(\.name)
        #expect(names.count > 300)
        #expect(Set(names).count == names.count)
    }

    @Test(.enabled(if: list != nil, "the list of Kamailio's exports is not at hand"))
    func `every function has the types that Kamailio exports`() throws {
        let list = try #require(Self.list)
        for function in Library.functions where !Self.ours.contains(function.name) && !Self.isLater(function.name) {
            let known = try #require(list[function.name], "Kamailio has no \(function.name)")
            #expect(known.result == function.result.rawValue, "\(function.name)")
            #expect(known.parameters == function.parameters.map(\.rawValue), "\(function.name)")
        }
    }

    @Test(.enabled(if: list != nil, "the list of Kamailio's exports is not at hand"))
    func `of all that Kamailio exports, what is not here is found before the script serves`() throws {
        let list = try #require(Self.list)
        let names = list.keys.sorted()
        #expect(names.count == 801)
        let calls = names.map { "  KSR.\($0)()" }.joined(separator: "\n")
        let text = "function ksr_request_route()\n\(calls)\nend\n"
        let findings = ScriptCheck.findings(
            in: ScriptSource(main: .init(name: "route.lua", text: Array(text.utf8))), modules: nil)
        let known = Set(Library.functions.map(\.name))
        let missing = names.filter { !known.contains($0) }
        #expect(findings.count == missing.count)
        for (finding, name) in zip(findings, missing) {
            #expect(finding.kind == .unknownFunction && finding.text.hasPrefix("KSR.\(name) "), "\(finding)")
        }
    }

    @Test(.enabled(if: usage != nil, "the count of calls is not at hand"))
    func `at least 98.1 % of the calls of public scripts are served`() throws {
        let usage = try #require(Self.usage)
        let known = Set(Library.functions.map(\.name))
        let all = usage.reduce(0) { $0 + $1.calls }
        let served = usage.filter { known.contains($0.name) }.reduce(0) { $0 + $1.calls }
        #expect(all == 2_272)
        #expect(served * 1_000 >= all * 981, "\(served) of \(all)")
    }

    /// They want header lines, or the name of a header: a number is no line, nil no name, and that is an error of the
    /// script in every route.
    private static let raising: Set<String> = [
        "hdr.append", "hdr.append_after", "hdr.append_to_reply", "hdr.insert", "hdr.insert_before", "hdr.rmappend",
        "hdr.rminsert", "textopsx.append_hf_value", "textopsx.assign_hf_value", "textopsx.include_hf_value",
    ]

    private static let answer = """
        SIP/2.0 183 Session Progress
        Via: SIP/2.0/UDP 127.0.0.20:5060;branch=z9hG4bK2
        Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport
        From: "Alice" <sip:alice@example.com>;tag=fromtag
        To: <sip:bob@example.org>;tag=totag
        Call-ID: call-1
        CSeq: 17 INVITE
        Contact: <sip:bob@10.0.0.6:5060>
        Content-Length: 0


        """

    /// Calls a function without parameters where it wants some, with one where it wants none, rightly, and with nil for
    /// each; notes what it answers.
    private static let caller: String = {
        let calls = Library.functions.map { function in
            let right = function.parameters.map { $0 == .text ? "'1'" : "1" }.joined(separator: ", ")
            let wrong = function.parameters.map { _ in "nil" }.joined(separator: ", ")
            return "    {'\(function.name)', KSR.\(function.name), {\(right)}, {\(wrong)}},"
        }
        return """
            local all = {
            \(calls.joined(separator: "\n"))
            }
            local function kind(v) return v == nil and 'nil' or type(v) end
            function one(i)
              local f = all[tonumber(i)]
              local n = #f[3]
              local none = n > 0 and f[2]() or n == 0 and f[2]('x')
              KSR.info(f[1] .. ' ' .. tostring(none))
              local ok, right = pcall(f[2], unpack(f[3], 1, n))
              local ok2, wrong = pcall(f[2], unpack(f[4], 1, n))
              right, wrong = ok and kind(right) or 'raised', ok2 and kind(wrong) or 'raised'
              KSR.info(table.concat({f[1], tostring(none), right, wrong}, ' '))
            end
            """
    }()

    /// What it may answer in Lua.
    private static func kinds(_ function: KSRFunction) -> Set<String> {
        switch function.result {
        case .nothing, .flag: ["boolean"]
        case .number: ["number"]
        case .value: ["nil", "string", "number", "table"]
        }
    }

    @Test(arguments: RouteKind.allCases)
    func `every function can be called in every route, rightly and wrongly, and answers what its type says`(
        kind: RouteKind
    ) throws {
        let engine = try ScriptBench.engine(Self.caller)
        let message = ScriptBench.message(kind.isOfRequest ? ScriptBench.invite : Self.answer)
        var point = engine.run.point
        point.kind = kind
        var raised: Set<String> = []
        for (index, function) in Library.functions.enumerated() {
            engine.run.begin(message, at: point, state: RouteState(), time: engine.run.time)
            let outcome = engine.start(Array("one".utf8), argument: Array("\(index + 1)".utf8))
            let words = (engine.notes.last ?? "").split(separator: " ").map(String.init)
            try #require(words.count > 1 && words[0] == function.name, "\(function.name): \(words)")
            #expect(words[1] == "false", "\(function.name) called wrongly: \(words[1])")
            switch outcome {
            case .exited: #expect(["x.exit", "x.drop"].contains(function.name), "\(function.name) left")
            case .waiting(let token, _), .asking(let token, _):
                // It has been called rightly, and waits: it answers when it goes on, which others' tests see.
                #expect(function.name.contains("sleep") || function.module == "rtpengine", "\(function.name) waits")
                engine.drop(token)
            case .ended:
                try #require(words.count == 4, "\(words)")
                if words[2...].contains("raised") { raised.insert(function.name) }
                for word in words[2...] where word != "raised" {
                    #expect(Self.kinds(function).contains(word), "\(function.name) answered \(word)")
                }
            case .failed, .absent: Issue.record("\(function.name): \(outcome)")
            }
        }
        #expect(raised == Self.raising, "in \(kind)")
    }

    @Test func `called with too few, too many and odd parameters, KEMI's rules hold`() throws {
        let engine = try ScriptBench.engine(
            """
            function f()
              KSR.info(tostring(KSR.is_INVITE(1)) .. tostring(KSR.pv.get()) .. tostring(KSR.setflag("5")))
              KSR.info(tostring(KSR.isflagset(5, 6)) .. KSR.pv.gete("$nothing") .. KSR.pv.getw("$tt"))
              KSR.info(tostring(KSR.pv.get("$tt")) .. tostring(KSR.info()) .. tostring(KSR.sl.send_reply("404", nil)))
            end
            """)
        #expect(engine.route("f") == .ended)
        #expect(
            engine.notes == [
                "invalid parameters for: is_INVITE (route.lua:2)",
                "invalid number of parameters for: pv.get (route.lua:2)", "falsefalsetrue",
                "$nothing is no pseudo-variable that is known here (route.lua:3)", "true<null>",
                "invalid number of parameters for: info", "nilfalse1",
            ])
        #expect(engine.run.plan.verdict == .replied(404, reason: [], isStateful: false))
    }

    @Test func `a module that is off is not there`() throws {
        let engine = try ScriptBench.engine(
            "function f() KSR.info(tostring(KSR.auth) .. type(KSR.htable) .. type(KSR.nathelper)) end",
            enabled: ["nathelper"])
        #expect(engine.route("f") == .ended)
        #expect(engine.notes == ["niltabletable"])
    }

    @Test func `modf calls a function by the name that a kamailio_cfg has`() throws {
        let engine = try ScriptBench.engine(
            "function f() KSR.x.modf('sl_send_reply', 486, 'Busy') KSR.info(KSR.x.modf('no_such')) end")
        #expect(engine.route("f") == .ended)
        #expect(engine.run.plan.verdict == .replied(486, reason: Array("Busy".utf8), isStateful: false))
        #expect(engine.notes.last == "-1")
    }
}

// What a check finds in a script's text.

import Foundation
import Routes
import Scripting
import Testing

@Suite("script check")
struct ScriptCheckTests {
    private func sentences(_ text: String, modules: Set<String>? = nil, files: [String: String] = [:]) -> [String] {
        var source = ScriptSource(main: .init(name: "r.lua", text: Array(text.utf8)))
        for (name, text) in files { #expect(source.add(.init(name: name, text: Array(text.utf8))) == true) }
        return ScriptCheck.findings(in: source, modules: modules).map(\.sentence)
    }

    @Test func `unknown functions, modules that are off and missing files are found with their lines`() {
        let text = """
            -- KSR.comment.no()
            local s = "KSR.text.no()" .. [[ KSR.long.no() ]]
            --[==[ KSR.block.no()
            ]==] KSR.tm.t_relay() KSR.tm.t_rely()
            if KSR.auth and KSR.rtpproxy then KSR.auth.auth_challenge("x", 0) end
            KSR.nosuch.f() x.KSR.y() KSR.infoo("a")
            require "a.b" require('c')
            """
        #expect(
            sentences(text, modules: [], files: ["a/b.lua": "KSR.hdr.apend('x')"]) == [
                "r.lua:4: KSR.tm.t_rely is not known here",
                "r.lua:5: KSR.auth.auth_challenge: the module auth is off; script.modules does not name it",
                "r.lua:6: KSR.infoo is not known here", "r.lua:6: KSR.nosuch.f is not known here",
                "r.lua:7: module 'c' is not below script.path", "a/b.lua:1: KSR.hdr.apend is not known here",
            ])
        #expect(sentences("KSR.auth.auth_challenge('x', 0)").isEmpty)
        #expect(sentences("KSR.auth.auth_challenge('x', 0)", modules: ["auth"]).isEmpty)
    }

    @Test func `what cannot be compiled is told with its line, and nothing is run`() {
        #expect(sentences("x = 1\nx = = 2 KSR.nosuch()") == ["r.lua:2: unexpected symbol near '='"])
        #expect(sentences("while true do end").isEmpty)
        #expect(sentences("\u{1B}Lua")[0].hasPrefix("r.lua:"))
    }

    @Test func `so many files of so much text and no more`() {
        var source = ScriptSource(main: .init(name: "r.lua", text: []))
        for index in 0..<ScriptSource.fileLimit { #expect(source.add(.init(name: "f\(index).lua", text: [])) == true) }
        #expect(source.add(.init(name: "more.lua", text: [])) == false)
        var large = ScriptSource(main: .init(name: "r.lua", text: []))
        let text = [UInt8](repeating: 0x20, count: ScriptSource.sizeLimit)
        #expect(large.add(.init(name: "a.lua", text: text)) == true)
        #expect(large.add(.init(name: "b.lua", text: [0x20])) == false)
    }

    private static let stock = "/usr/share/doc/kamailio/examples/kemi/kamailio-basic-kemi-lua.lua"

    @Test(.enabled(if: FileManager.default.fileExists(atPath: stock), "Kamailio's examples are not installed"))
    func `the stock script compiles, and what is missing is the registrar and the parameters of Record-Route`() throws {
        let text = try Array(Data(contentsOf: URL(filePath: Self.stock)))
        let source = ScriptSource(main: .init(name: "stock.lua", text: text))
        let unknown = ScriptCheck.findings(in: source, modules: nil)
        #expect(
            unknown.allSatisfy {
                $0.text.contains("KSR.registrar.") || $0.text.contains("KSR.rtpproxy.")
                    || $0.text.contains("KSR.rr.add_rr_param")
            }, "\(unknown)"
        )
        let engine = try ScriptEngine(source, limits: ScriptLimits(), run: ScriptBench.run(modules: []))
        #expect(
            engine.has(Array("ksr_request_route".utf8))
                && engine.run.routeNames.contains(Array("ksr_failure_manage".utf8)))
    }
}

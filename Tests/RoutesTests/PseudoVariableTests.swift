// Pseudo-variables over one message, as Kamailio's would read.

import Primitives
import Routes
import SIP
import Testing

@Suite("Pseudo-variables")
struct PseudoVariableTests {
    @Test(
        arguments: [
            ("$ru", "sip:bob@example.org:5062;transport=tcp"), ("$rU", "bob"), ("$rd", "example.org"), ("$rp", "5062"),
            ("$rP", "tcp"), ("$rm", "INVITE"), ("$fu", "sip:alice@example.com"), ("$fU", "alice"),
            ("$fd", "example.com"),
            ("$ft", "fromtag"), ("$fn", "\"Alice\""), ("$tu", "sip:bob@example.org"), ("$tU", "bob"),
            ("$td", "example.org"),
            ("$ci", "call-1@10.0.0.5"), ("$cs", "17"), ("$ua", "phone/1.0"), ("$si", "192.0.2.9"), ("$sp", "6000"),
            ("$proto", "udp"), ("$pr", "udp"), ("$Ri", "127.0.0.20"), ("$Rp", "5060"), ("$Ru", "udp:127.0.0.20:5060"),
            ("$su", "sip:192.0.2.9:6000"), ("$cT", "application/sdp"), ("$cl", "36"), ("$mt", "1"), ("$oP", "tcp"),
            ("$hdr(user-agent)", "phone/1.0"), ("$hdr(f)", "\"Alice\" <sip:alice@example.com>;tag=fromtag"),
            ("$hdr(X-List)", "a, b"), ("$(hdr(X-List)[1])", "c"), ("$(hdr(X-List)[-1])", "c"), ("$hdrc(X-List)", "2"),
            ("$(ru{uri.user})", "bob"), ("$(ru{uri.port}{s.len})", "4"), ("$(ru{uri.param,transport})", "tcp"),
            ("$(ci{s.select,0,@})", "call-1"), ("$(fU{s.substr,1,2})", "li"), ("$(fU{s.toupper})", "ALICE"),
            ("$(hdr(From){nameaddr.uri})", "sip:alice@example.com"), ("$TS", "1700000000"), ("$T_branch_idx", "0"),
            ("$(fU{s.md5})", "6384e2b2184bcbf58eccf10ca7a6563c"), ("$var(x)", "0"), ("$expires(max)", nil),
            ("$tt", nil), ("$du", nil), ("$rs", nil), ("$hdr(Nothing)", nil), ("$avp(x)", nil), ("$xavp(a=>b)", nil),
            ("$null", nil), ("$ai", nil), ("$sht(t=>k)", nil),
        ] as [(String, String?)])
    func `each reads its part of the message`(name: String, expected: String?) throws {
        var run = try RouteBench.run()
        #expect(run.text(name) == expected)
        #expect(run.notes.isEmpty)
    }

    @Test func `numbers are numbers where the variable is one`() throws {
        var run = try RouteBench.run()
        for name in ["$sp", "$Rp", "$ml", "$TS", "$T_branch_idx", "$mf"] {
            guard case .integer = run.value(of: Array(name.utf8)) else {
                Issue.record("\(name) is no number")
                continue
            }
        }
        #expect(run.value(of: Array("$rp".utf8)) == .text(Array("5062".utf8)))
    }

    @Test(arguments: [
        "", "ru", "$", "$nothing", "$(ru", "$ru)", "$(ru{no.such})", "$hdr()", "$hdr", "$sht(t)", "$ru(x)",
    ])
    func `what is no variable is null, and the log says so`(name: String) throws {
        var run = try RouteBench.run()
        #expect(run.value(of: Array(name.utf8)).isNull)
        #expect(run.notes.count == 1)
    }

    @Test func `a variable may be no longer, and no more transformed, than the bounds say`() throws {
        let name = "$hdr(" + String(repeating: "x", count: PseudoVariable.sizeLimit - 6) + ")"
        #expect(PseudoVariable(Array(name.utf8)) != nil)
        #expect(PseudoVariable(Array(name.replacing("$hdr(", with: "$hdr(y").utf8)) == nil)
        func transformed(_ count: Int) -> [UInt8] {
            Array(("$(ru" + String(repeating: "{s.len}", count: count) + ")").utf8)
        }
        #expect(PseudoVariable(transformed(PseudoVariable.transformationLimit)) != nil)
        #expect(PseudoVariable(transformed(PseudoVariable.transformationLimit + 1)) == nil)
    }

    @Test func `texts beyond those that are kept are read all the same`() throws {
        var table = PseudoVariableTable()
        for index in 0...PseudoVariableTable.limit {
            #expect(table.find(Array("$var(v\(index))".utf8)) == PseudoVariable(Array("$var(v\(index))".utf8)))
        }
    }

    @Test func `what was written is read, in the parts of the Request-URI too`() throws {
        var run = try RouteBench.run()
        func write(_ name: String, _ value: String) throws -> Bool {
            try run.write(.text(Array(value.utf8)), to: Array(name.utf8))
        }
        #expect(try write("$rU", "carol"))
        #expect(run.text("$ru") == "sip:carol@example.org:5062;transport=tcp")
        #expect(try write("$rd", "example.net"))
        #expect(run.text("$ru") == "sip:carol@example.net:5062;transport=tcp")
        #expect(try write("$rp", "5070"))
        #expect(run.text("$ru") == "sip:carol@example.net:5070;transport=tcp")
        #expect(try write("$rP", "udp"))
        #expect(run.text("$ru") == "sip:carol@example.net:5070;transport=udp")
        #expect(try write("$ru", "sips:x@y"))
        #expect(run.text("$ou") == "sip:bob@example.org:5062;transport=tcp")
        #expect(try write("$du", "sip:10.0.0.1:5080"))
        #expect(run.text("$dd") == "10.0.0.1")
        #expect(try run.write(.null, to: Array("$du".utf8)))
        #expect(run.text("$du") == nil)
        #expect(try !write("$ru", "no uri"))
        #expect(try !write("$fu", "sip:a@b"))
        #expect(try !write("$hdr(X)", "1"))
        #expect(run.notes.count == 3)
    }

    @Test func `values live in their stores: stacks, records, tables, the node`() throws {
        var run = try RouteBench.run()
        func set(_ name: String, _ value: RouteValue) throws { #expect(try run.write(value, to: Array(name.utf8))) }
        try set("$avp(s:x)", .text(Array("1".utf8)))
        try set("$avp(x)", .integer(2))
        #expect(run.text("$avp(x)") == "2")
        #expect(run.text("$(avp(x)[1])") == "1")
        #expect(run.text("$(avp(x)[*])") == "2,1")
        try set("$avp(x)", .null)
        #expect(run.text("$avp(x)") == "1")
        try set("$xavp(a=>b)", .integer(5))
        try set("$xavp(a=>c)", .text(Array("d".utf8)))
        #expect(run.text("$xavp(a=>b)") == "5")
        #expect(run.text("$xavp(a[0]=>c)") == "d")
        try set("$xavi(Who=>Me)", .integer(7))
        #expect(run.text("$xavi(who=>ME)") == "7")
        #expect(run.text("$xavp(who=>me)") == nil)
        try set("$var(x)", .integer(3))
        #expect(run.text("$var(x)") == "3")
        try set("$shv(x)", .integer(4))
        #expect(run.memory.shared[Array("x".utf8)] == .integer(4))
        try set("$sht(t=>$si)", .integer(6))
        #expect(run.text("$sht(t=>192.0.2.9)") == "6")
        #expect(
            run.memory.value(Array("t".utf8), Array("192.0.2.9".utf8), at: Instant(nanoseconds: 61_000_000_001)).isNull)
    }

    @Test func `a format has text and variables`() throws {
        let run = try RouteBench.run()
        let format = RouteFormat(Array("$rm to $(ru{uri.user}), $$5 $tt $x".utf8))
        #expect(run.text(of: format).shown == "INVITE to bob, $5 <null> $x")
    }
}

// Via, name-addr headers, CSeq.

import Primitives
import SIP
import Testing

@Suite("Via, RFC 3261 §20.42")
struct ViaTests {
    private func message(_ vias: String) throws -> Message {
        try Message(lines: "OPTIONS sip:a SIP/2.0\n\(vias)\n\n")
    }

    @Test func `all parameters of a Via are found`() throws {
        let message = try message(
            "v: SIP/2.0/TCP [2001:db8::9:1]:6050;branch=z9hG4bKx=/;received=192.0.2.9;rport=5062;maddr=m.example;ttl=1")
        let via = try message.topmostVia()
        #expect(via.transport == .tcp)
        #expect(message.text(via.host) == "[2001:db8::9:1]")
        #expect(message.text(via.sentBy) == "[2001:db8::9:1]:6050")
        #expect(via.port == 6050)
        #expect(message.text(via.branch) == "z9hG4bKx=/")
        #expect(message.text(via.received) == "192.0.2.9")
        #expect(via.hasRport && via.rport == 5062)
        #expect(message.text(via.rportRange) == "rport=5062")
        #expect(message.text(via.maddr) == "m.example")
        #expect(via.isOnlyInField && via.field == message.headers[0].line && via.element == message.headers[0].value)
        #expect(via.hasMagicCookie(in: message.bytes))
    }

    @Test func `white space and folds may stand around every separator, RFC 4475 §3.1.1.1`() throws {
        let message = try message(
            """
            Via  : SIP  /   2.0
             /UDP
                192.0.2.2;branch=390skdjuw
            v:  SIP  / 2.0  / TCP     spindle.example.com   ;
              branch  =   z9hG4bK9ikj8  ,
             SIP  /    2.0   / UDP  192.168.255.111 : 5070  ; branch=
             z9hG4bK30239
            """)
        var vias: [Via] = []
        #expect(message.vias(into: &vias))
        #expect(vias.map { message.text($0.host) } == ["192.0.2.2", "spindle.example.com", "192.168.255.111"])
        #expect(vias.map { message.text($0.branch) } == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"])
        #expect(vias.map(\.transport) == [.udp, .tcp, .udp])
        #expect(vias.map(\.isOnlyInField) == [true, false, false])
        #expect(vias[2].port == 5070)
        #expect(vias[1].following == vias[2].element.start)
    }

    @Test(arguments: [("rport", true), ("rport=", true), ("RPORT=7", true), ("rports", false)])
    func `rport is seen with and without a value, RFC 3581 §3`(text: String, expected: Bool) throws {
        let via = try message("Via: SIP/2.0/UDP h;\(text);branch=z9hG4bK1").topmostVia()
        #expect(via.hasRport == expected)
    }

    @Test(arguments: [("z9hG4bK1", true), ("Z9hg4Bk1", true), ("z9hG4bK", false), ("1", false), ("", false)])
    func `a branch is RFC 3261 style if it says more than the magic cookie, RFC 4475 §3.2.1`(
        branch: String, expected: Bool
    ) throws {
        let message = try message("Via: SIP/2.0/UDP h;branch=\(branch)")
        #expect(try message.topmostVia().hasMagicCookie(in: message.bytes) == expected)
    }

    @Test(arguments: [
        "", "SIP", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0/UDPh", "SIP/2.0/UDP h:", "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h:70000", "SIP/2.0/UDP 192.0.2.15;;,;,,", "SIP/2.0/UDP h;branch=\"a",
        "SIP/2.0/UDP a a:5060;branch=1",
        "SIP/2.0/UDP [::1;branch=1", "SIP/2.0/UDP h;=x",
    ])
    func `a malformed Via is an error, RFC 4475 §3.1.2.1`(value: String) throws {
        let message = try message("Via: \(value)")
        #expect(reason { () throws(SIPParseError) in _ = try message.topmostVia() } == .malformedValue(.via))
    }

    @Test func `an empty element in a list is an error, of the list only`() throws {
        let message = try message("Via: SIP/2.0/UDP a;branch=1, ,SIP/2.0/UDP b")
        var vias: [Via] = []
        #expect(!message.vias(into: &vias))
        #expect(vias.count == 1)
    }
}

@Suite("Addresses in headers, RFC 3261 §20.10")
struct NameAddressTests {
    @Test(arguments: [
        ("sip:a@b", "sip:a@b", "", ""),
        ("sip:a@b;tag=1;x", "sip:a@b", "1", ";tag=1;x"),
        ("<sip:a@b;lr>;tag=1", "sip:a@b;lr", "1", ";tag=1"),
        ("caller<sip:a@b>", "sip:a@b", "", ""),
        ("\"J \\\\\\\" <x>, \" <sip:a,b@c> ;\r\n tag = 98 ", "sip:a,b@c", "98", ";\r\n tag = 98"),
        ("A. B (c) <tel:+1>;q=\"a,b\" ; tag=x", "tel:+1", "x", ";q=\"a,b\" ; tag=x"),
        ("*", "*", "", ""),
        ("<http://www.example.com>;tag=3", "http://www.example.com", "3", ";tag=3"),
    ])
    func `an address is taken apart`(value: String, uri: String, tag: String, parameters: String) throws {
        let bytes = Array(value.utf8)
        let address = try NameAddress(bytes, ByteRange(bytes))
        #expect(Text.string(bytes, address.uri) == uri)
        #expect(Text.string(bytes, address.tag) == tag)
        #expect(Text.string(bytes, address.parameters) == parameters)
    }

    @Test(arguments: [
        "", "\"Mr. J. User <sip:a@b>", "\"W\" < sip:a@b >", "Bell, Alexander <sip:a@b>", "alan@jasomi.com", "<>",
        "<sip:a",
        "sip:a b", "<sip:a>;;", "<sip:a> x", "x> <sip:a>", "\"x\" sip:a@b", "**", "<sip:a>,", ";tag=1",
    ])
    func `a malformed address is an error, RFC 4475 §3.1.2`(value: String) {
        let bytes = Array(value.utf8)
        #expect(reason { () throws(SIPParseError) in _ = try NameAddress(bytes, ByteRange(bytes)) } != nil)
    }

    @Test func `lists over several fields are answered in order`() throws {
        let message = try Message(
            lines: "BYE sip:a SIP/2.0\nRoute: <sip:1;lr> , \"x,\" <sip:2>;p\nVia: x\nROUTE:<sip:3>\n\n")
        var routes: [NameAddress] = []
        #expect(message.nameAddresses(.route, into: &routes))
        #expect(routes.map { message.text($0.uri) } == ["sip:1;lr", "sip:2", "sip:3"])
        #expect(routes.map(\.isOnlyInField) == [false, false, true])
        #expect(message.text(routes[1].element) == "\"x,\" <sip:2>;p")
    }

    @Test func `a list that cannot be read to its end says so`() {
        let bytes = Array("<sip:1>, <sip:2, <sip:3>".utf8)
        var addresses: [NameAddress] = []
        #expect(!NameAddress.append(listIn: bytes, ByteRange(bytes), to: &addresses))
        #expect(addresses.count == 1)
    }
}

@Suite("CSeq, RFC 3261 §20.16")
struct CSeqTests {
    @Test(
        arguments: [
            ("1 INVITE", 1, .invite), ("0009\r\n  INVITE", 9, .invite), ("4294967295 BYE", 4_294_967_295, .bye),
            ("7 !odd", 7, .other),
        ] as [(String, UInt32, Method)])
    func `number and method are read`(value: String, number: UInt32, method: Method) throws {
        let bytes = Array(value.utf8)
        let cSeq = try CSeq(bytes, ByteRange(bytes))
        #expect(cSeq.number == number && cSeq.method == method)
    }

    @Test(arguments: [
        "", "1", "INVITE", "1INVITE", "4294967296 BYE", "36893488147419103232 BYE", "-1 BYE", "1 BYE x", "1 ",
    ])
    func `what overflows or is incomplete is an error, RFC 4475 §3.1.2.4`(value: String) {
        let bytes = Array(value.utf8)
        #expect(
            reason { () throws(SIPParseError) in _ = try CSeq(bytes, ByteRange(bytes)) } == .malformedValue(.cSeq))
    }
}

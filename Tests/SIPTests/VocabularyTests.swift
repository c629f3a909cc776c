// Names: header fields, methods, transports, reason phrases.

import Primitives
import SIP
import Testing

@Suite("Names of header fields, methods, transports and statuses, RFC 3261 §7")
struct VocabularyTests {
    @Test(arguments: HeaderName.allCases.filter { $0 != .other })
    func `a header name is recognised in any case and in its compact form, §7.3.3`(name: HeaderName) throws {
        var spellings = [name.text.description, name.text.description.uppercased(), name.text.description.lowercased()]
        if let compactForm = name.compactForm {
            spellings += [compactForm.description, compactForm.description.uppercased()]
        }
        for spelling in spellings {
            let message = try Message(lines: "OPTIONS sip:a SIP/2.0\n\(spelling): 0\n\n")
            #expect(message.headers.first?.name == name, "\(spelling)")
            #expect(message.first(name)?.value.count == 1)
        }
    }

    @Test(arguments: [
        "Vi", "Viaa", "Record-Rout", "Record-Router", "Content-Lengthy", "C%6Fntact", "z",
        "Proxy-AuthorizatioN-and-more-x",
    ])
    func `any other header name is kept as other, RFC 4475 §3.1.1.5`(name: String) throws {
        let message = try Message(lines: "OPTIONS sip:a SIP/2.0\n\(name): x\n\n")
        #expect(message.headers.first?.name == .other)
    }

    @Test func `every byte that is no token byte ends a header name, §25.1`() throws {
        let token = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~".utf8)
        for byte in UInt8.min...UInt8.max where byte != 0x3A && byte != 0x0A {
            var message = Message()
            let bytes = Array("OPTIONS sip:a SIP/2.0\r\nX".utf8) + [byte] + Array("X: 1\r\n\r\n".utf8)
            let fault = reason { () throws(SIPParseError) in try message.load(RawSpan(_elements: bytes.span)) }
            #expect((fault == nil) == token.contains(byte), "\(byte)")
        }
    }

    @Test(arguments: Method.allCases.filter { $0 != .other })
    func `a method is recognised by its exact name, §7.1`(method: Method) {
        let name = Array(method.name.description.utf8)
        #expect(Method(name, ByteRange(name)) == method)
        for wrong in [name.map { $0 | 0x20 }, name + [0x58], Array(name.dropLast())] {
            #expect(Method(wrong, ByteRange(wrong)) == .other)
        }
    }

    @Test func `a method with nine letters differs from another with the same eight`() {
        let name = Array("SUBSCRIBX".utf8)
        #expect(Method(name, ByteRange(name)) == .other)
        let eight = Array("REGISTERS".utf8)
        #expect(Method(eight, ByteRange(eight)) == .other)
    }

    @Test(arguments: TransportProtocol.allCases)
    func `a transport is recognised in either case, §20.42`(transport: TransportProtocol) {
        for name in [transport.name, transport.lowercasedName] {
            let bytes = Array(name.description.utf8)
            #expect(TransportProtocol(bytes, ByteRange(bytes)) == transport)
        }
    }

    @Test(arguments: [(100, "Trying"), (200, "OK"), (487, "Request Terminated"), (299, "OK"), (499, "Bad Request")])
    func `a status has a phrase, an unknown one that of its class, §21`(code: Int, phrase: String) {
        #expect(reasonPhrase(code).description == phrase)
    }
}

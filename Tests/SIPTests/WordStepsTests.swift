// URIs and parameter values are stepped over eight bytes at a time: what stops a step must do so wherever in a word it
// stands, and nothing else may.

import Primitives
import SIP
import Testing

@Suite("Steps of eight bytes, RFC 3261 §25.1")
struct WordStepsTests {
    /// A byte at each place of an otherwise plain text.
    private func each(_ length: Int, _ check: (_ place: Int, _ byte: UInt8, [UInt8]) -> Void) {
        for place in 0..<length {
            for byte in UInt8.min...UInt8.max {
                var text = [UInt8](repeating: UInt8(ascii: "a"), count: length)
                text[place] = byte
                check(place, byte, text)
            }
        }
    }

    @Test("no URI holds white space, a control, a quote or an angle bracket, in any place of a word")
    func bytesOfURIs() {
        let head = [UInt8]("x:".utf8)
        each(19) { place, byte, text in
            let isBad = byte <= 0x20 || [0x22, 0x3C, 0x3E, 0x7F].contains(byte)
            let bytes = head + text
            let uri = try? URI(bytes, ByteRange(bytes))
            #expect((uri == nil) == isBad, "byte \(byte) at \(place)")
        }
    }

    @Test("a parameter's value ends at a separator, white space, a quote or an angle bracket")
    func valuesOfParameters() {
        let head = [UInt8](";v=".utf8)
        each(19) { place, byte, text in
            guard place > 0 || byte != 0x22, place > 0 || byte > 0x20 else { return }
            let isEnd = byte <= 0x20 || [0x22, 0x2C, 0x3B, 0x3C, 0x3E].contains(byte)
            let bytes = head + text
            let value = Parameters.value("v", in: bytes, ByteRange(bytes))
            #expect(value?.count == (isEnd ? place : 19), "byte \(byte) at \(place)")
        }
    }

    @Test("a host ends at the first byte that none may hold, and its URI with it unless a parameter or header begins")
    func bytesOfHosts() {
        let head = [UInt8]("sip:".utf8)
        each(19) { place, byte, text in
            guard byte != UInt8(ascii: "@") else { return }
            let scalar = Character(UnicodeScalar(byte))
            let isOfHost = scalar.isASCII && (scalar.isLetter || scalar.isNumber || "-._".contains(scalar))
            let isEnd = place > 0 && (scalar == ";" || scalar == "?")
            let bytes = head + text
            let uri = try? URI(bytes, ByteRange(bytes))
            #expect(uri?.host.count == (isOfHost ? 19 : isEnd ? place : nil), "byte \(byte) at \(place)")
        }
    }

    @Test("a parameter's name is its token, in any case")
    func namesOfParameters() {
        each(9) { place, byte, text in
            let bytes = [UInt8](";".utf8) + text + [UInt8]("=v".utf8)
            let whole = Parameters.value("aaaaaaaaa", in: bytes, ByteRange(bytes))
            #expect((whole != nil) == (byte | 0x20 == UInt8(ascii: "a")), "byte \(byte) at \(place)")
            let scalar = Character(UnicodeScalar(byte))
            let isToken = scalar.isASCII && (scalar.isLetter || scalar.isNumber || "-.!%*_+`'~".contains(scalar))
            let half = Parameters.value("aaaa", in: bytes, ByteRange(bytes))
            #expect((half != nil) == (place == 4 && !isToken), "byte \(byte) at \(place)")
        }
    }

    @Test(
        "a parameter of a URI is found as one of any list is",
        arguments: [";lr;did=0123456789abcdef", ";Transport=tls;lr", ";a;transport=u,dp;lr=on", ";;lr;x=;transport"])
    func parametersOfURIs(list: String) {
        let head = [UInt8]("sip:b@h".utf8)
        for place in 1..<list.utf8.count {
            for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: "@") {
                var bytes = head + [UInt8](list.utf8)
                bytes[head.count + place] = byte
                guard let uri = try? URI(bytes, ByteRange(bytes)) else { continue }
                for name in ["lr", "transport", "did", "x", "a"] as [StaticString] {
                    let expected = uri.parameters.isEmpty ? nil : Parameters.value(name, in: bytes, uri.parameters)
                    let found = uri.parameter(name, in: bytes)
                    #expect(found?.isEmpty == expected?.isEmpty, "\(name), byte \(byte) at \(place)")
                    if expected?.isEmpty == false { #expect(found == expected, "\(name), byte \(byte) at \(place)") }
                }
            }
        }
    }

    @Test("user, password, host and parameters of a URI, however long")
    func partsOfURIs() throws {
        for length in 1...20 {
            let part = String(repeating: "b", count: length)
            let bytes = [UInt8]("sip:\(part):\(part)@\(part):5070;\(part)?\(part)=1".utf8)
            let uri = try URI(bytes, ByteRange(bytes))
            #expect(Text.string(bytes, uri.user) == part)
            #expect(Text.string(bytes, uri.password) == part)
            #expect(Text.string(bytes, uri.host) == part)
            #expect(uri.port == 5070)
            #expect(Text.string(bytes, uri.parameters) == ";\(part)")
            #expect(Text.string(bytes, uri.headers) == "?\(part)=1")
        }
    }

    @Test(
        "what stands behind the end of a value does not count",
        arguments: ["bbbbbbbbbbbb", ";<>\"@:?,& \r\n", "::::"])
    func behindTheEnd(tail: String) {
        for length in 1...20 {
            let part = String(repeating: "b", count: length)
            for text in [
                "sip:\(part)@\(part)", "sip:\(part):\(part)@\(part):5070;\(part)?\(part)=1", "sip:\(part)",
                "tel:\(part)",
                "\(part):\(part)", part, "\"\(part)\" <sip:\(part)>;tag=\(part)", "sip:\(part);\(part)",
                ";v=\(part);w",
            ] {
                let alone = [UInt8](text.utf8)
                let (among, range) = (alone + [UInt8](tail.utf8), ByteRange(alone))
                #expect((try? URI(alone, range)) == (try? URI(among, range)), "\(text)")
                #expect((try? NameAddress(alone, range)) == (try? NameAddress(among, range)), "\(text)")
                for name in ["v", "w", "bbbb"] as [StaticString] {
                    #expect(Parameters.value(name, in: alone, range) == Parameters.value(name, in: among, range))
                }
            }
        }
    }

    @Test("the topmost Via's branch, without the rest of the message", arguments: ["Via", "v", "VIA"])
    func topmostBranch(name: String) throws {
        for line in [
            "\(name): SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKone", "\(name):SIP/2.0/UDP a;branch=z9hG4bKone",
        ] {
            let text =
                "INVITE sip:b@example.org SIP/2.0\r\nMax-Forwards: 70\r\n\(line)\r\n"
                + "Via: SIP/2.0/UDP b;branch=z9hG4bKtwo\r\n\r\n"
            let bytes = [UInt8](text.utf8)
            let branch = try #require(Message.topmostBranch(of: bytes))
            #expect(Text.string(bytes, branch) == "z9hG4bKone")
        }
        for line in ["\(name): SIP/2.0/UDP b;branch=z9hG4bKone", "\(name): SIP/2.0/UDP b;branch=z9hG4bKone ;rport"] {
            let text = "INVITE sip:b@example.org SIP/2.0\r\n\(line)\r\nVia: SIP/2.0/UDP b;branch=z9hG4bKtwo\r\n\r\n"
            let branch = try #require(Message.topmostBranch(of: [UInt8](text.utf8)))
            #expect(Text.string([UInt8](text.utf8), branch) == "z9hG4bKone")
        }
        let bare = "BYE sip:b@example.org SIP/2.0\r\n\(name): SIP/2.0/UDP b\r\nTo: <sip:b>;branch=z9\r\n\r\n"
        #expect(Message.topmostBranch(of: [UInt8](bare.utf8)) == .empty)
        #expect(
            Message.topmostBranch(
                of: [UInt8]("BYE sip:b@example.org SIP/2.0\r\n\r\n\(name): SIP/2.0/UDP b;branch=z\r\n".utf8)) == nil)
    }

    @Test("an IPv4 address has four numbers below 256, of one to three digits each")
    func addresses() {
        for text in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "010.001.000.009"] {
            let bytes = [UInt8](text.utf8)
            #expect(Address(bytes: bytes, range: ByteRange(bytes)) != nil, "\(text)")
        }
        for text in [
            "", ".", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.", "1.2.3.4.5", "256.1.1.1", "0001.2.3.4",
            "1.2.3.a", "1.2.3.4 ",
        ] {
            let bytes = [UInt8](text.utf8)
            #expect(Address(bytes: bytes, range: ByteRange(bytes)) == nil, "\(text)")
        }
    }
}

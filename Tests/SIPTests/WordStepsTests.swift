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

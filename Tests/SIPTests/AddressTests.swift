// Addresses, endpoints and own names.

import Primitives
import SIP
import Testing

@Suite("Addresses and endpoints")
struct AddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("::", "::"),
        ("::1", "::1"), ("2001:DB8::1", "2001:db8::1"), ("[2001:db8::10]", "2001:db8::10"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("fe80::", "fe80::"),
        ("::ffff:192.0.2.1", "::ffff:c000:201"), ("2001:db8::192.0.2.1", "2001:db8::c000:201"),
        ("2001:db8:::192.0.2.1", "2001:db8::c000:201"),
    ])
    func `an address is read and printed as RFC 5952 asks, RFC 5118 §4.10`(text: String, printed: String) throws {
        let address = try #require(Address(text: text))
        #expect(address.text == printed)
        #expect(Address(text: printed) == address)
        var writer = ByteWriter()
        address.write(into: &writer)
        #expect(writer.text == (address.isIPv6 ? "[\(printed)]" : printed))
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "a.b.c.d", "[1.2.3.4]", ":", ":::", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "::1::", "12345::", "1:", ":1", "[::1", "::g", "fe80::1%eth0", "1::2:3:4:5:6:7:8",
        "0001.2.3.4",
        "1:2:3:4:5:6:7:1.2.3.4",
    ])
    func `anything else is no address`(text: String) {
        #expect(Address(text: text) == nil)
    }

    @Test(arguments: [("127.0.0.1", true), ("127.255.0.1", true), ("128.0.0.1", false), ("::1", true), ("::2", false)])
    func `loopback is 127 /8 and ::1`(text: String, expected: Bool) {
        #expect(Address(text: text)?.isLoopback == expected)
    }

    @Test(arguments: ["127.0.0.1:5060", "[::1]:5060", "[2001:db8::9]:65535"])
    func `an endpoint is printed as it was read`(text: String) {
        #expect(Endpoint(text: text)?.text == text)
    }

    @Test(arguments: ["127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:5060", "host:5060", "[::1]", ":5060", ""])
    func `an endpoint needs an address and a port`(text: String) {
        #expect(Endpoint(text: text) == nil)
    }

    @Test(arguments: [
        ("sip:ss1.example.com;lr", true), ("sip:SS1.Example.COM:5060", true), ("sip:alice@ss1.example.com", true),
        ("sip:ss1.example.com:5061", false), ("sips:ss1.example.com", false), ("sip:ss2.example.com", false),
        ("sip:ss1.example.com;transport=tcp", false), ("sip:ss1.example.com;transport=UDP", true),
        ("tel:+1234", false), ("sip:ss1.example.com:05060", true),
    ])
    func `a URI names us by host without case, port or its default, and transport, RFC 3261 §19.1.4`(
        text: String, expected: Bool
    ) throws {
        let own = HostPort(host: Array("ss1.EXAMPLE.com".utf8), port: 5060, transport: .udp)
        let bytes = Array(text.utf8)
        #expect(own.matches(try URI(bytes, ByteRange(bytes)), in: bytes) == expected)
    }

    @Test(arguments: [("sip:[2001:DB8:0::10]", true), ("sip:[2001:db8::11]", false), ("sip:192.0.2.1", false)])
    func `an IPv6 host is compared by value`(text: String, expected: Bool) throws {
        let own = HostPort(try #require(Endpoint(text: "[2001:db8::10]:5060")))
        let bytes = Array(text.utf8)
        #expect(own.matches(try URI(bytes, ByteRange(bytes)), in: bytes) == expected)
    }

    @Test(arguments: [("sip:010.0.001.9", true), ("sip:10.0.1.9", true), ("sip:10.0.1.10", false)])
    func `so is an IPv4 host, which may be written with zeros in front`(text: String, expected: Bool) throws {
        let own = HostPort(try #require(Endpoint(text: "10.0.1.9:5060")))
        let bytes = Array(text.utf8)
        #expect(own.matches(try URI(bytes, ByteRange(bytes)), in: bytes) == expected)
    }

    @Test func `a Via names us by sent-by`() throws {
        let message = try Message(lines: invite)
        let via = try message.topmostVia()
        let host = Array("client.atlanta.example.com".utf8)
        #expect(HostPort(host: host, port: 5060, transport: .udp).matches(via, in: message.bytes))
        #expect(!HostPort(host: host, port: 5060, transport: .tcp).matches(via, in: message.bytes))
        #expect(!HostPort(host: host, port: 5070).matches(via, in: message.bytes))
    }
}

@Suite("Blocks of addresses, RFC 4632")
struct SubnetTests {
    @Test(arguments: [
        ("192.0.2.0/24", "192.0.2.255", true), ("192.0.2.0/24", "192.0.3.0", false), ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false), ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8::/64", "2001:db8:0:1::", false), ("2001:db8::8/125", "2001:db8::f", true),
        ("2001:db8::8/125", "2001:db8::10", false), ("::/0", "2001:db8::1", true),
    ])
    func `a block contains what shares its prefix`(block: String, address: String, expected: Bool) throws {
        let subnet = try #require(Subnet(text: block))
        #expect(subnet.contains(try #require(Address(text: address))) == expected)
    }

    @Test(arguments: [
        "", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/", "192.0.2.1/24", "2001:db8::1/64", "a/8", "::/129",
        "1.2.3.4/8/8", "1.2.3.4/+8",
    ])
    func `anything else is no block`(text: String) {
        #expect(Subnet(text: text) == nil)
    }
}

// From settings to what each socket is called, seen in what a node sends.

import Node
import Primitives
import SIP
import Testing

@Suite("The names of a node's listeners")
struct ListenerNameTests {
    /// The INVITE of a call from `source`, heard on one socket, as it leaves.
    private static func invite(
        to target: String, from source: String, on socket: UInt8, _ change: (inout Settings) -> Void
    ) -> (vias: [String], routes: [String], listener: UInt8)? {
        let settings = LoneNodeTests.settings(change)
        var bench = LoneNodeTests.Bench(settings)
        let text =
            "INVITE sip:bob@\(target) SIP/2.0\r\nVia: SIP/2.0/UDP \(source);branch=z9hG4bKa\r\nMax-Forwards: 70\r\n"
            + "From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
            + "Contact: <sip:alice@\(source)>\r\nContent-Length: 0\r\n\r\n"
        let bytes = Array(text.utf8)
        bench.node.receive(
            datagram: RawSpan(_elements: bytes.span), from: Endpoint(text: source)!, on: ListenerID(rawValue: socket),
            ageMilliseconds: 0, now: bench.now, into: &bench.out)
        guard let datagram = bench.out.datagrams.first(where: { $0.to == Endpoint(text: target) }) else { return nil }
        let lines = String(decoding: bench.out.arena[datagram.range.range], as: UTF8.self).split(separator: "\r\n")
        func values(_ name: String) -> [String] {
            lines.filter { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2).prefix { $0 != ";" }) }
        }
        return (values("Via"), values("Record-Route"), datagram.from.rawValue)
    }

    private static func listen(_ texts: [String]) -> [Endpoint] { texts.map { Endpoint(text: $0)! } }

    @Test func `without sip_advertise each has its own address`() throws {
        let sent = try #require(
            Self.invite(to: "[2001:db8::2]:5060", from: "10.0.0.1:5060", on: 0) {
                $0.sip.listen = Self.listen(["10.0.1.1:5060", "[2001:db8::1]:5060"])
            })
        #expect(sent.vias[0] == "SIP/2.0/UDP [2001:db8::1]:5060" && sent.listener == 1)
        #expect(sent.routes == ["<sip:[2001:db8::1]:5060", "<sip:10.0.1.1:5060"])
    }

    @Test func `with it each has the one of its transport and family`() throws {
        let advertise = ["sip:10.0.1.9:5060", "sip:[2001:db8::9]:5060"].compactMap { ConfiguredURI($0) }
        let sent = try #require(
            Self.invite(to: "10.0.0.2:5060", from: "[2001:db8::2]:5060", on: 1) {
                $0.sip.listen = Self.listen(["10.0.1.1:5060", "[2001:db8::1]:5060"])
                $0.sip.advertise = advertise
            })
        #expect(sent.vias[0] == "SIP/2.0/UDP 10.0.1.1:5060")
        #expect(sent.routes == ["<sip:10.0.1.9:5060", "<sip:[2001:db8::9]:5060"])
        let shared = try #require(
            Self.invite(to: "10.0.0.2:5060", from: "[2001:db8::2]:5060", on: 1) {
                $0.sip.listen = Self.listen(["10.0.1.1:5060", "[2001:db8::1]:5060"])
                $0.sip.advertise = advertise
                $0.sip.via = .advertise
            })
        #expect(shared.vias[0] == "SIP/2.0/UDP 10.0.1.9:5060")
    }

    @Test func `a service address stands in the Via of the first socket of its family`() throws {
        func change(_ settings: inout Settings) {
            settings.sip.listen = Self.listen(["[2001:db8::1]:5060", "10.0.1.1:5060", "192.0.2.1:5060"])
            settings.sip.serviceAddress = Endpoint(text: "10.0.1.200:5060")
        }
        let first = try #require(Self.invite(to: "10.0.0.2:5060", from: "10.0.0.1:5060", on: 1, change))
        #expect(first.vias[0] == "SIP/2.0/UDP 10.0.1.200:5060" && first.listener == 1)
        let second = try #require(Self.invite(to: "192.0.2.7:5060", from: "10.0.0.1:5060", on: 1, change))
        #expect(second.vias[0] == "SIP/2.0/UDP 192.0.2.1:5060" && second.listener == 2)
        let third = try #require(Self.invite(to: "[2001:db8::2]:5060", from: "10.0.0.1:5060", on: 1, change))
        #expect(third.vias[0] == "SIP/2.0/UDP [2001:db8::1]:5060" && third.listener == 0)
    }
}

// Several sockets: each has its own name in Via and Record-Route, and requests leave from the one that fits.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Listeners of two families and of two networks, RFC 3261 §16.6 step 4, RFC 5658")
struct ListenerTests {
    static let four = "10.0.1.1:5060"
    static let six = "[2001:db8::1]:5060"
    static let alice = "10.0.0.1:5060"
    static let bob = "[2001:db8::2]:5060"

    /// A proxy with these UDP sockets, each called by its own address.
    static func bench(_ sockets: [String], _ change: (inout ProxySettings) -> Void = { _ in }) -> StreamBench {
        StreamBench { settings in
            settings.listeners = sockets.map { Endpoint(text: $0)! }
            settings.names = sockets.map {
                ListenerName(transport: .udp, sentBy: Array($0.utf8), advertised: Array($0.utf8))
            }
            settings.ownNames = settings.listeners.map { HostPort($0) }
            change(&settings)
        }
    }

    /// An INVITE to `uri` from a phone at `source`.
    private static func invite(_ uri: String, from source: String) -> String {
        Call.request("INVITE", uri: uri, via: source, contact: "sip:alice@\(source)")
    }

    private static func routes(_ message: Sent) -> [String] {
        message.headers("Record-Route").map { String($0.prefix { $0 != ";" }) }
    }

    /// A confirmed call from `source`, heard on socket `on`, to `target`; the INVITE as the callee got it.
    private static func establish(
        _ bench: inout StreamBench, from source: String, on socket: Int, to target: String
    ) -> StreamBench.Out {
        let sent = bench.receive(invite("sip:bob@\(target)", from: source), from: source, on: socket)
        let invite = sent.first { $0.sent.to == target }!
        let answer = Call.response(200, to: invite.sent, contact: "sip:bob@\(target)")
        let ok = bench.receive(answer, from: target, on: Int(invite.listener))
        #expect(ok.map(\.listener) == [UInt8(socket)], "answers leave from the socket that was called")
        let set = invite.sent.headers("Record-Route")
        let ack = bench.receive(
            Call.request(
                "ACK", uri: "sip:bob@\(target)", via: source, branch: "z9hG4bKa1", toTag: "bob",
                route: set.reversed(), contact: nil), from: source, on: socket)
        #expect(ack.map(\.sent.to) == [target] && ack.map(\.listener) == [invite.listener])
        #expect(ack[0].sent.headers("Route").isEmpty)
        return invite
    }

    private static func bye(_ set: [String], from source: String, to target: String) -> String {
        Call.request(
            "BYE", uri: "sip:alice@\(target)", via: source, branch: "z9hG4bKb1", toTag: "alice", fromTag: "bob",
            route: set, contact: nil, from: "sip:bob@example.org", to: "sip:alice@example.org")
    }

    @Test(arguments: [(alice, 0, bob), (bob, 1, alice)])
    func `between two families each side is given its own, upstream's below`(
        caller: String, socket: Int, callee: String
    ) {
        var bench = Self.bench([Self.four, Self.six])
        let names = [Self.four, Self.six]
        let invite = Self.establish(&bench, from: caller, on: socket, to: callee)
        let other = 1 - socket
        #expect(invite.listener == UInt8(other))
        #expect(invite.sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(names[other]);branch="))
        #expect(Self.routes(invite.sent) == ["<sip:\(names[other])", "<sip:\(names[socket])"])
        let bye = bench.receive(
            Self.bye(invite.sent.headers("Record-Route"), from: callee, to: caller), from: callee, on: other)
        #expect(bye.map(\.sent.to) == [caller] && bye.map(\.listener) == [UInt8(socket)])
        #expect(bye[0].sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(names[socket]);branch="))
        #expect(bench.bench.state == .deleted)
    }

    @Test func `where both sides are of one family there is one Record-Route, of that family`() {
        for (socket, phones) in [(0, (Self.alice, "10.0.0.2:5060")), (1, (Self.bob, "[2001:db8::3]:5060"))] {
            var bench = Self.bench([Self.four, Self.six])
            let invite = Self.establish(&bench, from: phones.0, on: socket, to: phones.1)
            #expect(Self.routes(invite.sent) == ["<sip:\([Self.four, Self.six][socket])"])
        }
    }

    @Test func `what the cluster makes names a socket that each phone can answer to, on every node the same`() throws {
        var bench = Self.bench([Self.four, Self.six])
        _ = Self.establish(&bench, from: Self.alice, on: 0, to: Self.bob)
        let record = try #require(bench.bench.dialogs.record(bench.bench.did))
        #expect(record.caller.sentBy.isEmpty && record.outs[0].side.sentBy == Array(Self.six.utf8))
        // An heir with other sockets, in another order.
        var heir = Self.bench(["[2001:db8::9]:5060", "10.0.1.9:5060"]) { $0.memberTag = 0x2222_2222 }
        let bytes = try #require(bench.bench.dialogs.bytes(bench.bench.did))
        _ = try heir.bench.dialogs.learn(
            bench.bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: heir.bench.now)
        func byes(_ bench: inout StreamBench, _ did: DialogID) -> [StreamBench.Out] {
            let payload = bench.bench.proxy.endingPayload(did, dialogs: bench.bench.dialogs) ?? []
            bench.bench.proxy.end(
                did, payload: payload, dialogs: &bench.bench.dialogs, now: bench.bench.now)
            return bench.drain()
        }
        let own = byes(&bench, bench.bench.did)
        let inherited = byes(&heir, bench.bench.did)
        #expect(own.map(\.sent.to) == [Self.alice, Self.bob] && own.map(\.listener) == [0, 1])
        #expect(own[0].sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(Self.four);"))
        #expect(own[1].sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(Self.six);"))
        #expect(inherited.map(\.sent.text) == own.map(\.sent.text) && inherited.map(\.listener) == [1, 0])
    }

    @Test func `an heir without the home's families names its own`() throws {
        var bench = Self.bench([Self.four])
        _ = Self.establish(&bench, from: Self.alice, on: 0, to: "10.0.0.2:5060")
        var record = try #require(bench.bench.dialogs.record(bench.bench.did))
        record.outs[0].side.contact = Array("sip:bob@\(Self.bob)".utf8)  // It has moved to IPv6.
        var heir = Self.bench([Self.six]) { $0.memberTag = 0x2222_2222 }
        let bytes = try record.encoded()
        _ = try heir.bench.dialogs.learn(
            bench.bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: heir.bench.now)
        let payload = try #require(heir.bench.proxy.endingPayload(bench.bench.did, dialogs: heir.bench.dialogs))
        heir.bench.proxy.end(
            bench.bench.did, payload: payload, dialogs: &heir.bench.dialogs, now: heir.bench.now)
        let sent = try #require(heir.drain().first { $0.sent.to == Self.bob })
        #expect(sent.sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(Self.six);"))
    }

    @Test func `nothing is sent to a family that no socket has`() {
        var bench = Self.bench([Self.four])
        let sent = bench.receive(Self.invite("sip:bob@\(Self.bob)", from: Self.alice), from: Self.alice)
        #expect(sent.map(\.sent.firstLine) == ["SIP/2.0 502 Bad Gateway"])
    }

    // MARK: Two sockets of one family

    static let inner = "10.0.1.1:5060"
    static let outer = "192.0.2.1:5060"
    static let carrier = "192.0.2.77:5060"
    static let stranger = "198.51.100.7:5060"

    @Test(
        arguments: [
            // From and on which socket, to, and by which: the closest, else where it came in.
            (alice, 0, carrier, 1), (carrier, 1, alice, 0), (alice, 0, stranger, 1), (stranger, 1, alice, 0),
            (alice, 0, "10.0.0.2:5060", 0), (carrier, 1, stranger, 1),
        ])
    func `between two networks each side is given its own socket`(
        caller: String, socket: Int, callee: String, chosen: Int
    ) {
        var bench = Self.bench([Self.inner, Self.outer])
        let names = [Self.inner, Self.outer]
        let invite = Self.establish(&bench, from: caller, on: socket, to: callee)
        #expect(invite.listener == UInt8(chosen))
        let expected = chosen == socket ? [names[socket]] : [names[chosen], names[socket]]
        #expect(Self.routes(invite.sent) == expected.map { "<sip:\($0)" })
        let bye = bench.receive(
            Self.bye(invite.sent.headers("Record-Route"), from: callee, to: caller), from: callee, on: chosen)
        #expect(bye.map(\.listener) == [UInt8(socket)], "the last Record-Route of ours says which")
    }

    @Test func `of two that are as close a call stays on the one that it came in on, and its BYEs leave from there`() {
        var bench = Self.bench(["10.0.1.1:5060", "10.0.2.1:5060"])
        let invite = Self.establish(&bench, from: Self.alice, on: 1, to: "10.0.3.2:5060")
        #expect(invite.listener == 1 && Self.routes(invite.sent) == ["<sip:10.0.2.1:5060"])
        let payload = bench.bench.proxy.endingPayload(bench.bench.did, dialogs: bench.bench.dialogs) ?? []
        bench.bench.proxy.end(
            bench.bench.did, payload: payload, dialogs: &bench.bench.dialogs, now: bench.bench.now)
        let byes = bench.drain()
        #expect(byes.map(\.listener) == [1, 1])
        #expect(byes.allSatisfy { $0.sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP 10.0.2.1:5060;") })
    }

    @Test func `with one advertised name for both there is one Record-Route, and Via tells them apart`() {
        let shared = Array("sbc.example.org".utf8)
        var bench = Self.bench([Self.inner, Self.outer]) { settings in
            settings.names = settings.names.map {
                ListenerName(transport: .udp, sentBy: $0.sentBy, advertised: shared)
            }
            settings.ownNames.append(HostPort(host: shared, port: 5_060))
        }
        let invite = Self.establish(&bench, from: Self.alice, on: 0, to: Self.carrier)
        #expect(Self.routes(invite.sent) == ["<sip:sbc.example.org"])
        #expect(invite.sent.headers("Via")[0].hasPrefix("SIP/2.0/UDP \(Self.outer);"))
        let bye = bench.receive(
            Self.bye(invite.sent.headers("Record-Route"), from: Self.carrier, to: Self.alice), from: Self.carrier,
            on: 1)
        #expect(bye.map(\.listener) == [0])
    }

    @Test func `a phone that registered by UDP is reached from the socket that it was heard on`() {
        let registrar = "10.0.0.11:5060"
        var bench = Self.bench(["10.0.1.1:5060", "203.0.113.1:5060", "203.0.113.2:5060"]) { settings in
            let target = TargetSet.Target(
                uri: Array("sip:\(registrar)".utf8), namesUser: false, endpoint: Endpoint(text: registrar))
            settings.targetSets = [TargetSet(name: "registrar", targets: [target])]
            var route = StaticRoute(set: 0)
            route.methods = [Array("REGISTER".utf8)]
            route.path = .always
            settings.routes = [route]
        }
        let register = Call.request("REGISTER", uri: "sip:example.org", contact: "sip:alice@192.168.1.5")
        let sent = bench.receive(register, from: "198.51.100.9:30123", on: 2)
        #expect(sent.map(\.listener) == [0])
        let path = sent[0].sent.header("Path")!
        #expect(path.hasSuffix("@10.0.1.1:5060;lr>"), "the registrar is given the socket that it can send to")
        let message = Call.request(
            "MESSAGE", uri: "sip:alice@192.168.1.5", via: registrar, branch: "z9hG4bKr1", route: [path])
        let back = bench.receive(message, from: registrar, on: 0)
        #expect(back.map(\.sent.to) == ["198.51.100.9:30123"] && back.map(\.listener) == [2])
    }

    @Test func `a service address that is here stands for the first socket of its family only`() {
        func bench(held: Bool) -> StreamBench {
            Self.bench([Self.inner, Self.outer, Self.six, "10.0.1.200:5060"]) { settings in
                settings.serviceListener = 3
                settings.preferredListener = held ? 3 : nil
                settings.names[0].sentBy = Array("10.0.1.200:5060".utf8)
            }
        }
        for (target, away, here) in [("10.0.0.2:5060", 0, 3), (Self.carrier, 1, 1), (Self.bob, 2, 2)] {
            for held in [false, true] {
                var bench = bench(held: held)
                let sent = bench.receive(Self.invite("sip:bob@\(target)", from: Self.alice), from: Self.alice, on: 0)
                #expect(sent.first?.listener == UInt8(held ? here : away), "\(target)")
            }
        }
    }

    @Test func `a member is known by all its sockets`() {
        var bench = Self.bench([Self.four, Self.six])
        bench.bench.proxy.neighbours.peers = [
            PeerContact(
                memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060")!,
                sockets: [Endpoint(text: "10.0.1.2:5060")!, Endpoint(text: "[2001:db8::22]:5060")!], isLive: true)
        ]
        // An ACK for a final answer of the cluster's goes to whoever has it, once: not on from a member.
        let invite = Call.request("INVITE", branch: "z9hG4bKx", extra: "Proxy-Require: x\r\n")
        let tag = bench.receive(invite, from: Self.alice)[0].sent.header("To")!.split(separator: "tag=")[1]
        let ack = Call.request("ACK", branch: "z9hG4bKx", toTag: String(tag), contact: nil)
        #expect(bench.receive(ack, from: Self.alice).map(\.sent.to) == ["10.0.1.2:5060"])
        #expect(bench.receive(ack, from: "[2001:db8::22]:5060", on: 1).isEmpty)
    }

    @Test(
        arguments: [
            ("10.0.0.1", "10.0.0.200", 3), ("10.0.0.1", "10.1.0.1", 2), ("10.0.0.1", "192.168.0.1", 1),
            ("10.0.0.1", "192.0.2.1", 0), ("172.16.0.1", "172.31.0.1", 2), ("172.16.0.1", "172.32.0.1", 0),
            ("100.64.0.1", "100.127.0.1", 2), ("192.0.2.1", "198.51.100.1", 2), ("127.0.0.1", "127.0.0.2", 2),
            ("127.0.0.1", "10.0.0.1", 0), ("169.254.1.1", "169.254.9.9", 2), ("2001:db8::1", "2001:db8::ffff", 3),
            ("2001:db8::1", "2001:db8:1::1", 2), ("fd00::1", "fc00:1::1", 2), ("fd00::1", "2001:db8::1", 0),
            ("fe80::1", "fe80:1::1", 2), ("10.0.0.1", "2001:db8::1", 0),
        ])
    func `closeness tells the same network from the same block from another`(a: String, b: String, expected: Int) {
        let (left, right) = (Address(text: a)!, Address(text: b)!)
        #expect(left.closeness(to: right) == expected && right.closeness(to: left) == expected)
    }
}

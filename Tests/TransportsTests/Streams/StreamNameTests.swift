// TLS to servers that were named: a node with a DNS thread and a name server of the test, a telephone that calls over
// UDP, and servers on loopback whose certificates name a domain, the right one or another.

import Foundation
import Nanomsg
import Node
import Primitives
import SIP
import Testing
import Transports

@Suite(
    "TLS to a server by its name, RFC 5922", .serialized, .enabled(if: Identity.openssl != nil, "\(Identity.absence)"))
struct StreamNameTests {
    private let folder: URL
    private let here: Identity
    private let right: Identity
    private let wrong: Identity

    init() throws {
        folder = try Identity.folder()
        here = try Identity(folder, "here", names: Identity.ownAddresses)
        right = try Identity(folder, "right", names: ["DNS:sip.example.org"])
        wrong = try Identity(folder, "wrong", names: ["DNS:sip.example.net", "IP:\(Loopback.host(3))"])
    }

    /// A node that trusts all three, with what it needs around it.
    private struct Stage {
        let thread: SIPThread<Node>
        let streams: StreamService
        let names: NameServer
        let caller: Phone
        let udp: Endpoint

        func stop() async {
            thread.stop()
            await streams.stop()
            names.stop()
        }

        /// The answers so far but for 100, as status codes.
        var finals: [String] {
            caller.received.map { String(String(decoding: $0, as: UTF8.self).dropFirst(8).prefix(3)) }
                .filter { $0 != "100" }
        }

        func send(_ method: String, _ uri: String, branch: String, toTag: String = "") {
            let there = caller.socket.endpoint.text
            let text =
                "\(method) \(uri) SIP/2.0\r\nVia: SIP/2.0/UDP \(there);branch=z9hG4bK\(branch)\r\nMax-Forwards: 70\r\n"
                + "From: <sip:a@x>;tag=a\r\nTo: <sip:b@x>\(toTag)\r\nCall-ID: \(branch)\r\nCSeq: 1 \(method)\r\n"
                + "Contact: <sip:a@\(there)>\r\nContent-Length: 0\r\n\r\n"
            caller.send([Array(text.utf8)], to: udp)
        }
    }

    /// - Parameters:
    ///   - hosts: The addresses of sip.example.org, by their numbers.
    ///   - route: Where every initial request goes; without one, where its Request-URI says.
    private func stage(_ port: UInt16, hosts: [Int], route: String? = nil) async throws -> Stage {
        let records = hosts.map { host in
            (type: UInt16(1), data: Loopback.host(host).split(separator: ".").compactMap { UInt8($0) })
        }
        let names = try NameServer(22, ["sip.example.org 1": ScriptedAnswer(records: records)])
        var settings = Settings()
        settings.node.name = "n1"
        settings.sip.t1 = .milliseconds(200)
        settings.sip.listen = [Loopback.endpoint(1, port), Sample.tcp(1, port, .tls)]
        settings.sip.streams.certificateFile = here.certificate
        settings.sip.streams.keyFile = here.key
        settings.sip.streams.authoritiesFile = folder.appending(path: "all.pem").path
        try [here, right, wrong].map { try String(contentsOfFile: $0.certificate, encoding: .utf8) }.joined()
            .write(toFile: settings.sip.streams.authoritiesFile, atomically: true, encoding: .utf8)
        if let route {
            let uri = try #require(ConfiguredURI(route))
            settings.routes = [
                Route(pattern: nil, destination: .own(RouteSet(name: "routes[1]", targets: [RouteTarget(uri)])))
            ]
        }
        #expect(settings.problems() == [])
        let signal = Signal()
        let streams = try await StreamService.start(try #require(StreamSettings(settings.sip)), signal: signal)
        var client = DNSClientSettings()
        client.servers = [names.endpoint]
        let node = Node(
            settings: settings, boot: 1, seed: 1, now: BootClock.now, unixMilliseconds: BootClock.unixMilliseconds)
        let thread = try SIPThread(
            machine: node, sockets: [UDPSocket(settings.sip.listen[0]), nil], streams: streams, bus: nil,
            dns: DNSClient(client, signal: signal), signal: signal, note: { _ in })
        let caller = try Phone(Loopback.endpoint(2, port))
        return Stage(thread: thread, streams: streams, names: names, caller: caller, udp: settings.sip.listen[0])
    }

    private func server(_ host: Int, _ port: UInt16, _ identity: Identity) async throws -> StreamDesk {
        try await StreamDesk([Sample.tcp(host, port, .tls)]) { $0.tls = identity.files }
    }

    private func collect(_ stage: Stage, _ expected: [String]) -> Bool {
        Loopback.wait(seconds: 20) {
            _ = stage.caller.collect(stage.caller.received.count + 1, seconds: 0.01)
            return stage.finals.starts(with: expected)  // What is not acknowledged comes again.
        }
    }

    @Test(arguments: [true, false])
    func `a server that was named by a route or a Request-URI must show that name`(isRoute: Bool) async throws {
        let port: UInt16 = isRoute ? 5_080 : 5_081
        let desk = try await server(3, port, right)
        let name = "sip:sip.example.org:\(port);transport=tls"
        let stage = try await stage(port, hosts: [3], route: isRoute ? name : nil)
        let uri = isRoute ? "sip:b@elsewhere.example" : "sip:b@sip.example.org:\(port);transport=tls"
        stage.send("OPTIONS", uri, branch: "o")
        #expect(desk.waitForMessages(1))
        #expect(desk.messages.first?.hasPrefix("OPTIONS \(uri) SIP/2.0\r\n") == true)
        desk.answer(200, to: desk.messages.last)
        #expect(collect(stage, ["200"]))
        #expect(await stage.streams.counters().tlsFailures == 0)
        await stage.stop()
        await desk.service.stop()
    }

    @Test func `a server that shows another name gets nothing; the next address does, over all of a cancelled call`()
        async throws
    {
        let impostor = try await server(3, 5_082, wrong)  // Its certificate is good for its address, not for the name.
        let desk = try await server(4, 5_082, right)
        let stage = try await stage(5_082, hosts: [3, 4])
        let uri = "sip:b@sip.example.org:5082;transport=tls"
        stage.send("INVITE", uri, branch: "i")
        #expect(desk.waitForMessages(1))
        desk.answer(180, to: desk.messages.last)
        #expect(collect(stage, ["180"]))
        stage.send("CANCEL", uri, branch: "i")
        #expect(desk.waitForMessages(2))
        #expect(desk.messages.last?.hasPrefix("CANCEL ") == true)
        desk.answer(200, to: desk.messages.last)
        desk.answer(487, to: desk.messages.first)
        #expect(desk.waitForMessages(3))
        #expect(desk.messages.last?.hasPrefix("ACK ") == true)
        #expect(collect(stage, ["180", "200", "487"]))
        impostor.look()
        #expect(impostor.messages.isEmpty)
        let counters = await stage.streams.counters()
        #expect(counters.tlsFailures == 1 && counters.opened == 1, "CANCEL and ACK went over the INVITE's connection")
        for desk in [impostor, desk] { await desk.service.stop() }
        await stage.stop()
    }

    @Test func `when every address shows another name the caller hears 500, for the branch has failed`() async throws {
        let impostor = try await server(3, 5_083, wrong)
        let stage = try await stage(5_083, hosts: [3])
        stage.send("OPTIONS", "sip:b@sip.example.org:5083;transport=tls", branch: "o")
        #expect(collect(stage, ["500"]))
        // The same server by its address is good.
        stage.send("OPTIONS", "sip:b@\(impostor.endpoint.text);transport=tls", branch: "p")
        #expect(impostor.waitForMessages(1))
        impostor.answer(200, to: impostor.messages.last)
        #expect(collect(stage, ["500", "200"]))
        #expect(await stage.streams.counters().tlsFailures == 1)
        await impostor.service.stop()
        await stage.stop()
    }

    @Test func `one address serves two names by one connection each; a request for its digits takes one of them`()
        async throws
    {
        let both = try Identity(folder, "both", names: ["DNS:sip.example.org", "DNS:sip.example.com"])
        let desk = try await server(3, 5_084, both)
        var files = here.files
        files.authorities = both.certificate
        let sender = try await StreamDesk([Sample.tcp(2, 0, .tls)]) { $0.tls = files }
        for (number, name) in ["sip.example.org", "sip.example.com", "sip.example.org", ""].enumerated() {
            sender.send(Sample.options(number), to: desk.endpoint, named: name, token: UInt64(number))
            #expect(desk.waitForMessages(number + 1))
        }
        #expect(await desk.service.counters().accepted == 2)
        // A name that it does not show has no use of the connections that are there.
        sender.send(Sample.options(5), to: desk.endpoint, named: "sip.example.net", token: 5)
        #expect(sender.wait { $0.seen.contains(.failed(desk.endpoint, token: 5)) })
        // One that cannot be a name at all is a failure, not a trap.
        sender.send(Sample.options(6), to: desk.endpoint, named: "10.0.0.1", token: 6)
        #expect(sender.wait { $0.seen.contains(.failed(desk.endpoint, token: 6)) })
        sender.send(Sample.options(7), to: desk.endpoint, named: "a\u{0}b", token: 7)
        #expect(sender.wait { $0.seen.contains(.failed(desk.endpoint, token: 7)) })
        #expect(desk.messages.count == 4)
        for desk in [sender, desk] { await desk.service.stop() }
    }
}

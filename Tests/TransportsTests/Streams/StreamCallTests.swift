// A call from end to end through a real node with two listeners: the caller speaks TCP, the callee UDP, over loopback.

import Nanomsg
import Node
import Primitives
import Proxy
import SIP
import Testing
import Transports

@Suite("A call between TCP and UDP", .serialized)
struct StreamCallTests {
    private func start(
        _ udp: Endpoint, _ tcp: Endpoint, _ change: (inout Settings) -> Void = { _ in }
    ) async throws -> (SIPThread<Node>, StreamService) {
        var settings = Settings()
        settings.node.name = "n1"
        settings.sip.listen = [udp, tcp]
        change(&settings)
        #expect(settings.problems() == [])
        let signal = Signal()
        let wanted = try #require(StreamSettings(settings.sip))
        let streams = try await StreamService.start(wanted, signal: signal)
        let node = Node(
            settings: settings, boot: 1, seed: 1, now: BootClock.now, unixMilliseconds: BootClock.unixMilliseconds)
        let thread = try SIPThread(
            machine: node, sockets: [UDPSocket(udp), nil], streams: streams, bus: nil, signal: signal, note: { _ in })
        return (thread, streams)
    }

    private func lines(_ text: String, _ name: String) -> [String] {
        text.split(separator: "\r\n").filter { $0.hasPrefix(name + ": ") }.map(String.init)
    }

    /// A datagram that came; nothing where it did not.
    private func text(_ phone: Phone, _ index: Int) -> String {
        phone.received.dropFirst(index).first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    @Test func `INVITE, 200, ACK and a BYE from the callee find their way over the caller's connection`() async throws {
        let udp = Loopback.endpoint(1, 5_070)
        let tcp = Sample.tcp(1, 5_070)
        let (thread, streams) = try await start(udp, tcp)
        let callee = try Phone(Loopback.endpoint(3, 5_060))
        let caller = try await Caller(tcp, host: 2)
        let there = callee.socket.endpoint.text
        let common = "From: <sip:a@x>;tag=a\r\nCall-ID: c\r\nMax-Forwards: 70\r\n"
        let via = "Via: SIP/2.0/TCP \(Loopback.host(2)):5060"
        // A Contact that leads nowhere: only the connection leads back.
        caller.send(
            "INVITE sip:b@\(there) SIP/2.0\r\n\(via);branch=z9hG4bKi\r\n\(common)To: <sip:b@x>\r\nCSeq: 1 INVITE\r\n"
                + "Contact: <sip:a@client.invalid;transport=tcp>\r\nContent-Length: 0\r\n\r\n")
        #expect(callee.collect(1))
        let invite = text(callee, 0)
        let recordRoutes = lines(invite, "Record-Route")
        #expect(recordRoutes.count == 2 && recordRoutes.last?.contains(";transport=tcp;lr;did=") == true)
        let answer =
            "SIP/2.0 200 OK\r\n" + (lines(invite, "Via") + recordRoutes).joined(separator: "\r\n")
            + "\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>;tag=b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
            + "Contact: <sip:b@\(there)>\r\nContent-Length: 0\r\n\r\n"
        callee.send([Array(answer.utf8)], to: udp)
        #expect(Loopback.wait(seconds: 20) { caller.text.contains("SIP/2.0 200 OK\r\n") })
        #expect(caller.text.hasPrefix("SIP/2.0 100 Trying\r\n"))

        let routes = recordRoutes.map { $0.replacing("Record-Route", with: "Route") }
        caller.send(
            "ACK sip:b@\(there) SIP/2.0\r\n\(via);branch=z9hG4bKa\r\n"
                + routes.reversed().joined(separator: "\r\n")
                + "\r\n\(common)To: <sip:b@x>;tag=b\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n")
        #expect(callee.collect(2))
        #expect(text(callee, 1).hasPrefix("ACK "))

        let bye =
            "BYE sip:a@client.invalid;transport=tcp SIP/2.0\r\nVia: SIP/2.0/UDP \(there);branch=z9hG4bKb\r\n"
            + routes.joined(separator: "\r\n")
            + "\r\nFrom: <sip:b@x>;tag=b\r\nTo: <sip:a@x>;tag=a\r\nCall-ID: c\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n"
            + "Content-Length: 0\r\n\r\n"
        callee.send([Array(bye.utf8)], to: udp)
        #expect(
            Loopback.wait(seconds: 20) { caller.text.contains("BYE sip:a@client.invalid;transport=tcp SIP/2.0\r\n") })
        let received = caller.text[(caller.text.firstRange(of: "BYE sip:")?.lowerBound ?? caller.text.startIndex)...]
        let vias = lines(String(received), "Via")
        #expect(vias.count == 2 && vias.first?.hasPrefix("Via: SIP/2.0/TCP \(tcp.text);branch=") == true)
        caller.send(
            "SIP/2.0 200 OK\r\n" + vias.joined(separator: "\r\n")
                + "\r\nFrom: <sip:b@x>;tag=b\r\nTo: <sip:a@x>;tag=a\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n"
                + "Content-Length: 0\r\n\r\n")
        #expect(callee.collect(3))
        #expect(text(callee, 2).hasPrefix("SIP/2.0 200 OK\r\n"))
        let counts = thread.performBlocking { node, now, _ in node.status(now: now).dialogs }
        #expect(counts.deleted == 1 && counts.held == 0)
        #expect(await streams.counters().opened == 0, "everything went over the one connection")
        thread.stop()
        await streams.stop()
    }

    @Test func `branches over TCP are cancelled each over its connection; one that has gone ends 64·T1 later`()
        async throws
    {
        let port: UInt16 = 5_072
        let phones = [try await StreamDesk([Sample.tcp(3, port)]), try await StreamDesk([Sample.tcp(4, port)])]
        let targets = try phones.map {
            RouteTarget(try #require(ConfiguredURI("sip:b@\($0.endpoint.text);transport=tcp")))
        }
        let (thread, streams) = try await start(Loopback.endpoint(1, port), Sample.tcp(1, port)) { settings in
            settings.sip.t1 = .milliseconds(50)
            var set = RouteSet(name: "phones", targets: targets)
            set.policy = .parallel
            settings.routes = [Route(pattern: nil, destination: .own(set))]
        }
        let caller = try await Caller(Sample.tcp(1, port), host: 2)
        func send(_ method: String) {
            caller.send(
                "\(method) sip:all@x SIP/2.0\r\nVia: SIP/2.0/TCP \(Loopback.host(2)):5060;branch=z9hG4bKf\r\n"
                    + "From: <sip:a@x>;tag=a\r\nCall-ID: f\r\nMax-Forwards: 70\r\nTo: <sip:b@x>\r\n"
                    + "CSeq: 1 \(method)\r\nContact: <sip:a@client.invalid>\r\nContent-Length: 0\r\n\r\n")
        }
        send("INVITE")
        for phone in phones {
            #expect(phone.waitForMessages(1))
            phone.answer(180, to: phone.messages.last)
        }
        #expect(Loopback.wait(seconds: 20) { caller.text.split(separator: "SIP/2.0 180 ").count == 3 })
        await phones[1].service.stop()
        #expect(await streams.wait { $0.connections == 2 }, "the node has seen it go")
        send("CANCEL")
        #expect(phones[0].waitForMessages(2))
        let (invite, cancel) = (phones[0].messages.first ?? "", phones[0].messages.last ?? "")
        #expect(cancel.hasPrefix("CANCEL sip:b@\(phones[0].endpoint.text);transport=tcp SIP/2.0\r\n"))
        #expect(lines(cancel, "Via") == Array(lines(invite, "Via").prefix(1)))
        for (status, request) in [(200, cancel), (487, invite)] { phones[0].answer(status, to: request) }
        #expect(phones[0].waitForMessages(3) && phones[0].messages.last?.hasPrefix("ACK ") == true)
        #expect(Loopback.wait(seconds: 20) { caller.text.contains("SIP/2.0 487 ") })
        let counters = await streams.counters()
        #expect(counters.opened == 2 && counters.connectsFailed == 1)
        #expect(await phones[0].service.counters().accepted == 1)
        thread.stop()
        await streams.stop()
        await phones[0].service.stop()
    }

    @Test func `a target that nobody listens at is told to the caller as 500`() async throws {
        let (thread, streams) = try await start(Loopback.endpoint(1, 5_071), Sample.tcp(1, 5_071))
        let caller = try await Caller(Sample.tcp(1, 5_071), host: 2)
        caller.send(
            "OPTIONS sip:b@\(Loopback.host(4)):5999;transport=tcp SIP/2.0\r\n"
                + "Via: SIP/2.0/TCP \(Loopback.host(2)):5060;branch=z9hG4bKo\r\nFrom: <sip:a@x>;tag=a\r\nCall-ID: o\r\n"
                + "Max-Forwards: 70\r\nTo: <sip:b@x>\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
        #expect(Loopback.wait(seconds: 20) { caller.text.hasPrefix("SIP/2.0 500 ") })
        thread.stop()
        await streams.stop()
    }
}

// A call from end to end through a real node with two listeners: the caller speaks TCP, the callee UDP, over loopback.

import Nanomsg
import Node
import Primitives
import SIP
import Testing
import Transports

@Suite("A call between TCP and UDP", .serialized)
struct StreamCallTests {
    private func start(_ udp: Endpoint, _ tcp: Endpoint) async throws -> (SIPThread<Node>, StreamService) {
        var settings = Settings()
        settings.node.name = "n1"
        settings.sip.listen = [udp, tcp]
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

    private func text(_ phone: Phone, _ index: Int) -> String { String(decoding: phone.received[index], as: UTF8.self) }

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

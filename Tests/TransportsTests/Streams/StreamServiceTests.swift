// Connections over real loopback sockets: in and out, reuse, aliases, keep-alives, faults and ends.

import Glibc
import NIOCore
import Nanomsg
import Primitives
import SIP
import Testing
import Transports

@Suite("Stream service over loopback, RFC 3261 §18", .serialized)
struct StreamServiceTests {
    @Test(arguments: [false, true])
    func `a message comes in by TCP, and its answer goes back over the flow`(isIPv6: Bool) async throws {
        let local = isIPv6 ? Endpoint(address: Address(high: 0, low: 1), port: 0, transport: .tcp) : Sample.tcp(1)
        let desk: StreamDesk
        do { desk = try await StreamDesk([Sample.tcp(2), local]) } catch let error as StreamError where isIPv6 {
            // A host without IPv6 says so in one of these two ways.
            if case .other = error.reason { return }
            #expect(error.reason == .addressNotAvailable)
            return
        }
        let caller = try await Caller(desk.service.endpoints[1])
        caller.send(Sample.options())
        #expect(desk.waitForMessages(1))
        #expect(
            desk.seen == [
                .message(Sample.options(), from: caller.local, on: ListenerID(rawValue: 1), flow: desk.flow)
            ])
        desk.send(Sample.answer, to: caller.local, flow: desk.flow)
        #expect(caller.wait(for: Sample.answer))
        let flow = desk.flow
        caller.close()
        #expect(desk.wait { $0.seen.last == .closed(flow) })
        let counters = await desk.service.counters()
        #expect(counters.accepted == 1 && counters.messagesReceived == 1 && counters.messagesSent == 1)
        #expect(counters.connections == 0)
        await desk.service.stop()
    }

    @Test func `messages that come together are told together, and pings are answered between them`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint)
        caller.send("\r\n" + Sample.options(1) + "\r\n\r\n" + Sample.options(2, body: "x") + Sample.options(3))
        #expect(desk.waitForMessages(3))
        #expect(desk.messages == [Sample.options(1), Sample.options(2, body: "x"), Sample.options(3)])
        #expect(caller.wait(for: "\r\n"))
        let first = Array(Sample.options(4).utf8)
        for byte in first { caller.send([byte]) }
        #expect(desk.waitForMessages(4))
        #expect(desk.messages.last == Sample.options(4))
        #expect(await desk.service.counters().pings == 1)
        await desk.service.stop()
    }

    @Test func `a request without Content-Length is told 400, what came before it is not lost`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint)
        caller.send(Sample.options() + "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK2\r\n\r\n")
        #expect(caller.waitUntilClosed())
        #expect(caller.text.hasPrefix("SIP/2.0 400 Bad Request\r\n"))
        #expect(desk.wait { $0.seen.count == 2 })
        #expect(desk.messages == [Sample.options()])
        #expect(desk.seen.last == .closed(desk.flow))
        let counters = await desk.service.counters()
        #expect(counters.faults == 1 && counters.faultsAnswered == 1)
        await desk.service.stop()
    }

    @Test func `a message over the limit is told 513, and the stream goes on`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint)
        caller.send("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK2\r\nl: 70000\r\n\r\n")
        caller.send([UInt8](repeating: 0x61, count: 70_000))
        caller.send(Sample.options())
        #expect(desk.waitForMessages(1))
        #expect(desk.messages == [Sample.options()])
        #expect(Loopback.wait(seconds: 20) { caller.text.hasPrefix("SIP/2.0 513 ") })
        #expect(!caller.isClosed)
        await desk.service.stop()
    }

    @Test func `a connection is opened on demand, used again, and opened anew when it has gone`() async throws {
        let near = try await StreamDesk([Sample.tcp(1)])
        let far = try await StreamDesk([Sample.tcp(2)])
        near.send(Sample.options(1), to: far.endpoint)
        near.send(Sample.options(2), to: far.endpoint)
        #expect(far.waitForMessages(2))
        #expect(await near.service.counters().opened == 1)
        guard case .message(_, let from, _, let flow) = try #require(far.seen.first) else {
            Issue.record("\(far.seen)")
            return
        }
        #expect(from.address == near.endpoint.address, "it leaves from the listener's address")
        // The other way round the same connection serves, by its flow and by its endpoint.
        far.send(Sample.answer, to: from, flow: flow)
        far.send(Sample.options(3), to: from)
        #expect(near.waitForMessages(2))
        #expect(near.messages == [Sample.answer, Sample.options(3)])
        #expect(await far.service.counters().opened == 0)

        let port = far.endpoint
        await far.service.stop()
        #expect(near.wait { $0.seen.contains { if case .closed = $0 { true } else { false } } })
        let again = try await StreamDesk([port])
        near.send(Sample.options(4), to: port)
        #expect(again.waitForMessages(1))
        #expect(again.messages == [Sample.options(4)])
        #expect(await near.service.counters().opened == 2)
        await near.service.stop()
        await again.service.stop()
    }

    @Test func `what cannot be sent is told with its token, once each`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let nobody = Sample.tcp(2, 5_999)
        desk.send(Sample.options(1), to: nobody, token: 7)
        desk.send(Sample.options(2), to: nobody, token: 8)
        desk.send(Sample.options(3), to: nobody)
        #expect(desk.wait { $0.seen.count >= 3 })
        let failures = desk.seen.filter { if case .failed = $0 { true } else { false } }
        #expect(failures == [.failed(nobody, token: 7), .failed(nobody, token: 8)])
        #expect(await desk.waitForCounters { $0.sendsFailed == 3 && $0.connectsFailed >= 1 && $0.connections == 0 })

        // A browser cannot be connected to, nor can what has no port, nor TLS without keys.
        desk.send(Sample.options(4), to: Sample.tcp(2, 80, .ws), token: 9)
        desk.send(Sample.options(5), to: Sample.tcp(2, 0), flow: FlowID(rawValue: 4_711), token: 10)
        desk.send(Sample.options(6), to: Sample.tcp(2, 5_061, .tls), token: 11)
        #expect(desk.wait { $0.seen.last == .failed(Sample.tcp(2, 5_061, .tls), token: 11) })
        let last = desk.seen.suffix(3)
        #expect(last.first == .failed(Sample.tcp(2, 80, .ws), token: 9))
        await desk.service.stop()
    }

    @Test func `a flow that has gone leads to the endpoint, if there is one`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint, host: 2)
        caller.send(Sample.options())
        #expect(desk.waitForMessages(1))
        let flow = desk.flow
        caller.close()
        #expect(desk.wait { $0.seen.last == .closed(flow) })
        let far = try await StreamDesk([Sample.tcp(2)])
        desk.send(Sample.answer, to: far.endpoint, flow: flow, token: 1)
        #expect(far.waitForMessages(1))
        desk.send(Sample.answer, to: Sample.tcp(2, 0), flow: flow, token: 2)
        #expect(desk.wait { $0.seen.last == .failed(Sample.tcp(2, 0), token: 2) })
        await desk.service.stop()
        await far.service.stop()
    }

    @Test func `alias makes the port a peer offers lead to its connection (RFC 5923)`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint, host: 3)
        caller.send(Sample.options(1, via: ";alias"))
        #expect(desk.waitForMessages(1))
        desk.send(Sample.options(2), to: Sample.tcp(3, 5_099))
        #expect(caller.wait(for: Sample.options(2)))

        // Another connection from there cannot take it away; one from elsewhere offers a port of its own address.
        let second = try await Caller(desk.endpoint, host: 3)
        second.send(Sample.options(3, via: ";alias"))
        let third = try await Caller(desk.endpoint, host: 4)
        third.send(Sample.options(4, via: ";alias"))
        #expect(desk.waitForMessages(3))
        desk.send(Sample.answer, to: Sample.tcp(3, 5_099))
        #expect(caller.wait(for: Sample.options(2) + Sample.answer))
        #expect(second.bytes.isEmpty)
        let counters = await desk.service.counters()
        #expect(counters.aliases == 2 && counters.aliasesRefused == 1 && counters.opened == 0)

        // With the connection its alias ends.
        let flows = desk.seen.count
        caller.close()
        #expect(desk.wait { $0.seen.count > flows })
        desk.send(Sample.options(5), to: Sample.tcp(3, 5_099), token: 5)
        #expect(desk.wait { $0.seen.contains(.failed(Sample.tcp(3, 5_099), token: 5)) })
        await desk.service.stop()
    }

    @Test func `a peer that sends no more has ended: its answer takes a new connection (§18.2.2)`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let back = try await StreamDesk([Sample.tcp(2)])
        let caller = try await Caller(desk.endpoint, host: 2)
        caller.send(Sample.options())
        caller.closeOutput()
        #expect(desk.wait { $0.seen.count == 2 })
        #expect(desk.messages == [Sample.options()])
        #expect(desk.seen.last == .closed(desk.flow))
        desk.send(Sample.answer, to: back.endpoint, flow: desk.flow)
        #expect(back.waitForMessages(1))
        #expect(back.messages == [Sample.answer])

        let other = try await Caller(desk.endpoint)
        other.send("OPTIONS sip:a SI")
        other.closeOutput()
        #expect(other.waitUntilClosed(), "half a message, and no more to come")
        #expect(await desk.waitForCounters { $0.connections == 1 && $0.faults == 0 })
        await desk.service.stop()
        await back.service.stop()
    }

    @Test func `an address in use or elsewhere is an error that names it, and nothing stays open`() async throws {
        let first = try await StreamDesk([Sample.tcp(1)])
        await #expect(throws: StreamError(.addressInUse, at: first.endpoint)) {
            _ = try await StreamDesk([Sample.tcp(2, 5_998), first.endpoint])
        }
        #expect(StreamError(.addressInUse, at: first.endpoint).description.contains(first.endpoint.text))
        let second = try await StreamDesk([Sample.tcp(2, 5_998)])
        await second.service.stop()
        await first.service.stop()
        let elsewhere = try Endpoint(address: #require(Address(text: "203.0.113.77")), port: 5_060, transport: .tcp)
        await #expect(throws: StreamError(.addressNotAvailable, at: elsewhere)) {
            _ = try await StreamDesk([elsewhere])
        }
        await #expect(throws: StreamError(.noCertificate)) { _ = try await StreamDesk([Sample.tcp(1, 0, .tls)]) }
    }

    @Test func `what was handed over before the stop is sent whole, to a peer that is slow and still sending`()
        async throws
    {
        let desk = try await StreamDesk([Sample.tcp(1, 0)]) { $0.writeLimit = 16 << 20 }
        let caller = try await Caller(desk.endpoint)
        caller.send(Sample.options() + "\r\n")
        #expect(desk.waitForMessages(1))
        // More than the system takes at once.
        let answer = String(repeating: "a", count: 12 << 20)
        desk.send(answer, to: desk.endpoint, flow: desk.flow)
        caller.send(String(repeating: "\r\n\r\n", count: 20_000))
        await desk.service.stop()
        #expect(caller.waitUntilClosed())
        let isWhole = caller.bytes.count { $0 == UInt8(ascii: "a") } == answer.utf8.count
        #expect(isWhole, "\(caller.bytes.count) bytes of \(answer.utf8.count)")
    }

    @Test func `stop ends connections and accepts no more`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint)
        caller.send(Sample.options())
        #expect(desk.waitForMessages(1))
        await desk.service.stop()
        #expect(caller.waitUntilClosed())
        await #expect(throws: (any Error).self) { _ = try await Caller(desk.endpoint) }
    }

    @Test func `a message that a reset follows is told before the end of its connection, never after it`() async throws
    {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let address = try BusAddress(desk.endpoint.text)
        let overhead = Sample.options(100, body: String(repeating: "x", count: 1_900)).utf8.count - 1_900
        // As long as what one read takes: the next one finds the reset.
        let body = String(repeating: "x", count: 2_048 - overhead)
        for number in 100..<300 {
            guard let stranger = Stranger.connected(to: address) else {
                Issue.record("nobody listens at \(address)")
                return
            }
            stranger.resetOnClose()
            // One that is reset before it was accepted is never seen: for every tenth that is waited for.
            if number.isMultiple(of: 10) {
                let before = await desk.service.counters().accepted
                #expect(await desk.waitForCounters { $0.accepted > before || $0.connections > 0 })
            }
            stranger.write(Array(Sample.options(number, body: body).utf8))
        }
        #expect(await desk.waitForCounters { $0.connections == 0 && $0.accepted > 0 })
        let accepted = await desk.service.counters().accepted
        #expect(desk.wait { $0.seen.count { if case .closed = $0 { true } else { false } } >= accepted })
        #expect(!desk.messages.isEmpty)
        var closed: Set<FlowID> = []
        for event in desk.seen {
            switch event {
            case .closed(let flow): closed.insert(flow)
            case .message(_, _, _, let flow): #expect(!closed.contains(flow))
            case .failed: Issue.record("nothing was sent")
            }
        }
        await desk.service.stop()
    }
}

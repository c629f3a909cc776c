// The SIP thread with UDP sockets and connections beside each other, an echo for a node.

import Nanomsg
import Node
import Primitives
import SIP
import Testing
import Transports

@Suite("SIP thread with connections", .serialized)
struct StreamThreadTests {
    /// Listens by UDP as 0 and by TCP as 1.
    private func start(
        _ machine: sending EchoMachine = EchoMachine()
    ) async throws -> (SIPThread<EchoMachine>, StreamService, Endpoint) {
        let signal = Signal()
        let socket = try UDPSocket(Loopback.endpoint(1, 0))
        var settings = StreamSettings()
        settings.listeners = [.init(id: ListenerID(rawValue: 1), endpoint: Sample.tcp(1))]
        let streams = try await StreamService.start(settings, signal: signal)
        let thread = try SIPThread(
            machine: machine, sockets: [socket, nil], streams: streams, bus: nil, signal: signal, note: { _ in })
        return (thread, streams, socket.endpoint)
    }

    @Test func `datagrams and messages of connections are told by their listeners, and answered`() async throws {
        let (thread, streams, udp) = try await start()
        let caller = try await Caller(streams.endpoints[0])
        caller.send(Sample.options(1) + Sample.options(2))
        #expect(caller.wait(for: Sample.options(1) + Sample.options(2)))
        let phone = try Phone(Loopback.endpoint(3, 0))
        phone.send([Array("one".utf8)], to: udp)
        #expect(phone.collect(1))
        caller.close()
        #expect(
            Loopback.wait(seconds: 20) {
                thread.performBlocking { machine, _, _ in machine.entries.contains { $0 == .closed(machine.flows[0]) } }
            })
        let (entries, flows) = thread.performBlocking { machine, _, _ in (machine.entries, machine.flows) }
        #expect(flows.count == 2 && flows[0] == flows[1] && flows[0] != .none)
        #expect(entries.contains(.datagram(Array(Sample.options(2).utf8), ListenerID(rawValue: 1))))
        #expect(entries.contains(.datagram(Array("one".utf8), ListenerID(rawValue: 0))))
        let counters = await thread.counters()
        #expect(counters.datagramsReceived == 1 && counters.datagramsSent == 1 && counters.streamEvents == 3)
        thread.stop()
        await streams.stop()
    }

    @Test func `a thousand messages of many connections are all answered, each over its own`() async throws {
        let (thread, streams, _) = try await start()
        var callers: [Caller] = []
        for _ in 0..<20 { callers.append(try await Caller(streams.endpoints[0])) }
        var expected = [String](repeating: "", count: 20)
        for number in 0..<1_000 {
            let text = Sample.options(number, body: String(repeating: "b", count: number))
            expected[number % 20] += text
            callers[number % 20].send(text)
        }
        for (caller, text) in zip(callers, expected) { #expect(caller.wait(for: text)) }
        let counters = await streams.counters()
        #expect(counters.messagesReceived == 1_000 && counters.messagesSent == 1_000)
        thread.stop()
        await streams.stop()
    }

    @Test func `what cannot be sent is told to the machine`() async throws {
        let (thread, streams, _) = try await start()
        let nobody = Sample.tcp(2, 5_995)
        await thread.perform { _, _, outbox in
            outbox.queue.send([1, 2, 3], to: nobody, from: ListenerID(rawValue: 1), token: 42)
        }
        #expect(
            Loopback.wait(seconds: 20) {
                thread.performBlocking { machine, _, _ in machine.entries.contains(.unsent(42, nobody)) }
            })
        thread.stop()
        await streams.stop()
    }

    @Test func `without connections such messages are told and counted, datagrams beside them sent`() async throws {
        let socket = try UDPSocket(Loopback.endpoint(1, 0))
        let thread = try SIPThread(
            machine: EchoMachine(), sockets: [socket], bus: nil, signal: Signal(), note: { _ in })
        let phone = try Phone(Loopback.endpoint(3, 0))
        let (nobody, there) = (Sample.tcp(2, 5_995), phone.socket.endpoint)
        await thread.perform { _, _, outbox in
            let listener = ListenerID(rawValue: 0)
            outbox.queue.send([1], to: there, from: listener)
            outbox.queue.send([2], to: nobody, from: listener, token: 42)
            outbox.queue.send([3], to: nobody, from: listener)
            outbox.queue.send([4], to: there, from: listener, flow: FlowID(rawValue: 1), token: 43)
            outbox.queue.send([5], to: there, from: listener)
        }
        #expect(phone.collect(2))
        #expect(phone.received == [[1], [5]])
        #expect(
            Loopback.wait(seconds: 20) {
                thread.performBlocking { machine, _, _ in machine.entries.contains(.unsent(43, there)) }
            })
        let entries = thread.performBlocking { machine, _, _ in machine.entries.filter { $0 != .advance } }
        #expect(entries == [.unsent(42, nobody), .unsent(43, there)])
        let counters = await thread.counters()
        #expect(counters.streamsRefused == 3 && counters.datagramsSent == 2 && counters.unknownListener == 0)
        thread.stop()
    }
}

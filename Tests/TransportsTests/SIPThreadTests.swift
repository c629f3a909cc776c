// The UDP loop with an echo for a node, over real loopback sockets. Every wait has a bound; none is a fixed sleep,
// except where a pause of the thread is the subject.

import Foundation
import Glibc
import Nanomsg
import Node
import Primitives
import SIP
import Synchronization
import Testing
import Transports

@Suite("SIP thread over loopback", .serialized)
struct SIPThreadTests {
    private func start(
        _ sockets: [UDPSocket], machine: sending EchoMachine = EchoMachine(),
        note: @escaping @Sendable (Note) -> Void = { _ in }
    ) throws -> SIPThread<EchoMachine> {
        try SIPThread(machine: machine, sockets: sockets, bus: nil, signal: Signal(), note: note)
    }

    @Test func `a datagram that can never be sent is told by its token, the others are sent (RFC 3261 §18.4)`() throws {
        let socket = try UDPSocket(Loopback.endpoint(1, 5_071))
        let phone = try Phone(Loopback.endpoint(2, 5_072))
        // From a loopback address there is no way to the network: the system refuses it at once.
        let nowhere = Endpoint(text: "192.0.2.1:5060")!
        var outbox = Outbox()
        outbox.arena += [0x61, 0x62]
        for (index, datagram) in [(nowhere, UInt64(7)), (nowhere, 0), (phone.socket.endpoint, 8)].enumerated() {
            outbox.datagrams.append(
                Datagram(
                    range: ByteRange(start: index & 1, end: 2), to: datagram.0, from: ListenerID(rawValue: 0),
                    token: datagram.1))
        }
        var batch = SendBatch()
        var counters = TransportCounters()
        batch.send(outbox, through: [socket], counting: &counters)
        #expect(batch.unsendable.map(\.token) == [7], "who does not care is not told")
        #expect(counters.sendErrors.values.reduce(0, +) == 2 && counters.datagramsSent == 1)
        #expect(phone.collect(1))
        batch.send(Outbox(), through: [socket], counting: &counters)
        #expect(batch.unsendable.isEmpty)
    }

    @Test func `a datagram is handed to the machine and its answer leaves from the same socket`() throws {
        let first = Loopback.endpoint(1, 5060)
        let second = Loopback.endpoint(2, 5060)
        let thread = try start([UDPSocket(first), UDPSocket(second)])
        let phone = try Phone(Loopback.endpoint(3, 0))
        phone.send([Array("one".utf8)], to: second)
        #expect(phone.collect(1))
        #expect(phone.received == [Array("one".utf8)])
        #expect(phone.sources == [second])
        let entries = thread.performBlocking { machine, _, _ in machine.entries }
        #expect(entries.first == .datagram(Array("one".utf8), ListenerID(rawValue: 1)))
        thread.stop()
    }

    @Test func `a thousand datagrams at once are all answered, in order, in batches`() async throws {
        let endpoint = Loopback.endpoint(1, 5061)
        let thread = try start([UDPSocket(endpoint)])
        let phone = try Phone(Loopback.endpoint(3, 0))
        let datagrams = (0..<1_000).map { number in Array("\(number) ".utf8) + [UInt8](repeating: 0x61, count: 600) }
        phone.send(datagrams, to: endpoint)
        #expect(phone.collect(1_000))
        let areEqual = phone.received == datagrams
        #expect(areEqual)
        let counters = await thread.counters()
        #expect(counters.datagramsReceived == 1_000)
        #expect(counters.datagramsSent == 1_000)
        #expect(counters.receiveCalls < 1_000)
        thread.stop()
    }

    @Test func `what stands in a socket when the thread is stopped is still served`() throws {
        let endpoint = Loopback.endpoint(1, 5_066)
        let thread = try start([UDPSocket(endpoint)])
        let phone = try Phone(Loopback.endpoint(3, 0))
        let isHeld = Signal()
        // Between two turns, so that nothing is read before the stop.
        Thread.detachNewThread {
            thread.performBlocking { _, _, _ in
                isHeld.kick()
                usleep(200_000)
            }
        }
        #expect(isHeld.wait(milliseconds: 10_000))
        let datagrams = (0..<100).map { Array("\($0)".utf8) }
        phone.send(datagrams, to: endpoint)
        thread.stop()
        #expect(phone.collect(100))
        #expect(phone.received == datagrams)
    }

    @Test func `a datagram of the largest size UDP can carry passes whole`() throws {
        let endpoint = Loopback.endpoint(1, 5062)
        let thread = try start([UDPSocket(endpoint)])
        let phone = try Phone(Loopback.endpoint(3, 0))
        let large = [UInt8](repeating: 0x62, count: 65_507)
        phone.send([large, []], to: endpoint)
        #expect(phone.collect(2))
        let areEqual = phone.received == [large, []]
        #expect(areEqual)
        thread.stop()
    }

    @Test func `a datagram longer than its slot is flagged as truncated`() throws {
        let socket = try UDPSocket(Loopback.endpoint(1, 5063))
        let phone = try Phone(Loopback.endpoint(3, 0))
        phone.send([[UInt8](repeating: 1, count: 100), [UInt8](repeating: 2, count: 101)], to: socket.endpoint)
        var batch = ReceiveBatch(slots: 4, slotBytes: 100)
        var flags: [Bool] = []
        var sizes: [Int] = []
        #expect(
            Loopback.wait(seconds: 5) {
                for index in 0..<max(0, batch.receive(from: socket)) {
                    batch.withDatagram(index) { bytes, arrival in
                        flags.append(arrival.isTruncated)
                        sizes.append(bytes.byteCount)
                    }
                }
                return flags.count == 2
            })
        #expect(flags == [false, true])
        #expect(sizes == [100, 100])
    }

    @Test func `IPv6 is served like IPv4`() throws {
        let address = try #require(Address(text: "::1"))
        let socket: UDPSocket
        do throws(UDPError) {
            socket = try UDPSocket(Endpoint(address: address, port: 0))
        } catch {
            // A host without IPv6 says so in one of these two ways.
            #expect(error.reason == .familyNotSupported || error.reason == .addressNotAvailable)
            return
        }
        let thread = try start([socket])
        let phone = try Phone(Endpoint(address: address, port: 0))
        phone.send([Array("six".utf8)], to: socket.endpoint)
        #expect(phone.collect(1))
        #expect(phone.sources == [socket.endpoint])
        thread.stop()
    }

    @Test func `a port in use is an error that names the address`() throws {
        let endpoint = Loopback.endpoint(1, 5064)
        let first = try UDPSocket(endpoint)
        let error = #expect(throws: UDPError.self) { _ = try UDPSocket(endpoint) }
        #expect(error?.reason == .addressInUse)
        #expect(error?.description.contains("\(Loopback.host(1)):5064") == true)
        #expect(first.receiveBuffer > 0)
    }

    @Test func `a foreign address is refused, but a service address may be opened before it moves here`() async throws {
        let foreign = try #require(Address(text: "203.0.113.77"))
        let endpoint = Endpoint(address: foreign, port: 5065)
        let error = #expect(throws: UDPError.self) { _ = try UDPSocket(endpoint) }
        #expect(error?.reason == .addressNotAvailable)

        let thread = try start([UDPSocket(Loopback.endpoint(1, 5065))])
        let listener = try await thread.listen(on: endpoint, binding: .anyAddress)
        #expect(listener == ListenerID(rawValue: 1))
        // Sending from an address that is elsewhere fails, is counted, and harms nobody else.
        let target = Loopback.endpoint(3, 9)
        await thread.perform { machine, _, outbox in
            outbox.arena += [1, 2, 3]
            outbox.datagrams.append(
                Datagram(range: ByteRange(start: 0, end: 3), to: target, from: ListenerID(rawValue: 1)))
            outbox.datagrams.append(
                Datagram(range: ByteRange(start: 0, end: 3), to: target, from: ListenerID(rawValue: 9)))
        }
        let counters = await thread.counters()
        #expect(counters.sendErrors.values.reduce(0, +) == 1)
        #expect(counters.unknownListener == 1)
        thread.stop()
    }

    @Test func `a socket opened while serving is served, up to 255 sockets`() async throws {
        let thread = try start([UDPSocket(Loopback.endpoint(1, 0))])
        var last = ListenerID(rawValue: 0)
        let late = Loopback.endpoint(2, 5066)
        last = try await thread.listen(on: late, binding: .anyAddress)
        let phone = try Phone(Loopback.endpoint(3, 0))
        phone.send([[7]], to: late)
        #expect(phone.collect(1))
        for _ in 0..<253 { last = try await thread.listen(on: Loopback.endpoint(2, 0), binding: .ownAddress) }
        #expect(last == ListenerID(rawValue: 254))
        await #expect(throws: UDPError(Loopback.endpoint(2, 0), reason: .tooManySockets)) {
            try await thread.listen(on: Loopback.endpoint(2, 0), binding: .ownAddress)
        }
        thread.stop()
    }

    @Test func `the machine's exit code ends the loop after what it decided has been sent`() async throws {
        let thread = try start([UDPSocket(Loopback.endpoint(1, 0))])
        let phone = try Phone(Loopback.endpoint(3, 5067))
        await thread.perform { machine, _, outbox in
            outbox.arena += Array("last".utf8)
            outbox.datagrams.append(
                Datagram(
                    range: ByteRange(start: 0, end: 4), to: Loopback.endpoint(3, 5067),
                    from: ListenerID(rawValue: 0)))
            machine.exitCode = 7
        }
        #expect(await thread.ended() == 7)
        #expect(phone.collect(1))
        #expect(await thread.perform { machine, _ in machine.exitCode } == 7, "who asks late is still answered")
        #expect(thread.performBlocking { machine, _, _ in machine.exitCode } == 7)
        thread.stop()
    }

    @Test func `stop ends an idle loop at once and reports 0`() async throws {
        let thread = try start([UDPSocket(Loopback.endpoint(1, 0))])
        let before = BootClock.now
        thread.stop()
        thread.stop()
        #expect(BootClock.now.milliseconds(since: before) < 1_000)
        #expect(await thread.ended() == 0)
    }

    @Test func `notes reach the log, and the machine knows this host's addresses from the start`() throws {
        let sink = NoteSink()
        let thread = try start([UDPSocket(Loopback.endpoint(1, 0))], note: { sink.add($0) })
        let addresses = thread.performBlocking { machine, _, outbox in
            outbox.notes.append(Note(.notice, "a constant sentence", [("dialog", "1")]))
            return machine.addresses
        }
        #expect(addresses == HostAddresses.current())
        #expect(addresses.contains { $0 == Address(text: "127.0.0.1") })
        #expect(Loopback.wait(seconds: 5) { sink.messages == ["a constant sentence"] })
        thread.stop()
    }

    @Test func `after a pause the bus is read before SIP, datagrams carry their age, timers come last (S2-15)`() throws
    {
        let signal = Signal()
        let settings = try BusSettings(bind: Loopback.bus(1, port: 7390), peers: [])
        let bus = try Bus(settings, signal: signal)
        let endpoint = Loopback.endpoint(1, 5068)
        let thread = try SIPThread(
            machine: EchoMachine(), sockets: [UDPSocket(endpoint)], bus: bus, signal: signal, note: { _ in })
        let phone = try Phone(Loopback.endpoint(3, 0))
        let publisher = try PublishSocket(isIPv6: false)
        _ = try publisher.connect(to: settings.bind)
        #expect(Loopback.wait(seconds: 5) { publisher.connections == 1 })

        // The thread stands still for 1.3 s, in which first a datagram comes and then a frame.
        let standing = Signal()
        let pausing = try WorkerThread(name: "pause") {
            thread.performBlocking { machine, _, _ in
                machine.entries = []
                standing.kick()
                usleep(1_300_000)
            }
        }
        #expect(standing.wait(milliseconds: 5_000))
        phone.send([[1]], to: endpoint)
        let frame: [UInt8] = [2]
        try publisher.publish(RawSpan(_elements: frame.span))
        pausing.join()
        #expect(phone.collect(1))
        let (entries, ages) = thread.performBlocking { machine, _, _ in (machine.entries, machine.ages) }
        let events = entries.drop { $0 == .advance }
        #expect(Array(events.prefix(3)) == [.frame([2]), .datagram([1], ListenerID(rawValue: 0)), .advance])
        #expect(ages.count == 1 && ages[0] >= 1_000 && ages[0] < 10_000)
        thread.stop()
    }
}

/// Collects notes from the SIP thread.
final class NoteSink: Sendable {
    private let collected = Mutex<[String]>([])
    func add(_ note: Note) { collected.withLock { $0.append(note.message) } }
    var messages: [String] { collected.withLock { $0 } }
}

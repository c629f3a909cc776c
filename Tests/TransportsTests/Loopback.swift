// What the tests need of the outside world: addresses that no other test process uses, a phone that sends and receives
// datagrams, waiting with a bound, and strangers' TCP connections.

import Glibc
import Nanomsg
import Node
import Primitives
import SIP
import Transports

enum Loopback {
    /// An address of 127.64.0.0/10 that belongs to this process, so that test processes can run side by side.
    static func host(_ number: Int) -> String {
        let process = Int(getpid())
        return "127.\(64 + (process >> 8) & 63).\(process & 255).\(number)"
    }

    static func endpoint(_ number: Int, _ port: UInt16) -> Endpoint {
        guard let address = Address(text: host(number)) else { preconditionFailure("\(host(number)) is an address") }
        return Endpoint(address: address, port: port)
    }

    static func bus(_ number: Int, port: UInt16 = 7400) throws(NanomsgError) -> BusAddress {
        try BusAddress("\(host(number)):\(port)")
    }

    /// Looks until `condition` holds, every 5 ms, at most `seconds`.
    /// Sleeps without giving the thread away: a task that is put to sleep is late when all tests run at once.
    static func pause(milliseconds: Int64) { _ = Signal().wait(milliseconds: milliseconds) }

    static func wait(seconds: Double, until condition: () -> Bool) -> Bool {
        let pause = Signal()
        let limit = BootClock.now.advanced(milliseconds: Int64(seconds * 1_000))
        while BootClock.now < limit {
            if condition() { return true }
            pause.wait(milliseconds: 5)
        }
        return condition()
    }
}

/// Sends datagrams and collects those that come back.
final class Phone {
    let socket: UDPSocket
    private var receiving = ReceiveBatch()
    private var sending = SendBatch()
    private(set) var received: [[UInt8]] = []
    private(set) var sources: [Endpoint] = []
    private(set) var counters = TransportCounters()

    init(_ endpoint: Endpoint) throws { socket = try UDPSocket(endpoint) }

    func send(_ datagrams: [[UInt8]], to endpoint: Endpoint) {
        var outbox = Outbox()
        for bytes in datagrams {
            let start = outbox.arena.count
            outbox.arena += bytes
            outbox.datagrams.append(
                Datagram(
                    range: ByteRange(start: start, end: outbox.arena.count), to: endpoint,
                    from: ListenerID(rawValue: 0)))
        }
        sending.send(outbox, through: [socket], counting: &counters)
    }

    /// Collects until `count` datagrams have come in all, at most `seconds`.
    func collect(_ count: Int, seconds: Double = 5) -> Bool {
        let limit = BootClock.now.advanced(milliseconds: Int64(seconds * 1_000))
        let pause = Signal()
        while received.count < count, BootClock.now < limit {
            let batch = receiving.receive(from: socket)
            for index in 0..<max(0, batch) {
                let (bytes, arrival) = receiving.withDatagram(index) { ([UInt8](copying: $0), $1) }
                received.append(bytes)
                sources.append(arrival.from)
            }
            if batch <= 0 { pause.wait(milliseconds: 1) }
        }
        return received.count >= count
    }
}

/// A stranger's TCP socket. The calls of Glibc lend local variables for their own length, which makes them sound.
struct Stranger: ~Copyable {
    let descriptor: Int32
    /// The SP header of a subscriber, which a publisher's connection expects to see.
    static let subscriberHeader: [UInt8] = [0, 0x53, 0x50, 0, 0, 0x21, 0, 0]
    static let publisherHeader: [UInt8] = [0, 0x53, 0x50, 0, 0, 0x20, 0, 0]
    static let requesterHeader: [UInt8] = [0, 0x53, 0x50, 0, 0, 0x30, 0, 0]

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    private static func name(_ address: BusAddress) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = address.port.bigEndian
        name.sin_addr.s_addr = unsafe inet_addr(address.host)
        return name
    }

    static func connected(to address: BusAddress) -> Stranger? {
        let stranger = Stranger(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var name = name(address)
        let result = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(stranger.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { return nil }
        return stranger
    }

    static func listening(on address: BusAddress) -> Stranger? {
        let stranger = Stranger(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var one: Int32 = 1
        unsafe setsockopt(stranger.descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var name = name(address)
        let result = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(stranger.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0, listen(stranger.descriptor, 16) == 0 else { return nil }
        return stranger
    }

    /// The next connection, within the time.
    func accepted(milliseconds: Int32) -> Stranger? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&entry, 1, milliseconds) == 1 else { return nil }
        let connection = accept(descriptor, nil, nil)
        return connection >= 0 ? Stranger(descriptor: connection) : nil
    }

    /// Closes with a reset, so that no TIME_WAIT keeps the port.
    func resetOnClose() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        unsafe send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// Whether the other side closes, or sends anything, within the time.
    func isAnswered(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) == 1
    }

    /// Whether the other side has ended the connection; what it said before is passed over.
    func isOver() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 256)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == 0 { return true }
            if count < 0 { return errno != EAGAIN }
        }
    }

    /// Ports of TCP listeners on a loopback address of this process.
    static func listeners(on host: String) -> [UInt16] {
        guard let file = unsafe fopen("/proc/net/tcp", "r") else { return [] }
        defer { unsafe fclose(file) }
        let wanted = unsafe inet_addr(host)
        var ports: [UInt16] = []
        var line: UnsafeMutablePointer<CChar>? = nil
        var capacity = 0
        while unsafe getline(&line, &capacity, file) > 0, let text = unsafe line {
            let words = unsafe String(cString: text).split(separator: " ")
            guard words.count > 3, words[3] == "0A" else { continue }
            let parts = words[1].split(separator: ":")
            guard parts.count == 2, UInt32(parts[0], radix: 16) == wanted else { continue }
            ports.append(UInt16(parts[1], radix: 16) ?? 0)
        }
        unsafe free(line)
        return ports.sorted()
    }
}

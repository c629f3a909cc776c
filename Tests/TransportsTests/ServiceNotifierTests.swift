// The service manager's side is a datagram socket of our own.

import Glibc
import Nanomsg
import Primitives
import SIP
import Synchronization
import Testing
import Transports

/// A service manager that only listens.
private final class StandInManager {
    let name: String
    private let descriptor: Int32

    init(isAbstract: Bool) throws {
        let unique = "understudy-notify-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        name = isAbstract ? "@\(unique)" : "/tmp/\(unique)"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if isAbstract { bytes[0] = 0 } else { bytes.append(0) }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = unsafe withUnsafePointer(to: address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, size) }
        }
        try #require(bound == 0)
    }

    deinit {
        close(descriptor)
        if name.hasPrefix("/") { unsafe unlink(name) }
    }

    /// The next message; `nil` when none comes within the time.
    func receive(withinMilliseconds limit: Int32 = 5_000) -> String? {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&polled, 1, limit) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

@Suite("The service manager is told", .serialized)
struct ServiceNotifierTests {
    @Test(arguments: [false, true])
    func `each message is one datagram, to a path and to an abstract name`(isAbstract: Bool) throws {
        let manager = try StandInManager(isAbstract: isAbstract)
        let notifier = try ServiceNotifier(manager.name, watchdogInterval: nil)
        try notifier.tell(.status("n1 of production: joining\nfor 3 s"))
        try notifier.tell(.ready)
        try notifier.tell(.watchdog)
        try notifier.tell(.stopping)
        #expect(manager.receive() == "STATUS=n1 of production: joining for 3 s")
        #expect(manager.receive() == "READY=1")
        #expect(manager.receive() == "WATCHDOG=1")
        #expect(manager.receive() == "STOPPING=1")
        #expect(manager.receive(withinMilliseconds: 0) == nil)
    }

    @Test func `a reload carries the moment that it began, by the clock that the manager reads`() throws {
        let manager = try StandInManager(isAbstract: true)
        let notifier = try ServiceNotifier(manager.name, watchdogInterval: nil)
        func monotonic() -> Int {
            var now = timespec()
            unsafe clock_gettime(CLOCK_MONOTONIC, &now)
            return now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
        }
        let before = monotonic()
        try notifier.tell(.reloading)
        let message = try #require(manager.receive())
        #expect(message.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        let moment = try #require(Int(message.split(separator: "=").last ?? ""))
        #expect(moment >= before && moment <= monotonic())
    }

    @Test func `a status line has its limit`() throws {
        let manager = try StandInManager(isAbstract: true)
        let notifier = try ServiceNotifier(manager.name, watchdogInterval: nil)
        try notifier.tell(.status(String(repeating: "x", count: ServiceNotifier.statusLimit + 1)))
        #expect(manager.receive()?.utf8.count == "STATUS=".utf8.count + ServiceNotifier.statusLimit)
    }

    @Test func `nobody is told where nobody has asked, and a watchdog is kept by its process`() throws {
        #expect(try ServiceNotifier.find(in: [:], process: 7) == nil)
        #expect(try ServiceNotifier.find(in: ["NOTIFY_SOCKET": ""], process: 7) == nil)
        let asked = ["NOTIFY_SOCKET": "@somebody", "WATCHDOG_USEC": "10000000"]
        #expect(try ServiceNotifier.find(in: asked, process: 7)?.watchdogInterval == .seconds(5))
        for (pid, interval) in [("7", Duration.seconds(5)), ("8", nil)] {
            let notifier = try ServiceNotifier.find(in: asked.merging(["WATCHDOG_PID": pid]) { $1 }, process: 7)
            #expect(notifier != nil && notifier?.watchdogInterval == interval)
        }
        for text in ["0", "-5", "soon", ""] {
            let notifier = try ServiceNotifier.find(in: ["NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": text], process: 7)
            #expect(notifier != nil && notifier?.watchdogInterval == nil)
        }
    }

    @Test func `what cannot be told is an error that names the socket`() throws {
        for name in ["notify", "vsock:2:1234"] {
            #expect(throws: ServiceNotifierError(name: name, reason: .unknownKind)) {
                try ServiceNotifier(name, watchdogInterval: nil)
            }
        }
        let long = "/" + String(repeating: "x", count: ServiceNotifier.nameLimit)
        #expect(throws: ServiceNotifierError(name: long, reason: .tooLong(limit: 107))) {
            try ServiceNotifier(long, watchdogInterval: nil)
        }
        let gone = try ServiceNotifier("/tmp/understudy-nobody-listens-here", watchdogInterval: nil)
        let error = #expect(throws: ServiceNotifierError.self) { try gone.tell(.ready) }
        #expect(error?.reason == .notSent(code: ENOENT))
        #expect(error?.description.contains("/tmp/understudy-nobody-listens-here cannot be told: No such file") == true)
    }

    @Test func `a manager that does not read is not waited for`() throws {
        let manager = try StandInManager(isAbstract: true)
        let notifier = try ServiceNotifier(manager.name, watchdogInterval: nil)
        let error = #expect(throws: ServiceNotifierError.self) {
            for _ in 0..<100_000 { try notifier.tell(.watchdog) }
        }
        #expect(error?.reason == .notSent(code: EAGAIN))
    }

    @Test func `the SIP thread's loop gives a sign of life while it turns, and none while it hangs`() throws {
        let counter = Counter()
        let thread = try SIPThread(
            machine: EchoMachine(), sockets: [UDPSocket(Loopback.endpoint(1, 5_095))], bus: nil, signal: Signal(),
            heartbeat: Heartbeat(every: .milliseconds(10)) { counter.value.add(1, ordering: .relaxed) }
        ) { _ in }
        func count() -> Int { counter.value.load(ordering: .relaxed) }
        func grows(from start: Int) -> Bool {
            for _ in 0..<500 where count() <= start + 2 { usleep(10_000) }
            return count() > start + 2
        }
        #expect(grows(from: 0))
        let during = thread.performBlocking { _, _, _ in
            let before = counter.value.load(ordering: .relaxed)
            usleep(200_000)
            return counter.value.load(ordering: .relaxed) - before
        }
        #expect(during == 0)
        #expect(grows(from: count()))
        thread.stop()
    }

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }
}

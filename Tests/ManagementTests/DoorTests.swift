// The doors as operators' tools find them: over real sockets and FIFOs, with what is refused and what is bounded.

import Foundation
import Glibc
import Management
import NIOCore
import NIOPosix
import Node
import Synchronization
import Testing

@Suite("Doors for Kamailio's tools", .serialized)
struct DoorTests {
    private let folder: String
    private let node = FakeNode("n1", [.confirmed(1), .confirmed(2)])

    init() throws {
        // Short: a socket's path has a bound.
        folder = "/tmp/understudy-door-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    private var context: RPCContext {
        RPCContext(node: node, allowsFaultInjection: false, unixSeconds: { 1_000_000 })
    }

    private func settings(_ change: (inout ManagementSettings) -> Void) -> ManagementSettings {
        var settings = ManagementSettings()
        settings.replyFolder = folder
        change(&settings)
        return settings
    }

    private func mode(_ path: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }

    private func request(_ method: String, _ parameters: [BINRPC.Value] = [], cookie: UInt8 = 7) -> [UInt8] {
        BINRPC.write(BINRPC.Request(cookie: [cookie], method: method, parameters: parameters))
    }

    // MARK: ctl

    @Test func `BINRPC over a Unix socket and TCP: requests of a connection are answered in their order`() async throws
    {
        let path = "\(folder)/ctl"
        let port = UInt16.random(in: 20_000...30_000)
        let doors = try await Doors.open(
            settings { $0.control = [.unix(path), ControlAddress("tcp:127.0.0.1:\(port)")!] }, context)
        #expect(mode(path) == 0o660)
        for target in [Wire.Target.unix(path), .tcp(Int(port))] {
            let wire = try await Wire(target)
            let echo = request("core.echo", [.text("a"), .integer(2)], cookie: 1)
            let both = echo + request("no.such", cookie: 2)
            // In pieces, as a stream may bring them.
            wire.send(Array(both.prefix(5)))
            wire.send(Array(both.dropFirst(5)))
            let wanted =
                BINRPC.reply([.text("a"), .text("2")], to: [1])
                + BINRPC.fault(500, "command no.such not found", to: [2])
            #expect(await wire.received(wanted.count) == wanted)
            wire.close()
        }
        await doors.close()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func `a hundred at once are all answered; what is no BINRPC closes its own connection alone`() async throws {
        let path = "\(folder)/ctl"
        let doors = try await Doors.open(settings { $0.control = [.unix(path)] }, context)
        let stranger = try await Wire(.unix(path))
        stranger.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        let answered = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let wire = try await Wire(.unix(path))
                    defer { wire.close() }
                    let cookie = UInt8(number)
                    wire.send(request("dlg.stats_active", cookie: cookie))
                    let answer = await wire.received(40)
                    return answer.count >= 40 && answer[0] == 0xa1 && answer[1] >> 4 == 1 && answer[3] == cookie
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(answered == 100)
        #expect(await stranger.isClosed())
        await doors.close()
    }

    @Test func `more connections than there may be are closed, more requests than there may be are told so`()
        async throws
    {
        let path = "\(folder)/ctl"
        let doors = try await Doors.open(settings { $0.control = [.unix(path)] }, context)
        var wires: [Wire] = []
        for _ in 0..<260 { wires.append(try await Wire(.unix(path))) }
        // Which ones are over the limit their event loops decide.
        let end = ContinuousClock.now + .seconds(20)
        while wires.count(where: \.hasClosed) < 4, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(wires.count(where: \.hasClosed) == 4)
        let open = try #require(wires.first { !$0.hasClosed })
        open.send(request("core.echo", [.text("a")]))
        #expect(await open.received(1).first == 0xa1)
        for wire in wires { wire.close() }
        let fast = try await Wire(.unix(path))
        for _ in 0..<1_500 { fast.send(request("core.echo", [.text("a")])) }
        let good = BINRPC.reply([.text("a")], to: [7])
        let bad = BINRPC.fault(500, "Command Executed Too Fast", to: [7])
        let answer = await fast.received(good.count * 1_500)
        #expect(answer.firstRange(of: bad) != nil && answer.starts(with: good))
        fast.close()
        await doors.close()
    }

    // MARK: Datagrams

    @Test func `JSON-RPC by datagrams goes back to the socket that asked`() async throws {
        let path = "\(folder)/rpc.sock"
        let doors = try await Doors.open(settings { $0.jsonSocket = path }, context)
        #expect(mode(path) == 0o660)
        let own = try await Datagrams("\(folder)/own.sock")
        try await own.send(#"{"jsonrpc":"2.0","method":"core.echo","params":["a"],"id":3}"#, to: path)
        #expect(await own.next() == "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t[\"a\"],\n\t\"id\":\t3\n}")
        try await own.send("hello", to: path)
        #expect(await own.next()?.contains("Parse Error") == true)
        try await own.send(String(repeating: " ", count: 100_000), to: path)
        #expect(await own.next()?.contains("Parse Error") == true)
        await own.close()
        await doors.close()
    }

    // MARK: FIFOs

    private func ask(_ fifo: String, _ text: String, reply: String) async throws -> String {
        let path = "\(folder)/\(reply)"
        Place.makeFIFO(path, 0o622)
        let descriptor = Place.openFIFO(path)
        let handle = try #require(FileHandle(forWritingAtPath: fifo))
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
        defer { Place.remove(path) }
        return await Place.readFIFO(descriptor)
    }

    @Test func `JSON-RPC and MI by FIFOs are answered into the FIFO that is named`() async throws {
        let (json, mi) = ("\(folder)/rpc.fifo", "\(folder)/mi")
        let wanted = settings {
            $0.jsonFIFO = json
            $0.miFIFO = mi
        }
        let doors = try await Doors.open(wanted, context)
        #expect(mode(json) == 0o660 && mode(mi) == 0o660)
        for number in 1...2 {
            let text =
                #"{"jsonrpc": "2.0", "method": "core.echo", "params": ["\#(number)"], "reply_name": "r", "id": 9}"#
            let answer = try await ask(json, text + "\n", reply: "r")
            #expect(answer == "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"result\":\t[\"\(number)\"],\n\t\"id\":\t9\n}")
        }
        let listed = try await ask(mi, ":dlg_list:r\n\n", reply: "r")
        #expect(listed.hasPrefix("200 OK\ndialog::  hash=") && listed.contains("\n\tcallid:: "))
        #expect(try await ask(mi, ":no_such:r\n\n", reply: "r") == "500 command 'no_such' not available\n\n")
        #expect(try await ask(mi, "hello\n:dlg_list:r\nnobody@h\nx\n\n", reply: "r") == "404 Nu such dialog\n\n")
        await doors.close()
        // The FIFO stays, and is taken over.
        let again = try await Doors.open(wanted, context)
        #expect(try await ask(mi, ":which:r\n\n", reply: "r").hasPrefix("200 OK\n:: dlg_list\n"))
        await again.close()
    }

    @Test func `an answer goes into a FIFO of the reply folder, and nowhere else`() async throws {
        let fifo = "\(folder)/rpc.fifo"
        let doors = try await Doors.open(settings { $0.jsonFIFO = fifo }, context)
        let precious = "\(folder)/precious"
        try "kept".write(toFile: precious, atomically: false, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: precious)
        Place.makeFIFO("\(folder)/twice", 0o600)
        try FileManager.default.linkItem(atPath: "\(folder)/twice", toPath: "\(folder)/second")
        let handle = try #require(FileHandle(forWritingAtPath: fifo))
        for name in ["precious", "link", "twice", "../\(folder.dropFirst(5))/precious", ".hidden", "nowhere"] {
            let text = #"{"jsonrpc":"2.0","method":"core.echo","params":["x"],"reply_name":"\#(name)","id":1}"#
            try handle.write(contentsOf: Data(text.utf8))
        }
        // The last one is answered after the others were let alone.
        #expect(
            try await ask(fifo, #"{"jsonrpc":"2.0","method":"core.echo","reply_name":"r","id":2}"#, reply: "r")
                .contains("2"))
        #expect(try String(contentsOfFile: precious, encoding: .utf8) == "kept")
        await doors.close()
    }

    // MARK: Files

    @Test func `what stands at a path is taken over only where it is ours and nobody uses it`() async throws {
        let path = "\(folder)/ctl"
        let wanted = settings { $0.control = [.unix(path)] }
        func refusal(_ settings: ManagementSettings? = nil) async -> String {
            do {
                let doors = try await Doors.open(settings ?? wanted, context)
                await doors.close()
                return ""
            } catch {
                return "\(error)"
            }
        }
        let first = try await Doors.open(wanted, context)
        #expect(await refusal().contains("another process listens at \(path); see management.ctl"))
        await first.close()
        try "text".write(toFile: path, atomically: false, encoding: .utf8)
        #expect(await refusal().contains("is there, and is no socket"))
        let fifo = settings { $0.miFIFO = path }
        #expect(await refusal(fifo).contains("is there, and is no FIFO"))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "text")
        Place.remove(path)
        Place.makeFIFO(path, 0o622)
        #expect(await refusal(fifo).contains("can be written or read by everybody: chmod 660"))
        Place.remove(path)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/null")
        #expect(await refusal(fifo).contains("cannot be opened"))
        Place.remove(path)
        // A socket that nobody listens at is of a process that has ended.
        Place.leaveSocket(path)
        #expect(FileManager.default.fileExists(atPath: path))
        #expect(await refusal() == "")
        try Place.set(folder, 0o777)
        #expect(await refusal().contains("a folder that others may write to"))
        try Place.set(folder, 0o755)
        #expect(await refusal(settings { $0.control = [.unix("\(folder)/no/ctl")] }).contains("is not there"))
    }

    @Test func `what is over a door's limit is let go and counted, until something is given back`() {
        let drops = DoorDrops()
        let (one, other) = (BoundedCount(limit: 2, drops: drops), BoundedCount(limit: 1, drops: drops))
        #expect([one.take(), one.take(), one.take()] == [true, true, false])
        #expect([other.take(), other.take()] == [true, false])
        #expect(drops.value == 2)
        one.giveBack()
        #expect([one.take(), one.take()] == [true, false] && drops.value == 3)
    }

    @Test func `of several doors none stays open when one cannot be`() async throws {
        let path = "\(folder)/ctl"
        let wanted = settings {
            $0.control = [.unix(path)]
            $0.miFIFO = "\(folder)/no/mi"
        }
        await #expect(throws: DoorError.self) { try await Doors.open(wanted, context) }
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}

/// Files of the test's own.
private enum Place {
    static func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    static func set(_ path: String, _ mode: Int) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    static func makeFIFO(_ path: String, _ mode: Int) {
        // Sound: the path is lent for the call.
        let code = unsafe mkfifo(path, 0o600)
        #expect(code == 0)
        try? set(path, mode)
    }

    /// Open for reading before anybody writes, without waiting for who does.
    static func openFIFO(_ path: String) -> CInt { unsafe open(path, O_RDONLY | O_NONBLOCK) }

    /// Everything until whoever writes has closed its end; nothing after twenty seconds.
    static func readFIFO(_ descriptor: CInt) async -> String {
        defer { close(descriptor) }
        var (found, part) = ([UInt8](), [UInt8](repeating: 0, count: 4_096))
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            // Sound: the bytes are lent for the call.
            let count = unsafe part.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                found += part[..<count]
            } else if count == 0, !found.isEmpty {
                break
            } else {
                try? await Task.sleep(for: .milliseconds(2))
            }
        }
        return String(decoding: found, as: UTF8.self)
    }

    /// A socket whose process has ended without taking it away.
    static func leaveSocket(_ path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        // Sound: the path fits, and the struct is lent for the calls.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(code == 0)
        close(descriptor)
    }
}

/// A connection that collects what comes.
private final class Wire: Sendable {
    enum Target { case unix(String), tcp(Int) }

    private struct State: Sendable {
        var bytes: [UInt8] = []
        var isClosed = false
    }

    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let state = Mutex(State())
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            state.withLock { $0.bytes += bytes }
        }
        func channelInactive(context: ChannelHandlerContext) { state.withLock { $0.isClosed = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private let collector = Collector()
    private let channel: any Channel

    init(_ target: Target) async throws {
        let collector = collector
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { $0.pipeline.addHandler(collector) }
        switch target {
        case .unix(let path): channel = try await bootstrap.connect(unixDomainSocketPath: path).get()
        case .tcp(let port): channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        }
    }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
    func close() { channel.close(promise: nil) }

    private func wait(_ condition: (State) -> Bool) async -> State {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let state = collector.state.withLock { $0 }
            if condition(state) { return state }
            try? await Task.sleep(for: .milliseconds(2))
        }
        return collector.state.withLock { $0 }
    }

    /// Waits for so many bytes, or the end.
    func received(_ count: Int) async -> [UInt8] { await wait { $0.bytes.count >= count || $0.isClosed }.bytes }
    var hasClosed: Bool { collector.state.withLock(\.isClosed) }
    func isClosed() async -> Bool { await wait(\.isClosed).isClosed }
}

/// A datagram socket of its own.
private final class Datagrams: Sendable {
    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        let texts = Mutex<[String]>([])
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data).data)
            texts.withLock { $0.append(text) }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }

    private let collector = Collector()
    private let channel: any Channel

    init(_ path: String) async throws {
        let collector = collector
        channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { $0.pipeline.addHandler(collector) }
            .bind(unixDomainSocketPath: path).get()
    }

    func send(_ text: String, to path: String) async throws {
        let envelope = AddressedEnvelope(
            remoteAddress: try SocketAddress(unixDomainSocketPath: path), data: ByteBuffer(string: text))
        try await channel.writeAndFlush(envelope)
    }

    func next() async -> String? {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if let text = collector.texts.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return text }
            try? await Task.sleep(for: .milliseconds(2))
        }
        return nil
    }

    func close() async { try? await channel.close() }
}

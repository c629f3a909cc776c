// What the stream tests stand on: a running service whose events are written down, strangers that connect to it, plain
// or encrypted, and certificates made by openssl, where it is installed.

import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Nanomsg
import Primitives
import SIP
import Synchronization
import Transports

/// A service with an event of each kind in order.
final class StreamDesk {
    enum Seen: Equatable {
        case message(String, from: Endpoint, on: ListenerID, flow: FlowID)
        case closed(FlowID)
        case failed(Endpoint, token: UInt64)
    }

    let service: StreamService
    private let signal: Signal
    private var batch = StreamEvents()
    private(set) var seen: [Seen] = []

    init(_ settings: StreamSettings) async throws {
        signal = Signal()
        service = try await StreamService.start(settings, signal: signal)
    }

    /// Listens on the endpoints, numbered from 0.
    convenience init(_ endpoints: [Endpoint], _ adjust: (inout StreamSettings) -> Void = { _ in }) async throws {
        var settings = StreamSettings()
        for (index, endpoint) in endpoints.enumerated() {
            settings.listeners.append(.init(id: ListenerID(rawValue: UInt8(index)), endpoint: endpoint))
        }
        adjust(&settings)
        try await self.init(settings)
    }

    var endpoint: Endpoint { service.endpoints[0] }

    /// Takes what has come.
    func look() {
        service.inbox.take(into: &batch)
        batch.forEach { event, bytes in
            switch event {
            case .message(let from, let listener, let flow):
                let text = String(decoding: [UInt8](copying: bytes), as: UTF8.self)
                seen.append(.message(text, from: from, on: listener, flow: flow))
            case .closed(let flow): seen.append(.closed(flow))
            case .failed(let to, _, let token): seen.append(.failed(to, token: token))
            }
        }
    }

    /// Looks until `condition` holds, at most twenty seconds.
    func wait(until condition: (StreamDesk) -> Bool) -> Bool {
        Loopback.wait(seconds: 20) {
            look()
            return condition(self)
        }
    }

    func waitForMessages(_ count: Int) -> Bool { wait { $0.messages.count >= count } }

    var messages: [String] {
        seen.compactMap { if case .message(let text, _, _, _) = $0 { text } else { nil } }
    }

    /// The flow of the last message.
    var flow: FlowID {
        seen.reversed().lazy.compactMap { if case .message(_, _, _, let flow) = $0 { flow } else { nil } }.first
            ?? .none
    }

    func send(
        _ text: String, to endpoint: Endpoint, named name: String = "", flow: FlowID = .none, token: UInt64 = 0,
        listener: UInt8 = 0
    ) {
        var queue = SendQueue()
        queue.send(
            Array(text.utf8), to: endpoint, from: ListenerID(rawValue: listener), flow: flow, token: token,
            serverName: Array(name.utf8))
        service.send(queue.datagrams, of: queue.arena.bytes) { _ in }
    }

    /// Answers a request as a phone would, over the connection that the last message came on.
    func answer(_ status: Int, to request: String?) {
        let kept = ["Via: ", "From: ", "Call-ID: ", "CSeq: ", "Record-Route: "]
        let lines = (request ?? "").split(separator: "\r\n").filter { line in kept.contains { line.hasPrefix($0) } }
        let contact = "<sip:b@\(endpoint.text);transport=\(endpoint.transport.lowercasedName)>"
        send(
            "SIP/2.0 \(status) Whatever\r\n" + lines.joined(separator: "\r\n")
                + "\r\nTo: <sip:b@x>;tag=b\r\nContact: \(contact)\r\nContent-Length: 0\r\n\r\n",
            to: endpoint, flow: flow)
    }

    func waitForCounters(_ condition: (StreamCounters) -> Bool) async -> Bool { await service.wait(until: condition) }
}

extension StreamService {
    /// Looks until `condition` holds, at most twenty seconds.
    func wait(until condition: (StreamCounters) -> Bool) async -> Bool {
        let limit = BootClock.now.advanced(milliseconds: 20_000)
        while BootClock.now < limit {
            if condition(await counters()) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return condition(await counters())
    }
}

/// A stranger's connection: sends bytes and collects what comes.
final class Caller: Sendable {
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

    private let channel: any Channel
    private let collector: Collector

    /// - Parameters:
    ///   - host: The loopback address to connect from, by its number.
    ///   - tls: Encrypts; `name` is asked for and verified.
    ///   - reads: Whether what comes is read at all.
    init(
        _ endpoint: Endpoint, host: Int? = nil, tls: NIOSSLContext? = nil, name: String? = nil, reads: Bool = true
    ) async throws {
        let collector = Collector()
        self.collector = collector
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name)) }
                    try pipeline.addHandler(collector)
                }
            }
        if !reads { bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: 4_096) }
        if let host {
            bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: Loopback.host(host), port: 0))
        }
        // By address: a name would be looked up on a queue of Dispatch, which the blocking waits of all tests share.
        let target = try SocketAddress(ipAddress: endpoint.address.text, port: Int(endpoint.port))
        channel = try await bootstrap.connect(to: target).get()
    }

    var local: Endpoint {
        Endpoint(
            address: Address(text: channel.localAddress?.ipAddress ?? "") ?? Address(ipv4: 0),
            port: UInt16(channel.localAddress?.port ?? 0), transport: .tcp)
    }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
    func send(_ text: String) { send(Array(text.utf8)) }
    func closeOutput() { channel.close(mode: .output, promise: nil) }
    func close() { channel.close(promise: nil) }

    var bytes: [UInt8] { collector.state.withLock { $0.bytes } }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var isClosed: Bool { collector.state.withLock { $0.isClosed } }

    func wait(for text: String) -> Bool { Loopback.wait(seconds: 20) { self.text == text } }
    func waitUntilClosed() -> Bool { Loopback.wait(seconds: 20) { self.isClosed } }
}

/// A certificate that vouches for itself, with its key, in files of its own.
struct Identity: Sendable {
    let certificate: String
    let key: String

    static let openssl: String? = ["/usr/bin/openssl", "/usr/local/bin/openssl", "/opt/homebrew/bin/openssl"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }
    static let absence = "skipped: openssl is not installed, so there are no certificates"

    /// - Parameter names: As subjectAltName spells them, `IP:127.0.0.1` or `DNS:example.org`.
    init(_ folder: URL, _ name: String, names: [String]) throws {
        certificate = folder.appending(path: "\(name).pem").path
        key = folder.appending(path: "\(name).key").path
        let process = Process()
        process.executableURL = URL(filePath: Self.openssl ?? "/nonexistent/openssl")
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(names.joined(separator: ","))",
            "-keyout", key, "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw OpenSSLFailed(status: process.terminationStatus) }
    }

    struct OpenSSLFailed: Error { let status: Int32 }

    static let ownAddresses = (1...4).map { "IP:\(Loopback.host($0))" } + ["IP:::1"]

    /// A folder for the keys of one test.
    static func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "streams-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    var files: TLSFiles { TLSFiles(certificate: certificate, key: key, authorities: certificate) }

    /// A client's context that trusts this identity, and shows another if asked.
    func client(showing other: Identity? = nil) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(certificate)
        if let other {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(other.certificate).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: other.key, format: .pem))
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

enum Sample {
    static func options(_ number: Int = 1, body: String = "", via: String = "") -> String {
        "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5099;branch=z9hG4bK\(number)\(via)\r\n"
            + "Call-ID: \(number)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    static let answer = "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"

    static func tcp(_ host: Int, _ port: UInt16 = 0, _ transport: TransportProtocol = .tcp) -> Endpoint {
        var endpoint = Loopback.endpoint(host, port)
        endpoint.transport = transport
        return endpoint
    }
}

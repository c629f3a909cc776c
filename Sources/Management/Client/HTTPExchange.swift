// One HTTP request and its answer over a connection of its own: what the command line needs, and no more. The system's
// URLSession is not used, because it cannot ask an IPv6 address, and brings a library that a bare system lacks.
//
// Limits: the time; what answers is a node of the operator's own, so its answers are taken as long as they are.

import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Node
import SIP

/// Why there was no answer.
enum ExchangeError: Error, Equatable {
    case refused
    case noSuchHost
    case tooLate
    case lost
    /// What came was no HTTP.
    case notHTTP
    /// `https`, and what answered was no TLS.
    case notTLS
    /// TLS, and its certificate is nobody's that is trusted here, or another's.
    case untrusted
    case other(String)
}

struct HTTPExchange {
    struct Answer: Sendable {
        var status: Int
        var body: [UInt8]
    }

    let url: ManagementURL
    let path: String
    let headers: [(name: String, value: String)]
    let body: [UInt8]
    /// Whose certificate is believed, over TLS.
    let authorities: TrustedAuthorities

    func run(timeout: Duration) async throws(ExchangeError) -> Answer {
        do {
            return try await exchange(.nanoseconds(timeout.wholeMilliseconds * 1_000_000))
        } catch {
            throw Self.reason(error)
        }
    }

    private func exchange(_ timeout: TimeAmount) async throws -> Answer {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answer = loop.makePromise(of: Answer.self)
        let security = try url.isSecure ? NIOSSLContext(configuration: tls) : nil
        let (request, host) = (self, url.host)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(timeout).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                if let security {
                    // An address has no name that could be asked for; its certificate has to name the address.
                    let name = request.url.address == nil ? host : nil
                    try pipeline.addHandler(NIOSSLClientHandler(context: security, serverHostname: name))
                }
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandler(AnswerReader(request, answer))
            }
        }
        let late = loop.scheduleTask(in: timeout) { answer.fail(ExchangeError.tooLate) }
        defer { late.cancel() }
        let channel: any Channel
        do {
            channel = try await bootstrap.connect(host: host, port: Int(url.port)).get()
        } catch {
            answer.fail(error)
            throw error
        }
        defer { channel.close(promise: nil) }
        return try await answer.futureResult.get()
    }

    private var tls: TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.trustRoots = authorities.roots
        return configuration
    }

    private static func reason(_ error: any Error) -> ExchangeError {
        switch error {
        case let error as ExchangeError: return error
        case let error as NIOConnectionError:
            guard let failure = error.connectionErrors.first else { return .noSuchHost }
            return reason(failure.error)
        case is SocketAddressError: return .noSuchHost
        case ChannelError.connectTimeout: return .tooLate
        case let error as IOError where error.errnoCode == ECONNREFUSED: return .refused
        case let error as IOError where error.errnoCode == ECONNRESET: return .lost
        case let error as IOError: return .other(sentence(error.errnoCode))
        case is HTTPParserError: return .notHTTP
        case is NIOSSLExtraError: return .untrusted
        case NIOSSLError.uncleanShutdown: return .lost
        case is NIOSSLError, is BoringSSLError:
            let text = "\(error)".lowercased()
            return text.contains("certificate_verify_failed") || text.contains("certificate verify failed")
                ? .untrusted : .notTLS
        default: return .other("\(error)")
        }
    }

    private static func sentence(_ code: CInt) -> String {
        switch code {
        case EHOSTUNREACH, ENETUNREACH: "no way leads there"
        case EACCES, EPERM: "not permitted"
        // Sound: the text is the library's own, and copied at once.
        default: unsafe String(cString: strerror(code)).lowercased()
        }
    }
}

/// Sends the request once the connection stands, and collects the answer.
private final class AnswerReader: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let request: HTTPExchange
    private let answer: EventLoopPromise<HTTPExchange.Answer>
    private var received = HTTPExchange.Answer(status: 0, body: [])

    init(_ request: HTTPExchange, _ answer: EventLoopPromise<HTTPExchange.Answer>) {
        self.request = request
        self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) {
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: request.path)
        let url = request.url
        head.headers.add(name: "Host", value: "\(url.address?.isIPv6 == true ? "[\(url.host)]" : url.host):\(url.port)")
        head.headers.add(name: "Content-Length", value: "\(request.body.count)")
        head.headers.add(name: "Connection", value: "close")
        for (name, value) in request.headers { head.headers.add(name: name, value: value) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): received.status = Int(head.status.code)
        case .body(let buffer): received.body += buffer.readableBytesView
        case .end: answer.succeed(received)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        answer.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.fail(ExchangeError.lost)
        context.fireChannelInactive()
    }
}

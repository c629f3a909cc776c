// Hummingbird around `ManagementService`: reads bodies up to the limit, tells where a connection comes from, and says
// when the address is bound. With keys it is HTTPS, and nothing else. No decision is made here.

import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdTLS
package import Logging
import NIOCore
import Synchronization

/// Why the server ended by itself: in a few words that can follow "cannot listen on …: ".
package struct HTTPServerError: Error, Equatable, Sendable, CustomStringConvertible {
    package var reason: String
    package var description: String { reason }
}

package struct HTTPServer: Sendable {
    private let service: ManagementService
    private let address: String
    private let port: Int
    private let keys: ServerKeys?
    private let logger: Logger

    /// - Parameters:
    ///   - keys: Without them it is HTTP.
    ///   - logger: For the server's own troubles; without one they are not told.
    package init(
        service: ManagementService, address: String, port: Int, keys: ServerKeys? = nil, logger: Logger? = nil
    ) {
        self.service = service
        self.address = address
        self.port = port
        self.keys = keys
        self.logger = logger ?? Logger(label: "management", factory: { _ in SwiftLogNoOpLogHandler() })
    }

    /// Serves until the task is cancelled. `bound` is told the port once connections are accepted; an address that
    /// cannot be had throws before that.
    package func run(bound: @escaping @Sendable (Int) -> Void) async throws(HTTPServerError) {
        do {
            try await serve(bound)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw HTTPServerError(reason: "the address is in use; is another process listening there?")
        } catch let error as IOError where error.errnoCode == EADDRNOTAVAIL {
            throw HTTPServerError(reason: "the address is not one of this host")
        } catch let error as IOError where error.errnoCode == EACCES {
            throw HTTPServerError(reason: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE")
        } catch {
            throw HTTPServerError(reason: "\(error)")
        }
    }

    private func serve(_ bound: @escaping @Sendable (Int) -> Void) async throws {
        let service = service
        let router = RouterlessResponder { request, context in
            try await Self.respond(to: request, from: context, with: service)
        }
        // What it would tell, connections cut off by a shutdown above all, is nothing an operator could act on.
        var quiet = logger
        quiet.logLevel = .critical
        let application = Application(
            responder: router,
            server: try keys.map { try .tls(.http1(), tlsConfiguration: $0.configuration) } ?? .http1(),
            configuration: ApplicationConfiguration(address: .hostname(address, port: port), serverName: "understudy"),
            onServerRunning: { channel in bound(channel.localAddress?.port ?? 0) },
            logger: quiet)
        try await application.run()
    }

    private static func respond(
        to request: Request, from context: ConnectionContext, with service: ManagementService
    ) async throws -> Response {
        var asked = ManagementRequest(
            method: request.method.rawValue, path: request.uri.path, isFromLoopback: context.isFromLoopback)
        asked.authorization = request.headers[.authorization] ?? ""
        asked.hasOrigin = request.headers[.origin] != nil
        do {
            let buffer = try await request.body.collect(upTo: ManagementService.bodyLimit)
            asked.body = Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            return make(.text(413, "At most \(ManagementService.bodyLimit) bytes"))
        }
        return make(await service.answer(asked))
    }

    private static func make(_ answer: ManagementResponse) -> Response {
        Response(
            status: HTTPResponse.Status(code: answer.status),
            headers: [.contentType: answer.contentType, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}

/// What a connection says of itself.
private struct ConnectionContext: InitializableFromSource, RequestContext {
    var coreContext: CoreRequestContextStorage
    let isFromLoopback: Bool

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        isFromLoopback = Self.isLoopback(source.channel.remoteAddress)
    }

    private static func isLoopback(_ address: SocketAddress?) -> Bool {
        switch address {
        case .v4: address?.ipAddress?.hasPrefix("127.") ?? false
        case .v6: address?.ipAddress == "::1" || address?.ipAddress?.hasPrefix("::ffff:127.") == true
        case .unixDomainSocket, nil: false
        }
    }
}

/// One function for every path: the service has its own table.
private struct RouterlessResponder: HTTPResponder {
    let body: @Sendable (Request, ConnectionContext) async throws -> Response

    func respond(to request: Request, context: ConnectionContext) async throws -> Response {
        try await body(request, context)
    }
}

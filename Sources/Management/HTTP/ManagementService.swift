// What the management address answers, without the HTTP server around it: a request in, a response out, so that tests
// ask it directly and a later door (a socket, a FIFO) needs no second copy of these rules.
//
//     POST /rpc       JSON-RPC 2.0           GET /healthz   the process runs
//     GET  /metrics   Prometheus text        GET /readyz    200 only when new dialogs are taken, else 503 and why
//                                            GET /drainz    the same, but 404 while the node runs and takes none: what
//                                                           HAProxy's disable-on-404 wants to let the rest go on
//
// Denied by default: whoever does not come from a loopback address needs `Authorization: Bearer TOKEN`, and without a
// configured token gets 401 whatever is sent. The probes are open to all: a balancer has no token and learns one word.
// A request with an Origin header comes from a web page and is refused: there is no page of ours that would ask.

package import Node

package struct ManagementRequest: Sendable {
    package var method: String
    package var path: String
    /// Value of Authorization, empty without one.
    package var authorization = ""
    package var hasOrigin = false
    /// The connection's other end is a loopback address.
    package var isFromLoopback: Bool
    package var body: [UInt8] = []

    package init(method: String, path: String, isFromLoopback: Bool) {
        self.method = method
        self.path = path
        self.isFromLoopback = isFromLoopback
    }
}

package struct ManagementResponse: Equatable, Sendable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]

    static func text(_ status: Int, _ text: String) -> ManagementResponse {
        ManagementResponse(status: status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }
}

package struct ManagementService: Sendable {
    /// A longer request body is refused with 413.
    package static let bodyLimit = 1 << 20

    private let rpc: RPCServer
    private let node: any ManagedNode
    private let token: Secret

    package init(
        node: any ManagedNode, settings: ManagementSettings, unixSeconds: @escaping @Sendable () -> Int64
    ) {
        let context = RPCContext(
            node: node, allowsFaultInjection: settings.allowsFaultInjection, unixSeconds: unixSeconds)
        self.init(context, settings)
    }

    package init(_ context: RPCContext, _ settings: ManagementSettings) {
        node = context.node
        token = settings.token
        rpc = RPCServer(context)
    }

    /// HEAD is what GET is, without the body: many probes ask so.
    package func answer(_ request: ManagementRequest) async -> ManagementResponse {
        guard request.method == "HEAD" else { return await answerWhole(request) }
        var asked = request
        asked.method = "GET"
        var response = await answerWhole(asked)
        response.body = []
        return response
    }

    private func answerWhole(_ request: ManagementRequest) async -> ManagementResponse {
        switch (request.method, request.path) {
        case ("GET", "/healthz"): return .text(200, "ok")
        case ("GET", "/readyz"): return await readiness(else: 503)
        case ("GET", "/drainz"): return await readiness(else: 404)
        case ("GET", "/metrics"): return await guarded(request) { await metrics() }
        case ("POST", "/rpc"): return await guarded(request) { await call(request.body) }
        case (_, "/healthz"), (_, "/readyz"), (_, "/drainz"), (_, "/metrics"): return .text(405, "Use GET or HEAD")
        case (_, "/rpc"): return .text(405, "Use POST")
        default: return .text(404, "Not here; there are /rpc, /metrics, /healthz, /readyz and /drainz")
        }
    }

    private func guarded(
        _ request: ManagementRequest, _ body: () async -> ManagementResponse
    ) async -> ManagementResponse {
        guard !request.hasOrigin else { return .text(403, "Requests of web pages are refused") }
        guard request.isFromLoopback || isAuthorized(request.authorization) else {
            return .text(401, "Send Authorization: Bearer with the token of management.token-file")
        }
        guard request.body.count <= Self.bodyLimit else { return .text(413, "At most \(Self.bodyLimit) bytes") }
        return await body()
    }

    private func isAuthorized(_ header: String) -> Bool {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard !token.isEmpty, parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
        return Secret(Array(parts[1].utf8)) == token
    }

    private func readiness(else code: Int) async -> ManagementResponse {
        guard let status = try? await node.status() else { return .text(503, "stopping") }
        return status.notReadyReason.isEmpty ? .text(200, "ready") : .text(code, status.notReadyReason)
    }

    private func metrics() async -> ManagementResponse {
        guard let status = try? await node.status(), let counters = try? await node.metrics() else {
            return .text(503, "stopping")
        }
        let drops = MetricReport(
            name: "understudy_doors_dropped_total",
            help: "Connections and requests of the doors that were let go: too many at a time", kind: .counter,
            value: rpc.dispatcher.context.process.drops.value)
        let text = MetricsText.render(status, counters + [drops])
        return ManagementResponse(
            status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8))
    }

    private func call(_ body: [UInt8]) async -> ManagementResponse {
        let reply = await rpc.answer(body)
        return ManagementResponse(
            status: reply.status, contentType: "application/json", body: reply.body.bytes + [UInt8(ascii: "\n")])
    }
}

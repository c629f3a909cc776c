// The management address: who may ask, what probes are told, and one pass through real HTTP on loopback.

import Management
import Node
import Synchronization
import Testing

@Suite("Management address: token off loopback")
struct HTTPTests {
    let node = FakeNode("n1", [.confirmed(1)])

    func service(token: String = "") -> ManagementService {
        var settings = ManagementSettings()
        settings.token = Secret(Array(token.utf8))
        return ManagementService(node: node, settings: settings, unixSeconds: { 0 })
    }

    func request(_ method: String, _ path: String, loopback: Bool = true, _ authorization: String = "")
        -> ManagementRequest
    {
        var request = ManagementRequest(method: method, path: path, isFromLoopback: loopback)
        request.authorization = authorization
        request.body = Array(#"{"jsonrpc":"2.0","method":"cluster.status","id":1}"#.utf8)
        return request
    }

    @Test(arguments: [
        ("", "", 401), ("", "Bearer ", 401), ("0123456789abcdef", "", 401), ("0123456789abcdef", "Bearer x", 401),
        ("0123456789abcdef", "Basic 0123456789abcdef", 401), ("0123456789abcdef", "Bearer 0123456789abcdef", 200),
        ("0123456789abcdef", "bearer 0123456789abcdef", 200),
    ])
    func `off loopback only the token opens`(token: String, header: String, status: Int) async {
        let service = service(token: token)
        #expect(await service.answer(request("POST", "/rpc", loopback: false, header)).status == status)
        #expect(await service.answer(request("GET", "/metrics", loopback: false, header)).status == status)
        #expect(await service.answer(request("GET", "/healthz", loopback: false, header)).status == 200)
    }

    @Test func `a web page is refused, and unknown paths and methods are told`() async {
        var page = request("POST", "/rpc")
        page.hasOrigin = true
        #expect(await service().answer(page).status == 403)
        #expect(await service().answer(request("GET", "/rpc")).status == 405)
        #expect(await service().answer(request("POST", "/readyz")).status == 405)
        #expect(await service().answer(request("GET", "/")).status == 404)
    }

    @Test(arguments: ["/healthz", "/readyz", "/drainz", "/metrics"])
    func `HEAD answers as GET does, without the body`(path: String) async {
        let whole = await service().answer(request("GET", path))
        let head = await service().answer(request("HEAD", path))
        #expect(head.status == whole.status && head.contentType == whole.contentType && head.body.isEmpty)
        #expect(await service().answer(request("HEAD", "/rpc")).status == 405)
        #expect(await service().answer(request("HEAD", "/metrics", loopback: false)).status == 401)
    }

    @Test func `a body at the limit is read, one byte more is not`() async {
        var large = request("POST", "/rpc")
        large.body = Array(repeating: 0x20, count: ManagementService.bodyLimit)
        #expect(await service().answer(large).status == 500)
        large.body.append(0x20)
        #expect(await service().answer(large).status == 413)
    }

    @Test func `readyz says 200 only when ready, else 503 and why (S2-14)`() async {
        #expect(await service().answer(request("GET", "/readyz")).status == 200)
        node.state.withLock { $0.status.notReadyReason = "draining" }
        let answer = await service().answer(request("GET", "/readyz"))
        #expect(answer.status == 503)
        #expect(String(decoding: answer.body, as: UTF8.self) == "draining\n")
        #expect(await service().answer(request("GET", "/healthz")).status == 200)
    }

    @Test func `drainz says 404 while the node runs and takes no new dialog, for HAProxy to let the rest go on`() async
    {
        #expect(await service().answer(request("GET", "/drainz", loopback: false)).status == 200)
        node.state.withLock { $0.status.notReadyReason = "draining" }
        #expect(await service().answer(request("GET", "/drainz")).status == 404)
        node.state.withLock { $0.isStopped = true }
        #expect(await service().answer(request("GET", "/drainz")).status == 503)
    }

    @Test func `metrics are Prometheus text`() async {
        node.state.withLock { $0.status.dialogs.early = 3 }
        let answer = await service().answer(request("GET", "/metrics"))
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.contains("# TYPE understudy_dialogs gauge\nunderstudy_dialogs{state=\"unconfirmed\"} 0\n"))
        #expect(text.contains("understudy_dialogs{state=\"early\"} 3\n"))
        #expect(text.contains("# TYPE understudy_takeovers_total counter\nunderstudy_takeovers_total 7\n"))
    }

    @Test func `a client asks over real HTTP, and is told when nobody listens`() async throws {
        let server = HTTPServer(service: service(), address: "127.0.0.1", port: 0)
        let (ports, port) = AsyncStream<Int>.makeStream()
        let serving = Task { try await server.run { port.yield($0) } }
        var iterator = ports.makeAsyncIterator()
        let bound = try #require(await iterator.next())
        let client = try RPCClient("127.0.0.1:\(bound)")
        #expect(try await client.call("cluster.status", [])["node"] == "n1")
        await #expect(
            throws: ClientError.refused(url: client.label, RPCError(404, "No dialog has the did or Call-ID x"))
        ) {
            try await client.call("cluster.dialog", ["x"])
        }
        serving.cancel()
        _ = await serving.result
        await #expect(throws: ClientError.unreachable(url: client.label, reason: "connection refused")) {
            try await client.call("cluster.status", [])
        }
    }

    @Test(arguments: ["", "ftp://h", "http://", "::"])
    func `a URL that is none is told`(text: String) {
        #expect(throws: ClientError.badURL(text)) { try RPCClient(text) }
    }
}

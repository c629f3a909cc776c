// What may be asked of this node by another member, for an operator who asked that one: `cluster.ask` here, over the
// bus to there. JSON-RPC texts, like over HTTP, but of a short list of methods: what `status`, `check`, `drain`,
// `reload`, `trace` and `top` need. Nothing that ends a call; a trace shows messages without credentials and keys, of
// which the bus, not sealed, carries parts anyway.
//
// Who may ask at all is the core's to say: whoever has the cluster's key.

package struct BusDoor: Sendable {
    package static let methods = [
        "cluster.status", "cluster.digests", "cluster.bucket", "cluster.dialog", "cluster.repair", "cluster.drain",
        "cluster.undrain", "cluster.reload", "cluster.trace", "cluster.top",
    ]

    private let rpc: RPCServer

    package init(_ rpc: RPCServer) { self.rpc = rpc }

    package func answer(_ text: [UInt8]) async -> [UInt8] {
        guard let request = try? JSONValue(parsing: text), let name = request["method"]?.text else {
            return Self.refusal(.invalidRequest)
        }
        guard Self.methods.contains(name) else { return Self.refusal(Self.closed(name)) }
        return await rpc.answer(text).body.bytes
    }

    /// - Parameter params: An array.
    static func question(_ method: String, _ params: JSONValue) -> [UInt8] {
        let request: JSONValue = ["jsonrpc": "2.0", "method": .string(method), "params": params]
        return request.bytes
    }

    static func closed(_ method: String) -> RPCError {
        RPCError(403, "\(method) may not be asked over the bus; these may: \(methods.joined(separator: ", "))")
    }

    private static func refusal(_ error: RPCError) -> [UInt8] {
        let reply: JSONValue = ["error": ["code": .count(error.code), "message": .string(error.message)]]
        return reply.bytes
    }
}

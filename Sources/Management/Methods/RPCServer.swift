// The JSON-RPC 2.0 envelope, the way Kamailio's jsonrpcs answers, so that its clients work unchanged:
// the members of a reply come in the order `jsonrpc`, `result` or `error`, `id`; a request without `id` is still
// answered, without one; an `id` that is neither text nor number becomes 0; a request without `jsonrpc: "2.0"` or
// `method`, or with `params` that are neither array nor object, is answered with an empty result; an unknown method is
// 500 "Method Not Found". The HTTP status is the error's code, 500 for codes up to 100. Batches are refused: jsonrpcs
// has none.

package struct RPCReply: Equatable, Sendable {
    package var status: Int
    package var body: JSONValue
}

package struct RPCServer: Sendable {
    let dispatcher: Dispatcher

    package init(_ context: RPCContext) { dispatcher = Dispatcher(context) }

    package func answer(_ body: [UInt8]) async -> RPCReply {
        guard let request = try? JSONValue(parsing: body) else { return reply(to: nil, failing: .parseError) }
        return await answer(request)
    }

    package func answer(_ request: JSONValue) async -> RPCReply {
        guard case .object = request else { return reply(to: nil, failing: .invalidRequest) }
        let id = request["id"]
        guard request["jsonrpc"] == "2.0", let name = request["method"]?.text else { return reply(to: id, [:]) }
        guard let arguments = RPCArguments(request["params"]) else { return reply(to: id, [:]) }
        do throws(RPCError) {
            return reply(to: id, try await dispatcher.call(name, arguments))
        } catch {
            return reply(to: id, failing: error)
        }
    }

    /// The answer to a request that is not carried out.
    package func refuse(_ request: JSONValue, _ error: RPCError) -> RPCReply {
        reply(to: request["id"], failing: error)
    }

    private func reply(to id: JSONValue?, _ result: JSONValue) -> RPCReply {
        RPCReply(status: 200, body: envelope(id, "result", result))
    }

    private func reply(to id: JSONValue?, failing error: RPCError) -> RPCReply {
        let detail: JSONValue = ["code": .count(error.code), "message": .string(error.message)]
        return RPCReply(
            status: (101...599).contains(error.code) ? error.code : 500, body: envelope(id, "error", detail))
    }

    private func envelope(_ id: JSONValue?, _ kind: String, _ value: JSONValue) -> JSONValue {
        var members: [JSONValue.Member] = [.init("jsonrpc", "2.0"), .init(kind, value)]
        switch id {
        case nil: break
        case .string, .integer, .number: members.append(.init("id", id ?? .null))
        case .null, .bool, .array, .object: members.append(.init("id", 0))
        }
        return .object(members)
    }
}

// BINRPC around the dispatcher: what `ctl` answers to kamcmd. Several results of a method stand one after another; a
// list within a struct is a struct whose members need no name, as `ctl` writes it.

package import Node

package struct BinaryServer: Sendable {
    private let dispatcher: Dispatcher

    package init(_ context: RPCContext) { dispatcher = Dispatcher(context) }

    var drops: DoorDrops { dispatcher.context.process.drops }

    package func answer(_ request: BINRPC.Request) async -> [UInt8] {
        do throws(RPCError) {
            guard RPCMethods.named(request.method) != nil else {
                throw RPCError(500, "command \(request.method) not found")
            }
            let arguments = RPCArguments(request.parameters.map { JSONValue($0) }, isTyped: true)
            let result = try await dispatcher.call(request.method, arguments)
            return BINRPC.reply(Self.values(result), to: request.cookie)
        } catch {
            return refuse(request, error)
        }
    }

    package func refuse(_ request: BINRPC.Request, _ error: RPCError) -> [UInt8] {
        BINRPC.fault(error.code, error.message, to: request.cookie)
    }

    /// An empty object is what JSON-RPC answers where a method has no result.
    private static func values(_ result: JSONValue) -> [BINRPC.Value] {
        switch result {
        case .array(let elements): elements.map { BINRPC.Value($0) }
        case .object([]): []
        default: [BINRPC.Value(result)]
        }
    }
}

extension BINRPC.Value {
    package init(_ value: JSONValue) {
        switch value {
        case .null: self = .text("<null string>")  // As the field's tools know it: BINRPC has no null.
        case .bool(let flag): self = .integer(flag ? 1 : 0)
        case .integer(let number):
            // What a C int does not hold stays what it is, as a text.
            self =
                Int32(exactly: number) == nil && UInt32(exactly: number) == nil
                ? .text(String(number)) : .integer(Int64(Int32(truncatingIfNeeded: number)))
        case .number(let number): self = .decimal(number)
        case .string(let text): self = .text(text)
        case .object(let members): self = .structure(members.map { BINRPC.Member($0.name, BINRPC.Value($0.value)) })
        case .array(let elements): self = .structure(elements.map(BINRPC.Member.init(element:)))
        }
    }
}

extension BINRPC.Member {
    /// JSON has no list of named members, so jsonrpcs wraps each into an object of its own: those of `dlg2.list`.
    fileprivate init(element: JSONValue) {
        if case .object(let members) = element, members.count == 1, ["Dialog", "dlg_out"].contains(members[0].name) {
            self.init(members[0].name, BINRPC.Value(members[0].value))
        } else {
            self.init("", BINRPC.Value(element))
        }
    }
}

extension JSONValue {
    init(_ value: BINRPC.Value) {
        switch value {
        case .integer(let number): self = .integer(number)
        case .text(let text): self = .string(text)
        case .decimal(let number): self = .number(number)
        case .structure(let members): self = .object(members.map { Member($0.name, JSONValue($0.value)) })
        case .array(let values): self = .array(values.map { JSONValue($0) })
        case .bytes(let bytes): self = .string(String(decoding: bytes, as: UTF8.self))
        }
    }
}

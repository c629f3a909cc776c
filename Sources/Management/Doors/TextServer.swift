// JSON-RPC as texts, for the doors that are no HTTP: printed as jsonrpcs prints it, with line ends and tabs, which
// kamctl reads by line.

import Node

package struct TextServer: Sendable {
    private let rpc: RPCServer
    private let showsDefects: Bool

    package init(_ context: RPCContext) {
        rpc = RPCServer(context)
        showsDefects = context.process.showsDefects
    }

    var drops: DoorDrops { rpc.dispatcher.context.process.drops }

    /// - Parameter isTaken: Whether it may be carried out.
    /// - Returns: Nothing to be sent for what Kamailio does not answer, where its defects are shown.
    package func answer(_ bytes: [UInt8], isTaken: Bool, limit: Int = .max) async -> [UInt8] {
        guard bytes.count <= JSONFraming.sizeLimit, let request = try? JSONValue(parsing: bytes) else {
            return showsDefects ? [] : (await rpc.answer([UInt8]())).body.tabbed
        }
        return await answer(request, isTaken: isTaken, limit: limit)
    }

    package func answer(_ request: JSONValue, isTaken: Bool, limit: Int = .max) async -> [UInt8] {
        guard isTaken else { return rpc.refuse(request, Dispatcher.tooFast).body.tabbed }
        let answer = await rpc.answer(request).body.tabbed
        guard answer.count > limit else { return answer }
        let error = RPCError(500, "The answer is too long for this door; ask over HTTP")
        return rpc.refuse(request, error).body.tabbed
    }
}

extension JSONValue {
    /// As cJSON prints it: members on lines of their own behind tabs, a tab behind the colon, lists on one line.
    var tabbed: [UInt8] {
        var out: [UInt8] = []
        writeTabbed(depth: 0, into: &out)
        return out
    }

    private func writeTabbed(depth: Int, into out: inout [UInt8]) {
        switch self {
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            out.append(UInt8(ascii: "\n"))
            for (index, member) in members.enumerated() {
                out += Array(repeating: 9, count: depth + 1)
                JSONValue.string(member.name).write(into: &out)
                out += ":\t".utf8
                member.value.writeTabbed(depth: depth + 1, into: &out)
                out += (index + 1 < members.count ? ",\n" : "\n").utf8
            }
            out += Array(repeating: 9, count: depth)
            out.append(UInt8(ascii: "}"))
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { out += ", ".utf8 }
                element.writeTabbed(depth: depth + 1, into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .null, .bool, .integer, .number, .string: write(into: &out)
        }
    }
}

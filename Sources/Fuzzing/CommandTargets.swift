// What operators' tools may write into a door: BINRPC packets, MI commands, and JSON in a FIFO. Whatever the bytes,
// what is read is bounded and lies within them, what is no command is passed over, and what was read comes out again as
// it is written.

import Node

enum BINRPCTarget {
    static func run(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            do throws(BINRPC.Fault) {
                let (request, length) = try BINRPC.request(rest)
                precondition(length > 0 && length <= rest.count && length <= BINRPC.sizeLimit, "\(rest.count)")
                precondition((1...4).contains(request.cookie.count))
                checkThereAndBack(request)
                rest = rest.dropFirst(length)
            } catch {
                guard case .malformed(let length) = error else { return }
                precondition(length > 0 && length <= rest.count)
                rest = rest.dropFirst(length)
            }
        }
    }

    /// A text that was no UTF-8 is longer when it is written, and a name of a member may be empty: those may differ.
    private static func checkThereAndBack(_ request: BINRPC.Request) {
        let written = BINRPC.write(request)
        guard written.count <= BINRPC.sizeLimit else { return }
        do throws(BINRPC.Fault) {
            let (again, length) = try BINRPC.request(written[...])
            precondition(length == written.count && again.cookie == request.cookie && again.method == request.method)
            precondition(again.parameters.count == request.parameters.count)
        } catch {
            preconditionFailure("what was written can be read: \(error)")
        }
    }
}

enum MITarget {
    static func run(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while true {
            switch MICommand.read(rest) {
            case .incomplete: return
            case .skipped(let length):
                precondition(length > 0 && length <= rest.count)
                rest = rest.dropFirst(length)
            case .command(let command, let length):
                precondition(length > 0 && length <= rest.count && length <= MICommand.sizeLimit)
                precondition(command.parameters.count <= MICommand.parameterLimit && !command.name.contains("\n"))
                let answer = MINode.answer(200, command.name, [MINode(command.name, command.replyName)])
                precondition(answer.utf8.count { $0 == 10 } == 3, "an answer of one node has three lines")
                rest = rest.dropFirst(length)
            }
        }
    }
}

enum JSONFramingTarget {
    static func run(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while true {
            switch JSONFraming.read(rest) {
            case .incomplete: return
            case .skipped(let length):
                precondition(length > 0 && length <= rest.count)
                rest = rest.dropFirst(length)
            case .object(let skipped, let length):
                precondition(length >= 2 && skipped + length <= rest.count && length <= JSONFraming.sizeLimit)
                let object = rest.dropFirst(skipped).prefix(length)
                precondition(object.first == UInt8(ascii: "{") && object.last == UInt8(ascii: "}"))
                rest = rest.dropFirst(skipped + length)
            }
        }
    }
}

// A byte stream cut into messages, and what its owner does with them: whatever the bytes, the same elements come out
// however they arrive, nothing is lost between them, and what is held is bounded (RFC 3261 §18.3, RFC 5626 §3.5.1).
//
//   input: one byte (the sizes of the pieces follow from it), then the stream

import Primitives
import SIP

enum StreamTarget {
    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let seed = input.byte()
        let stream = Array(input.rest)
        var whole = Reading()
        whole.take(stream[...])
        whole.checkBytes(against: stream)
        var pieces = Reading()
        var (offset, mixed) = (0, UInt32(seed) | 1)
        while offset < stream.count {
            mixed = mixed &* 1_664_525 &+ 1_013_904_223
            // One byte at a time for an even seed, pieces of up to 64 for an odd one.
            let end = min(stream.count, offset + (seed & 1 == 0 ? 1 : Int(mixed >> 26) + 1))
            pieces.take(stream[offset..<end])
            offset = end
        }
        precondition(whole.found == pieces.found, "pieces must not matter: \(stream.shown)")
        // A closed stream keeps what it had when it closed, until it is gone.
        precondition(
            whole.isClosed || whole.framer.heldByteCount == pieces.framer.heldByteCount, "nor for what is held")
    }

    private enum Found: Equatable {
        case message([UInt8])
        case ping, pong
        case fault(StreamFault, head: [UInt8])
    }

    /// A framer, and all that came out of it.
    private struct Reading {
        var framer = StreamFramer()
        var found: [Found] = []
        private(set) var isClosed = false
        private var reader = Message()
        private let source = Endpoint(address: Address(ipv4: 0x0A00_0001), port: 5_070)

        mutating func take(_ piece: ArraySlice<UInt8>) {
            framer.append(RawSpan(_elements: piece.span))
            while true {
                do throws(StreamFault) {
                    guard let element = try framer.next() else { break }
                    switch element {
                    case .ping: found.append(.ping)
                    case .pong: found.append(.pong)
                    case .message: message()
                    }
                } catch {
                    fault(error)
                    if !error.canGoOn {
                        isClosed = true
                        precondition((try? framer.next()) == .some(nil), "a stream that is closed stays closed")
                        break
                    }
                }
            }
            precondition(framer.heldByteCount < StreamFramer.messageLimit + piece.count, "what is held is bounded")
        }

        private mutating func message() {
            let bytes = framer.withElement { [UInt8](copying: $0) }
            precondition(bytes.count <= StreamFramer.messageLimit, "a message is within its limit")
            precondition(bytes.first.map { $0 > 0x20 } == true, "a message begins with its start line")
            _ = StreamAlias.port(of: RawSpan(_elements: bytes.span), reader: &reader)
            found.append(.message(bytes))
        }

        private mutating func fault(_ fault: StreamFault) {
            let head = framer.withElement { [UInt8](copying: $0) }
            precondition(fault.statusCode == nil || !head.isEmpty, "what is answered has a head")
            var out = ByteWriter()
            StreamAnswer.write(fault, head: RawSpan(_elements: head.span), source: source, reader: &reader, into: &out)
            if !out.bytes.isEmpty {
                var answer = Message()
                precondition((try? answer.load(RawSpan(_elements: out.bytes.span))) != nil, out.bytes.shown)
                precondition(answer.statusCode == fault.statusCode, "the answer says what was wrong")
            }
            found.append(.fault(fault, head: head))
        }

        /// Up to the first fault, the stream is its elements and what is held.
        func checkBytes(against stream: [UInt8]) {
            var offset = 0
            for element in found {
                switch element {
                case .ping, .pong:
                    offset += stream[offset] == 0x0D ? 2 : 1
                case .message(let bytes):
                    precondition(stream[offset...].starts(with: bytes), "messages are the stream's own bytes")
                    offset += bytes.count
                case .fault: return
                }
            }
            precondition(offset + framer.heldByteCount == stream.count, "nothing is lost between messages")
        }
    }
}

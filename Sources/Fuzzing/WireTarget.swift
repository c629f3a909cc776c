// What peers send, entry by entry: a message that was read is written and read again as itself. Also what travels in
// branches and intents.
//
//   input: one byte, which reader, then its bytes
//
// The readers are internal to Cluster, which is built with -enable-testing for the tests' sake; this is one of them.

@testable import Cluster
import Dialogs
import Primitives
import Proxy
import SIP

enum WireTarget {
    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let choice = input.byte()
        let text = Array(input.rest)
        switch choice % 9 {
        case 0: header(text)
        case 1: same(text, { try Heartbeat($0, $1) }, { $0.write(into: &$1) })
        case 2: same(text, { try Position.readAll($0, $1) }, { Position.write($0, into: &$1) })
        case 3: same(text, { try Intent($0, $1) }, { $0.write(into: &$1) })
        case 4: answer(text)
        case 5: same(text, { try RepairRequest($0, $1) }, { $0.write(into: &$1) })
        case 6: same(text, { try FetchRequest.read($0, $1) }, { FetchRequest.write($0, into: &$1) })
        case 7: same(text, { try SyncRequest($0, $1) }, { $0.write(into: &$1) })
        default: same(text, { try SyncAnswer($0, $1) }, { $0.write(into: &$1) })
        }
    }

    /// What is written of what was read may be shorter (fields nobody knows, defaults), and must then stay the same.
    private static func same<Value>(
        _ bytes: [UInt8], _ read: ([UInt8], Range<Int>) throws -> Value, _ write: (Value, inout ByteWriter) -> Void
    ) {
        guard let value = try? read(bytes, 0..<bytes.count) else { return }
        var (once, twice) = (ByteWriter(), ByteWriter())
        write(value, &once)
        let written = once.bytes
        guard let again = try? read(written, 0..<written.count) else {
            preconditionFailure("what was written must be readable: \(value)")
        }
        write(again, &twice)
        precondition(twice.bytes == written, "and read the same: \(value)")
    }

    private static func header(_ bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let header = try? FrameHeader.read(&reader) else { return }
        precondition(reader.offset <= bytes.count, "a header ends within the frame")
        var writer = ByteWriter()
        header.write(into: &writer)
        precondition(writer.bytes == Array(bytes.prefix(reader.offset)), "a header is its bytes")
        while let entry = try? Cluster.nextEntry(&reader) {
            precondition(entry.payload.upperBound <= bytes.count, "an entry lies within its frame")
            _ = try? RecordItem(bytes, entry.payload)
        }
    }

    private static func answer(_ bytes: [UInt8]) {
        guard let answer = try? IntentAnswer(bytes, 0..<bytes.count) else { return }
        var (writer, record) = (ByteWriter(), ByteWriter())
        record.put(bytes, ByteRange(start: answer.record.lowerBound, end: answer.record.upperBound))
        answer.write(into: &writer, age: Int64(answer.age), record: RawSpan(_elements: record.bytes.span))
        let written = writer.bytes
        guard let again = try? IntentAnswer(written, 0..<written.count) else { preconditionFailure("\(answer)") }
        precondition(again.did == answer.did && again.asker == answer.asker && again.age == answer.age, "\(answer)")
        precondition(Array(written[again.record]) == record.bytes, "the record goes along")
    }
}

/// The bytes are a branch.
enum BranchTarget {
    static func run(_ bytes: [UInt8]) {
        let branch = Branch(bytes, ByteRange(bytes), mark: 0x3f2a)
        guard branch != .foreign else { return }
        var writer = ByteWriter()
        branch.write(mark: 0x3f2a, into: &writer)
        precondition(writer.count == bytes.count, "a branch of ours has one length")
        let text = writer.bytes
        precondition(Branch(text, ByteRange(text), mark: 0x3f2a) == branch, "and reads as it was written")
        precondition(Branch(text, ByteRange(text), mark: 0x3f2b) == .foreign, "by its own cluster only")
    }
}

/// The bytes are the payload of an intent.
enum EndingTarget {
    static func run(_ bytes: [UInt8]) {
        guard let requests = EndingRequest.decode(bytes) else { return }
        precondition(requests.count <= EndingRequest.countLimit, "the bound holds")
        let encoded = EndingRequest.encode(requests)
        precondition(EndingRequest.decode(encoded) == requests, "an intent is what it was encoded from")
    }
}

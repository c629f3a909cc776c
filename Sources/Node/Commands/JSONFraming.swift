// Requests in a FIFO that carries JSON-RPC: objects one behind another, whatever stands between them. Where an object
// ends is told by its braces; those within texts do not count. What is no JSON is left to the parser.
//
// Limit: `sizeLimit` bytes of one request.

package enum JSONFraming {
    package static let sizeLimit = 65_536

    package enum Read: Equatable, Sendable {
        case incomplete
        /// The object's bytes, after `skipped` others.
        case object(skipped: Int, length: Int)
        /// So many bytes are no request, or one that is too long.
        case skipped(length: Int)
    }

    package static func read(_ bytes: ArraySlice<UInt8>) -> Read {
        guard let start = bytes.firstIndex(of: UInt8(ascii: "{")) else {
            return bytes.isEmpty ? .incomplete : .skipped(length: bytes.count)
        }
        let skipped = start - bytes.startIndex
        var depth = 0
        var (isText, isEscaped) = (false, false)
        for index in start..<bytes.endIndex {
            guard index - start < sizeLimit else { return .skipped(length: index - bytes.startIndex) }
            let byte = bytes[index]
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"):
                depth -= 1
                if depth == 0 { return .object(skipped: skipped, length: index - start + 1) }
            default: break
            }
        }
        return .incomplete
    }
}

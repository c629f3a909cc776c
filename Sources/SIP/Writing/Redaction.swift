// Redaction copies a message as far as it may be kept for a trace: without credentials and without what opens media.
//
//   Authorization, Proxy-Authorization     the name stays, the value does not
//   body that is not SDP, or is encoded    left out
//   SDP: k=, a=crypto, a=ice-pwd, a=key-mgmt     the line is left out (RFC 4566 §5.12, RFC 4568, RFC 8839, RFC 4567)
//
// It is one pass over the lines, eight bytes at a time, and looks at nothing but how each begins: it is done for every
// message of every call. What is no message is not given to it. It finds the Call-ID on the way.
//
// Limit: `limit` bytes of the copy; the rest is left out, whole lines of it.

package import Primitives

package enum Redaction {
    /// Bytes kept of one message at most.
    package static let limit = 4_096

    private enum Name {
        static let callID = [UInt8]("call-id".utf8)
        static let i = [UInt8]("i".utf8)
        static let contentType = [UInt8]("content-type".utf8)
        static let c = [UInt8]("c".utf8)
        static let contentEncoding = [UInt8]("content-encoding".utf8)
        static let e = [UInt8]("e".utf8)
        static let authorization = [UInt8]("authorization".utf8)
        static let proxyAuthorization = [UInt8]("proxy-authorization".utf8)
        static let applicationSDP = [UInt8]("application/sdp".utf8)
        static let crypto = [UInt8]("crypto".utf8)
        static let icePassword = [UInt8]("ice-pwd".utf8)
        static let keyManagement = [UInt8]("key-mgmt".utf8)
    }

    /// Appends what may be kept.
    /// - Returns: The value of Call-ID within the message; empty where there is none.
    package static func append(_ message: RawSpan, into kept: inout ByteWriter) -> ByteRange {
        let room = kept.count &+ limit
        let end = message.byteCount
        var (line, copied, callID) = (0, 0, ByteRange.empty)
        var (isDescription, isEncoded) = (false, false)
        func copy(to offset: Int, _ kept: inout ByteWriter) {
            guard offset > copied else { return }
            kept.put(message.extracting(copied..<min(offset, copied &+ max(0, room &- kept.count))))
        }
        while line < end {
            let feed = Grammar.lineFeed(message, line, end)
            let next = min(feed &+ 1, end)
            let first = message[line]
            if first == 0x0A || first == 0x0D, next &- line <= 2 {  // The body follows.
                copy(to: next, &kept)
                guard isDescription, !isEncoded else { return callID }
                appendDescription(message.extracting(next..<end), room: room, into: &kept)
                return callID
            }
            // Few lines are looked at further than to their second byte.
            let second = line &+ 1 < end ? message[line &+ 1] | 0x20 : 0
            switch (first | 0x20, second) {
            case (0x61, 0x75), (0x70, 0x72):  // au, pr
                if let value = credentials(message, line, feed) {
                    copy(to: value, &kept)
                    kept.put(" (not kept)\r\n")
                    var after = next  // A value may go on in lines that begin with a space.
                    while after < end, message[after] == 0x20 || message[after] == 0x09 {
                        after = min(Grammar.lineFeed(message, after, end) &+ 1, end)
                    }
                    (line, copied) = (after, after)
                    continue
                }
            case (0x63, 0x61), (0x69, 0x3A), (0x69, 0x20), (0x69, 0x29):  // ca, and i before a colon or space
                if let value = value(of: Name.callID, message, line, feed) ?? value(of: Name.i, message, line, feed) {
                    callID = trimmed(message, value, feed)
                }
            case (0x63, 0x6F), (0x63, 0x3A), (0x63, 0x20), (0x63, 0x29):  // co, c
                if let value = value(of: Name.contentType, message, line, feed)
                    ?? value(of: Name.c, message, line, feed)
                {
                    isDescription = begins(message, trimmed(message, value, feed), with: Name.applicationSDP)
                } else if value(of: Name.contentEncoding, message, line, feed) != nil {
                    isEncoded = true
                }
            case (0x65, 0x3A), (0x65, 0x20), (0x65, 0x29):  // e
                if value(of: Name.e, message, line, feed) != nil { isEncoded = true }
            default: break
            }
            line = next
        }
        copy(to: end, &kept)
        return callID
    }

    /// Where the value of a line begins that has credentials: behind the colon.
    private static func credentials(_ message: RawSpan, _ line: Int, _ end: Int) -> Int? {
        value(of: Name.authorization, message, line, end) ?? value(of: Name.proxyAuthorization, message, line, end)
    }

    /// Where the value begins if a line is of this header, whose name is given in lower case.
    private static func value(of name: [UInt8], _ message: RawSpan, _ line: Int, _ end: Int) -> Int? {
        var offset = line &+ name.count
        guard offset < end, begins(message, ByteRange(start: line, end: offset), with: name) else { return nil }
        while offset < end, message[offset] == 0x20 || message[offset] == 0x09 { offset &+= 1 }
        return offset < end && message[offset] == 0x3A ? offset &+ 1 : nil
    }

    private static func begins(_ message: RawSpan, _ range: ByteRange, with name: [UInt8]) -> Bool {
        guard range.count >= name.count else { return false }
        for index in name.indices where message[Int(range.start) &+ index] | 0x20 != name[index] | 0x20 {
            return false
        }
        return true
    }

    private static func trimmed(_ message: RawSpan, _ start: Int, _ end: Int) -> ByteRange {
        var (start, end) = (start, end)
        while start < end, message[start] <= 0x20 { start &+= 1 }
        while end > start, message[end &- 1] <= 0x20 { end &-= 1 }
        return ByteRange(start: start, end: end)
    }

    private static func appendDescription(_ body: RawSpan, room: Int, into kept: inout ByteWriter) {
        let end = body.byteCount
        var (line, copied) = (0, 0)
        while line < end {
            let next = min(Grammar.lineFeed(body, line, end) &+ 1, end)
            if isSecret(body, line, next) {
                kept.put(body.extracting(copied..<line))
                copied = next
            }
            if kept.count &+ next &- copied > room {
                kept.put(body.extracting(copied..<max(copied, line)))
                return
            }
            line = next
        }
        kept.put(body.extracting(copied..<end))
    }

    /// A line of SDP that has a key, or leads to one.
    private static func isSecret(_ body: RawSpan, _ line: Int, _ end: Int) -> Bool {
        guard end &- line > 2, body[line &+ 1] == 0x3D else { return false }
        switch body[line] | 0x20 {
        case 0x6B: return true  // k
        case 0x61:  // a
            switch body[line &+ 2] | 0x20 {
            case 0x63, 0x69, 0x6B: break  // c, i, k
            default: return false
            }
            let attribute = ByteRange(start: line &+ 2, end: end)
            return begins(body, attribute, with: Name.crypto) || begins(body, attribute, with: Name.icePassword)
                || begins(body, attribute, with: Name.keyManagement)
        default: return false
        }
    }
}

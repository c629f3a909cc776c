// Redaction copies a message as far as it may be kept for a trace: without credentials and without what opens media.
//
//   Authorization, Proxy-Authorization     the name stays, the value does not
//   body that is not SDP, or is encoded    left out
//   SDP: k=, a=crypto, a=ice-pwd, a=key-mgmt     the line is left out (RFC 4566 §5.12, RFC 4568, RFC 8839, RFC 4567)
//
// It is one pass over the lines, sixteen bytes at a time, and looks at nothing but how each begins: it is done for
// every message of every call. A line whose first eight bytes begin none of the names is passed by; what remains
// between two lines that matter is copied at once. What is no message is not given to it. It finds the Call-ID on the
// way. Of a message that has just been parsed the index knows all this already (`MessageOutline`), and its head is one
// copy.
//
// Limit: `limit` bytes of the copy; the rest is left out, whole lines of it.

package import Primitives

package enum Redaction {
    /// Bytes kept of one message at most.
    package static var limit: Int { 4_096 }

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
            if line &+ 9 <= end {
                let start = message.word(at: line)
                // One bit for each letter that a name begins with, and for CR and LF: 0x0D and 0x0A.
                if 1 &<< (start & 31) & 0x0001_262A == 0 {
                    line = next
                    continue
                }
            }
            let first = message[line]
            if first == 0x0A || first == 0x0D, next &- line <= 2 {  // The body follows.
                copy(to: next, &kept)
                guard isDescription, !isEncoded else { return callID }
                appendDescription(message.extracting(next..<end), room: room, into: &kept)
                return callID
            }
            guard line &+ 9 > end || matters(message.word(at: line), message[line &+ 8]) else {
                line = next
                continue
            }
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
            if let value = value(of: Name.callID, message, line, feed) ?? value(of: Name.i, message, line, feed) {
                callID = trimmed(message, value, feed)
            } else if let value = value(of: Name.contentType, message, line, feed)
                ?? value(of: Name.c, message, line, feed)
            {
                isDescription = begins(message, trimmed(message, value, feed), with: Name.applicationSDP)
            } else if value(of: Name.contentEncoding, message, line, feed) != nil
                || value(of: Name.e, message, line, feed) != nil
            {
                isEncoded = true
            }
            line = next
        }
        copy(to: end, &kept)
        return callID
    }

    /// The same of a message whose outline is known.
    @inline(__always)
    package static func append(_ message: RawSpan, _ outline: MessageOutline, into kept: inout ByteWriter) {
        let isWhole = outline.isDescription ? !outline.mayHoldKey : Int(outline.head) == message.byteCount
        if isWhole, message.byteCount <= limit { return kept.put(message) }
        appendParts(message, outline, into: &kept)
    }

    @inline(never)
    private static func appendParts(_ message: RawSpan, _ outline: MessageOutline, into kept: inout ByteWriter) {
        let head = Int(outline.head)
        guard head <= limit else {
            _ = append(message, into: &kept)
            return
        }
        let room = kept.count &+ limit
        kept.put(message.extracting(0..<head))
        guard outline.isDescription else { return }
        appendDescription(message.extracting(head..<message.byteCount), room: room, into: &kept)
    }

    /// `application/sdp`, with or without parameters.
    static func isDescription(_ message: RawSpan, _ contentType: ByteRange) -> Bool {
        guard contentType.count >= Name.applicationSDP.count else { return false }
        let start = Int(contentType.start)
        let lower: UInt64 = 0x2020_2020_2020_2020
        return message.word(at: start) | lower == 0x7461_6369_6c70_7061  // "applicat"
            && message.word(at: start &+ 7) | lower == 0x7064_732f_6e6f_6974  // "tion/sdp"
    }

    /// Whether a line may be of one of the names, by its first eight bytes and the ninth. A tab is `)` in lower case.
    @inline(__always)
    private static func matters(_ start: UInt64, _ ninth: UInt8) -> Bool {
        let start = start | 0x2020_2020_2020_2020
        switch start {
        case 0x7a69_726f_6874_7561, 0x7561_2d79_786f_7270: return true  // "authoriz", "proxy-au"
        case 0x2d74_6e65_746e_6f63: return ninth | 0x20 == 0x74 || ninth | 0x20 == 0x65  // "content-", then t or e
        case 0x3a64_692d_6c6c_6163, 0x2064_692d_6c6c_6163, 0x2964_692d_6c6c_6163: return true  // "call-id", : or space
        default: break
        }
        // The compact forms: one letter, then : or space.
        switch start & 0xFF {
        case 0x63, 0x65, 0x69:
            let second = start >> 8 & 0xFF
            return second == 0x3A || second == 0x20 || second == 0x29
        default: return false
        }
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
        if kept.count &+ end <= room, !mayHoldKey(body) { return kept.put(body) }
        var (line, copied) = (0, 0)
        while line < end {
            let next = min(Grammar.lineFeed(body, line, end) &+ 1, end)
            let first = body[line] | 0x20
            if first == 0x6B || first == 0x61, isSecret(body, line, next) {
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

    /// Whether one of the letters is there that each of the secret lines has: the k of `k=` and `key-mgmt`, the y of
    /// `crypto`, the w of `ice-pwd`. A plain offer has none of them.
    /// Nor has it a byte above ASCII, which is taken for one of them.
    static func mayHoldKey(_ body: RawSpan) -> Bool {
        /// Whether a byte is one of them shows in its highest bit: zero after `^`, and of ASCII only zero borrows.
        @inline(__always)
        func matches(_ offset: Int) -> SIMD2<UInt64> {
            let bytes = SIMD2(body.word(at: offset), body.word(at: offset &+ 8)) | 0x2020_2020_2020_2020
            let (k, y) = (bytes ^ 0x6B6B_6B6B_6B6B_6B6B, bytes ^ 0x7979_7979_7979_7979)
            let w = bytes ^ 0x7777_7777_7777_7777
            let one = SIMD2<UInt64>(repeating: 0x0101_0101_0101_0101)
            return (k &- one) | (y &- one) | (w &- one)
        }
        let end = body.byteCount
        guard end >= 32 else {
            for offset in 0..<end where [0x6B, 0x79, 0x77].contains(body[offset] | 0x20) { return true }
            return false
        }
        var (offset, found) = (0, matches(end &- 32) | matches(end &- 16))
        while offset &+ 32 < end {
            found |= matches(offset) | matches(offset &+ 16)
            offset &+= 32
        }
        return found & 0x8080_8080_8080_8080 != .zero
    }

    /// What a call's messages are found by: FNV-1a over the words of its Call-ID. It has to tell calls apart, not to
    /// withstand anybody.
    package static func key(_ bytes: RawSpan, _ callID: ByteRange) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        var offset = Int(callID.start)
        let end = Int(callID.end)
        while offset &+ 8 < end {
            hash = (hash ^ bytes.word(at: offset)) &* 0x0000_0100_0000_01b3
            hash ^= hash >> 29
            offset &+= 8
        }
        // The last word reaches back into the one before, where there is one.
        if end &- Int(callID.start) >= 8 {
            hash = (hash ^ bytes.word(at: end &- 8)) &* 0x0000_0100_0000_01b3
            offset = end
        }
        while offset < end {
            hash = (hash ^ UInt64(bytes[offset])) &* 0x0000_0100_0000_01b3
            offset &+= 1
        }
        return hash ^ hash >> 32
    }

    /// A line of SDP that has a key, or leads to one.
    private static func isSecret(_ body: RawSpan, _ line: Int, _ end: Int) -> Bool {
        guard end &- line > 2, body[line &+ 1] == 0x3D else { return false }
        switch body[line] | 0x20 {
        case 0x6B: return true  // k
        case 0x61:  // a
            let attribute = ByteRange(start: line &+ 2, end: end)
            return begins(body, attribute, with: Name.crypto) || begins(body, attribute, with: Name.icePassword)
                || begins(body, attribute, with: Name.keyManagement)
        default: return false
        }
    }
}

// Session timers (RFC 4028): how long a session lasts without a refresh, and the least that somebody on the way takes.
//
//     Session-Expires: 1800;refresher=uac        Min-SE: 90
//
// A proxy may shorten the first in a request, never below the second; whoever answers decides. When a 2xx to an INVITE
// or UPDATE carries a Session-Expires, the session ends that long after it unless a refresh comes.

package import Primitives

package struct SessionExpires: Equatable, Sendable {
    package enum Refresher: UInt8, Sendable { case uac, uas }

    /// 90 s is the least value (§4) and the default of Min-SE (§5).
    package static let least: UInt32 = 90

    package var seconds: UInt32
    /// Who refreshes; `nil` while nobody was named.
    package var refresher: Refresher?

    package init(seconds: UInt32, refresher: Refresher? = nil) {
        self.seconds = seconds
        self.refresher = refresher
    }

    /// Reads a Session-Expires header's value.
    package init(_ bytes: [UInt8], _ value: ByteRange) throws(SIPParseError) {
        (seconds, refresher) = (try Self.seconds(bytes, value, .sessionExpires), nil)
        let digits = Self.digitsEnd(bytes, value)
        guard let text = Parameters.value("refresher", in: bytes, ByteRange(start: digits, end: Int(value.end))) else {
            return
        }
        if Text.equalsIgnoringCase(bytes, text, "uac") {
            refresher = .uac
        } else if Text.equalsIgnoringCase(bytes, text, "uas") {
            refresher = .uas
        } else {
            throw SIPParseError(.malformedValue(.sessionExpires), at: Int(text.start))
        }
    }

    package func write(into writer: inout ByteWriter) {
        writer.putDecimal(UInt64(seconds))
        switch refresher {
        case .uac: writer.put(";refresher=uac")
        case .uas: writer.put(";refresher=uas")
        case nil: break
        }
    }

    /// The number of a Session-Expires or Min-SE value, after which only parameters may stand.
    static func seconds(_ bytes: [UInt8], _ value: ByteRange, _ name: HeaderName) throws(SIPParseError) -> UInt32 {
        let span = RawSpan(_elements: bytes.span)
        let (start, end) = (Int(value.start), Int(value.end))
        let digits = digitsEnd(bytes, value)
        let next = Grammar.skipSpace(span, digits, end)
        guard let number = Grammar.number(span, start, digits), next == end || span[next] == 0x3B else {
            throw SIPParseError(.malformedValue(name), at: start)
        }
        return number
    }

    private static func digitsEnd(_ bytes: [UInt8], _ value: ByteRange) -> Int {
        Grammar.skipDigits(RawSpan(_elements: bytes.span), Int(value.start), Int(value.end))
    }
}

extension Message {
    /// Session-Expires; `nil` when absent (RFC 4028 §4).
    package func sessionExpires() throws(SIPParseError) -> SessionExpires? {
        guard let field = first(.sessionExpires) else { return nil }
        return try SessionExpires(bytes, field.value)
    }

    /// Min-SE in seconds; 90 when absent (RFC 4028 §5).
    package func minimumSessionInterval() throws(SIPParseError) -> UInt32 {
        guard let field = first(.minSE) else { return SessionExpires.least }
        return max(SessionExpires.least, try SessionExpires.seconds(bytes, field.value, .minSE))
    }
}

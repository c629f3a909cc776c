// Session timers (RFC 4028): how long a session lasts without a refresh.
//
//     Session-Expires: 1800;refresher=uac
//
// Whoever answers decides. When a 2xx to an INVITE or UPDATE carries a Session-Expires, the session ends that long
// after it unless a refresh comes; a 2xx without one turns the timer off (§7.2).

package import Primitives

package struct SessionExpires: Equatable, Sendable {
    package enum Refresher: UInt8, Sendable { case uac, uas }

    package var seconds: UInt32
    /// Who refreshes; `nil` while nobody was named.
    package var refresher: Refresher?

    package init(seconds: UInt32, refresher: Refresher? = nil) {
        self.seconds = seconds
        self.refresher = refresher
    }

    /// Reads a Session-Expires header's value.
    package init(_ bytes: [UInt8], _ value: ByteRange) throws(SIPParseError) {
        (seconds, refresher) = (try Self.seconds(bytes, value), nil)
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

    /// The number, after which only parameters may stand.
    private static func seconds(_ bytes: [UInt8], _ value: ByteRange) throws(SIPParseError) -> UInt32 {
        let span = RawSpan(_elements: bytes.span)
        let (start, end) = (Int(value.start), Int(value.end))
        let digits = digitsEnd(bytes, value)
        let next = Grammar.skipSpace(span, digits, end)
        guard let number = Grammar.number(span, start, digits), next == end || span[next] == 0x3B else {
            throw SIPParseError(.malformedValue(.sessionExpires), at: start)
        }
        return number
    }

    /// The digits of a Session-Expires or Min-SE header's value: what a proxy may change of it (§8.1).
    package static func digits(_ bytes: [UInt8], _ value: ByteRange) -> ByteRange {
        ByteRange(start: Int(value.start), end: digitsEnd(bytes, value))
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

    /// Min-SE in seconds; `nil` when absent, or when it says nothing that can be read (RFC 4028 §5).
    package var minimumSessionExpires: UInt32? { leadingNumber(.minSE) }
}

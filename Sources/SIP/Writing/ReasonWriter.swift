// Reason (RFC 3326): why a request was sent, for a CANCEL or a BYE that somebody in the middle makes.
//
//     Reason: SIP ;cause=200 ;text="Call completed elsewhere"
//
// The text is for people; a quote or backslash in it is escaped, and what may not stand in a quoted string (controls)
// is left out, so it cannot end the header.
//
// A CANCEL's Reasons are copied as they came, header by header, 1024 bytes at most: what is beyond is left out whole
// headers at a time, and counted by whoever asks.

package import Primitives

package enum ReasonProtocol: Sendable {
    /// Causes are status codes.
    case sip
    /// Causes are those of ITU-T Q.850.
    case q850

    var name: StaticString {
        switch self {
        case .sip: "SIP"
        case .q850: "Q.850"
        }
    }
}

extension Message {
    /// Reason headers of one message that are kept.
    package static let reasonLimit = 1_024

    /// Appends the Reason headers, each with its CRLF.
    /// - Returns: Whether all of them found room.
    package func writeReasons(into writer: inout ByteWriter) -> Bool {
        let start = writer.count
        var isWhole = true
        forEach(.reason) { field in
            guard writer.count - start + field.value.count + 10 <= Self.reasonLimit else {
                isWhole = false
                return
            }
            HeaderWriter.copy(bytes, field, into: &writer)
        }
        return isWhole
    }
}

package enum ReasonWriter {
    /// Appends one Reason header with its CRLF; an empty text is left out.
    package static func write(
        _ protocol: ReasonProtocol = .sip, cause: Int, text: [UInt8] = [], into writer: inout ByteWriter
    ) {
        writer.put("Reason: ")
        writer.put(`protocol`.name)
        writer.put(" ;cause=")
        writer.putDecimal(UInt64(clamping: cause))
        if !text.isEmpty {
            writer.put(" ;text=\"")
            for byte in text where byte >= 0x20 && byte != 0x7F {
                if byte == 0x22 || byte == 0x5C { writer.put(0x5C) }
                writer.put(byte)
            }
            writer.put(0x22)
        }
        writer.put("\r\n")
    }
}

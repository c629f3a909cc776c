// ViaStamp writes a via-parm with what the server must add to it: `received` when the source address is not what
// sent-by says (RFC 3261 §18.2.1), and with `rport` asked for or forced, the source port and always `received` (RFC
// 3581 §4).
//
// A `received` or `rport` value that the sender wrote itself is replaced: it is ours to say.

package import Primitives

package struct ViaStamp {
    private let via: Via
    private let source: Endpoint
    private let writesReceived: Bool
    private let writesRport: Bool

    package init(_ via: Via, _ bytes: [UInt8], source: Endpoint, forceRport: Bool) {
        self.via = via
        self.source = source
        writesRport = via.hasRport || forceRport
        writesReceived = writesRport || Address(bytes: bytes, range: via.host) != source.address
    }

    /// Whether the via-parm is written other than it was.
    package var changes: Bool { writesReceived || writesRport }

    package func write(_ bytes: [UInt8], into writer: inout ByteWriter) {
        let room = via.element.count + Address.textRoom + Self.rportRoom + 11
        writer.put(atMost: room) { append(RawSpan(_elements: bytes.span), to: &$0) }
    }

    private func append(_ bytes: RawSpan, to out: inout OutputSpan<UInt8>) {
        var cursor = Int(via.element.start)
        let replacesReceived = writesReceived && !via.received.isEmpty
        let replacesRport = writesRport && via.hasRport
        let receivedFirst = via.received.start < via.rportRange.start
        if replacesReceived, receivedFirst || !replacesRport { replaceReceived(bytes, &cursor, &out) }
        if replacesRport {
            out.append(bytes.extracting(cursor..<Int(via.rportRange.start)))
            appendRport(to: &out)
            cursor = Int(via.rportRange.end)
        }
        if replacesReceived, !receivedFirst, replacesRport { replaceReceived(bytes, &cursor, &out) }
        out.append(bytes.extracting(cursor..<Int(via.element.end)))
        if writesReceived, !replacesReceived {
            out.append(";received=")
            source.address.append(to: &out, brackets: false)
        }
        if writesRport, !replacesRport {
            out.append(0x3B)
            appendRport(to: &out)
        }
    }

    /// Writes all Via lines of a request, its topmost via-parm completed.
    package static func writeVias(
        of request: Message, _ topmost: Via, source: Endpoint, forceRport: Bool, into out: inout ByteWriter
    ) {
        let stamp = ViaStamp(topmost, request.bytes, source: source, forceRport: forceRport)
        for field in request.index.fields where field.name == .via {
            guard stamp.changes, field.line.start == topmost.field.start else {
                out.put(request.bytes, field.line)
                continue
            }
            out.put(request.bytes, ByteRange(start: Int(field.line.start), end: Int(topmost.element.start)))
            stamp.write(request.bytes, into: &out)
            out.put(request.bytes, ByteRange(start: Int(topmost.element.end), end: Int(field.line.end)))
        }
    }

    private func replaceReceived(_ bytes: RawSpan, _ cursor: inout Int, _ out: inout OutputSpan<UInt8>) {
        out.append(bytes.extracting(cursor..<Int(via.received.start)))
        source.address.append(to: &out, brackets: false)
        cursor = Int(via.received.end)
    }

    /// Bytes of `rport=65535` at most, and a word.
    private static let rportRoom = 11 + 8

    private func appendRport(to out: inout OutputSpan<UInt8>) {
        out.append(6, of: 0x3D74_726F_7072)  // "rport="
        let digits = ByteWriter.decimal(UInt64(source.port))
        out.append(digits.count, of: digits.word)
    }
}

extension Message {
    /// Writes all Via lines as they are.
    package func writeVias(into out: inout ByteWriter) {
        for field in index.fields where field.name == .via { out.put(bytes, field.line) }
    }
}

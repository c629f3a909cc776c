// Endpoint is where a message comes from or goes to: address, port and transport. Nothing is resolved here.

package import Primitives

package struct Endpoint: Hashable, Sendable {
    package var address: Address
    package var port: UInt16
    package var transport: TransportProtocol

    package init(address: Address, port: UInt16, transport: TransportProtocol = .udp) {
        self.address = address
        self.port = port
        self.transport = transport
    }

    /// Reads `127.0.0.1:5060` or `[::1]:5060` as a UDP endpoint; the port must be written.
    package init?(text: String) {
        let bytes = Array(text.utf8)
        self.init(bytes: bytes, range: ByteRange(bytes))
    }

    /// Reads `bytes[range]` like `init(text:)`.
    package init?(bytes: [UInt8], range: ByteRange) {
        guard let colon = bytes[range.range].lastIndex(of: 0x3A) else { return nil }
        let host = ByteRange(start: Int(range.start), end: colon)
        let span = RawSpan(_elements: bytes.span)
        guard let address = Address(bytes: bytes, range: host), address.isIPv6 == (bytes[Int(range.start)] == 0x5B),
            let port = Grammar.port(span, colon + 1, Int(range.end))
        else { return nil }
        self.init(address: address, port: port)
    }

    /// Reads what `writeFact` writes.
    package init?(fact bytes: [UInt8]) {
        let end = bytes.firstIndex(of: 0x3B) ?? bytes.count
        self.init(bytes: bytes, range: ByteRange(start: 0, end: end))
        guard end < bytes.count else { return }
        let parameters = ByteRange(start: end, end: bytes.count)
        guard let name = Parameters.value("transport", in: bytes, parameters) else { return nil }
        transport = TransportProtocol(bytes, name)
        if transport == .other { return nil }
    }

    /// As records keep it: with its transport unless that is UDP, `127.0.0.1:5060;transport=tcp`.
    package func writeFact(into writer: inout ByteWriter) {
        write(into: &writer)
        guard transport != .udp else { return }
        writer.put(";transport=")
        writer.put(transport.lowercasedName)
    }

    /// `127.0.0.1:5060` or `[::1]:5060`.
    package var text: String {
        var writer = ByteWriter()
        write(into: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    package func write(into writer: inout ByteWriter) {
        writer.put(atMost: Address.textRoom + 8) { out in
            address.append(to: &out, brackets: true)
            let digits = ByteWriter.decimal(UInt64(port))
            out.append(digits.count + 1, of: 0x3A | digits.word << 8)
        }
    }
}

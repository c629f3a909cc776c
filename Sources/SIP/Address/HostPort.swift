// HostPort is a name that this cluster answers to (a listen, service or advertised address) and says whether a URI or a
// Via names it.
//
// Names are compared as they are written (RFC 3261 §19.1.4 without DNS): hosts without their case, IP addresses by
// value, the port or its default, and the transport only where both sides have one.

package import Primitives

package struct HostPort: Hashable, Sendable {
    /// In lower case; an IPv6 reference with its brackets.
    package var host: [UInt8]
    package var port: UInt16
    /// `nil` answers to every transport.
    package var transport: TransportProtocol?
    /// The host's value when it is an address.
    package var address: Address?

    /// - Parameter host: a name or address; an IPv6 address with or without brackets.
    package init(host: [UInt8], port: UInt16, transport: TransportProtocol? = nil) {
        self.host = host.map(Text.lowercased)
        self.port = port
        self.transport = transport
        address = Address(bytes: host, range: ByteRange(host))
    }

    package init(_ endpoint: Endpoint) {
        var writer = ByteWriter()
        endpoint.address.write(into: &writer)
        host = writer.bytes
        port = endpoint.port
        transport = endpoint.transport
        address = endpoint.address
    }

    /// `udp:127.0.0.11:5060`, or `*:sbc.example.org:5060` for every transport.
    package var configured: String {
        let name = address?.isIPv6 == true && host.first != UInt8(ascii: "[") ? Array("[".utf8) + host + [0x5D] : host
        return "\(transport?.lowercasedName ?? "*"):\(String(decoding: name, as: UTF8.self)):\(port)"
    }

    /// The other way round; `nil` for what is none: it came over the network.
    package init?(configured text: Substring) {
        guard let first = text.firstIndex(of: ":"), let last = text.lastIndex(of: ":"), first < last,
            let port = UInt16(text[text.index(after: last)...])
        else { return nil }
        let host = Array(text[text.index(after: first)..<last].utf8)
        let name = Array(text[..<first].utf8)
        let transport = name == [UInt8(ascii: "*")] ? nil : TransportProtocol(name, ByteRange(name))
        guard !host.isEmpty, transport != .other else { return nil }
        self.init(host: host, port: port, transport: transport)
    }

    /// Whether a SIP or SIPS URI names this host, port and transport.
    package func matches(_ uri: URI, in bytes: [UInt8]) -> Bool {
        guard let place = URIPlace(uri, in: bytes) else { return false }
        return matches(place, in: bytes)
    }

    /// The same of what such a URI names, which was read before: it is compared with one name after another.
    package func matches(_ place: URIPlace, in bytes: [UInt8]) -> Bool {
        guard place.port == port else { return false }
        if let transport, let named = place.transport, named != transport { return false }
        if let known = place.address { return known == address }
        return address == nil && Text.sameIgnoringCase(bytes, place.host, host, ByteRange(host))
    }

    /// Whether a Via's sent-by names this host, port and transport.
    package func matches(_ via: Via, in bytes: [UInt8]) -> Bool {
        guard via.sentByPort == port, transport == nil || transport == via.transport else { return false }
        return matches(host: via.host, in: bytes)
    }

    /// Whether `bytes[range]` is this host, in any case or spelling of the address.
    package func matches(host range: ByteRange, in bytes: [UInt8]) -> Bool {
        if Text.sameIgnoringCase(bytes, range, host, ByteRange(host)) { return true }
        guard let address else { return false }
        return Address(bytes: bytes, range: range) == address
    }
}

/// What a SIP or SIPS URI names: where an element can be reached.
package struct URIPlace: Sendable {
    package var host: ByteRange
    /// The host's value when it is an address.
    package var address: Address?
    /// The port written, or the one implied.
    package var port: UInt16
    /// The one written.
    package var transport: TransportProtocol?

    /// - Returns: `nil` for a URI of another scheme.
    package init?(_ uri: URI, in bytes: [UInt8]) {
        guard uri.scheme == .sip || uri.scheme == .sips else { return nil }
        host = uri.host
        address = Address(bytes: bytes, range: uri.host)
        transport = uri.transport(in: bytes)
        port = uri.effectivePort(in: bytes)
    }
}

// The module nathelper: phones behind an address that is not theirs. A Contact may get an alias,
// `;alias=ip~port~proto`, from which a later request to it learns the way back; protocols have the module's numbers
// (1 UDP, 2 TCP, 3 TLS, 5 WS, 6 WSS).

internal import Primitives
package import SIP

extension RouteRun {
    /// Addresses of RFC 1918 and RFC 6598.
    package static func isPrivate(_ address: Address) -> Bool { privateNetworks.contains { $0.contains(address) } }

    private static let privateNetworks: [Subnet] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
        .compactMap { Subnet(text: $0) }

    package static func isPrivate(text: [UInt8]) -> Bool? {
        Address(bytes: text, range: ByteRange(text)).map { isPrivate($0) }
    }

    /// The first Contact and the parts of its URI.
    private var contact: (address: NameAddress, uri: URI)? {
        guard let address = message.firstNameAddress(.contact), let uri = try? URI(message.bytes, address.uri),
            uri.scheme == .sip || uri.scheme == .sips
        else { return nil }
        return (address, uri)
    }

    private func address(_ range: ByteRange) -> Address? { Address(bytes: message.bytes, range: range) }

    /// Whether one of the tests that are asked for says that the sender is behind a translator.
    package func isBehindNAT(_ tests: Int) -> Bool {
        let via = try? message.topmostVia()
        if tests & 1 != 0, let contact, address(contact.uri.host).map(Self.isPrivate) == true { return true }
        if tests & 2 != 0, let via, address(via.host) != point.source.address { return true }
        if tests & 4 != 0, let via, address(via.host).map(Self.isPrivate) == true { return true }
        if tests & 8 != 0, SessionDescription(message)?.connections.contains(where: Self.isPrivate) == true {
            return true
        }
        if tests & 16 != 0, let via, via.sentByPort != point.source.port { return true }
        if tests & 32 != 0, Self.isPrivate(point.source.address) { return true }
        if tests & 64 != 0, point.source.transport == .ws || point.source.transport == .wss { return true }
        if tests & 128 != 0, let contact, contact.uri.effectivePort(in: message.bytes) != point.source.port {
            return true
        }
        return false
    }

    private var protocolNumber: Int {
        switch point.source.transport {
        case .udp, .other: 1
        case .tcp: 2
        case .tls: 3
        case .ws: 5
        case .wss: 6
        }
    }

    /// `ip~port~proto` of the sender.
    private var alias: [UInt8] {
        var writer = ByteWriter()
        point.source.address.write(into: &writer)
        writer.put(0x7E)
        writer.putDecimal(UInt64(point.source.port))
        writer.put(0x7E)
        writer.putDecimal(UInt64(protocolNumber))
        return writer.bytes
    }

    /// - Returns: 1; 2 when the Contact is the sender's own address; -1 when there is none that can be read.
    package mutating func setContactAlias() throws(RouteFault) -> Int {
        guard let (address, uri) = contact else { return -1 }
        if self.address(uri.host) == point.source.address,
            uri.effectivePort(in: message.bytes) == point.source.port
        {
            return 2
        }
        if uri.parameter("alias", in: message.bytes) != nil { return 2 }
        let whole = message.copy(address.uri)
        guard let changed = URIEdit.withParameter([UInt8](copying: "alias=") + alias, in: whole) else { return -1 }
        try replaceContact(address, with: changed)
        return 1
    }

    /// Within angle brackets, as parameters of the URI want it.
    private mutating func replaceContact(_ address: NameAddress, with uri: [UInt8]) throws(RouteFault) {
        let isBracketed = address.uri.start > 0 && message.bytes[Int(address.uri.start) - 1] == 0x3C
        let fill = isBracketed ? uri : [0x3C] + uri + [0x3E]
        try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.replace(address.uri, with: fill) }
    }

    /// Takes the alias out of the Request-URI, and sends it where that says.
    ///
    /// - Returns: 1; 2 when there is none; -1 when it cannot be read.
    package mutating func followAlias() throws(RouteFault) -> Int {
        let uri = requestURI
        guard let alias = URIEdit.parameter([UInt8](copying: "alias"), of: uri) else { return 2 }
        let parts = alias.split(separator: 0x7E, omittingEmptySubsequences: false).map { Array($0) }
        guard parts.count == 3, Address(bytes: parts[0], range: ByteRange(parts[0])) != nil,
            let port = RouteText.leadingNumber(parts[1]), (1...65_535).contains(port),
            let name = Self.transportName(parts[2]),
            let plain = URIEdit.withoutParameter([UInt8](copying: "alias"), in: uri)
        else { return -1 }
        var destination = [UInt8](copying: "sip:") + parts[0] + [0x3A] + RouteValue.integer(port).bytes
        if name != .udp { destination += [UInt8](copying: ";transport=") + [UInt8](copying: name.lowercasedName) }
        guard try setRequestURI(plain), setDestination(destination) else { return -1 }
        return 1
    }

    private static func transportName(_ number: [UInt8]) -> TransportProtocol? {
        switch RouteText.leadingNumber(number) {
        case 1: .udp
        case 2: .tcp
        case 3: .tls
        case 5: .ws
        case 6: .wss
        default: nil
        }
    }

    /// Writes the sender's address in the place of the Contact's.
    package mutating func fixContact() throws(RouteFault) -> Bool {
        guard let (address, _) = contact else { return false }
        var host = ByteWriter()
        point.source.write(into: &host)
        guard let changed = URIEdit.host(host.bytes, in: message.copy(address.uri)) else { return false }
        try replaceContact(address, with: changed)
        return true
    }

    /// Where a REGISTER came from, as a URI for its binding.
    package mutating func fixRegister() -> Bool {
        var writer = ByteWriter()
        writer.put("sip:")
        point.source.write(into: &writer)
        if point.source.transport != .udp {
            writer.put(";transport=")
            writer.put(point.source.transport.lowercasedName)
        }
        plan.received = writer.bytes
        return true
    }

    /// Adds `;received="sip:…"` to the Contact: as its own parameter, or as the URI's where the flag is set.
    package mutating func addReceived(_ flag: Int) throws(RouteFault) -> Bool {
        guard let (address, _) = contact else { return false }
        var uri = ByteWriter()
        uri.put("sip:")
        point.source.write(into: &uri)
        if flag != 0 {
            let parameter = [UInt8](copying: "received=") + uri.bytes
            guard let changed = URIEdit.withParameter(parameter, in: message.copy(address.uri)) else { return false }
            try replaceContact(address, with: changed)
        } else {
            let end = Int(address.element.end)
            let fill = [UInt8](copying: ";received=\"") + uri.bytes + [0x22]
            try edit { (edits, _) throws(MessageEdits.Refusal) in
                try edits.replace(ByteRange(start: end, end: end), with: fill)
            }
        }
        return true
    }
}

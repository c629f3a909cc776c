// RegisterRequest is what a REGISTER asks for (RFC 3261 §10.2), read and checked in the order of §10.3; and why it is
// refused.

internal import Dialogs
package import Primitives
package import SIP

/// Why a registration, or a search for a contact, ends with an answer of the registrar's.
package enum RegistrarRefusal: Error, Equatable, Sendable {
    case malformed
    /// Require names what we do not do.
    case unknownExtension(unsupported: [UInt8])
    /// The header lines of the challenge; `isProxy` for all but REGISTER.
    case unauthorized(challenge: [UInt8], isProxy: Bool)
    /// The credentials are another user's.
    case forbidden
    case notFound
    /// The contacts are there, and do none of this method.
    case methodNotAllowed
    case unavailable
    case intervalTooBrief(leastSeconds: Int)
    /// A later request of the same Call-ID has been here.
    case outOfOrder
    /// More contacts than an address may have, or the record takes no more.
    case tooMany
    /// No further address of record fits.
    case full

    package var status: Int {
        switch self {
        case .malformed: 400
        case .unknownExtension: 420
        case .unauthorized(_, let isProxy): isProxy ? 407 : 401
        case .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .unavailable: 480
        case .intervalTooBrief: 423
        case .outOfOrder: 500
        case .tooMany, .full: 503
        }
    }

    /// What the module says of it in `P-Registrar-Error`; `nil` where it knows no such refusal.
    package var moduleText: String? {
        switch self {
        case .malformed: "Message parse error"
        case .unknownExtension: "No support for found Path indicated"
        case .intervalTooBrief: "Interval too brief"
        case .outOfOrder: "Out of order request"
        case .tooMany: "Too many registered contacts"
        case .full: "usrloc_record_insert failed"
        case .unauthorized, .forbidden, .notFound, .methodNotAllowed, .unavailable: nil
        }
    }

    /// Header lines of the answer.
    package var lines: [UInt8] {
        switch self {
        case .unknownExtension(let unsupported): Array("Unsupported: ".utf8) + unsupported + [0x0D, 0x0A]
        case .unauthorized(let challenge, _): challenge
        case .intervalTooBrief(let least): Array("Min-Expires: \(least)\r\n".utf8)
        case .malformed, .forbidden, .notFound, .methodNotAllowed, .unavailable, .outOfOrder, .tooMany, .full: []
        }
    }
}

package struct RegisterRequest: Equatable, Sendable {
    package struct Contact: Equatable, Sendable {
        var uri: [UInt8]
        var key: [UInt8]
        /// Seconds, where it says.
        var expires: UInt32?
        var q: UInt32
        var instance: [UInt8]
        var registrationID: UInt32
    }

    /// `user@host`, as addresses of record are kept.
    package let aor: [UInt8]
    package let callID: [UInt8]
    package let cSeq: UInt32
    var contacts: [Contact] = []
    /// `Contact: *`.
    var removesAll = false
    var expires: UInt32?
    var path: [UInt8] = []
    var userAgent: [UInt8] = []
    var methods: UInt32 = 0
    /// The sender knows of outbound, and uses it.
    var usesOutbound = false

    package init(_ message: Message) throws(RegistrarRefusal) {
        var unsupported = ByteWriter()
        if message.writeUnsupported(.require, known: ["path", "outbound"], into: &unsupported) {
            throw .unknownExtension(unsupported: unsupported.bytes)
        }
        guard let to = message.firstNameAddress(.to), let aor = Self.aor(message.bytes, to.uri),
            let cSeq = try? message.cSeq()
        else { throw .malformed }
        self.aor = aor
        callID = message.copy(message.callID)
        self.cSeq = cSeq.number
        expires = message.leadingNumber(.expires)
        var addresses: [NameAddress] = []
        guard message.nameAddresses(.contact, into: &addresses) else { throw .malformed }
        for address in addresses {
            if address.uri.count == 1, message.bytes[Int(address.uri.start)] == 0x2A {
                removesAll = true
            } else {
                contacts.append(try Self.contact(message.bytes, address))
            }
        }
        guard !removesAll || contacts.isEmpty && addresses.count == 1 && expires == 0 else { throw .malformed }
        guard contacts.count <= LocationRecord.contactLimit else { throw .tooMany }
        readRest(message)
    }

    private mutating func readRest(_ message: Message) {
        message.forEach(.path) { field in
            if !path.isEmpty { path += [0x2C, 0x20] }
            path += message.copy(field.value)
        }
        if let agent = message.other(named: "User-Agent") { userAgent = Array(message.copy(agent.value).prefix(256)) }
        message.forEachToken(in: .allow) { methods |= 1 << UInt32(Method(message.bytes, $0).rawValue) }
        usesOutbound =
            contacts.contains { $0.registrationID > 0 && !$0.instance.isEmpty }
            && message.lists("outbound", in: .supported)
    }

    private static func contact(_ bytes: [UInt8], _ address: NameAddress) throws(RegistrarRefusal) -> Contact {
        guard let uri = try? URI(bytes, address.uri), uri.scheme == .sip || uri.scheme == .sips,
            address.uri.count <= 1_024
        else { throw .malformed }
        func value(_ name: StaticString) -> ByteRange? { Parameters.value(name, in: bytes, address.parameters) }
        let instance = value("+sip.instance").map { quoted -> [UInt8] in
            let text = Array(bytes[quoted.range])
            return text.first == 0x22 && text.count > 1 ? Array(text.dropFirst().dropLast()) : text
        }
        let number = value("reg-id").flatMap { Text.decimal(bytes, $0) }.flatMap { UInt32(exactly: $0) } ?? 0
        guard instance.map({ $0.count <= 256 }) ?? true else { throw .malformed }
        return Contact(
            uri: Array(bytes[address.uri.range]), key: key(uri, bytes, instance: instance ?? [], number),
            expires: value("expires").flatMap { Text.decimal(bytes, $0) }.map { UInt32(clamping: $0) },
            q: value("q").map { thousandths(bytes[$0.range]) } ?? 1_000, instance: instance ?? [],
            registrationID: number)
    }

    /// The key of a contact that is its URI alone; `nil` for what is no SIP URI.
    package static func key(_ contact: [UInt8]) -> [UInt8]? {
        guard let uri = try? URI(contact, ByteRange(contact)), uri.scheme == .sip || uri.scheme == .sips else {
            return nil
        }
        return key(uri, contact, instance: [], 0)
    }

    /// Instance and reg-id (RFC 5626 §6), else what of the URI says where it leads.
    private static func key(_ uri: URI, _ bytes: [UInt8], instance: [UInt8], _ number: UInt32) -> [UInt8] {
        if !instance.isEmpty, number > 0 { return instance + Array(";\(number)".utf8) }
        var key: [UInt8] = Array(uri.scheme == .sips ? "sips:".utf8 : "sip:".utf8)
        if !uri.user.isEmpty { key += bytes[uri.user.range] + [0x40] }
        key += bytes[uri.host.range].map(Text.lowercased)
        if let port = uri.port { key += Array(":\(port)".utf8) }
        if let transport = uri.parameter("transport", in: bytes) {
            key += [0x3B] + bytes[transport.range].map(Text.lowercased)
        }
        return key
    }

    /// `0.25` as 250; what is no number counts as 1, as if it were not there.
    private static func thousandths(_ text: ArraySlice<UInt8>) -> UInt32 {
        let parts = text.split(separator: 0x2E, maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, whole == [0x30] || whole.isEmpty, text.count <= 5 else { return 1_000 }
        let digits = parts.count > 1 ? Array(parts[1].prefix(3)) : []
        guard digits.allSatisfy({ 0x30...0x39 ~= $0 }) else { return 1_000 }
        let padded = digits + Array(repeating: 0x30, count: 3 - digits.count)
        return padded.reduce(0) { $0 * 10 + UInt32($1 - 0x30) }
    }

    /// `user@host` of a SIP URI as addresses of record are kept: without escapes, in lower case (RFC 3261 §10.3 step
    /// 5); `nil` for what is none.
    package static func aor(_ bytes: [UInt8], _ range: ByteRange) -> [UInt8]? {
        guard let uri = try? URI(bytes, range), uri.scheme == .sip || uri.scheme == .sips, !uri.user.isEmpty else {
            return nil
        }
        let host = bytes[uri.host.range].map(Text.lowercased)
        let aor = user(bytes, uri) + [0x40] + host
        return aor.count <= LocationRecord.nameLimit && !aor.contains(0) ? aor : nil
    }

    package static func user(_ bytes: [UInt8], _ uri: URI) -> [UInt8] {
        var (user, index): ([UInt8], Int) = ([], Int(uri.user.start))
        while index < Int(uri.user.end) {
            if bytes[index] == 0x25, index + 3 <= Int(uri.user.end),
                let byte = Text.hex(bytes, ByteRange(start: index + 1, end: index + 3))
            {
                user.append(Text.lowercased(UInt8(truncatingIfNeeded: byte)))
                index += 3
            } else {
                user.append(Text.lowercased(bytes[index]))
                index += 1
            }
        }
        return user
    }
}

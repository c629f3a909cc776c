// The parts of a URI as pseudo-variables and transformations ask for them.

internal import Primitives
internal import SIP

package enum URIPart: Sendable {
    case whole, user, host, port, transport, scheme, password, parameters, headers

    /// What is not there is null; port and transport have what the scheme implies, as the module's variables do.
    package func value(of uri: [UInt8]) -> RouteValue {
        self == .whole && !uri.isEmpty ? .text(uri) : value(of: uri, at: ByteRange(uri))
    }

    /// The same of a URI that stands in a message.
    func value(of uri: [UInt8], at range: ByteRange) -> RouteValue {
        guard !range.isEmpty else { return .null }
        func text(_ range: ByteRange) -> RouteValue { range.isEmpty ? .null : .text(Array(uri[range.range])) }
        if self == .whole { return text(range) }
        guard let parts = try? URI(uri, range) else { return .null }
        switch self {
        case .whole: return text(range)
        case .user: return text(parts.user)
        case .host: return text(parts.host)
        case .port: return .text(RouteValue.integer(Int(parts.effectivePort(in: uri))).bytes)
        case .transport:
            let known = parts.transport(in: uri) ?? (parts.scheme == .sips ? .tls : .udp)
            return .text(known.lowercasedName)
        case .scheme:
            return .text(RouteText.lowercased(Array(uri[range.range].prefix { $0 != 0x3A })))
        case .password: return text(parts.password)
        case .parameters:
            return parts.parameters.isEmpty ? .null : .text(Array(uri[parts.parameters.range].dropFirst()))
        case .headers: return parts.headers.isEmpty ? .null : .text(Array(uri[parts.headers.range].dropFirst()))
        }
    }
}

/// URIs written anew with one part changed: what is not named stays byte for byte.
package enum URIEdit {
    /// An empty user takes it away, with its password.
    package static func user(_ user: [UInt8], in uri: [UInt8]) -> [UInt8]? {
        guard let parts = try? URI(uri, ByteRange(uri)) else { return nil }
        if parts.scheme == .tel {
            guard !user.isEmpty else { return nil }
            return Array(uri[..<Int(parts.user.start)]) + user + Array(uri[Int(parts.user.end)...])
        }
        guard parts.scheme == .sip || parts.scheme == .sips, let colon = uri.firstIndex(of: 0x3A) else { return nil }
        let head = Array(uri[...colon])
        let rest = Array(uri[Int(parts.host.start)...])
        return checked(user.isEmpty ? head + rest : head + user + [0x40] + rest)
    }

    /// `host` or `host:port`; the port goes with the host that is replaced, unless it is kept.
    package static func host(_ host: [UInt8], in uri: [UInt8], keepingPort: Bool = false) -> [UInt8]? {
        guard let parts = try? URI(uri, ByteRange(uri)), !parts.host.isEmpty, !host.isEmpty else { return nil }
        let rest = !parts.parameters.isEmpty ? Int(parts.parameters.start) : uri.count - parts.headers.count
        let end = keepingPort ? Int(parts.host.end) : rest
        return checked(Array(uri[..<Int(parts.host.start)]) + host + Array(uri[end...]))
    }

    package static func port(_ port: [UInt8], in uri: [UInt8]) -> [UInt8]? {
        guard let parts = try? URI(uri, ByteRange(uri)), !parts.host.isEmpty else { return nil }
        let name = Array(uri[parts.host.range])
        return host(port.isEmpty ? name : name + [0x3A] + port, in: uri)
    }

    package static func withParameter(_ parameter: [UInt8], in uri: [UInt8]) -> [UInt8]? {
        guard let parts = try? URI(uri, ByteRange(uri)), !parts.host.isEmpty else { return nil }
        let end = parts.headers.isEmpty ? uri.count : Int(parts.headers.start)
        return checked(Array(uri[..<end]) + [0x3B] + parameter + Array(uri[end...]))
    }

    /// Without the parameters of a name; `nil` where it has none.
    package static func withoutParameter(_ name: [UInt8], in uri: [UInt8]) -> [UInt8]? {
        guard let parts = try? URI(uri, ByteRange(uri)), !parts.parameters.isEmpty else { return nil }
        let all = uri[parts.parameters.range].dropFirst().split(separator: 0x3B, omittingEmptySubsequences: false)
        let kept = all.filter { parameter in
            let key = parameter.prefix { $0 != 0x3D }
            return !RouteText.equalsIgnoringCase(Array(key), name)
        }
        guard kept.count < all.count else { return nil }
        var out = Array(uri[..<Int(parts.parameters.start)])
        for parameter in kept {
            out.append(0x3B)
            out += parameter
        }
        out += uri[Int(parts.parameters.end)...]
        return out
    }

    /// A parameter's value; empty when it has none, `nil` when it is absent.
    package static func parameter(_ name: [UInt8], of uri: [UInt8]) -> [UInt8]? {
        guard let parts = try? URI(uri, ByteRange(uri)), !parts.parameters.isEmpty else { return nil }
        for parameter in uri[parts.parameters.range].dropFirst().split(separator: 0x3B) {
            let key = parameter.prefix { $0 != 0x3D }
            if RouteText.equalsIgnoringCase(Array(key), name) { return Array(parameter.dropFirst(key.count + 1)) }
        }
        return nil
    }

    private static func checked(_ uri: [UInt8]) -> [UInt8]? {
        (try? URI(uri, ByteRange(uri))) == nil ? nil : uri
    }
}

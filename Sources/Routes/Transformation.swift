// Transformation is what may follow a pseudo-variable in braces: `{s.len}`, `{uri.user}`, `{param.value,name}`. Those
// of strings, URIs, name-addresses and parameter lists are here; an unknown one makes the variable unknown.

internal import Primitives
internal import SIP

package enum Transformation: Equatable, Sendable {
    case length, integer, upper, lower, md5
    case part(offset: Int, length: Int)
    case select(index: Int, separator: UInt8)
    case strip(Int), stripTail(Int)
    case uri(URIPart)
    case uriParameter([UInt8])
    case displayName, address
    case parameter([UInt8])

    package init?(_ text: [UInt8]) {
        let words = RouteText.split(text, by: 0x2C)
        let name = String(decoding: words[0], as: UTF8.self)
        let arguments = Array(words.dropFirst())
        switch (name, arguments.count) {
        case ("s.len", 0): self = .length
        case ("s.int", 0): self = .integer
        case ("s.toupper", 0), ("s.upper", 0): self = .upper
        case ("s.tolower", 0), ("s.lower", 0): self = .lower
        case ("s.md5", 0): self = .md5
        case ("s.substr", 2):
            guard let offset = RouteText.leadingNumber(arguments[0]), let length = RouteText.leadingNumber(arguments[1])
            else { return nil }
            self = .part(offset: offset, length: length)
        case ("s.select", 2):
            guard let index = RouteText.leadingNumber(arguments[0]), let separator = arguments[1].first else {
                return nil
            }
            self = .select(index: index, separator: separator)
        case ("s.strip", 1), ("s.striptail", 1):
            guard let count = RouteText.leadingNumber(arguments[0]), count >= 0 else { return nil }
            self = name == "s.strip" ? .strip(count) : .stripTail(count)
        case ("uri.param", 1): self = .uriParameter(arguments[0])
        case ("nameaddr.name", 0): self = .displayName
        case ("nameaddr.uri", 0): self = .address
        case ("param.value", 1): self = .parameter(arguments[0])
        case (_, 0):
            guard let part = Self.uriParts[name] else { return nil }
            self = .uri(part)
        default: return nil
        }
    }

    private static let uriParts: [String: URIPart] = [
        "uri.user": .user, "uri.host": .host, "uri.port": .port, "uri.transport": .transport, "uri.scheme": .scheme,
        "uri.passwd": .password, "uri.params": .parameters, "uri.headers": .headers,
    ]

    func apply(_ value: RouteValue) -> RouteValue {
        if value.isNull { return .null }
        let bytes = value.bytes
        switch self {
        case .length: return .integer(bytes.count)
        case .integer: return .integer(value.number)
        case .upper: return .text(bytes.map { $0 &- 0x61 < 26 ? $0 & 0xDF : $0 })
        case .lower: return .text(RouteText.lowercased(bytes))
        case .md5: return .text(RouteText.hex(MD5.digest(bytes)))
        case .part(let offset, let length): return Self.part(of: bytes, offset, length)
        case .select(let index, let separator):
            let parts = bytes.split(separator: separator, omittingEmptySubsequences: false)
            let place = index < 0 ? parts.count + index : index
            return parts.indices.contains(place) ? .text(Array(parts[place])) : .text([])
        case .strip(let count): return .text(Array(bytes.dropFirst(count)))
        case .stripTail(let count): return .text(Array(bytes.dropLast(count)))
        case .uri(let part):
            let found = part.value(of: bytes)
            return found.isNull ? .text([]) : found
        case .uriParameter(let name): return .text(URIEdit.parameter(name, of: bytes) ?? [])
        case .displayName: return .text(Self.name(in: bytes))
        case .address: return .text(Self.address(in: bytes))
        case .parameter(let name): return .text(Self.value(of: name, in: bytes))
        }
    }

    /// From an offset, counted from the end where it is negative; all that follows where the length is 0, and all but
    /// so many at the end where it is negative.
    private static func part(of bytes: [UInt8], _ offset: Int, _ length: Int) -> RouteValue {
        let start = offset < 0 ? bytes.count + offset : offset
        guard start >= 0, start <= bytes.count else { return .text([]) }
        let end = length > 0 ? start + length : bytes.count + length
        guard end >= start, end <= bytes.count else { return .text([]) }
        return .text(Array(bytes[start..<end]))
    }

    private static func name(in bytes: [UInt8]) -> [UInt8] {
        guard let address = try? NameAddress(bytes, ByteRange(bytes)) else { return [] }
        return RouteText.trimmed(bytes[..<Int(address.uri.start)].prefix { $0 != 0x3C })
    }

    private static func address(in bytes: [UInt8]) -> [UInt8] {
        (try? NameAddress(bytes, ByteRange(bytes))).map { Array(bytes[$0.uri.range]) } ?? []
    }

    /// Of `name=value;name=value`.
    private static func value(of name: [UInt8], in bytes: [UInt8]) -> [UInt8] {
        for parameter in RouteText.split(bytes, by: 0x3B) {
            let key = parameter.prefix { $0 != 0x3D }
            if RouteText.equalsIgnoringCase(RouteText.trimmed(key), name) {
                return RouteText.trimmed(parameter.dropFirst(key.count + 1))
            }
        }
        return []
    }
}

// The modules siputils and corex: questions about URIs, and what kind of message it is.

internal import Primitives
internal import SIP

extension RouteRun {
    /// Whether nobody stood between the sender and this node: one Via, or in a response, a Record-Route of ours on top.
    package func isFirstHop() -> Bool {
        guard message.isRequest else {
            guard let address = message.firstNameAddress(.recordRoute), let uri = try? URI(message.bytes, address.uri)
            else { return false }
            return settings.isOurs(uri, in: message.bytes)
        }
        guard message.count(of: .via) == 1, let via = try? message.topmostVia() else { return false }
        return via.isOnlyInField
    }

    package func hasURIUser() -> Bool { !URIPart.user.value(of: requestURI).isNull }

    package func hasURIParameter(_ name: [UInt8], value: [UInt8]? = nil) -> Bool {
        guard let found = URIEdit.parameter(name, of: requestURI) else { return false }
        return value.map { RouteText.equalsIgnoringCase($0, found) } ?? true
    }

    package mutating func addURIParameter(_ parameter: [UInt8]) throws(RouteFault) -> Bool {
        try setRequestURI(URIEdit.withParameter(parameter, in: requestURI))
    }

    package mutating func removeURIParameter(_ name: [UInt8]) throws(RouteFault) -> Bool {
        try setRequestURI(URIEdit.withoutParameter(name, in: requestURI))
    }

    package static func isURI(_ text: [UInt8]) -> Bool {
        guard let uri = try? URI(text, ByteRange(text)) else { return false }
        return uri.scheme != .other
    }

    /// `+` and digits, or digits alone.
    package static func isTelephoneNumber(_ text: [UInt8]) -> Bool {
        let digits = text.first == 0x2B ? text.dropFirst() : text[...]
        return !digits.isEmpty && digits.allSatisfy { $0 &- 0x30 < 10 }
    }

    package static func isNumeric(_ text: [UInt8]) -> Bool { !text.isEmpty && text.allSatisfy { $0 &- 0x30 < 10 } }

    package static func isAlphanumeric(_ text: [UInt8], _ more: [UInt8] = []) -> Bool {
        !text.isEmpty
            && text.allSatisfy { $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 || more.contains($0) }
    }

    package static func areEquivalent(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard let first = try? URI(left, ByteRange(left)), let second = try? URI(right, ByteRange(right)) else {
            return false
        }
        return first.isEquivalent(to: second, in: left, right)
    }

    /// Same user and host.
    package static func areSameRecord(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard let first = try? URI(left, ByteRange(left)), let second = try? URI(right, ByteRange(right)) else {
            return false
        }
        return Text.same(left, first.user, right, second.user)
            && Text.sameIgnoringCase(left, first.host, right, second.host)
    }

    package static func isSameHeaderName(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        let known = HeaderName(left)
        return known == .other ? RouteText.equalsIgnoringCase(left, right) : known == HeaderName(right)
    }

    /// The user of the credentials.
    package func isUser(_ name: [UInt8]) -> Bool {
        let value = value(.authorization) ?? value(.proxyAuthorization)
        return value.flatMap { DigestParameters($0)?["username"] } == name
    }
}

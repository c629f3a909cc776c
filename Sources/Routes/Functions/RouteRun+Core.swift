// What KSR's own functions ask and set: methods, ourselves, flags, the Request-URI and whither it goes.

internal import Primitives
package import SIP

extension RouteRun {
    // MARK: The method

    package func isMethod(_ name: [UInt8]) -> Bool { RouteText.equalsIgnoringCase(methodText, name) }

    /// One of the methods that letters stand for: `IABCRMOSPNU…`.
    package func isMethod(in letters: [UInt8]) -> Bool {
        letters.contains { letter in
            switch letter & 0xDF {
            case UInt8(ascii: "I"): method == .invite
            case UInt8(ascii: "A"): method == .ack
            case UInt8(ascii: "B"): method == .bye
            case UInt8(ascii: "C"): method == .cancel
            case UInt8(ascii: "R"): method == .register
            case UInt8(ascii: "M"): method == .message
            case UInt8(ascii: "O"): method == .options
            case UInt8(ascii: "S"): method == .subscribe
            case UInt8(ascii: "P"): method == .publish
            case UInt8(ascii: "N"): method == .notify
            case UInt8(ascii: "U"): method == .update
            default: false
            }
        }
    }

    // MARK: Ourselves

    package func isOurs(uri: [UInt8]) -> Bool { !uri.isEmpty && settings.isOurs(text: uri) }

    /// Of the Request-URI as the run has it.
    package var isOursByRequestURI: Bool {
        guard plan.requestURI.isEmpty, let uri = message.parsedRequestURI, uri.scheme != .other, uri.scheme != .tel
        else { return isOurs(uri: requestURI) }
        return settings.isOurs(uri, in: message.bytes)
    }

    package func isOurs(header: HeaderName) -> Bool {
        guard let address = message.firstNameAddress(header) else { return false }
        guard let uri = try? URI(message.bytes, address.uri), uri.scheme != .other, uri.scheme != .tel else {
            return isOurs(uri: message.copy(address.uri))
        }
        return settings.isOurs(uri, in: message.bytes)
    }

    package func isOurs(source: Endpoint) -> Bool {
        if settings.members.contains(source.address) { return true }
        return settings.names.contains { $0.address == source.address && $0.port == source.port }
    }

    // MARK: Flags

    private func bit(_ flag: Int) -> UInt32? { (0..<32).contains(flag) ? 1 << UInt32(flag) : nil }

    package mutating func setFlag(_ flag: Int, _ isOn: Bool) -> Bool {
        guard let bit = bit(flag) else { return false }
        if isOn { state.flags |= bit } else { state.flags &= ~bit }
        return true
    }

    package func isFlagSet(_ flag: Int) -> Bool { bit(flag).map { state.flags & $0 != 0 } ?? false }

    package mutating func setScriptFlag(_ flag: Int, _ isOn: Bool) -> Bool {
        guard let bit = bit(flag) else { return false }
        if isOn { state.scriptFlags |= bit } else { state.scriptFlags &= ~bit }
        return true
    }

    package func isScriptFlagSet(_ flag: Int) -> Bool { bit(flag).map { state.scriptFlags & $0 != 0 } ?? false }

    package mutating func setExtendedFlag(_ flag: Int, _ isOn: Bool) -> Bool {
        guard (0..<64).contains(flag) else { return false }
        if isOn { state.extendedFlags |= 1 << UInt64(flag) } else { state.extendedFlags &= ~(1 << UInt64(flag)) }
        return true
    }

    package func isExtendedFlagSet(_ flag: Int) -> Bool {
        (0..<64).contains(flag) && state.extendedFlags >> UInt64(flag) & 1 != 0
    }

    // MARK: The Request-URI and the destination

    /// - Returns: `false` for what is no URI, and in a route that is about a response.
    package mutating func setRequestURI(_ uri: [UInt8]?) throws(RouteFault) -> Bool {
        guard let uri, point.kind.isOfRequest, let parts = try? URI(uri, ByteRange(uri)), parts.headers.isEmpty,
            parts.scheme != .other
        else { return false }
        plan.requestURI = uri
        // A contact that is reached by its URI alone is not where this one leads.
        if plan.destination.isEmpty { plan.contact = [] }
        return true
    }

    package mutating func setDestination(_ uri: [UInt8]) -> Bool {
        guard let parts = try? URI(uri, ByteRange(uri)), parts.scheme == .sip || parts.scheme == .sips else {
            return false
        }
        plan.destination = uri
        plan.contact = []
        return true
    }

    package mutating func resetDestination() -> Bool {
        plan.destination = []
        plan.contact = []
        return true
    }

    /// The URI that decides whither: the destination, or the Request-URI.
    package var nextHopURI: [UInt8] { plan.destination.isEmpty ? requestURI : plan.destination }

    /// Adds a branch; without a URI, one to the Request-URI as it is now.
    package mutating func appendBranch(_ uri: [UInt8]?, q: [UInt8] = []) throws(RouteFault) -> Bool {
        let uri = uri ?? requestURI
        guard let parts = try? URI(uri, ByteRange(uri)), parts.scheme == .sip || parts.scheme == .sips else {
            return false
        }
        guard plan.branches.count < RoutePlan.branchLimit else { throw .tooMuch("branches", RoutePlan.branchLimit) }
        var branch = RouteBranch(uri: uri, q: Self.thousandths(q))
        branch.destination = plan.destination
        branch.contact = plan.contact
        branch.flags = state.branchFlags.first ?? 0
        plan.branches.append(branch)
        return true
    }

    /// `0.7` as 700.
    private static func thousandths(_ q: [UInt8]) -> Int? {
        guard let first = q.first, first == 0x30 || first == 0x31 else { return nil }
        var value = Int(first - 0x30) * 1_000
        var unit = 100
        for byte in q.dropFirst(2).prefix(3) {
            guard byte &- 0x30 < 10 else { return nil }
            value += Int(byte &- 0x30) * unit
            unit /= 10
        }
        return min(value, 1_000)
    }

    /// `log(level, text)`.
    package mutating func log(_ level: [UInt8], _ text: [UInt8]) {
        let known: RouteNote.Level =
            switch String(decoding: level, as: UTF8.self) {
            case "dbg": .debug
            case "info": .info
            case "notice": .notice
            case "warn": .warning
            default: .error
            }
        note(known, text)
    }

    package func isTransport(_ letters: [UInt8]) -> Bool {
        letters.contains { letter in
            switch letter & 0xDF {
            case UInt8(ascii: "E"): point.source.transport == .udp || point.source.transport == .tcp
            case UInt8(ascii: "U"): point.source.transport == .udp
            case UInt8(ascii: "T"): point.source.transport == .tcp
            case UInt8(ascii: "S"): point.source.transport == .tls
            case UInt8(ascii: "W"): point.source.transport == .ws || point.source.transport == .wss
            default: false
            }
        }
    }
}

// The module sanity: whether a message is one that should be worked on. The node has looked at what it needs itself
// (start line, Vias, CSeq, To, From, Call-ID, lengths) before any route is asked, so those checks find nothing here;
// what is left is what only the flags ask for. A request that fails is answered, as the module does.

internal import Primitives
internal import SIP

extension RouteRun {
    private struct Finding {
        var status: Int
        var reason: StaticString

        init(_ status: Int, _ reason: StaticString) {
            self.status = status
            self.reason = reason
        }
    }

    package mutating func isSane(_ checks: Int, _ uris: Int) throws(RouteFault) -> Bool {
        guard let finding = try finding(checks, uris) else { return true }
        note(.debug, "sanity: \(finding.reason)")
        _ = reply(finding.status, [UInt8](copying: finding.reason), isStateful: false)
        return false
    }

    private mutating func finding(_ checks: Int, _ uris: Int) throws(RouteFault) -> Finding? {
        if checks & 1_024 != 0, let finding = uriFinding(uris) { return finding }
        if checks & 2 != 0, message.isRequest {
            guard let parts = parsedRequestURI, parts.scheme != .other || message.namesEmergencyService
            else { return Finding(416, "Unsupported URI Scheme in Request URI") }
        }
        if checks & 256 != 0, let value = value(.expires), RouteText.leadingNumber(value) == nil {
            return Finding(400, "Expires value is illegal")
        }
        if checks & 512 != 0, message.isRequest, let unknown = unknownRequirement() {
            try addReplyLines([UInt8](copying: "Unsupported: ") + unknown)
            return Finding(420, "Bad Extension")
        }
        if checks & 2_048 != 0, hasBadDigest() { return Finding(400, "Bad Digest credentials") }
        return nil
    }

    private func uriFinding(_ uris: Int) -> Finding? {
        func isBad(_ name: HeaderName) -> Bool {
            guard let uri = message.firstURI(name) else { return true }
            return (try? URI(message.bytes, uri)) == nil
        }
        if uris & 1 != 0, message.isRequest, parsedRequestURI == nil { return Finding(400, "Bad Request URI") }
        if uris & 2 != 0, isBad(.from) { return Finding(400, "Bad From URI") }
        if uris & 4 != 0, isBad(.to) { return Finding(400, "Bad To URI") }
        if uris & 8 != 0, message.first(.contact) != nil, isBad(.contact) { return Finding(400, "Bad Contact URI") }
        return nil
    }

    /// The Request-URI as the run has it, taken apart; its ranges are of where it stands.
    private var parsedRequestURI: URI? {
        plan.requestURI.isEmpty ? message.parsedRequestURI : try? URI(plan.requestURI, ByteRange(plan.requestURI))
    }

    private func unknownRequirement() -> [UInt8]? {
        guard let value = value(.proxyRequire) else { return nil }
        return RouteText.split(value, by: 0x2C).first { tag in
            !settings.proxyRequire.contains { RouteText.equalsIgnoringCase($0, tag) }
        }
    }

    private func hasBadDigest() -> Bool {
        guard let value = value(.authorization) ?? value(.proxyAuthorization) else { return false }
        guard let digest = DigestParameters(value) else { return false }
        return digest["username"] == nil || digest["realm"] == nil || digest["nonce"] == nil || digest["uri"] == nil
            || digest["response"] == nil
    }
}

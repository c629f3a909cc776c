// DigestCheck says whether credentials are good: what scripts ask with the modules auth and auth_db, and the registrar
// of a node without a script.
//
//     nonce = seconds, 8 hexadecimal digits ∥ the first 16 bytes of HMAC-SHA-256(key of the cluster, seconds ∥ realm)
//
// Every node can check a nonce that another one gave, and none remembers any: it is the key's if its mark is right, and
// fresh if its time is not too long ago. The clocks of the nodes need to agree within the nonce's life only; an old one
// is answered with a new one and `stale`, which phones answer without asking anybody.

internal import Primitives

package struct DigestCheck: Sendable {
    package enum Outcome: Equatable, Sendable { case ok, failed, wrongPassword, staleNonce }

    enum NonceState { case fresh, stale, foreign }

    package var settings: AuthSettings
    /// Seconds since 1970.
    package var seconds: Int

    package init(_ settings: AuthSettings, seconds: Int) {
        self.settings = settings
        self.seconds = seconds
    }

    func nonce(for realm: [UInt8]) -> [UInt8] {
        var text = ByteWriter()
        text.putHex(UInt64(truncatingIfNeeded: seconds), digits: 8)
        return text.bytes + mark(text.bytes, realm)
    }

    private func mark(_ seconds: [UInt8], _ realm: [UInt8]) -> [UInt8] {
        let code = SHA256.authenticationCode(seconds + realm, key: settings.key)
        return RouteText.hex(Array(code[..<16]))
    }

    func state(of nonce: [UInt8], _ realm: [UInt8]) -> NonceState {
        guard nonce.count == 40, let given = Text.hex(nonce, ByteRange(start: 0, end: 8)),
            Self.isEqual(mark(Array(nonce[..<8]), realm), Array(nonce[8...]))
        else { return .foreign }
        let age = seconds - Int(given)
        return abs(age) <= settings.nonceLifetime ? .fresh : .stale
    }

    /// Checks what somebody has made of a password.
    /// - Parameter isDigest: The password is the digest of `user:realm:password` already.
    package func check(
        _ digest: DigestParameters, method: [UInt8], realm: [UInt8], password: [UInt8], isDigest: Bool
    ) -> Outcome {
        guard let user = digest["username"], let nonce = digest["nonce"], let uri = digest["uri"],
            let response = digest["response"]
        else { return .failed }
        let algorithm = digest["algorithm"] ?? [UInt8](copying: "MD5")
        let isSHA = RouteText.equalsIgnoringCase(algorithm, [UInt8](copying: "SHA-256"))
        guard isSHA || RouteText.equalsIgnoringCase(algorithm, [UInt8](copying: "MD5")) else { return .failed }
        let nonceState = state(of: nonce, realm)
        guard nonceState != .foreign else { return .staleNonce }
        func hashed(_ parts: [[UInt8]]) -> [UInt8] {
            let text = Array(parts.joined(separator: [0x3A]))
            return RouteText.hex(isSHA ? SHA256.digest(text) : MD5.digest(text))
        }
        let secret = isDigest ? RouteText.lowercased(password) : hashed([user, realm, password])
        let request = hashed([method, uri])
        var parts = [secret, nonce]
        if let quality = digest["qop"] {
            guard let count = digest["nc"], let chosen = digest["cnonce"], quality == [UInt8](copying: "auth") else {
                return .failed
            }
            parts += [count, chosen, quality]
        }
        parts.append(request)
        guard Self.isEqual(hashed(parts), RouteText.lowercased(response)) else { return .wrongPassword }
        return nonceState == .fresh ? .ok : .staleNonce
    }

    /// In a time that does not tell where they differ.
    private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(into: UInt8(0)) { $0 |= $1.0 ^ $1.1 } == 0
    }

    /// The header lines of a challenge, each with its CRLF.
    /// - Parameter answered: The nonce that was answered, if any.
    package func challenge(
        _ header: StaticString, realm: [UInt8], asksForQuality: Bool, answered nonce: [UInt8]? = nil
    ) -> [[UInt8]] {
        let isStale = nonce.map { state(of: $0, realm) != .fresh } ?? false
        var names: [StaticString] = []
        if settings.algorithm != .md5 { names.append("SHA-256") }
        if settings.algorithm != .sha256 { names.append("MD5") }
        return names.map { name in
            var line = ByteWriter()
            line.put(header)
            line.put(": Digest realm=\"")
            line.put(realm)
            line.put("\", nonce=\"")
            line.put(self.nonce(for: realm))
            line.put("\"")
            if asksForQuality { line.put(", qop=\"auth\"") }
            if settings.algorithm != .md5 {
                line.put(", algorithm=")
                line.put(name)
            }
            if isStale { line.put(", stale=true") }
            return line.bytes
        }
    }
}

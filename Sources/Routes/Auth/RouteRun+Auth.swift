// Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), as the modules auth and auth_db have it.
//
//     nonce = seconds, 8 hexadecimal digits ∥ the first 16 bytes of HMAC-SHA-256(key of the cluster, seconds ∥ realm)
//
// Every node can check a nonce that another one gave, and none remembers any: it is the key's if its mark is right, and
// fresh if its time is not too long ago. The clocks of the nodes need to agree within the nonce's life only; an old one
// is answered with a new one and `stale`, which phones answer without asking anybody.

internal import Primitives
internal import SIP

package struct AuthSettings: Equatable, Sendable {
    package enum Algorithm: Equatable, Sendable { case md5, sha256, both }

    package struct Credential: Equatable, Sendable {
        package var user: [UInt8]
        /// Empty for every realm.
        package var realm: [UInt8]
        package var password: [UInt8]
        /// It is the digest of `user:realm:password`, not the password.
        package var isDigest = false

        package init(user: [UInt8], realm: [UInt8], password: [UInt8], isDigest: Bool = false) {
            self.user = user
            self.realm = realm
            self.password = password
            self.isDigest = isDigest
        }
    }

    package var algorithm = Algorithm.md5
    /// `auth.nonce_expire`.
    package var nonceLifetime = 300
    package var key: [UInt8] = []
    package var credentials: [Credential] = []

    package init() {}
}

extension RouteRun {
    /// What the module answers; the numbers are its.
    package enum AuthAnswer: Int, Sendable {
        case ok = 1
        case failed = -1
        case wrongPassword = -2
        case unknownUser = -3
        case staleNonce = -4
        case noCredentials = -5
        case userMismatch = -8
    }

    func nonce(for realm: [UInt8]) -> [UInt8] {
        var seconds = ByteWriter()
        seconds.putHex(UInt64(truncatingIfNeeded: time.seconds), digits: 8)
        return seconds.bytes + mark(seconds.bytes, realm)
    }

    private func mark(_ seconds: [UInt8], _ realm: [UInt8]) -> [UInt8] {
        let code = SHA256.authenticationCode(seconds + realm, key: settings.auth.key)
        return RouteText.hex(Array(code[..<16]))
    }

    private enum NonceState { case fresh, stale, foreign }

    private func state(of nonce: [UInt8], _ realm: [UInt8]) -> NonceState {
        guard nonce.count == 40, let given = Text.hex(nonce, ByteRange(start: 0, end: 8)),
            Self.isEqual(mark(Array(nonce[..<8]), realm), Array(nonce[8...]))
        else { return .foreign }
        let age = time.seconds - Int(given)
        return abs(age) <= settings.auth.nonceLifetime ? .fresh : .stale
    }

    /// The credentials for a realm.
    func credentials(for realm: [UInt8]) -> (DigestParameters, HeaderField)? {
        let isRegister = method == .register
        for name in [isRegister ? HeaderName.authorization : .proxyAuthorization, .authorization, .proxyAuthorization] {
            for field in message.headers where field.name == name {
                guard let digest = DigestParameters(message.copy(field.value)), digest["realm"] == realm else {
                    continue
                }
                return (digest, field)
            }
        }
        return nil
    }

    package func hasCredentials(_ realm: [UInt8]) -> Bool { credentials(for: realm) != nil }

    /// Checks a password: the module's `pv_auth_check`.
    /// - Parameters:
    ///   - flags: 1: it is a digest already.
    ///   - checks: 1: the user must be who the request is from, too (`isFrom`).
    package func checkPassword(_ realm: [UInt8], _ password: [UInt8], _ flags: Int, _ checks: Int) -> AuthAnswer {
        guard let (digest, _) = credentials(for: realm) else { return .noCredentials }
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
        let secret = flags & 1 != 0 ? RouteText.lowercased(password) : hashed([user, realm, password])
        let request = hashed([methodText, uri])
        var parts = [secret, nonce]
        if let quality = digest["qop"] {
            guard let count = digest["nc"], let chosen = digest["cnonce"], quality == [UInt8](copying: "auth") else {
                return .failed
            }
            parts += [count, chosen, quality]
        }
        parts.append(request)
        guard Self.isEqual(hashed(parts), RouteText.lowercased(response)) else { return .wrongPassword }
        guard nonceState == .fresh else { return .staleNonce }
        return checks & 1 == 0 || isFrom(user) ? .ok : .userMismatch
    }

    /// Whether the request is from a user, as the module asks it: by its From; a REGISTER or PUBLISH by its To as well,
    /// and a PUBLISH by its Request-URI.
    private func isFrom(_ user: [UInt8]) -> Bool {
        var named = [uri(.from)]
        if method == .register || method == .publish { named.append(uri(.to)) }
        if method == .publish { named.append(requestURI) }
        return named.allSatisfy { $0.map { URIPart.user.value(of: $0) } == .text(user) }
    }

    /// In a time that does not tell where they differ.
    private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(into: UInt8(0)) { $0 |= $1.0 ^ $1.1 } == 0
    }

    /// Checks against the credentials that the settings have, in the place of the module's database.
    /// - Parameter flags: 1: the user must be who the request is from, too; 2: not of a request that may have been
    ///   forwarded (INVITE, BYE, PRACK, UPDATE, MESSAGE).
    package func checkCredentials(_ realm: [UInt8], _ flags: Int = 0) -> AuthAnswer {
        guard let (digest, _) = credentials(for: realm) else { return .noCredentials }
        let user = digest["username"] ?? []
        let known = settings.auth.credentials.first { $0.user == user && ($0.realm.isEmpty || $0.realm == realm) }
        guard let known else { return .unknownUser }
        let mayBeForwarded = [.invite, .bye, .prack, .update, .message].contains(method)
        let checks = flags & 2 != 0 && mayBeForwarded ? 0 : flags & 1
        return checkPassword(realm, known.password, known.isDigest ? 1 : 0, checks)
    }

    /// Answers 401 to a REGISTER and 407 to what else comes. Flag 1 asks for qop=auth.
    package mutating func challenge(_ realm: [UInt8], _ flags: Int) throws(RouteFault) -> Bool {
        guard message.isRequest, message.method != .ack, message.method != .cancel else { return false }
        let isRegister = message.method == .register
        var isStale = false
        if let (digest, _) = credentials(for: realm), let nonce = digest["nonce"] {
            isStale = state(of: nonce, realm) != .fresh
        }
        var names: [StaticString] = []
        if settings.auth.algorithm != .md5 { names.append("SHA-256") }
        if settings.auth.algorithm != .sha256 { names.append("MD5") }
        for name in names {
            var line = ByteWriter()
            line.put(isRegister ? "WWW-Authenticate" : "Proxy-Authenticate")
            line.put(": Digest realm=\"")
            line.put(realm)
            line.put("\", nonce=\"")
            line.put(nonce(for: realm))
            line.put("\"")
            if flags & 1 != 0 { line.put(", qop=\"auth\"") }
            if settings.auth.algorithm != .md5 {
                line.put(", algorithm=")
                line.put(name)
            }
            if isStale { line.put(", stale=true") }
            try addReplyLines(line.bytes)
        }
        let reason = isRegister ? "Unauthorized" : "Proxy Authentication Required"
        return reply(isRegister ? 401 : 407, Array(reason.utf8), isStateful: false)
    }

    /// Takes away the credentials that were good, so that nobody further down sees them.
    package mutating func consumeCredentials() throws(RouteFault) -> Bool {
        let name: HeaderName = method == .register ? .authorization : .proxyAuthorization
        guard let field = message.first(name) ?? message.first(.authorization) else { return false }
        try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.remove(field) }
        return true
    }
}

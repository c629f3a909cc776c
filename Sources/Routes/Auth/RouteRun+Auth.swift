// Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), as the modules auth and auth_db have it.

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
    package var credentials: [Credential] = [] {
        didSet { byUser = Dictionary(grouping: credentials, by: \.user) }
    }
    private var byUser: [[UInt8]: [Credential]] = [:]

    /// The first of a user that is for a realm, or for all.
    func first(of user: [UInt8], _ realm: [UInt8]) -> Credential? {
        byUser[user]?.first { $0.realm.isEmpty || $0.realm == realm }
    }

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

    private var digests: DigestCheck { DigestCheck(settings.auth, seconds: time.seconds) }

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
        let outcome = digests.check(
            digest, method: methodText, realm: realm, password: password, isDigest: flags & 1 != 0)
        switch outcome {
        case .ok: break
        case .failed: return .failed
        case .wrongPassword: return .wrongPassword
        case .staleNonce: return .staleNonce
        }
        return checks & 1 == 0 || isFrom(digest["username"] ?? []) ? .ok : .userMismatch
    }

    /// Whether the request is from a user, as the module asks it: by its From; a REGISTER or PUBLISH by its To as well,
    /// and a PUBLISH by its Request-URI.
    private func isFrom(_ user: [UInt8]) -> Bool {
        var named = [uri(.from)]
        if method == .register || method == .publish { named.append(uri(.to)) }
        if method == .publish { named.append(requestURI) }
        return named.allSatisfy { $0.map { URIPart.user.value(of: $0) } == .text(user) }
    }

    /// Checks against the credentials that the settings have, in the place of the module's database.
    /// - Parameter flags: 1: the user must be who the request is from, too; 2: not of a request that may have been
    ///   forwarded (INVITE, BYE, PRACK, UPDATE, MESSAGE).
    package func checkCredentials(_ realm: [UInt8], _ flags: Int = 0) -> AuthAnswer {
        guard let (digest, _) = credentials(for: realm) else { return .noCredentials }
        let user = digest["username"] ?? []
        guard let known = settings.auth.first(of: user, realm) else { return .unknownUser }
        let mayBeForwarded = [.invite, .bye, .prack, .update, .message].contains(method)
        let checks = flags & 2 != 0 && mayBeForwarded ? 0 : flags & 1
        return checkPassword(realm, known.password, known.isDigest ? 1 : 0, checks)
    }

    /// Answers 401 to a REGISTER and 407 to what else comes. Flag 1 asks for qop=auth.
    package mutating func challenge(_ realm: [UInt8], _ flags: Int) throws(RouteFault) -> Bool {
        guard message.isRequest, message.method != .ack, message.method != .cancel else { return false }
        let isRegister = message.method == .register
        let answered = credentials(for: realm).flatMap { digest, _ in digest["nonce"] }
        let lines = digests.challenge(
            isRegister ? "WWW-Authenticate" : "Proxy-Authenticate", realm: realm, asksForQuality: flags & 1 != 0,
            answered: answered)
        for line in lines { try addReplyLines(line) }
        let reason = isRegister ? "Unauthorized" : "Proxy Authentication Required"
        return reply(isRegister ? 401 : 407, Array(reason.utf8), isStateful: false)
    }

    /// Remembers whose credentials were good, for `consume_credentials`.
    package mutating func authorized(_ realm: [UInt8], _ answer: AuthAnswer) -> Int {
        if answer == .ok { plan.authorizedRealm = realm }
        return answer.rawValue
    }

    /// Takes away the credentials that were good, so that nobody further down sees them; those for other realms are
    /// somebody else's.
    package mutating func consumeCredentials() throws(RouteFault) -> Bool {
        guard let realm = plan.authorizedRealm, hasCredentials(realm) else { return false }
        for field in message.headers where field.name == .authorization || field.name == .proxyAuthorization {
            guard DigestParameters(message.copy(field.value))?["realm"] == realm else { continue }
            try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.remove(field) }
        }
        return true
    }
}

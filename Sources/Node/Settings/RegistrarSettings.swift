// `registrar`: the domains whose phones register here without a script, and what is taken of phones with one or
// without.

import Primitives
package import Routes

package struct RegistrarSettings: Equatable, Sendable {
    /// `registrar.domains`, hosts of addresses of record, in lower case; none: nothing is registered here.
    package var domains: [String] = []
    /// `registrar.credentials-file`: who may register; without one everybody may.
    package var credentialsFile = ""
    /// What is in it.
    package var credentials = PhoneCredentials()
    /// `registrar.default_expires`, seconds, 10 to 604 800, default 3600: of a contact that names no time.
    package var defaultExpires: Duration = .seconds(RegistrarRules().defaultExpires)
    /// `registrar.min_expires`, seconds, 1 to 604 800, default 60: less is answered 423.
    package var minExpires: Duration = .seconds(RegistrarRules().minExpires)
    /// `registrar.max_expires`, seconds, 10 to 604 800, default 7200: more is given this.
    package var maxExpires: Duration = .seconds(RegistrarRules().maxExpires)
    /// `registrar.max_contacts`, 1 to 60, default 10, of one address of record; more are answered 503.
    package var maxContacts = RegistrarRules().maxContacts
    /// `registrar.limit`, addresses of record, 100 to 10 000 000, default 1 000 000.
    package var limit = 1_000_000

    package init() {}

    package func problems(hasScript: Bool) -> [SettingProblem] {
        var list = ProblemList()
        list.range("registrar.default_expires", defaultExpires)
        list.range("registrar.min_expires", minExpires)
        list.range("registrar.max_expires", maxExpires)
        list.range("registrar.max_contacts", maxContacts)
        list.range("registrar.limit", limit)
        if minExpires > maxExpires { list.add("registrar.min_expires", "is above registrar.max_expires") }
        if hasScript, !domains.isEmpty {
            list.add("registrar.domains", "a script says itself what is registered; leave one of the two out")
        }
        if domains.isEmpty, !hasScript, !credentialsFile.isEmpty {
            list.add("registrar.domains", "is missing: the credentials are nobody's")
        }
        return list.problems
    }
}

extension RegistrarSettings {
    /// As a registration reads them.
    package var rules: RegistrarRules {
        var rules = RegistrarRules()
        rules.defaultExpires = Int(defaultExpires.wholeMilliseconds / 1_000)
        rules.minExpires = Int(minExpires.wholeMilliseconds / 1_000)
        rules.maxExpires = Int(maxExpires.wholeMilliseconds / 1_000)
        rules.maxContacts = maxContacts
        return rules
    }
}

/// Who may register, by user: each request asks.
package struct PhoneCredentials: Equatable, Sendable {
    /// By the user in lower case, in the order of the file.
    private let byUser: [[UInt8]: [PhoneCredential]]

    package init(_ list: [PhoneCredential] = []) {
        byUser = Dictionary(grouping: list) { $0.user.map(Text.lowercased) }
    }

    package var isEmpty: Bool { byUser.isEmpty }

    /// All lines, those of one user in the order of the file.
    package var all: [PhoneCredential] { byUser.values.flatMap { $0 } }

    /// Whether there is a user, whatever the case.
    func has(user: [UInt8]) -> Bool { byUser[user] != nil }

    /// The first line of exactly this user that is for a domain.
    func first(of user: [UInt8], realm: [UInt8]) -> PhoneCredential? {
        byUser[user.map(Text.lowercased)]?.first { $0.user == user && ($0.realm.isEmpty || $0.realm == realm) }
    }
}

/// Who may register: a line of the credentials file.
package struct PhoneCredential: Equatable, Sendable {
    /// The user part of the address of record.
    package var user: [UInt8]
    /// The domain; empty for every one.
    package var realm: [UInt8]
    package var password: Secret
    /// It is the MD5 digest of `user:realm:password`, as htdigest writes it.
    package var isDigest: Bool

    /// Why a file cannot be read: the line, and what is wrong with it. What is written there is not told.
    package struct Unreadable: Error, Equatable, Sendable {
        package var message: String

        package init(message: String) { self.message = message }
    }

    package static let fileLimit = 100_000

    /// Reads `user:password`, `user@domain:password` and `user:domain:DIGEST`, one a line; `#` begins a comment line.
    package static func read(_ file: [UInt8]) throws(Unreadable) -> [PhoneCredential] {
        var found: [PhoneCredential] = []
        var lines: [[[UInt8]]: Int] = [:]
        for (number, line) in file.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let text = line.last == 0x0D ? line.dropLast() : line
            guard let first = text.first, first != UInt8(ascii: "#") else { continue }
            guard let colon = text.firstIndex(of: 0x3A), colon > text.startIndex, colon + 1 < text.endIndex else {
                throw Unreadable(message: "line \(number + 1) is not of the form user:password")
            }
            guard found.count < fileLimit else { throw Unreadable(message: "has more than \(fileLimit) lines") }
            let one = credential(Array(text[..<colon]), Array(text[(colon + 1)...]))
            if let earlier = lines.updateValue(number + 1, forKey: [one.user, one.realm]) {
                throw Unreadable(message: "has two lines for one user, \(earlier) and \(number + 1); delete one")
            }
            found.append(one)
        }
        // Without a line everybody could register, which is not what a file of passwords is for.
        guard !found.isEmpty else {
            throw Unreadable(
                message: "has no line like user:password; write one, or leave the key out, and everybody may register")
        }
        return found
    }

    private static func credential(_ name: [UInt8], _ rest: [UInt8]) -> PhoneCredential {
        if let colon = rest.lastIndex(of: 0x3A), rest.count - colon == 33,
            rest[(colon + 1)...].allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
            })
        {
            return PhoneCredential(
                user: name, realm: Array(rest[..<colon]), password: Secret(Array(rest[(colon + 1)...])),
                isDigest: true)
        }
        guard let at = name.lastIndex(of: 0x40) else {
            return PhoneCredential(user: name, realm: [], password: Secret(rest), isDigest: false)
        }
        return PhoneCredential(
            user: Array(name[..<at]), realm: Array(name[(at + 1)...]), password: Secret(rest), isDigest: false)
    }
}

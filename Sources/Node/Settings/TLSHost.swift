// `sip.tls.hosts`: further names of this node, each with a certificate of its own. Whoever connects says which name it
// means (SNI, RFC 6066 §3), and is shown that one's; without a name, or with another one, `sip.tls.certificate-file`.

package struct TLSHost: Equatable, Sendable {
    /// `name`, lower case: a host name, or `*.` before one for every name with one label in front of it.
    package var name: String
    /// `certificate-file`, PEM, with its chain.
    package var certificateFile: String
    /// `key-file`, PEM.
    package var keyFile: String

    package static let limit = 64
    private static let fields = ["name", "certificate-file", "key-file"]

    package init(name: String, certificateFile: String, keyFile: String) {
        self.name = name
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }

    /// Whether the name that a client asked for is this one.
    package func covers(_ asked: String) -> Bool { Self.covers(name, asked.lowercased()) }

    /// Whether a name, which may begin with `*.`, covers another (RFC 6125 §6.4.3), both in lower case.
    package static func covers(_ name: String, _ asked: String) -> Bool {
        if name == asked { return true }
        guard name.hasPrefix("*."), let dot = asked.firstIndex(of: "."), dot > asked.startIndex else { return false }
        return !asked.hasPrefix("*") && asked[dot...] == name.dropFirst()
    }

    /// Reads a row of the table, and adds everything that is wrong with it to `problems`.
    package static func read(_ row: [String: [String]], number: Int, problems: inout [SettingProblem]) -> TLSHost? {
        var faults = RowFaults(key: "sip.tls.hosts", row: "host \(number)")
        faults.checkFields(of: row, known: fields)
        let values = fields.map { field -> String in
            guard let texts = row[field], texts.count == 1, !texts[0].trimmed.isEmpty else {
                faults.add("\(field) is required, one of them")
                return ""
            }
            return texts[0].trimmed
        }
        let name = values[0].lowercased()
        if !name.isEmpty, !ConfiguredURI.isHostName(name.hasPrefix("*.") ? String(name.dropFirst(2)) : name) {
            faults.add("'\(name)' is not a name like sip.example.org or *.example.org")
        }
        if number > limit { faults.add("at most \(limit) hosts") }
        problems += faults.problems
        return faults.problems.isEmpty
            ? TLSHost(name: name, certificateFile: values[1], keyFile: values[2]) : nil
    }

    /// The one-line form of `--set` and the environment: `NAME => CERTIFICATE-FILE KEY-FILE`.
    package static func parse(_ text: String, number: Int, problems: inout [SettingProblem]) -> TLSHost? {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 4, words[1] == "=>" else {
            problems.append(
                SettingProblem(
                    key: "sip.tls.hosts", message: "'\(text)' is not of the form NAME => CERTIFICATE-FILE KEY-FILE"))
            return nil
        }
        let row = ["name": [words[0]], "certificate-file": [words[2]], "key-file": [words[3]]]
        return read(row, number: number, problems: &problems)
    }
}

// Makes settings from a YAML file, `UNDERSTUDY_…` variables and `--set KEY=VALUE`; what comes later wins, key by key.
// Every problem is collected, of reading and of meaning, each with the line, variable or option it came from; a key
// whose text could not be read is not complained about a second time for its default.
//
// The loader reads the files that settings name (the cluster key, the management token), so that nothing else has to;
// of certificates it only sees whether they can be read. A file that the node's user may not read is looked for among
// the service's credentials, where its manager has put what only root may read: as `FOLDER_NAME`, by the last two
// parts of its path (a folder that was loaded whole), or as `NAME`. The file itself comes first, since a reload finds
// it renewed; credentials are those of the start. Variables that belong to the command line, not to a node, are left
// alone (`reservedVariables`).

package import Node

package struct SettingsLoader: Sendable {
    /// Reads a file; throws a text that can follow "cannot be read: ".
    package struct Unreadable: Error, Equatable, Sendable {
        package var reason: String
        package init(reason: String) { self.reason = reason }
    }

    package static let reservedVariables = [
        "UNDERSTUDY_NODE", "UNDERSTUDY_TOKEN_FILE", "UNDERSTUDY_CA_FILE", "UNDERSTUDY_COMMIT",
    ]

    /// The configuration file's bytes; `nil` without one.
    package var file: [UInt8]?
    /// For what is said of the whole file.
    package var fileName: String
    package var environment: [String: String]
    /// `KEY=VALUE`, in order.
    package var overrides: [String]
    package var readFile: @Sendable (String) throws(Unreadable) -> [UInt8]
    /// Where the service manager has put the credentials; `nil` without one.
    private var credentials: String? { environment["CREDENTIALS_DIRECTORY"].flatMap { $0.isEmpty ? nil : $0 } }

    package init(
        file: [UInt8]?, fileName: String = "the file", environment: [String: String], overrides: [String],
        readFile: @escaping @Sendable (String) throws(Unreadable) -> [UInt8]
    ) {
        self.file = file
        self.fileName = fileName
        self.environment = environment
        self.overrides = overrides
        self.readFile = readFile
    }

    package struct Loaded: Equatable, Sendable {
        package var settings = Settings()
        /// Empty when the settings can be used.
        package var problems: [SettingProblem] = []
        /// What can be used and is probably not meant; empty while there are problems.
        package var warnings: [SettingProblem] = []
        /// Where the value of each key came from; a key with its default is not in it.
        package var origins: [String: String] = [:]
        /// The value of each key as it was written, likewise.
        package var values: [String: SettingValue] = [:]

        package init() {}
    }

    package func load() -> Loaded {
        var loaded = Loaded()
        var entries: [ConfigurationEntry] = []
        if let file {
            let read = ConfigurationFile(yaml: file, name: fileName)
            loaded.problems += read.problems
            // What a file lacks that cannot be read is not known.
            if read.isUnreadable { return loaded }
            entries += read.entries
        }
        entries += variables(&loaded.problems, &loaded.warnings)
        entries += options(&loaded.problems, &loaded.warnings)

        var origins: [String: String] = [:]
        for entry in entries {
            let key = SettingKey.named(entry.key)
            for var problem in loaded.settings.set(entry.key, to: split(entry.value, for: key)) {
                problem.origin = entry.origin
                loaded.problems.append(problem)
            }
            if let key {
                origins[key.name] = entry.origin
                loaded.values[key.name] = split(entry.value, for: key)
            }
        }
        loaded.origins = origins
        // Of a file that cannot be read the key's value is known all the same.
        let unread = Set(loaded.problems.map(\.key)).subtracting([""])
        readSecrets(&loaded, origins)
        // Who wrote a key almost right is told that, and not that the right one is missing.
        let meant = loaded.problems.compactMap { problem -> String? in
            guard let range = problem.message.firstRange(of: "did you mean ") else { return nil }
            return String(problem.message[range.upperBound...].prefix { $0 != "?" })
        }
        let complained = Set(loaded.problems.map(\.key) + meant)
        for var problem in loaded.settings.problems()
        where !Self.isTold(problem.key, among: complained) && !Self.follows(problem, from: unread) {
            problem.origin = origins[problem.key] ?? ""
            loaded.problems.append(problem)
        }
        loaded.problems = Self.ordered(loaded.problems)
        guard loaded.problems.isEmpty else {
            loaded.warnings = []
            return loaded
        }
        for var warning in loaded.settings.advice() {
            warning.origin = origins[warning.key] ?? ""
            loaded.warnings.append(warning)
        }
        loaded.warnings = Self.ordered(loaded.warnings)
        return loaded
    }

    /// Of a section that could not be read, nothing is said to be missing.
    private static func isTold(_ key: String, among complained: Set<String>) -> Bool {
        var key = Substring(key)
        while true {
            if complained.contains(String(key)) { return true }
            guard let dot = key.lastIndex(of: ".") else { return false }
            key = key[..<dot]
        }
    }

    /// What speaks of a key whose value could not be read may follow from that alone: it is told when that is mended.
    private static func follows(_ problem: SettingProblem, from unread: Set<String>) -> Bool {
        let words = problem.message.split { !($0.isLetter || $0.isNumber || "._-".contains($0)) }
        return words.contains { unread.contains(String($0)) }
    }

    /// As a reader finds them: by the lines of the file, then what came from elsewhere, in the order it was found.
    private static func ordered(_ problems: [SettingProblem]) -> [SettingProblem] {
        func line(_ problem: SettingProblem) -> Int {
            let digits = problem.origin.drop { !$0.isNumber }.prefix { $0.isASCII && $0.isNumber }
            return problem.origin.hasPrefix("line") ? Int(digits) ?? .max : .max
        }
        return problems.enumerated().sorted { (line($0.element), $0.offset) < (line($1.element), $1.offset) }
            .map(\.element)
    }

    /// Lists are separated by commas in one text; an empty text is an empty list.
    private func split(_ value: SettingValue, for key: SettingKey?) -> SettingValue {
        guard case .list(let texts) = value, let key, key.isList, texts.count == 1 else { return value }
        return .list(texts[0].split(separator: ",").map { String($0) }.filter { !$0.allSatisfy { $0 == " " } })
    }

    /// What a container platform sets for a service that is called understudy, or understudy-something:
    /// `…_SERVICE_HOST`, `…_SERVICE_PORT_SIP`, `…_PORT`, `…_PORT_5060_UDP_ADDR`.
    static func isPlatforms(_ variable: String) -> Bool {
        variable.hasSuffix("_SERVICE_HOST") || variable.hasSuffix("_SERVICE_PORT") || variable.hasSuffix("_PORT")
            || variable.firstRange(of: "_SERVICE_PORT_") != nil
            || ["_TCP", "_UDP", "_SCTP"].contains { ending in
                guard let port = variable.firstRange(of: "_PORT_") else { return false }
                let rest = variable[port.upperBound...]
                let digits = rest.prefix { $0.isASCII && $0.isNumber }
                return !digits.isEmpty && rest.dropFirst(digits.count).hasPrefix(ending)
            }
    }

    private func variables(
        _ problems: inout [SettingProblem], _ warnings: inout [SettingProblem]
    ) -> [ConfigurationEntry] {
        var entries: [ConfigurationEntry] = []
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix("UNDERSTUDY_") {
            guard !Self.reservedVariables.contains(variable) else { continue }
            guard let key = SettingKey.named(variable: variable) else {
                if Self.isPlatforms(variable) { continue }
                guard let nearest = SettingKey.nearest(toVariable: variable) else {
                    let message = "is no setting, and is left alone"
                    warnings.append(SettingProblem(key: variable, message: message, origin: "environment"))
                    continue
                }
                let message = "is not a known variable; did you mean \(nearest)?"
                problems.append(SettingProblem(key: variable, message: message, origin: "environment"))
                continue
            }
            if let objection = Self.objection(to: text, for: key) {
                problems.append(SettingProblem(key: key.name, message: objection, origin: variable))
                continue
            }
            entries.append(ConfigurationEntry(key: key.name, value: .list([text]), origin: variable))
        }
        return entries
    }

    private func options(
        _ problems: inout [SettingProblem], _ warnings: inout [SettingProblem]
    ) -> [ConfigurationEntry] {
        var entries: [ConfigurationEntry] = []
        var taken: Set<String> = []
        for option in overrides {
            let key = String((option.split(separator: "=", omittingEmptySubsequences: false).first ?? "").trimming)
            guard let equals = option.firstIndex(of: "="), !key.isEmpty else {
                let isNamed = !key.isEmpty
                let message = "\(isNamed ? "" : "'\(option)' ")is not of the form KEY=VALUE"
                problems.append(SettingProblem(key: isNamed ? option : "", message: message, origin: "--set"))
                continue
            }
            let text = String(option[option.index(after: equals)...])
            let known = SettingKey.named(key)
            if !taken.insert(SettingKey.fold(key)).inserted {
                let message = "is set twice; the last one holds"
                warnings.append(SettingProblem(key: known?.name ?? key, message: message, origin: "--set"))
            }
            if let objection = known.flatMap({ Self.objection(to: text, for: $0) }) {
                problems.append(SettingProblem(key: known?.name ?? key, message: objection, origin: "--set"))
            } else {
                entries.append(ConfigurationEntry(key: key, value: .list([text]), origin: "--set"))
            }
        }
        return entries
    }

    /// What a value of one line brings along that belongs into a file's YAML.
    private static func objection(to text: String, for key: SettingKey) -> String? {
        let text = text.trimming
        guard text.utf8.count > 1, let first = text.first, let last = text.last else { return nil }
        if first == last, first == "\"" || first == "'" {
            return "the quotation marks around \(text) are taken for a part of the value here; leave them out"
        }
        guard first == "[", last == "]", key.isList, text.contains(",") || text.contains("/") || text.count == 2 else {
            return nil
        }
        return "a list is written without brackets here, its values separated by commas"
    }

    private func readSecrets(_ loaded: inout Loaded, _ origins: [String: String]) {
        var problems: [SettingProblem] = []
        /// The bytes; `path` becomes that of the credential where the file itself cannot be read.
        func read(_ key: String, _ path: inout String) -> [UInt8]? {
            guard !path.isEmpty else { return [] }
            do throws(Unreadable) {
                return try readFile(path)
            } catch {
                if let (credential, bytes) = credential(for: path) {
                    path = credential
                    return bytes
                }
                let message = "\(path) cannot be read: \(error.reason)\(Self.hint(to: path))"
                problems.append(SettingProblem(key: key, message: message, origin: origins[key] ?? ""))
                return nil
            }
        }
        if let bytes = read("cluster.key-file", &loaded.settings.cluster.keyFile) {
            let path = loaded.settings.cluster.keyFile
            do throws(ClusterKeysError) {
                if !path.isEmpty { loaded.settings.cluster.keys = try ClusterKeys(file: Self.withoutLineEnd(bytes)) }
            } catch {
                let origin = origins["cluster.key-file"] ?? ""
                problems.append(
                    SettingProblem(key: "cluster.key-file", message: "\(path) \(error.message)", origin: origin))
            }
        }
        if let bytes = read("registrar.credentials-file", &loaded.settings.registrar.credentialsFile) {
            let path = loaded.settings.registrar.credentialsFile
            do throws(PhoneCredential.Unreadable) {
                if !path.isEmpty {
                    loaded.settings.registrar.credentials = PhoneCredentials(try PhoneCredential.read(bytes))
                }
            } catch {
                let key = "registrar.credentials-file"
                let message = "\(path) \(error.message)"
                problems.append(SettingProblem(key: key, message: message, origin: origins[key] ?? ""))
            }
        }
        // Not kept here: TLS reads them itself, and again when they have changed. That they can be read is looked at.
        _ = read("sip.tls.certificate-file", &loaded.settings.sip.streams.certificateFile)
        _ = read("sip.tls.key-file", &loaded.settings.sip.streams.keyFile)
        for index in loaded.settings.sip.streams.hosts.indices {
            _ = read("sip.tls.hosts", &loaded.settings.sip.streams.hosts[index].certificateFile)
            _ = read("sip.tls.hosts", &loaded.settings.sip.streams.hosts[index].keyFile)
        }
        _ = read("sip.tls.ca-file", &loaded.settings.sip.streams.authoritiesFile)
        _ = read("management.tls.certificate-file", &loaded.settings.management.certificateFile)
        _ = read("management.tls.key-file", &loaded.settings.management.keyFile)
        if let bytes = read("management.token-file", &loaded.settings.management.tokenFile) {
            let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            loaded.settings.management.token = Secret(Array(line))
        }
        loaded.problems += problems
    }

    /// What a shell would have made of a path, and nobody does here; where one that begins nowhere is looked for.
    private static func hint(to path: String) -> String {
        if path.hasPrefix("~") { return "; a ~ stands for no folder here, write the whole path" }
        if path.contains("$") { return "; a $ stands for no variable here, write the whole path" }
        return path.hasPrefix("/") ? "" : "; without a / at its begin it is looked for where the node is started"
    }

    /// What the service manager has put there for a file, and where.
    private func credential(for path: String) -> (path: String, bytes: [UInt8])? {
        guard let credentials else { return nil }
        let parts = path.split(separator: "/")
        for name in [parts.suffix(2).joined(separator: "_"), String(parts.last ?? "")] where !name.isEmpty {
            do throws(Unreadable) {
                return ("\(credentials)/\(name)", try readFile("\(credentials)/\(name)"))
            } catch {
                continue  // Told with the file's own name, which is the one that was configured.
            }
        }
        return nil
    }

    /// An editor's last line end is not part of a key.
    private static func withoutLineEnd(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        return bytes
    }
}

extension StringProtocol {
    /// Without spaces at both ends.
    fileprivate var trimming: Substring {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

// Makes settings from a YAML file, `UNDERSTUDY_…` variables and `--set KEY=VALUE`; what comes later wins, key by key.
// Every problem is collected, of reading and of meaning, each with the line, variable or option it came from; a key
// whose text could not be read is not complained about a second time for its default.
//
// The loader reads the files that settings name (the cluster key, the management token), so that nothing else has to;
// of certificates it only sees whether they can be read.
// Variables that belong to the command line, not to a node, are left alone (`reservedVariables`).

package import Node

package struct SettingsLoader: Sendable {
    /// Reads a file; throws a text that can follow "cannot be read: ".
    package struct Unreadable: Error, Equatable, Sendable {
        package var reason: String
        package init(reason: String) { self.reason = reason }
    }

    package static let reservedVariables = ["UNDERSTUDY_NODE", "UNDERSTUDY_TOKEN_FILE"]

    /// Text of the configuration file; `nil` without one.
    package var yaml: String?
    package var environment: [String: String]
    /// `KEY=VALUE`, in order.
    package var overrides: [String]
    package var readFile: @Sendable (String) throws(Unreadable) -> [UInt8]

    package init(
        yaml: String?, environment: [String: String], overrides: [String],
        readFile: @escaping @Sendable (String) throws(Unreadable) -> [UInt8]
    ) {
        self.yaml = yaml
        self.environment = environment
        self.overrides = overrides
        self.readFile = readFile
    }

    package struct Loaded: Equatable, Sendable {
        package var settings = Settings()
        /// Empty when the settings can be used.
        package var problems: [SettingProblem] = []
    }

    package func load() -> Loaded {
        var loaded = Loaded()
        var entries: [ConfigurationEntry] = []
        if let yaml {
            let file = ConfigurationFile(yaml: yaml)
            entries += file.entries
            loaded.problems += file.problems
        }
        entries += variables(&loaded.problems)
        entries += options(&loaded.problems)

        var origins: [String: String] = [:]
        for entry in entries {
            let key = SettingKey.named(entry.key)
            for var problem in loaded.settings.set(entry.key, to: split(entry.value, for: key)) {
                problem.origin = entry.origin
                loaded.problems.append(problem)
            }
            if let key { origins[key.name] = entry.origin }
        }
        readSecrets(&loaded, origins)
        let complained = Set(loaded.problems.map(\.key))
        for var problem in loaded.settings.problems() where !complained.contains(problem.key) {
            problem.origin = origins[problem.key] ?? ""
            loaded.problems.append(problem)
        }
        return loaded
    }

    /// Lists are separated by commas in one text; an empty text is an empty list.
    private func split(_ value: SettingValue, for key: SettingKey?) -> SettingValue {
        guard case .list(let texts) = value, let key, key.isList, texts.count == 1 else { return value }
        return .list(texts[0].split(separator: ",").map { String($0) }.filter { !$0.allSatisfy { $0 == " " } })
    }

    private func variables(_ problems: inout [SettingProblem]) -> [ConfigurationEntry] {
        var entries: [ConfigurationEntry] = []
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix("UNDERSTUDY_") {
            guard !Self.reservedVariables.contains(variable) else { continue }
            guard let key = SettingKey.named(variable: variable) else {
                let written = variable.dropFirst("UNDERSTUDY_".count).lowercased()
                let nearest = SettingKey.named(SettingKey.nearest(to: written))?.variable ?? ""
                let message = "is not a known variable; did you mean \(nearest)?"
                problems.append(SettingProblem(key: variable, message: message, origin: "environment"))
                continue
            }
            entries.append(ConfigurationEntry(key: key.name, value: .list([text]), origin: variable))
        }
        return entries
    }

    private func options(_ problems: inout [SettingProblem]) -> [ConfigurationEntry] {
        var entries: [ConfigurationEntry] = []
        for option in overrides {
            guard let equals = option.firstIndex(of: "=") else {
                problems.append(SettingProblem(key: option, message: "is not of the form KEY=VALUE", origin: "--set"))
                continue
            }
            let value = SettingValue.list([String(option[option.index(after: equals)...])])
            entries.append(ConfigurationEntry(key: String(option[..<equals]), value: value, origin: "--set"))
        }
        return entries
    }

    private func readSecrets(_ loaded: inout Loaded, _ origins: [String: String]) {
        func read(_ key: String, _ path: String) -> [UInt8]? {
            guard !path.isEmpty else { return [] }
            do throws(Unreadable) {
                return try readFile(path)
            } catch {
                let message = "\(path) cannot be read: \(error.reason)"
                loaded.problems.append(SettingProblem(key: key, message: message, origin: origins[key] ?? ""))
                return nil
            }
        }
        if let bytes = read("cluster.key-file", loaded.settings.cluster.keyFile) {
            loaded.settings.cluster.key = Secret(Self.withoutLineEnd(bytes))
        }
        // Not kept here: TLS reads them itself, and again when they have changed. That they can be read is looked at.
        _ = read("sip.tls.certificate-file", loaded.settings.sip.streams.certificateFile)
        _ = read("sip.tls.key-file", loaded.settings.sip.streams.keyFile)
        for host in loaded.settings.sip.streams.hosts {
            _ = read("sip.tls.hosts", host.certificateFile)
            _ = read("sip.tls.hosts", host.keyFile)
        }
        _ = read("sip.tls.ca-file", loaded.settings.sip.streams.authoritiesFile)
        if let bytes = read("management.token-file", loaded.settings.management.tokenFile) {
            let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            loaded.settings.management.token = Secret(Array(line))
        }
    }

    /// An editor's last line end is not part of a key.
    private static func withoutLineEnd(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        return bytes
    }
}

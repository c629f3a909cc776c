// ScriptCheck says what is wrong with a script before it serves: what Lua cannot compile, functions that are not known
// here, functions whose module is off, and modules that `require` will not find. Names are found in the text, so a
// function that is called through a variable is not seen, and one within `if KSR.auth then` is.

internal import Routes

package struct ScriptFinding: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// It cannot be compiled.
        case syntax
        case unknownFunction
        case moduleOff
        case missingModule
    }

    package var kind: Kind
    package var file: String
    package var line: Int
    package var text: String

    /// `route.lua:12: KSR.tm.t_foo is not known here`.
    package var sentence: String { text.hasPrefix("\(file):") ? text : "\(file):\(line): \(text)" }
}

package enum ScriptCheck {
    /// Everything found, in the order of files and lines.
    /// - Parameter modules: Those that `script.modules` names; `nil` where nobody said, and each is taken to be on.
    package static func findings(in source: ScriptSource, modules: Set<String>?) -> [ScriptFinding] {
        let files = [source.main] + source.modules.values.sorted { $0.name < $1.name }
        return files.flatMap { file in
            findings(in: file, source, modules).sorted { ($0.line, $0.text) < ($1.line, $1.text) }
        }
    }

    /// What nothing can be served with, whatever its functions are; `nil` when it may be a routing script.
    package static func objection(to source: ScriptSource) -> String? {
        let name = source.main.name
        if ["#!KAMAILIO", "#!SER", "#!OPENSER"].contains(where: { source.main.text.starts(with: Array($0.utf8)) }) {
            return "\(name) is a configuration of Kamailio's own language; a script is in Lua, as its app_lua runs it"
        }
        let files = [source.main] + source.modules.values
        let route = Array("ksr_request_route".utf8)
        guard !files.contains(where: { $0.text.firstRange(of: route) != nil }) else { return nil }
        return "\(name) has no function ksr_request_route: nothing would say where requests go"
    }

    private static func findings(
        in file: ScriptSource.File, _ source: ScriptSource, _ modules: Set<String>?
    ) -> [ScriptFinding] {
        if let error = ScriptEngine.syntaxError(of: file) {
            return [ScriptFinding(kind: .syntax, file: file.name, line: error.line, text: error.text)]
        }
        let scanner = KSRScanner(file)
        var findings = scanner.calls.compactMap { call -> ScriptFinding? in
            guard let (kind, text) = complaint(call.name, modules) else { return nil }
            return ScriptFinding(kind: kind, file: file.name, line: call.line, text: text)
        }
        findings += scanner.required.filter { source.modules[$0.name] == nil }.map { required in
            let text = "module '\(required.name)' is not below script.path"
            return ScriptFinding(kind: .missingModule, file: file.name, line: required.line, text: text)
        }
        return findings
    }

    private static func complaint(_ name: String, _ modules: Set<String>?) -> (ScriptFinding.Kind, String)? {
        let module = name.contains(".") ? String(name.prefix { $0 != "." }) : ""
        // `KSR.auth` by itself asks whether the module is there.
        if module.isEmpty, knownModules.contains(name) || unservedModules[name] != nil { return nil }
        if knownNames.contains(name) {
            let isOff = Library.optionalModules.contains(module) && modules.map { !$0.contains(module) } ?? false
            return isOff
                ? (.moduleOff, "KSR.\(name): the module \(module) is off; script.modules does not name it") : nil
        }
        if let reason = unservedModules[module] {
            return (.unknownFunction, "KSR.\(name) is not known here: \(reason)")
        }
        return (.unknownFunction, "KSR.\(name) is not known here")
    }

    private static let knownNames = Set(Library.functions.map(\.name))
    private static let knownModules = Set(Library.functions.map(\.module))

    /// Modules that need something which is not part of a node.
    private static let unservedModules: [String: String] = [
        "rtpproxy": "there is no rtpproxy client", "xmlrpc": "management is over JSON-RPC",
        "nats": "there is no client of NATS", "siptrace": "trace calls with understudy trace",
        "sqlops": "there is no SQL from scripts", "http_client": "there is no HTTP from scripts",
    ]
}

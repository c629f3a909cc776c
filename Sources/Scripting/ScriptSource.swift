// ScriptSource is a script with everything that it may require, read before the engine begins: a run never reads a
// file. Two that read alike have one version.
//
// Limits: 256 files, 8 MiB in all.

internal import Routes

package struct ScriptSource: Equatable, Sendable {
    package static let fileLimit = 256
    package static let sizeLimit = 8 << 20

    package struct File: Equatable, Sendable {
        /// As errors name it.
        package var name: String
        package var text: [UInt8]

        package init(name: String, text: [UInt8]) {
            self.name = name
            self.text = text
        }
    }

    package var main: File
    /// By what `require` calls them: `a.b` for `a/b.lua` and `a/b/init.lua`.
    package private(set) var modules: [String: File] = [:]

    package init(main: File) { self.main = main }

    /// Eight hexadecimal digits that follow from all its files.
    package var version: String {
        var text: [UInt8] = []
        for file in [main] + modules.values.sorted(by: { $0.name < $1.name }) {
            text += Array("\(file.name)\n\(file.text.count)\n".utf8) + file.text
        }
        return RouteText.hex(Array(SHA256.digest(text).prefix(4))).shown
    }

    /// Adds a file below `script.path`; its name is relative to that.
    /// - Returns: `false` where there are too many, or too much.
    package mutating func add(_ file: File) -> Bool {
        guard file.name.hasSuffix(".lua") else { return true }
        let total = modules.values.reduce(main.text.count) { $0 + $1.text.count }
        guard modules.count < Self.fileLimit, total + file.text.count <= Self.sizeLimit else { return false }
        var parts = file.name.dropLast(4).split(separator: "/").map(String.init)
        if parts.count > 1, parts.last == "init" { parts.removeLast() }
        let key = parts.joined(separator: ".")
        if modules[key] == nil || !file.name.hasSuffix("/init.lua") { modules[key] = file }
        return true
    }
}

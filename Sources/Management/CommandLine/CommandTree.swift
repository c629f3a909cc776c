// The commands of a program and what each takes, read from the description that its parser writes of itself: so what is
// said about a mistake always knows the same commands and options as the parser does.

package struct CommandTree: Equatable, Sendable {
    package struct Option: Equatable, Sendable {
        /// As they are typed: `--node`, `-n`.
        package var names: [String]
        package var takesValue: Bool
        package var isRepeating: Bool
        package var abstract = ""
        package var valueName = ""
        package var defaultValue = ""
    }

    package struct Positional: Equatable, Sendable {
        package var name: String
        package var isOptional: Bool
        package var isRepeating: Bool
        package var abstract = ""
    }

    package var name: String
    package var abstract = ""
    package var discussion = ""
    package var options: [Option] = []
    package var positionals: [Positional] = []
    package var commands: [CommandTree] = []

    /// The text is what ArgumentParser's `_dumpHelp()` answers; `nil` when it is not.
    package init?(dump: String) {
        guard let value = try? JSONValue(parsing: dump), let command = value["command"] else { return nil }
        self.init(command)
    }

    private init?(_ command: JSONValue) {
        guard let name = command["commandName"]?.text else { return nil }
        self.name = name
        abstract = command["abstract"]?.text ?? ""
        discussion = command["discussion"]?.text ?? ""
        for argument in command["arguments"]?.elements ?? [] { add(argument) }
        commands = (command["subcommands"]?.elements ?? []).compactMap { CommandTree($0) }.filter { $0.name != "help" }
    }

    private mutating func add(_ argument: JSONValue) {
        let kind = argument["kind"]?.text ?? ""
        let isRepeating = argument["isRepeating"]?.flag ?? false
        let abstract = argument["abstract"]?.text ?? ""
        let value = argument["valueName"]?.text ?? ""
        guard kind != "positional" else {
            let isOptional = argument["isOptional"]?.flag ?? false
            positionals.append(.init(name: value, isOptional: isOptional, isRepeating: isRepeating, abstract: abstract))
            return
        }
        let names = (argument["names"]?.elements ?? []).compactMap { name -> String? in
            guard let text = name["name"]?.text else { return nil }
            return (name["kind"]?.text == "long" ? "--" : "-") + text
        }
        guard !names.contains("--help"), !names.contains("--version") else { return }
        options.append(
            .init(
                names: names, takesValue: kind == "option", isRepeating: isRepeating, abstract: abstract,
                valueName: value, defaultValue: argument["defaultValue"]?.text ?? ""))
    }

    func command(_ name: String) -> CommandTree? { commands.first { $0.name == name } }

    func option(_ name: String) -> Option? { options.first { $0.names.contains(name) } }

    /// Flags of one letter that are written together, `-jw`.
    func isFlags(_ word: String) -> Bool {
        let letters = word.dropFirst()
        guard word.hasPrefix("-"), !word.hasPrefix("--"), letters.count > 1 else { return false }
        return letters.allSatisfy { letter in option("-\(letter)").map { !$0.takesValue } ?? false }
    }
}

// `understudy rpc`: any management method, for scripts and for what has no command of its own. The result is printed as
// it came: members stand in the order that the method documents, which for `dlg.*` is the module's.

import ArgumentParser
import Management

struct Call: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rpc", abstract: "Call any management method and print its result as JSON.",
        discussion: """
            A parameter that reads as JSON (a number, true, a list) is sent as such, anything else as text; \
            before a negative number put --.

            Methods:
            \(methods)
            """)

    private static let methods = RPCMethods.all.map { method in
        let words = ([method.name] + method.parameters).joined(separator: " ")
        return "  \(words)\n      \(method.summary)"
    }.joined(separator: "\n")

    @Argument(help: "The method's name.") var method: String
    @Argument(help: "Its parameters, in order.") var parameters: [String] = []
    @OptionGroup var options: NodeOptions

    func run() async throws {
        let result = try await options.call(method, .array(parameters.map(Self.parameter)))
        Console.print(result.printed)
    }

    /// Digits that would not survive as a number, like a did that begins with 0, are no JSON number and stay text.
    private static func parameter(_ text: String) -> JSONValue {
        guard let value = try? JSONValue(parsing: text) else { return .string(text) }
        if case .number = value { return .string(text) }
        return value
    }
}

// `understudy rpc`: any management method, for scripts and for what has no command of its own. The result is printed as
// it came: members stand in the order that the method documents, which for `dlg.*` is the module's.

import ArgumentParser
import Management
import Node

struct Call: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rpc", abstract: "Call any management method and print its result as JSON.",
        discussion: """
            A parameter that reads as JSON (a number, true, a list) is sent as such, anything else as text. Of a \
            method \
            that this version does not know the node is asked all the same.

            Methods:
            \(methods)
            """)

    private static let methods = RPCMethods.all.map { method in
        let words = ([method.name] + method.parameters).joined(separator: " ")
        return "  \(words)\n      \(method.summary)"
    }.joined(separator: "\n")

    @Argument(help: "The method's name.", completion: .list(RPCMethods.names)) var method: String
    @Argument(help: "Its parameters, in order.") var parameters: [String] = []
    @OptionGroup var options: NodeOptions

    func validate() throws {
        guard let known = RPCMethods.parameters(of: method), parameters.count > known.count else { return }
        let takes = known.isEmpty ? "takes no parameter" : "takes \(known.joined(separator: " "))"
        throw ValidationError("\(method) \(takes); '\(parameters[known.count])' is too many")
    }

    func run() async throws {
        let client = try await options.client()
        do throws(ClientError) {
            Console.print(try await client.call(method, .array(parameters.map(Self.parameter))).printed)
        } catch .refused(let url, let error) where error.message == "Method Not Found" {
            let near = NearMiss.of(method, among: RPCMethods.names).map { "did you mean \($0)?" }
            Console.complain(
                "\(url) knows no method '\(method)'; \(near ?? "understudy rpc --help lists those of this version")")
            throw Console.negative
        } catch {
            throw Asking.complain(error)
        }
    }

    /// Digits that would not survive as a number, like a did that begins with 0, are no JSON number and stay text.
    private static func parameter(_ text: String) -> JSONValue {
        guard let value = try? JSONValue(parsing: text) else { return .string(text) }
        if case .number = value { return .string(text) }
        return value
    }
}

// Which node is asked, and with what token; and how its refusals become exit codes.

import ArgumentParser
import Foundation
import Management
import Node

struct NodeOptions: ParsableArguments {
    static let defaultNode = "http://127.0.0.1:8080"

    @Option(help: ArgumentHelp("Management URL of the node to ask.", valueName: "URL"))
    var node: String?

    @OptionGroup var token: TokenOptions

    static func url(_ given: String?) -> String {
        given ?? ProcessInfo.processInfo.environment["UNDERSTUDY_NODE"] ?? defaultNode
    }

    func client() throws -> RPCClient { try token.client(Self.url(node)) }

    /// Asks the node; what goes wrong is told in one sentence and becomes the exit code.
    func call(_ method: String, _ params: JSONValue = []) async throws -> JSONValue {
        try await Asking.call(try client(), method, params)
    }
}

struct TokenOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File whose first line is the management token.", valueName: "FILE"))
    var tokenFile: String?

    func token() throws -> Secret {
        let path = tokenFile ?? ProcessInfo.processInfo.environment["UNDERSTUDY_TOKEN_FILE"]
        guard let path, !path.isEmpty else { return Secret([]) }
        do {
            return Secret(Array(try Console.read(path).prefix { $0 != 10 && $0 != 13 }))
        } catch {
            Console.complain("the token file \(path) cannot be read: \(Console.reason(error))")
            throw Console.failed
        }
    }

    func client(_ url: String) throws -> RPCClient {
        let token = try token()
        return try Asking.orFail { () throws(ClientError) in try RPCClient(url, token: token) }
    }
}

enum Asking {
    static func call(_ client: any RPCCaller, _ method: String, _ params: JSONValue) async throws -> JSONValue {
        do throws(ClientError) {
            return try await client.call(method, params)
        } catch {
            throw complain(error)
        }
    }

    static func orFail<Value>(_ body: () throws(ClientError) -> Value) throws -> Value {
        do throws(ClientError) { return try body() } catch { throw complain(error) }
    }

    private static func complain(_ error: ClientError) -> ExitCode {
        Console.complain(error.description)
        if case .refused = error { return Console.negative }
        return Console.failed
    }
}

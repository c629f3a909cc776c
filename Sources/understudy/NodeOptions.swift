// Which node is asked, with what token, and whose certificate is believed; and how its refusals become exit codes. A
// node may be named by its URL, or by its name, which a node that can be asked without one knows.

import ArgumentParser
import Foundation
import Management
import Node
import SIP

struct NodeOptions: ParsableArguments {
    static let defaultNode = "http://127.0.0.1:8080"

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The node to ask: its management URL, or its name.", valueName: "URL"))
    var node: String?

    @OptionGroup var access: AccessOptions

    /// Who is asked when nobody is named.
    static var standardNode: String { ProcessInfo.processInfo.environment["UNDERSTUDY_NODE"] ?? defaultNode }

    /// The URL of a node that is given by either; what is neither is left for the client to refuse.
    static func url(_ given: String?, _ access: AccessOptions) async throws -> String {
        guard let given else { return standardNode }
        return try await member(given, access)?.place(access) ?? given
    }

    /// The member of a name; `nil` for a URL. An address is one here, whoever may be called so.
    private static func member(_ given: String, _ access: AccessOptions) async throws -> FoundMember? {
        guard Address(text: given) == nil else { return nil }
        return try await MemberNames.find(given, access, asked: standardNode)
    }

    func client() async throws -> RPCClient { try access.client(try await Self.url(node, access)) }

    /// Who answers what may be asked over the bus: a member of a name is asked through the standard node.
    func caller() async throws -> any RPCCaller {
        guard let node, let member = try await Self.member(node, access) else {
            return try access.client(node ?? Self.standardNode)
        }
        return try member.caller(access)
    }

    /// Asks the node; what goes wrong is told in one sentence and becomes the exit code.
    func call(_ method: String, _ params: JSONValue = []) async throws -> JSONValue {
        try await Asking.call(try await client(), method, params)
    }
}

/// With what a node lets itself be asked, and by what it is believed.
struct AccessOptions: ParsableArguments {
    @Option(
        name: [.customShort("t"), .long],
        help: ArgumentHelp("File whose first line is the management token.", valueName: "FILE"), completion: .file())
    var tokenFile: String?
    @Option(
        name: .customLong("ca"),
        help: ArgumentHelp(
            "PEM file of the authorities whose certificates are believed of an https:// node; else those of this host.",
            valueName: "FILE"),
        completion: .file())
    var authoritiesFile: String?

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

    func authorities() throws -> TrustedAuthorities {
        let path = authoritiesFile ?? ProcessInfo.processInfo.environment["UNDERSTUDY_CA_FILE"]
        guard let path, !path.isEmpty else { return .system }
        do {
            _ = try Console.read(path)
        } catch {
            Console.complain("the file of authorities \(path) cannot be read: \(Console.reason(error))")
            throw Console.failed
        }
        return try Asking.orFail { () throws(ClientError) in try TrustedAuthorities(file: path) }
    }

    func client(_ url: String) throws -> RPCClient {
        let (token, authorities) = (try token(), try authorities())
        return try Asking.orFail { () throws(ClientError) in
            try RPCClient(url, token: token, authorities: authorities)
        }
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

    static func complain(_ error: ClientError) -> ExitCode {
        Console.complain(error.description)
        if case .refused = error { return Console.negative }
        return Console.failed
    }
}

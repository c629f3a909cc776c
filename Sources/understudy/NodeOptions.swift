// Which node is asked, and with what token; and how its refusals become exit codes. A node may be named by its URL, or
// by its name, which a node that can be asked without one knows.

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

    @OptionGroup var token: TokenOptions

    /// What can be a member's name; anything else is a URL, or is left for the client to refuse.
    static func isName(_ given: String) -> Bool {
        !given.contains(":") && !given.contains("/") && !given.contains(".") && given != "localhost"
            && Address(text: given) == nil
    }

    /// Who is asked when nobody is named.
    static var standardNode: String { ProcessInfo.processInfo.environment["UNDERSTUDY_NODE"] ?? defaultNode }

    /// The URL of a node that is given by either; what is neither is left for the client to refuse.
    static func url(_ given: String?, _ token: TokenOptions) async throws -> String {
        guard let given else { return standardNode }
        guard isName(given) else { return given }
        let url = try MemberURL.find(given, in: try await standardStatus(given, token), asked: standardNode)
        // It may lead to another, as 127.0.0.1 does on every host.
        let status = try await Asking.call(try token.client(url), "cluster.status", [])
        let answered = Cell.text(status["node"])
        guard answered == given else {
            throw Asking.complain(.wrongNode(url: url, asked: given, answered: answered))
        }
        return url
    }

    /// What the node that is asked for names says.
    private static func standardStatus(_ name: String, _ token: TokenOptions) async throws -> JSONValue {
        guard let client = try? RPCClient(standardNode, token: try token.token()),
            let status = try? await client.call("cluster.status", [])
        else {
            Console.complain(
                "'\(name)' is no URL, and \(standardNode), which would know a member of that name, cannot be asked: "
                    + "give --node http://ADDRESS:8080")
            throw Console.failed
        }
        return status
    }

    func client() async throws -> RPCClient { try token.client(try await Self.url(node, token)) }

    /// Who answers what may be asked over the bus: a member of a name is asked through the standard node.
    func caller() async throws -> any RPCCaller {
        guard let node, Self.isName(node) else { return try await client() }
        _ = try await Self.standardStatus(node, token)
        return RelayedCaller(node, through: try token.client(Self.standardNode))
    }

    /// Asks the node; what goes wrong is told in one sentence and becomes the exit code.
    func call(_ method: String, _ params: JSONValue = []) async throws -> JSONValue {
        try await Asking.call(try await client(), method, params)
    }
}

/// Where the member of a name is, as another member knows it.
enum MemberURL {
    static func find(_ name: String, in status: JSONValue, asked: String) throws -> String {
        if status["node"]?.text == name { return asked }
        let members = status["members"]?.elements ?? []
        guard let member = members.first(where: { $0["name"]?.text == name }) else {
            let known = members.compactMap { $0["name"]?.text }.filter { !$0.isEmpty }.joined(separator: ", ")
            Console.complain("no member is called \(name); there are: \(known)")
            throw Console.failed
        }
        guard let url = member["url"]?.text, !url.isEmpty else {
            Console.complain("\(name) serves no management; set management.http there")
            throw Console.failed
        }
        return url
    }
}

struct TokenOptions: ParsableArguments {
    @Option(
        name: [.customShort("t"), .long],
        help: ArgumentHelp("File whose first line is the management token.", valueName: "FILE"), completion: .file())
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

    static func complain(_ error: ClientError) -> ExitCode {
        Console.complain(error.description)
        if case .refused = error { return Console.negative }
        return Console.failed
    }
}

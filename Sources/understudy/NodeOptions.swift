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

    /// Whether it is a member's name; anything else is a URL, or is left for the client to refuse. What could be a
    /// host's name as well, `n1.example.org`, is a member's if whoever is asked knows one of that name.
    /// - Parameter asked: Whom to ask; `nil` for the standard node.
    static func isName(_ given: String, _ access: AccessOptions, asked: String? = nil) async -> Bool {
        guard !given.contains(":"), !given.contains("/"), given != "localhost", Address(text: given) == nil else {
            return false
        }
        guard given.contains(".") else { return true }
        guard let client = try? access.client(asked ?? standardNode),
            let status = try? await client.call("cluster.status", [])
        else { return false }
        let members = status["members"]?.elements ?? []
        return status["node"]?.text == given || members.contains { $0["name"]?.text == given }
    }

    /// Who is asked when nobody is named.
    static var standardNode: String { ProcessInfo.processInfo.environment["UNDERSTUDY_NODE"] ?? defaultNode }

    /// The URL of a node that is given by either; what is neither is left for the client to refuse.
    static func url(_ given: String?, _ access: AccessOptions) async throws -> String {
        guard let given else { return standardNode }
        guard await isName(given, access) else { return given }
        let url = try MemberURL.find(given, in: try await standardStatus(given, access), asked: standardNode)
        // It may lead to another, as 127.0.0.1 does on every host.
        let status = try await Asking.call(try access.client(url), "cluster.status", [])
        let answered = Cell.text(status["node"])
        guard answered == given else {
            throw Asking.complain(.wrongNode(url: url, asked: given, answered: answered))
        }
        return url
    }

    /// What the node that is asked for names says.
    private static func standardStatus(_ name: String, _ access: AccessOptions) async throws -> JSONValue {
        guard let client = try? access.client(standardNode),
            let status = try? await client.call("cluster.status", [])
        else {
            Console.complain(
                "'\(name)' is no URL, and \(standardNode), which would know a member of that name, cannot be asked: "
                    + "give --node http://ADDRESS:8080")
            throw Console.failed
        }
        return status
    }

    func client() async throws -> RPCClient { try access.client(try await Self.url(node, access)) }

    /// Who answers what may be asked over the bus: a member of a name is asked through the standard node.
    func caller() async throws -> any RPCCaller {
        guard let node, await Self.isName(node, access) else { return try await client() }
        _ = try await Self.standardStatus(node, access)
        return RelayedCaller(node, through: try access.client(Self.standardNode))
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

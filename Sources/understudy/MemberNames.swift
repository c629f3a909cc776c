// A node that is given by its name, which another node knows. What could be a host's name as well, `n1.example.org`, is
// a member's if whoever is asked knows one of that name; else it is a host's, and where that cannot be asked either,
// both are told.

import Management
import Node

/// The members that a node knows, by name.
struct MemberNames {
    /// Who was asked: its URL.
    let asked: String
    private let members: [JSONValue]

    /// - Returns: `nil` when it cannot be asked.
    static func ask(_ url: String, _ access: AccessOptions) async throws -> MemberNames? {
        let (token, authorities) = (try access.token(), try access.authorities())
        guard let client = try? RPCClient(url, token: token, authorities: authorities),
            let status = try? await client.call("cluster.status", [])
        else { return nil }
        return MemberNames(asked: url, members: status["members"]?.elements ?? [])
    }

    /// What cannot be a URL, nor a host's name: without a colon, a slash or a dot.
    static func isName(_ given: String) -> Bool { mayBeName(given) && !given.contains(".") }

    /// A name, or what may be one: `n1.example.org`, and the address of a host, after which a node may be called.
    static func mayBeName(_ given: String) -> Bool {
        !given.isEmpty && given != "localhost" && !given.contains { ":/,".contains($0) || $0.isWhitespace }
    }

    private subscript(name: String) -> JSONValue? { members.first { $0["name"]?.text == name } }

    func contains(_ name: String) -> Bool { self[name] != nil }

    private func unknown(_ name: String) -> String {
        let known = members.compactMap { $0["name"]?.text }.filter { !$0.isEmpty }.joined(separator: ", ")
        let near = NearMiss.of(name, among: members.compactMap { $0["name"]?.text }.filter { !$0.isEmpty })
        let hint = near.map { "; did you mean \($0)?" } ?? ""
        return "no member is called \(name); there are: \(known)\(hint)"
    }

    /// The name of a member, as `asked` knows it; `nil` for a URL, and for a host that can be asked, or that nobody
    /// knows better. A name that is neither is told, with those that there are.
    /// - Parameter asked: Its members are meant.
    static func find(_ given: String, _ access: AccessOptions, asked url: String) async throws -> FoundMember? {
        guard mayBeName(given) else { return nil }
        guard let names = try await ask(url, access) else {
            guard isName(given) else { return nil }
            Console.complain(
                "'\(given)' is no URL, and \(url), which would know a member of that name, cannot be asked: "
                    + "give --node http://ADDRESS:8080")
            throw Console.failed
        }
        if let member = names[given] {
            let place = member["self"] == .bool(true) ? url : member["url"]?.text ?? ""
            return FoundMember(name: given, url: place, asked: url)
        }
        guard !isName(given) else {
            Console.complain(names.unknown(given))
            throw Console.failed
        }
        let (token, authorities) = (try access.token(), try access.authorities())
        do throws(ClientError) {
            _ = try await RPCClient(given, token: token, authorities: authorities).call("cluster.status", [])
        } catch {
            Console.complain("\(names.unknown(given)). As a host: \(error.description)")
            throw Console.failed
        }
        return nil
    }
}

/// A member, as another knows it.
struct FoundMember {
    let name: String
    /// Its management as it tells it; empty when it has none.
    let url: String
    /// Who knows it.
    let asked: String

    /// Where it can be asked itself.
    func place(_ access: AccessOptions) async throws -> String {
        guard !url.isEmpty else {
            Console.complain("\(name) serves no management; set management.http there")
            throw Console.failed
        }
        // It may lead to another, as 127.0.0.1 does on every host.
        let status = try await Asking.call(try access.client(url), "cluster.status", [])
        let answered = Cell.text(status["node"])
        guard answered == name else {
            throw Asking.complain(.wrongNode(url: url, asked: name, answered: answered))
        }
        return url
    }

    /// It is asked over the bus, by whoever knows it.
    func caller(_ access: AccessOptions) throws -> any RPCCaller {
        RelayedCaller(name, through: try access.client(asked))
    }
}

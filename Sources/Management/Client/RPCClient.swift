// The client half of management: one JSON-RPC call over HTTP, or over HTTPS where the node has `management.tls` or a
// proxy in front of it ends TLS, with errors that are one clear sentence each.

package import Node

/// Why a call gave nothing; `description` is a sentence for an operator.
package enum ClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The node could not be asked at all.
    case unreachable(url: String, reason: String)
    /// What answered was no HTTP.
    case notHTTP(url: String)
    /// `https://`, and what answered was no TLS.
    case noTLS(url: String)
    case badURL(String)
    /// The file of authorities.
    case badAuthorities(String)
    /// 401; whether a token was sent.
    case denied(url: String, sentToken: Bool)
    case notUnderstood(url: String)
    /// Another node than the one that was meant.
    case wrongNode(url: String, asked: String, answered: String)
    /// A node of another cluster.
    case wrongCluster(url: String, answered: String)
    /// A member could not be asked through another; a whole sentence.
    case notAsked(String)
    /// The node was asked and refused.
    case refused(url: String, RPCError)

    package var description: String {
        switch self {
        case .unreachable(let url, let reason):
            "cannot ask \(url): \(reason); is the node running, and is this its management.http address?"
        case .notHTTP(let url):
            "\(url) does not speak HTTP: is it the port of the bus or of SIP, or does it speak TLS, and https:// is "
                + "wanted? That of management.http is meant"
        case .noTLS(let url): "\(url) does not speak TLS: a node without management.tls is asked by http://"
        case .badAuthorities(let file): "the file of authorities \(file) is no PEM file that can be read"
        case .badURL(let text): "'\(text)' is not a management URL like http://127.0.0.1:8080"
        case .denied(let url, sentToken: false):
            "\(url) wants a token: name its file with --token-file or UNDERSTUDY_TOKEN_FILE"
        case .denied(let url, sentToken: true):
            "\(url) refuses the token that was sent: it is not that of the node's management.token-file"
        case .notUnderstood(let url): "\(url) does not answer like a node: is something else listening there?"
        case .wrongNode(let url, let asked, let answered):
            "\(url), which the members know as \(asked)'s, answers as \(answered): on \(asked) set "
                + "management.http to an "
                + "address that other hosts reach, or management.advertise to the URL that leads to it"
        case .wrongCluster(let url, let answered): "\(url) answers for another cluster, \(answered)"
        case .notAsked(let sentence): sentence
        case .refused(let url, let error): "\(url) answers: \(error.message) (\(error.code))"
        }
    }
}

/// Something that can be asked: a node over HTTP, or a table of answers in a test.
package protocol RPCCaller: Sendable {
    /// How it is named in messages.
    var label: String { get }
    /// Who is asked for other members.
    var relay: any RPCCaller { get }
    func call(_ method: String, _ params: JSONValue) async throws(ClientError) -> JSONValue
}

extension RPCCaller {
    package var relay: any RPCCaller { self }
}

package struct RPCClient: RPCCaller {
    package let label: String
    private let url: ManagementURL
    private let token: Secret
    private let authorities: TrustedAuthorities
    private let timeout: Duration

    /// - Parameters:
    ///   - base: `http://127.0.0.1:8080`; a bare `127.0.0.1:8080` or `127.0.0.1` is taken too.
    ///   - authorities: Of whom a node's certificate must be, when it is `https://`.
    package init(
        _ base: String, token: Secret = Secret([]), authorities: TrustedAuthorities = .system,
        timeout: Duration = .seconds(10)
    ) throws(ClientError) {
        guard let url = ManagementURL(base) else { throw .badURL(base) }
        label = url.text
        self.url = url
        self.token = token
        self.authorities = authorities
        self.timeout = timeout
    }

    package func call(_ method: String, _ params: JSONValue) async throws(ClientError) -> JSONValue {
        let (status, body) = try await post(["jsonrpc": "2.0", "method": .string(method), "params": params, "id": 1])
        if status == 401 { throw .denied(url: label, sentToken: !token.isEmpty) }
        guard let reply = try? JSONValue(parsing: body) else { throw .notUnderstood(url: label) }
        if let error = reply["error"] {
            let code = error["code"]?.whole.flatMap { Int(exactly: $0) } ?? status
            throw .refused(url: label, RPCError(code, error["message"]?.text ?? "no reason given"))
        }
        guard let result = reply["result"] else { throw .notUnderstood(url: label) }
        return result
    }

    private var untrustedReason: String {
        "its certificate is not one that is trusted here for \(url.host), or has ended; --ca names the file of the "
            + "authority that made it"
    }

    private func post(_ message: JSONValue) async throws(ClientError) -> (status: Int, body: [UInt8]) {
        var headers = [(name: "Content-Type", value: "application/json")]
        if !token.isEmpty {
            headers.append((name: "Authorization", value: "Bearer \(String(decoding: token.bytes, as: UTF8.self))"))
        }
        let exchange = HTTPExchange(
            url: url, path: "/rpc", headers: headers, body: message.bytes, authorities: authorities)
        do throws(ExchangeError) {
            let answer = try await exchange.run(timeout: timeout)
            return (answer.status, answer.body)
        } catch {
            switch error {
            case .notHTTP: throw .notHTTP(url: label)
            case .notTLS: throw .noTLS(url: label)
            case .refused: throw .unreachable(url: label, reason: "connection refused")
            case .tooLate: throw .unreachable(url: label, reason: "no answer in time")
            case .noSuchHost: throw .unreachable(url: label, reason: "no such host")
            case .lost: throw .unreachable(url: label, reason: "the connection was lost")
            case .untrusted:
                throw .unreachable(url: label, reason: untrustedReason)
            case .other(let reason): throw .unreachable(url: label, reason: reason)
            }
        }
    }
}

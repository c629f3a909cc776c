// A member that is asked through another: its management may be closed to everybody but its own host. Only what
// `BusDoor` lists can be asked so.

package struct RelayedCaller: RPCCaller {
    private let through: any RPCCaller
    private let member: String

    package init(_ member: String, through: any RPCCaller) {
        self.member = member
        self.through = through.relay
    }

    package var label: String { "\(member), asked through \(through.label)," }
    package var relay: any RPCCaller { through }

    package func call(_ method: String, _ params: JSONValue) async throws(ClientError) -> JSONValue {
        let answer: JSONValue
        do throws(ClientError) {
            answer = try await through.call("cluster.ask", [.string(member), .string(method), params])
        } catch .refused(_, let error) where error.message == "Method Not Found" {
            throw .notAsked("\(through.label) asks nobody for others: its version is older")
        }
        if let why = answer["not_asked"]?.text { throw .notAsked(why) }
        if let error = answer["error"] {
            let code = error["code"]?.whole.flatMap { Int(exactly: $0) } ?? 500
            throw .refused(url: member, RPCError(code, error["message"]?.text ?? "no reason given"))
        }
        guard let result = answer["result"] else { throw .notUnderstood(url: through.label) }
        return result
    }
}

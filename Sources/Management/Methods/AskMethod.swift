// `cluster.ask`: what the command line asks of a member whose management it cannot reach. The node that is asked asks
// the other over the bus. That a member could not be asked is an answer, not an error, and says why in one sentence.

import Cluster
import Node

enum ClusterAsk: RPCMethod {
    static let name = "cluster.ask"
    static let parameters = ["node", "method", "[params]"]
    static let summary = """
        Asks another member over the bus: \(BusDoor.methods.joined(separator: ", ")). Answers result or error as that \
        member does, or not_asked, a sentence.
        """
    static let errors = ["400 Parameter …", "403 … may not be asked over the bus"]
    static let example = #"["n2","cluster.status"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let member = try arguments.requiredText("node", at: 0)
        let method = try arguments.requiredText("method", at: 1)
        let params = arguments.value("params", at: 2) ?? .array([])
        guard params.elements != nil else { throw RPCError.wrongParameter("params", "must be a list") }
        guard BusDoor.methods.contains(method) else { throw BusDoor.closed(method) }
        let question = BusDoor.question(method, params)
        let status = try await context.node.status()
        guard member != status.node else {
            return answer(of: member, await BusDoor(RPCServer(context)).answer(question))
        }
        switch try await context.node.inquire(of: member, question) {
        case .answered(let bytes): return answer(of: member, bytes)
        case let outcome: return ["node": .string(member), "not_asked": .string(why(outcome, member, status))]
        }
    }

    private static func answer(of member: String, _ bytes: [UInt8]) -> JSONValue {
        guard let reply = try? JSONValue(parsing: bytes), reply["result"] != nil || reply["error"] != nil else {
            return ["node": .string(member), "not_asked": .string("\(member) answers what this version cannot read")]
        }
        if let error = reply["error"] { return ["node": .string(member), "error": error] }
        return ["node": .string(member), "result": reply["result"] ?? .null]
    }

    private static func why(_ outcome: InquiryOutcome, _ member: String, _ status: StatusReport) -> String {
        switch outcome {
        case .answered: return ""
        case .unknownMember:
            let names = status.members.map(\.name).filter { !$0.isEmpty }.joined(separator: ", ")
            return "no member is called \(member); there are: \(names)"
        case .notListed:
            return "\(status.node) hears \(member) and has no way to ask it: add \(member)'s cluster.bus to "
                + "cluster.peers of \(status.node)"
        case .notHeard: return "\(status.node) does not hear \(member)"
        case .silent: return "\(member) did not answer \(status.node) over the bus in time"
        case .refused: return "\(member) refused what \(status.node) asked: see the log of \(member)"
        case .forged:
            return "what came as the answer of \(member) has not the code of the cluster's key, and is not believed: "
                + "somebody else has answered, or its version is older"
        case .notUnderstood: return "\(member) answers nothing over the bus: its version is older"
        case .tooLong: return "the answer of \(member) is too long for the bus"
        case .tooMany: return "\(status.node) asks too much of other members already; try again"
        }
    }
}

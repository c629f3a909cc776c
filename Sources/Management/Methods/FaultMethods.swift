// `fault.*`: test aids. They exist only with `management.fault_injection`, which is refused off loopback; without it
// they answer as if they were not there.

import Node

extension RPCContext {
    fileprivate func requireFaultInjection() throws(RPCError) {
        guard allowsFaultInjection else {
            throw RPCError(403, "Fault aids are off; set management.fault_injection on a loopback address")
        }
    }
}

/// Loses one replica silently, to see repair find it.
enum FaultForget: RPCMethod {
    static let name = "fault.forget"
    static let parameters = ["id"]
    static let summary = "Forgets one record, by did or Call-ID, without telling anybody."
    static let errors = ["403 Fault aids are off", "404 No dialog …"]
    static let example = #"["5f0e9c2b7a114d38"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try context.requireFaultInjection()
        let dialog = try await ClusterDialog.find(try arguments.requiredText("id", at: 0), in: context)
        guard try await context.node.forget(did: dialog.did) else {
            throw RPCError(404, "No dialog has the did \(dialog.did)")
        }
        return ["did": .string(dialog.did), "outcome": "forgotten"]
    }
}

/// A partition of one.
enum FaultPauseBus: RPCMethod {
    static let name = "fault.pause_bus"
    static let parameters = ["seconds"]
    static let summary = "Neither sends nor receives on the bus for so many seconds, 1 to 3600; 0 ends it."
    static let errors = ["400 Parameter seconds …", "403 Fault aids are off"]
    static let example = "[40]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try context.requireFaultInjection()
        guard let seconds = try arguments.integer("seconds", at: 0, in: 0...3_600) else {
            throw RPCError.wrongParameter("seconds", "is missing")
        }
        try await context.node.pauseBus(seconds: seconds)
        return ["paused_s": .count(seconds)]
    }
}

/// Shows that no decision uses the wall clock.
enum FaultSkew: RPCMethod {
    static let name = "fault.skew"
    static let parameters = ["seconds"]
    static let summary = "Shifts the wall clock of this node by so many seconds, -100000000 to 100000000."
    static let errors = ["400 Parameter seconds …", "403 Fault aids are off"]
    static let example = "[-3600]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try context.requireFaultInjection()
        guard let seconds = try arguments.integer("seconds", at: 0, in: -100_000_000...100_000_000) else {
            throw RPCError.wrongParameter("seconds", "is missing")
        }
        try await context.node.skew(seconds: seconds)
        return ["skew_s": .count(seconds)]
    }
}

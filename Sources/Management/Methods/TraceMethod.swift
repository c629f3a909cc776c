// `cluster.trace`: what one node has kept of a call.

import Node

/// Part of `understudy trace`.
enum ClusterTrace: RPCMethod {
    static let name = "cluster.trace"
    static let parameters = ["call_id"]
    static let summary = """
        The messages of a call that this node received and sent, without credentials and keys, and what it did between \
        them, as far as it still keeps them.
        """
    static let errors: [String] = []
    static let example = #"["a84b4c76e66710@pc33.atlanta.example.com"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try await context.node.trace(callID: try arguments.requiredText("call_id", at: 0)).json
    }
}

extension TraceReport {
    package var json: JSONValue {
        [
            "node": .string(node), "addresses": .texts(addresses), "on": .bool(isOn),
            "kept_since_ms": keptSince.map { .count($0) } ?? .null,
            "dialogs": .array(
                dialogs.map {
                    [
                        "did": .string($0.did), "home": .string($0.home), "actor": .string($0.actor),
                        "state": .string($0.state),
                    ]
                }),
            "events": .array(events.map(\.json)),
        ]
    }
}

extension TraceEvent {
    package var json: JSONValue {
        [
            "at_ms": .count(at), "number": .count(number), "kind": .string(kind.rawValue), "peer": .string(peer),
            "own": .string(own), "text": .string(text),
        ]
    }
}

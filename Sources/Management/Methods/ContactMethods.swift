// `cluster.contacts` and its kin: what `understudy contacts` asks a node. The contacts are the cluster's, so any node
// answers for all.

import Node

/// `understudy contacts list`
enum ClusterContacts: RPCMethod {
    static let name = "cluster.contacts"
    static let parameters = ["[cursor]"]
    static let summary = "One page of addresses that can be reached, with their contacts, and the cursor of the next."
    static let errors = ["400 Parameter cursor …"]
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let cursor = try arguments.integer("cursor", at: 0, in: 0...Int(UInt32.max)).map { UInt32($0) }
        let page = try await context.node.contacts(after: cursor)
        return [
            "addresses": .array(page.addresses.map(\.json)), "next": page.next.map { .count(Int($0)) } ?? .null,
        ]
    }
}

/// `understudy contacts show`
enum ClusterContact: RPCMethod {
    static let name = "cluster.contact"
    static let parameters = ["address", "[table]"]
    static let summary = "The contacts of one address: user@domain, or the user alone, as it was registered."
    static let errors = ["404 No contact of …"]
    static let example = #"["bob@example.org"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let address = try arguments.requiredText("address", at: 0)
        let table = try arguments.text("table", at: 1) ?? AddressReport.usualTable
        guard let found = try await context.node.contacts(of: address, in: table) else {
            throw RPCError(404, "No contact of \(address) is registered")
        }
        return found.json
    }
}

/// `understudy contacts remove`
enum ClusterRemoveContacts: RPCMethod {
    static let name = "cluster.remove_contacts"
    static let parameters = ["address", "[uri]", "[table]"]
    static let summary = "Takes back one contact of an address, or all; answers how many. The phone may register anew."
    static let errors = ["404 No contact of …", "503 The record takes no more"]
    static let example = #"["bob@example.org","sip:bob@192.0.2.7:5060"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let address = try arguments.requiredText("address", at: 0)
        let uri = try arguments.text("uri", at: 1)
        let table = try arguments.text("table", at: 2) ?? AddressReport.usualTable
        switch try await context.node.removeContacts(of: address, in: table, uri: uri) {
        case nil: throw RPCError(503, "The record takes no more")
        case 0: throw RPCError(404, "No contact of \(address) \(uri.map { "is \($0)" } ?? "is registered")")
        case let count?: return ["address": .string(address), "removed": .count(count)]
        }
    }
}

extension AddressReport {
    var json: JSONValue {
        ["address": .string(address), "table": .string(table), "contacts": .array(contacts.map(\.json))]
    }
}

extension ContactReport {
    var json: JSONValue {
        [
            "uri": .string(uri), "q": .number(q), "expires_s": .count(expiresSeconds), "call_id": .string(callID),
            "cseq": .count(cSeq), "user_agent": .string(userAgent), "path": .string(path),
            "received": .string(received), "instance": .string(instance), "reg_id": .count(registrationID),
            "connection": .bool(hasConnection), "flags": .count(flags), "ruid": .string(uniqueID),
            "registered_unix_ms": .integer(registeredUnixMilliseconds),
        ]
    }
}

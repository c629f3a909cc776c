// `ul.*`, the RPC of Kamailio's `usrloc` module, over contacts that are the cluster's: every node answers for all of
// them. Field names, order and error texts are the module's (5.6.3), so `kamctl ul show` and `kamcli ul` read them.
//
// What a contact of ours has not is printed as the module prints an absent value: `Socket`, since any node may call it,
// `Server-Id` 0, `Keepalive` 0. `State` is CS_SYNC: what is told here is in the cluster's record.

import Node

enum LocationModule {
    /// More addresses are not listed: an answer has a bound. `cluster.contacts` pages without one.
    static let listLimit = 100_000

    static func all(in context: RPCContext) async throws -> [AddressReport] {
        var (found, cursor): ([AddressReport], UInt32?) = ([], nil)
        repeat {
            let page = try await context.node.contacts(after: cursor)
            found += page.addresses
            cursor = page.next
        } while cursor != nil && found.count < listLimit
        return Array(found.prefix(listLimit))
    }

    static func find(_ table: String, _ address: String, in context: RPCContext) async throws -> AddressReport? {
        try await context.node.contacts(of: address, in: table)
    }

    static func contact(_ contact: ContactReport) -> JSONValue {
        func text(_ value: String) -> JSONValue { .string(value.isEmpty ? "[not set]" : value) }
        let modified = contact.registeredUnixMilliseconds / 1_000
        return [
            "Contact": [
                "Address": .string(contact.uri), "Expires": .count(contact.expiresSeconds),
                "Q": contact.q < 1 ? .number(contact.q) : .integer(-1), "Call-ID": .string(contact.callID),
                "CSeq": .count(contact.cSeq),
                "User-Agent": .string(contact.userAgent.isEmpty ? "n/a" : contact.userAgent),
                "Received": text(contact.received), "Path": text(contact.path), "State": "CS_SYNC", "Flags": 0,
                "CFlags": .count(contact.flags), "Socket": "[not set]", "Methods": .integer(contact.methods),
                "Ruid": .string(contact.uniqueID), "Instance": text(contact.instance),
                "Reg-Id": .count(contact.registrationID), "Server-Id": 0,
                "Tcpconn-Id": .integer(contact.hasConnection ? 1 : -1), "Keepalive": 0,
                "Last-Keepalive": .integer(modified), "KA-Roundtrip": 0, "Last-Modified": .integer(modified),
            ]
        ]
    }
}

enum LocationModuleDump: RPCMethod {
    static let name = "ul.dump"
    static let parameters = ["[brief]"]
    static let summary = """
        Every address with its contacts, by tables, as the usrloc module prints it; with brief the addresses alone.
        """
    static let errors: [String] = []
    static let example = #"["brief"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let isBrief = arguments.scannedText(0) == "brief"
        let all = try await LocationModule.all(in: context)
        let tables = Set(all.map(\.table)).union([AddressReport.usualTable]).sorted()
        let domains = tables.map { table -> JSONValue in
            let addresses = all.filter { $0.table == table }
            let listed = addresses.map { address -> JSONValue in
                guard !isBrief else { return ["AoR": .string(address.address)] }
                return [
                    "Info": [
                        "AoR": .string(address.address), "HashID": .integer(address.hash),
                        "Contacts": .array(address.contacts.map(LocationModule.contact)),
                    ]
                ]
            }
            return [
                "Domain": [
                    "Domain": .string(table), "Size": .count(all.first?.buckets ?? 0), "AoRs": .array(listed),
                    "Stats": ["Records": .count(addresses.count), "Max-Slots": .count(addresses.isEmpty ? 0 : 1)],
                ]
            ]
        }
        return ["Domains": .array(domains)]
    }
}

enum LocationModuleLookup: RPCMethod {
    static let name = "ul.lookup"
    static let parameters = ["table", "aor"]
    static let summary = "The contacts of one address; a domain in it counts where addresses have one."
    static let errors = [
        "500 Not enough parameters (table and AOR to lookup)", "500 AOR not found in location table",
    ]
    static let example = #"["location","bob@example.org"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let table = arguments.scannedText(0), let address = arguments.scannedWord(1) else {
            throw RPCError(500, "Not enough parameters (table and AOR to lookup)")
        }
        guard let found = try await LocationModule.find(table, address, in: context) else {
            throw RPCError(500, "AOR not found in location table")
        }
        return [
            "AoR": .string(found.address), "Contacts": .array(found.contacts.map(LocationModule.contact)),
        ]
    }
}

enum LocationModuleRemove: RPCMethod {
    static let name = "ul.rm"
    static let parameters = ["table", "aor"]
    static let summary = "Takes all contacts of an address back; that there are none is no error."
    static let errors = ["500 Not enough parameters (table and AOR to lookup)", "500 Failed to delete AOR"]
    static let example = LocationModuleLookup.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let table = arguments.scannedText(0), let address = arguments.scannedWord(1) else {
            throw RPCError(500, "Not enough parameters (table and AOR to lookup)")
        }
        guard try await context.node.removeContacts(of: address, in: table, uri: nil) != nil else {
            throw RPCError(500, "Failed to delete AOR")
        }
        return [:]
    }
}

enum LocationModuleRemoveContact: RPCMethod {
    static let name = "ul.rm_contact"
    static let parameters = ["table", "aor", "contact"]
    static let summary = "Takes one contact of an address back, by its URI."
    static let errors = [
        "500 Not enough parameters (table, AOR and contact)", "404 AOR not found", "404 Contact not found",
        "500 Internal error (can't delete contact)",
    ]
    static let example = #"["location","bob@example.org","sip:bob@192.0.2.7:5060"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let table = arguments.scannedText(0), let address = arguments.scannedWord(1),
            let contact = arguments.scannedText(2)
        else { throw RPCError(500, "Not enough parameters (table, AOR and contact)") }
        guard try await LocationModule.find(table, address, in: context) != nil else {
            throw RPCError(404, "AOR not found")
        }
        switch try await context.node.removeContacts(of: address, in: table, uri: contact) {
        case nil: throw RPCError(500, "Internal error (can't delete contact)")
        case 0: throw RPCError(404, "Contact not found")
        default: return [:]
        }
    }
}

enum LocationModuleAdd: RPCMethod {
    static let name = "ul.add"
    static let parameters = [
        "table", "aor", "contact", "expires", "q", "path", "flags", "cflags", "methods", "[received]", "[socket]",
    ]
    static let summary = """
        Adds a contact, as if it had registered: expires 1 to 604 800 seconds; path `0` or `.` for none. No contact is \
        permanent here, as expires 0 would make it.
        """
    static let errors = [
        "500 Not enough parameters or wrong format", "500 A contact has a time: 1 to 604800 seconds",
        "500 Can't insert contact: …",
    ]
    static let example = #"["location","bob@example.org","sip:bob@192.0.2.7:5060",3600,1.0,"0",0,0,4294967295]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        guard let table = arguments.scannedText(0), let address = arguments.scannedWord(1),
            let uri = arguments.scannedText(2), let expires = arguments.scannedInteger(3),
            let q = number(arguments[4]), let path = arguments.scannedWord(5), arguments.scannedInteger(6) != nil,
            let flags = arguments.scannedInteger(7), let methods = arguments.scannedInteger(8)
        else { throw RPCError(500, "Not enough parameters or wrong format") }
        guard (1...604_800).contains(expires) else {
            throw RPCError(500, "A contact has a time: 1 to 604800 seconds")
        }
        var wish = ContactWish(address: address, table: table, uri: uri)
        wish.expiresSeconds = Int(expires)
        wish.q = q < 0 ? 1 : min(q, 1)
        wish.path = path == "0" || path == "." ? "" : path
        wish.flags = UInt32(truncatingIfNeeded: flags)
        // All bits are what a contact has that does not say.
        wish.methods = UInt32(truncatingIfNeeded: methods) == .max ? 0 : UInt32(truncatingIfNeeded: methods)
        if let why = try await context.node.addContact(wish) { throw RPCError(500, "Can't insert contact: \(why)") }
        return [:]
    }

    private static func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .integer(let whole): Double(whole)
        case .number(let number): number
        case .string(let text): Double(text)
        case .null, .bool, .array, .object, nil: nil
        }
    }
}

/// What the module asks its database for: the cluster has all of it in memory.
enum LocationModuleUsers: RPCMethod {
    static let name = "ul.db_users"
    static let parameters = ["table"]
    static let summary = "How many addresses of a table have contacts."
    static let errors = ["500 Not enough parameters (table to lookup)"]
    static let example = #"["location"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .count(try await addresses(arguments, in: context).count)
    }

    static func addresses(_ arguments: RPCArguments, in context: RPCContext) async throws -> [AddressReport] {
        guard let table = arguments.scannedText(0) else {
            throw RPCError(500, "Not enough parameters (table to lookup)")
        }
        return try await LocationModule.all(in: context).filter { $0.table == table }
    }
}

enum LocationModuleContacts: RPCMethod {
    static let name = "ul.db_contacts"
    static let parameters = ["table"]
    static let summary = "How many contacts a table has."
    static let errors = LocationModuleUsers.errors
    static let example = LocationModuleUsers.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .count(try await LocationModuleUsers.addresses(arguments, in: context).reduce(0) { $0 + $1.contacts.count })
    }
}

enum LocationModuleExpired: RPCMethod {
    static let name = "ul.db_expired_contacts"
    static let parameters = ["table"]
    static let summary = "0: a contact is let go of when its time is over."
    static let errors = LocationModuleUsers.errors
    static let example = LocationModuleUsers.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        _ = try await LocationModuleUsers.addresses(arguments, in: context)
        return 0
    }
}

enum LocationModuleFlush: RPCMethod {
    static let name = "ul.flush"
    static let parameters: [String] = []
    static let summary = "Nothing is to be done: every change is told to the cluster when it is made."
    static let errors: [String] = []
    static let example = "[]"

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue { [:] }
}

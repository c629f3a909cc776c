// `$ulc(name=>attribute)`: the contacts that `reg_fetch_contacts` has put aside under a name; `[n]` is the n-th.

package import Dialogs
internal import Primitives
internal import SIP

/// The contacts of an address at one moment.
package struct FetchedContacts: Equatable, Sendable {
    var location: LocationName
    var contacts: [StoredBinding]
}

/// What `$ulc` knows of a contact, by the module's names.
enum ContactField: String, CaseIterable, Sendable {
    case address = "aor"
    case table = "domain"
    case addressHash = "aorhash"
    case uri = "addr"
    case path, received, expires, callid, q, cseq, flags, cflags
    case userAgent = "user_agent"
    case socket, modified, methods, count, ruid
    case registrationID = "regid"
    case instance
    case connection = "conid"
    case server = "server_id"
}

extension RouteRun {
    /// `reg_fetch_contacts`.
    package mutating func fetchContacts(_ table: [UInt8], _ uri: [UInt8], as name: [UInt8]) -> Bool {
        guard !name.isEmpty, let key = locationName(table, uri) else { return false }
        let live = location(key).live(at: time.now)
        guard !live.isEmpty, plan.fetched.count < RoutePlan.branchLimit || plan.fetched[name] != nil else {
            plan.fetched[name] = nil
            return false
        }
        plan.fetched[name] = FetchedContacts(location: LocationName(key), contacts: live)
        return true
    }

    /// What an event is about.
    package mutating func putAside(_ contact: ExpiredContact, as name: [UInt8]) {
        plan.fetched[name] = FetchedContacts(location: LocationName(contact.location), contacts: [contact.contact])
    }

    /// `reg_free_contacts`.
    package mutating func freeContacts(_ name: [UInt8]) -> Bool {
        plan.fetched[name] = nil
        return true
    }
}

extension PseudoVariable {
    /// `name=>attribute`.
    static func contactField(_ argument: [UInt8]) -> (name: [UInt8], field: ContactField)? {
        guard let arrow = RouteText.find([0x3D, 0x3E], in: argument), arrow > 0,
            let field = ContactField(rawValue: Array(argument[(arrow + 2)...]).shown)
        else { return nil }
        return (Array(argument[..<arrow]), field)
    }

    func contactValue(in run: RouteRun) -> RouteValue {
        guard let (name, field) = Self.contactField(argument), let fetched = run.plan.fetched[name] else {
            return .null
        }
        switch field {
        case .address: return .text(fetched.location.address)
        case .table: return .text(fetched.location.table)
        case .count: return .integer(fetched.contacts.count)
        default: break
        }
        let index = if case .at(let index) = place { index < 0 ? fetched.contacts.count + index : index } else { 0 }
        guard fetched.contacts.indices.contains(index), let key = fetched.location.bytes else { return .null }
        let stored = fetched.contacts[index]
        let binding = stored.binding
        func text(_ bytes: [UInt8]) -> RouteValue { bytes.isEmpty ? .null : .text(bytes) }
        switch field {
        case .address, .table, .count: return .null  // Of all of them.
        case .addressHash: return .integer(Int(run.locations.id(of: key) & 0x7fff_ffff))
        case .uri: return .text(binding.contact)
        case .path: return text(binding.path)
        case .received: return text(binding.receivedURI)
        case .expires:
            return .integer(run.time.seconds + Int(stored.expiresAt.milliseconds(since: run.time.now) / 1_000))
        case .callid: return .text(stored.callID)
        case .q: return .integer(Int(binding.q))
        case .cseq: return .integer(Int(stored.cSeq))
        case .flags: return .integer(0)
        case .cflags: return .integer(Int(binding.flags))
        case .userAgent: return text(binding.userAgent)
        case .socket: return .null
        case .modified: return .integer(Int(binding.registeredUnixMilliseconds / 1_000))
        case .methods: return .integer(Int(KamailioMethods.theirs(binding.methods)))
        case .ruid: return .text(run.locations.uniqueID(of: stored.key, in: key))
        case .registrationID: return .integer(Int(binding.registrationID))
        case .instance: return text(binding.instance)
        case .connection: return .null
        case .server: return .integer(0)
        }
    }
}

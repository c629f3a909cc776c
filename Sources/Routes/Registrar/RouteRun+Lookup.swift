// The module registrar, its reading half: where a user can be reached. `lookup` makes the best contact the Request-URI,
// and the others branches, all called at once, whatever their q: as the module does. Where a contact leads (a Path, the
// connection that it came over, the place that it was heard from, its URI) is the proxy's to find when the request
// goes; of a phone that has registered more than once it takes one way.

internal import Dialogs
internal import Primitives
internal import SIP

extension RouteRun {
    /// What `lookup` answers.
    package enum Lookup: Int, Sendable {
        case found = 1
        case notFound = -1
        /// There are contacts, and none does this method.
        case methodNotAllowed = -2
        case failed = -3
    }

    /// The contacts of an address that can be called, the largest q first, of equal ones the latest.
    private func contacts(_ name: [UInt8]) -> (able: [Binding], outcome: Lookup) {
        let live = location(name).live(at: time.now).map(\.binding)
        guard !live.isEmpty else { return ([], .notFound) }
        let method: UInt32 = 1 << UInt32(message.method.rawValue)
        let isWithin = !message.toTag.isEmpty
        let able = live.filter { isWithin || $0.methods == 0 || $0.methods & method != 0 }
        guard !able.isEmpty else { return ([], .methodNotAllowed) }
        let sorted = able.sorted {
            ($0.q, $0.stamp.counter, $0.stamp.tag) > ($1.q, $1.stamp.counter, $1.stamp.tag)
        }
        return (settings.registrar.appendsBranches ? sorted : [sorted[0]], .found)
    }

    private var mayLookUp: Bool { message.isRequest && point.kind != .branch && point.kind != .event }

    /// `lookup`, and `lookup_uri` for another address than the Request-URI.
    package mutating func lookup(_ table: [UInt8], _ uri: [UInt8]? = nil) throws(RouteFault) -> Lookup {
        guard mayLookUp, let name = locationName(table, uri ?? requestURI) else { return .failed }
        let (able, outcome) = contacts(name)
        guard let first = able.first else { return outcome }
        plan.requestURI = first.plainURI
        plan.destination = first.hop
        plan.contact = first.bytes
        state.branchFlags[0] |= first.flags
        for other in able.dropFirst() { append(other) }
        return .found
    }

    /// `lookup_to_dset`: the contacts are branches, and the Request-URI stays.
    package mutating func lookupBranches(of uri: [UInt8]?, _ table: [UInt8]) -> Lookup {
        guard mayLookUp, let name = locationName(table, uri ?? requestURI) else { return .failed }
        let (able, outcome) = contacts(name)
        for contact in able { append(contact) }
        return outcome
    }

    /// `lookup_branches`: the Request-URI and the branches that are URIs alone.
    package mutating func lookupAll(_ table: [UInt8]) throws(RouteFault) -> Lookup {
        let before = plan.branches
        plan.branches = []
        var outcome = try lookup(table)
        for branch in before {
            let isPlain = branch.destination.isEmpty && branch.contact.isEmpty && branch.flags == 0
            let found = isPlain ? lookupBranches(of: branch.uri, table) : .notFound
            if found == .found {
                outcome = .found
            } else if plan.branches.count < RoutePlan.branchLimit {
                plan.branches.append(branch)
            }
        }
        return outcome
    }

    /// One that does not fit is left out: 17 phones of one user ring.
    private mutating func append(_ contact: Binding) {
        guard plan.branches.count < RoutePlan.branchLimit else {
            note(.warning, "more contacts than a request may have branches")
            return
        }
        var branch = RouteBranch(uri: contact.plainURI, q: Int(contact.q))
        (branch.destination, branch.path) = (contact.hop, contact.path)
        (branch.flags, branch.contact) = (contact.flags, contact.bytes)
        plan.branches.append(branch)
    }

    // MARK: registered

    /// What `registered_flags` is told of a contact by `xavp_cfg`.
    package struct ContactMatch: OptionSet, Sendable {
        package var rawValue: Int

        package init(rawValue: Int) { self.rawValue = rawValue }

        static let callID = ContactMatch(rawValue: 1)
        static let received = ContactMatch(rawValue: 2)
        static let contact = ContactMatch(rawValue: 4)
    }

    /// `registered`: whether an address has a contact; without one given, the Request-URI, of a response the To.
    package func isRegistered(_ table: [UInt8], _ uri: [UInt8]? = nil, _ flags: Int = 0) -> Bool {
        let address = uri ?? (message.isRequest ? requestURI : self.uri(.to) ?? [])
        guard let name = locationName(table, address) else { return false }
        let match = ContactMatch(rawValue: flags)
        func wanted(_ flag: ContactMatch, _ field: StaticString) -> [UInt8]? {
            guard match.contains(flag), !settings.registrar.configuration.isEmpty else { return nil }
            let value = state.value(.xavp, settings.registrar.configuration, [UInt8](copying: field))
            return value.bytes.isEmpty ? nil : value.bytes
        }
        let (callID, received) = (wanted(.callID, "match_callid"), wanted(.received, "match_received"))
        let contact = wanted(.contact, "match_contact")
        return location(name).live(at: time.now).contains { entry in
            let binding = entry.binding
            if let callID, callID != entry.callID { return false }
            if let received, received != binding.receivedURI { return false }
            return contact.map { $0 == binding.contact } ?? true
        }
    }
}

extension Binding {
    /// Whither, where that is not its URI: the first hop of its Path, else where it was heard from.
    var hop: [UInt8] {
        var hops: [NameAddress] = []
        guard !path.isEmpty, NameAddress.append(listIn: path, ByteRange(path), to: &hops), let first = hops.first else {
            return receivedURI
        }
        return Array(path[first.uri.range])
    }
}

// Where messages come from and go to, by lists: the modules permissions, pike and dispatcher.

internal import Primitives
package import SIP

package struct PermissionSettings: Equatable, Sendable {
    package struct Network: Equatable, Sendable {
        package var group: Int
        package var subnet: Subnet
        /// 0 is any.
        package var port: UInt16

        package init(group: Int, subnet: Subnet, port: UInt16 = 0) {
            self.group = group
            self.subnet = subnet
            self.port = port
        }
    }

    package var networks: [Network] = []

    package init() {}

    /// The first group with an address; of this one only, unless it is negative.
    package func group(of address: Address, _ port: UInt16, group: Int = -1) -> Int? {
        networks.first { network in
            (group < 0 || network.group == group) && network.subnet.contains(address)
                && (network.port == 0 || port == 0 || network.port == port)
        }?.group
    }
}

extension RouteRun {
    package func isPermitted(_ group: Int) -> Bool {
        settings.permissions.group(of: point.source.address, point.source.port, group: group) != nil
    }

    package func isPermitted(_ group: Int, _ address: [UInt8], _ port: Int) -> Bool {
        guard let known = Address(bytes: address, range: ByteRange(address)), let port = UInt16(exactly: port) else {
            return false
        }
        return settings.permissions.group(of: known, port, group: group) != nil
    }

    // MARK: Pike

    /// 1 for a source that sends no more than it should. The balancers and the members are not counted.
    package mutating func checkRate(_ address: Address) -> Int {
        guard !settings.balancers.contains(address), !settings.members.contains(address) else {
            return Pike.Answer.fine.rawValue
        }
        return memory.pike.check(address, at: time.now).rawValue
    }

    // MARK: Dispatcher

    private func key(_ algorithm: Int) -> [UInt8] {
        switch algorithm {
        case 1: uri(.from) ?? []
        case 2: uri(.to) ?? []
        case 3: URIPart.user.value(of: requestURI).bytes
        default: value(.callID) ?? []
        }
    }

    /// Picks a destination; the others of the set, up to a limit, are kept for `ds_next_dst`.
    package mutating func dispatch(
        _ set: Int, _ algorithm: Int, limit: Int = 0, setsURI: Bool = false
    ) throws(RouteFault) -> Bool {
        var order = memory.dispatcher.pick(set, algorithm, key: key(algorithm), using: &chance)
        if limit > 0 { order = Array(order.prefix(limit)) }
        guard let first = order.first else { return false }
        state.dispatched = Array(order.dropFirst().prefix(RoutePlan.branchLimit))
        return try send(to: first, setsURI: setsURI)
    }

    package mutating func dispatchNext(setsURI: Bool = false) throws(RouteFault) -> Bool {
        guard !state.dispatched.isEmpty else { return false }
        return try send(to: state.dispatched.removeFirst(), setsURI: setsURI)
    }

    private mutating func send(to uri: [UInt8], setsURI: Bool) throws(RouteFault) -> Bool {
        state.dispatchedTo = uri
        guard setsURI else { return setDestination(uri) }
        guard let parts = try? URI(uri, ByteRange(uri)) else { return false }
        let end = parts.parameters.isEmpty ? uri.count : Int(parts.parameters.start)
        return try setRequestURI(URIEdit.host(Array(uri[Int(parts.host.start)..<end]), in: requestURI))
    }

    /// Marks the destination that was picked last: `i` takes it out, `a` lets it in again.
    package mutating func markDestination(_ letters: [UInt8]) -> Bool {
        guard !state.dispatchedTo.isEmpty, let letter = letters.first else { return false }
        let isActive = letter & 0xDF == UInt8(ascii: "A")
        return memory.dispatcher.mark(state.dispatchedTo, isActive: isActive)
    }

    package func isFromSet(_ id: Int, ignoringPort: Bool = false) -> Bool {
        memory.dispatcher.set(with: point.source, id: id, ignoringPort: ignoringPort) != nil
    }
}

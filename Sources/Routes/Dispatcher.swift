// Dispatcher picks one of a set of destinations (the module of that name). A pick is a list in the order of trying: the
// first is taken, `ds_next_dst` goes on through the rest, which the transaction keeps.
//
// Algorithms: 0 hash over the Call-ID, 1 over the From URI, 2 over the To URI, 3 over the Request-URI's user, 4 round
// robin, 6 by chance, 8 in the order of priorities, 9 by weight, 10 least loaded (by what this node sent there), 11
// relative weight. A hash is a rendezvous, so a destination that is out moves only its own share.

package import Primitives
package import SIP

package struct DispatcherSet: Equatable, Sendable {
    package struct Destination: Equatable, Sendable {
        package var uri: [UInt8]
        package var priority = 0
        package var weight = 1
        /// Its address and port, where the URI has them.
        package var endpoint: Endpoint?

        package init(uri: [UInt8], priority: Int = 0, weight: Int = 1) {
            self.uri = uri
            self.priority = priority
            self.weight = weight
            guard let parts = try? URI(uri, ByteRange(uri)), let address = Address(bytes: uri, range: parts.host) else {
                return
            }
            endpoint = Endpoint(
                address: address, port: parts.effectivePort(in: uri), transport: parts.transport(in: uri) ?? .udp)
        }
    }

    package var id: Int
    package var destinations: [Destination]

    package init(id: Int, destinations: [Destination]) {
        self.id = id
        self.destinations = destinations
    }
}

package struct Dispatcher: Sendable {
    private var sets: [DispatcherSet]
    private var turns: [Int: Int] = [:]
    private var sent: [[UInt8]: Int] = [:]
    /// Destinations that a script took out (`ds_mark_dst`).
    private var inactive: Set<[UInt8]> = []

    package init(_ sets: [DispatcherSet]) { self.sets = sets }

    package func has(_ id: Int) -> Bool { sets.contains { $0.id == id } }

    package func isActive(_ id: Int) -> Bool {
        sets.first { $0.id == id }?.destinations.contains { !inactive.contains($0.uri) } ?? false
    }

    package mutating func mark(_ uri: [UInt8], isActive: Bool) -> Bool {
        guard sets.contains(where: { $0.destinations.contains { $0.uri == uri } }) else { return false }
        if isActive { inactive.remove(uri) } else { inactive.insert(uri) }
        return true
    }

    /// The number of the set that an address is in; of any set where `id` is negative.
    package func set(with endpoint: Endpoint, id: Int, ignoringPort: Bool) -> Int? {
        sets.first { set in
            (id < 0 || set.id == id)
                && set.destinations.contains { destination in
                    guard let known = destination.endpoint else { return false }
                    return known.address == endpoint.address && (ignoringPort || known.port == endpoint.port)
                }
        }?.id
    }

    /// Destinations in the order of trying; empty where there is none.
    /// - Parameter key: What a hash is taken over.
    package mutating func pick(_ id: Int, _ algorithm: Int, key: [UInt8], using chance: inout SplitMix) -> [[UInt8]] {
        guard let set = sets.first(where: { $0.id == id }) else { return [] }
        let active = set.destinations.filter { !inactive.contains($0.uri) }
        guard !active.isEmpty else { return [] }
        var order: [[UInt8]]
        switch algorithm {
        case 0...3: order = Self.byHash(active, key)
        case 4:
            let turn = turns[id, default: 0] % active.count
            turns[id] = turn + 1
            order = Array(active[turn...] + active[..<turn]).map(\.uri)
        case 8:
            order = active.enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }
                .map(\.element.uri)
        case 9, 11: order = Self.byWeight(active, &chance)
        case 10:
            order = active.enumerated().sorted {
                (sent[$0.element.uri, default: 0], $0.offset) < (sent[$1.element.uri, default: 0], $1.offset)
            }.map(\.element.uri)
        default:
            let start = chance.next(below: active.count)
            order = Array(active[start...] + active[..<start]).map(\.uri)
        }
        if let first = order.first { sent[first, default: 0] += 1 }
        return order
    }

    private static func byHash(_ active: [DispatcherSet.Destination], _ key: [UInt8]) -> [[UInt8]] {
        let hash = KeyedHash(key0: 0x6469_7370_6174_6368, key1: 0x6572_2e68_6173_6821)
        let scored = active.map { destination -> (UInt64, [UInt8]) in
            var stream = hash.begin()
            stream.combine(key, ByteRange(key))
            stream.combine(destination.uri, ByteRange(destination.uri))
            return (stream.finish(), destination.uri)
        }
        return scored.sorted { $0.0 > $1.0 }.map(\.1)
    }

    private static func byWeight(
        _ active: [DispatcherSet.Destination], _ chance: inout SplitMix
    ) -> [[UInt8]] {
        var left = active
        var order: [[UInt8]] = []
        while !left.isEmpty {
            let total = left.reduce(0) { $0 + max(1, $1.weight) }
            var point = chance.next(below: total)
            let index = left.firstIndex { destination in
                point -= max(1, destination.weight)
                return point < 0
            }
            order.append(left.remove(at: index ?? 0).uri)
        }
        return order
    }
}

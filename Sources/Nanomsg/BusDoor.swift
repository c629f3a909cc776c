// BusDoor looks after who has connected to the bus ports. nanomsg lets every connection with a valid greeting stay for
// ever, however silent, and as many as there are descriptors; it tells of none. So once a second the process looks
// through its own descriptors, and ends what should not be there:
//
//   silent for 30 s              ended, whoever it is: a member says something ten times a second, and asks every five
//   of one source, no member's   those beyond 32, of all sources beyond 256; the most silent first
//   of a member's address        those beyond 64
//
// A member whose connections come from another address than the one that it is known by is a stranger here, and stays:
// what it says keeps it. Loopback is one source for everybody and has no limit of its own. Who was stopped himself
// believes nobody's silence for a while. An ended connection is made again by whoever means it.

import CSockets
import Synchronization

/// A connection to one of the bus ports.
package struct BusVisitor: Sendable {
    /// Of the source.
    package var high: UInt64
    package var low: UInt64
    package var isLoopback: Bool
    /// Milliseconds since it last said something.
    package var silence: Int64

    package init(high: UInt64, low: UInt64, isLoopback: Bool, silence: Int64) {
        self.high = high
        self.low = low
        self.isLoopback = isLoopback
        self.silence = silence
    }
}

/// What the door may do.
package struct BusDoorRules: Sendable {
    package var silence: Int64
    package var perSource = 32
    package var strangers = 256
    package var perMember = 64

    package init(silence: Int64) { self.silence = silence }

    /// The positions of those that are to be ended, the most silent first.
    package func unwanted(among visitors: [BusVisitor], members: [(high: UInt64, low: UInt64)]) -> [Int] {
        var unwanted = visitors.indices.filter { visitors[$0].silence > silence }
        var sources: [[UInt64]: Int] = [:]
        var strangers = 0
        // Those that spoke last are counted first, so that the limits meet the silent ones.
        let others = visitors.indices.filter { visitors[$0].silence <= silence }
        for index in others.sorted(by: { (visitors[$0].silence, $0) < (visitors[$1].silence, $1) }) {
            let visitor = visitors[index]
            let isMember = members.contains { $0.high == visitor.high && $0.low == visitor.low }
            let count = sources[[visitor.high, visitor.low], default: 0] + 1
            sources[[visitor.high, visitor.low]] = count
            if isMember {
                if count > perMember { unwanted.append(index) }
            } else {
                strangers += 1
                let isOneTooMany = count > perSource && !visitor.isLoopback
                if isOneTooMany || strangers > self.strangers { unwanted.append(index) }
            }
        }
        return unwanted.sorted { (visitors[$1].silence, $0) < (visitors[$0].silence, $1) }
    }
}

/// The thread that looks.
final class BusDoor: Sendable {
    private let address: BusAddress
    private let members: Mutex<[BusAddress]>
    private let rules: BusDoorRules
    private let interval: Int64
    private let state: BusState
    private let woken = Signal()

    /// Connections looked at; more than a process of the bus has descriptors for them.
    private static let capacity = 4_096
    /// Milliseconds after which a look that comes late means that we were stopped, and for how long nobody is ended
    /// then.
    private static let lateness: Int64 = 2_000
    private static let patience: Int64 = 5_000

    init(_ settings: BusSettings, state: BusState) {
        address = settings.bind
        members = Mutex(settings.peers)
        rules = BusDoorRules(silence: settings.silence)
        interval = settings.doorInterval
        self.state = state
    }

    /// The peer of a position, or of the next free one, is at this address from now on.
    func set(_ address: BusAddress, of peer: Int) {
        members.withLock { members in
            if peer < members.count { members[peer] = address } else { members.append(address) }
        }
    }

    func wake() { woken.kick() }

    func run() {
        var last = BusState.now
        var quietUntil = last
        var found = [csys_visitor](repeating: csys_visitor(), count: Self.capacity)
        while !state.isStopping {
            woken.wait(milliseconds: interval)
            let now = BusState.now
            if now - last > (interval + Self.lateness) * 1_000_000 || state.isPaused {
                quietUntil = now + Self.patience * 1_000_000
            }
            last = now
            guard now >= quietUntil else { continue }
            look(&found)
        }
    }

    private func look(_ found: inout [csys_visitor]) {
        var local = address.endpoint
        // Sound: the array has `capacity` places, lent for the call.
        let count = unsafe found.withUnsafeMutableBufferPointer { found in
            unsafe csys_visitors(&local, found.baseAddress, Int32(Self.capacity))
        }
        guard count > 0 else { return }
        let visitors = found[..<Int(count)].map { visitor in
            BusVisitor(
                high: visitor.from.high, low: visitor.from.low,
                isLoopback: visitor.from.is_ipv6 == 0 ? visitor.from.low >> 24 == 127 : visitor.from.low == 1,
                silence: visitor.silence_ms)
        }
        let known = members.withLock { $0 }.map { member in
            let endpoint = member.endpoint
            return (high: endpoint.high, low: endpoint.low)
        }
        for index in rules.unwanted(among: visitors, members: known) {
            // Sound: one struct, lent for the call.
            guard unsafe csys_visitor_end(&found[index]) == 1 else { continue }
            state.count(visitors[index].silence > rules.silence ? \.silentClosed : \.strangersClosed)
        }
    }
}

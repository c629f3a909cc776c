// Everything that can happen at an instant of virtual time. An event holds what it needs to be delivered later, and
// nothing that could have gone stale: a process is named by its serial number, so what was meant for a dead process is
// not given to the one that took its place.

internal import Node
internal import SIP

/// Who is at an address.
enum Party: Hashable {
    case node(Int)
    case balancer
    case phone(Int)
    /// A server behind the cluster.
    case server(Int)
    /// A phone that registers.
    case user(Int)
}

/// One UDP datagram on its way.
struct Packet {
    var bytes: [UInt8]
    /// What the receiver sees as source.
    var source: Endpoint
    var to: Endpoint
    /// Who really sent it; a checker's knowledge, never the receiver's.
    var sender: Party
}

/// One process of a node: the host, and which of its processes.
struct ProcessID: Hashable, Comparable {
    var host: Int
    /// Counts up with every start of that host; never reused, whatever the host's clock says.
    var serial: Int

    static func < (left: ProcessID, right: ProcessID) -> Bool {
        (left.host, left.serial) < (right.host, right.serial)
    }
}

enum Event {
    /// A datagram arrives.
    case packet(Packet, at: Party)
    /// A published frame arrives. `connection` is the number of the connection it left on.
    case frame([UInt8], from: ProcessID, to: Int, connection: Int)
    case request([UInt8], from: ProcessID, to: Int, id: UInt64)
    case reply([UInt8], from: Int, to: ProcessID, id: UInt64)
    /// The deadline of a REQ socket; harmless when the reply came.
    case requestDeadline(ProcessID, peer: Int, id: UInt64)
    case probed(ProcessID, peer: Int, ProbeResult)
    /// A node's own timers.
    case wake(ProcessID)
    case phone(Int, PhoneTimer)
    case server(Int, ServerTimer)
    case user(Int, UserTimer)
    case startCall(Int)
    case script(call: Int, step: Int)
    /// Somebody asks a node to end a call.
    case operatorEnds(call: Int)
    /// A script on some node writes into the record of a call.
    case scriptWrites(call: Int)
    /// A script on some node asks for a request within a call.
    case scriptAsks(call: Int)
    /// What a process has asked of its disk is done, and what became of it told.
    case storage(ProcessID, StorageAction)
    case stored(ProcessID, StorageOutcome)
    /// A node is told to read its script again.
    case reload(host: Int, isGood: Bool)
    case balancerProbe
    /// An operator gives one node a new key file, or takes the old key away.
    case changeKeys
    /// A stranger says something on the bus.
    case stranger
    case fault(FaultAction)
    /// The periodic look of the checkers at every node.
    case sample
    case settlePoint(SettlePoint)
}

/// Moments at which the checkers look at the whole world.
enum SettlePoint: Equatable {
    /// Replicas must be equal from here on, calls still in progress.
    case converged
    /// Everything must be over.
    case final
}

// A host: an address, a clock, and at most one process of its node. Crash and restart change the process; pause and
// wake what reaches it; the host itself keeps its address and its place among the peers.
//
// A paused host (SIGSTOP) keeps what its kernel would keep: datagrams up to a socket buffer, frames up to nanomsg's
// receive buffers, and the timers that came due. Beyond the limits they are lost and counted, as they would be.

internal import Cluster
internal import Node
internal import Primitives
internal import SIP
internal import Scripting

/// What one REQ socket waits for.
struct OutstandingRequest {
    var id: UInt64
    var bytes: [UInt8]
    /// What its reply is sealed to, once it was sent.
    var ticket: SealTicket?
}

/// What one reply is owed to.
struct Question {
    /// `nil` for a stranger.
    var asker: ProcessID?
    var id: UInt64
    var ticket: SealTicket?
}

/// A node that runs. A reference, so that looking into it copies nothing.
final class RunningNode {
    private var node: Node
    /// What answers for its script; `nil` without one.
    let judge: ScriptJudge?

    init(_ node: Node, judge: ScriptJudge? = nil) {
        self.node = node
        self.judge = judge
    }

    /// The node in place. Inout even for a look: a borrowed argument would be copied out of the object first.
    func access<Result>(_ body: (inout Node) -> Result) -> Result {
        body(&node)
    }
}

final class Host {
    /// Datagrams that wait in a stopped process's socket; about 212 kB of them.
    static let datagramLimit = 256
    /// Frames that wait in a stopped process's SUB.
    static let frameLimit = 2_000
    /// Requests that wait behind an outstanding one. The cluster asks one question of a peer at a time.
    static let requestLimit = 16

    let index: Int
    let name: String
    let address: Endpoint
    /// Its process votes, and has neither SIP nor records.
    var isWitness = false
    /// Nanoseconds that this host's monotonic clock is ahead of virtual time; differs from host to host.
    var clockOffset: Int64
    /// Milliseconds that its wall clock is ahead of the world's.
    var wallSkew: Int64

    var node: RunningNode?
    var process: ProcessID
    var boot: UInt64 = 0
    var startedAt: Nanoseconds = 0
    /// The keys in its file, oldest first, and what its process makes of them; `nil` where nothing is sealed.
    var keyFile: [UInt64] = [1]
    var seal: HostSeal?
    /// No power: probes get no answer, not even a refusal.
    var isPoweredOff = false
    /// Crashed and never to return.
    var isGone = false

    var isPaused = false
    var pausedSince: Nanoseconds = 0
    /// When it last went on.
    var resumedAt: Nanoseconds = .min / 2
    /// Since when it serves, and since when it is fit, and whom it heard then.
    var servingSince: Nanoseconds = .max
    var fitSince: Nanoseconds = .min / 2
    var heardWhenFit: [String] = []
    var deferred: [(arrived: Nanoseconds, event: Event)] = []
    var deferredDatagrams = 0
    var deferredFrames = 0

    /// The time of the earliest `wake` in the queue; `.max` without one.
    var wakeAt: Nanoseconds = .max
    /// Wake-ups in a row that found nothing else to do, and when they began: a machine that spins shows here.
    var idleWakes = 0

    /// By peer index: what its REQ has outstanding, and what waits behind.
    var outstanding: [OutstandingRequest?]
    var waiting: [[OutstandingRequest]]
    /// Replies that the process owes, by token.
    var questions: [UInt64: Question] = [:]
    var nextToken: UInt64 = 1

    init(index: Int, name: String, address: Endpoint, peers: Int, clockOffset: Int64, wallSkew: Int64) {
        self.index = index
        self.name = name
        self.address = address
        self.clockOffset = clockOffset
        self.wallSkew = wallSkew
        process = ProcessID(host: index, serial: 0)
        outstanding = Array(repeating: nil, count: peers)
        waiting = Array(repeating: [], count: peers)
    }

    var isAlive: Bool { node != nil }
    /// Alive and running.
    var isRunning: Bool { node != nil && !isPaused }

    func instant(_ now: Nanoseconds) -> Instant { Instant(nanoseconds: now + clockOffset) }
    func virtualTime(_ instant: Instant) -> Nanoseconds {
        instant == .distantFuture ? .max : instant.nanoseconds - clockOffset
    }

    /// Hosts are each other's peers in ascending order, itself left out.
    func host(ofPeer peer: Int) -> Int { peer < index ? peer : peer + 1 }
    func peer(ofHost host: Int) -> Int { host < index ? host : host - 1 }

    /// Forgets everything that a process's end forgets.
    func clearProcessState() {
        deferred = []
        deferredDatagrams = 0
        deferredFrames = 0
        isPaused = false
        servingSince = .max
        wakeAt = .max
        idleWakes = 0
        outstanding = outstanding.map { _ in nil }
        waiting = waiting.map { _ in [] }
        questions = [:]
    }
}

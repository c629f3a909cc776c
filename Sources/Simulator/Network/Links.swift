// Who reaches whom on the bus, and what nanomsg's connections keep while they do not.
//
// Every node's PUB connects to every peer's SUB; REQ likewise. A connection that is cut keeps what its buffers hold and
// delivers it when it is healed, later than anything that was sent after it elsewhere: the frames are then as old as
// the cut was long. What is more than the buffers hold is dropped without a word.

struct Links {
    let nodes: Int
    /// How many faults cut the way from a host to another, at [from · nodes + to].
    private(set) var cuts: [Int]
    /// Counts the connections a way has had: a frame of an earlier one is never delivered.
    private(set) var connection: [Int]
    /// Frames wait here while the way is cut.
    var buffers: [[[UInt8]]]
    /// No frame is carried before this time: the connection is being made.
    private(set) var readyAt: [Nanoseconds]
    /// Frames of one connection keep their order: no arrival before this.
    var lastArrival: [Nanoseconds]
    /// Hosts that cannot reach phones and balancer.
    var unplugged: [Bool]

    init(nodes: Int) {
        self.nodes = nodes
        cuts = Array(repeating: 0, count: nodes * nodes)
        connection = cuts
        buffers = Array(repeating: [], count: nodes * nodes)
        readyAt = Array(repeating: 0, count: nodes * nodes)
        lastArrival = readyAt
        unplugged = Array(repeating: false, count: nodes)
    }

    func way(_ from: Int, _ to: Int) -> Int { from * nodes + to }
    func isCut(_ from: Int, _ to: Int) -> Bool { cuts[way(from, to)] > 0 }
    /// Both ways work, as far as the network is concerned.
    func areConnected(_ one: Int, _ other: Int) -> Bool { one == other || (!isCut(one, other) && !isCut(other, one)) }
    var isWhole: Bool { cuts.allSatisfy { $0 == 0 } }

    mutating func cut(_ from: Int, _ to: Int) { cuts[way(from, to)] += 1 }
    /// - Returns: Whether the way works again.
    mutating func uncut(_ from: Int, _ to: Int) -> Bool {
        let index = way(from, to)
        cuts[index] = max(0, cuts[index] - 1)
        return cuts[index] == 0
    }

    mutating func processEnded(_ host: Int) {
        for other in 0..<nodes {
            reset(host, other, readyAt: .max)
            reset(other, host, readyAt: .max)
        }
    }

    mutating func processStarted(_ host: Int, at now: Nanoseconds, reconnect: () -> Nanoseconds) {
        for other in 0..<nodes {
            reset(host, other, readyAt: now + reconnect())
            reset(other, host, readyAt: now + reconnect())
        }
    }

    mutating func reset(_ from: Int, _ to: Int, readyAt time: Nanoseconds) {
        let index = way(from, to)
        connection[index] += 1
        buffers[index] = []
        readyAt[index] = time
    }
}

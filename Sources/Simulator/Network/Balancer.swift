// The balancer: what it believes of the nodes. It asks each with OPTIONS once a second and takes out who answers 503,
// or nothing twice in a row, so it is always a second or two behind the truth, as a real one is.

internal import SIP

struct Balancer {
    static let probeInterval = Nanoseconds.seconds(1)
    static let missesUntilOut = 2
    static let branchPrefix = "z9hG4bK-lb-"
    static let probePrefix = "z9hG4bK-probe-"

    let endpoint: Endpoint
    var isActive: [Bool]
    var misses: [Int]
    var isAsked: [Bool]
    var probes = 0

    init(nodes: Int, endpoint: Endpoint) {
        self.endpoint = endpoint
        isActive = Array(repeating: false, count: nodes)
        misses = Array(repeating: 0, count: nodes)
        isAsked = Array(repeating: false, count: nodes)
    }

    /// The node for a Call-ID: by hash over all of them, the next active one when that is out.
    func choose(callID: String) -> Int? {
        var hash = TraceHash()
        hash.combine([UInt8](callID.utf8))
        let first = Int(hash.value % UInt64(isActive.count))
        for step in 0..<isActive.count where isActive[(first + step) % isActive.count] {
            return (first + step) % isActive.count
        }
        return nil
    }

    mutating func answered(_ node: Int, _ statusCode: Int) {
        isAsked[node] = false
        misses[node] = 0
        isActive[node] = statusCode == 200
    }

    /// Called before the next question: a node that has not answered the last one is a miss nearer to being out.
    mutating func countMiss(_ node: Int) {
        guard isAsked[node] else { return }
        misses[node] += 1
        if misses[node] >= Balancer.missesUntilOut { isActive[node] = false }
    }
}

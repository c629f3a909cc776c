// What must hold after an outage: a call that was live on every disk that was left is there again until its time is up
// (`disk`), what was over on all of them stays over (`disk-over`), and those whose time passed meanwhile are ended at
// a pace (`disk-pace`).

internal import Dialogs
internal import Node

/// What was on the disks when everything was killed.
struct OutageTruth {
    let struck: Nanoseconds
    /// When the first process may be there again.
    let restart: Nanoseconds
    /// Calls that were live on each, with the first of the deadlines there.
    var live: [Int: Nanoseconds] = [:]
    /// Calls that were over on each, with the moment from which one may come to life on an old disk all the same.
    var over: [Int: Nanoseconds] = [:]
    var isJudged = false
}

extension World {
    /// By when every node has read its disk and heard the others.
    private static let returnTime = Nanoseconds.seconds(8)

    func lookAtOutage() {
        guard let outage = checks.outage, now >= outage.restart else { return }
        for (call, until) in outage.over.sorted(by: { $0.key < $1.key }) where now < until {
            ran("disk-over")
            for host in nodes {
                guard let did = truth[call].did, let node = host.node,
                    let known = NodeInspection.record(did, node, host), known.state != .deleted
                else { continue }
                violate("disk-over", call: call, node: host.index, "it was over on every disk, and is live again")
            }
        }
        guard !outage.isJudged, now >= outage.restart + World.returnTime, disturbances.isQuiet,
            nodes.allSatisfy({ $0.isGone || $0.node.map { NodeInspection.isServing($0) } == true })
        else { return }
        checks.outage?.isJudged = true
        for (call, deadline) in outage.live.sorted(by: { $0.key < $1.key }) where deadline > now {
            judgeReturn(truth[call])
        }
    }

    private func judgeReturn(_ call: CallTruth) {
        guard !call.isEnding, !call.wasRefused, call.askedAt == nil, call.forgotAt == nil, call.byes.isEmpty,
            call.hungUpAt.isEmpty
        else { return looksAway("disk", "somebody ended it") }
        ran("disk")
        let holders = checks.knowers(of: call, self) { $0.state != .deleted }
        guard holders.isEmpty else { return }
        violate("disk", call: call.index, "it was live on every disk that was left, and no node has it")
    }

    /// How many ends may come at once: what each member makes up for of a delay (OverdueEnds), and one besides.
    private static let endsAtOnce = 16

    /// The first BYEs of calls whose time had passed before anybody read them, over the cluster.
    func judgePace() {
        guard let outage = checks.outage else { return }
        let times = outage.live.filter { $0.value < outage.restart }.keys.sorted().compactMap { call in
            truth[call].byes.map(\.at).filter { $0 > outage.restart }.min()
        }.sorted()
        for (index, time) in times.enumerated().dropFirst(World.endsAtOnce) {
            ran("disk-pace")
            let span = time - times[index - World.endsAtOnce]
            guard span < .milliseconds(5) else { continue }
            return violate(
                "disk-pace", "\(World.endsAtOnce + 1) calls whose time had passed end within \(span.inMilliseconds) ms")
        }
    }
}

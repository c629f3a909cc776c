// The settle points. After the faults, replicas must become equal while calls go on (number 5), every node must be up
// (number 12); at the end, every phone must have been told, and nothing may be left.

internal import Dialogs
internal import Node

extension World {
    /// How long after the settle point the replicas may still differ: the spread of a change, many times over.
    static let equalityBound = Nanoseconds.seconds(5)

    func settle(_ point: SettlePoint) {
        if checks.settlePoint == nil { checks.settleSince = now }
        checks.settlePoint = point
        switch point {
        case .converged:
            if now == checks.settleSince { checkComeUp() }
            let difference = replicaDifference()
            if difference == nil {
                checks.convergedAt = now
                checks.settlePoint = nil
            } else if now - checks.settleSince > World.equalityBound {
                violate(
                    "5",
                    "replicas are unequal \((now - Plan.heal).inMilliseconds) ms after the last fault: "
                        + (difference ?? ""))
                checks.settlePoint = nil
            }
        case .final:
            guard arePhonesQuiet && replicaDifference() == nil && !isAnyLive else { return }
            isSettled = true
        }
    }

    /// Number 12.
    private func checkComeUp() {
        ran("12")
        for host in hosts where host.isAlive {
            guard let node = host.node else { continue }
            let standing = NodeInspection.standing(of: node)
            guard !standing.isServing else { continue }
            // Without the members of its view nobody may let it in.
            let gone = hosts.count { $0.isGone }
            if gone * 2 >= hosts.count {
                excuse("12", "\(host.name) is \(standing.state); \(gone) of \(hosts.count) never returned")
            } else {
                violate(
                    "12", node: host.index,
                    "is \(standing.state), \((now - host.startedAt).inMilliseconds) ms after its start")
            }
        }
    }

    /// `nil` when all nodes that serve hold the same live records.
    func replicaDifference() -> String? {
        let serving = nodes.filter { host in
            host.node.map { NodeInspection.isServing($0) } == true
        }
        guard let first = serving.first, let firstNode = first.node else { return nil }
        let digest = NodeInspection.rootDigest(firstNode)
        let counts = NodeInspection.liveCounts(firstNode)
        for host in serving.dropFirst() {
            guard let node = host.node else { continue }
            if NodeInspection.rootDigest(node) != digest { return whatDiffers(first, host) }
            if NodeInspection.liveCounts(node) != counts {
                return "\(first.name) counts \(counts), \(host.name) \(NodeInspection.liveCounts(node))"
            }
        }
        return nil
    }

    private func whatDiffers(_ one: Host, _ other: Host) -> String {
        guard let left = one.node, let right = other.node else { return "" }
        guard let did = NodeInspection.differences(left, right).first else {
            return "\(one.name) and \(other.name) differ in the digest only"
        }
        let call = truth.first { $0.did == did }.map { "call \($0.index)" } ?? "\(String(did, radix: 16))"
        return "\(call): \(one.name) has \(NodeInspection.summary(did, left)), "
            + "\(other.name) has \(NodeInspection.summary(did, right))"
    }

    private var isAnyLive: Bool {
        hosts.contains { host in host.node.map { NodeInspection.live($0) > 0 } == true }
    }

    private var arePhonesQuiet: Bool {
        phones.allSatisfy { phone in
            phone.hasVanished(at: now)
                || (phone.dialog?.state ?? .ended) == .ended && phone.clients.allSatisfy(\.isOver)
                    && phone.surplus.allSatisfy { $0.dialog.state == .ended }
                    && phone.servers.allSatisfy { $0.phase != .answered && $0.phase != .proceeding }
        }
    }

    // MARK: The end

    func finish() {
        for call in truth { judge(call) }
        judgePace()
        ran("5")
        let end = now
        while now < end + World.equalityBound, replicaDifference() != nil { run(for: World.sampleInterval) }
        if let difference = replicaDifference() { violate("5", "replicas are unequal at the end: \(difference)") }
        for host in hosts {
            guard let node = host.node else { continue }
            if !NodeInspection.isServing(node) && !hosts.contains(where: \.isGone) {
                violate("12", node: host.index, "is \(NodeInspection.standing(of: node).state) at the end")
            }
        }
        checkBounds()
    }

    /// Number 8: nothing is kept for ever.
    private func checkBounds() {
        ran("8")
        for host in hosts {
            guard let node = host.node else { continue }
            let counts = NodeInspection.liveCounts(node)
            let tombstones = NodeInspection.tombstones(node)
            // A record stands for one transaction (R16): a copy that the balancer gave to a second node under a branch
            // of its own is another one, where the first was not known there.
            let transactions = truth.reduce(0) { $0 + $1.transactions.count }
            checkTombstones(host)
            if tombstones + counts.reduce(0, +) > transactions {
                violate("8", node: host.index, "\(tombstones) tombstones and \(counts) of \(transactions) INVITEs")
            }
        }
    }
}

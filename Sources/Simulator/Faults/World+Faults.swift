// The faults themselves: what a strike of each kind does, and how it ends. Which node it strikes and for how long is
// drawn when it strikes. All of them are over at `Plan.heal`; what attrition has killed stays dead.

internal import Dialogs
internal import Node

extension World {
    func perform(_ action: FaultAction) {
        switch action {
        case .strike(let kind): strike(kind)
        case .crash(let host, let power): crash(host: host, power: power)
        case .start(let host): start(host: host, clockStepsBack: mayStepBack(host))
        case .pause(let host): pause(host: host)
        case .wake(let host): resume(host: host)
        case .cut(let pairs, let number): cut(pairs, number)
        case .uncut(let number): uncut(number)
        case .lossBurst(let perMille): setLoss(perMille)
        case .unplug(let host): unplug(host)
        case .plugIn(let host): plugIn(host)
        case .drain(let host, let drains): drain(host, drains)
        case .copyDisk: copyDisk()
        case .outage: strikeOutage()
        case .heal: heal()
        }
    }

    private func strike(_ kind: FaultKind) {
        guard now < Plan.heal - .seconds(1) else { return }
        let length = min(faultRandom.pick(World.lengths), Plan.heal - now)
        let alive = hosts.filter(\.isAlive)
        checks.hardship.faults += 1
        log("fault: \(kind.rawValue)")
        checks.coverage?.count(.fault(kind.rawValue))
        switch kind {
        case .crash: strikeDown(alive, 1, power: false, length)
        case .power: strikeDown(alive, 1, power: true, length)
        case .twins: strikeDown(alive, 2, power: false, length)
        case .attrition: attrition(alive)
        case .pause:
            guard let host = drawn(alive.filter { !$0.isPaused }) else { return }
            pause(host: host.index)
            schedule(.fault(.wake(host: host.index)), after: length)
        case .partition: split(oneWay: false, length)
        case .oneway: split(oneWay: true, length)
        case .pair: cutPair(length)
        case .loss:
            setLoss(faultRandom.pick([100, 300, 600]))
            schedule(.fault(.lossBurst(perMille: 0)), after: length)
        case .unplug:
            guard let host = drawn(alive) else { return }
            unplug(host.index)
            schedule(.fault(.plugIn(host: host.index)), after: length)
        case .donor: donor(alive)
        case .forget: forget(alive)
        case .drain:
            guard let host = drawn(alive) else { return }
            drain(host.index, true)
            schedule(.fault(.drain(host: host.index, false)), after: length)
        // Not struck: they are at work all the time.
        case .sniper, .marksman, .drop, .deaf, .severed, .astray, .clockback: break
        }
    }

    private static let lengths: [Nanoseconds] = [
        .milliseconds(300), .milliseconds(900), .seconds(2), .seconds(5), .seconds(9),
    ]

    private func drawn(_ candidates: [Host]) -> Host? {
        candidates.isEmpty ? nil : faultRandom.pick(candidates)
    }

    /// No clock goes back over an outage: how long rows lay is what clocks are asked for.
    private func mayStepBack(_ host: Int) -> Bool {
        plan.outage == nil && plan.faults.contains(.clockback) && hosts[host].process.serial > 0
            && faultRandom.chance(perMille: 500)
    }

    // MARK: Deaths

    /// Kills some, the second within the repair window of the first, and starts them again.
    private func strikeDown(_ alive: [Host], _ count: Int, power: Bool, _ length: Nanoseconds) {
        guard alive.count > count else { return }
        var delay: Nanoseconds = 0
        for host in faultRandom.sample(alive, count) {
            schedule(.fault(.crash(host: host.index, power: power)), after: delay)
            schedule(
                .fault(.start(host: host.index)), after: delay + length + faultRandom.between(0, .milliseconds(500)))
            delay += faultRandom.pick([0, .milliseconds(20), .milliseconds(200), .seconds(1), .seconds(3)])
        }
    }

    private func attrition(_ alive: [Host]) {
        guard alive.count(where: { !$0.isWitness }) > 1, let host = drawn(alive) else { return }
        crash(host: host.index, power: false)
        host.isGone = true
    }

    // MARK: The bus

    private func split(oneWay: Bool, _ length: Nanoseconds) {
        guard hosts.count > 1 else { return }
        let side = faultRandom.sample(Array(hosts.indices), 1 + faultRandom.below(hosts.count - 1))
        var pairs: [(Int, Int)] = []
        for from in hosts.indices {
            for to in hosts.indices where side.contains(from) != side.contains(to) {
                if !oneWay || side.contains(from) { pairs.append((from, to)) }
            }
        }
        cut(pairs, length: length)
    }

    private func cutPair(_ length: Nanoseconds) {
        guard hosts.count > 1 else { return }
        let pair = faultRandom.sample(Array(hosts.indices), 2)
        cut([(pair[0], pair[1]), (pair[1], pair[0])], length: length)
    }

    func cut(_ pairs: [(Int, Int)], length: Nanoseconds) {
        checks.hardship.cuts += 1
        let number = checks.cuts.count
        checks.cuts.append(pairs)
        cut(pairs, number)
        schedule(.fault(.uncut(number: number)), after: length)
    }

    private func cut(_ pairs: [(Int, Int)], _ number: Int) {
        log("cut " + pairs.map { "\(hosts[$0.0].name)→\(hosts[$0.1].name)" }.joined(separator: " "))
        for (from, to) in pairs { links.cut(from, to) }
        disturbances.began(.cut(number), at: now)
    }

    private func uncut(_ number: Int) {
        let pairs = checks.cuts[number]
        guard !pairs.isEmpty else { return }
        checks.cuts[number] = []
        checks.lastUncut = now
        log("healed " + pairs.map { "\(hosts[$0.0].name)→\(hosts[$0.1].name)" }.joined(separator: " "))
        for (from, to) in pairs where links.uncut(from, to) { releaseBuffer(from, to) }
        disturbances.ended(.cut(number), at: now)
    }

    private func setLoss(_ perMille: Int) {
        if perMille > 0 { disturbances.began(.loss, at: now) } else { disturbances.ended(.loss, at: now) }
        disturbances.lossPerMille = perMille
    }

    // MARK: The rest

    private func unplug(_ index: Int) {
        guard !links.unplugged[index] else { return }
        log("\(hosts[index].name) is cut off from phones and balancer")
        links.unplugged[index] = true
        disturbances.began(.unplug(index), at: now)
    }

    private func plugIn(_ index: Int) {
        guard links.unplugged[index] else { return }
        log("\(hosts[index].name) reaches phones and balancer again")
        links.unplugged[index] = false
        disturbances.ended(.unplug(index), at: now)
    }

    private func drain(_ index: Int, _ drains: Bool) {
        let host = hosts[index]
        guard host.isRunning else { return }
        log("\(host.name) \(drains ? "drains" : "no longer drains")")
        drive(host) { node, time, out in NodeInspection.drain(&node, drains, now: time, into: &out) }
    }

    private func forget(_ alive: [Host]) {
        let candidates = alive.filter { !$0.isPaused }
        guard let host = drawn(candidates), let node = host.node else { return }
        // One replica of several: what the last holder forgets, nobody can know.
        let held = truth.filter { call in
            guard let did = call.did, let known = NodeInspection.record(did, node, host) else { return false }
            let others = candidates.contains { other in
                other !== host && other.node.map { NodeInspection.record(did, $0, other) != nil } == true
            }
            return known.state != .deleted && others
        }
        guard nodes.count(where: { $0.isAlive }) > 2, !held.isEmpty else { return }
        let call = faultRandom.pick(held)
        log("\(host.name) loses the record of call \(call.index)", call: call.index)
        lose(call.index, on: host)
    }

    /// Takes one replica away without a word. The process no longer counts as one that knew.
    func lose(_ call: Int, on host: Host) {
        guard let did = truth[call].did else { return }
        truth[call].forget(host.process)
        truth[call].recordLostAt = now
        disturbances.note(.loss, at: now)
        drive(host) { node, time, out in NodeInspection.forget(&node, did, now: time, into: &out) }
        checks.seen[host.process]?[call] = .absent
    }

    /// One member lacks what only one other holds; then a third joins and may take the wrong one for its donor.
    private func donor(_ alive: [Host]) {
        guard alive.count > 2 else { return cutPair(.seconds(2)) }
        let three = faultRandom.sample(alive, 3)
        crash(host: three[2].index, power: false)
        cut([(three[0].index, three[1].index), (three[1].index, three[0].index)], length: .seconds(3))
        schedule(.fault(.start(host: three[2].index)), after: faultRandom.pick([.seconds(2), .seconds(3)]))
        schedule(.fault(.crash(host: three[0].index, power: false)), after: .milliseconds(4_500))
        schedule(.fault(.start(host: three[0].index)), after: .seconds(8))
    }

    private func heal() {
        log("all faults end")
        for number in checks.cuts.indices { uncut(number) }
        for index in hosts.indices { plugIn(index) }
        if disturbances.lossPerMille > 0 { setLoss(0) }
        for host in hosts {
            resume(host: host.index)
            if !host.isAlive { start(host: host.index) } else { drain(host.index, false) }
        }
        disturbances.note(.loss, at: now)
    }
}

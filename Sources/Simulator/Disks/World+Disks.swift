// The disks of hosts: what nodes ask of them is done some milliseconds later, while the process lives. And the outage:
// every process is killed, disks get their trouble, and all start again.

internal import Dialogs
internal import Node
internal import Primitives

extension World {
    /// What a disk says to a process: Unix milliseconds by its host's clock.
    private func wall(_ host: Host) -> Int64 { World.wallOrigin + host.wallSkew + now.inMilliseconds }

    /// A process has just been started.
    func openDisk(_ host: Host) {
        guard plan.outage != nil, !host.isWitness else { return }
        let known = disks[host.index].knownUntil(before: wall(host))
        drive(host) { node, time, _ in node.keepRecords(knownUntil: known, now: time) }
    }

    /// What a node asks for is under way for a while.
    func ask(_ actions: [StorageAction], of host: Host) {
        guard !actions.isEmpty else { return }
        let delay = diskRandom.between(.milliseconds(1), .milliseconds(6))
        for action in actions { schedule(.storage(host.process, action), after: delay) }
    }

    func perform(_ action: StorageAction, for process: ProcessID) {
        let host = hosts[process.host]
        guard host.process == process, host.isAlive else { return }
        let outcome = disks[host.index].perform(action, by: host.name, at: wall(host))
        guard !host.isPaused else {
            host.deferred.append((now, .stored(process, outcome)))
            return
        }
        tell(outcome, to: process)
    }

    func tell(_ outcome: StorageOutcome, to process: ProcessID) {
        let host = hosts[process.host]
        guard host.process == process, host.isAlive else { return }
        drive(host) { node, time, out in node.receive(storage: outcome, now: time, into: &out) }
    }

    // MARK: The outage

    func copyDisk() {
        guard case .old(let host, _)? = plan.outage?.trouble else { return }
        copiedDisk = disks[host]
    }

    func strikeOutage() {
        guard let outage = plan.outage else { return }
        log("every process is killed")
        checks.hardship.faults += 1
        let living = nodes.filter { !$0.isGone }
        for host in living { crash(host: host.index, power: false) }
        checks.outage = OutageTruth(struck: now, restart: now + outage.downtime)
        noteStored(living.filter { $0.index != outage.trouble.host })
        switch outage.trouble {
        case .none: break
        case .lost(let host):
            log("\(hosts[host].name)'s disk is lost")
            disks[host] = SimulatedDisk()
        case .old(let host, let outlivesEnds):
            guard var copy = copiedDisk else { break }
            log("\(hosts[host].name)'s disk is an old copy\(outlivesEnds ? ", older than what the others forgot" : "")")
            copy.age(milliseconds: OutagePlan.copyAgeMilliseconds)
            disks[host] = copy
            guard outlivesEnds else { break }
            for index in disks.indices where index != host { disks[index].forgetWhatIsOver() }
            noteHeldBack(host)
        }
        for host in living {
            let delay = outage.downtime + diskRandom.between(0, .milliseconds(300))
            schedule(.fault(.start(host: host.index)), after: delay)
        }
    }

    /// What all of those disks have of each call.
    private func noteStored(_ living: [Host]) {
        for call in truth {
            guard let did = call.did.map(DialogID.init(rawValue:)) else { continue }
            let rows = living.compactMap { host in disks[host.index].rows[did].map { (host, $0) } }
            guard rows.count == living.count, !rows.isEmpty else { continue }
            if rows.allSatisfy({ $0.1.state == .deleted }) {
                checks.outage?.over[call.index] = .max
            } else if rows.allSatisfy({ $0.1.state != .deleted }) {
                checks.outage?.live[call.index] = rows.map { virtualTime($0.1.deadline, $0.0) }.min() ?? .max
            }
        }
    }

    /// Until when what is over may be nowhere, though an old disk has it live. A phone that still asks for it is
    /// answered from there, and so is left out.
    private func noteHeldBack(_ host: Int) {
        for call in truth {
            guard let did = call.did.map(DialogID.init(rawValue:)), checks.outage?.over[call.index] != nil else {
                continue
            }
            guard let row = disks[host].rows[did], row.state != .deleted else { continue }
            let isAsked = ([caller(of: call.index)] + callees(of: call.index)).contains { phone in
                !phone.clients.allSatisfy(\.isOver)
            }
            checks.outage?.over[call.index] = isAsked ? now : virtualTime(row.deadline, hosts[host])
        }
    }

    private func virtualTime(_ deadline: Int64?, _ host: Host) -> Nanoseconds {
        guard let deadline else { return .max }
        return .milliseconds(deadline - World.wallOrigin - host.wallSkew)
    }
}

extension DiskTrouble {
    /// Whose disk says nothing about what there was.
    var host: Int? {
        switch self {
        case .none: nil
        case .lost(let host), .old(let host, _): host
        }
    }
}

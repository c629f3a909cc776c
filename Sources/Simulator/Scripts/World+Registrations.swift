// What must hold of registrations, whichever nodes die:
//
//   reg-commit  a 200 that counts as committed leaves when a peer has the contact
//   reg-lost    a contact whose 200 has left is found on every node that serves, as long as somebody lives who had it
//   reg-rise    what was taken back does not come back: on no process that knows of it, and after a while on none
//   reg-late    nobody has a contact later than its time, and `reachGrace`; who has read it from a backlog, and
//               `askingTime`, as long as somebody lives who could tell its age
//   reg-answer  with nothing wrong every request of a phone has its answer, and the right one

internal import Node
internal import Primitives
internal import SIP

extension World {
    /// How much later a replica may believe that a contact ends: what its record was on the way, and a turn.
    static let reachGrace = Nanoseconds.milliseconds(1_000)
    /// Whoever reads the first frames of a process after a cut or a stop cannot tell how old they are (R8: no two
    /// clocks are compared). The first quicker one shows it, within a heartbeat; then their ages are asked for, which
    /// may wait for a request whose answer the cut took (1 s). Who could have known is who had the contact at once:
    /// that one is never excused, nor is anybody else when this time is over and one of them could be asked. Where all
    /// of them are dead, or were stopped or cut off until they had forgotten it, there is no clock left to ask: whoever
    /// had slept while the others died has it from its sockets alone.
    static let askingTime = Nanoseconds.milliseconds(1_500)
    /// How long with nothing wrong until every node has what one has, deaths included.
    static let settlingTime = Nanoseconds.seconds(4)

    /// Where a phone sends its request: to the balancer, or straight to some node.
    func drawnWay() -> Endpoint {
        let running = nodes.filter { $0.isRunning && !links.unplugged[$0.index] }
        guard !running.isEmpty, scriptRandom.chance(perMille: 500) else { return balancer.endpoint }
        return scriptRandom.pick(Array(running)).address
    }

    // MARK: What phones do and are told

    func userSends(_ phone: UserPhone, _ number: Int) {
        let request = phone.requests[number]
        log("\(phone.name) sends \(request.kind), \(request.cseq)")
        switch request.kind {
        case .register(let version, let seconds):
            userTruth[phone.index].claims.append(
                Claim(version: version, lifetime: .seconds(Int64(seconds)), cseq: request.cseq))
        case .remove(let version):
            userTruth[phone.index].claims.append(Claim(version: version, lifetime: nil, cseq: request.cseq))
        case .message, .odd: break
        }
    }

    func userIsTold(_ phone: UserPhone, _ number: Int) {
        let request = phone.requests[number]
        log("\(phone.name) is told \(request.status) of \(request.kind), \(request.cseq)")
        guard plan.isCalm else { return }
        ran("reg-answer")
        let expected: Int?
        switch request.kind {
        case .register, .remove: expected = 200
        case .odd(let place): expected = SimulatedScript.odd[place].status
        case .message(let other): expected = answerExpected(to: other, since: request.startedAt)
        }
        guard let expected, request.status != expected else { return }
        violate("reg-answer", "\(phone.name) is told \(request.status) of \(request.kind), and not \(expected)")
    }

    /// 200 while a contact of the user stands, 404 while none does; `nil` while that changes.
    private func answerExpected(to user: Int, since: Nanoseconds) -> Int? {
        let truth = userTruth[user]
        var isThere = false
        for version in Set(truth.claims.map(\.version)) {
            guard let claim = truth.last(version) else { continue }
            // The answer to the last word must have been there before, and its time must not be about to end.
            guard let left = claim.leftAt, left < since else { return nil }
            guard let end = claim.earliestEnd, let last = claim.latestEnd else { continue }
            if now < end - World.reachGrace {
                isThere = true
            } else if since < last + World.reachGrace {
                return nil
            }
        }
        return isThere ? 200 : 404
    }

    /// The registration that a message is of: whose, and its CSeq.
    private func registration(_ bytes: [UInt8]) -> (user: Int, cseq: UInt32)? {
        guard !userPhones.isEmpty, let callID = bytes.callID, callID.hasPrefix("reg-"),
            let line = bytes.header("CSeq"), line.hasSuffix(" REGISTER"),
            let cseq = UInt32(line.prefix { $0 != " " }),
            let phone = userPhones.first(where: { $0.callID == callID })
        else { return nil }
        return (phone.index, cseq)
    }

    /// A datagram has come to a node.
    func noteRegistration(reaching packet: Packet) {
        guard packet.bytes.starts(with: "REGISTER ".utf8), let (user, cseq) = registration(packet.bytes),
            let index = userTruth[user].claim(cseq)
        else { return }
        userTruth[user].claims[index].reachedAt = userTruth[user].claims[index].reachedAt ?? now
        userTruth[user].claims[index].lastReachedAt = now
    }

    /// A datagram is about to leave a node.
    func noteRegistration(leaving packet: Packet, _ host: Host, isUncommitted: Bool) -> Fate {
        guard packet.bytes.starts(with: "SIP/2.0 200".utf8), let (user, cseq) = registration(packet.bytes),
            let index = userTruth[user].claim(cseq), userTruth[user].claims[index].leftAt == nil
        else { return .go }
        let claim = userTruth[user].claims[index]
        let isAlone = host.node.map { NodeInspection.standing(of: $0).livePeers == 0 } ?? true
        let knowers = processes(that: { self.knows(claim, of: user, $0) }).filter { process in
            // Who has never had the contact knows nothing of its end.
            claim.lifetime != nil || process == host.process || userTruth[user].hadContact(claim.version, process)
        }
        userTruth[user].claims[index].leftAt = now
        userTruth[user].claims[index].knowers = knowers
        if claim.lifetime == nil { userTruth[user].removalsKnown[host.process, default: [:]][claim.version] = cseq }
        judgeCommit(claim, user, host, knowers, isUncommitted: isUncommitted || isAlone)
        guard plan.faults.contains(.sniper), now < Plan.heal - .seconds(3), hosts.allSatisfy(\.isAlive),
            scriptRandom.chance(perMille: 60)
        else { return .go }
        checks.snipes += 1
        checks.coverage?.count(.fault(FaultKind.sniper.rawValue))
        schedule(.fault(.start(host: host.index)), after: .seconds(4))
        return scriptRandom.chance(perMille: 500) ? .dieBefore : .dieAfter
    }

    private func judgeCommit(
        _ claim: Claim, _ user: Int, _ host: Host, _ knowers: [ProcessID], isUncommitted: Bool
    ) {
        guard plan.nodes > 1, !isUncommitted, claim.lifetime != nil else { return }
        let justDied = checks.ends.values.contains { now - $0 < .milliseconds(500) }
        // A phone that asks for less than is left of a way has lost it before it is told.
        guard !justDied, let end = claim.earliestEnd, now < end - World.reachGrace else {
            return looksAway("reg-commit", "a death just before, or its time")
        }
        ran("reg-commit")
        guard !knowers.contains(where: { $0.host != host.index }) else { return }
        violate(
            "reg-commit", node: host.index, "the 200 of u\(user)'s \(claim.cseq) leaves, and no peer has the contact")
    }

    private func processes(that hold: (Host) -> Bool) -> [ProcessID] {
        nodes.filter { $0.node != nil && hold($0) }.map(\.process)
    }

    /// Whether a process has this, or what was said later of the same contact.
    private func knows(_ claim: Claim, of user: Int, _ host: Host) -> Bool {
        guard let node = host.node else { return false }
        let cseq = NodeInspection.contact(userPhones[user], claim.version, node, host.instant(now))
        return claim.lifetime == nil ? cseq == nil : (cseq ?? 0) >= claim.cseq
    }

    // MARK: The look at every node

    func lookAtRegistrations() {
        guard !userPhones.isEmpty else { return }
        for phone in userPhones {
            let truth = userTruth[phone.index]
            for version in 0..<(phone.version + 1) { look(phone, truth, version) }
        }
    }

    private func look(_ phone: UserPhone, _ truth: RegistrationTruth, _ version: Int) {
        guard truth.last(version) != nil else { return }
        for host in nodes where host.isRunning {
            guard let node = host.node else { continue }
            let found = NodeInspection.contact(phone, version, node, host.instant(now))
            if let found { judgeFound(phone, truth, version, found, host) } else { noteAbsent(truth, version, host) }
        }
        judgeStanding(phone, truth, version)
    }

    private func judgeFound(
        _ phone: UserPhone, _ truth: RegistrationTruth, _ version: Int, _ cseq: UInt32, _ host: Host
    ) {
        guard let index = truth.claim(cseq), let end = truth.claims[index].latestEnd else {
            return violate("reg-rise", node: host.index, "\(phone.name) has a contact that its phone has never said")
        }
        ran("reg-late")
        if !truth.claims[index].knowers.contains(host.process) { truth.claims[index].knowers.append(host.process) }
        noteTimely(phone.index, index, host)
        judgeAge(phone, truth.claims[index], end, host)
        ran("reg-rise")
        if let removal = truth.removalsKnown[host.process]?[version], cseq < removal {
            violate(
                "reg-rise", node: host.index,
                "\(phone.name)'s contact of \(cseq) is back, which was taken back by \(removal)")
        }
    }

    /// Whether a process could tell by now how old a contact is.
    private func noteTimely(_ user: Int, _ index: Int, _ host: Host) {
        let claim = userTruth[user].claims[index]
        guard !claim.timely.contains(host.process) else { return }
        let isAtOnce = now <= claim.lastReachedAt + World.reachGrace
        let hasAsked = now >= max(checks.lastUncut, host.resumedAt, host.startedAt) + World.askingTime
        guard isAtOnce || hasAsked && claim.timely.contains(where: { canTell($0, of: claim) }) else { return }
        userTruth[user].claims[index].timely.append(host.process)
    }

    /// Whether a process that knew how old a contact is could be asked for so long while it had the contact: with that
    /// it forgets its end.
    private func canTell(_ process: ProcessID, of claim: Claim) -> Bool {
        let host = hosts[process.host]
        guard checks.isAlive(process), !host.isPaused, let end = claim.latestEnd else { return false }
        return max(host.resumedAt, checks.lastUncut) + World.askingTime <= min(now, end)
    }

    private func judgeAge(_ phone: UserPhone, _ claim: Claim, _ end: Nanoseconds, _ host: Host) {
        guard now > end + World.reachGrace else { return }
        let late = (now - end).inMilliseconds
        let text = "\(phone.name)'s contact of \(claim.cseq) is there \(late) ms after its time"
        if claim.timely.contains(host.process) {
            violate("reg-late", node: host.index, text)
        } else if !claim.timely.contains(where: { canTell($0, of: claim) }) {
            excuse("reg-late", "\(host.name): \(text); who could tell its age is dead, or was stopped until its end")
        } else if now < max(checks.lastUncut, host.resumedAt) + World.askingTime {
            looksAway("reg-late", "a backlog was read just now")
        } else {
            violate("reg-late", node: host.index, text)
        }
    }

    /// A process that had a contact whose time is not over, and has it no more, knows that it was taken back.
    private func noteAbsent(_ truth: RegistrationTruth, _ version: Int, _ host: Host) {
        guard let removal = truth.claims.last(where: { $0.version == version && $0.lifetime == nil }),
            removal.reachedAt != nil,
            truth.claims.contains(where: { claim in
                claim.version == version && claim.cseq < removal.cseq && claim.knowers.contains(host.process)
                    && now < (claim.earliestEnd ?? 0) - World.reachGrace
            })
        else { return }
        let known = truth.removalsKnown[host.process]?[version] ?? 0
        truth.removalsKnown[host.process, default: [:]][version] = max(known, removal.cseq)
    }

    /// The last word on a contact, whose 200 has left: every node that serves has it when there was time to tell.
    private func judgeStanding(_ phone: UserPhone, _ truth: RegistrationTruth, _ version: Int) {
        guard let claim = truth.last(version), let left = claim.leftAt,
            now - left > World.settlingTime, disturbances.isQuiet(for: World.settlingTime, at: now)
        else { return }
        if let end = claim.earliestEnd, now > end - World.reachGrace { return }
        let serving = nodes.filter { host in
            host.isRunning && host.node.map { NodeInspection.isServing($0) } == true
        }
        let isRemoval = claim.lifetime == nil
        if isRemoval { ran("reg-rise") } else { ran("reg-lost") }
        let code = isRemoval ? "reg-rise" : "reg-lost"
        for host in serving where !knows(claim, of: phone.index, host) {
            let text = "\(phone.name)'s contact of \(claim.cseq) is \(isRemoval ? "still there" : "not there")"
            let removers = truth.removalsKnown.filter { ($0.value[version] ?? 0) >= claim.cseq }.keys
            let knowers = isRemoval ? claim.knowers + Array(removers) : claim.knowers
            if knowers.contains(where: { checks.isAlive($0) && $0 != host.process }) {
                violate(code, node: host.index, text)
            } else {
                excuse(code, "\(host.name): \(text); all who knew are dead")
            }
        }
    }

    // MARK: Tampering

    /// The checkers believe that a phone has said this; only a test does.
    package func tamper(pretendingRemovalOf user: Int, on host: Int) {
        userTruth[user].removalsKnown[hosts[host].process, default: [:]][userPhones[user].version] = .max
    }

    /// The checkers believe that the time of a phone's contacts was over; only a test does.
    package func tamper(endingContactsOf user: Int) {
        for index in userTruth[user].claims.indices { userTruth[user].claims[index].lastReachedAt -= .seconds(100) }
    }

    /// A node takes contacts back that the phone did not; only a test does.
    package func tamper(losingContactsOf user: Int, on host: Int) {
        let phone = userPhones[user]
        drive(hosts[host]) { node, time, out in
            _ = node.removeContacts(of: phone.address, uri: nil, now: time, into: &out)
        }
    }

    /// The checkers hear once more what was asked about last; only a test does.
    package func tamper(askingAgain: Void) {
        guard let (question, host) = lastAsked else { return }
        note(question, hosts[host])
    }

    /// Users whose contact stands on every node.
    package var usersRegistered: [Int] {
        userPhones.indices.filter { user in
            let version = userPhones[user].version
            guard let claim = userTruth[user].last(version), claim.leftAt != nil, claim.lifetime != nil else {
                return false
            }
            return nodes.allSatisfy { knows(claim, of: user, $0) }
        }
    }
}

extension NodeInspection {
    /// The CSeq of a phone's contact, as a node has it; `nil` when it does not stand.
    static func contact(_ phone: UserPhone, _ version: Int, _ process: RunningNode, _ now: Instant) -> UInt32? {
        let uri = phone.contact(version)
        return process.access { node in
            node.contacts(of: phone.address, now: now)?.contacts.first { $0.uri == uri }.map { UInt32($0.cSeq) }
        }
    }
}

// The shell around one node: starting it, giving it events, performing what it wants, waking it at its deadline, and
// everything that can be done to a process: SIGKILL, SIGSTOP, SIGCONT, a restart with an older clock.

internal import Cluster
internal import Node
internal import Primitives
internal import SIP
internal import Scripting

extension World {
    /// Between epoch and the beginning of every run: 2026, in milliseconds.
    static let wallOrigin: Int64 = 1_790_000_000_000

    func start(host index: Int, clockStepsBack: Bool = false) {
        let host = hosts[index]
        guard !host.isAlive, !host.isGone else { return }
        if clockStepsBack {
            host.wallSkew -= 3_600_000
            checks.coverage?.count(.fault(FaultKind.clockback.rawValue))
        }
        host.clearProcessState()
        host.process.serial += 1
        host.isPoweredOff = false
        host.startedAt = now
        let unix = World.wallOrigin + host.wallSkew + now.inMilliseconds
        host.boot = UInt64(unix)
        host.seal = plan.options.sealed ? HostSeal(keys: host.keyFile) : nil
        links.processStarted(index, at: now, reconnect: { networkRandom.between(0, .milliseconds(120)) })
        let settings = settings(of: host)
        let judge = judge(for: host, settings)
        var node = Node(
            settings: settings, boot: host.boot, seed: faultRandom.next(), now: host.instant(now),
            unixMilliseconds: unix)
        prepare(&node, judge)
        host.node = RunningNode(node, judge: judge)
        log("\(host.name) starts, boot \(host.boot)")
        disturbances.note(.death(index), at: now)
        openDisk(host)
        drive(host) { node, time, out in node.hold(addresses: [host.address.address], now: time, into: &out) }
    }

    func crash(host index: Int, power: Bool) {
        let host = hosts[index]
        guard host.isAlive else { return }
        checks.hardship.kills += 1
        log("\(host.name) \(power ? "loses power" : "is killed")")
        host.node = nil
        host.isPoweredOff = power
        host.clearProcessState()
        links.processEnded(index)
        checks.processEnded(host.process, at: now)
        disturbances.note(.death(index), at: now)
    }

    func pause(host index: Int) {
        let host = hosts[index]
        guard host.isRunning else { return }
        checks.hardship.pauses += 1
        log("\(host.name) is stopped")
        host.isPaused = true
        host.pausedSince = now
        disturbances.began(.pause(index), at: now)
    }

    func resume(host index: Int) {
        let host = hosts[index]
        guard host.isAlive, host.isPaused else { return }
        host.isPaused = false
        host.resumedAt = now
        let wasFit = host.node.map { NodeInspection.mark(of: $0).isFit } ?? false
        host.seal?.adopt(host.keyFile)
        disturbances.ended(.pause(index), at: now)
        let waiting = host.deferred
        host.deferred = []
        host.deferredDatagrams = 0
        host.deferredFrames = 0
        // A kernel hands out what waits in any order: timers first is the hard one (R13), messages first the kind one.
        let timersFirst = faultRandom.chance(perMille: 500)
        log("\(host.name) continues with \(waiting.count) waiting, \(timersFirst ? "timers" : "messages") first")
        if timersFirst { drive(host) { _, _, _ in } }
        for (arrived, event) in waiting where host.isAlive && !host.isPaused {
            receive(event, host, arrived: arrived)
        }
        drive(host) { _, _, _ in }
        checkAwake(host, wasFit)
    }

    /// What arrives at a process: handed over, kept while it is stopped, lost when there is none.
    func arrive(_ event: Event, at host: Host) {
        guard host.isAlive else { return }
        guard host.isPaused else { return receive(event, host, arrived: now) }
        switch event {
        case .packet:
            guard host.deferredDatagrams < Host.datagramLimit else { return }
            host.deferredDatagrams += 1
        case .frame:
            guard host.deferredFrames < Host.frameLimit else { return }
            host.deferredFrames += 1
        default:
            break
        }
        host.deferred.append((now, event))
    }

    private func receive(_ event: Event, _ host: Host, arrived: Nanoseconds) {
        let age = (now - arrived).inMilliseconds
        switch event {
        case .packet(let packet, _):
            checks.packetReached(host, packet, self)
            let duty = duty(of: host, with: packet)
            drive(host) { node, time, out in
                node.receive(
                    datagram: RawSpan(_elements: packet.bytes.span), from: packet.source,
                    on: ListenerID(rawValue: 0), ageMilliseconds: age, now: time, into: &out)
            }
            if let duty { judge(duty, host) }
        case .frame(let bytes, _, _, _):
            // Nothing but frames reaches it.
            if host.isWitness { host.idleWakes = 0 }
            guard let message = opened(bytes, .published, host) else { return }
            hear(frame: message.bytes, host)
        case .request(let bytes, let from, _, let id):
            // Who asks without the key is told nothing.
            guard let message = opened(bytes, .request, host) else { return }
            hear(request: message, from: from, id: id, host)
        case .reply(let bytes, let from, _, let id):
            let peer = host.peer(ofHost: from)
            guard let asked = host.outstanding[peer], asked.id == id else { return }
            conclude(host, peer: peer, id: id, reply: opened(bytes, .reply, host, answering: asked.ticket)?.bytes)
        case .requestDeadline(_, let peer, let id):
            conclude(host, peer: peer, id: id, reply: nil)
        case .stored(let process, let outcome): tell(outcome, to: process)
        case .probed(_, let peer, let result):
            drive(host) { node, time, out in node.receive(probe: result, of: peer, now: time, into: &out) }
        default:
            break
        }
    }

    func hear(frame bytes: [UInt8], _ host: Host) {
        drive(host) { node, time, out in
            node.receive(frame: RawSpan(_elements: bytes.span), now: time, into: &out)
        }
        lookAtAcknowledged(host)
    }

    func hear(request message: OpenedMessage, from asker: ProcessID?, id: UInt64, _ host: Host) {
        let token = host.nextToken
        host.nextToken += 1
        host.questions[token] = Question(asker: asker, id: id, ticket: message.ticket)
        drive(host) { node, time, out in
            node.receive(request: RawSpan(_elements: message.bytes.span), token: token, now: time, into: &out)
        }
    }

    /// Gives a node one event and then its time, as a shell does at the end of each batch, and performs what it wants.
    func drive(_ host: Host, _ event: (inout Node, Instant, inout Outbox) -> Void) {
        guard let running = host.node else { return }
        let time = host.instant(now)
        outbox.removeAll()
        let before = NodeInspection.mark(of: running)
        let wasUncommitted = running.access { node in
            let before = node.uncommittedAnswers
            event(&node, time, &outbox)
            answer(&node, host, running.judge, advances: false)
            node.advance(to: time, into: &outbox)
            answer(&node, host, running.judge, advances: true)
            return node.uncommittedAnswers > before
        }
        noteAsked(host)
        notePassages(host)
        judgeTurn(host, from: before)
        perform(host, isUncommitted: wasUncommitted)
        scheduleWake(host)
    }

    private func perform(_ host: Host, isUncommitted: Bool) {
        if sink != nil { for note in outbox.notes where note.level > .debug { log("\(host.name): \(note.line)") } }
        let (datagrams, arena) = (outbox.datagrams, outbox.arena)
        let (actions, busArena, code) = (outbox.bus, outbox.busArena, outbox.exit)
        let process = host.process
        for note in outbox.notes where note.message == Note.finishing {
            if let name = note.metadata.first(where: { $0.0 == "call-id" })?.1, let call = calls[name] {
                tookOver(host, truth[call])
            }
        }
        ask(outbox.storage, of: host)
        if !outbox.events.isEmpty { note(outbox.events, host) }
        if !outbox.requests.isEmpty { note(outbox.requests, host) }
        for datagram in datagrams {
            let packet = Packet(
                bytes: Array(arena[datagram.range.range]), source: host.address, to: datagram.to,
                sender: .node(host.index))
            switch checks.packetLeaves(host, packet, isUncommitted: isUncommitted, self) {
            case .go: send(packet)
            case .dieBefore: crash(host: host.index, power: false)
            case .dieAfter:
                send(packet)
                crash(host: host.index, power: false)
            }
            guard host.process == process, host.isAlive else { return }
        }
        for action in actions { perform(action, host, busArena) }
        if let code {
            log("\(host.name) exits with \(code)")
            checks.exits += 1
            crash(host: host.index, power: false)
            // As a service manager would: a new process, a moment later.
            schedule(.fault(.start(host: host.index)), after: .seconds(1))
        }
    }

    /// One millisecond is what an event loop's timeout can tell apart.
    private func scheduleWake(_ host: Host) {
        guard let running = host.node else { return }
        let next = min(running.access { $0.nextDeadline }, running.judge?.next ?? .distantFuture)
        let due = host.virtualTime(next)
        guard due != .max else { return }
        let time = max(due, now + .milliseconds(1))
        guard time < host.wakeAt else { return }
        host.wakeAt = time
        queue.push(.wake(host.process), at: time)
    }

    func wake(_ process: ProcessID) {
        let host = hosts[process.host]
        guard host.process == process, host.isAlive, now >= host.wakeAt else { return }
        host.wakeAt = .max
        guard !host.isPaused else { return }
        checks.woken(host, self)
        drive(host) { _, _, _ in }
    }
}

extension Note {
    var line: String {
        message + metadata.map { " \($0.0)=\($0.1)" }.joined()
    }
}

// The bus as nanomsg is seen from outside: PUB to every peer's SUB, lossy and silent about it; one REQ a peer, answered
// once or never; a connect to the bus port as probe of life.

internal import Cluster
internal import Node
internal import Primitives

extension World {
    /// A REQ socket's deadline.
    static let requestDeadline = Nanoseconds.seconds(1)
    /// How long a connect that is not answered is waited for.
    static let probeDeadline = Nanoseconds.milliseconds(300)

    func perform(_ action: BusAction, _ host: Host, _ arena: [UInt8]) {
        switch action {
        case .publish(let range): publish(Array(arena[range.range]), host)
        case .request(let peer, let id, let range): ask(host, peer: peer, id: id, Array(arena[range.range]))
        case .reply(let token, let range): reply(host, token: token, Array(arena[range.range]))
        case .probe(let peer): probe(host, peer: peer)
        case .recycle(let peer): recycle(host, peer: peer)
        // A simulated cluster names its peers in the settings.
        case .connect(let peer, _), .disconnect(let peer): badPeer(host, peer)
        }
    }

    // MARK: Frames

    private func publish(_ plain: [UInt8], _ host: Host) {
        checks.frameLeaves(plain.count, self)
        let bytes = sealed(plain, host).bytes
        strangerHears(bytes, plain, .published, host)
        for other in hosts where other.index != host.index {
            let way = links.way(host.index, other.index)
            guard other.isAlive, links.readyAt[way] <= now else { continue }
            if links.isCut(host.index, other.index) {
                if links.buffers[way].count < plan.cutBuffer {
                    links.buffers[way].append(bytes)
                } else {
                    checks.hardship.lostFrames += 1
                }
                continue
            }
            let loss = max(isHealed ? 0 : plan.bus.lossPerMille, disturbances.lossPerMille)
            if networkRandom.chance(perMille: loss) || isDropped() {
                checks.hardship.lostFrames += 1
                continue
            }
            carry(bytes, host.process, to: other.index)
            if !isHealed && networkRandom.chance(perMille: plan.bus.duplicationPerMille) {
                carry(bytes, host.process, to: other.index)
            }
        }
    }

    private func carry(_ bytes: [UInt8], _ from: ProcessID, to: Int) {
        let way = links.way(from.host, to)
        var time = now + plan.bus.latency + networkRandom.between(0, plan.bus.jitter)
        if isHealed || !plan.bus.reorders {
            time = max(time, links.lastArrival[way])
            links.lastArrival[way] = time
        }
        queue.push(.frame(bytes, from: from, to: to, connection: links.connection[way]), at: time)
    }

    func deliverFrame(_ bytes: [UInt8], from: ProcessID, to: Int, connection: Int) {
        guard links.connection[links.way(from.host, to)] == connection else { return }
        trace.combine(bytes)
        arrive(.frame(bytes, from: from, to: to, connection: connection), at: hosts[to])
    }

    /// What a healed connection still held comes now.
    func releaseBuffer(_ from: Int, _ to: Int) {
        let way = links.way(from, to)
        let held = links.buffers[way]
        links.buffers[way] = []
        links.lastArrival[way] = now + networkRandom.between(0, .milliseconds(300))
        guard hosts[from].isAlive else { return }
        for bytes in held { carry(bytes, hosts[from].process, to: to) }
    }

    private func recycle(_ host: Host, peer: Int) {
        guard peer >= 0, peer < plan.hostCount - 1 else { return badPeer(host, peer) }
        let other = host.host(ofPeer: peer)
        guard hosts[other].isAlive else { return }
        links.reset(host.index, other, readyAt: now + networkRandom.between(.milliseconds(1), .milliseconds(50)))
    }

    // MARK: Requests

    private func ask(_ host: Host, peer: Int, id: UInt64, _ bytes: [UInt8]) {
        guard peer >= 0, peer < plan.hostCount - 1 else { return badPeer(host, peer) }
        let request = OutstandingRequest(id: id, bytes: bytes)
        guard host.outstanding[peer] == nil else {
            host.waiting[peer].append(request)
            if host.waiting[peer].count > Host.requestLimit {
                violate("8", node: host.index, "\(host.waiting[peer].count) requests wait for one peer")
            }
            return
        }
        transmit(host, peer, request)
    }

    private func transmit(_ host: Host, _ peer: Int, _ request: OutstandingRequest) {
        host.outstanding[peer] = request
        let other = host.host(ofPeer: peer)
        let message = sealed(request.bytes, host)
        host.outstanding[peer]?.ticket = message.ticket
        strangerHears(message.bytes, request.bytes, .request, host)
        schedule(.requestDeadline(host.process, peer: peer, id: request.id), after: World.requestDeadline)
        guard links.areConnected(host.index, other), hosts[other].isAlive else { return }
        let delay = plan.bus.latency + networkRandom.between(0, plan.bus.jitter)
        schedule(.request(message.bytes, from: host.process, to: other, id: request.id), after: delay)
    }

    func deliverRequest(_ bytes: [UInt8], from: ProcessID, to: Int, id: UInt64) {
        guard links.areConnected(from.host, to) else { return }
        trace.combine(bytes)
        arrive(.request(bytes, from: from, to: to, id: id), at: hosts[to])
    }

    private func reply(_ host: Host, token: UInt64, _ plain: [UInt8]) {
        guard let question = host.questions.removeValue(forKey: token) else {
            violate("bus", node: host.index, "a reply to a request that was answered or never came")
            return
        }
        let bytes = sealed(plain, host, to: question.ticket).bytes
        strangerHears(bytes, plain, .reply, host, to: question.ticket)
        guard let asker = question.asker, links.areConnected(host.index, asker.host) else { return }
        let delay = plan.bus.latency + networkRandom.between(0, plan.bus.jitter)
        schedule(.reply(bytes, from: host.index, to: asker, id: question.id), after: delay)
    }

    func deliverReply(_ bytes: [UInt8], from: Int, to process: ProcessID, id: UInt64) {
        let host = hosts[process.host]
        guard host.process == process, links.areConnected(from, process.host) else { return }
        trace.combine(bytes)
        arrive(.reply(bytes, from: from, to: process, id: id), at: host)
    }

    func requestDeadline(_ process: ProcessID, peer: Int, id: UInt64) {
        let host = hosts[process.host]
        guard host.process == process, host.outstanding[peer]?.id == id else { return }
        arrive(.requestDeadline(process, peer: peer, id: id), at: host)
    }

    /// The one end of a request: its reply, or none.
    func conclude(_ host: Host, peer: Int, id: UInt64, reply: [UInt8]?) {
        guard host.outstanding[peer]?.id == id else { return }
        host.outstanding[peer] = nil
        drive(host) { node, time, out in
            if let reply {
                node.receive(reply: RawSpan(_elements: reply.span), to: id, from: peer, now: time, into: &out)
            } else {
                node.receiveNoReply(to: id, from: peer, now: time, into: &out)
            }
        }
        guard host.isAlive, host.outstanding[peer] == nil, !host.waiting[peer].isEmpty else { return }
        transmit(host, peer, host.waiting[peer].removeFirst())
    }

    // MARK: Probes

    private func probe(_ host: Host, peer: Int) {
        guard peer >= 0, peer < plan.hostCount - 1 else { return badPeer(host, peer) }
        let other = hosts[host.host(ofPeer: peer)]
        let isReachable = links.areConnected(host.index, other.index) && !other.isPoweredOff
        let result: ProbeResult = !isReachable ? .silent : other.isAlive ? .connected : .refused
        let delay = isReachable ? 2 * plan.bus.latency + networkRandom.between(0, plan.bus.jitter) : World.probeDeadline
        schedule(.probed(host.process, peer: peer, result), after: delay)
    }

    func deliverProbe(_ process: ProcessID, peer: Int, _ result: ProbeResult) {
        let host = hosts[process.host]
        guard host.process == process else { return }
        arrive(.probed(process, peer: peer, result), at: host)
    }

    private func badPeer(_ host: Host, _ peer: Int) {
        violate("bus", node: host.index, "an action for peer \(peer), of \(plan.hostCount - 1)")
    }
}

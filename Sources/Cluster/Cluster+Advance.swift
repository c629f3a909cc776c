// Time: everything that is due, then everything that is to leave.

package import Primitives

extension Cluster {
    /// Does what is due, and hands over the frames and requests that the events since the last call have made.
    package mutating func advance(now: Instant, store: inout some ReplicatedRecords, out: inout ClusterActions) {
        beginEvent(now, &out)
        probe(now, &out)
        if isMembershipStale || now >= evaluateAt {
            // A decision may make the next one possible; three steps suffice for all that follows from one event.
            for _ in 0..<3 {
                evaluate(store, now: now, out: &out)
                guard isMembershipStale else { break }
            }
        }
        advanceWaits(now, &out)
        pushToLate(now)
        advanceInquiries(now, &out)
        askAgain(store: &store, now: now, out: &out)
        advanceQuestions(store, now: now, out: &out)
        tellAskers(store, now: now)
        counters.parkedDropped += parked.isEmpty ? 0 : UInt64(parked.expire(now))
        forgetTombstones(store: &store, now: now)
        if isHeartbeatUrgent || now >= nextHeartbeat { store.settleDigests() }
        scheduleComparison(store, now: now)
        pump(store, now: now, out: &out)
        emit(store, now: now, out: &out)
    }

    /// When `advance` is needed at the latest.
    package var nextDeadline: Instant {
        var next = min(heartbeatAt, outbound.flushAt, waits.nextDeadline, arePositionsDue)
        next = min(next, chase.due)
        next = min(next, evaluateAt, nextCompare, inquiries.nextTimeout)
        if let deadline = asks.nextDeadline { next = min(next, deadline) }
        if let deadline = questions.nextDeadline { next = min(next, deadline) }
        if let deadline = tombstones.nextDeadline { next = min(next, deadline) }
        for lane in lanes.indices { next = min(next, nextDeadline(ofLane: lane)) }
        return next
    }

    private var heartbeatAt: Instant {
        guard isHeartbeatUrgent else { return nextHeartbeat }
        return min(nextHeartbeat, lastHeartbeat?.advanced(by: Self.heartbeatSpacing) ?? nextHeartbeat)
    }

    /// Each event begins here: a loop that comes late must not believe its own silence (R13).
    mutating func beginEvent(_ now: Instant, _ out: inout ClusterActions) {
        let late = now.nanoseconds - nextHeartbeat.nanoseconds
        guard late > settings.suspicion.saturatedNanoseconds / 2, !mutated("wake-ignored") else { return }
        counters.lateLoops += 1
        out.append(.note(.loopWasLate(milliseconds: now.milliseconds(since: nextHeartbeat))))
        for index in peers.indices { peers[index].detector.restart(now: now) }
        let suspicion = peers.map { $0.detector.suspicion(settings) }.max() ?? settings.suspicion
        holdUntil = now.advanced(by: suspicion)
        wokeAt = ClockOffset.clock(now)
        memberlessSince = now
        nextHeartbeat = now
        isMembershipStale = true
        if isFit { out.append(.fitChanged) }
        isFit = false
    }

    private mutating func advanceWaits(_ now: Instant, _ out: inout ClusterActions) {
        guard now >= waits.nextDeadline else { return }
        var timedOut: UInt64 = 0
        var oldest = UInt64.max
        var pushes: [UInt64] = []
        let positions = acknowledgedPositions()
        waits.advance(now) { event in
            switch event {
            case .push(let sequence): if !mutated("push-off") { pushes.append(sequence) }
            case .timedOut(let sequence, let token, let enough)
            where positions.count(where: { $0 >= sequence }) >= enough:
                counters.commits += 1
                out.append(.committed(token: token, acknowledged: true))
            case .timedOut(let sequence, let token, _):
                timedOut += 1
                oldest = min(oldest, sequence)
                out.append(.committed(token: token, acknowledged: false))
                out.append(.note(.commitTimedOut(token: token)))
            }
        }
        for index in peers.indices where counts(index) {
            for sequence in pushes where peers[index].acknowledged < sequence {
                if !peers[index].want(push: sequence) { counters.pushesLeftOut += 1 }
            }
            // One stall lets many commits time out at once; it counts once.
            guard timedOut > 0, peers[index].acknowledged < oldest else { continue }
            peers[index].missedCommits += 1
            if peers[index].missedCommits == 3 { out.append(.note(.peerStopsCounting(peers[index].id))) }
        }
        counters.commitTimeouts += timedOut
        if timedOut > 0 { settleWaits(&out) }
    }

    /// What a commit no longer waits for, and a peer has not acknowledged.
    private mutating func pushToLate(_ now: Instant) {
        guard let sequence = chase.take(now) else { return }
        for index in peers.indices where counts(index) && peers[index].acknowledged < sequence {
            if !peers[index].want(push: sequence) { counters.pushesLeftOut += 1 }
        }
    }

    // MARK: Tombstones

    private mutating func forgetTombstones(store: inout some ReplicatedRecords, now: Instant) {
        guard let due = tombstones.nextDeadline, due <= now else { return }
        let mark = state.isServing ? takeMark(now) : nil
        // Taken out while it asks us, so that its queue is never copied.
        var ledger = TombstoneLedger(limit: 0, now: now)
        swap(&ledger, &tombstones)
        let dids = ledger.advance(
            now, horizon: settings.horizon, mark: { mark },
            passes: { (passes($0) || mutated("tombstone-by-time")) && !mutated("tombstone-kept") })
        swap(&ledger, &tombstones)
        for did in dids { store.forget(did) }
        counters.tombstonesForgotten += UInt64(dids.count)
    }

    private func takeMark(_ now: Instant) -> TombstoneLedger.Mark {
        let live = peers.filter { !$0.verdict.isDead && $0.stream.position != nil }
        let streams =
            live.map { (member: $0.id, known: $0.stream.highest) } + [(member: localMember, known: outbound.last)]
        return TombstoneLedger.Mark(at: now, epoch: view.epoch, streams: streams)
    }

    /// Every member has all that we knew at the mark.
    private func passes(_ mark: TombstoneLedger.Mark) -> Bool {
        guard state.isServing, isMember, comparedEpoch >= mark.epoch else { return false }
        let ended = mark.streams.contains { stream in stream.member != localMember && !isFollowed(stream.member) }
        if ended && comparedEpoch < view.epoch { return false }
        for stream in mark.streams {
            guard let at = position(of: stream.member), isFollowed(stream.member) else { continue }
            if (peers[at].stream.position ?? 0) < stream.known { return false }
        }
        return peers.allSatisfy { peer in
            guard peer.heartbeat.state != .left, !peer.heartbeat.isWitness else { return true }
            guard peer.verdict == .heard, view.contains(peer.id) else { return false }
            let beat = peer.heartbeat
            guard beat.compared >= (ended ? view.epoch : mark.epoch) else { return false }
            return mark.streams.allSatisfy { stream in
                guard stream.member != peer.id, stream.member == localMember || isFollowed(stream.member) else {
                    return true
                }
                guard let opinion = beat.opinion(of: stream.member.name), opinion.member == stream.member else {
                    return false
                }
                return opinion.position >= stream.known
            }
        }
    }

    private func isFollowed(_ member: MemberID) -> Bool {
        position(of: member).map { !peers[$0].verdict.isDead } ?? false
    }

    // MARK: What leaves

    private mutating func emit(_ store: some ReplicatedRecords, now: Instant, out: inout ClusterActions) {
        if now >= arePositionsDue {
            arePositionsDue = .distantFuture
            appendPositions(now)
        }
        if now >= heartbeatAt {
            let beat = heartbeat(store, now: now)
            _ = outbound.append(.heartbeat, now: now, isUrgent: true) { beat.write(into: &$0) }
            lastHeartbeat = now
            nextHeartbeat = now.advanced(by: settings.heartbeat)
            isHeartbeatUrgent = false
            forgetInquiries(now)
            asked.expire(now)
        }
        guard outbound.isDue(now) else { return }
        var header = FrameHeader(
            mark: mark, sender: localMember, clock: ClockOffset.clock(now), salt: salt, lane: .published, first: 0,
            count: 0)
        var (frames, bytes): (UInt64, UInt64) = (0, 0)
        outbound.flush(now: now) { body in
            header.first = body.first
            header.count = body.count
            header.flags = body.wantsAcknowledgement ? FrameHeader.acknowledgeSoon : 0
            let start = out.arena.count
            header.write(into: &out.arena)
            out.arena.put(RawSpan(_elements: body.bytes.bytes.span))
            frames += 1
            bytes += UInt64(out.arena.count - start)
            out.append(.publish(ByteRange(start: start, end: out.arena.count)))
        }
        counters.framesOut += frames
        counters.bytesOut += bytes
    }

    private mutating func appendPositions(_ now: Instant) {
        var positions: [Position] = []
        for index in peers.indices {
            guard let position = peers[index].stream.position, position != peers[index].stream.told else { continue }
            peers[index].stream.told = position
            positions.append(Position(member: peers[index].id, position: position, known: peers[index].stream.highest))
        }
        guard !positions.isEmpty else { return }
        _ = outbound.append(.positions, now: now, isUrgent: true) { Position.write(positions, into: &$0) }
    }

    // MARK: Reports

    /// How a probe of a configured peer ended.
    package mutating func receive(probe outcome: ProbeOutcome, of lane: Int, now: Instant, out: inout ClusterActions) {
        beginEvent(now, &out)
        guard outcome == .refused, let at = peers.firstIndex(where: { $0.index == lane }) else { return }
        // Its death was proven for the moment when we asked; what it sent later, if anything, is newer.
        guard let asked = peers[at].detector.lastProbe, asked > peers[at].detector.lastHeard else { return }
        peers[at].detector.refused(now: asked)
        isMembershipStale = true
    }

    /// Every process known, ourselves among them, by name; then the configured peers never heard.
    package func members(now: Instant) -> [MemberStatus] {
        var list = peers.map { peer -> MemberStatus in
            var status = MemberStatus()
            status.name = peer.name
            status.boot = peer.boot
            status.state = peer.heartbeat.state == .left ? .left : peer.verdict.isDead ? .down : peer.heartbeat.state
            status.isInView = view.contains(peer.id)
            status.isFit = peer.heartbeat.isFit && peer.verdict == .heard
            status.isProvenGone = peer.verdict == .refused
            status.lagFrames =
                settings.isWitness
                ? 0 : peer.stream.known - min(peer.stream.known, peer.stream.position ?? 0)
            status.silentMilliseconds = max(0, now.milliseconds(since: peer.detector.lastHeard))
            status.applied = peer.stream.position ?? 0
            status.acknowledged = peer.acknowledged
            status.rootDigest = peer.heartbeat.root
            status.liveCount = peer.heartbeat.live
            status.hello = peer.heartbeat.hello
            status.isWitness = peer.heartbeat.isWitness
            status.addresses = peer.heartbeat.addresses
            status.bus = peer.index.map { lanes[$0].address } ?? ""
            return status
        }
        var own = MemberStatus()
        own.name = localMember.name
        own.boot = localMember.boot
        own.state = state
        own.isSelf = true
        own.isWitness = settings.isWitness
        own.isInView = isMember
        own.isFit = isFit
        own.applied = outbound.last
        own.hello = hello
        own.addresses = addresses
        list.insert(own, at: list.firstIndex { $0.name > own.name } ?? list.count)
        for lane in lanes.indices where lanes[lane].isInUse && !peers.contains(where: { $0.index == lane }) {
            var absent = MemberStatus()
            absent.isAbsent = true
            absent.bus = lanes[lane].address
            list.append(absent)
        }
        return list
    }

    /// Who holds a service address now, by the members' own word; `nil` when no live member does.
    package func holder(of address: String) -> MemberID? {
        if addresses.contains(address) { return localMember }
        let at = peers.indices.first { isServing($0) && peers[$0].heartbeat.addresses.contains(address) }
        return at.map { peers[$0].id }
    }
}

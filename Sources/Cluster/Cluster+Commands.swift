// What the node asks of its cluster: publish a fact, wait for it, ask before acting, fetch a record, drain, leave.

package import Primitives

extension Cluster {
    /// Publishes facts about a record that our store already holds joined.
    /// - Returns: The fact's sequence in our stream.
    package mutating func publish(patch facts: RawSpan, of did: UInt64, now: Instant) -> UInt64 {
        publish(.patch, did, facts, age: 0, now: now)
    }

    /// Publishes the whole record of a dialog, with its age now.
    /// - Returns: Its sequence in our stream.
    package mutating func publish(
        record: RawSpan, of did: UInt64, ageMilliseconds age: Int64, now: Instant
    ) -> UInt64 {
        publish(.put, did, record, age: age, now: now)
    }

    private mutating func publish(
        _ kind: EntryKind, _ did: UInt64, _ facts: RawSpan, age: Int64, now: Instant
    ) -> UInt64 {
        let published = outbound.publish(kind, did: did, now: now) { writer in
            RecordItem.write(did: did, age: age, record: facts, into: &writer)
        }
        if !published.isSent { push(published.sequence) }
        return published.sequence
    }

    /// A fact that no frame takes, for its size or because too many wait, is pushed over the repair socket, with the
    /// record as it stands. Who cannot be asked now finds the gap in our stream.
    private mutating func push(_ sequence: UInt64) {
        counters.unsentEntries += 1
        for index in peers.indices where peers[index].verdict == .heard && !peers[index].heartbeat.isWitness {
            if !peers[index].want(push: sequence) { counters.pushesLeftOut += 1 }
        }
    }

    /// A record of ours became a tombstone by our own doing; called after its fact was published.
    package mutating func bury(_ did: UInt64, store: inout some ReplicatedRecords, now: Instant) {
        if mutated("tombstone-dropped") { return store.forget(did) }
        guard let early = tombstones.insert(did, now: now) else { return }
        counters.tombstonesForced += 1
        store.forget(early)
    }

    /// Answers `.committed` with this token once `count` peers have every fact up to `sequence` in their records, at
    /// the timeout at the latest, and at once when no peer is there to wait for. With `enough` below `count`, so many
    /// do when that time is over.
    package mutating func wait(
        for sequence: UInt64, peers count: Int, enough: Int? = nil, token: UInt64, timeout: Duration, now: Instant,
        out: inout ClusterActions
    ) {
        let positions = acknowledgedPositions()
        guard count > 0 else { return out.append(.committed(token: token, acknowledged: true)) }
        guard !positions.isEmpty else {
            counters.committedAlone += 1
            return out.append(.committed(token: token, acknowledged: false))
        }
        if positions.contains(where: { $0 < sequence }) {
            chase.begin(sequence, due: now.advanced(by: timeout / 4))
        }
        guard positions.count(where: { $0 >= sequence }) < count else {
            counters.commits += 1
            return out.append(.committed(token: token, acknowledged: true))
        }
        guard !waits.isFull else {
            counters.waitsRefused += 1
            return out.append(.committed(token: token, acknowledged: false))
        }
        waits.insert(
            .init(
                sequence: sequence, peers: count, enough: enough ?? count, token: token, began: now, timeout: timeout))
        outbound.requestAcknowledgement(now: now)
    }

    /// Asks whether this dialog may be ended, again and again until `.granted`, `.refused` or `cancel` (R1).
    package mutating func ask(
        _ intent: Intent, store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) {
        guard asks.open(intent, again: now.advanced(by: settings.askInterval)) else {
            counters.asksRefused += 1
            return
        }
        raise(intent, store: &store, now: now, out: &out)
    }

    /// Whether a question about this dialog is open.
    package func isAsking(_ did: UInt64) -> Bool { asks[did] != nil }

    package mutating func cancel(_ did: UInt64) { _ = asks.close(did) }

    /// Asks every peer that we hear for the record, also one that joins: it may have carried calls before that.
    /// The store sees it come.
    package mutating func fetch(_ did: UInt64) {
        for index in peers.indices where peers[index].verdict == .heard && !peers[index].heartbeat.isWitness {
            want(did, of: index)
        }
    }

    /// Notes whose age a peer has told.
    mutating func noteAge(of did: UInt64, by member: MemberID) {
        if let at = position(of: member), !peers[at].noteAge(of: did) { counters.agesLeftOut += 1 }
    }

    /// Wants a record of one peer, with the next request.
    mutating func want(_ did: UInt64, of index: Int) {
        if !peers[index].want(did: did) { counters.fetchesLeftOut += 1 }
    }

    /// Compares our replica with every member's, as an operator wants it.
    package mutating func repair() {
        for index in peers.indices where isServing(index) && comparesWith(index) {
            peers[index].want(sync: .complete)
        }
    }

    package mutating func drain(_ on: Bool, out: inout ClusterActions) {
        isDrainWanted = on
        if state == .up && on { change(to: .draining, out: &out) }
        if state == .draining && !on { change(to: .up, out: &out) }
    }

    /// Says farewell with the next `advance`; the process may end after that.
    package mutating func leave(now: Instant, out: inout ClusterActions) {
        guard state != .left else { return }
        change(to: .left, out: &out)
        _ = outbound.append(.farewell, now: now, isUrgent: true) { _ in }
        nextHeartbeat = now
    }

    mutating func change(to new: MemberState, out: inout ClusterActions) {
        guard state != new else { return }
        state = new
        isHeartbeatUrgent = true
        isMembershipStale = true
        out.append(.stateChanged(new))
        out.append(.note(.stateChanged(new)))
    }

    /// How far those have acknowledged whose word counts.
    func acknowledgedPositions() -> [UInt64] {
        var positions: [UInt64] = []
        for at in peers.indices where counts(at) { positions.append(peers[at].acknowledged) }
        return positions
    }

    /// Ends what enough peers have acknowledged, after a position or a peer's standing changed.
    mutating func settleWaits(_ out: inout ClusterActions) {
        guard waits.count > 0 || chase.isOn else { return }
        var (commits, alone): (UInt64, UInt64) = (0, 0)
        let positions = acknowledgedPositions()
        chase.settle(positions.min() ?? .max)
        waits.settle(acknowledged: positions) { token, enough in
            if enough { commits += 1 } else { alone += 1 }
            out.append(.committed(token: token, acknowledged: enough))
        }
        counters.commits += commits
        counters.committedAlone += alone
    }
}

// Comparing replicas, asking side. One mechanism serves the joiner, the heal after a cut, the tail of a dead publisher,
// a gap older than the ring, and continuous repair:
//
//   our digests of the buckets ──▶ the peer answers with the records of those that differ, chunk by chunk ──▶ joined
//
// It pulls only; the peer does the same when it finds its digest different. The positions of the first chunk are taken
// once the last chunk is in: every record that came is at least as new as they are. A fact that was joined in between
// may be older than the end of its dialog, which the answer, having the tombstone only, does not repeat: from there on
// the stream is repaired. While it joins a node asks every
// live member, and gets what has ended, too: else it could not tell a third that has slept, and brings back what it had
// then, that this is over. When up it asks one whose root digest differs, about once a second, leaving out what changed
// within the last second.
//
// Where facts come in all the time the roots always differ, and tell nothing: then each comparison is of one stretch of
// the table, and the next of the one behind it. So a busy pair spends some kilobytes a second on it, however large the
// table is, and a difference that no stream has is found within a round; a table that rests is compared whole.

internal import Primitives

extension Cluster {
    /// Chooses a peer to compare with, now and then.
    mutating func scheduleComparison(_ store: some ReplicatedRecords, now: Instant) {
        guard now >= nextCompare else { return }
        let interval = settings.compareInterval.saturatedNanoseconds
        let jitter = Int64(random.next(below: 512)) - 256
        nextCompare = now.advanced(by: .nanoseconds(interval + interval / 1_024 * jitter))
        guard state.isServing, !settings.isWitness else { return }
        let root = store.rootDigest
        let unequal = peers.indices.filter { isServing($0) && peers[$0].heartbeat.root != root }
        guard !unequal.isEmpty, !mutated("digest-off") else { return compareRound = 0 }
        compareRound += 1
        let at = unequal[random.next(below: unequal.count)]
        peers[at].want(sync: compareRound % 8 == 0 ? .thorough : .routine)
    }

    /// Writes the next step of the comparison with a peer, if there is one and the pace allows it.
    mutating func writeSync(_ at: Int, _ store: some ReplicatedRecords, now: Instant, into writer: inout ByteWriter)
        -> Bool
    {
        if let wanted = peers[at].wants.sync,
            peers[at].session.map({ wanted > $0.reason || $0.boot != peers[at].boot }) ?? true
        {
            peers[at].wants.sync = nil
            peers[at].session = session(for: wanted, of: peers[at], store, now: now)
        }
        guard let session = peers[at].session, chunksInWindow < Self.chunksPerWindow else { return false }
        chunksInWindow += 1
        var request = SyncRequest()
        request.buckets = store.bucketCount
        request.cursor = session.cursor
        request.skipsYoung = session.reason == .routine
        request.wantsEnded = session.reason == .complete && state == .joining
        let young = now.advanced(by: .zero - settings.compareGrace)
        let end = min(session.end ?? store.bucketCount, session.cursor.bucket + SyncRequest.bucketLimit)
        let buckets = session.cursor.bucket..<max(end, session.cursor.bucket)
        request.digests = store.digests(of: buckets)
        for bucket in buckets {
            request.skipped.append(request.skipsYoung && store.youngest(bucket: bucket) > young)
        }
        writer.put(EntryKind.syncRequest.rawValue)
        writer.putLengthDelimited { request.write(into: &$0) }
        return true
    }

    private mutating func session(
        for reason: SyncReason, of peer: Peer, _ store: some ReplicatedRecords, now: Instant
    ) -> SyncSession {
        var session = SyncSession(reason: reason, began: now, boot: peer.boot)
        guard reason != .complete, settings.compareSlice < store.bucketCount else { return session }
        let young = now.advanced(by: .zero - settings.compareGrace)
        let isBusy = (0..<store.bucketCount).contains { store.youngest(bucket: $0) > young }
        guard isBusy else { return session }
        if compareBucket >= store.bucketCount { compareBucket = 0 }
        session.cursor.bucket = compareBucket
        compareBucket = min(store.bucketCount, compareBucket + settings.compareSlice)
        session.end = compareBucket
        return session
    }

    mutating func takeChunk(
        _ chunk: SyncAnswer, _ changed: UInt64, of sender: MemberID, now: Instant, out: inout ClusterActions
    ) {
        guard let at = position(of: sender), var session = peers[at].session, session.boot == sender.boot else {
            return
        }
        counters.syncChunks += 1
        session.changed += changed
        if session.positions == nil { session.positions = chunk.positions }
        let isForward =
            chunk.next.bucket > session.cursor.bucket
            || (chunk.next.bucket == session.cursor.bucket && chunk.next.isResuming && chunk.next != session.cursor)
        session.cursor = chunk.next
        peers[at].session = session
        // An answer that does not go forward would keep us asking for ever.
        let isDone = chunk.isDone || session.end.map { chunk.next.bucket >= $0 } ?? false
        guard isDone || !isForward else { return }
        peers[at].session = nil
        isMembershipStale = true
        guard isDone else { return }
        counters.syncs += 1
        if state.isServing { counters.digestRepaired += session.changed }
        if state.isServing, session.changed > 0 { out.append(.note(.repaired(records: session.changed, from: sender))) }
        guard session.reason != .routine, session.end == nil else { return }
        peers[at].comparedAt = session.began
        for position in session.positions ?? [] {
            guard let at = self.position(of: position.member) else { continue }
            let overtaken = mutated("overtaken-off") ? nil : session.overtaken[position.member]
            let limit = overtaken.map { max(1, $0) - 1 } ?? position.position
            peers[at].stream.know(position.position)
            peers[at].stream.reach(min(position.position, limit))
        }
        tellPositions(now)
    }
}

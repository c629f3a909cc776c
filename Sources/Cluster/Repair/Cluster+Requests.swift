// The repair socket, answering side. Every question gets an answer, if only a header: the socket goes in lock step.
//
// Records are answered as they stand now; one that is no longer known is answered with its number alone, which only
// advances the asker's position (R6). What does not fit into an answer is asked for again.

package import Primitives

extension Cluster {
    /// A peer asks; the answer leaves at once.
    package mutating func receive(
        request: RawSpan, token: UInt64, store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) {
        beginEvent(now, &out)
        counters.requestsIn += 1
        counters.bytesIn += UInt64(request.byteCount)
        let bytes = request.byteCount <= FrameHeader.messageLimit ? [UInt8](copying: request) : []
        let admitted = admit(bytes, lane: .request, now: now, out: &out)
        store.settleDigests()
        if let (header, start) = admitted { take(pushed: bytes, start, header, store: &store, now: now, out: &out) }
        let from = out.arena.count
        FrameHeader(
            mark: mark, sender: localMember, clock: ClockOffset.clock(now), salt: salt, lane: .reply, first: 0, count: 0
        ).write(into: &out.arena)
        if let (header, start) = admitted {
            answer(bytes, start, header, store, now: now, into: &out.arena, from: from)
        }
        out.append(.reply(token: token, ByteRange(start: from, end: out.arena.count)))
    }

    /// Each part of an answer, what was asked for by number and what comes of a comparison, ends here at the latest;
    /// one record more may follow. Both together stay below `FrameHeader.messageLimit`.
    static let answerSize = 114_688
    /// What a part of an answer to an inquiry takes besides its bytes, by far.
    private static let partOverhead = 256

    /// What comes with a question and is not answered at once: facts that a commit waits for, and inquiries.
    private mutating func take(
        pushed bytes: [UInt8], _ start: Int, _ header: FrameHeader, store: inout some ReplicatedRecords, now: Instant,
        out: inout ClusterActions
    ) {
        guard let at = position(of: header.sender), peers[at].salt == header.salt else { return }
        let transit = peers[at].offset.transit(clock: header.clock, now: now)
        if peers[at].offset.hasImproved { peers[at].distrustAges() }
        guard transit <= settings.horizon.wholeMilliseconds / 2 else { return counters.staleFrames += 1 }
        do {
            var reader = WireReader(bytes, start..<bytes.count)
            while let entry = try Self.nextEntry(&reader) {
                if EntryKind(rawValue: entry.kind) == .inquiry {
                    hear(try InquiryMessage(bytes, entry.payload), from: at, now: now, out: &out)
                }
                guard EntryKind(rawValue: entry.kind) == .item, !settings.isWitness else { continue }
                let item = try RecordItem(bytes, entry.payload)
                if !item.record.isEmpty {
                    noteAge(of: item.did, by: header.sender)
                    let told = ToldFacts(item, in: bytes, age: transit, by: header.sender)
                    _ = join(told, store: &store, now: now, out: &out)
                }
                if item.sequence > 0 { note(item.sequence...item.sequence, of: header.sender) }
            }
        } catch {
            counters.malformedFrames += 1
        }
    }

    private mutating func answer(
        _ bytes: [UInt8], _ start: Int, _ header: FrameHeader, _ store: some ReplicatedRecords, now: Instant,
        into writer: inout ByteWriter, from: Int
    ) {
        if let at = position(of: header.sender), let position = peers[at].stream.position {
            let told = Position(member: header.sender, position: position, known: peers[at].stream.highest)
            writer.put(EntryKind.positions.rawValue)
            writer.putLengthDelimited { Position.write([told], into: &$0) }
        }
        do {
            var reader = WireReader(bytes, start..<bytes.count)
            while let entry = try Self.nextEntry(&reader) {
                let limit = from + Self.answerSize
                switch EntryKind(rawValue: entry.kind) {
                case .repairRequest:
                    answer(try RepairRequest(bytes, entry.payload), store, now: now, into: &writer, limit: limit)
                case .fetchRequest:
                    for did in try FetchRequest.read(bytes, entry.payload) where writer.count < limit {
                        scratch.removeAll()
                        guard store.write(did, into: &scratch, now: now) != nil else { continue }
                        writeItem(did, sequence: 0, store, now: now, into: &writer)
                    }
                case .syncRequest:
                    answer(try SyncRequest(bytes, entry.payload), store, now: now, into: &writer, limit: limit)
                case .inquiry:
                    let inquiry = try InquiryMessage(bytes, entry.payload)
                    let room = FrameHeader.messageLimit - (writer.count - from) - Self.partOverhead
                    writePart(to: inquiry, from: header.sender, now: now, into: &writer, room: room)
                default: continue
                }
            }
        } catch {
            counters.malformedFrames += 1
        }
    }

    private mutating func answer(
        _ request: RepairRequest, _ store: some ReplicatedRecords, now: Instant, into writer: inout ByteWriter,
        limit: Int
    ) {
        guard request.boot == localMember.boot else { return }
        var sent: Set<UInt64> = []
        for range in request.ranges {
            guard range.lowerBound <= outbound.last else { continue }
            guard outbound.did(of: range.lowerBound) != nil else {
                writer.put(EntryKind.repairAnswer.rawValue)
                writer.putLengthDelimited { $0.putField(1, varint: 1) }
                return
            }
            for sequence in range.lowerBound...min(range.upperBound, outbound.last) {
                guard writer.count < limit, let did = outbound.did(of: sequence) else { return }
                counters.repairsOut += 1
                if sent.insert(did).inserted {
                    writeItem(did, sequence: sequence, store, now: now, into: &writer)
                } else {
                    // The record went with an earlier number of this answer.
                    writer.put(EntryKind.item.rawValue)
                    writer.putLengthDelimited { writer in
                        writer.putField(1, fixed: did)
                        writer.putField(4, varint: sequence)
                    }
                }
            }
        }
    }

    /// One chunk: the records of the buckets that differ, from the cursor on.
    private mutating func answer(
        _ request: SyncRequest, _ store: some ReplicatedRecords, now: Instant, into writer: inout ByteWriter, limit: Int
    ) {
        let isComparable = request.buckets == store.bucketCount
        let from = request.cursor.bucket
        let end = isComparable ? min(store.bucketCount, from + request.digests.count) : store.bucketCount
        let young = now.advanced(by: .zero - settings.compareGrace)
        let room = limit - writer.count
        var records = ByteWriter()
        var next: SyncCursor?
        for bucket in from..<max(from, end) where next == nil {
            let isResumed = bucket == from && request.cursor.isResuming
            var isEndedOnly = false
            if isComparable && !isResumed {
                let at = bucket - from
                let isYoung = request.skipsYoung && (request.skipped[at] || store.youngest(bucket: bucket) > young)
                if isYoung || request.digests[at] == store.digest(bucket: bucket) {
                    guard request.wantsEnded else { continue }
                    isEndedOnly = true
                }
            }
            for did in store.dids(inBucket: bucket) where !isResumed || did > request.cursor.after {
                if isEndedOnly, !store.isTombstone(did) { continue }
                writeItem(did, sequence: 0, store, now: now, into: &records)
                guard records.count >= room else { continue }
                next = SyncCursor(bucket: bucket, after: did, isResuming: true)
                break
            }
        }
        var answer = SyncAnswer()
        answer.root = store.rootDigest
        answer.isDone = next == nil && end == store.bucketCount
        answer.next = next ?? SyncCursor(bucket: max(from, end))
        answer.positions = peers.compactMap { peer in
            peer.stream.position.map { Position(member: peer.id, position: $0, known: peer.stream.highest) }
        }
        answer.positions.append(Position(member: localMember, position: outbound.last, known: outbound.last))
        writer.put(EntryKind.syncAnswer.rawValue)
        writer.putLengthDelimited { answer.write(into: &$0) }
        writer.put(RawSpan(_elements: records.bytes.span))
    }
}

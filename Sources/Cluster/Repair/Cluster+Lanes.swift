// The repair socket, asking side: what we want of a peer goes out as one question, and its answer is taken in.
//
// A question may hold several things at once: facts pushed again (what a commit waits for), missing sequences, single
// records, and one step of a comparison. The answer holds records as they stand now, never bytes of then (R6).

package import Primitives

extension Cluster {
    /// What is pushed with one request ends here; one record more may follow, and the rest goes with the next.
    private static let pushSize = 65_536

    /// Who is known at that address, and who is heard there: looked at where they are, since a closure gets a copy.
    private func peerPosition(ofLane lane: Int) -> Int? {
        for at in peers.indices where peers[at].index == lane { return at }
        return nil
    }

    private func heardPosition(ofLane lane: Int) -> Int? {
        for at in peers.indices where peers[at].index == lane && peers[at].verdict == .heard { return at }
        return nil
    }

    func nextDeadline(ofLane lane: Int) -> Instant {
        if let outstanding = lanes[lane].outstanding { return outstanding.sentAt.advanced(by: settings.requestTimeout) }
        guard lanes[lane].isInUse else { return .distantFuture }
        var next = lanes[lane].helloAt
        if let at = peerPosition(ofLane: lane), peers[at].verdict == .heard {
            let isWanting =
                !peers[at].wants.dids.isEmpty || !peers[at].wants.pushes.isEmpty || !peers[at].misaged.isEmpty
            if isWanting { next = lanes[lane].pauseUntil }
            if let due = inquiryDue(ofPeer: at) { next = min(next, max(due, lanes[lane].pauseUntil)) }
            if peers[at].stream.isBehind { next = min(next, max(peers[at].wants.notBefore, lanes[lane].pauseUntil)) }
            if peers[at].wants.sync != nil || peers[at].session != nil {
                let window = chunkWindow.advanced(by: Self.chunkWindowLength)
                next = min(next, chunksInWindow < Self.chunksPerWindow ? lanes[lane].pauseUntil : window)
            }
        }
        return max(next, lanes[lane].pauseUntil)
    }

    mutating func pump(_ store: some ReplicatedRecords, now: Instant, out: inout ClusterActions) {
        if now >= chunkWindow.advanced(by: Self.chunkWindowLength) {
            chunkWindow = now
            chunksInWindow = 0
        }
        for lane in lanes.indices where lanes[lane].isInUse {
            if let outstanding = lanes[lane].outstanding {
                guard now >= outstanding.sentAt.advanced(by: settings.requestTimeout) else { continue }
                unanswered(lane, now: now, out: &out)
            }
            guard now >= lanes[lane].pauseUntil else { continue }
            let at = heardPosition(ofLane: lane)
            var isDue = now >= lanes[lane].helloAt
            if !isDue, let at { isDue = wantsAnything(ofPeer: at, now: now) }
            guard isDue else { continue }
            let start = out.arena.count
            FrameHeader(
                mark: mark, sender: localMember, clock: ClockOffset.clock(now), salt: salt, lane: .request, first: 0,
                count: 0
            ).write(into: &out.arena)
            let head = out.arena.count
            var isSync = false
            var inquiry: UInt64?
            if let at {
                isSync = write(wantsOf: at, store, now: now, into: &out.arena)
                inquiry = writeInquiry(to: peers[at], now: now, into: &out.arena)
            }
            let isHello = out.arena.count == head
            guard !isHello || now >= lanes[lane].helloAt else {
                out.arena.bytes.removeLast(out.arena.count - start)
                continue
            }
            // An address changes hands rarely; whoever is at it names itself in every answer.
            lanes[lane].helloAt = now.advanced(by: at == nil ? .milliseconds(500) : .seconds(5))
            nextRequestID += 1
            lanes[lane].outstanding = .init(
                id: nextRequestID, sentAt: now, to: at.map { peers[$0].id }, isSync: isSync, inquiry: inquiry)
            counters.requestsOut += 1
            out.append(.request(peer: lane, id: nextRequestID, ByteRange(start: start, end: out.arena.count)))
        }
    }

    /// By its place: a peer that is handed over is copied, and with it the cluster that it is taken from.
    private func wantsAnything(ofPeer at: Int, now: Instant) -> Bool {
        if !peers[at].wants.pushes.isEmpty || !peers[at].wants.dids.isEmpty { return true }
        if !peers[at].misaged.isEmpty { return true }
        if peers[at].stream.isBehind && now >= peers[at].wants.notBefore { return true }
        if let due = inquiryDue(ofPeer: at), due <= now { return true }
        return (peers[at].wants.sync != nil || peers[at].session != nil) && chunksInWindow < Self.chunksPerWindow
    }

    /// Writes what is wanted of a peer; answers whether a step of a comparison is among it.
    private mutating func write(
        wantsOf at: Int, _ store: some ReplicatedRecords, now: Instant, into writer: inout ByteWriter
    ) -> Bool {
        let start = writer.count
        var later: [UInt64] = []
        for sequence in peers[at].wants.pushes.sorted() {
            guard sequence > peers[at].acknowledged, let did = outbound.did(of: sequence) else { continue }
            guard writer.count - start < Self.pushSize else {
                later.append(sequence)
                continue
            }
            counters.pushes += 1
            writeItem(did, sequence: sequence, store, now: now, into: &writer)
        }
        peers[at].wants.pushes = later
        if peers[at].stream.isBehind && now >= peers[at].wants.notBefore {
            let ranges = peers[at].stream.missing(limit: RepairRequest.rangeLimit)
            writer.put(EntryKind.repairRequest.rawValue)
            writer.putLengthDelimited { RepairRequest(boot: peers[at].boot, ranges: ranges).write(into: &$0) }
            peers[at].wants.notBefore = now.advanced(milliseconds: 20)
        }
        peers[at].wantMisaged()
        if !peers[at].wants.dids.isEmpty {
            writer.put(EntryKind.fetchRequest.rawValue)
            let dids = peers[at].takeAsked()
            writer.putLengthDelimited { FetchRequest.write(dids, into: &$0) }
        }
        // The digests of a large table fill a request by themselves.
        return writer.count - start < Self.pushSize / 2 && writeSync(at, store, now: now, into: &writer)
    }

    /// Writes a record as it stands; without one only its number, which then means "no longer known".
    mutating func writeItem(
        _ did: UInt64, sequence: UInt64, _ store: some ReplicatedRecords, now: Instant, into writer: inout ByteWriter
    ) {
        scratch.removeAll()
        let age = store.write(did, into: &scratch, now: now) ?? 0
        writer.put(EntryKind.item.rawValue)
        let record = RawSpan(_elements: scratch.bytes.span)
        writer.putLengthDelimited { writer in
            RecordItem.write(did: did, age: age, record: record, sequence: sequence, into: &writer)
        }
    }

    // MARK: Answers

    /// What a peer answered, or `nil` when it did not.
    package mutating func receive(
        reply: RawSpan?, to id: UInt64, from lane: Int, store: inout some ReplicatedRecords, now: Instant,
        out: inout ClusterActions
    ) {
        beginEvent(now, &out)
        guard lanes.indices.contains(lane), let asked = lanes[lane].outstanding, asked.id == id else { return }
        guard let reply, reply.byteCount <= FrameHeader.messageLimit else {
            return unanswered(lane, now: now, out: &out)
        }
        let bytes = [UInt8](copying: reply)
        counters.bytesIn += UInt64(bytes.count)
        guard let (header, start) = admit(bytes, lane: .reply, now: now, out: &out) else {
            return unanswered(lane, now: now, out: &out)
        }
        lanes[lane].outstanding = nil
        lanes[lane].failures = 0
        lanes[lane].isSelf = header.salt == salt
        guard !lanes[lane].isSelf else { return }
        lanes[lane].member = header.sender
        for index in peers.indices {
            if peers[index].index == lane { peers[index].index = nil }
            if peers[index].name == header.sender.name { peers[index].index = lane }
        }
        take(bytes, start, header, asked, store: &store, now: now, out: &out)
        if let to = asked.to, let at = position(of: to) {
            peers[at].endAsking(answeredBy: header.sender, isCut: bytes.count >= Self.answerSize)
        }
    }

    private mutating func take(
        _ bytes: [UInt8], _ start: Int, _ header: FrameHeader, _ asked: RequestLane.Outstanding,
        store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) {
        let sender = header.sender
        guard let at = position(of: sender), peers[at].salt == header.salt else { return }
        let transit = peers[at].offset.transit(clock: header.clock, now: now)
        if peers[at].offset.hasImproved { peers[at].distrustAges() }
        peers[at].noteRoundTrip(now - asked.sentAt)
        let before = peers[at].stream.position
        var chunk: SyncAnswer?
        var part: InquiryPart?
        var changed: UInt64 = 0
        do {
            var reader = WireReader(bytes, start..<bytes.count)
            while let entry = try Self.nextEntry(&reader) {
                counters.entriesIn += 1
                switch EntryKind(rawValue: entry.kind) {
                case .positions: hear(try Position.readAll(bytes, entry.payload), from: sender, out: &out)
                case .repairAnswer:
                    counters.ringOverruns += 1
                    if let at = position(of: sender) { peers[at].want(sync: .complete) }
                case .syncAnswer:
                    let answer = try SyncAnswer(bytes, entry.payload)
                    for position in answer.positions { hearPosition(position) }
                    chunk = answer
                case .item:
                    let item = try RecordItem(bytes, entry.payload)
                    // Neither a gap's nor a comparison's.
                    if item.sequence == 0, chunk == nil { peers[at].noteAnswered(item.did) }
                    let outcome = take(item, bytes, transit, of: sender, store: &store, now: now, out: &out)
                    if chunk != nil { counters.syncRecords += 1 }
                    if chunk != nil, outcome == .applied { changed += 1 }
                case .inquiryPart: part = try InquiryPart(bytes, entry.payload)
                default: counters.unknownEntries += 1
                }
            }
        } catch {
            counters.malformedFrames += 1
            return
        }
        if let number = asked.inquiry { take(part, bytes, to: number, of: sender, now: now, out: &out) }
        if let chunk, asked.isSync { takeChunk(chunk, changed, of: sender, now: now, out: &out) }
        if let at = position(of: sender), peers[at].stream.position != before { peers[at].wants.notBefore = now }
    }

    private mutating func take(
        _ item: RecordItem, _ bytes: [UInt8], _ transit: Int64, of sender: MemberID,
        store: inout some ReplicatedRecords,
        now: Instant, out: inout ClusterActions
    ) -> JoinOutcome {
        var outcome = JoinOutcome.unchanged
        if !item.record.isEmpty {
            noteAge(of: item.did, by: sender)
            let told = ToldFacts(item, in: bytes, age: transit, by: sender)
            outcome = join(told, store: &store, now: now, out: &out)
        }
        guard item.sequence > 0 else { return outcome }
        counters.repairsIn += 1
        note(item.sequence...item.sequence, of: sender)
        tellPositions(now, soon: true)
        return outcome
    }

    private mutating func hearPosition(_ position: Position) {
        if let at = self.position(of: position.member) { peers[at].stream.hear(position.known) }
    }

    private mutating func unanswered(_ lane: Int, now: Instant, out: inout ClusterActions) {
        counters.requestsUnanswered += 1
        if let to = lanes[lane].outstanding?.to, let at = position(of: to) {
            peers[at].endAsking(answeredBy: nil)
        }
        lanes[lane].outstanding = nil
        lanes[lane].failures += 1
        lanes[lane].pauseUntil = now.advanced(by: RequestLane.pause)
        let at = peers.firstIndex { $0.index == lane }
        if at == nil, lanes[lane].member == nil, !lanes[lane].wasNotedAbsent {
            lanes[lane].wasNotedAbsent = true
            out.append(.note(.peerNotThereYet(peer: lane)))
        }
        // Heard on the bus, yet it never answers: a ghost connection. It is made anew, at most every two seconds.
        guard let at, peers[at].verdict == .heard, lanes[lane].failures >= 3,
            now > lanes[lane].lastRecycle.advanced(by: .seconds(2))
        else { return }
        lanes[lane].lastRecycle = now
        out.append(.recycle(peer: lane))
    }
}

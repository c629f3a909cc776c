// Frames from the bus: who sent it, how old it is, then entry by entry.
//
// A frame that is not for us (another cluster, another version, our own) is counted and noted once; nothing of it is
// applied. A frame older than half the horizon is treated as a gap (R6, R8): it may hold what the others have forgotten
// by now.

package import Primitives

extension Cluster {
    /// A frame that a peer published.
    package mutating func receive(
        frame: RawSpan, store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) {
        beginEvent(now, &out)
        counters.framesIn += 1
        counters.bytesIn += UInt64(frame.byteCount)
        guard frame.byteCount <= FrameHeader.messageLimit else { return counters.malformedFrames += 1 }
        let bytes = [UInt8](copying: frame)
        guard let (header, start) = admit(bytes, lane: .published, now: now, out: &out) else { return }
        guard let at = identify(header, now: now, out: &out) else { return }
        let transit = peers[at].offset.transit(clock: header.clock, now: now)
        if peers[at].offset.hasImproved { peers[at].distrustAges() }
        let sent = now.advanced(milliseconds: -transit)
        peers[at].clock = max(peers[at].clock, header.clock)
        if header.count > 0 { peers[at].stream.know(header.first + UInt64(header.count) - 1) }
        guard sent.advanced(by: settings.horizon / 2) >= now else { return counters.staleFrames += 1 }
        var frame = InboundFrame(header: header, bytes: bytes, sent: sent, transit: transit)
        do {
            var reader = WireReader(bytes, start..<bytes.count)
            while let entry = try Self.nextEntry(&reader) {
                receive(entry.kind, entry.payload, in: &frame, store: &store, now: now, out: &out)
            }
        } catch {
            counters.malformedFrames += 1
        }
        finish(frame, now: now, out: &out)
    }

    /// The frame that is being read, and what it did to its sender's stream so far.
    struct InboundFrame {
        let header: FrameHeader
        let bytes: [UInt8]
        let sent: Instant
        let transit: Int64
        /// How many sequenced entries were passed.
        var sequenced: UInt64 = 0
        /// Sequences in a row that are in our records and not noted in the stream yet.
        var joined: ClosedRange<UInt64>?
        var hasHeartbeat = false

        var sender: MemberID { header.sender }
    }

    static func nextEntry(_ reader: inout WireReader) throws(WireError) -> (kind: UInt8, payload: Range<Int>)? {
        guard !reader.isAtEnd else { return nil }
        let kind = try reader.byte()
        return (kind, try reader.lengthDelimited())
    }

    /// Reads the header of a message; strangers are counted and noted.
    mutating func admit(
        _ bytes: [UInt8], lane: FrameHeader.Lane, now: Instant, out: inout ClusterActions
    ) -> (FrameHeader, Int)? {
        var reader = WireReader(bytes)
        let header: FrameHeader
        do {
            header = try FrameHeader.read(&reader)
        } catch {
            switch error.reason {
            case .version(let version):
                counters.foreignVersion += 1
                noteOnce("version \(version)", .wrongVersion(version), &out)
            case .sealed(let name):
                counters.sealedFrames += 1
                noteOnce("sealed \(name)", .sealedFrame(name: Stranger.shown(name)), &out)
            default: counters.malformedFrames += 1
            }
            return nil
        }
        guard header.mark == mark else {
            counters.foreignCluster += 1
            meetStranger(header.sender.name, now: now, out: &out) { .wrongCluster(name: $0) }
            return nil
        }
        guard header.lane == lane else {
            counters.malformedFrames += 1
            return nil
        }
        return (header, reader.offset)
    }

    private mutating func receive(
        _ rawKind: UInt8, _ payload: Range<Int>, in frame: inout InboundFrame, store: inout some ReplicatedRecords,
        now: Instant,
        out: inout ClusterActions
    ) {
        counters.entriesIn += 1
        guard let kind = EntryKind(rawValue: rawKind) else { return counters.unknownEntries += 1 }
        let sender = frame.sender
        do {
            switch kind {
            case .put, .patch: try receiveFact(kind, payload, in: &frame, store: &store, now: now, out: &out)
            case .heartbeat:
                frame.hasHeartbeat = true
                absorb(
                    try Heartbeat(frame.bytes, payload), from: sender, clock: frame.header.clock, now: now, out: &out)
            case .positions: hear(try Position.readAll(frame.bytes, payload), from: sender, out: &out)
            case .intent: answer(try Intent(frame.bytes, payload), from: sender, store: &store, now: now)
            case .grant:
                granted(try IntentAnswer(frame.bytes, payload), by: sender, at: frame.sent, now: now, out: &out)
            case .refuse:
                try refused(IntentAnswer(frame.bytes, payload), in: frame, store: &store, now: now, out: &out)
            case .farewell:
                if let at = position(of: sender) { peers[at].heartbeat.state = .left }
                isMembershipStale = true
            case .question: answer(try Question(frame.bytes, payload), from: sender, store, now: now)
            case .known:
                take(try QuestionAnswer(frame.bytes, payload), in: frame, store: &store, now: now, out: &out)
            case .item, .repairRequest, .fetchRequest, .repairAnswer, .syncRequest, .syncAnswer, .inquiry, .inquiryPart:
                counters.unknownEntries += 1
            }
        } catch {
            // Its sequence stays missing, so a fact that could not be read is asked for again.
            counters.malformedEntries += 1
        }
    }

    private mutating func receiveFact(
        _ kind: EntryKind, _ payload: Range<Int>, in frame: inout InboundFrame, store: inout some ReplicatedRecords,
        now: Instant,
        out: inout ClusterActions
    ) throws(WireError) {
        guard frame.sequenced < UInt64(frame.header.count) else { throw WireError(.tooMany, at: payload.lowerBound) }
        let sequence = frame.header.first + frame.sequenced
        frame.sequenced += 1
        if settings.isWitness { return }
        let item = try RecordItem(frame.bytes, payload)
        // What is in our records stays out: an old put would bring back what has ended and been forgotten (R6).
        let at = position(of: frame.sender)
        if let at, peers[at].stream.contains(sequence), !mutated("join-old") { return }
        let told = ToldFacts(item, in: frame.bytes, age: kind == .put ? frame.transit : nil, by: frame.sender)
        if kind == .put { noteAge(of: item.did, by: frame.sender) }
        let outcome = join(told, store: &store, now: now, out: &out)
        if outcome == .unknown, !mutated("patch-lost") {
            park(told, sequence, now: now)
        } else if let joined = frame.joined, joined.upperBound + 1 == sequence {
            frame.joined = joined.lowerBound...sequence
        } else {
            note(frame.joined, of: frame.sender)
            frame.joined = sequence...sequence
        }
    }

    /// Joins what came from a peer, and tells those who have asked about it and do not hear that one; then what waited
    /// for it.
    mutating func join(
        _ told: ToldFacts, store: inout some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) -> JoinOutcome {
        if settings.isWitness { return .unchanged }
        let span = RawSpan(_elements: told.bytes.span).extracting(told.range)
        let outcome = store.join(told.did, span, ageMilliseconds: told.age, now: now)
        switch outcome {
        case .applied:
            if store.isTombstone(told.did) { bury(told.did, store: &store, now: now) }
            noteTold(told.did, by: told.by)
        case .refused: counters.recordsRefused += 1
        case .unchanged, .unknown: break
        }
        guard outcome != .unknown, !parked.isEmpty else { return outcome }
        for patch in parked.take(told.did) {
            counters.parkedApplied += 1
            _ = join(ToldFacts(patch), store: &store, now: now, out: &out)
            note(patch.sequence...patch.sequence, of: patch.from)
            tellPositions(now)
        }
        return outcome
    }

    private mutating func park(_ told: ToldFacts, _ sequence: UInt64, now: Instant) {
        counters.parked += 1
        let patch = ParkedPatches.Patch(
            did: told.did, from: told.by, sequence: sequence, bytes: Array(told.bytes[told.range]), since: now)
        if !parked.park(patch) { counters.parkedDropped += 1 }
        guard let at = position(of: told.by) else { return }
        want(told.did, of: at)
    }

    /// Notes in the sender's stream that these facts are in our records.
    mutating func note(_ range: ClosedRange<UInt64>?, of sender: MemberID) {
        guard let range, let at = position(of: sender) else { return }
        for index in peers.indices where peers[index].session != nil {
            let known = peers[index].session?.overtaken[sender] ?? .max
            peers[index].session?.overtaken[sender] = min(known, range.lowerBound)
        }
        if !peers[at].stream.apply(range) { counters.rangesDropped += 1 }
    }

    private mutating func finish(_ frame: InboundFrame, now: Instant, out: inout ClusterActions) {
        note(frame.joined, of: frame.sender)
        guard let at = position(of: frame.sender) else { return }
        let disproved = peers[at].detector.heard(
            sent: frame.sent, isHeartbeat: frame.hasHeartbeat, now: now, settings: settings)
        if disproved { counters.falseProofs += 1 }
        if disproved || peers[at].verdict != .heard { isMembershipStale = true }
        if peers[at].stream.isBehind && !peers[at].wants.isBehind {
            peers[at].wants.isBehind = true
            counters.gaps += 1
        }
        if frame.header.count > 0 || frame.header.wantsAcknowledgement {
            tellPositions(now, soon: frame.header.wantsAcknowledgement)
        }
    }

    /// Our positions leave with the next frame: within the linger, or with this batch of events.
    mutating func tellPositions(_ now: Instant, soon: Bool = false) {
        arePositionsDue = min(arePositionsDue, soon ? now : now.advanced(by: settings.linger))
    }

    private mutating func refused(
        _ answer: IntentAnswer, in frame: InboundFrame, store: inout some ReplicatedRecords, now: Instant,
        out: inout ClusterActions
    ) throws(WireError) {
        if mutated("refusal-ignored") { return }
        if !answer.record.isEmpty {
            let told = ToldFacts(
                did: answer.did, bytes: frame.bytes, range: answer.record, age: Int64(answer.age) + frame.transit,
                by: frame.sender)
            _ = join(told, store: &store, now: now, out: &out)
        }
        guard answer.asker == localMember, view.contains(frame.sender), let ask = asks[answer.did],
            ask.intent.generation == answer.generation,
            ask.intent.deadlineMilliseconds == answer.deadlineMilliseconds
        else { return }
        if answer.record.isEmpty, let at = position(of: frame.sender) { want(answer.did, of: at) }
        if asks.close(answer.did) { out.append(.refused(did: answer.did)) }
    }
}

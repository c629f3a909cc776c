// What an heir asks before it ends a transaction of a dead node's: everybody that it hears, on the stream, and it has
// heard each of them before it acts. A peer may know an answer that has not reached this node, and a request to it may
// wait behind another on the repair socket for as long as that has no answer.
//
// A peer that is heard and says nothing for `requestTimeout` will say nothing. One whose version does not know the
// question is asked over the repair socket, and not waited for.
//
// The answer is what a peer knew when it was asked. What it learns afterwards from a process that the heir does not
// hear it tells by itself, as one more answer (`AskedDialogs`): it may be the only bridge between the two.

package import Primitives

extension Cluster {
    /// Asks every peer that is heard what it knows of a dialog; `.questioned` when each has answered, or will not.
    package mutating func question(
        _ did: UInt64, store: some ReplicatedRecords, now: Instant, out: inout ClusterActions
    ) {
        for index in peers.indices where peers[index].verdict == .heard && !peers[index].heartbeat.isWitness {
            if !answersQuestions(peers[index]) { want(did, of: index) }
        }
        guard peers.contains(where: answersQuestions) else { return out.append(.questioned(did: did)) }
        guard !questions.isFull || questions[did] != nil else {
            counters.questionsRefused += 1
            return out.append(.questioned(did: did))
        }
        let number = questions.ask(did, now: now, again: now.advanced(by: settings.askInterval))
        counters.questions += 1
        publish(question: did, number, store, now: now)
    }

    private func answersQuestions(_ peer: Peer) -> Bool {
        guard peer.verdict == .heard, peer.hasHeartbeat, peer.heartbeat.state != .left else { return false }
        return !peer.heartbeat.isWitness && peer.heartbeat.hello.capabilities & Hello.answersQuestions != 0
    }

    private mutating func publish(question did: UInt64, _ number: UInt64, _ store: some ReplicatedRecords, now: Instant)
    {
        let question = Question(did: did, number: number, digest: read(did, store, now: now).digest)
        if !outbound.append(.question, now: now, isUrgent: true, { question.write(into: &$0) }) {
            counters.unsentEntries += 1
        }
    }

    /// The record's bytes are in `scratch` then, with their digest, 0 without a record, and its age.
    private mutating func read(
        _ did: UInt64, _ store: some ReplicatedRecords, now: Instant
    ) -> (digest: UInt64, age: Int64) {
        scratch.removeAll()
        guard let age = store.write(did, into: &scratch, now: now) else { return (0, 0) }
        return (hash.hash(RawSpan(_elements: scratch.bytes.span)) | 1, age)
    }

    /// Questions that nobody has answered are asked again, and end when nobody is left who could.
    mutating func advanceQuestions(_ store: some ReplicatedRecords, now: Instant, out: inout ClusterActions) {
        guard let next = questions.nextDeadline, next <= now else { return }
        for did in questions.due(now, interval: settings.askInterval) {
            guard !conclude(question: did, now: now, out: &out), let open = questions[did] else { continue }
            publish(question: did, open.number, store, now: now)
        }
    }

    private mutating func conclude(question did: UInt64, now: Instant, out: inout ClusterActions) -> Bool {
        guard let open = questions[did] else { return false }
        let isAnswered = peers.allSatisfy { !answersQuestions($0) || open.answered.contains($0.id) }
        let isOver = now >= open.since.advanced(by: settings.requestTimeout)
        guard isAnswered || isOver else { return false }
        if !isAnswered { counters.questionsUnanswered += 1 }
        questions.close(did)
        out.append(.questioned(did: did))
        return true
    }

    /// A peer asks: it gets the record as it stands, unless it has the same.
    mutating func answer(_ question: Question, from asker: MemberID, _ store: some ReplicatedRecords, now: Instant) {
        guard !settings.isWitness, state != .left else { return }
        if !asked.note(question, by: asker, now: now) { counters.questionsForgotten += 1 }
        let known = read(question.did, store, now: now)
        tell(QuestionAnswer(to: question, from: asker), known.digest == question.digest ? (0, 0) : known, now: now)
    }

    /// What was read, whose bytes are in `scratch`; nothing of a record when its digest is 0.
    /// - Returns: `false` when no frame has room for it.
    @discardableResult
    private mutating func tell(_ answer: QuestionAnswer, _ known: (digest: UInt64, age: Int64), now: Instant) -> Bool {
        var answer = answer
        if known.digest != 0 {
            let isSent = outbound.append(.known, now: now, isUrgent: true) { [scratch] writer in
                answer.write(into: &writer, age: known.age, record: RawSpan(_elements: scratch.bytes.span))
            }
            if isSent { return true }
            answer.isLarge = true
        }
        let isSent = outbound.append(.known, now: now, isUrgent: true) { answer.write(into: &$0) }
        if !isSent { counters.unsentEntries += 1 }
        return isSent
    }

    /// A process has told of a dialog what was not known here: whoever has asked about it, and does not hear that one,
    /// is told.
    mutating func noteTold(_ did: UInt64, by sender: MemberID) {
        guard !asked.isEmpty, asked.contains(did) else { return }
        let deaf = peers.filter { peer in
            guard let opinion = peer.heartbeat.opinion(of: sender.name) else { return peer.id != sender }
            return opinion.member != sender || opinion.verdict != .heard
        }
        asked.changed(did, unheardBy: deaf.map(\.id))
    }

    /// Tells askers what came since they were answered.
    mutating func tellAskers(_ store: some ReplicatedRecords, now: Instant) {
        guard asked.hasDue else { return }
        for due in asked.takeDue() {
            let known = read(due.did, store, now: now)
            guard known.digest != 0 else { continue }
            for asker in due.askers {
                let answer = QuestionAnswer(did: due.did, number: asker.number, asker: asker.member)
                if tell(answer, known, now: now) { counters.askersTold += 1 }
            }
        }
    }

    mutating func take(
        _ answer: QuestionAnswer, in frame: InboundFrame, store: inout some ReplicatedRecords, now: Instant,
        out: inout ClusterActions
    ) {
        if !answer.record.isEmpty {
            noteAge(of: answer.did, by: frame.sender)
            let told = ToldFacts(
                did: answer.did, bytes: frame.bytes, range: answer.record, age: Int64(answer.age) + frame.transit,
                by: frame.sender)
            _ = join(told, store: &store, now: now, out: &out)
        }
        guard answer.asker == localMember else { return }
        if answer.isLarge {
            // It is asked again: with the record here it has nothing more to say.
            if let at = position(of: frame.sender) { want(answer.did, of: at) }
            return
        }
        if questions.answer(answer.did, answer.number, by: frame.sender) {
            _ = conclude(question: answer.did, now: now, out: &out)
        }
    }
}

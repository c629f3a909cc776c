// The turn of a node with its script, for whoever drives one: the SIP thread, the simulator, a test.
//
//     node ──question──▶ outbox ──▶ run, with the node's records lent ──▶ acts, then the verdict ──▶ node ──▶ outbox …
//
// Everything happens within the event that asked: before anything of it is sent, and until nothing is asked any more.
// What a run wrote of a dialog is in its record before its verdict: the BYE that ends it finds it there.

internal import Dialogs
package import Node
internal import Primitives
internal import Proxy
package import Routes

extension ScriptJudge {
    /// Answers what stands in the outbox, and what its answers lead to.
    package func answer(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard !out.scripts.isEmpty else { return }
        while !out.scripts.isEmpty {
            let asked = out.scripts
            out.scripts.removeAll(keepingCapacity: true)
            for question in asked {
                lendRecords(of: &node)
                let verdict = judge(question, time)
                lendRecords(of: &node)
                let lost = carryOutActs(&node, time, into: &out)
                guard let verdict else { continue }
                let answer = Answer(question: question, verdict: verdict)
                receive(answer, unless: lost, &node, time, into: &out)
            }
        }
        tell(into: &out)
    }

    /// Goes on with the runs whose time has come.
    package func goOn(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard let next, next <= time.now else { return }
        lendRecords(of: &node)
        let late = resume(time)
        lendRecords(of: &node)
        let lost = carryOutActs(&node, time, into: &out)
        for answer in late { receive(answer, unless: lost, &node, time, into: &out) }
        tell(into: &out)
        answer(&node, time, into: &out)
    }

    /// By swapping, so the second time takes them back.
    private func lendRecords(of node: inout Node) {
        node.exchangeRecords(with: &engine.host.run)
    }

    /// A request whose registration found no room is refused, whatever its run has said.
    private func receive(
        _ answer: Answer, unless lost: Set<UInt64>, _ node: inout Node, _ time: RouteTime, into out: inout Outbox
    ) {
        var verdict = answer.verdict
        if case .request = verdict, lost.contains(answer.question.token) {
            verdict = .request(RequestVerdict(.answer(status: 503, reason: [], lines: [])))
        }
        node.receive(verdict: verdict, to: answer.question, now: time.now, into: &out)
    }

    // MARK: Records

    /// - Returns: The questions whose registrations were not taken.
    private func carryOutActs(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) -> Set<UInt64> {
        var lost: Set<UInt64> = []
        guard !acts.isEmpty else { return lost }
        for act in acts {
            if !act.registrations.isEmpty || !act.statuses.isEmpty {
                let isKept = node.register(
                    act.registrations, statuses: act.statuses, by: act.question, now: time.now, into: &out)
                if !isKept { lost.insert(act.question.token) }
            }
            carryOut(act.dialogs, &node, time, into: &out)
        }
        acts.removeAll(keepingCapacity: true)
        return lost
    }

    private func carryOut(_ draft: DialogDraft, _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        for did in draft.written {
            attempt(did, into: &out) { (out) throws(DialogError) in
                try node.write(draft.changes(of: did), to: did, now: time.now, into: &out)
            }
        }
        for lifetime in draft.lifetimes {
            guard let did = lifetime.did else { continue }
            attempt(did, into: &out) { (out) throws(DialogError) in
                try node.change(
                    did: did.hex, [.timeout(seconds: lifetime.seconds)], now: time.now, into: &out)
            }
        }
        for wish in draft.endings { end(wish, &node, time, into: &out) }
    }

    private func end(_ wish: DialogDraft.Ending, _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        var ending = DialogEnding()
        switch wish.side {
        case .all: ending.side = .all
        case .caller: ending.side = .caller
        case .callee: ending.side = .callee
        }
        ending.reason = wish.reason.shown
        attempt(wish.did, into: &out) { (out) throws(DialogError) in
            switch try node.terminate(did: wish.did.hex, ending, now: time.now, into: &out) {
            case .ending, .endingAlready, .alreadyEnded: break
            case .unknown: throw .unknown
            case .refused(let reason): throw .refused(reason)
            }
        }
    }

    /// The script was told that it would be done; what has come between is for the log.
    private func attempt(
        _ did: DialogID, into out: inout Outbox, _ body: (inout Outbox) throws(DialogError) -> Void
    ) {
        do throws(DialogError) {
            try body(&out)
        } catch {
            out.notes.append(
                Note(
                    .warning, "what a script wanted of a dialog was not done",
                    [("did", did.hex), ("why", error.message)]))
        }
    }

    // MARK: The log

    private func tell(into out: inout Outbox) {
        for note in notes { out.notes.append(Note(script: note.level, note.text.shown)) }
        for failure in failures {
            out.notes.append(
                Note(
                    .warning, "a route of the script failed",
                    [("file", failure.file), ("line", String(failure.line)), ("why", failure.text)]))
        }
        notes.removeAll(keepingCapacity: true)
        failures.removeAll(keepingCapacity: true)
    }
}

extension Note {
    /// What a script writes into the log.
    fileprivate init(script level: RouteNote.Level, _ text: String) {
        let text = [("text", text)]
        switch level {
        case .debug: self.init(.debug, "the script says", text)
        case .info: self.init(.info, "the script says", text)
        case .notice: self.init(.notice, "the script says", text)
        case .warning: self.init(.warning, "the script says", text)
        case .error: self.init(.error, "the script says", text)
        }
    }
}

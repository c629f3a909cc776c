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
package import SIP

extension ScriptJudge {
    /// Answers what stands in the outbox, and what its answers lead to.
    package func answer(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard !out.scripts.isEmpty else { return }
        var asked: [ScriptQuestion] = []
        swap(&asked, &spareQuestions)
        while !out.scripts.isEmpty {
            swap(&asked, &out.scripts)
            for question in asked { answer(question, &node, time, into: &out) }
            asked.removeAll(keepingCapacity: true)
        }
        swap(&asked, &spareQuestions)
        tell(into: &out)
        sendMedia(into: &out)
    }

    private func answer(
        _ question: ScriptQuestion, _ node: inout Node, _ time: RouteTime, into out: inout Outbox
    ) {
        let isLent = lend(question, &engine.host.run, of: &node)
        let verdict = judge(question, time)
        takeBack(question, isLent, &engine.host.run, to: &node)
        carryOutActs(&node, time, into: &out)
        if let verdict { receive(Answer(question: question, verdict: verdict), &node, time, into: &out) }
        receiveLate(&node, time, into: &out)
    }

    /// - Returns: Whether the message is lent, too.
    private func lend(_ question: ScriptQuestion, _ run: inout RouteRun, of node: inout Node) -> Bool {
        node.exchangeRecords(with: &run)
        return node.lendMessage(of: question, to: &run)
    }

    private func takeBack(
        _ question: ScriptQuestion, _ isLent: Bool, _ run: inout RouteRun, to node: inout Node
    ) {
        node.exchangeRecords(with: &run)
        node.takeWritten(from: &run)
        if isLent { node.takeBackMessage(of: question, from: &run) }
    }

    /// A datagram that came to the socket of the media relays.
    package func receive(
        media bytes: RawSpan, from: Endpoint, _ node: inout Node, _ time: RouteTime, into out: inout Outbox
    ) {
        var copy: [UInt8] = []
        copy.append(bytes)
        lendRecords(of: &node)
        let answers = receive(media: copy[...], from: from, time)
        lendRecords(of: &node)
        take(answers, &node, time, into: &out)
    }

    private func take(_ answers: [Answer], _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        carryOutActs(&node, time, into: &out)
        for answer in answers { receive(answer, &node, time, into: &out) }
        receiveLate(&node, time, into: &out)
        tell(into: &out)
        sendMedia(into: &out)
        answer(&node, time, into: &out)
    }

    private func sendMedia(into out: inout Outbox) {
        guard hasMediaRelays else { return }
        for datagram in mediaRelays.takeOutgoing() {
            let isIPv6 = datagram.to.address.isIPv6
            out.queue.send(datagram.bytes, to: datagram.to, from: isIPv6 ? mediaListeners.ipv6 : mediaListeners.ipv4)
        }
    }

    /// Goes on with the runs whose time has come.
    package func goOn(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard let next, next <= time.now else { return }
        lendRecords(of: &node)
        let resumed = resume(time)
        lendRecords(of: &node)
        take(resumed, &node, time, into: &out)
    }

    /// By swapping, so the second time takes them back.
    private func lendRecords(of node: inout Node) {
        node.exchangeRecords(with: &engine.host.run)
    }

    /// A request whose registration found no room is refused, whatever its run has said.
    private func receive(_ answer: Answer, _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard !lost.isEmpty, lost.remove(answer.question.token) != nil else {
            return node.receive(verdict: answer.verdict, to: answer.question, now: time.now, into: &out)
        }
        var verdict = answer.verdict
        switch verdict {
        case .request: verdict = .request(RequestVerdict(.answer(status: 503, reason: [], lines: [])))
        case .final: verdict = .final(.answer(status: 503, reason: [], lines: []))
        case .message: break
        }
        node.receive(verdict: verdict, to: answer.question, now: time.now, into: &out)
    }

    /// What was said of requests that had been suspended.
    private func receiveLate(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard !late.isEmpty else { return }
        var answers: [Answer] = []
        swap(&answers, &late)
        for answer in answers { receive(answer, &node, time, into: &out) }
    }

    // MARK: Events

    /// Tells the script's function what has become of dialogs; what that leads to is told, too. The node must wait for
    /// confirmations (`awaitsConfirmation`): until then a record keeps what scripts wrote into it.
    /// - Parameter confirms: Nobody else does.
    package func tell(
        to callback: [UInt8], confirms: Bool, _ node: inout Node, _ time: RouteTime, into out: inout Outbox
    ) {
        var index = 0
        while index < out.events.count {
            let event = out.events[index]
            index += 1
            guard let did = DialogID(hex: event.dialog.did) else { continue }
            lendRecords(of: &node)
            tell(
                Array("dialog:\(event.kind.rawValue)".utf8), about: did,
                with: Self.message(from: event.dialog.from, to: event.dialog.to, event.dialog.callID), to: callback,
                time)
            lendRecords(of: &node)
            carryOutActs(&node, time, into: &out)
            receiveLate(&node, time, into: &out)
            if confirms { node.confirm(event, now: time.now, into: &out) }
        }
        tell(into: &out)
        answer(&node, time, into: &out)
    }

    /// Tells the script's function of contacts whose time is over.
    package func tellExpired(to callback: [UInt8], _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard !out.expired.isEmpty else { return }
        let message = Self.message(from: "<sip:event@localhost>;tag=event", to: "<sip:event@localhost>", "event")
        for contact in out.expired {
            lendRecords(of: &node)
            tell(of: contact, with: message, to: callback, time)
            lendRecords(of: &node)
            carryOutActs(&node, time, into: &out)
            receiveLate(&node, time, into: &out)
        }
        out.expired.removeAll(keepingCapacity: true)
        tell(into: &out)
        answer(&node, time, into: &out)
    }

    /// What an event's route sees: a request of nobody's, in the dialog where there is one.
    private static func message(from: String, to: String, _ callID: String) -> Message {
        func text(_ from: String, _ to: String) -> [UInt8] {
            Array(
                ("OPTIONS sip:event@localhost SIP/2.0\r\nVia: SIP/2.0/UDP localhost;branch=z9hG4bKevent\r\n"
                    + "Max-Forwards: 70\r\nFrom: \(from)\r\nTo: \(to)\r\nCall-ID: \(callID)\r\n"
                    + "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").utf8)
        }
        func read(_ bytes: [UInt8]) -> Message? {
            var message = Message()
            guard (try? message.load(RawSpan(_elements: bytes.span))) != nil, (try? message.identify()) != nil else {
                return nil
            }
            return message
        }
        // Headers of strangers may be such that they are read in their own message only.
        return read(text(from, to))
            ?? read(text("<sip:event@localhost>;tag=event", "<sip:event@localhost>")) ?? Message()
    }

    // MARK: Records

    private func carryOutActs(_ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        guard !acts.isEmpty else { return }
        for act in acts {
            if !act.registrations.isEmpty || !act.statuses.isEmpty {
                let isKept = node.register(
                    act.registrations, statuses: act.statuses, by: act.question, now: time.now, into: &out)
                if !isKept, let token = act.question?.token { lost.insert(token) }
            }
            carryOut(act.dialogs, &node, time, into: &out)
        }
        acts.removeAll(keepingCapacity: true)
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
        for wish in draft.profileTimeouts {
            let isTaken = node.setTimeout(
                ofProfile: wish.name, value: wish.value, seconds: wish.seconds, now: time.now)
            if isTaken { continue }
            out.notes.append(
                Note(.warning, "too many times of whole profiles are being set", [("profile", wish.name.shown)]))
        }
        for wish in draft.requests { ask(wish, &node, time, into: &out) }
        for wish in draft.endings { end(wish, &node, time, into: &out) }
    }

    private func ask(_ wish: DialogDraft.Request, _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        switch wish {
        case .within(let did, let leg, let method, let headers, let type, let body):
            var request = DialogRequest(method.shown, to: leg)
            (request.headers, request.contentType, request.body) = (headers.shown, type.shown, body.shown)
            attempt(did, into: &out) { (out) throws(DialogError) in
                try node.request(did: did.hex, request, now: time.now, into: &out)
            }
        case .refer(let did, let leg, let address):
            attempt(did, into: &out) { (out) throws(DialogError) in
                try node.refer(did: did.hex, leg, to: address.shown, now: time.now, into: &out)
            }
        case .bridge(let from, let to, let proxy):
            let bridge = DialogBridge(from: from.shown, to: to.shown, proxy: proxy.shown)
            attempt(nil, into: &out) { (out) throws(DialogError) in
                try node.bridge(bridge, now: time.now, into: &out)
            }
        }
    }

    private func end(_ wish: DialogDraft.Ending, _ node: inout Node, _ time: RouteTime, into out: inout Outbox) {
        var ending = DialogEnding()
        switch wish.side {
        case .all: ending.side = .all
        case .caller: ending.side = .caller
        case .callee: ending.side = .callee
        case .none: ending.side = .none
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
        _ did: DialogID?, into out: inout Outbox, _ body: (inout Outbox) throws(DialogError) -> Void
    ) {
        do throws(DialogError) {
            try body(&out)
        } catch {
            out.notes.append(
                Note(
                    .warning, "what a script wanted of a dialog was not done",
                    (did.map { [("did", $0.hex)] } ?? []) + [("why", error.message)]))
        }
    }

    // MARK: The log

    private func tell(into out: inout Outbox) {
        if notes.isEmpty, failures.isEmpty { return }
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

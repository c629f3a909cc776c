// A phone's requests: RFC 3261 §13.1, §13.2, §14.1, §15, §9.1, with the client transactions of §17.1.

internal import SIP

extension Phone {
    // MARK: Sending

    func startCall(_ world: World) {
        guard inviteClient == nil else { return }
        sendInvite(world)
        if let patience = plan.cancelAfter { start(.cancel, after: patience, world) }
        if let retry = plan.hunt?.retry { start(.tryAgain, after: retry.after, world) }
    }

    private func sendInvite(_ world: World) {
        let branch = newBranch()
        var text = "INVITE \(inviteText.uri) SIP/2.0\r\n"
        text += "Via: SIP/2.0/UDP \(endpoint.text);branch=\(branch);rport\r\n\(viaBehind)Max-Forwards: 70\r\n"
        if plan.hunt?.recordRoutes == true { text += "Record-Route: <sip:\(endpoint.text);lr>\r\n" }
        for route in hops.reversed() { text += "Record-Route: \(route)\r\n" }
        text += "From: <sip:\(user)@example.org>\(tagParameter)\r\nTo: <\(calledURI)>\r\n"
        text += "Call-ID: \(inviteText.callID)\r\nCSeq: \(firstCSeq) INVITE\r\nContact: <\(contactURI)>\r\n"
        text += timerText(.invite, cseq: firstCSeq)
        text += Phone.bodyText(offer(filledTo: plan.habits.size?.offer ?? 0))
        inviteClient = begin(
            .invite, branch: branch, cseq: firstCSeq, isInDialog: false, bytes: [UInt8](text.utf8), to: outbound, world)
    }

    /// The transaction is given up, with nobody told, and the same INVITE sent by another, as a balancer or a phone
    /// does that fails over (RFC 3263 §4.3).
    func tryAgain(_ world: World) {
        guard let index = inviteClient, !clients[index].isOver, !hasCancelled, !wantsCancel else { return }
        // A target that has failed may be asked once more, and by R16 is; these phones know one INVITE each.
        guard world.truth[call].dialog.stoppedAt == nil else { return }
        clients[index].phase = .terminated
        clients[index].isAbandoned = true
        world.log("\(user) gives its INVITE up and tries again", call: call)
        world.truth[call].triedAgainAt = world.now
        sendInvite(world)
    }

    /// What a user does in a call; nothing when there is no call any more, or a request of this kind is under way.
    func perform(_ act: CallPlan.Act, _ world: World) {
        guard isConfirmed, !hasVanished(at: world.now), var current = dialog else { return }
        if act == .hangUp { return hangUp(world) }
        let isBusy = clients.contains { $0.method == .invite && !$0.isOver } || servers.contains { $0.isOpenInvite }
        guard !isBusy, !hasUnacknowledgedAnswer else { return }
        current.localCSeq += 1
        if act != .options { current.contactVersion += 1 }
        dialog = current
        switch act {
        case .reInvite: sendInDialog(.invite, "INVITE", body: offer, world)
        case .update: sendInDialog(.update, "UPDATE", body: "", world)
        case .options: sendInDialog(.options, "OPTIONS", body: "", world)
        case .hangUp: break
        }
    }

    /// BYE, once (§15.1.1). The callee waits with it for the ACK (§15).
    func hangUp(_ world: World) {
        guard let current = dialog, current.state != .ended else { return }
        if role == .callee && hasUnacknowledgedAnswer && !clientGaveUp {
            start(.hangUp, after: .milliseconds(500), world)
            return
        }
        dialog?.localCSeq += 1
        world.truth[call].hungUp(self, at: world.now)
        sendInDialog(.bye, "BYE", body: "", world)
        end("hangs up", world)
    }

    private var clientGaveUp: Bool { servers.contains { $0.isInitial && $0.phase == .terminated } }

    private func sendInDialog(_ method: Method, _ name: String, body: String, _ world: World) {
        guard let current = dialog else { return }
        send(method, name, body: body, in: current, world)
    }

    private func send(_ method: Method, _ name: String, body: String, in current: PhoneDialog, _ world: World) {
        let branch = newBranch()
        guard
            let request = inDialogRequest(
                name, cseq: current.localCSeq, branch: branch, dialog: current, body: body)
        else {
            world.violate("sip", call: call, "\(user) cannot reach \(current.routeSet.first ?? current.remoteTarget)")
            return
        }
        begin(
            method, branch: branch, cseq: current.localCSeq, isInDialog: true, bytes: request.bytes, to: request.to,
            world)
    }

    @discardableResult
    private func begin(
        _ method: Method, branch: String, cseq: UInt32, isInDialog: Bool, bytes: [UInt8], to: Endpoint,
        _ world: World
    ) -> Int {
        let index = clients.count
        clients.append(
            ClientTransaction(
                method: method, branch: branch, cseq: cseq, isInDialog: isInDialog, bytes: bytes, destination: to,
                startedAt: world.now))
        send(bytes, to: to, world)
        start(.retransmit(client: index), after: PhoneTimes.t1, world)
        start(.timeout(client: index), after: PhoneTimes.transaction, world)
        return index
    }

    func retransmit(_ index: Int, _ world: World) {
        let client = clients[index]
        let mayRepeat = client.phase == .calling || (client.phase == .proceeding && client.method != .invite)
        guard mayRepeat else { return }
        send(client.bytes, to: client.destination, world)
        let doubled = client.interval * 2
        let isBounded = client.method != .invite
        clients[index].interval =
            client.phase == .proceeding ? PhoneTimes.t2 : isBounded ? min(doubled, PhoneTimes.t2) : doubled
        start(.retransmit(client: index), after: clients[index].interval, world)
    }

    func timeOut(_ index: Int, _ world: World) {
        let client = clients[index]
        // An INVITE that has a provisional answer waits for as long as it rings (§17.1.1.2).
        if client.method == .invite && client.phase == .proceeding { return }
        guard !client.isOver else { return }
        clients[index].phase = .terminated
        finish(index, code: 408, message: nil, world)
    }

    func cancel(_ world: World) {
        guard let index = inviteClient, !clients[index].isOver, !hasCancelled else { return }
        guard clients[index].phase == .proceeding else {
            wantsCancel = true  // Not before a provisional answer (§9.1).
            return
        }
        hasCancelled = true
        world.truth[call].cancelledAt = world.now
        let invite = clients[index]
        var text = "CANCEL \(inviteText.uri) SIP/2.0\r\n"
        text += "Via: SIP/2.0/UDP \(endpoint.text);branch=\(invite.branch);rport\r\nMax-Forwards: 70\r\n"
        text += "From: <sip:\(user)@example.org>\(tagParameter)\r\nTo: <\(calledURI)>\r\n"
        text += "Call-ID: \(inviteText.callID)\r\nCSeq: \(invite.cseq) CANCEL\r\nContent-Length: 0\r\n\r\n"
        begin(
            .cancel, branch: invite.branch, cseq: invite.cseq, isInDialog: false, bytes: [UInt8](text.utf8),
            to: outbound, world)
        world.attemptCancelled(self)
    }

    // MARK: Answers

    func receive(response: PhoneMessage, _ world: World) {
        guard
            let index = clients.firstIndex(where: {
                $0.branch == response.branch && $0.method == response.cseqMethod && $0.cseq == response.cseq
                    && !$0.isAbandoned
            })
        else { return }  // A stray answer: dropped (§18.1.2).
        let client = clients[index]
        guard response.callID == inviteText.callID else {
            world.violate("sip", call: call, "\(user) got an answer with a foreign Call-ID")
            return
        }
        if response.statusCode < 200 {
            guard !client.isOver else { return }
            clients[index].phase = .proceeding
            if client.method == .invite && !client.isInDialog { provisional(response, world) }
            return
        }
        if client.isOver { return receiveAgain(response, index, world) }
        clients[index].phase = .completed
        finish(index, code: response.statusCode, message: response, world)
    }

    private func provisional(_ response: PhoneMessage, _ world: World) {
        world.truth[call].provisional(response.statusCode, at: world.now)
        if wantsCancel {
            wantsCancel = false
            cancel(world)
        }
    }

    /// A final answer again: the ACK again (§13.2.2.4 for a 2xx, §17.1.1.2 else).
    private func receiveAgain(_ response: PhoneMessage, _ index: Int, _ world: World) {
        let client = clients[index]
        let isAccepted = (client.finalCode ?? 0) < 300
        if plan.fork != nil, client.method == .invite, !client.isInDialog {
            world.checkFurtherFinal(self, response, first: client.finalCode ?? 0)
            if isAccepted, response.statusCode < 300, response.toTag != dialog?.remoteTag {
                return receiveSurplus(response, world)
            }
        }
        guard client.method == .invite, let to = client.acknowledgementTo else { return }
        // A 2xx after this call was told otherwise is for a dialog that this phone never had: dropped.
        guard isAccepted == (response.statusCode < 300) else { return }
        send(client.acknowledgement, to: to, world)
    }

    private func finish(_ index: Int, code: Int, message: PhoneMessage?, _ world: World) {
        clients[index].finalCode = code
        let client = clients[index]
        world.log("\(user) has \(code) to its \(client.method)", call: call)
        if client.method == .invite, code >= 300, message != nil { acknowledgeFailure(index, message, world) }
        switch client.method {
        case .invite where !client.isInDialog:
            if code < 300, let message { establish(message, index, world) } else { fail(code, world) }
        case .invite, .update, .options:
            finishInDialog(index, code: code, message: message, world)
        case .bye:
            world.truth[call].byeAnswered(role, code)
        case .cancel:
            world.truth[call].cancelAnswered(code)
        default:
            break
        }
    }

    private func establish(_ message: PhoneMessage, _ index: Int, _ world: World) {
        dialog = PhoneDialog(
            state: .confirmed, callID: message.callID, local: message.from, remote: message.to, localTag: tag,
            remoteTag: message.toTag, localCSeq: clients[index].cseq, remoteCSeq: nil,
            routeSet: message.recordRoutes.reversed().filter { !isOwn($0) }, remoteTarget: message.contact)
        world.confirmed(self, message)
        start(.acknowledge(cseq: message.cseq), after: plan.acknowledgeDelay, world)
    }

    /// A 2xx of another callee: acknowledged, and its dialog ended, since there is one already (§13.2.2.4).
    private func receiveSurplus(_ message: PhoneMessage, _ world: World) {
        if let known = surplus.first(where: { $0.dialog.remoteTag == message.toTag }) {
            return send(known.acknowledgement, to: known.acknowledgementTo, world)
        }
        let another = PhoneDialog(
            state: .confirmed, callID: message.callID, local: message.from, remote: message.to, localTag: tag,
            remoteTag: message.toTag, localCSeq: message.cseq, remoteCSeq: nil,
            routeSet: message.recordRoutes.reversed(), remoteTarget: message.contact)
        guard let ack = inDialogRequest("ACK", cseq: message.cseq, branch: newBranch(), dialog: another, body: "")
        else { return world.violate("sip", call: call, "\(user) cannot reach \(message.contact)") }
        start(.hangUpSurplus(surplus.count), after: plan.fork?.surplusDelay ?? 0, world)
        surplus.append(SurplusDialog(dialog: another, acknowledgement: ack.bytes, acknowledgementTo: ack.to))
        world.confirmedSurplus(self, message)
        send(ack.bytes, to: ack.to, world)
    }

    func hangUp(surplus number: Int, _ world: World) {
        guard surplus[number].dialog.state == .confirmed else { return }
        surplus[number].dialog.localCSeq += 1
        surplus[number].dialog.state = .ended
        world.endedSurplus(self, surplus[number].dialog, hangsUp: true)
        send(.bye, "BYE", body: "", in: surplus[number].dialog, world)
    }

    private func fail(_ code: Int, _ world: World) {
        world.truth[call].failed(code, at: world.now)
        dialog = nil
        world.attemptFailed(self, code)
    }

    private func finishInDialog(_ index: Int, code: Int, message: PhoneMessage?, _ world: World) {
        let client = clients[index]
        if code < 300, let message {
            if client.method != .options, !message.contact.isEmpty { dialog?.remoteTarget = message.contact }
            world.refreshed(self, client)
            if client.method == .invite { start(.acknowledge(cseq: client.cseq), after: 0, world) }
            return
        }
        guard isConfirmed else { return }
        switch code {
        case 408, 481:
            // §12.2.1.2: the call is over; OPTIONS is only a question.
            world.truth[call].refused(role, code, client, at: world.now)
            hangUp(world)
        case 491:
            start(.again(client.method.act), after: .milliseconds(2_100 + Int64(index) * 10), world)
        case 500 where message?.retryAfter != nil:
            world.truth[call].retriedAfter500 += 1
            let delay = Nanoseconds.seconds(message?.retryAfter ?? 1) + .milliseconds(50)
            start(.again(client.method.act), after: delay, world)
        default:
            world.truth[call].refused(role, code, client, at: world.now)
        }
    }

    // MARK: ACK

    func acknowledge(_ cseq: UInt32, _ world: World) {
        guard let current = dialog,
            let index = clients.firstIndex(where: {
                $0.method == .invite && $0.cseq == cseq && ($0.finalCode ?? 0) < 300 && !$0.isAbandoned
            }),
            let ack = inDialogRequest("ACK", cseq: cseq, branch: newBranch(), dialog: current, body: "")
        else { return }
        clients[index].acknowledgement = ack.bytes
        clients[index].acknowledgementTo = ack.to
        acknowledged = max(acknowledged, cseq)
        if !clients[index].isInDialog { world.truth[call].acknowledgedAt = world.now }
        send(ack.bytes, to: ack.to, world)
    }

    /// ACK for a failure: the INVITE's own branch, Request-URI and Routes (§17.1.1.3).
    private func acknowledgeFailure(_ index: Int, _ response: PhoneMessage?, _ world: World) {
        guard let response else { return }
        let client = clients[index]
        let lines = String(decoding: client.bytes, as: UTF8.self).split(separator: "\r\n")
        var text = lines[0].replacingPrefix("INVITE", with: "ACK") + "\r\n"
        // One Via, its own: those below it are the INVITE's.
        text += (lines.first { $0.hasPrefix("Via:") } ?? "") + "\r\n"
        for line in lines.dropFirst() where line.hasPrefix("Route:") || line.hasPrefix("From:") {
            text += line + "\r\n"
        }
        text += "To: \(response.to)\r\nCall-ID: \(response.callID)\r\nMax-Forwards: 70\r\n"
        text += "CSeq: \(client.cseq) ACK\r\nContent-Length: 0\r\n\r\n"
        clients[index].acknowledgement = [UInt8](text.utf8)
        clients[index].acknowledgementTo = client.destination
        send(clients[index].acknowledgement, to: client.destination, world)
    }
}

extension Substring {
    func replacingPrefix(_ prefix: String, with other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : String(self)
    }
}

extension Method {
    /// The user's act that a request of this kind comes from.
    var act: CallPlan.Act {
        switch self {
        case .invite: .reInvite
        case .update: .update
        case .options: .options
        default: .hangUp
        }
    }
}

// A phone's answers: RFC 3261 §8.2, §13.3, §14.2, §15.1.2, §9.2, with the server transactions of §17.2.

internal import SIP

extension ServerTransaction {
    /// An INVITE that has no final answer yet.
    var isOpenInvite: Bool { request.method == .invite && phase == .proceeding }
}

extension Phone {
    /// A 2xx of ours to an INVITE still waits for its ACK.
    var hasUnacknowledgedAnswer: Bool {
        servers.contains { $0.request.method == .invite && $0.phase == .answered && $0.statusCode < 300 }
    }

    func receive(request: PhoneMessage, from source: Endpoint, _ world: World) {
        if behaviour.answer == .silent && role == .callee { return world.asks(self, request) }
        if request.method == .ack { return receiveACK(request, world) }
        if let known = servers.firstIndex(where: { $0.isSame(as: request) }) {
            // A retransmission: the last answer again, to where the first copy came from.
            if !servers[known].response.isEmpty { send(servers[known].response, to: servers[known].destination, world) }
            return
        }
        let index = servers.count
        let via = request.vias[0]
        let replyPort = via.hasRport ? source.port : Endpoint(hostPort: via.sentBy)?.port ?? 5060
        let destination = Endpoint(address: source.address, port: replyPort)
        servers.append(
            ServerTransaction(
                request: request, destination: destination,
                isInitial: request.method == .invite && !isInDialog(request)))
        if request.method == .cancel { return receiveCANCEL(index, world) }
        if !isInDialog(request) {
            receiveInitial(index, source, world)
        } else {
            receiveInDialog(index, source, world)
        }
    }

    /// By its To tag; one that has none speaks of the dialog that it has with who has none (RFC 3261 §12.1.1), unless
    /// it is the INVITE itself once more.
    private func isInDialog(_ request: PhoneMessage) -> Bool {
        guard request.toTag.isEmpty else { return true }
        guard tag.isEmpty, let dialog, dialog.callID == request.callID, dialog.remoteTag == request.fromTag else {
            return false
        }
        let initial = servers.first(where: \.isInitial)?.request.cseq
        return request.method != .invite || initial.map { request.cseq > $0 } ?? (role == .caller)
    }

    private func receiveInitial(_ index: Int, _ source: Endpoint, _ world: World) {
        let request = servers[index].request
        guard request.method == .invite else {
            respond(request.method == .options ? 200 : 481, server: index, world)
            return
        }
        // The same request by another path: merged (§8.2.2.2).
        let isMerged = servers.indices.contains {
            $0 != index && servers[$0].isInitial && servers[$0].request.callID == request.callID
                && servers[$0].request.fromTag == request.fromTag && servers[$0].request.cseq == request.cseq
        }
        if isMerged || role == .caller {
            world.merged(self, servers[index].request)
            respond(482, server: index, world)
            return
        }
        dialog = PhoneDialog(
            state: .early, callID: request.callID, local: request.to + tagParameter, remote: request.from,
            localTag: tag, remoteTag: request.fromTag, localCSeq: UInt32(firstCSeq), remoteCSeq: request.cseq,
            routeSet: request.recordRoutes.filter { !isOwn($0) }, remoteTarget: request.contact)
        world.rings(self, request)
        switch behaviour.answer {
        case .accepts where behaviour.ring == 0:
            answer(index, world)
        case .rejects where behaviour.isCurt:
            answer(index, world)
        case .accepts, .rejects:
            respond(180, server: index, world)
            start(.answer(server: index), after: behaviour.ring, world)
        case .ringsOn, .silent:
            respond(180, server: index, world)
        }
    }

    private func receiveInDialog(_ index: Int, _ source: Endpoint, _ world: World) {
        let request = servers[index].request
        if let extra = surplus.firstIndex(where: { $0.dialog.remoteTag == request.fromTag }) {
            return receiveInSurplus(extra, index, world)
        }
        let isOurs =
            dialog.map {
                $0.callID == request.callID && $0.localTag == request.toTag && $0.remoteTag == request.fromTag
            }
            ?? false
        guard isOurs, let current = dialog, current.state != .ended else {
            world.truth[call].unknownDialog(request, role)
            return respond(481, server: index, world)
        }
        if let seen = current.remoteCSeq, request.cseq < seen {
            world.outOfOrder(self, request, seen: seen)
            return respond(500, server: index, world)
        }
        if request.cseq > current.remoteCSeq ?? 0 { remoteCSeqAt = world.now }
        dialog?.remoteCSeq = request.cseq
        switch request.method {
        case .bye:
            respond(200, server: index, world)
            end("BYE received", world)
        case .invite:
            let isGlare = clients.contains { $0.method == .invite && $0.isInDialog && !$0.isOver }
            let isBusy = servers.indices.contains { $0 != index && servers[$0].isOpenInvite }
            if isGlare { return respond(491, server: index, world) }
            if isBusy || hasUnacknowledgedAnswer { return respond(500, server: index, world) }
            world.truth[call].reInviteBranch(request, at: world.now, world)
            start(.answer(server: index), after: world.answerDelay(call: call, at: world.now), world)
        case .update:
            dialog?.remoteTarget = request.contact
            respond(200, server: index, world)
        case .options, .info:
            respond(200, server: index, world)
        case .refer:
            respond(202, server: index, world)
        default:
            respond(500, server: index, world)
        }
    }

    /// A dialog that is one too many knows its end and questions of life; nobody means it to last.
    private func receiveInSurplus(_ extra: Int, _ index: Int, _ world: World) {
        guard surplus[extra].dialog.state == .confirmed else { return respond(481, server: index, world) }
        if servers[index].request.method == .bye {
            surplus[extra].dialog.state = .ended
            world.endedSurplus(self, surplus[extra].dialog, hangsUp: false)
        }
        respond(200, server: index, world)
    }

    private func receiveCANCEL(_ index: Int, _ world: World) {
        let request = servers[index].request
        let match = servers.firstIndex {
            $0.request.method == .invite && $0.request.branch == request.branch
                && $0.request.vias[0].sentBy == request.vias[0].sentBy
        }
        guard let invite = match else { return respond(481, server: index, world) }
        respond(200, server: index, world)
        world.truth[call].dialogs[place].cancelReached = world.truth[call].dialogs[place].cancelReached ?? world.now
        guard !servers[invite].isFinal, !isDeafToCancel else { return }
        respond(487, server: invite, world)
        if servers[invite].isInitial { stopRinging(world) }
    }

    private func receiveACK(_ request: PhoneMessage, _ world: World) {
        for index in servers.indices where servers[index].request.method == .invite {
            let server = servers[index]
            guard server.request.cseq == request.cseq, server.request.fromTag == request.fromTag else { continue }
            // An ACK that is for a failure, and came to a phone that has answered meanwhile, is not for its 2xx.
            if plan.fork != nil && server.statusCode < 300 && request.toTag != tag && role == .callee { continue }
            // A BYE may overtake the ACK: it is then heard all the same.
            if server.statusCode < 300 && server.isInitial && server.isFinal {
                world.truth[call].dialogs[place].ackReached =
                    world.truth[call].dialogs[place].ackReached ?? world.now
            }
            guard server.phase == .answered else { continue }
            if server.statusCode >= 300 && server.request.branch != request.branch { continue }
            servers[index].phase = .confirmed
            if server.statusCode < 300 && server.isInitial {
                if dialog?.state == .early { dialog?.state = .confirmed }
            }
        }
    }

    /// The user picks up or rejects; a re-INVITE is accepted.
    func answer(_ index: Int, _ world: World) {
        guard !servers[index].isFinal, dialog?.state != .ended else { return }
        let request = servers[index].request
        guard servers[index].isInitial else {
            dialog?.remoteTarget = request.contact
            return respond(200, server: index, world)
        }
        if case .rejects = behaviour.answer {
            stopRinging(world)
            return respond(behaviour.code, server: index, world)
        }
        world.truth[call].dialogs[place].answeredAt = world.now
        respond(200, server: index, world)
    }

    /// The early dialog is over: cancelled or rejected.
    private func stopRinging(_ world: World) {
        dialog?.state = .ended
        world.truth[call].dialogs[place].stoppedAt = world.now
    }

    func respond(_ statusCode: Int, server index: Int, _ world: World) {
        let request = servers[index].request
        let source = servers[index].destination
        let isLarge = statusCode == 200 && servers[index].isInitial
        let size = isLarge ? plan.habits.size?.answer ?? 0 : 0
        let body = statusCode == 200 && request.method == .invite ? offer(filledTo: size) : ""
        let bytes = response(statusCode, to: request, source: source, body: body)
        servers[index].response = bytes
        servers[index].statusCode = statusCode
        send(bytes, to: source, world)
        guard statusCode >= 200 else { return }
        servers[index].phase = request.method == .invite ? .answered : .confirmed
        guard request.method == .invite else { return }
        start(.repeatResponse(server: index), after: PhoneTimes.t1, world)
        start(.giveUp(server: index), after: PhoneTimes.transaction, world)
    }

    func repeatResponse(_ index: Int, _ world: World) {
        guard servers[index].phase == .answered else { return }
        send(servers[index].response, to: servers[index].destination, world)
        servers[index].interval = min(servers[index].interval * 2, PhoneTimes.t2)
        start(.repeatResponse(server: index), after: servers[index].interval, world)
    }

    /// 64·T1 without an ACK: the call is ended with a BYE (§13.3.1.4).
    func giveUp(_ index: Int, _ world: World) {
        guard servers[index].phase == .answered else { return }
        servers[index].phase = .terminated
        guard servers[index].statusCode < 300, dialog?.state != .ended else { return }
        world.truth[call].unacknowledged(self, isInitial: servers[index].isInitial, at: world.now)
        hangUp(world)
    }
}

extension ServerTransaction {
    /// §17.2.3: branch, sent-by and method.
    func isSame(as other: PhoneMessage) -> Bool {
        request.method == other.method && request.branch == other.branch
            && request.vias[0].sentBy == other.vias[0].sentBy
    }
}

// The server's search: the INVITE to each target, its end, and what goes back to the caller (RFC 3261 §16.7).

internal import SIP

extension HuntingServer {
    // MARK: Trying

    /// The next target that has not been tried; what is known of the others when there is none.
    func tryNext(_ world: World) {
        let isBusy = branches.contains { $0.code == nil && !$0.isGivenUp }
        guard !isBusy, branches.count < targets.count, !isCancelled, statusCode == 0 else {
            return concludeIfOver(world)
        }
        begin(branches.count, world)
    }

    func begin(_ place: Int, _ world: World) {
        guard let invite else { return }
        let id = "\(HuntingServer.branchPrefix)\(call)-\(place)"
        let bytes = edited(
            invite, uri: targets[place], branch: id, routes: invite.routes, recordRoutes: plan.recordRoutes)
        let index = branches.count
        branches.append(Branch(id: id, place: place, invite: bytes))
        world.log("the server tries \(targets[place])", call: call)
        send(bytes, to: outbound, world)
        start(.retransmit(branch: index, isCancel: false), after: PhoneTimes.t1, world)
        start(.timeout(branch: index), after: PhoneTimes.transaction, world)
        if isSerial { start(.patience(branch: index), after: plan.patience, world) }
    }

    func retransmit(_ index: Int, isCancel: Bool, _ world: World) {
        if isCancel {
            guard !branches[index].cancel.isEmpty else { return }
            send(branches[index].cancel, to: outbound, world)
            branches[index].cancelInterval = min(branches[index].cancelInterval * 2, PhoneTimes.t2)
            return start(.retransmit(branch: index, isCancel: true), after: branches[index].cancelInterval, world)
        }
        guard !branches[index].isProceeding, branches[index].code == nil else { return }
        send(branches[index].invite, to: outbound, world)
        branches[index].interval *= 2
        start(.retransmit(branch: index, isCancel: false), after: branches[index].interval, world)
    }

    func timeOut(_ index: Int, _ world: World) {
        // Timer B; or 64·T1 after a CANCEL, without an answer (§9.1).
        let isOver = !branches[index].isProceeding || branches[index].isCancelled
        guard isOver, branches[index].code == nil else { return }
        branches[index].cancel = []
        branches[index].code = 408
        fails(world)
    }

    /// The target has rung long enough: it is cancelled, and the next is tried at once.
    func losePatience(_ index: Int, _ world: World) {
        guard branches[index].code == nil, statusCode == 0, !isCancelled else { return }
        world.log("the server gives \(targets[branches[index].place]) up", call: call)
        branches[index].isGivenUp = true
        cancel(index, world)
        tryNext(world)
    }

    func cancel(_ index: Int, _ world: World) {
        guard !branches[index].isCancelled, branches[index].code == nil, let invite else { return }
        guard branches[index].isProceeding else {
            branches[index].wantsCancel = true
            return
        }
        branches[index].isCancelled = true
        var text = "CANCEL \(targets[branches[index].place]) SIP/2.0\r\n"
        text += "Via: SIP/2.0/UDP \(endpoint.text);branch=\(branches[index].id);rport\r\nMax-Forwards: 70\r\n"
        text += "From: \(invite.from)\r\nTo: \(invite.to)\r\nCall-ID: \(invite.callID)\r\n"
        text += "CSeq: \(invite.cseq) CANCEL\r\nContent-Length: 0\r\n\r\n"
        branches[index].cancel = [UInt8](text.utf8)
        send(branches[index].cancel, to: outbound, world)
        start(.retransmit(branch: index, isCancel: true), after: PhoneTimes.t1, world)
        start(.timeout(branch: index), after: PhoneTimes.transaction, world)
    }

    // MARK: Answers

    func receive(response: PhoneMessage, _ packet: Packet, _ world: World) {
        guard let index = branches.firstIndex(where: { $0.id == response.branch }) else {
            if response.branch.hasPrefix(HuntingServer.statelessPrefix) { passBack(response, packet, world) }
            return
        }
        if response.cseqMethod == .cancel {
            branches[index].cancel = []
            return
        }
        guard response.cseqMethod == .invite else { return }
        if response.statusCode < 200 {
            branches[index].isProceeding = true
            if branches[index].wantsCancel {
                branches[index].wantsCancel = false
                cancel(index, world)
            }
            if response.statusCode > 100 && statusCode == 0 { passBack(response, packet, world) }
        } else if response.statusCode < 300 {
            succeeds(index, response, packet, world)
        } else {
            acknowledge(index, response, world)
            guard branches[index].code == nil else { return }
            branches[index].code = response.statusCode
            fails(world)
        }
    }

    /// Every 2xx goes back at once (§16.7, step 5), and who still rings is cancelled.
    private func succeeds(_ index: Int, _ response: PhoneMessage, _ packet: Packet, _ world: World) {
        let isFirst = statusCode == 0
        branches[index].code = response.statusCode
        if statusCode == 0 {
            statusCode = response.statusCode
            isAcknowledged = true
        }
        passBack(response, packet, world)
        guard isFirst else { return }
        for other in branches.indices where other != index { cancel(other, world) }
    }

    private func fails(_ world: World) {
        let isFinal = branches.contains { ($0.code ?? 0) >= 600 }
        if isFinal { for index in branches.indices { cancel(index, world) } }
        if isSerial && !isFinal { tryNext(world) } else { concludeIfOver(world) }
    }

    /// Once all targets have failed, the best of their answers goes back.
    func concludeIfOver(_ world: World) {
        guard statusCode == 0, branches.allSatisfy({ $0.code != nil }) else { return }
        let codes = branches.compactMap(\.code)
        let isFinal = codes.contains { $0 >= 600 }
        guard isCancelled || isFinal || branches.count == targets.count else { return }
        let best = codes.max { rank($0) < rank($1) } ?? 480
        answerInvite(isCancelled ? 487 : best, world)
    }

    private func rank(_ code: Int) -> Int { code >= 600 ? 1_000 : 1_000 - code }

    private func acknowledge(_ index: Int, _ response: PhoneMessage, _ world: World) {
        var text = "ACK \(targets[branches[index].place]) SIP/2.0\r\n"
        text += "Via: SIP/2.0/UDP \(endpoint.text);branch=\(branches[index].id);rport\r\nMax-Forwards: 70\r\n"
        text += "From: \(response.from)\r\nTo: \(response.to)\r\nCall-ID: \(response.callID)\r\n"
        text += "CSeq: \(response.cseq) ACK\r\nContent-Length: 0\r\n\r\n"
        send([UInt8](text.utf8), to: outbound, world)
    }

    /// An answer without our Via, to where the next one says.
    private func passBack(_ response: PhoneMessage, _ packet: Packet, _ world: World) {
        guard response.vias.count > 1 else {
            return world.violate("sip", call: call, "the server gets an answer that ends there: \(response.statusCode)")
        }
        let next = response.vias[1]
        let address = next.received.isEmpty ? next.sentBy : "\(next.received):\(next.rport ?? 5060)"
        guard let to = Endpoint(hostPort: address) else {
            return world.violate("sip", call: call, "an answer whose next Via names no address: \(next.text)")
        }
        send(packet.bytes.removingTopVia(world.parser), to: to, world)
    }
}

// What a proxy above does between its attempts: when the next begins, what becomes of the others when one is answered,
// and which attempt a message is part of. Call-ID, From tag and CSeq do not tell; the callee's tag, the proxy's branch
// and the target do.

internal import SIP

extension World {
    // MARK: Which attempt

    /// The call that a message is part of; `nil` when it is of none.
    func call(of bytes: [UInt8]) -> Int? {
        guard let named = bytes.callID.flatMap({ calls[$0] }) else { return nil }
        guard let hunt = plan.calls[named].hunt, hunt.attempts > 1 else { return named }
        let tags = [bytes.header("To")?.parameter("tag"), bytes.header("From")?.parameter("tag")]
        if let byTag = hunt.calls.first(where: { tags.contains(phones[2 * $0 + 1].tag) }) { return byTag }
        if let byBranch = hunt.calls.first(where: { bytes.contains(text: "z9hG4bK-alice\($0)-") }) { return byBranch }
        let firstLine = [UInt8](bytes.firstLine.utf8)
        return hunt.calls.first { firstLine.contains(text: "sip:bob\($0)@") } ?? named
    }

    /// Callers of one hunt have their address in common.
    func receiver(of packet: Packet, at index: Int) -> Int {
        let phone = phones[index]
        guard phone.role == .caller, plan.calls[phone.call].hunt != nil else { return index }
        return call(of: packet.bytes).map { 2 * $0 } ?? index
    }

    /// What the balancer chooses a node by. A proxy that hunts by way of several nodes chooses for itself.
    func balancerKey(_ message: PhoneMessage, _ sender: Party) -> String {
        if case .server(let index) = sender, servers[index].plan.spreads { return message.callID + "-back" }
        guard let named = calls[message.callID], let hunt = plan.calls[named].hunt,
            let attempt = call(of: message.bytes)
        else { return message.callID }
        let isElsewhere = hunt.calls.contains(attempt) && plan.calls[attempt].hunt?.retry?.isElsewhere == true
        let again = isElsewhere && truth[attempt].triedAgainAt != nil ? "-again" : ""
        return message.callID + (hunt.spreads ? "-\(attempt)" : "") + again
    }

    // MARK: Going on

    /// The caller has a failure for its answer.
    func attemptFailed(_ phone: Phone, _ code: Int) {
        guard let hunt = phone.plan.hunt else { return }
        checkFailure(truth[phone.call], phone, code)
        if !hunt.isImpatient || !phone.hasCancelled { goesOn(hunt, after: phone.call, pause: hunt.pause) }
    }

    /// The caller has cancelled.
    func attemptCancelled(_ phone: Phone) {
        guard let hunt = phone.plan.hunt, hunt.isImpatient else { return }
        goesOn(hunt, after: phone.call, pause: hunt.pause)
    }

    private func goesOn(_ hunt: HuntPlan, after call: Int, pause: Nanoseconds) {
        guard !hunt.isParallel, hunt.calls.contains(call + 1), now < Plan.converged,
            plan.reduction.makes(call: call + 1)
        else { return }
        schedule(.startCall(call + 1), after: pause)
    }

    /// One of several that were tried at once has answered: the others are cancelled (RFC 3261 §16.7, step 10).
    func attemptAnswered(_ phone: Phone) {
        guard let hunt = phone.plan.hunt, hunt.isParallel else { return }
        for other in hunt.calls where other != phone.call {
            let caller = caller(of: other)
            if truth[other].confirmedAt == nil {
                caller.cancel(self)
            } else {
                // It was answered, too, and is one too many (§13.2.2.4).
                phone.start(.hangUp, after: .milliseconds(300), self)
            }
        }
    }
}

extension [UInt8] {
    func contains(text: String) -> Bool {
        let wanted = [UInt8](text.utf8)
        guard let first = wanted.first, count >= wanted.count else { return false }
        for index in 0...(count - wanted.count) where self[index] == first {
            if self[index..<index + wanted.count].elementsEqual(wanted) { return true }
        }
        return false
    }
}

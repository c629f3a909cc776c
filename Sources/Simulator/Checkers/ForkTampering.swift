// Ways to break a forked call on purpose, for the tests of its checkers.

internal import Dialogs
internal import SIP

extension World {
    /// Forked calls that nobody has answered, with a callee that will and one that would ring for ever.
    package var forksRinging: [Int] {
        truth.filter { call in
            let ringing = callees(of: call.index).filter(\.isRinging)
            return call.isForked && call.decidedAt == nil && ringing.contains { $0.behaviour.answer == .accepts }
                && ringing.contains { $0.behaviour.answer == .ringsOn }
        }.map(\.index)
    }

    /// Forked calls among those in progress.
    package var forksInProgress: [Int] { callsInProgress.filter { truth[$0].isForked } }

    /// Whether all callees but the one that the caller talks to are done with the call, for so long.
    package func areLosersOver(_ call: Int, forMilliseconds span: Int64) -> Bool {
        let known = truth[call]
        return known.dialogs.indices.allSatisfy { place in
            place == known.kept
                || known.dialogs[place].overAt(decidedAt: known.decidedAt).map { now - $0 > .milliseconds(span) }
                    == true
        }
    }

    /// Both phones leave a call alone until it expires, and that is before then.
    package func expiresUntouched(_ call: Int, beforeMilliseconds limit: Int64) -> Bool {
        plan.calls[call].vanishes == nil && plan.calls[call].steps.isEmpty
            && truth[call].latestDeadline < .milliseconds(limit)
    }

    /// The callees of a call take no notice of a CANCEL.
    package func tamper(deafening call: Int) {
        for callee in callees(of: call) { callee.isDeafToCancel = true }
    }

    /// The caller is told that its call has failed.
    package func tamper(failing call: Int, on host: Int, code: Int = 480) {
        let caller = caller(of: call)
        guard let client = caller.inviteClient.map({ caller.clients[$0] }) else { return }
        var text = "SIP/2.0 \(code) No\r\n"
        text += "Via: SIP/2.0/UDP \(caller.endpoint.text);branch=\(client.branch);rport\r\n"
        text += "From: <sip:\(caller.user)@example.org>;tag=\(caller.tag)\r\nTo: <\(caller.inviteText.uri)>;tag=x\r\n"
        text += "Call-ID: \(caller.inviteText.callID)\r\nCSeq: \(client.cseq) INVITE\r\nContent-Length: 0\r\n\r\n"
        send(
            Packet(
                bytes: [UInt8](text.utf8), source: hosts[host].address, to: caller.endpoint, sender: .node(host)))
    }

    /// Makes every node believe that the dialog which the caller has kept is over.
    package func tamper(endingKeptDialogOf call: Int) {
        tamper(call, phone(.callee, of: call).tag, .deleted)
    }

    /// Makes every node believe that a dialog which is over for its phones is not.
    package func tamper(revivingLoserOf call: Int) {
        guard let place = truth[call].dialogs.indices.first(where: { $0 != truth[call].kept }) else { return }
        tamper(call, callees(of: call)[place].tag, .confirmed)
    }

    private func tamper(_ call: Int, _ tag: String, _ state: DialogState) {
        for host in hosts {
            guard let did = truth[call].did, let node = host.node,
                var record = NodeInspection.decoded(did, node)
            else { continue }
            let bytes = [UInt8](tag.utf8)
            if let index = record.outs.firstIndex(where: { $0.toTag == bytes }) {
                record.outs[index].state = state
            } else {
                var out = Record.Out()
                out.toTag = bytes
                out.state = state
                record.outs.append(out)
            }
            guard let encoded = try? record.encoded() else { continue }
            tamper(planting: encoded, of: call, on: host.index)
        }
    }
}

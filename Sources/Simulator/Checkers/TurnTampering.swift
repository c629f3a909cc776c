// Ways to break on purpose what is looked at as a node does it, for the tests of those checks.

internal import Dialogs
internal import Node
internal import Primitives
internal import SIP

extension World {
    /// Calls to one phone that nobody has answered.
    package var callsRinging: [Int] {
        truth.filter { call in
            call.plan.isPlain && !call.isForked && call.decidedAt == nil && !call.isEnding && call.did != nil
        }.map(\.index)
    }

    /// A calm restart: everybody else has run all the time.
    package func tamper(restarting host: Int) {
        crash(host: host, power: false)
        start(host: host)
    }

    /// A node comes up without a record that the others have.
    package func tamper(joining host: Int, without call: Int) {
        tamper(dropping: call, on: host)
        guard let node = hosts[host].node else { return }
        var before = NodeInspection.mark(of: node)
        before.isJoining = true
        judgeTurn(hosts[host], from: before)
    }

    /// A node was stopped, and takes no notice.
    package func tamper(sleeping host: Int) {
        hosts[host].pausedSince = now - .seconds(2)
        checkAwake(hosts[host], true)
    }

    /// The words that were given for the end of a call are nobody's.
    package func tamper(forgettingGrantsOf call: Int) { truth[call].grants = [] }

    /// A node has the ACK of a call, and the deadline that it had before.
    package func tamper(withdrawingDeadlineOf call: Int, on host: Int) {
        guard let did = truth[call].did, let node = hosts[host].node, var record = NodeInspection.decoded(did, node)
        else { return }
        record.deadline?.generation = 0
        guard let bytes = try? record.encoded() else { return }
        tamper(dropping: call, on: host)
        tamper(planting: bytes, of: call, on: host)
        lookAtAcknowledged(hosts[host])
    }

    /// A node says that it goes on with a call for a dead one.
    package func tamper(inheriting call: Int, on host: Int) { tookOver(hosts[host], truth[call]) }

    /// A node refuses a call.
    package func tamper(refusing call: Int, on host: Int) { checkRefusal(hosts[host], truth[call]) }

    /// A copy of a call's INVITE comes to a node, which sends nothing.
    /// - Returns: Whether it had something to do.
    package func tamper(ignoringInviteOf call: Int, on host: Int) -> Bool {
        let phone = caller(of: call)
        guard let branch = truth[call].transactions.first, let client = phone.inviteClient else { return false }
        let via = "Via: SIP/2.0/UDP \(balancer.endpoint.text);branch=\(branch);rport\r\n"
        let bytes = phone.clients[client].bytes.inserting(via)
        let packet = Packet(bytes: bytes, source: balancer.endpoint, to: hosts[host].address, sender: .balancer)
        guard let duty = duty(of: hosts[host], with: packet) else { return false }
        outbox = Outbox()
        judge(duty, hosts[host])
        return true
    }
}

// Ways to break the world on purpose. A checker that never fires proves nothing; the tests use these to see each one
// fire. Nothing here is used by a run.

internal import Dialogs
internal import Node
internal import Primitives
internal import SIP

extension World {
    /// Calls that are up just now and have a while to go.
    package var callsInProgress: [Int] {
        truth.filter { call in
            call.confirmedAt != nil && !call.isEnding && call.byes.isEmpty && call.ackReached != nil
                && call.committedDeadline > now + .seconds(2)
        }.map(\.index)
    }

    /// Calls that are up and go on for so long, if nobody hangs up.
    package func callsLasting(forSeconds seconds: Int) -> [Int] {
        callsInProgress.filter {
            truth[$0].committedDeadline > now + .seconds(Int64(seconds))
                && !plan.calls[$0].steps.contains { $0.act == .hangUp }
        }
    }

    /// Calls whose end every node knows.
    package var callsBuried: [Int] {
        truth.filter { checks.isDead.contains($0.index) }.map(\.index)
    }

    package var violationCodes: [String] { findings.filter { !$0.isByNature }.map(\.code) }
    package var areReplicasEqual: Bool { replicaDifference() == nil }
    package var nodeCount: Int { hosts.count }

    /// Takes the record of a call away from one node, and tells no checker.
    package func tamper(dropping call: Int, on host: Int) {
        guard let did = truth[call].did else { return }
        drive(hosts[host]) { node, time, out in NodeInspection.forget(&node, did, now: time, into: &out) }
    }

    /// The bytes of a call's record on a node.
    package func record(of call: Int, on host: Int) -> [UInt8]? {
        guard let did = truth[call].did, let node = hosts[host].node else { return nil }
        return NodeInspection.bytes(did, node)
    }

    /// Puts a record on a node in place of what it has.
    package func tamper(planting bytes: [UInt8], of call: Int, on host: Int) {
        guard let did = truth[call].did else { return }
        drive(hosts[host]) { node, time, _ in NodeInspection.plant(&node, did, bytes, now: time) }
    }

    /// Whether both users mean to stay in this call until it expires.
    package func isMeantToExpire(_ call: Int) -> Bool {
        plan.calls[call].vanishes == nil && plan.calls[call].steps.allSatisfy { $0.act != .hangUp }
    }

    /// Makes every node believe that a call may last an hour longer.
    package func tamper(postponing call: Int) {
        for host in hosts {
            guard let did = truth[call].did, let node = host.node,
                var record = NodeInspection.decoded(did, node)
            else { continue }
            record.deadline?.atMilliseconds += 3_600_000
            guard let bytes = try? record.encoded() else { continue }
            tamper(planting: bytes, of: call, on: host.index)
        }
    }

    /// Calls whose deadline a 2xx has brought nearer.
    package var callsShortened: Int { truth.count { $0.shortenedAt > 0 } }

    /// Makes the checkers believe that a session has a second to go, and no node; only a test does.
    package func tamper(endingSessionOf call: Int) {
        truth[call].latestDeadline = now + .seconds(1)
        truth[call].committedDeadline = now
        truth[call].isBoundFixed = true
    }

    /// A new process that hears and reaches nobody, and no checker knows of a fault.
    package func tamper(restartingWithoutNetwork host: Int) {
        crash(host: host, power: false)
        start(host: host)
        for other in hosts.indices where other != host {
            links.cut(host, other)
            links.cut(other, host)
        }
    }

    /// A BYE to one side of a call that no node has decided on.
    package func tamper(sendingByeOf call: Int, on host: Int, toCaller: Bool, branch: String) {
        let (caller, callee) = (caller(of: call), phone(.callee, of: call))
        let (target, other) = toCaller ? (caller, callee) : (callee, caller)
        var text = "BYE \(target.contactURI) SIP/2.0\r\n"
        text += "Via: SIP/2.0/UDP \(hosts[host].address.text);branch=\(branch);rport\r\nMax-Forwards: 70\r\n"
        text += "From: <sip:\(other.user)@example.org>;tag=\(other.tag)\r\n"
        text += "To: <sip:\(target.user)@example.org>;tag=\(target.tag)\r\n"
        text += "Call-ID: \(target.inviteText.callID)\r\nCSeq: 16777300 BYE\r\nContent-Length: 0\r\n\r\n"
        let packet = Packet(
            bytes: [UInt8](text.utf8), source: hosts[host].address, to: target.endpoint, sender: .node(host))
        if checks.packetLeaves(hosts[host], packet, isUncommitted: false, self) == .go { send(packet) }
    }

    /// A second copy of a call's INVITE, by a branch of its own, as two nodes would send that know nothing of each
    /// other.
    package func tamper(repeatingInviteOf call: Int, on host: Int) {
        let callee = phones[2 * call + 1]
        guard let server = callee.servers.first(where: \.isInitial) else { return }
        let text = String(decoding: server.request.bytes, as: UTF8.self)
        let changed = text.replacingFirst(server.request.branch, with: "z9hG4bK-tampered")
        send(
            Packet(
                bytes: [UInt8](changed.utf8), source: hosts[host].address, to: callee.endpoint, sender: .node(host)))
    }
}

extension String {
    func replacingFirst(_ part: String, with other: String) -> String {
        guard let start = indices.first(where: { self[$0...].hasPrefix(part) }) else { return self }
        let end = index(start, offsetBy: part.count)
        return self[..<start] + other + self[end...]
    }
}

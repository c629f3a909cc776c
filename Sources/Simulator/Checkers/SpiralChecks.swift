// What is checked of calls that a server sends back through the cluster, beyond what is checked of forked calls: that
// the server gets one INVITE (number 11), that the call lives as long as the server searches (`spiral-end`), and that
// the BYEs which nodes make go through the server where it wants to be in the way (`spiral-route`).

internal import Dialogs
internal import SIP

extension World {
    func server(of call: Int) -> HuntingServer? { servers.first { $0.call == call } }

    /// The same INVITE by another branch.
    func reachesServerAgain(_ server: HuntingServer, branch: String) {
        checkSecondBranch(truth[server.call], "INVITE", branch: branch, firstAt: server.startedAt)
    }

    /// Whether the last hop of this answer before it leaves the cluster is from the server: the node that it comes to
    /// is the one that times the call.
    func comesByServer(_ found: AnswerName) -> Bool? {
        guard let spiral = plan.calls[found.call].spiral else { return nil }
        let caller = caller(of: found.call)
        let isInitial = found.method == .invite && found.asker == .caller && found.cseq == caller.firstCSeq
        return isInitial || spiral.recordRoutes
    }

    /// An answer that has the Via of a server behind: it has passes to go.
    func isBelowServer(_ answer: [UInt8]) -> Bool {
        guard !servers.isEmpty else { return false }
        return answer.contains(text: HuntingServer.branchPrefix) || answer.contains(text: HuntingServer.statelessPrefix)
    }

    /// The look at every node, for one call: its caller waits, and the server has more targets.
    func look(atSpiral call: CallTruth) {
        guard let did = call.did, let server = server(of: call.index), server.isHunting, call.decidedAt == nil,
            call.cancelledAt == nil, hasBeenCalm(since: server.startedAt - .seconds(1))
        else { return }
        ran("spiral-end")
        for host in hosts {
            guard let node = host.node, let known = NodeInspection.record(did, node, host), known.state == .deleted
            else { continue }
            violate(
                "spiral-end", call: call.index, node: host.index,
                "has the call as over, and its server still looks for who answers")
        }
    }

    /// A BYE to the callee goes the way of the call.
    func checkRoute(_ packet: Packet, _ call: CallTruth, _ leg: Role, _ host: Host) {
        guard let spiral = call.plan.spiral, let server = server(of: call.index) else { return }
        ran("spiral-route")
        let wanted = leg == .callee && spiral.recordRoutes
        guard wanted != (packet.to == server.endpoint) else { return }
        let text =
            "sends the BYE to the \(leg.name) to \(packet.to.text), and the server is \(wanted ? "" : "not ")in the way"
        // An ACK that has passed the server names the callee, and no longer the way there.
        let tag = packet.bytes.header("To")?.parameter("tag") ?? ""
        if !wanted || knowsWay(call, to: tag, inReachOf: host) {
            violate("spiral-route", call: call.index, node: host.index, text)
        } else {
            excuse("spiral-route", call: call.index, "\(host.name) \(text); nobody in reach knows the way")
        }
    }

    /// Some process that this node can ask, or the node itself, has the route set of the callee with this tag.
    private func knowsWay(_ call: CallTruth, to tag: String, inReachOf host: Host) -> Bool {
        hosts.contains { other in
            guard links.areConnected(host.index, other.index), let node = other.node, let did = call.did,
                let record = NodeInspection.decoded(did, node)
            else { return false }
            return record.out(toTag: Array(tag.utf8)).map { !$0.side.routes.isEmpty } ?? false
        }
    }
}

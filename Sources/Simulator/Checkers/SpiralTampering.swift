// Ways to break a call on purpose that a server sends back through the cluster, for the tests of its checkers.

internal import Dialogs
internal import Node
internal import SIP

extension World {
    /// Calls whose server still searches, and whose first target rings.
    package var spiralsSearching: [Int] {
        truth.filter { call in
            server(of: call.index)?.isHunting == true && call.did != nil && call.decidedAt == nil
                && call.cancelledAt == nil && callees(of: call.index).contains(where: \.isRinging)
        }.map(\.index)
    }

    /// Calls in progress whose server stays in the way.
    package var spiralsInProgress: [Int] {
        callsInProgress.filter { plan.calls[$0].spiral?.recordRoutes == true }
    }

    /// Makes every node believe that a call is over.
    package func tamper(burying call: Int) {
        for host in hosts {
            guard let did = truth[call].did, let node = host.node, var record = NodeInspection.decoded(did, node)
            else { continue }
            record.state = .deleted
            guard let bytes = try? record.encoded() else { continue }
            tamper(planting: bytes, of: call, on: host.index)
        }
    }

    /// A second copy of a call's INVITE reaches its server, by a branch of its own.
    package func tamper(repeatingInviteToServerOf call: Int, on host: Int) {
        guard let server = server(of: call), let invite = server.invite else { return }
        let text = String(decoding: invite.bytes, as: UTF8.self)
        let changed = text.replacingFirst(invite.branch, with: "z9hG4bK-tampered")
        send(
            Packet(
                bytes: [UInt8](changed.utf8), source: hosts[host].address, to: server.endpoint, sender: .node(host)))
    }
}

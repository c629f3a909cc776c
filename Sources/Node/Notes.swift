// Every line of a node's log, in one place: a constant sentence for the event, what varies as metadata, and the level.
// A peer's mistake is `debug` and a counter; `warning` means that an operator should look.

import Cluster
import Primitives
import Proxy

extension Note {
    /// An heir goes on with a call.
    package static let finishing = Note(.tookOverEarly(callID: [])).message

    init(_ note: ProxyNote) {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes.prefix(256), as: UTF8.self) }
        switch note {
        case .hairpin(let callID):
            self.init(
                .warning,
                "a request would go back to the cluster itself: let the balancer neither record-route nor run "
                    + "loose_route() on what it balances, and list its address in sip.advertise",
                [("call-id", text(callID))])
        case .routeToOurselves(let callID):
            self.init(
                .warning,
                "a route leads back to the cluster itself, and is not followed: name where its calls are to go",
                [("call-id", text(callID))])
        case .unresolvable(let uri):
            self.init(
                .info, "no address for the next hop: its name has none, or no listener has its transport",
                [("uri", text(uri))])
        // Told by whoever watches the counters, with the limit and how many.
        case .overloaded: self.init(.debug, "a request is refused: a table is full")
        case .acknowledgementUnseen(let callID):
            self.init(
                .warning, "no node saw the ACK of a dialog: the balancer or a phone goes round the nodes",
                [("call-id", text(callID))])
        case .tookOverEarly(let callID):
            self.init(.notice, "finishing a call set-up for a node that died or left", [("call-id", text(callID))])
        case .factRefused(let callID, let error):
            self.init(
                .warning, "the record of a dialog takes no more; what it would have learned is lost",
                [("call-id", text(callID)), ("because", "\(error)")])
        case .unrecorded(let callID, let isRefused):
            self.init(
                .warning, "a call can have no record",
                [("call-id", text(callID)), ("it", isRefused ? "is refused" : "goes on")])
        case .legUnreachable(let callID):
            self.init(
                .warning, "a dialog has ended, and nothing says where one of its sides is to be told",
                [("call-id", text(callID))])
        }
    }

    init(_ note: ClusterNote, peers: [String]) {
        func member(_ id: MemberID) -> [(String, String)] { [("member", id.name), ("incarnation", "\(id.boot)")] }
        switch note {
        case .peerNotThereYet(let peer):
            self.init(
                .notice, "a peer is not there yet; it is tried again",
                [("bus", peers.indices.contains(peer) ? peers[peer] : "?")])
        case .peerHeard(let id): self.init(.notice, "a member was heard", member(id))
        case .peerSilent(let id): self.init(.warning, "a member has fallen silent", member(id))
        case .peerGone(let id): self.init(.warning, "a member is gone: its bus port refuses connections", member(id))
        case .peerLeft(let id): self.init(.notice, "a member has left", member(id))
        case .viewChanged(let epoch, let names):
            self.init(.notice, "view changed", [("epoch", "\(epoch)"), ("members", names.joined(separator: ","))])
        case .formedAlone(let epoch, let proof):
            self.init(
                .warning, "this node goes on alone",
                [("epoch", "\(epoch)"), ("because", proof ? "the peer is dead" : "silence")])
        case .excluded(let epoch):
            self.init(.warning, "the others went on without this node; it joins again", [("epoch", "\(epoch)")])
        case .quorumLost: self.init(.warning, "quorum lost: calls go on, nothing is ended for others")
        case .quorumRegained: self.init(.notice, "quorum held")
        case .stateChanged(let state): self.init(.notice, "node state", [("state", state.name)])
        case .loopWasLate(let milliseconds):
            self.init(.warning, "the SIP loop was late; suspicions start again", [("milliseconds", "\(milliseconds)")])
        case .wrongCluster(let name):
            self.init(
                .warning,
                "frames of another cluster.name, or made with another cluster.key-file, arrive; they are not applied",
                [("sender", name)])
        case .wrongVersion(let version):
            self.init(
                .warning, "frames of another wire version arrive; they are not applied", [("version", "\(version)")])
        case .unknownKey(let name):
            self.init(
                .warning,
                "frames arrive that are sealed with a key which is not in cluster.key-file here; they are not applied",
                [("sender", name)])
        case .sealedFrame(let name):
            self.init(
                .warning, "sealed frames arrive, and this node has no cluster.key-file; they are not applied",
                [("sender", name)])
        case .notOpened(let refusal, let name): self.init(refusal, name)
        case .duplicateName(let boot):
            self.init(
                .error, "another process has this node's name; give each node its own node.name",
                [("incarnation", "\(boot)")])
        case .bootRaised(let from, let to):
            self.init(.notice, "a peer knew a later incarnation of this node", [("from", "\(from)"), ("to", "\(to)")])
        case .bootRefused(let id, let known):
            self.init(.debug, "an outlived process was heard", member(id) + [("known", "\(known)")])
        case .commitTimedOut: self.init(.debug, "no peer acknowledged in time; the answer went out uncommitted")
        case .peerStopsCounting(let id):
            self.init(.warning, "a member lets commits time out and no longer counts", member(id))
        case .peerCountsAgain(let id): self.init(.notice, "a member acknowledges again", member(id))
        case .repaired(let records, let id):
            self.init(.info, "replicas differed and were mended", [("records", "\(records)")] + member(id))
        case .tooManyMembers: self.init(.warning, "more processes than a cluster may have were heard")
        case .inquiryRefused(let id):
            self.init(
                .warning, "what an operator is said to ask through a member comes without the cluster key's code",
                member(id))
        case .answerForged(let id):
            self.init(
                .warning, "what is said to be a member's answer to an operator comes without the cluster key's code",
                member(id))
        }
    }
}

extension Note {
    /// A message of the bus that was not opened, by why; its sender is who it says.
    fileprivate init(_ refusal: SealRefusal, _ name: String) {
        switch refusal {
        case .unsealed:
            self.init(
                .warning,
                "frames arrive without a seal, from a node without a cluster.key-file or of an older "
                    + "version; they are not applied", [("sender", name)])
        case .forged:
            self.init(
                .warning, "frames arrive whose seal does not hold: somebody has changed them; they are not applied",
                [("sender", name)])
        case .replayed:
            self.init(
                .warning, "frames arrive that have been here before: somebody plays them back; they are not applied",
                [("sender", name)])
        case .unproven:
            self.init(
                .warning,
                "frames arrive of a process that answers no question of this node: it is at none of cluster.peers' "
                    + "addresses, or they are a recording; they are not applied", [("sender", name)])
        case .malformed, .oversized, .version, .unknownKey:
            self.init(.debug, "what arrives at the bus is no frame", [("because", refusal.name)])
        }
    }
}

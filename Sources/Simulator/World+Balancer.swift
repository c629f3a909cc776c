// What the balancer does with a datagram. It is a stateless SIP proxy (RFC 3261 §16.11) in front of the nodes: it puts
// its Via on a request and takes it off the answer, leaves Route and Request-URI alone, and never record-routes. By
// Call-ID hash, or, in the dealing mode, every datagram to a random live node.
//
// Simplified against Kamailio's dispatcher: it keeps no transactions, so it neither answers 100 nor absorbs a
// retransmission or an ACK; a phone's own retransmission is what finds the next node. That is the harder case for
// nodes.

internal import Primitives
internal import SIP

extension World {
    func balancerReceives(_ packet: Packet) {
        var problem = ""
        guard let message = PhoneMessage(packet.bytes, parser: &parser, problem: &problem) else {
            return violate("sip", "the balancer got a message it cannot read: \(problem)")
        }
        if message.isRequest {
            balance(message, packet)
        } else {
            passBack(message, packet)
        }
    }

    private func balance(_ message: PhoneMessage, _ packet: Packet) {
        if case .node(let index) = packet.sender {
            return violate("sip", node: index, "sends a request to the balancer: \(packet.bytes.firstLine)")
        }
        // No node is active: silence. A stateful balancer would say 503 to a new request and nothing to a
        // retransmission; this one cannot tell them apart, and a phone that hears nothing tries again.
        guard let node = chooseNode(message, packet) else { return }
        let renewed = plan.balancerRenewsBranch ? "-\(node)" : ""
        var hash = TraceHash()
        hash.combine([UInt8](message.branch.utf8))
        hash.combine([UInt8](message.vias[0].sentBy.utf8))
        let branch = Balancer.branchPrefix + String(hash.value, radix: 16) + renewed
        let via = "Via: SIP/2.0/UDP \(balancer.endpoint.text);branch=\(branch);rport\r\n"
        let bytes = packet.bytes.inserting(via)
        send(Packet(bytes: bytes, source: balancer.endpoint, to: hosts[node].address, sender: .balancer))
    }

    private func chooseNode(_ message: PhoneMessage, _ packet: Packet) -> Int? {
        guard plan.deals else { return balancer.choose(callID: balancerKey(message, packet.sender)) }
        let live = nodes.indices.filter { hosts[$0].isRunning && balancer.isActive[$0] && !links.unplugged[$0] }
        return live.isEmpty ? nil : networkRandom.pick(Array(live))
    }

    private func passBack(_ message: PhoneMessage, _ packet: Packet) {
        let top = message.vias[0]
        if top.branch.hasPrefix(Balancer.probePrefix) {
            if case .node(let index) = packet.sender { balancer.answered(index, message.statusCode) }
            return
        }
        guard top.branch.hasPrefix(Balancer.branchPrefix), message.vias.count > 1 else {
            return violate("sip", "the balancer got an answer that is not for it: \(packet.bytes.firstLine)")
        }
        let next = message.vias[1]
        let address = next.received.isEmpty ? next.sentBy : "\(next.received):\(next.rport ?? 5060)"
        guard let to = Endpoint(hostPort: address) else {
            return violate("sip", "an answer whose next Via names no address: \(next.text)")
        }
        let bytes = packet.bytes.removingTopVia(parser)
        send(Packet(bytes: bytes, source: balancer.endpoint, to: to, sender: .balancer))
    }

    func probeNodes() {
        schedule(.balancerProbe, after: Balancer.probeInterval)
        for host in nodes {
            balancer.countMiss(host.index)
            balancer.isAsked[host.index] = true
            balancer.probes += 1
            let (own, address) = (balancer.endpoint.text, host.address.text)
            var text = "OPTIONS sip:\(address) SIP/2.0\r\n"
            text += "Via: SIP/2.0/UDP \(own);branch=\(Balancer.probePrefix)\(balancer.probes);rport\r\n"
            text += "Max-Forwards: 70\r\nFrom: <sip:balancer@\(own)>;tag=lb\r\nTo: <sip:\(address)>\r\n"
            text += "Call-ID: probe-\(balancer.probes)\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            send(
                Packet(
                    bytes: [UInt8](text.utf8), source: balancer.endpoint, to: host.address, sender: .balancer))
        }
    }
}

extension [UInt8] {
    /// With a header line after the first line.
    func inserting(_ line: String) -> [UInt8] {
        guard let end = firstIndex(of: 10) else { return self }
        return self[...end] + [UInt8](line.utf8) + self[(end + 1)...]
    }

    /// Without the topmost Via; `message` has just parsed these bytes.
    func removingTopVia(_ message: Message) -> [UInt8] {
        guard let via = try? message.topmostVia() else { return self }
        if via.isOnlyInField {
            return Array(self[..<Int(via.field.start)] + self[Int(via.field.end)...])
        }
        // "a, b": without the value and the comma after it.
        let rest = self[Int(via.element.end)...].drop { $0 == 32 || $0 == 44 }
        return Array(self[..<Int(via.element.start)] + rest)
    }
}

// The SIP network: datagrams between phones, balancer and nodes. A datagram may be lost, doubled, late, or overtaken;
// one to an address where nobody listens vanishes, as it does with a firewall in between.

internal import SIP

extension World {
    /// Faults are over.
    var isHealed: Bool { now >= Plan.heal }

    func send(_ packet: Packet) {
        guard let party = parties[packet.to] else {
            guard !isStrayAcknowledgement(packet), !isStrayBye(packet) else { return }
            violate("sip", "a datagram to \(packet.to.text), where nobody is: \(packet.bytes.firstLine)")
            return
        }
        let packet = strays(packet)
        guard !isUnheard(packet) else { return }
        if let sink, wantsTrace(packet) {
            sink("\(now.traceTime)  \(name(packet.sender)) → \(name(party))  \(packet.bytes.summary)")
        }
        guard !isBlocked(packet.sender, party) else { return }
        // Between the balancer and its phones nothing is doubled in the dealing mode: two copies of one INVITE on two
        // nodes within the replication lag is the residue that the design names (S1-2).
        let isExempt = plan.deals && !isFromNode(packet)
        if !isHealed && networkRandom.chance(perMille: plan.sip.lossPerMille) {
            checks.hardship.lostDatagrams += 1
            return
        }
        forward(packet, to: party)
        if !isHealed && !isExempt && networkRandom.chance(perMille: plan.sip.duplicationPerMille) {
            forward(packet, to: party)
        }
    }

    private func forward(_ packet: Packet, to party: Party) {
        let delay = plan.sip.latency + networkRandom.between(0, plan.sip.jitter)
        schedule(.packet(packet, at: deal(packet, party)), after: delay)
    }

    /// With `dealsAnswers`, a callee's answer reaches any live node, whatever address its Via named (anycast).
    private func deal(_ packet: Packet, _ party: Party) -> Party {
        guard plan.deals, plan.dealsAnswers, case .node = party, isOutside(packet.sender) else { return party }
        let live = nodes.filter { $0.isRunning && !links.unplugged[$0.index] }.map(\.index)
        return live.isEmpty ? party : .node(networkRandom.pick(live))
    }

    /// A phone, or a server behind the cluster: who is called by a node.
    private func isOutside(_ party: Party) -> Bool {
        switch party {
        case .phone, .server, .user: true
        case .node, .balancer: false
        }
    }

    private func isFromNode(_ packet: Packet) -> Bool {
        if case .node = packet.sender { return true }
        return false
    }

    private func isBlocked(_ sender: Party, _ receiver: Party) -> Bool {
        if case .node(let from) = sender, case .node(let to) = receiver {
            return from != to && links.isCut(from, to)
        }
        if case .node(let from) = sender, links.unplugged[from] { return true }
        if case .node(let to) = receiver, links.unplugged[to] { return true }
        return false
    }

    func deliver(_ packet: Packet, toHost index: Int) {
        arrive(.packet(packet, at: .node(index)), at: hosts[index])
    }

    // MARK: For people

    func name(_ party: Party) -> String {
        switch party {
        case .node(let index): hosts[index].name
        case .balancer: "balancer"
        case .phone(let index): phones[index].user
        case .server(let index): "server\(servers[index].call)"
        case .user(let index): userPhones[index].name
        }
    }

    private func wantsTrace(_ packet: Packet) -> Bool {
        guard !packet.bytes.starts(with: "OPTIONS sip:10.0.0.".utf8) else { return false }
        guard let tracedCall else { return true }
        return call(of: packet.bytes) == tracedCall
    }
}

extension [UInt8] {
    var firstLine: String {
        String(decoding: prefix { $0 != 13 }, as: UTF8.self)
    }

    /// The value of the first header of this name, as our phones and the nodes write it.
    func header(_ name: String) -> String? {
        let wanted = [UInt8]("\n\(name):".utf8)
        guard count > wanted.count else { return nil }
        var index = 0
        while index + wanted.count < count {
            if self[index] == 10 && self[index..<index + wanted.count].elementsEqual(wanted) {
                let start = index + wanted.count
                let value = self[start...].prefix { $0 != 13 }
                return String(decoding: value.drop { $0 == 32 }, as: UTF8.self)
            }
            index += 1
        }
        return nil
    }

    var callID: String? { header("Call-ID") ?? header("i") }

    /// First line, CSeq and topmost branch: enough to follow a call by eye.
    var summary: String {
        let branch = header("Via")?.parameter("branch") ?? ""
        return "\(firstLine)  [\(header("CSeq") ?? "")] \(branch)"
    }
}

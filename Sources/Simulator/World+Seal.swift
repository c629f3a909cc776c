// Sealed messages of the bus (`--sealed`): each is sealed as it leaves and opened before the node reads it, under keys
// that an operator changes while calls go on. What the members say to each other has to be opened, once; what else
// comes, see World+Strangers, never (`seal`).

internal import Cluster
internal import Node
internal import Primitives

/// An operator who changes the cluster's key, over and over: first every node's file gets the new one beside the old,
/// one node after another, and when all of them seal with the new one, the old one goes.
struct KeyChange {
    /// Keys count up from 1.
    var newest: UInt64 = 1
    /// Whether files have, or get, two keys.
    var isWidening = false
    /// Whose files are still to be written.
    var rest: [Int] = []

    var file: [UInt64] { isWidening ? [newest - 1, newest] : [newest] }
}

extension World {
    // MARK: The shell's part

    /// A message as it goes to the socket.
    func sealed(_ plain: [UInt8], _ host: Host, to ticket: SealTicket? = nil) -> OpenedMessage {
        guard let seal = host.seal else { return OpenedMessage(bytes: plain) }
        return seal.seal(plain, to: ticket, at: host.instant(now))
    }

    /// What a member sent as the node reads it; `nil` when it was not opened.
    func opened(
        _ bytes: [UInt8], _ lane: FrameHeader.Lane, _ host: Host, answering ticket: SealTicket? = nil
    ) -> OpenedMessage? {
        guard let seal = host.seal else { return OpenedMessage(bytes: bytes) }
        let (outcome, plain) = seal.open(bytes, lane, answering: ticket, at: host.instant(now))
        switch outcome {
        case .opened(_, _, let ticket):
            ran("seal")
            if !seal.note(bytes) { violate("seal", node: host.index, "a message is opened twice") }
            return OpenedMessage(bytes: plain, ticket: ticket)
        case .refused(let refusal, let claimed):
            judge(refusal, of: bytes, host, seal)
            tell(host, refusal, claimed)
            return nil
        }
    }

    func tell(_ host: Host, _ refusal: SealRefusal, _ claimed: String?) {
        checks.coverage?.count(.refused(refusal.name))
        guard let claimed else { return }
        drive(host) { node, time, out in
            let name = Array(claimed.utf8)
            node.receive(refusal: refusal.rawValue, claimed: RawSpan(_elements: name.span), now: time, into: &out)
        }
    }

    /// A member's message was refused: why that may be.
    private func judge(_ refusal: SealRefusal, of bytes: [UInt8], _ host: Host, _ seal: HostSeal) {
        switch refusal {
        case .malformed, .oversized, .version, .unsealed, .forged:
            violate("seal", node: host.index, "a member's message is refused: \(refusal.name)")
        case .replayed:
            guard !seal.hasOpened(bytes) else { return }
            violate("seal", node: host.index, "a member's message is refused as a copy, and it never came")
        case .unknownKey:
            // One that is gone may still be on its way. One that is not here yet nobody uses who hears this node.
            guard HostSeal.keyID(of: bytes) > UInt32(host.keyFile.last ?? 0) else { return }
            guard disturbances.isQuiet(for: .seconds(11), at: now) else {
                return looksAway("seal", "a fault within 11 s")
            }
            violate("seal", node: host.index, "a member seals with a key that this one has not got yet")
        case .unproven: break  // It has not answered this process yet.
        }
    }

    // MARK: Changing keys

    /// The next step of the operator.
    func changeKeys() {
        guard now < Plan.converged else { return }
        if let next = keyChange.rest.popLast() {
            let host = hosts[next]
            host.keyFile = keyChange.file
            log("\(host.name)'s file has the keys \(host.keyFile)")
            if host.isRunning { host.seal?.adopt(host.keyFile) }  // Who is stopped reads it when it goes on.
            return schedule(.changeKeys, after: sealRandom.between(0, .seconds(2)))
        }
        if keyChange.isWidening {
            // Whoever takes the old key away has looked whether it is still used.
            let isNewEverywhere = hosts.allSatisfy { host in
                host.isGone
                    || host.isRunning && host.seal?.sending(host.instant(now)) == keyChange.newest
            }
            guard isNewEverywhere else { return schedule(.changeKeys, after: .milliseconds(500)) }
            keyChange.isWidening = false
            checks.coverage?.count(.keyChange)
        } else {
            keyChange.newest += 1
            keyChange.isWidening = true
        }
        keyChange.rest = sealRandom.sample(Array(hosts.indices), hosts.count)
        schedule(.changeKeys, after: sealRandom.between(0, .seconds(3)))
    }
}

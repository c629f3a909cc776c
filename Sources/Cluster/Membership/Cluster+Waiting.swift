// What an operator is told while this node is not up: whom it waits for, since when, until when; and who speaks to it
// that does not belong here.
//
// The rules are those of `bootstrap` and `progressJoin`; here they are only looked at.

package import Primitives

extension Cluster {
    /// What this node waits for while it joins; `nil` in every other state.
    package func joinWait(now: Instant) -> JoinWait? {
        guard state == .joining else { return nil }
        var wait = JoinWait()
        let heard = peers.filter { $0.verdict == .heard && $0.hasHeartbeat }
        wait.unheard = lanes.indices.filter { lane in
            lanes[lane].isInUse && !lanes[lane].isSelf && !heard.contains { $0.index == lane }
        }.map { lanes[$0].address }
        let isMemberless = !isMember && !heard.contains { $0.heartbeat.view.contains($0.id) }
        guard isMemberless else {
            wait.sinceMilliseconds = max(0, now.milliseconds(since: joinBegan))
            wait.comparing = heard.map(\.name)
            return wait
        }
        wait.sinceMilliseconds = max(0, now.milliseconds(since: memberlessSince))
        wait.awaitsNames = settings.findsPeers && !arePeersFound
        let configured = 1 + lanes.count(where: \.isInUse)
        let present = 1 + heard.count { $0.heartbeat.state == .joining }
        let isLoneOfTwo = configured == 2 && settings.quorum == .auto
        let isLone = configured == 1 && settings.findsPeers && arePeersFound
        if 2 * present > configured && configured > 1 || isLoneOfTwo || isLone {
            let end = memberlessSince.advanced(by: settings.bootstrapAfter)
            wait.untilMilliseconds = max(0, end.milliseconds(since: now))
        } else if configured > 1 {
            wait.missingForMajority = configured / 2 + 1 - present
        }
        return wait
    }

    /// A frame of another cluster, or under another key.
    mutating func meetStranger(
        _ written: String, now: Instant, out: inout ClusterActions, _ note: (String) -> ClusterNote
    ) {
        let name = Stranger.shown(written)
        if let at = strangers.firstIndex(where: { $0.name == name }) {
            strangers[at].lastHeard = now
        } else if strangers.count < Stranger.limit {
            strangers.append(Stranger(name: name, lastHeard: now))
            out.append(.note(note(name)))
        }
    }

    /// The shell did not open a message of the bus.
    /// - Parameter claimed: Who it says that it is from; of another version, the version.
    package mutating func refused(
        _ refusal: SealRefusal, claimed: String, now: Instant, out: inout ClusterActions
    ) {
        switch refusal {
        case .unknownKey: meetStranger(claimed, now: now, out: &out) { .unknownKey(name: $0) }
        case .version: noteOnce("version \(claimed)", .wrongVersion(UInt8(claimed) ?? 0), &out)
        case .unproven: meetUnproven(Stranger.shown(claimed), now: now, out: &out)
        case .unsealed, .forged, .replayed, .malformed, .oversized:
            noteOnce("refused \(refusal) \(claimed)", .notOpened(refusal, name: Stranger.shown(claimed)), &out)
        }
    }

    /// Frames of a process that has not answered us. Whoever is at an address that may be its own is asked at once: the
    /// answer lets its next frames in. One that stays without is told of: nobody at our addresses is it.
    private mutating func meetUnproven(_ name: String, now: Instant, out: inout ClusterActions) {
        for lane in lanes.indices where lanes[lane].isInUse {
            let isHeard = peers.contains { $0.index == lane && $0.verdict == .heard }
            if !isHeard || lanes[lane].member?.name == name { lanes[lane].helloAt = min(lanes[lane].helloAt, now) }
        }
        unproven = unproven.filter { $0.lastHeard.advanced(by: Self.proofMemory) >= now }
        guard let at = unproven.firstIndex(where: { $0.name == name }) else {
            if unproven.count < Stranger.limit {
                unproven.append(Unproven(name: name, since: now, lastHeard: now))
            }
            return
        }
        unproven[at].lastHeard = now
        guard now >= unproven[at].since.advanced(by: Self.proofPatience) else { return }
        noteOnce("unproven \(name)", .notOpened(.unproven, name: name), &out)
    }

    /// So long a process may publish without an answer before it is told of.
    private static let proofPatience: Duration = .seconds(10)
    private static let proofMemory: Duration = .seconds(1)
}

/// Who publishes and has not answered.
struct Unproven: Sendable {
    let name: String
    let since: Instant
    var lastHeard: Instant
}

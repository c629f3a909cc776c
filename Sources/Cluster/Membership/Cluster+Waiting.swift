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

    /// A frame of another cluster, or under another key. Its name goes to logs and terminals, so only what a name may
    /// be made of is kept of it.
    mutating func meetStranger(_ written: String, now: Instant, out: inout ClusterActions) {
        let name = String(written.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "?" })
        if let at = strangers.firstIndex(where: { $0.name == name }) {
            strangers[at].lastHeard = now
        } else if strangers.count < Stranger.limit {
            strangers.append(Stranger(name: name, lastHeard: now))
            out.append(.note(.wrongCluster(name: name)))
        }
    }
}

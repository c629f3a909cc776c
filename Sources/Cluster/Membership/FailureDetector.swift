// FailureDetector judges one peer by its silence. One for each process heard.
//
//   heard ──silent for 2 heartbeats + jitter──▶ probed ──silent for the suspicion time──▶ silent
//     ▲                                           │ its port refuses                        │
//     │                                           ▼                                         │
//     └──a frame it sent after that──────────  refused                                      │
//     └──any frame────────────────────────────────────────────────────────────────────────┘
//
// The intuition: heartbeats leave every 100 ms, so what a gap between two of them exceeds that by is the jitter of both
// hosts and the way between. The largest excess is remembered and fades by a fiftieth a heartbeat, which holds the
// suspicion up for some seconds after a stall. A probe asks the kernel over there, so a `kill -9` shows in milliseconds
// and without a chance of error; only a cut or a host's death must be told by silence alone.
//
// Invariant: silence is measured from when the frame was sent as far as clocks can tell, so a backlog that is read late
// does not make its sender look alive.
// Not attempted: gossip about third parties; all-to-all heartbeats are affordable for 64 members.

internal import Primitives

struct FailureDetector: Sendable {
    private(set) var lastHeard: Instant
    private(set) var jitter: Duration = .zero
    /// When the process was proven gone; frames sent after it clear the proof.
    private(set) var refusedAt: Instant?
    private var lastHeartbeat: Instant?
    private(set) var lastProbe: Instant?

    init(now: Instant) { lastHeard = now }

    /// A frame came that was sent at `sent` by our clock.
    ///
    /// - Returns: Whether it disproved an earlier proof of death.
    mutating func heard(sent: Instant, isHeartbeat: Bool, now: Instant, settings: ClusterSettings) -> Bool {
        if let refusedAt, sent > refusedAt {
            self.refusedAt = nil
            lastHeard = max(lastHeard, sent)
            return true
        }
        lastHeard = max(lastHeard, sent)
        guard isHeartbeat else { return false }
        if let lastHeartbeat {
            let excess = (now - lastHeartbeat) - settings.heartbeat
            jitter = max(jitter * 49 / 50, min(max(.zero, excess), settings.suspicionCeiling))
        }
        lastHeartbeat = now
        return false
    }

    mutating func refused(now: Instant) { refusedAt = refusedAt ?? now }

    /// After a pause of our own, silence proves nothing (R13).
    mutating func restart(now: Instant) {
        lastHeard = max(lastHeard, now)
        lastHeartbeat = nil
    }

    func suspicion(_ settings: ClusterSettings) -> Duration {
        min(settings.suspicionCeiling, max(settings.suspicion, settings.suspicion + jitter * 2))
    }

    func isSilent(_ now: Instant, _ settings: ClusterSettings) -> Bool {
        now > lastHeard.advanced(by: suspicion(settings))
    }

    /// Whether to probe now; asked as often as one likes, answered yes every heartbeat at most.
    mutating func shouldProbe(_ now: Instant, _ settings: ClusterSettings) -> Bool {
        // Asked each turn: nearly always it is not long since a heartbeat, which is known without a sum of durations.
        guard refusedAt == nil, now >= lastHeard.advanced(by: settings.heartbeat), now >= probeFrom(settings) else {
            return false
        }
        if let lastProbe, lastProbe.advanced(by: settings.heartbeat) > now, lastProbe > lastHeard { return false }
        lastProbe = now
        return true
    }

    private func probeFrom(_ settings: ClusterSettings) -> Instant {
        lastHeard.advanced(by: settings.heartbeat * 2 + min(jitter, settings.suspicion))
    }

    /// The next moment at which time alone changes the judgement.
    func nextDeadline(_ now: Instant, _ settings: ClusterSettings) -> Instant? {
        let suspected = lastHeard.advanced(by: suspicion(settings)).advanced(by: .nanoseconds(1))
        var next: Instant? = suspected > now ? suspected : nil
        guard refusedAt == nil else { return next }
        var probe = probeFrom(settings)
        if let lastProbe, lastProbe > lastHeard { probe = max(probe, lastProbe.advanced(by: settings.heartbeat)) }
        next = min(next ?? probe, probe)
        return next
    }
}

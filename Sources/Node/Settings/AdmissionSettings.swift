// `access` and `limits`: who may send requests, how many new ones, and whose word is believed (Configuration, "access
// and limits").

package import SIP

package struct AccessSettings: Equatable, Sendable {
    /// `access.answer`
    package enum Answer: String, CaseIterable, Sendable {
        case forbidden = "403"
        case drop
    }

    /// `access.allow`, addresses and blocks, comma list, at most 256: only these may send requests; none (default):
    /// everybody. Members of the cluster and `sip.balancer` always may.
    package var allow: [Subnet] = []
    /// `access.deny`, as `allow`: these may not, whatever `allow` says.
    package var deny: [Subnet] = []
    /// `access.answer`, `403|drop`, default 403: what others get.
    package var answer: Answer = .forbidden
    /// `access.trusted`, as `allow`: the trust domain of RFC 3325, whose P-Asserted-Identity is believed and passed on;
    /// none (default): identities pass as they are. Members of the cluster belong to it.
    package var trusted: [Subnet] = []

    package init() {}

    package static let limit = 256

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if allow.count > Self.limit { list.add("access.allow", "at most \(Self.limit)") }
        if deny.count > Self.limit { list.add("access.deny", "at most \(Self.limit)") }
        if trusted.count > Self.limit { list.add("access.trusted", "at most \(Self.limit)") }
        return list.problems
    }
}

package struct LimitSettings: Equatable, Sendable {
    /// `limits.source-per-second`, requests outside of a dialog from one source, 1 to 1 000 000, or 0 (default): no
    /// limit. Sources in `sip.balancer` have none.
    package var sourcePerSecond = 0
    /// `limits.source-burst`, how many may come at once, 1 to 1 000 000; default: twice `limits.source-per-second`.
    package var sourceBurst = 0
    /// `limits.total-per-second`, the same from all sources together.
    package var totalPerSecond = 0
    /// `limits.total-burst`; default: twice `limits.total-per-second`.
    package var totalBurst = 0
    /// `limits.sources`, sources remembered, 16 to 1 000 000, default 16 384, rounded up to a power of two.
    package var sources = 16_384

    package init() {}

    package var effectiveSourceBurst: Int { sourceBurst > 0 ? sourceBurst : min(1_000_000, sourcePerSecond * 2) }
    package var effectiveTotalBurst: Int { totalBurst > 0 ? totalBurst : min(1_000_000, totalPerSecond * 2) }

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        list.range("limits.source-per-second", sourcePerSecond)
        list.range("limits.source-burst", sourceBurst)
        list.range("limits.total-per-second", totalPerSecond)
        list.range("limits.total-burst", totalBurst)
        list.range("limits.sources", sources)
        if sourceBurst > 0, sourcePerSecond == 0 { list.add("limits.source-burst", "needs limits.source-per-second") }
        if totalBurst > 0, totalPerSecond == 0 { list.add("limits.total-burst", "needs limits.total-per-second") }
        return list.problems
    }
}

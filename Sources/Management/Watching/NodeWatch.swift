// Looks at a node's counters and status once a second and tells what an operator would otherwise learn from a graph
// only: that requests are refused, by which limit, and how many; that what arrives cannot be read; that a target is
// down; that two members do not have the same settings. Each is one line when it begins, one a minute while it lasts,
// and one when nothing has come for `quiet` looks.
//
// Pure: what is seen comes in, lines go out.

package import Node

package struct NodeWatch: Sendable {
    /// Looks, a second apart.
    package static let quiet = 10
    package static let reminder = 60
    /// A join that takes longer is told of: more than cluster.bootstrap-after as it is shipped.
    package static let patience = 35

    /// A counter that is nothing but trouble when it grows.
    private struct Subject: Sendable {
        var metric: String
        var begins: String
        var ends: String
        /// The setting that decides.
        var key: String
    }

    private static let subjects = [
        Subject(
            metric: "understudy_sip_access_denied_total", begins: "requests are refused by the access list",
            ends: "no more requests are refused by the access list", key: "access.allow, access.deny"),
        Subject(
            metric: "understudy_sip_rate_limited_source_total",
            begins: "requests are refused: too many from one source",
            ends: "no source sends too many requests any more", key: "limits.source-per-second"),
        Subject(
            metric: "understudy_sip_rate_limited_total_total",
            begins: "requests are refused: too many from all sources",
            ends: "requests are within the limit for all sources again", key: "limits.total-per-second"),
        Subject(
            metric: "understudy_sip_overloaded_total", begins: "requests are refused: a table is full",
            ends: "no more requests are refused for a full table", key: ""),
        Subject(
            metric: "understudy_sip_shed_total", begins: "new requests are refused: this node cannot keep up",
            ends: "this node keeps up again", key: "limits.overload-ms"),
        Subject(
            metric: "understudy_sip_malformed_total", begins: "messages arrive that cannot be read",
            ends: "no more messages arrive that cannot be read", key: ""),
        Subject(
            metric: "understudy_sip_stale_dropped_total",
            begins: "requests wait too long in the socket and are dropped",
            ends: "no more requests wait too long in the socket", key: ""),
        Subject(
            metric: "understudy_all_targets_down_total", begins: "requests find every target of their set down",
            ends: "requests find a target again", key: "sets"),
    ]

    /// What it looks at; `Node.watchedMetrics` has them.
    package static var metrics: [String] { subjects.map(\.metric) }

    private struct Episode: Sendable {
        var total: Int64
        var looks = 0
        var quietLooks = 0
    }

    private var last: [String: Int64] = [:]
    private var episodes: [String: Episode] = [:]
    private var targets: [String: String] = [:]
    private var unlike: [String: [String]] = [:]
    private var hasLooked = false
    /// Looks for which the node has been joining.
    private var joining = 0

    package init() {}

    package mutating func look(_ status: StatusReport, _ metrics: [MetricReport]) -> [Note] {
        var notes: [Note] = []
        var values: [String: Int64] = [:]
        for metric in metrics where metric.labels.isEmpty { values[metric.name] = metric.value }
        for subject in Self.subjects {
            guard let value = values[subject.metric] else { continue }
            let grown = value - (last[subject.metric] ?? (hasLooked ? value : 0))
            last[subject.metric] = value
            follow(subject, grown, values, status, &notes)
        }
        compareTargets(status, &notes)
        compareSettings(status, &notes)
        followJoining(status, &notes)
        hasLooked = true
        return notes
    }

    private mutating func follow(
        _ subject: Subject, _ grown: Int64, _ values: [String: Int64], _ status: StatusReport, _ notes: inout [Note]
    ) {
        guard var episode = episodes[subject.metric] else {
            guard grown > 0 else { return }
            episodes[subject.metric] = Episode(total: grown)
            notes.append(Note(.warning, subject.begins, Self.details(subject, grown, values, status)))
            return
        }
        episode.total += grown
        episode.looks += 1
        episode.quietLooks = grown > 0 ? 0 : episode.quietLooks + 1
        let seconds = ("seconds", String(episode.looks))
        if episode.quietLooks >= Self.quiet {
            episodes[subject.metric] = nil
            notes.append(Note(.notice, subject.ends, [("count", String(episode.total)), seconds]))
            return
        }
        episodes[subject.metric] = episode
        guard episode.looks % Self.reminder == 0 else { return }
        notes.append(
            Note(.warning, subject.begins, Self.details(subject, episode.total, values, status) + [seconds]))
    }

    private static func details(
        _ subject: Subject, _ count: Int64, _ values: [String: Int64], _ status: StatusReport
    ) -> [(String, String)] {
        var key = subject.key
        if subject.metric == "understudy_sip_overloaded_total" {
            let records = status.dialogs.held + status.dialogs.deleted
            let isTableFull = status.dialogLimit > 0 && records >= status.dialogLimit * 99 / 100
            key = isTableFull ? "dialogs.limit" : "transactions, which has no setting"
        }
        return [("count", String(count))] + (key.isEmpty ? [] : [("limit", key)])
    }

    // MARK: States

    /// A node that waits for peers that do not hear it, or that it does not hear, would wait for ever without a word.
    private mutating func followJoining(_ status: StatusReport, _ notes: inout [Note]) {
        guard status.state == "joining" else { return joining = 0 }
        joining += 1
        guard joining == Self.patience || joining > Self.patience && joining % Self.reminder == 0 else { return }
        notes.append(
            Note(
                .warning, "this node still joins; do the others list it in cluster.peers, with one name and one key?",
                [("what", status.waiting)]))
    }

    private mutating func compareTargets(_ status: StatusReport, _ notes: inout [Note]) {
        for target in status.targets {
            let name = "\(target.set) \(target.uri)"
            let before = targets.updateValue(target.state, forKey: name)
            guard before ?? "up" != target.state else { continue }
            let isUp = target.state == "up"
            notes.append(
                Note(
                    isUp ? .notice : .warning, isUp ? "a target answers again" : "a target is down",
                    [("target", target.uri), ("set", target.set), ("silences", String(target.silences))]))
        }
    }

    private mutating func compareSettings(_ status: StatusReport, _ notes: inout [Note]) {
        for member in status.members where !member.isSelf && !member.name.isEmpty {
            let before = unlike.updateValue(member.differs, forKey: member.name) ?? []
            guard before != member.differs else { continue }
            if member.differs.isEmpty {
                notes.append(Note(.notice, "a member has the same settings again", [("member", member.name)]))
            } else {
                notes.append(
                    Note(
                        .warning, "a member has other settings where all must have the same",
                        [("member", member.name), ("keys", member.differs.joined(separator: ","))]))
            }
        }
    }
}

// `replication`: how long a 2xx may wait for a peer, and a fact for company in its frame (R9, R10).

package struct ReplicationSettings: Equatable, Sendable {
    /// `replication.commit`: how many peers must have a dialog before its 2xx goes on.
    package enum Commit: String, CaseIterable, Sendable { case async, one, majority }

    /// `replication.commit`, `async|one|majority`, default one.
    package var commit: Commit = .one
    /// `replication.commit-timeout-ms`, milliseconds, 5 to 2000, default 50: the longest wait; then the 2xx goes on,
    /// counted.
    package var commitTimeout: Duration = .milliseconds(50)
    /// `replication.linger-ms`, milliseconds, 0 to 100 and less than the commit timeout, default 5.
    package var linger: Duration = .milliseconds(5)

    package init() {}

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        list.range("replication.commit-timeout-ms", commitTimeout)
        list.range("replication.linger-ms", linger)
        if linger >= commitTimeout, linger <= .milliseconds(100), commitTimeout >= .milliseconds(5) {
            list.add(
                "replication.linger-ms", "must be less than replication.commit-timeout-ms, or every commit times out")
        }
        return list.problems
    }
}

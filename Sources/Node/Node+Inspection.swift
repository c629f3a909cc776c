// What the simulator's checkers read of a node after every step, cheaply: no report, no text, no copy; `cluster` they
// read where it is. Management has `+Reports`. The test aids that change something say so.

import Cluster
package import Dialogs
package import Primitives
internal import Proxy

extension Node {
    /// Every record and tombstone.
    package var inspectedDialogs: DialogTable { _read { yield store.dialogs } }

    /// The state of one record and when its time is up, without the table on the way; `nil` without the record.
    package func inspectedState(_ did: DialogID) -> DialogState? { store.dialogs.state(did) }
    package func inspectedDeadline(_ did: DialogID) -> Instant? { store.dialogs.deadline(did) }

    /// The intent that was heard last about a dialog, and what its record says itself: generation and milliseconds.
    package func inspectedIntent(_ did: DialogID) -> HeardIntents.Heard? { store.intents[did] }
    package func inspectedStamp(_ did: DialogID) -> (UInt32, UInt64) {
        let known = store.dialogs.view(did) { view, _ in view.deadline } ?? nil
        return (known?.generation ?? 0, known?.atMilliseconds ?? 0)
    }

    /// Answers that went on without the peers they waited for.
    package var uncommittedAnswers: UInt64 {
        counters.uncommitted &+ cluster.counters.committedAlone &+ cluster.counters.waitsRefused
            &+ proxy.counters.unrecorded &+ proxy.counters.holdsRefused
    }

    /// Test aid: replaces a record by other bytes, silently.
    package mutating func plant(did: DialogID, record: RawSpan, age: Duration, now: Instant) {
        _ = store.dialogs.remove(did)
        _ = try? store.dialogs.learn(did, facts: record, age: age, now: now)
    }

    /// Counts a dialog too many in a profile; only a test does.
    package mutating func miscountProfile(_ name: String) {
        store.dialogs.miscount(ProfileLink(name: Array(name.utf8)))
    }
}

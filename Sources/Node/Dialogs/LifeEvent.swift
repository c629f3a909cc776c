// What happens to a dialog as a whole, told once for the cluster: that it was answered, that its time is up, that it
// has ended, that its INVITE failed. The dialog's actor tells it from the record, wherever the messages passed, and
// raises the flag that says so; the others look after their turn, as with deadlines.
//
//   record shows it, not told ──rank 0: at once; an end after the settle time──▶ told: event out, flag in the record
//                             └─rank r: after settle + r × stagger, if nobody has────▶
//
// So while nobody dies each event is told exactly once. Should the actor die between the event and its flag, or the
// cluster be cut in two, it is told twice, with the same `id`. The end waits for the settle time, so that what a node
// wrote in the last moment, and what the other node knew, is in it.
//
// Whoever is told may be asked to confirm (`Node.awaitsConfirmation`): then the flag is raised when it has done so, and
// an event is told until somebody has it, whichever process dies meanwhile. What is not confirmed in time is told
// again, here after ten seconds, and by the next rank after its turn.
//
// Invariants: a kind that was told is never told again by who knows it; the tombstone has everything until its last
// event was told. Limits: one timer a dialog that has something to tell;
// `Telling.limit` dialogs that wait for a confirmation; of a tombstone that is forgotten untold
// (nobody was fit for its horizon) the event is lost, and counted.

package import Proxy

/// One event of a dialog's life.
package struct LifeEvent: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// The callback that it is.
        package var moment: DialogMomentKind {
            switch self {
            case .start: .confirmedNotAcknowledged
            case .timeout: .expired
            case .end: .terminated
            case .failed: .failed
            }
        }

        /// DLGCB_CONFIRMED_NA: the first 2xx.
        case start
        /// DLGCB_EXPIRED: its time is up; its end follows.
        case timeout
        /// DLGCB_TERMINATED: it is over, whoever ended it.
        case end
        /// DLGCB_FAILED: it was never answered.
        case failed
    }

    /// The same on whichever node tells it: a sink that has seen it forgets the second.
    package var id: String { "\(dialog.did).\(kind.rawValue)" }
    package var kind: Kind
    /// The record, with what scripts wrote, as it was told.
    package var dialog: DialogReport
    /// Who tells it.
    package var node: String
    /// Unix time in milliseconds of the event, by the clock of the dialog's home: its birth and the record's own times.
    package var unixMilliseconds: Int64

    package init(kind: Kind, dialog: DialogReport, node: String, unixMilliseconds: Int64) {
        self.kind = kind
        self.dialog = dialog
        self.node = node
        self.unixMilliseconds = unixMilliseconds
    }
}

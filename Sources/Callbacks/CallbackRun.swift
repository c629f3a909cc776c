// CallbackRun is what a callback sees and may order: the moment with its messages, the dialog as it is
// (`get_current_dialog`), its variables, and what is to be done of it. What is ordered is carried out when all bodies
// of the moment have run, as one change.

import Dialogs
package import Node
package import Proxy

package struct CallbackRun: Sendable {
    package let moment: DialogMoment
    /// What it is, where it is one of the life; the same on whichever node tells it (`LifeEvent.id`).
    package let event: LifeEvent?
    /// The record as it stands; as it was told, for a life event; `nil` where there is none (any more).
    package let dialog: DialogReport?
    /// Lines for a listing of contexts.
    package var context: [String] = []
    private(set) var changes: [DialogChange] = []
    private(set) var ending: DialogEnding?
    private(set) var isTaken = false

    init(moment: DialogMoment, event: LifeEvent?, dialog: DialogReport?) {
        self.moment = moment
        self.event = event
        self.dialog = dialog
    }

    package var kind: DialogMomentKind { moment.kind }
    package var did: String { moment.did.hex }

    /// `get_dlg_var`; with what this run has set.
    package func variable(_ name: String) -> String? {
        for case .variable(name, let value) in changes.reversed() { return value }
        return dialog?.variables.first { $0.key == name }?.value
    }

    /// `set_dlg_var`; `nil` removes it.
    package mutating func set(_ name: String, to value: String?) { changes.append(.variable(name, value: value)) }

    /// Any other change: profiles, flags, properties, its timeout.
    package mutating func order(_ change: DialogChange) { changes.append(change) }

    /// `terminate_dlg`.
    package mutating func terminate(_ ending: DialogEnding = DialogEnding()) { self.ending = ending }

    /// The event goes on to somebody who has it only later, and says so with `confirm`; until then it is not told.
    package mutating func takeUntilConfirmed() { isTaken = event != nil }
}

extension DialogMoment {
    init(_ event: LifeEvent) {
        self.init(event.kind.moment, DialogID(hex: event.dialog.did) ?? DialogID(rawValue: 0))
    }

    init?(_ kind: DialogMomentKind, did: String) {
        guard let did = DialogID(hex: did) else { return nil }
        self.init(kind, did)
    }
}

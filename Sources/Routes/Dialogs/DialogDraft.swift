// DialogDraft is what a run wants done to dialogs: facts written, times set, ends asked for. Like everything of a run's
// plan it happens when the run has ended or waits; what the run reads back meanwhile is the record with the draft over
// it. What an INVITE's request route says of the dialog that is to begin stands in its record from the first byte on.
//
// Limit: 128 writes a run; a record's own limit (`StampedRoom`) is asked at each, so a write that says yes fits.

package import Dialogs

package struct DialogDraft: Equatable, Sendable {
    package static let writeLimit = 128

    package struct Write: Equatable, Sendable {
        /// `nil`: the dialog that this INVITE begins.
        package var did: DialogID?
        package var change: StampedChange
    }

    package struct Lifetime: Equatable, Sendable {
        package var did: DialogID?
        /// From now, or from the answer while there is none.
        package var seconds: Int
    }

    /// A time for all dialogs of a profile.
    package struct ProfileTimeout: Equatable, Sendable {
        package var name: [UInt8]
        /// `nil` for all values.
        package var value: [UInt8]?
        package var seconds: Int
    }

    package enum Side: String, CaseIterable, Sendable {
        case all, caller, callee
        /// Nobody gets a BYE.
        case none
    }

    package struct Ending: Equatable, Sendable {
        package var did: DialogID
        package var side: Side
        /// Empty for the node's own words.
        package var reason: [UInt8]
    }

    /// A request within a dialog, a REFER, or a bridge.
    package enum Request: Equatable, Sendable {
        case within(DialogID, Leg, method: [UInt8], headers: [UInt8], type: [UInt8], body: [UInt8])
        case refer(DialogID, Leg, to: [UInt8])
        case bridge(from: [UInt8], to: [UInt8], proxy: [UInt8])
    }

    package var writes: [Write] = []
    package var lifetimes: [Lifetime] = []
    package var endings: [Ending] = []
    package var requests: [Request] = []
    package var profileTimeouts: [ProfileTimeout] = []
    /// The dialog that `dlg_get` has found: the run's own from then on.
    package var current: DialogID?
    /// `dlg_manage` was called.
    package var isManaged = false

    package init() {}

    /// Nothing is to be done to a dialog that is here.
    package var isIdle: Bool {
        writes.isEmpty && lifetimes.isEmpty && endings.isEmpty && requests.isEmpty && profileTimeouts.isEmpty
    }

    /// What was written of the coming dialog, for its record.
    package var ofTheComing: [StampedChange] { writes.filter { $0.did == nil }.map(\.change) }

    /// Takes out what is for dialogs that are here; what is for the coming one stays until its INVITE goes.
    package mutating func takeActs() -> DialogDraft {
        guard !isIdle else { return DialogDraft() }
        var acts = DialogDraft()
        acts.writes = writes.filter { $0.did != nil }
        acts.lifetimes = lifetimes.filter { $0.did != nil }
        acts.endings = endings
        acts.requests = requests
        acts.profileTimeouts = profileTimeouts
        writes.removeAll { $0.did != nil }
        lifetimes.removeAll { $0.did != nil }
        endings.removeAll()
        requests.removeAll()
        profileTimeouts.removeAll()
        return acts
    }

    /// The dialogs that something is written of, each once, in order.
    package var written: [DialogID] {
        var dids: [DialogID] = []
        for write in writes { if let did = write.did, !dids.contains(did) { dids.append(did) } }
        return dids
    }

    package func changes(of did: DialogID) -> [StampedChange] { writes.filter { $0.did == did }.map(\.change) }
}

extension StampedChange {
    /// It writes what the other one writes: of two in one patch one alone can stay.
    func isOfTheSame(as other: StampedChange) -> Bool {
        switch (self, other) {
        case (.variable(let name, _), .variable(let known, _)): name == known
        case (.profile(let link, _), .profile(let known, _)): link == known
        case (.flag(let flag, _), .flag(let known, _)): flag == known
        case (.property(let property, _), .property(let known, _)): property == known
        case (.word(let word, _), .word(let known, _)): word == known
        case (.variable, _), (.profile, _), (.flag, _), (.property, _), (.word, _): false
        }
    }
}

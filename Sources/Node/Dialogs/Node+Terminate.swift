// `dlg_terminate`, `dlg_bye`, `terminate_dlg`, `lookup_terminate_dlg`: an end with a side, a reason and header lines.
// They are facts like the wish itself, so whichever node makes the BYEs writes the same.

import Cluster
import Dialogs
package import Primitives
import Proxy

/// How a dialog is to be ended.
package struct DialogEnding: Equatable, Sendable {
    package enum Side: String, CaseIterable, Sendable {
        case all, caller, callee
        /// Nobody gets a BYE: the phones have hung up, or will (`dlg_set_state`).
        case none
    }

    /// Who gets a BYE; a ringing dialog ends for all.
    package var side = Side.all
    /// The text of the BYEs' Reason; empty: that an operator has ended it.
    package var reason = ""
    /// Header lines of the BYEs, each with its CRLF.
    package var headers = ""
    /// Also where this node has no quorum: then nobody is asked.
    package var isForced = false

    package static let reasonLimit = 128

    package init() {}
}

extension Node {
    /// Ends a dialog; what comes of it is a matter of moments, as for `endDialog`.
    package mutating func terminate(
        did text: String, _ ending: DialogEnding, now: Instant, into out: inout Outbox
    ) throws(DialogError) -> EndReport {
        let did = try known(text)
        guard let state = store.dialogs.state(did), state != .deleted else { return .alreadyEnded }
        let isConfirmed = state >= .confirmedNotAcknowledged
        guard ending.side == .all || isConfirmed else { throw .invalid("a ringing dialog ends for all") }
        let isPrintable = ending.reason.utf8.allSatisfy { $0 >= 32 && $0 < 127 && $0 != 34 && $0 != 92 }
        guard ending.reason.utf8.count <= DialogEnding.reasonLimit, isPrintable else {
            throw .invalid("a reason has at most \(DialogEnding.reasonLimit) printable characters, no quotation marks")
        }
        if let objection = DialogSettings.objection(toHeaders: ending.headers) { throw .invalid(objection) }
        let mayAct = cluster.isFit
        guard mayAct || ending.isForced else {
            throw .refused("this node has no quorum or is not up yet; ask another member, or force it")
        }
        var words: [StampedChange] = []
        if !ending.reason.isEmpty { words.append(.word(.endReason, Array(ending.reason.utf8))) }
        if !ending.headers.isEmpty { words.append(.word(.endHeaders, Array(ending.headers.utf8))) }
        if ending.side != .all { words.append(.word(.endSide, Array(ending.side.rawValue.utf8))) }
        if !words.isEmpty { try write(words, to: did, now: now, into: &out) }
        if mayAct { return endDialog(did: text, now: now, into: &out) }
        begin(&out)
        defer {
            settle(now: now, into: &out)
            finish(&out, now: now)
        }
        guard isConfirmed else {
            _ = proxy.cancelEarly(did, flags: .endedByOperator, now: now, dialogs: &store.dialogs)
            proxy.review(did, now: now, dialogs: &store.dialogs)
            return .ending
        }
        proxy.shortenDeadline(did, flags: .endedByOperator, isAsked: true, now: now, dialogs: &store.dialogs)
        let payload = proxy.endingPayload(did, dialogs: store.dialogs) ?? [0]
        proxy.end(did, payload: payload, dialogs: &store.dialogs, now: now)
        return .ending
    }
}

extension Node {
    /// The live dialog that `h_entry` and `h_id` name, where that is one alone.
    package func did(entry: Int, identifier: Int64) -> String? {
        Int(exactly: identifier).flatMap { store.dialogs.did(entry: entry, identifier: $0)?.hex }
    }
}

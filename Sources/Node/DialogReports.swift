// What a node tells of its dialogs, and by which questions: plain values, as those of `Reports`.
//
// Limit: `DialogQuery.limitRange` dialogs a page: milliseconds of the SIP thread.

/// Which dialogs to list, and from where on.
package struct DialogQuery: Equatable, Sendable {
    package static let limitRange = 1...1_000
    /// Where the page before ended (`DialogPage.next`); `nil` for the first page.
    package var cursor: UInt32?
    /// At most so many in the page.
    package var limit = 500
    /// Names of states; none for every live one (tombstones are listed only when `deleted` is asked for).
    package var states: [String] = []
    package var home: String?
    package var actor: String?
    package var callID: String?
    /// In this profile, under this value or any; with this variable, likewise.
    package var profile: String?
    package var profileValue: String?
    package var variable: String?
    package var variableValue: String?
    /// Parts of From and To; case does not matter.
    package var from: String?
    package var to: String?
    /// Only those whose birth is longer ago, or less long.
    package var olderMilliseconds: Int64?
    package var youngerMilliseconds: Int64?

    package init() {}

    package func takes(state: String) -> Bool { states.isEmpty ? state != "deleted" : states.contains(state) }

    package func takes(ageMilliseconds age: Int64) -> Bool {
        age >= olderMilliseconds ?? .min && age <= youngerMilliseconds ?? .max
    }

    package func takes(from value: String, to other: String) -> Bool {
        Self.isPart(from, of: value) && Self.isPart(to, of: other)
    }

    package func takes(profiles: [StampedReport], variables: [StampedReport]) -> Bool {
        Self.isAmong(profiles, profile, profileValue) && Self.isAmong(variables, variable, variableValue)
    }

    private static func isAmong(_ entries: [StampedReport], _ key: String?, _ value: String?) -> Bool {
        guard let key else { return true }
        return entries.contains { $0.key == key && (value == nil || $0.value == value) }
    }

    private static func isPart(_ part: String?, of text: String) -> Bool {
        guard let part, !part.isEmpty else { return true }
        return text.lowercased().firstRange(of: part.lowercased()) != nil
    }
}

/// Some dialogs, in the order of the table's slots.
package struct DialogPage: Equatable, Sendable {
    package var dialogs: [DialogReport] = []
    /// Ask again with this cursor; `nil` at the end. A page may be empty and still have a next: a filter looks at a
    /// bounded number of records each time.
    package var next: UInt32?

    package init() {}
}

/// One side of a dialog: what an in-dialog request toward it needs.
package struct SideReport: Equatable, Sendable {
    /// The highest CSeq this side has sent; 0 when it has sent none.
    package var cseq: UInt32 = 0
    package var contact = ""
    /// The Route header value toward this side, own entries left out.
    package var routes = ""
    /// `address:port` that requests to it go to.
    package var endpoint = ""
    /// What the cluster is called there, `udp:192.0.2.11:5060`; empty while nobody has been heard.
    package var socket = ""

    package init() {}
}

/// One dialog-out: a callee's To-tag.
package struct OutReport: Equatable, Sendable {
    package var toTag = ""
    package var state = ""
    package var side = SideReport()
    /// Highest INVITE CSeq whose ACK was seen.
    package var acknowledged: UInt32 = 0
    /// A 2xx is kept until its ACK is seen.
    package var holdsAnswer = false

    package init() {}
}

/// A transaction that is not over.
package struct PendingReport: Equatable, Sendable {
    package var branch = ""
    /// `caller` or `callee`: who sent the request.
    package var leg = ""
    package var cseq: UInt32 = 0
    /// Words in a fixed order: `provisional final cancelled`.
    package var progress: [String] = []
    package var target = ""

    package init() {}
}

/// A dialog variable or profile link.
package struct StampedReport: Equatable, Sendable {
    package var key: String
    package var value: String
    package init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// One record, as this node holds it.
package struct DialogReport: Equatable, Sendable {
    /// 16 hexadecimal digits.
    package var did = ""
    /// The table's bucket of it; prints as `h_entry`.
    package var bucket = 0
    package var callID = ""
    package var fromTag = ""
    /// Of the confirmed dialog-out, else of the most advanced one; empty without any.
    package var toTag = ""
    package var inviteCSeq: UInt32 = 0
    /// `unconfirmed early confirmed_na confirmed deleted`.
    package var state = ""
    /// Name of the node that created it.
    package var home = ""
    /// Name of the node that acts for it now, as this node's view has it; empty when nobody is fit.
    package var actor = ""
    /// Until the deadline, below 0 when it has passed; `nil` without a deadline.
    package var remainingMilliseconds: Int64?
    /// Since its birth.
    package var ageMilliseconds: Int64 = 0
    /// Since the record last changed here.
    package var changedMilliseconds: Int64 = 0
    package var deadlineGeneration: UInt32 = 0
    /// Since birth; 0 without a deadline.
    package var deadlineMilliseconds: UInt64 = 0
    package var lifetimeMilliseconds: UInt64 = 0
    /// The lifetime is what the parties agreed on (RFC 4028).
    package var hasSessionTimer = false
    package var from = ""
    package var to = ""
    package var requestURI = ""
    package var caller = SideReport()
    package var outs: [OutReport] = []
    package var pendings: [PendingReport] = []
    /// Words in a fixed order: `cancelled bye_from_caller bye_from_callee timed_out ended_by_operator failed ka-src
    /// ka-dst ended_by_keep_alive unanswered interrupted asked phones_told`.
    package var flags: [String] = []
    /// `dflags` of the module, as `$dlg(dflags)` has it.
    package var moduleFlags = 0
    package var end = DialogEnd()
    package var variables: [StampedReport] = []
    /// By name; the value is empty in a profile without values.
    package var profiles: [StampedReport] = []
    /// `dlg_setflag`, by their bits.
    package var scriptFlags: UInt32 = 0
    /// What was said of keep-alives and refreshes, as `ka-src` or `no ka-src`, and words, as `toroute=expired`.
    package var properties: [String] = []
    /// Unix time of its birth by the home's clock, in milliseconds; the others since birth, 0 for what has not been.
    package var bornUnixMilliseconds: UInt64 = 0
    package var answeredMilliseconds: UInt64 = 0
    package var endedMilliseconds: UInt64 = 0
    /// Size of the record.
    package var bytes = 0
    /// Keyed hash of the record's bytes: equal on two nodes exactly when the records are.
    package var digest: UInt64 = 0

    package init() {}
}

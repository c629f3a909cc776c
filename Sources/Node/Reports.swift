// What a node tells an operator: plain values, copied out of the machine on its own thread and safe to carry anywhere.
//
// The machine fills them, management turns them into JSON, tables and metrics, `understudy check` compares those of
// several nodes. They hold no byte ranges, slots or moments: every time is an age or a remainder in milliseconds.
//
// Limits: `DialogQuery.limitRange` dialogs a page, `BucketReport.requestLimit` buckets: milliseconds of the SIP thread.

package import Primitives

/// How many dialogs a node holds, by state (`understudy status`).
package struct DialogCounts: Equatable, Sendable {
    package var unconfirmed = 0
    package var early = 0
    package var confirmedNotAcknowledged = 0
    package var confirmed = 0
    /// Tombstones still kept.
    package var deleted = 0
    /// Live records, home and replicas: everything but tombstones.
    package var held = 0
    /// Live records that this node acts for now.
    package var acting = 0

    package init() {}
}

/// One member as the reporting node sees it.
package struct MemberReport: Equatable, Sendable {
    /// Empty while a configured peer has never been heard.
    package var name = ""
    /// `joining`, `up`, `draining`, `left`, `down`; `absent` for a configured peer never heard.
    package var state = ""
    /// The boot of the process heard last, 0 when never heard.
    package var incarnation: UInt64 = 0
    /// The bus address from the configuration, `127.0.0.12:7400`.
    package var bus = ""
    /// Base URL of its management, from its hello, `http://127.0.0.12:8080`; empty when unknown or not served.
    package var managementURL = ""
    /// The version of its program, as it tells it.
    package var version = ""
    package var isSelf = false
    package var (isInView, isWitness) = (false, false)
    /// Up, with quorum, and not late.
    package var isFit = false
    /// Its bus port refuses connections: its process is gone.
    package var isProvenGone = false
    /// One of `cluster.peers`, or an address of `cluster.dns`; true for this node itself.
    package var isListed = false
    /// Since it was last heard; 0 for this node itself, and for who was never heard.
    package var silentMilliseconds: Int64 = 0
    /// Settings that must be the same on all nodes and are not the same here and there, by key.
    package var differs: [String] = []
    /// Frames that it has published and we have not applied yet.
    package var lagFrames = 0
    /// Age of the oldest of those, or of the last frame heard when it is silent; 0 when nothing is outstanding.
    package var lagMilliseconds: Int64 = 0
    /// The last sequence of its stream that is in our records.
    package var applied: UInt64 = 0
    /// The last sequence of our stream that it has acknowledged.
    package var acknowledged: UInt64 = 0

    package init() {}
}

/// One target of a static route, as this node finds it.
package struct TargetReport: Equatable, Sendable {
    /// The set's name, or `routes[N]` for the targets of the Nth route.
    package var set = ""
    package var uri = ""
    package var policy = ""
    /// `up` or `down`.
    package var state = ""
    package var isProbed = false
    /// Since it went up or down, or was last found silent while down.
    package var changedMilliseconds: Int64 = 0
    /// Failures in a row while up, answers in a row while down.
    package var streak = 0
    package var probes: UInt64 = 0
    /// Requests to it that have ended, and those to which nothing came.
    package var requests: UInt64 = 0
    package var silences: UInt64 = 0

    package init() {}
}

/// `understudy status`: the node, its view and what it holds.
package struct StatusReport: Equatable, Sendable {
    package var node = ""
    package var cluster = ""
    /// Of the program, filled in by the shell: the core does not know what it is part of.
    package var version = ""
    package var commit = ""
    package var build = ""
    /// `joining`, `up`, `draining`, `left`.
    package var state = ""
    package var incarnation: UInt64 = 0
    /// Empty when the node is ready for new dialogs; otherwise why not, in one short sentence (OPTIONS and `/readyz`).
    package var notReadyReason = ""
    /// `held` or `lost`.
    package var quorum = ""
    package var epoch: UInt64 = 0
    /// Names of the members of the view, sorted.
    package var view: [String] = []
    package var dialogs = DialogCounts()
    /// Sorted by name, this node among them.
    package var members: [MemberReport] = []
    /// Targets of static routes, in the order of the configuration.
    package var targets: [TargetReport] = []
    /// SIP server transactions of this node that have not had their final response: what a drain waits for.
    package var openTransactions = 0
    /// Of a draining node: INVITEs that were answered and whose ACK was not seen.
    package var unacknowledged = 0
    /// Of these, INVITEs that other members serve and this node relays, because it drains.
    package var openRelays = 0
    /// A peer that is up has every fact of this node and the same records, or there is nobody to wait for: it may
    /// leave.
    package var mayLeave = true
    /// What a joining node waits for, one sentence; empty in every other state.
    package var waiting = ""
    /// Who sends frames that are not of this cluster: another `cluster.name`, or another key.
    package var strangers: [StrangerReport] = []
    /// Which keys seal the bus, and how far behind `storage.db_url` is; each `nil` without one.
    package var (sealing, storage): (SealingReport?, StorageReport?) = (nil, nil)
    /// `dialogs.limit`
    package var dialogLimit = 0
    /// Milliseconds since this process began.
    package var uptimeMilliseconds: Int64 = 0

    package init() {}
}

/// The keys of the bus by their ids, which tell nothing of them.
package struct SealingReport: Equatable, Sendable {
    package struct Member: Equatable, Sendable {
        package var name: String
        package var sending: String
        package var held: [String]

        package init(name: String, sending: String, held: [String]) {
            self.name = name
            self.sending = sending
            self.held = held
        }
    }

    /// What this node seals with now.
    package var sending: String
    /// What it opens; the newest last.
    package var held: [String]
    /// Who was heard in the last ten seconds, by name.
    package var members: [Member]

    package init(sending: String, held: [String], members: [Member]) {
        self.sending = sending
        self.held = held
        self.members = members
    }

    package static func text(_ id: UInt32) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

/// Somebody with another `cluster.name` or cluster key.
package struct StrangerReport: Equatable, Sendable {
    /// As its frames say, which nobody vouches for.
    package var name: String
    package var silentMilliseconds: Int64

    package init(name: String, silentMilliseconds: Int64) {
        self.name = name
        self.silentMilliseconds = silentMilliseconds
    }
}

/// One number for `/metrics`.
package struct MetricReport: Equatable, Sendable {
    package enum Kind: String, Sendable { case counter, gauge, histogram }
    /// A Prometheus name with its unit last, `understudy_takeovers_total`.
    package var name: String
    package var help: String
    package var kind: Kind
    /// Label pairs in a fixed order, `[("state", "early")]` as alternating texts.
    package var labels: [Label]
    package var value: Int64
    /// What the value is divided by when it is written: 1000 for milliseconds of a metric in seconds.
    package var divisor: Int64
    /// The name that HELP and TYPE are told of, where it is not the metric's own: of the parts of a histogram.
    package var family: String

    package struct Label: Equatable, Sendable {
        package var name: String
        package var value: String
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(
        name: String, help: String, kind: Kind, labels: [Label] = [], value: Int64, divisor: Int64 = 1,
        family: String? = nil
    ) {
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
        self.value = value
        self.divisor = divisor
        self.family = family ?? name
    }

    /// A histogram in seconds, as Prometheus has it: buckets that add up, sum and count.
    package static func histogram(_ name: String, _ help: String, _ histogram: Histogram) -> [MetricReport] {
        var total: UInt64 = 0
        func part(_ suffix: String, _ value: Int64, _ labels: [Label] = [], divisor: Int64 = 1) -> MetricReport {
            MetricReport(
                name: name + suffix, help: help, kind: .histogram, labels: labels, value: value, divisor: divisor,
                family: name)
        }
        var reports: [MetricReport] = []
        for (index, count) in histogram.counts.enumerated() {
            total &+= count
            let isLast = index == Histogram.bounds.count
            let bound = isLast ? "+Inf" : decimal(Histogram.bounds[index], over: 1_000_000)
            reports.append(part("_bucket", Int64(clamping: total), [Label(name: "le", value: bound)]))
        }
        return reports + [
            part("_sum", histogram.sum, divisor: 1_000_000), part("_count", Int64(clamping: total)),
        ]
    }

    /// A fraction whose divisor is a power of ten, without the zeros at its end.
    package static func decimal(_ value: Int64, over divisor: Int64) -> String {
        guard divisor > 1 else { return String(value) }
        let (whole, rest) = (value.magnitude / divisor.magnitude, value.magnitude % divisor.magnitude)
        var digits = String(rest + divisor.magnitude).dropFirst()
        while digits.last == "0" { digits = digits.dropLast() }
        return (value < 0 ? "-" : "") + (digits.isEmpty ? String(whole) : "\(whole).\(digits)")
    }
}

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
    /// ka-dst ended_by_keep_alive unanswered`.
    package var flags: [String] = []
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

/// The digest of every bucket: a sum of keyed hashes over live records, so the order of records does not matter.
package struct DigestReport: Equatable, Sendable {
    package var node = ""
    package var incarnation: UInt64 = 0
    /// Sum over everything.
    package var root: UInt64 = 0
    /// Live records, which are what the digests are over.
    package var live = 0
    /// One a bucket, `ims_dialog.hash_size` of them.
    package var buckets: [UInt64] = []

    package init() {}
}

/// One record of a bucket. Tombstones are listed too, so that a comparison can tell "ended here just now" from "lost".
package struct RecordDigest: Equatable, Sendable {
    package var did = ""
    package var callID = ""
    package var state = ""
    package var digest: UInt64 = 0
    /// Since the record last changed here.
    package var changedMilliseconds: Int64 = 0

    package init() {}
}

package struct BucketReport: Equatable, Sendable {
    /// At most so many buckets in one request.
    package static let requestLimit = 256
    package var bucket = 0
    /// Sorted by did.
    package var records: [RecordDigest] = []

    package init() {}
}

/// How far the end of a dialog has come.
package struct DialogEnd: Equatable, Sendable {
    package enum Phase: String, Sendable {
        case lives
        /// Its time is up, or somebody has asked for the end: a majority's grants are waited for.
        case waiting
        /// BYEs are under way, or CANCELs.
        case ending
        case ended
    }

    package enum Cause: String, Sendable {
        case none = ""
        case `operator`, timeout
        case keepAlive = "keep_alive"
        /// That side's own BYE.
        case caller, callee
        /// The caller's CANCEL.
        case cancelled
        /// The INVITE failed.
        case failed
    }

    package var phase = Phase.lives
    package var cause = Cause.none
    /// Of an ended one: no side left a BYE of the cluster without an answer.
    package var isAnswered = true

    package init() {}
}

/// What an operator's request to end a dialog came to. Ending goes on after the answer: BYEs take a moment.
package enum EndReport: Equatable, Sendable {
    /// The deadline is now; the actor asks for grants and sends the BYEs (early: CANCEL and a final reply).
    case ending
    /// The same, but that somebody had asked for it before; nothing is done twice.
    case endingAlready
    case alreadyEnded
    case unknown
    /// This node may not act now; the text says why (no quorum, …).
    case refused(String)
}

/// What `cluster.repair` set going.
package struct RepairReport: Equatable, Sendable {
    /// Peers whose digests were asked for at once.
    package var asked: [String] = []
    /// Records taken over by repair since this process began.
    package var repaired: UInt64 = 0

    package init() {}
}

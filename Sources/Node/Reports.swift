// What a node tells an operator: plain values, copied out of the machine on its own thread and safe to carry anywhere.
//
// The machine fills them, management turns them into JSON, tables and metrics, `understudy check` compares those of
// several nodes. They hold no byte ranges, slots or moments: every time is an age or a remainder in milliseconds.
//
// Limit: `BucketReport.requestLimit` buckets: milliseconds of the SIP thread. Dialogs have `DialogReports`.

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
    /// INVITEs among these: calls that are being set up or changed. The others end within 32 seconds.
    package var openInvites = 0
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
    /// Which script serves, filled in by the shell; `nil` without one.
    package var script: ScriptReport?
    /// `dialogs.limit`
    package var dialogLimit = 0
    /// Milliseconds since this process began.
    package var uptimeMilliseconds: Int64 = 0

    package init() {}
}

/// The script that serves.
package struct ScriptReport: Equatable, Sendable {
    package var file: String
    /// Eight hexadecimal digits that follow from its text and that of what it may require.
    package var version: String

    package init(file: String, version: String) {
        self.file = file
        self.version = version
    }
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
    package static func histogram(
        _ name: String, _ help: String, _ histogram: Histogram, labels: [Label] = []
    ) -> [MetricReport] {
        var total: UInt64 = 0
        func part(_ suffix: String, _ value: Int64, _ own: [Label] = [], divisor: Int64 = 1) -> MetricReport {
            MetricReport(
                name: name + suffix, help: help, kind: .histogram, labels: labels + own, value: value,
                divisor: divisor, family: name)
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

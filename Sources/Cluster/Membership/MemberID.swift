// A member is one process of a node: its name and its boot. A node that restarts is another member with the same name;
// the old one can never speak again, which is what lets a newer boot stand as proof that it is gone (R3, R14).

package import Primitives

/// One process of a node.
package struct MemberID: Hashable, Comparable, Sendable {
    /// `node.name`, 1 to 32 bytes.
    package var name: String
    /// Grows with each process of the name; names its stream.
    package var boot: UInt64

    package init(name: String, boot: UInt64) {
        self.name = name
        self.boot = boot
    }

    package static func < (left: MemberID, right: MemberID) -> Bool {
        (left.name, left.boot) < (right.name, right.boot)
    }
}

/// What a member says of itself, and, for `down`, what the others say of it.
package enum MemberState: UInt8, Sendable {
    case joining = 1
    case up
    case draining
    case left
    case down

    package var name: String {
        switch self {
        case .joining: "joining"
        case .up: "up"
        case .draining: "draining"
        case .left: "left"
        case .down: "down"
        }
    }

    /// Serves, grants and may act.
    package var isServing: Bool { self == .up || self == .draining }
}

/// Whom the members of one epoch have agreed to be live. Epoch 0 has no members: nothing was agreed yet.
package struct View: Equatable, Sendable {
    package var epoch: UInt64
    /// Sorted.
    package var members: [MemberID]

    package init(epoch: UInt64 = 0, members: [MemberID] = []) {
        self.epoch = epoch
        self.members = members
    }

    package func contains(_ member: MemberID) -> Bool { members.contains(member) }

    package func boot(of name: String) -> UInt64? { members.first { $0.name == name }?.boot }

    /// Which of two views of one epoch stands: the one with the lower names (only a lone survivor can make two).
    func yields(to other: View) -> Bool {
        epoch == other.epoch && members != other.members && other.members.lexicographicallyPrecedes(members)
    }
}

/// How the outcome of a probe looks to the cluster: what a plain connect to the peer's bus port showed.
package enum ProbeOutcome: Sendable {
    /// Nobody listens: proof that the process is gone, which a partition cannot give.
    case refused
    case connected
    /// No answer in time: proves nothing.
    case silent
}

package enum QuorumStatus: Sendable {
    case held
    case lost
}

/// One member, or one configured peer never heard, as this node sees it.
package struct MemberStatus: Equatable, Sendable {
    /// Empty while a configured peer was never heard.
    package var name = ""
    package var boot: UInt64 = 0
    package var state = MemberState.down
    package var isSelf = false
    package var isInView = false
    package var isFit = false
    /// Votes, and keeps no records.
    package var isWitness = false
    /// Its bus port refuses connections: its process is gone.
    package var isProvenGone = false
    /// Never heard since this process began.
    package var isAbsent = false
    /// Entries of its stream that exist and are not in our records yet.
    package var lagFrames: UInt64 = 0
    /// Milliseconds since it was last heard.
    package var silentMilliseconds: Int64 = 0
    /// Last sequence of its stream up to which every fact is in our records.
    package var applied: UInt64 = 0
    /// Last sequence of our stream that it acknowledged.
    package var acknowledged: UInt64 = 0
    package var rootDigest: UInt64 = 0
    package var liveCount: UInt64 = 0
    package var hello = Hello()
    /// Service addresses that its host holds now.
    package var addresses: [String] = []
    /// The configured bus address of this peer, when it is known which it is.
    package var bus = ""
}

/// Somebody whose frames are not of this cluster: another `cluster.name`, or another key.
package struct Stranger: Equatable, Sendable {
    /// As the frame says; nobody vouches for it.
    package var name: String
    package var lastHeard: Instant

    /// More are counted, and not kept.
    static let limit = 16

    /// A name that nobody vouches for goes to logs and terminals: only what a name may be made of is kept of it.
    static func shown(_ written: String) -> String {
        String(written.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "?" })
    }
}

/// What a joiner waits for.
package struct JoinWait: Equatable, Sendable {
    /// Bus addresses of configured peers that were never heard, or are not heard now.
    package var unheard: [String] = []
    /// Members whose replica this node compares its own with; empty until it hears somebody who is up.
    package var comparing: [String] = []
    package var sinceMilliseconds: Int64 = 0
    /// Until it forms the cluster without those it does not hear; `nil` while too few are there for that.
    package var untilMilliseconds: Int64?
    /// How many more must be heard until that time begins to count.
    package var missingForMajority = 0
    /// The first list of `cluster.dns` has not come.
    package var awaitsNames = false
}

/// What a node tells the others about how to reach it.
package struct Hello: Equatable, Sendable {
    /// Base URL of its management interface; at most 128 bytes.
    package var management = ""
    /// Where its SIP listens, `127.0.0.11:5060`; at most 128 bytes.
    package var sip = ""
    /// Its service address, which may move to another node; at most 128 bytes.
    package var service = ""

    /// What SIP calls it, `udp:127.0.0.11:5060 tls:sbc.example.org:5061`: listen, service and advertised addresses, in
    /// whole names of at most `namesLimit` bytes together.
    package var names = ""

    /// Hashes of settings that must be the same on all nodes, in an order that all versions keep; empty from a node
    /// that does not tell. At most 16.
    package var settings: [UInt64] = []

    /// The version of its program, at most 128 bytes; empty from one that does not tell.
    package var software = ""
    /// What it can do on the bus that an earlier version cannot, one bit each; 0 from one that does not tell.
    package var capabilities: UInt64 = 0
    /// Until when its storage knew all of its records when it began, Unix milliseconds; 0 without one, or with an empty
    /// one. Opaque here.
    package var knownUntil: UInt64 = 0

    /// This version's: 1, which every version has that tells of capabilities, and what follows.
    package static let capabilities: UInt64 = 1 | answersQuestions | locations | movesCSeqs
    /// It answers what an heir asks on the stream.
    static let answersQuestions: UInt64 = 2
    /// It keeps contacts, records of a second kind.
    package static let locations: UInt64 = 4
    /// It moves the CSeqs of phones' requests where the record says so.
    static let movesCSeqs: UInt64 = 8

    package static let namesLimit = 1_024
    static let settingsLimit = 16

    package init(
        management: String = "", sip: String = "", service: String = "", names: String = "", settings: [UInt64] = [],
        software: String = ""
    ) {
        self.software = String(decoding: software.utf8.prefix(128), as: UTF8.self)
        capabilities = Self.capabilities
        self.settings = Array(settings.prefix(Self.settingsLimit))
        var fitting: [Substring] = []
        var count = 0
        for name in names.split(separator: " ") where count + name.utf8.count < Self.namesLimit {
            fitting.append(name)
            count += name.utf8.count + 1
        }
        self.names = fitting.joined(separator: " ")
        self.management = String(decoding: management.utf8.prefix(128), as: UTF8.self)
        self.sip = String(decoding: sip.utf8.prefix(128), as: UTF8.self)
        self.service = String(decoding: service.utf8.prefix(128), as: UTF8.self)
    }
}

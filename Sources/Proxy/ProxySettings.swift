// What the proxy needs to know of the configuration, as bytes and numbers ready for the hot path. `Node` makes it from
// the validated settings; nothing here is checked again.

import Primitives
package import SIP

/// `sip.force_rport`: where answers to a request go (S2-16; RFC 3261 §18.2.2, RFC 3581).
package enum ForceRport: String, CaseIterable, Sendable {
    /// To the source port when Via has rport, when the source differs from sent-by, or when it comes from a balancer.
    case auto
    case always = "true"
    case never = "false"
}

/// `takeover.early`: what becomes of a ringing call whose node died (S2-11).
package enum EarlyTakeover: String, CaseIterable, Sendable {
    case cancel
    case wait
    /// Wait for the answer while a live member holds the dead node's service address, else cancel.
    case auto
}

package struct ProxySettings: Sendable {
    private let passing = ByAddress()
    /// The node's own sockets, in the order of `ListenerID`.
    package var listeners: [Endpoint] = []
    /// The listener of the service address, which may be elsewhere.
    package var serviceListener: Int?
    /// The same while this host holds that address: then it stands for the first UDP listener of its family.
    package var preferredListener: Int?
    /// Listen, service and advertised addresses of the cluster, compared as written (S1-5).
    package var ownNames: [HostPort] = []
    /// What each of them is called (RFC 5658, S1-6).
    package var names: [ListenerName] = []
    /// Name of the Record-Route parameter that carries the did.
    package var routeParameter: [UInt8] = [UInt8]("did".utf8)
    package var forceRport = ForceRport.auto
    /// Whose packets come for others (`sip.balancer`).
    package var balancers: [Address] = []
    /// Where every request leaves to with `sip.egress: balancer`; `nil` with `direct`.
    package var egress: Endpoint?
    /// Route an in-dialog request that ignores its route set by the one of the record (S3-27).
    package var lenient = false
    package var timers = TransactionTimers()
    package var timerC: Duration { timers.value(.c, reliable: true) }
    /// `ims_dialog.default_timeout`.
    package var lifetime = Duration.seconds(43_200)
    /// `ims_dialog.early_timeout`.
    package var earlyTimeout = Duration.seconds(300)
    /// `ims_dialog.bye_early_code`, the final answer to a ringing call that an operator or an heir ends.
    package var earlyEndCode = 480
    /// `ims_dialog.bye_early_reason`; empty takes the code's own phrase.
    package var earlyEndReason: [UInt8] = []
    /// Max-Forwards of a request that came without one, and of the cluster's own (`sip.max-forwards`).
    package var maxForwards = 70
    package var earlyTakeover = EarlyTakeover.auto
    package var earlyGrace = Duration.milliseconds(1_500)
    /// How much later each rank pays an end that is owed.
    package var stagger = Duration.milliseconds(500)
    /// What becomes of a 2xx from another callee than the one that has answered (`sip.late-answer`).
    package var endsLateAnswers = false
    /// A dialog that can have no record is refused with 513, instead of going on unknown (`dialogs.unrecorded`).
    package var refusesUnrecorded = false
    /// Somebody is told when a dialog begins and ends (`dialogs.events`): its tombstone keeps until then what it had.
    package var tellsEvents = false
    /// `ims_dialog.timeout_noreset`: what passes within a dialog moves no deadline.
    package var keepsDeadline = false
    /// `ims_dialog.dlg_extra_hdrs`: header lines of every request that the cluster makes, each with its CRLF.
    package var extraHeaders: [UInt8] = []
    /// Least Session-Expires in seconds; 0 takes any (`sip.min-se`, RFC 4028 §8.1).
    package var minimumSession: UInt32 = 0
    /// Session-Expires that is asked for, in seconds; 0 asks for none (`sip.session-expires`, RFC 4028 §8.1).
    package var sessionInterval: UInt32 = 0
    /// The trust domain of RFC 3325; none: identities pass as they are (`access.trusted`).
    package var trusted: [Subnet] = []
    package var routes: [StaticRoute] = [] {
        didSet { hasEmergencyRoutes = routes.contains(where: \.isEmergency) }
    }
    private(set) var hasEmergencyRoutes = false
    package var targetSets: [TargetSet] = []
    /// Domains whose phones register here, in lower case.
    package var registrarDomains: [[UInt8]] = []
    /// Those of them whose users show who they are: credentials for them go no further than here.
    package var realms: [[UInt8]] = []
    package var access = AccessList()
    package var limits = RateLimits()
    /// `ims_dialog.ka_timer`, `ka_interval`, `ka_failed_limit`, `ka-src` and `ka-dst`.
    package var keepAlive = KeepAliveSettings()
    /// Marks our branches among those of other clusters.
    package var mark: UInt16 = 0
    /// This process in a branch.
    package var memberTag: UInt32 = 0
    /// What named it before it took a later boot: what it has begun since its start is its own all the same. A few at
    /// most, since the boot only rises until the members agree on it.
    private(set) var formerTags: [UInt32] = []
    /// Name and boot of this process, for the record's home.
    package var nodeName: [UInt8] = []
    package var boot: UInt64 = 0
    /// Transactions at once; beyond it a new request gets 503 with Retry-After.
    package var contextLimit = 262_144

    package init() {}

    /// Whether a member's tag, in a branch or beside a connection, is this process's.
    func isOwn(_ tag: UInt32) -> Bool { tag == memberTag || formerTags.contains(tag) }

    /// A peer knows of a later process of this name: this one is later than that from now on.
    package mutating func rise(to boot: UInt64, memberTag: UInt32) {
        formerTags = formerTags.suffix(3) + [self.memberTag]
        self.boot = boot
        self.memberTag = memberTag
    }
}

/// Another node as the proxy sees it: whose branch it is, whether it lives, where it takes SIP.
package struct PeerContact: Hashable, Sendable {
    package var memberTag: UInt32
    /// Where it is passed messages.
    package var endpoint: Endpoint?
    /// Where its own come from: all its UDP sockets.
    package var sockets: [Endpoint]
    package var isLive: Bool
    /// It is up, and not draining: it may be given calls that others do not take.
    package var takesCalls: Bool
    /// Its Via names an address that moves between hosts (`sip.service-address`).
    package var movesAddress: Bool
    /// A live member holds that address now.
    package var holdsMovedAddress: Bool

    package init(
        memberTag: UInt32, endpoint: Endpoint?, sockets: [Endpoint] = [], isLive: Bool, takesCalls: Bool = false,
        movesAddress: Bool = false, holdsMovedAddress: Bool = false
    ) {
        self.memberTag = memberTag
        self.endpoint = endpoint
        self.sockets = sockets
        self.isLive = isLive
        self.takesCalls = takesCalls
        self.movesAddress = movesAddress
        self.holdsMovedAddress = holdsMovedAddress
    }
}

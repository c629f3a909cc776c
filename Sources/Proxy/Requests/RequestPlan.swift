// RequestPlan is what has been found out of a request so far: the stages fill it in, one after the other
// (`Proxy+Stages`), and what waits keeps it beside the request's bytes, to go on where it was.

import Dialogs
import Primitives
import SIP

/// Where a request goes, found step by step.
struct RequestPlan: Sendable {
    private let passing = ByAddress()
    var source: Endpoint
    var listener: ListenerID
    /// The connection that it came on.
    var arrivalFlow = FlowID.none
    /// Where answers go (§18.2.2, RFC 3581), and what the topmost Via must say for it.
    var upstream: Endpoint
    var addsReceived: Bool
    var cSeq: CSeq
    var via: Via
    /// Finds its server transaction, of an ACK that of its INVITE (`Proxy.serverKey`); 0 while nobody has asked.
    var key: UInt64 = 0
    /// It has waited for its record: it goes on without.
    var hasWaited = false
    /// A script has been asked about it, or there was no room to ask.
    var isJudged = false
    /// Its server transaction, where it has one before it is sent on.
    var transaction: SlotID?
    /// How many Routes from the top are the cluster's.
    var consumedRoutes = 0
    /// The same, even when they are passed on to the member that holds a connection.
    var ownRoutes = 0
    /// The socket that the last of them names, where there are several to choose from (RFC 5658).
    var routeListener: ListenerID?
    var did: DialogID?
    /// It is sent within a dialog: by its To tag, or by what stands for one (`isWithinDialog`).
    var isInDialog = false
    var leg = Leg.caller
    /// Whether the record of `did` is here and agrees.
    var isKnown = false
    var afterTheEnd = false
    var createsDialog = false
    /// The new Request-URI; empty keeps the old one.
    var requestURI: [UInt8] = []
    var nextHop = Endpoint.none
    /// Where it goes instead, when that is more than one known address.
    var targets: [ForkTarget] = []
    /// The number of the next hop on the board of targets, if it has one.
    var health: Int32?
    /// The connection of the member that it is passed to, which must send it on.
    var memberFlow: FlowFact?
    /// The connection that the member which passed it here names.
    var namedFlow = FlowID.none
    /// The connection to the next hop, when it must be a certain one.
    var flow = FlowID.none
    /// What the last Route of ours says of the side beyond it, and whether any of them is a subscription's.
    var routeToken: RouteToken?
    var namesSubscription = false
    /// Routes that are not in the message, and should be (`routeLeniently`): the value of a header.
    var addedRoutes: [UInt8] = []
    /// Where a Path of ours leads to.
    var path: PathToken?
    /// The request gets our Path, and whether the registrar must understand it (RFC 3327).
    var addsPath = false
    var requiresPath = false
    /// The next hop was given without a transport.
    var isTransportOpen = false
    /// The first Route left does not route loosely (§16.6 step 6).
    var nextHopIsStrict = false
    /// Who must see a dialog's requests is in its route set, on each pass (RFC 3261 §16.6 step 4).
    var recordsRoute = false
    /// The route that it takes, where that gives its dialog something.
    var templateRoute: Int?
    /// What a script gives its dialog: facts, and a lifetime that is not the configured one.
    var scriptChanges: [StampedChange] = []
    var scriptLifetime: UInt64 = 0
    var times = AnswerTimes()
    /// It begins an emergency call, which is shed last.
    var isEmergency = false
    /// Which pass of a spiral it is.
    var pass = SpiralPass.first
    /// What its CSeq is moved by (`CSeqShift`), and the number in its RAck; `isMoved` where it came moved: `cSeq` is
    /// its sender's all the same.
    var shift: UInt32 = 0
    var rackShift: UInt32 = 0
    var isMoved = false
    /// What our Record-Route says beside its own: `;name=value…`.
    var recordParameters: [UInt8] = []
    /// It is of the controller of a bridge: no script is asked.
    var isOfController = false
    /// Branches it may have at once, here and further down (RFC 5393 §5.3.3).
    var breadth = MaxBreadth.assumed
    /// What becomes of its session timer.
    var session = SessionChange()
    /// The draining member that relayed it here; `source` is its sender then, and `upstream` that member.
    var relay: Relay?
}

extension RequestPlan {
    /// What its topmost Via gets, besides the source (RFC 3261 §18.2.1, RFC 3581 §4).
    var forcesRport: Bool { !source.transport.isReliable && upstream.port != via.sentByPort }

    /// Writes the Via lines of its message, the topmost completed.
    func writeVias(of message: Message, into writer: inout ByteWriter) {
        if addsReceived {
            ViaStamp.writeVias(of: message, via, source: source, forceRport: forcesRport, into: &writer)
        } else {
            message.writeVias(into: &writer)
        }
    }

    /// It calls the first phone of a bridge.
    var isBridge: Bool {
        scriptChanges.contains { if case .word(.bridge, .some) = $0 { true } else { false } }
    }

    /// The one known address as a set of targets, for a script that may look at branches or add to them.
    mutating func makeTarget() {
        var target = ForkTarget(requestURI: [], group: 0, candidates: [nextHop])
        target.isTransportOpen = isTransportOpen
        target.health = health
        target.flow = flow
        target.memberFlow = memberFlow
        targets = [target]
    }
}

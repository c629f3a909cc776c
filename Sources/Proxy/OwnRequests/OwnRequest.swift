// OwnRequest is what the cluster sends of itself: requests that nobody above asked for, so there is a client side only.
// One machine sends, repeats and ends them all (`Proxy+OwnRequests`); what their ends mean is their purpose's.
//
//   purpose        requests                            the end of each                    the end of all
//   end            BYE to both sides of a dialog       the leg has ended (S1-9)           `.legsEnded`
//   interruption   BYE to callees of a call that was   nothing                            nothing
//                  never made, or made with another
//   within         any method to one side, that        `.requestEnded`                    nothing
//                  somebody has asked for
//   keepAlive      OPTIONS to one side or both         the side lives, or has failed      it may be asked again
//   probe          OPTIONS to a target of a set        it is up or down                   none: the next one follows
//
// BYEs, and requests within, are found by the hash in their branch, which is the same on every node; OPTIONS by slot
// and number, as branches of a transaction are, in a slot whose index has its highest bit set.
//
// Limit: `ProxySettings.contextLimit` at once; beyond it nothing is sent, which is counted, and whoever wanted it asks
// again when it is due.

import Dialogs
import Primitives
import SIP

struct OwnRequest: Sendable {
    enum Purpose: Sendable {
        case end
        case interruption
        case within
        case keepAlive
        /// Of the target with this number (`TargetBoard`).
        case probe(Int32)
    }

    var purpose: Purpose
    var method: Method
    var did: DialogID?
    /// One for each receiver.
    var parts: [OwnPart] = []
    /// Of the last probe, of a request within.
    var cSeq: UInt32 = 0
    /// The next probe.
    var timer = TimerID.none

    /// Stands in the place of one that is being worked on.
    static let blank = OwnRequest(purpose: .interruption, method: .other)

    var hasEnded: Bool { parts.allSatisfy { $0.final != nil } }
}

/// One request to one receiver.
struct OwnPart: Sendable {
    var client: NonInviteClientTransaction
    /// The request as sent.
    var sent: [UInt8]
    var target: Endpoint
    var listener: ListenerID
    /// What a TLS server at `target` must show: the name that it was looked up by.
    var serverName: [UInt8] = []
    /// The connection that it must go over, if there is one.
    var flow = FlowID.none
    var timers = TimerSet()
    /// The side that it goes to.
    var leg = Leg.caller
    /// Names it in its branch and when it could not be sent.
    var number: UInt8 = 0
    /// The hash in its branch, where that is not slot and number; 0 otherwise.
    var hash: UInt64 = 0
    /// The final status, once there is one; 408 also stands for silence, 503 for what was never sent.
    var final: Int?
}

/// How a request of the cluster's own ended.
enum OwnEnd: Sendable {
    case answered(Int)
    /// No final answer for 64·T1.
    case silent
    /// It could not be sent.
    case unsent
    /// The name that it should go to has no address.
    case unresolved

    var status: Int {
        switch self {
        case .answered(let status): status
        case .silent: 408
        case .unsent, .unresolved: 503
        }
    }
}

extension SlotID {
    private static let ownBit: UInt32 = 1 << 31

    /// It names an own request, not a transaction.
    var isOwn: Bool { index & Self.ownBit != 0 && self != Branch.stateless }

    fileprivate var own: SlotID { SlotID(index: index | Self.ownBit, generation: generation) }
    fileprivate var place: SlotID { SlotID(index: index & ~Self.ownBit, generation: generation) }
}

/// All of them, by slot, by the hash in a branch and by dialog.
struct OwnRequests: Sendable {
    private var slab: Slab<OwnRequest>
    private var byHash = FlatTable(minimumCapacity: 64)
    private var byDialog = FlatTable(minimumCapacity: 64)

    init(limit: Int) {
        slab = Slab(limit: min(limit, 1 << 31))
    }

    var count: Int { slab.count }

    /// BYEs that are under way, or have ended so lately that copies of their answers may come.
    var openCount: Int {
        var count = 0
        slab.forEachID { id in
            count +=
                slab.read(id) { request in
                    switch request.purpose {
                    case .end, .interruption, .within: 1
                    case .keepAlive, .probe: 0
                    }
                } ?? 0
        }
        return count
    }

    /// - Returns: `nil` when there is no room.
    mutating func insert(_ request: OwnRequest) -> SlotID? {
        guard let place = slab.insert(request) else { return nil }
        if let did = request.did { byDialog.insert(hash: did.rawValue, value: place.index) }
        return place.own
    }

    /// A request found by its hash belongs to this one.
    mutating func note(_ part: OwnPart, of id: SlotID) {
        if part.hash != 0 { byHash.insert(hash: part.hash, value: id.place.index) }
    }

    /// Takes one out to work on it; `put` brings it back.
    mutating func take(_ id: SlotID) -> OwnRequest? {
        slab.update(id.place) { request in
            var taken = OwnRequest.blank
            swap(&taken, &request)
            return taken
        }
    }

    mutating func put(_ request: consuming OwnRequest, _ id: SlotID) {
        var moved = request
        _ = slab.update(id.place) { swap(&moved, &$0) }
    }

    /// Forgets one that was taken out.
    mutating func remove(_ request: OwnRequest, _ id: SlotID) {
        for part in request.parts where part.hash != 0 {
            _ = byHash.remove(hash: part.hash, value: id.place.index)
        }
        if let did = request.did { _ = byDialog.remove(hash: did.rawValue, value: id.place.index) }
        _ = slab.remove(id.place)
    }

    func find(hash: UInt64) -> SlotID? {
        let index = byHash.first(hash: hash) { index in
            guard let id = slab.id(at: index) else { return false }
            return slab.read(id) { request in request.parts.contains { $0.hash == hash } } ?? false
        }
        return index.flatMap { slab.id(at: $0)?.own }
    }

    /// Whether BYEs that end this dialog are under way.
    func isEnding(_ did: DialogID) -> Bool {
        byDialog.first(hash: did.rawValue) { index in
            guard let id = slab.id(at: index) else { return false }
            return slab.read(id) { request in
                guard case .end = request.purpose else { return false }
                return request.did == did && !request.hasEnded
            } ?? false
        } != nil
    }

    /// The one that a short generation (of a timer, or of what was sent) names, if it is still there.
    func resolve(_ id: SlotID, generationMask: UInt32) -> SlotID? {
        guard let current = slab.id(at: id.place.index), current.generation & generationMask == id.generation else {
            return nil
        }
        return current.own
    }
}

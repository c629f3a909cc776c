// CSeqShift: room for requests that the cluster makes itself within a dialog (`track_cseq_updates` of Kamailio's
// `dialog`, over several nodes).
//
// Such a request goes to one phone as if the other had sent it, so its CSeq must be above all that the phone has seen
// of the other, and below all that will come (RFC 3261 §12.2.2). The other knows nothing of it and counts on from its
// own last number. So whatever it sends afterwards is moved up on its way by the shift of its side, a fact that only
// grows, and answers are moved back:
//
//     sender        …  7 ──▶ 7 │                            8 ──▶ 8 + 4096   │ 9 ──▶ 9 + 4096
//     the cluster              │  7 + 4096 − 1 = 4102                        │
//     receiver      …      7   │         4102                      4104      │         4105
//
// A step is wide, since who makes the request may not know the sender's last numbers: those of requests that failed,
// or that are on their way through other nodes, stand in no record. They may be `step` − 2 above the known one.
//
// Which INVITE was moved by how much stands with it (`Pending.shift`), and after its ACK in `Side.inviteShift`: its
// ACKs and PRACKs must have the number that it had, also when the shift has grown since.
//
// Limit: nothing is asked whose CSeq, or the next one of its sender, would be 2³¹ or more (§8.1.1.5).

public import Primitives

public enum CSeqShift {
    /// What one request of the cluster's moves a side by.
    public static let step: UInt32 = 4_096
    static let ceiling: UInt64 = 1 << 31

    /// A request of the cluster's: its CSeq, and the shift of the side that it seems to come from, from then on.
    public struct Place: Equatable, Sendable {
        public var cSeq: UInt32
        public var shift: UInt32

        public init(cSeq: UInt32, shift: UInt32) {
            self.cSeq = cSeq
            self.shift = shift
        }

        /// The highest CSeq of the side, as it counts, that was known then.
        public var known: UInt32 { UInt32(clamping: Int64(cSeq) + 1 - Int64(shift)) }
    }

    /// Where a request goes that seems to come from a side.
    /// - Parameter known: The highest CSeq that the record knows of it, as the side counts.
    /// - Returns: `nil` where there is no room below 2³¹.
    public static func place(known: UInt32, shift: UInt32) -> Place? {
        let next = UInt64(shift) + UInt64(step)
        guard UInt64(known) + next + UInt64(step) < ceiling else { return nil }
        return Place(cSeq: known + UInt32(next) - 1, shift: UInt32(next))
    }

    /// What `Side.inviteShift` says of an INVITE.
    public static func mark(cSeq: UInt32, shift: UInt32) -> UInt64 {
        shift == 0 ? 0 : UInt64(cSeq) << 32 | UInt64(shift)
    }

    /// The number that a sender gave a request which left as `moved`, by what the record knows now: the shift may have
    /// been less then, by whole steps.
    public static func origin(of moved: UInt32, known: UInt32, shift: UInt32) -> UInt32 {
        guard shift > 0 else { return moved }
        var number = Int64(moved) - Int64(shift)
        while number + Int64(step / 2) < Int64(known), number + Int64(step) <= Int64(moved) { number += Int64(step) }
        return number < 0 ? moved : UInt32(clamping: number)
    }
}

extension RecordView {
    /// The side that sends requests of this leg: the callee by its tag.
    public func sender(_ leg: Leg, _ tags: [UInt8], calleeTag: ByteRange, in bytes: [UInt8]) -> Side? {
        leg == .caller ? caller : out(toTag: tags, calleeTag, in: bytes)?.side
    }

    /// The highest CSeq that is known of a side, as it counts.
    public func knownCSeq(_ leg: Leg, _ side: Side, in bytes: [UInt8]) -> UInt32 {
        var known = max(side.cseq, leg == .caller ? max(inviteCSeq, settledCaller) : settledCallee)
        forEachPending(in: bytes) { pending in
            if pending.leg == leg { known = max(known, pending.cseq) }
        }
        return known
    }

    /// By how much the INVITE with this CSeq was moved.
    public func inviteShift(_ leg: Leg, _ side: Side, cSeq: UInt32, in bytes: [UInt8]) -> UInt32 {
        if leg == .caller, cSeq == inviteCSeq { return 0 }
        var found: UInt32?
        forEachPending(in: bytes) { pending in
            if pending.leg == leg, pending.cseq == cSeq { found = max(found ?? 0, pending.shift) }
        }
        if let found { return found }
        if side.inviteShift >> 32 == UInt64(cSeq) { return UInt32(truncatingIfNeeded: side.inviteShift) }
        return cSeq > (leg == .caller ? settledCaller : settledCallee) ? side.shift : 0
    }
}

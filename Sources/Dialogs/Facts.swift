// The facts that are learned of a dialog, each a verb of the message of the record that it stands in. Every one of them
// only adds: a state rises, a flag is raised, an INVITE is settled for good (`RecordFields` says how each is joined).
// A number that is 0 says nothing, and is not written where it is usual: so the join may copy what was written.

public import Primitives

public typealias SideFacts = FieldWriter<SideField>
public typealias TargetFacts = FieldWriter<TargetField>
public typealias OutFacts = FieldWriter<OutField>
public typealias PendingFacts = FieldWriter<PendingField>

extension FieldWriter<RecordField> {
    /// The dialog has come as far as this.
    public mutating func reach(_ state: DialogState) {
        if state.rawValue > 0 { put(.state, UInt64(state.rawValue)) }
    }

    public mutating func raise(_ flags: RecordFlags) {
        if !flags.isEmpty { put(.flags, flags.rawValue) }
    }

    /// The node whose transaction made the dialog, and what it is called in its Vias.
    public mutating func home(name: [UInt8], boot: UInt64, sentBy: [UInt8]) {
        message(.home) { (home: inout FieldWriter<HomeField>) in
            home.put(.name, name)
            home.putFixed(.boot, boot)
            home.put(.sentBy, sentBy)
        }
    }

    public mutating func invite(cSeq: UInt32) {
        put(.inviteCSeq, UInt64(cSeq))
    }

    /// When the dialog ends unless more is heard of it. What is 0 is not written.
    public mutating func deadline(_ deadline: RecordView.Deadline) {
        message(.deadline) { (fields: inout FieldWriter<DeadlineField>) in
            if deadline.generation > 0 { fields.put(.generation, UInt64(deadline.generation)) }
            if deadline.atMilliseconds > 0 { fields.put(.atMilliseconds, deadline.atMilliseconds) }
            if deadline.lifetimeMilliseconds > 0 { fields.put(.lifetimeMilliseconds, deadline.lifetimeMilliseconds) }
            if deadline.ordinaryMilliseconds > 0 { fields.put(.ordinaryMilliseconds, deadline.ordinaryMilliseconds) }
        }
    }

    /// The INVITEs of one side up to this CSeq are over: their pendings and answers are dropped.
    public mutating func settle(_ leg: Leg, cSeq: UInt32) {
        put(leg == .caller ? .settledCaller : .settledCallee, UInt64(cSeq))
    }

    /// The INVITE that would have made the dialog got this final answer.
    public mutating func fail(status: Int) {
        put(.failure, UInt64(max(0, status)))
    }

    /// A re-INVITE of one side was refused by the other; `mark` is its CSeq and a hash of its branch.
    public mutating func reject(_ leg: Leg, mark: UInt64) {
        put(leg == .caller ? .rejectedCaller : .rejectedCallee, mark)
    }

    /// A node refused an INVITE of the caller's by itself.
    public mutating func refuseCaller(mark: UInt64) {
        put(.refusedCaller, mark)
    }

    public mutating func caller(_ body: (inout SideFacts) -> Void) {
        message(.caller, body)
    }

    /// The dialog-out with this To tag.
    public mutating func out(_ bytes: [UInt8], _ toTag: ByteRange, _ body: (inout OutFacts) -> Void) {
        message(.outs) { (out: inout OutFacts) in
            out.put(.toTag, bytes, toTag)
            body(&out)
        }
    }

    public mutating func out(_ toTag: [UInt8], _ body: (inout OutFacts) -> Void) {
        out(toTag, ByteRange(toTag), body)
    }

    /// An INVITE that is under way: its branch, and whose it is.
    public mutating func pending(
        _ leg: Leg, cSeq: UInt32, branch: (inout ByteWriter) -> Void, _ body: (inout PendingFacts) -> Void
    ) {
        message(.pendings) { (pending: inout PendingFacts) in
            pending.put(.branch, branch)
            if leg != .caller { pending.put(.leg, UInt64(leg.rawValue)) }
            pending.put(.cseq, UInt64(cSeq))
            body(&pending)
        }
    }

    /// A further copy of the caller's INVITE, which the node that the branch names answers from the record.
    public mutating func adoption(
        _ leg: Leg = .caller, cSeq: UInt32, branch: (inout ByteWriter) -> Void, _ body: (inout PendingFacts) -> Void
    ) {
        message(.adoptions) { (adoption: inout PendingFacts) in
            adoption.put(.branch, branch)
            if leg != .caller { adoption.put(.leg, UInt64(leg.rawValue)) }
            adoption.put(.cseq, UInt64(cSeq))
            body(&adoption)
        }
    }

    /// The same by its branch in a message.
    public mutating func pending(
        _ leg: Leg, cSeq: UInt32, _ bytes: [UInt8], _ branch: ByteRange, _ body: (inout PendingFacts) -> Void
    ) {
        pending(leg, cSeq: cSeq, branch: { $0.put(bytes, branch) }, body)
    }
}

extension FieldWriter<SideField> {
    public mutating func cSeq(_ number: UInt32) {
        put(.cseq, UInt64(number))
    }

    /// A request that this side sent: its CSeq may be the highest, or the first.
    public mutating func sends(cSeq number: UInt32) {
        put(.cseq, UInt64(number))
        put(.firstCSeq, UInt64(number))
    }

    /// What the CSeqs of requests made for this side are counted from; the least counts.
    public mutating func counts(fromCSeq number: UInt32) {
        put(.firstCSeq, UInt64(number))
    }

    /// The CSeqs of this side's requests are moved so far on their way; what is 0 is not written.
    public mutating func shift(by amount: UInt32) {
        if amount > 0 { put(.shift, UInt64(amount)) }
    }

    /// An INVITE of this side was moved and has had its ACK: `mark` is its CSeq and how far (`CSeqShift.mark`).
    public mutating func shiftInvite(_ mark: UInt64) {
        if mark > 0 { put(.inviteShift, mark) }
    }

    /// Where the side is reached, told by a message with this CSeq; 0 yields to any other.
    public mutating func target(
        cSeq: UInt32 = 0, pass: SpiralPass = .first, _ body: (inout TargetFacts) -> Void
    ) {
        message(.target) { (target: inout TargetFacts) in
            if cSeq > 0 { target.put(.cseq, UInt64(cSeq)) }
            if !pass.isFirst { target.put(.pass, pass.rawValue) }
            body(&target)
        }
    }
}

extension FieldWriter<OutField> {
    /// The dialog-out has come as far as this.
    public mutating func reach(_ state: DialogState) {
        if state.rawValue > 0 { put(.state, UInt64(state.rawValue)) }
    }

    /// The caller's INVITE with this CSeq was answered by this callee, and the answer acknowledged.
    public mutating func acknowledge(cSeq: UInt32) {
        put(.acked, UInt64(cSeq))
    }

    /// A node refused an INVITE of this callee's by itself.
    public mutating func refuse(mark: UInt64) {
        put(.refused, mark)
    }

    public mutating func side(_ body: (inout SideFacts) -> Void) {
        message(.side, body)
    }
}

extension FieldWriter<PendingField> {
    public mutating func mark(_ progress: PendingProgress) {
        if !progress.isEmpty { put(.progress, progress.rawValue) }
    }

    /// Which pass of a spiral it is.
    public mutating func pass(_ pass: SpiralPass) {
        if !pass.isFirst { put(.pass, pass.rawValue) }
    }

    /// Its CSeq is moved so far on its way.
    public mutating func shift(by amount: UInt32) {
        if amount > 0 { put(.shift, UInt64(amount)) }
    }

    /// The Session-Expires that a 2xx without one gets.
    public mutating func session(seconds: UInt32) {
        if seconds > 0 { put(.sessionSeconds, UInt64(seconds)) }
    }
}

// Moving the CSeqs of phones' requests to make room for the cluster's own (`CSeqShift`). A request is moved once, where
// it enters the cluster, and its answers are moved back there; whoever sees it in between has both numbers:
//
//   phone ──n──▶ first pass ──n + shift──▶ member, server, further pass ──n + shift──▶ phone
//
// All facts of a request, and what is decided by its number, go by its sender's own. Nothing here is looked at before
// the cluster has made a request in any dialog that this node has known (`DialogTable.hasAsked`).

import Dialogs
import Primitives
import SIP

extension Proxy {
    // MARK: Requests

    /// Finds out by how much the request at hand is moved. One that has passed a member was moved there: then its own
    /// number is put in the place of the one that it came with.
    /// - Returns: False where its number would not fit.
    mutating func placeCSeq(_ plan: inout RequestPlan, dialogs: DialogTable) -> Bool {
        guard dialogs.hasAsked, let did = plan.did, plan.isKnown, dialogs.flags(did)?.contains(.asked) == true else {
            return true
        }
        let (bytes, leg, received, method) = (message.bytes, plan.leg, plan.cSeq.number, message.method)
        let calleeTag = leg == .caller ? message.toTag : message.fromTag
        let isMoved = hasPassedMember(vias: 0)
        let rack = method == .prack ? rackNumber()?.number : nil
        let found = dialogs.view(did) { view, stored -> (own: UInt32, moved: UInt64, rack: UInt32)? in
            guard let side = view.sender(leg, bytes, calleeTag: calleeTag, in: stored) else { return nil }
            let rackShift = rack.map { view.inviteShift(leg, side, cSeq: $0, in: stored) } ?? 0
            if isMoved {
                let known = view.knownCSeq(leg, side, in: stored)
                let own = CSeqShift.origin(of: received, known: known, shift: side.shift)
                return (own, UInt64(received), rackShift)
            }
            let shift = method == .ack ? view.inviteShift(leg, side, cSeq: received, in: stored) : side.shift
            return (received, UInt64(received) + UInt64(shift), rackShift)
        }
        guard let (own, moved, rackShift) = found ?? nil else { return true }
        guard moved <= UInt64(UInt32.max) else { return false }
        plan.cSeq.number = own
        plan.shift = UInt32(moved - UInt64(own))
        plan.rackShift = isMoved ? 0 : rackShift
        plan.isMoved = isMoved
        return true
    }

    /// Whether a Via behind the first `count` is a member's, of a request that it sent on or made.
    private mutating func hasPassedMember(vias count: Int) -> Bool {
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        return vias.dropFirst(count).contains { via in
            switch Branch(message.bytes, via.branch, mark: settings.mark) {
            case .transaction, .generated: true
            case .foreign: false
            }
        }
    }

    /// The CSeq number in the RAck of a PRACK (RFC 3262 §7.2), which is its INVITE's, and where it stands.
    private func rackNumber() -> (number: UInt32, range: ByteRange)? {
        guard let field = message.first(.rack) else { return nil }
        var parts: [ByteRange] = []
        var offset = Int(field.value.start)
        while offset < Int(field.value.end), parts.count < 3 {
            var end = offset
            while end < Int(field.value.end), message.bytes[end] > 0x20 { end += 1 }
            if end > offset { parts.append(ByteRange(start: offset, end: end)) }
            offset = end + 1
        }
        guard parts.count == 3, let number = Text.decimal(message.bytes, parts[1]),
            let word = UInt32(exactly: number)
        else { return nil }
        return (word, parts[1])
    }

    /// Writes the numbers of the request at hand as its receiver is to see them, in the edit under way.
    mutating func moveCSeq(_ plan: RequestPlan) {
        guard !plan.isMoved, let field = message.first(.cSeq), let cSeq = try? message.cSeq() else { return }
        counters.requestsMoved += 1
        let number = ByteRange(start: Int(field.value.start), end: Int(cSeq.methodText.start))
        editor.replace(number) { writer in
            writer.putDecimal(UInt64(plan.cSeq.number) + UInt64(plan.shift))
            writer.put(0x20)
        }
        guard plan.rackShift > 0, let rack = rackNumber() else { return }
        editor.replace(rack.range) { $0.putDecimal(UInt64(rack.number) + UInt64(plan.rackShift)) }
    }

    /// What is to be remembered of a moved INVITE that is settled now: further ACKs of it have its number.
    mutating func writeInviteShift(
        _ did: DialogID, _ leg: Leg, cSeq: UInt32, calleeTag: [UInt8], dialogs: DialogTable
    ) {
        guard dialogs.hasAsked else { return }
        let shift = dialogs.view(did) { view, stored -> UInt32 in
            guard let side = view.sender(leg, calleeTag, calleeTag: ByteRange(calleeTag), in: stored) else { return 0 }
            return view.inviteShift(leg, side, cSeq: cSeq, in: stored)
        }
        guard let shift, shift > 0 else { return }
        let mark = CSeqShift.mark(cSeq: cSeq, shift: shift)
        if leg == .caller {
            facts.caller { $0.shiftInvite(mark) }
        } else {
            facts.out(calleeTag) { out in out.side { $0.shiftInvite(mark) } }
        }
    }

    // MARK: Responses

    /// Gives the response at hand its sender's number; its topmost Via is where this says then.
    mutating func moveBack(to number: UInt32) -> Via? {
        guard let field = message.first(.cSeq), let cSeq = try? message.cSeq(), cSeq.number != number else {
            return nil
        }
        editor.begin()
        editor.replace(ByteRange(start: Int(field.value.start), end: Int(cSeq.methodText.start))) { writer in
            writer.putDecimal(UInt64(number))
            writer.put(0x20)
        }
        scratch.removeAll()
        editor.write(message, into: &scratch)
        return loadMessage(scratch.copy()) ? try? message.topmostVia() : nil
    }

    /// The same for one to a dead node's transaction, by the record.
    mutating func moveBack(_ did: DialogID, _ cSeq: CSeq, dialogs: DialogTable) -> (via: Via, cSeq: CSeq)? {
        guard dialogs.hasAsked, cSeq.method != .cancel, !hasPassedMember(vias: 1),
            let number = origin(did, cSeq, dialogs: dialogs), let via = moveBack(to: number),
            let own = try? message.cSeq()
        else { return nil }
        return (via, own)
    }

    private func origin(_ did: DialogID, _ cSeq: CSeq, dialogs: DialogTable) -> UInt32? {
        let bytes = message.bytes
        return dialogs.view(did) { view, stored -> UInt32? in
            guard view.flags.contains(.asked) else { return nil }
            let leg: Leg = Text.same(stored, view.fromTag, bytes, message.fromTag) ? .caller : .callee
            let calleeTag = leg == .caller ? message.toTag : message.fromTag
            guard let side = view.sender(leg, bytes, calleeTag: calleeTag, in: stored) else { return nil }
            if cSeq.method == .invite {
                var found: UInt32?
                view.forEachPending(in: stored) { pending in
                    let moved = UInt64(pending.cseq) + UInt64(pending.shift)
                    if pending.leg == leg, moved == UInt64(cSeq.number) { found = pending.cseq }
                }
                if let found { return found }
                let (last, shift) = (side.inviteShift >> 32, side.inviteShift & 0xffff_ffff)
                if shift > 0, last + shift == UInt64(cSeq.number) { return UInt32(truncatingIfNeeded: last) }
                // Nothing has been moved that was sent before the first of the cluster's requests.
                if cSeq.number <= (leg == .caller ? view.settledCaller : view.settledCallee) { return nil }
            }
            let known = view.knownCSeq(leg, side, in: stored)
            return CSeqShift.origin(of: cSeq.number, known: known, shift: side.shift)
        } ?? nil
    }

    /// The number that the receiver of an INVITE knows it by.
    func movedCSeq(ofInvite number: UInt32, did: DialogID, dialogs: DialogTable) -> UInt64 {
        guard dialogs.hasAsked else { return UInt64(number) }
        let bytes = message.bytes
        let shift = dialogs.view(did) { view, stored -> UInt32 in
            let leg: Leg = Text.same(stored, view.fromTag, bytes, message.fromTag) ? .caller : .callee
            let calleeTag = leg == .caller ? message.toTag : message.fromTag
            guard let side = view.sender(leg, bytes, calleeTag: calleeTag, in: stored) else { return 0 }
            return view.inviteShift(leg, side, cSeq: number, in: stored)
        }
        return UInt64(number) + UInt64(shift ?? 0)
    }
}

// Record back to bytes: facts written in any order, then made canonical by the join, so there is one encoder only.

internal import Primitives

extension Record {
    /// The canonical bytes; what the bounds of a record do not allow ends in an error.
    public func encoded() throws(RecordError) -> [UInt8] {
        var facts = FactsWriter()
        write(into: &facts)
        var out = ByteWriter(capacity: facts.bytes.count)
        try RecordJoin.join(RawSpan(_elements: facts.bytes.span), RawSpan(), into: &out)
        return out.bytes
    }

    private func write(into facts: inout FactsWriter) {
        facts.put(.callID, callID)
        facts.put(.fromTag, fromTag)
        facts.invite(cSeq: inviteCSeq)
        if let home {
            facts.message(.home) { (fields: inout FieldWriter<HomeField>) in
                // Opaque to the join, so it has to be canonical here.
                if !home.name.isEmpty { fields.put(.name, home.name) }
                if home.boot != 0 { fields.putFixed(.boot, home.boot) }
                if !home.sentBy.isEmpty { fields.put(.sentBy, home.sentBy) }
            }
        }
        if let state { facts.reach(state) }
        if let deadline { facts.deadline(deadline) }
        facts.raise(flags)
        facts.put(.from, from)
        facts.put(.to, to)
        facts.put(.requestURI, requestURI)
        facts.caller { caller.write(into: &$0) }
        facts.settle(.caller, cSeq: settledCaller)
        facts.settle(.callee, cSeq: settledCallee)
        facts.times(times)
        for attribute in attributes { facts.message(.attributes) { attribute.write(into: &$0) } }
        for out in outs { facts.out(out.toTag) { out.write(into: &$0) } }
        for pending in pendings {
            facts.pending(pending.leg, cSeq: pending.cseq, pending.branch, ByteRange(pending.branch)) {
                pending.write(into: &$0)
            }
        }
        for variable in variables { facts.message(.variables) { variable.write(into: &$0) } }
        for profile in profiles { facts.message(.profiles) { profile.write(into: &$0) } }
        for adoption in adoptions {
            facts.adoption(
                adoption.leg, cSeq: adoption.cseq, branch: { $0.put(adoption.branch) }, { adoption.write(into: &$0) })
        }
        facts.reject(.caller, mark: rejectedCaller)
        facts.reject(.callee, mark: rejectedCallee)
        facts.fail(status: Int(failure))
        facts.refuseCaller(mark: refusedCaller)
    }
}

extension Record.Side {
    fileprivate func write(into facts: inout SideFacts) {
        facts.put(.cseq, UInt64(cseq))
        facts.put(.firstCSeq, UInt64(firstCSeq))
        facts.target(cSeq: targetCSeq, pass: pass) { target in
            target.put(.contact, contact)
            target.put(.routes, routes)
            target.put(.endpoint, endpoint)
            target.put(.flow, flow)
        }
        facts.put(.sentBy, sentBy)
        facts.shift(by: shift)
        facts.shiftInvite(inviteShift)
    }
}

extension Record.Out {
    fileprivate func write(into facts: inout OutFacts) {
        if let state { facts.reach(state) }
        facts.side { side.write(into: &$0) }
        facts.put(.answer, answer)
        facts.acknowledge(cSeq: acked)
        facts.put(.to, to)
        facts.refuse(mark: refused)
    }
}

extension Record.Pending {
    fileprivate func write(into facts: inout PendingFacts) {
        facts.mark(progress)
        facts.put(.vias, vias)
        facts.put(.source, source)
        facts.put(.requestURI, requestURI)
        facts.put(.routes, routes)
        facts.put(.via, via)
        facts.put(.target, target)
        facts.put(.answer, answer)
        facts.pass(pass)
        facts.session(seconds: sessionSeconds)
        facts.put(.reason, reason)
        facts.shift(by: shift)
    }
}

extension Record.Stamped {
    fileprivate func write(into facts: inout FieldWriter<StampedField>) {
        facts.put(.key, key)
        facts.put(.counter, counter)
        facts.put(.node, node)
        facts.put(.boot, boot)
        if let value { facts.put(.value, value) }
    }
}

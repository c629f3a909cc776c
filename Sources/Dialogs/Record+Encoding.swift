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
        facts.put(RecordField.callID, callID)
        facts.put(RecordField.fromTag, fromTag)
        facts.put(RecordField.inviteCSeq, UInt64(inviteCSeq))
        if let home {
            facts.message(RecordField.home) {
                // Opaque to the join, so it has to be canonical here.
                if !home.name.isEmpty { $0.put(HomeField.name, home.name) }
                if home.boot != 0 { $0.putFixed(HomeField.boot, home.boot) }
                if !home.sentBy.isEmpty { $0.put(HomeField.sentBy, home.sentBy) }
            }
        }
        facts.put(RecordField.state, UInt64(state?.rawValue ?? 0))
        if let deadline {
            facts.message(RecordField.deadline) {
                $0.put(DeadlineField.generation, UInt64(deadline.generation))
                $0.put(DeadlineField.atMilliseconds, deadline.atMilliseconds)
                $0.put(DeadlineField.lifetimeMilliseconds, deadline.lifetimeMilliseconds)
            }
        }
        facts.put(RecordField.flags, flags)
        facts.put(RecordField.from, from)
        facts.put(RecordField.to, to)
        facts.put(RecordField.requestURI, requestURI)
        facts.message(RecordField.caller) { caller.write(into: &$0) }
        facts.put(RecordField.settledCaller, UInt64(settledCaller))
        facts.put(RecordField.settledCallee, UInt64(settledCallee))
        for out in outs { facts.message(RecordField.outs) { out.write(into: &$0) } }
        for pending in pendings { facts.message(RecordField.pendings) { pending.write(into: &$0) } }
        for variable in variables { facts.message(RecordField.variables) { variable.write(into: &$0) } }
        for profile in profiles { facts.message(RecordField.profiles) { profile.write(into: &$0) } }
        facts.put(RecordField.rejectedCaller, rejectedCaller)
        facts.put(RecordField.rejectedCallee, rejectedCallee)
        facts.put(RecordField.failure, UInt64(failure))
        facts.put(RecordField.refusedCaller, refusedCaller)
    }
}

extension Record.Side {
    fileprivate func write(into facts: inout FactsWriter) {
        facts.put(SideField.cseq, UInt64(cseq))
        facts.put(SideField.firstCSeq, UInt64(firstCSeq))
        facts.message(SideField.target) {
            $0.put(TargetField.cseq, UInt64(targetCSeq))
            $0.put(TargetField.contact, contact)
            $0.put(TargetField.routes, routes)
            $0.put(TargetField.endpoint, endpoint)
            $0.put(TargetField.flow, flow)
            $0.put(TargetField.pass, pass.rawValue)
        }
        facts.put(SideField.sentBy, sentBy)
    }
}

extension Record.Out {
    fileprivate func write(into facts: inout FactsWriter) {
        facts.put(OutField.toTag, toTag)
        facts.put(OutField.state, UInt64(state?.rawValue ?? 0))
        facts.message(OutField.side) { side.write(into: &$0) }
        facts.put(OutField.answer, answer)
        facts.put(OutField.acked, UInt64(acked))
        facts.put(OutField.to, to)
        facts.put(OutField.refused, refused)
    }
}

extension Record.Pending {
    fileprivate func write(into facts: inout FactsWriter) {
        facts.put(PendingField.branch, branch)
        facts.put(PendingField.leg, UInt64(leg.rawValue))
        facts.put(PendingField.cseq, UInt64(cseq))
        facts.put(PendingField.progress, progress)
        facts.put(PendingField.vias, vias)
        facts.put(PendingField.source, source)
        facts.put(PendingField.requestURI, requestURI)
        facts.put(PendingField.routes, routes)
        facts.put(PendingField.via, via)
        facts.put(PendingField.target, target)
        facts.put(PendingField.answer, answer)
        facts.put(PendingField.pass, pass.rawValue)
    }
}

extension Record.Stamped {
    fileprivate func write(into facts: inout FactsWriter) {
        facts.put(StampedField.key, key)
        facts.put(StampedField.counter, counter)
        facts.put(StampedField.node, node)
        facts.put(StampedField.boot, boot)
        if let value { facts.put(StampedField.value, value) }
    }
}

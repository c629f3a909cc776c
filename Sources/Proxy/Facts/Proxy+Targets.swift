// Where both sides of a dialog are reached from now on, told by requests within it and their answers (RFC 3261 §12.2).
//
// Either side numbers its own requests, and each request tells of both: its sender's Contact is its own, the
// receiver's comes with the answer. So what is told of one side bears CSeqs of two senders, which say nothing of each
// other: a callee's re-INVITE may be 101, the caller's next one 2. What was told later is known by both together:
//
//     turn = CSeq of the request + the highest that is known of the other sender; 2³² − 1 at most
//
// Of two requests that do not cross the later one has the higher turn. It is taken once for each transaction, when its
// first 2xx comes: a repeated 2xx tells nothing later.
//
// A request that carries no Contact (INFO, OPTIONS, MESSAGE) moves no target, but a phone that has connected anew and
// sends one, or answers one, is reached over the new connection: its target is repeated with that.

package import Dialogs
import Primitives
import SIP

extension Proxy {
    /// CSeq of the sender, and the targets of both sides where request and response refresh them (RFC 3261 §12.2).
    ///
    /// A dialog-out whose 2xx went by unseen gets the callee's From or To value as well: a BYE needs its tag. Of a
    /// spiral's passes the first stands next to the sender, the last next to who answers.
    mutating func writeRefreshedSides(
        _ context: inout ResponseContext, _ did: DialogID, confirms: Bool, dialogs: DialogTable
    ) {
        let refreshesTarget = [.invite, .update, .subscribe, .notify, .refer].contains(context.method)
        let bytes = message.bytes
        let contact = refreshesTarget ? contactURI() : nil
        // A further copy of a 2xx that has gone upstream: the request is kept no more, and what it said is not known.
        let isKept = loadStored(context.request)
        let senderBytes = isKept ? stored.bytes : []
        let senderContact = isKept && refreshesTarget ? contactURI(of: stored) : nil
        let senderFlow = isKept ? flowFact(context.flow, ofSender: stored) : nil
        let flow = flowFact(arrivalFlow) ?? context.branches.first?.memberFlow
        let calleeTag = context.leg == .caller ? message.toTag : message.fromTag
        let record = dialogs.record(did)
        let known = (caller: record?.caller, callee: record.flatMap { out(of: $0, calleeTag)?.side })
        let isNew = record?.out(toTag: message.copy(calleeTag)) == nil
        if context.turn == 0 {
            context.turn = Self.turn(of: context.cSeq, by: context.leg, beside: known.caller, known.callee)
        }
        func writeSide(_ side: inout SideFacts, leg: Leg, _ known: Record.Side?) {
            let sends = leg == context.leg
            if sends { side.sends(cSeq: context.cSeq) }
            let (source, range) = sends ? (senderBytes, senderContact) : (bytes, contact)
            let flow = sends ? senderFlow : flow
            guard !sends || context.pass.isFirst else { return }
            if let range {
                side.target(cSeq: context.turn, pass: context.pass) { target in
                    target.put(.contact, source, range)
                    if let known, !known.routes.isEmpty { target.put(.routes, known.routes) }
                    if let flow { target.put(.flow) { flow.write(into: &$0) } }
                }
            } else if let flow, let known, context.pass.isFirst, leg == .caller || !isNew,
                Self.hasMoved(known, to: flow)
            {
                side.target(cSeq: context.turn, pass: known.pass) { target in
                    target.put(.contact, known.contact)
                    if !known.routes.isEmpty { target.put(.routes, known.routes) }
                    if !known.endpoint.isEmpty { target.put(.endpoint, known.endpoint) }
                    target.put(.flow) { flow.write(into: &$0) }
                }
            }
        }
        let callee = nameOfCallee(did, calleeTag, leg: context.leg, dialogs: dialogs)
        facts.caller { writeSide(&$0, leg: .caller, known.caller) }
        facts.out(bytes, calleeTag) { out in
            if confirms { out.reach(.confirmed) }
            out.side { writeSide(&$0, leg: .callee, known.callee) }
            if let callee { out.put(.to, bytes, callee) }
        }
    }

    /// How late in the dialog a request is, beside those of the other sender.
    package static func turn(
        of cSeq: UInt32, by leg: Leg, beside caller: Record.Side?, _ callee: Record.Side?
    ) -> UInt32 {
        let other = leg == .caller ? callee : caller
        return UInt32(clamping: UInt64(cSeq) + UInt64(other?.cseq ?? 0))
    }

    /// Whether a side that came over a connection is on another one now. One behind further proxies never is: their
    /// connection is not its own.
    private static func hasMoved(_ side: Record.Side, to flow: FlowFact) -> Bool {
        guard !side.contact.isEmpty, !side.flow.isEmpty else { return false }
        return FlowFact(side.flow, ByteRange(side.flow)) != flow
    }

    /// The callee's To (or From) value in the message at hand, when its dialog-out does not have it yet.
    func nameOfCallee(
        _ did: DialogID, _ calleeTag: ByteRange, leg: Leg, dialogs: DialogTable
    ) -> ByteRange? {
        let bytes = message.bytes
        let isKnown = dialogs.view(did) { view, stored in
            view.out(toTag: bytes, calleeTag, in: stored).map { !$0.to.isEmpty } ?? false
        }
        return isKnown == true ? nil : message.first(leg == .caller ? .to : .from)?.value
    }

    /// The dialog-out with this To tag, else the one that is confirmed.
    func out(of record: Record, _ calleeTag: ByteRange) -> Record.Out? {
        record.out(toTag: message.copy(calleeTag)) ?? record.outs.first { $0.state == .confirmed }
    }
}

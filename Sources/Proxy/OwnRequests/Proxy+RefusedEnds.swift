// A party's BYE that its receiver refuses as out of order (500, RFC 3261 §12.2.2). Its sender has ended the call
// (§15.1.1), the record ends as the BYE passes, and nobody would ever tell the other phone: it stays in a call that is
// over. So it comes of numbers that a node could not know to be too low: another node, cut off from this one, has moved
// them (`CSeqShift`), or a phone counts anew. The node that had the 500 sends a BYE of the cluster's own, the same
// request but for its Via and a CSeq that is above anything that the receiver can have seen (`GeneratedCSeq`).
//
// It is a transaction for itself: branch and CSeq follow from the BYE that was refused, so copies of that one on two
// nodes give one. A phone that has ended meanwhile answers 481, and nothing follows from any answer.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// A branch of a BYE was answered 500; its dialog is known here, and has ended with it.
    mutating func endRefused(_ context: ResponseContext, _ index: Int, dialogs: inout DialogTable) {
        guard context.isKnown, let did = context.did, loadStored(context.branches[index].sent), !isGeneratedStored()
        else { return }
        let branch = context.branches[index]
        let cSeq = GeneratedCSeq.bye(
            first: context.cSeq, highest: GeneratedCSeq.moved(context.cSeq, by: context.shift))
        let receiver: Leg = context.leg == .caller ? .callee : .caller
        let tag = stored.copy(context.leg == .caller ? stored.toTag : stored.fromTag)
        let hash = generatedBranch(did, receiver, .bye, toTag: tag, cSeq: context.cSeq)
        guard ownRequests.find(hash: hash) == nil else { return }  // A copy's 500: it is under way here.
        // Where there is no room, that is counted.
        guard let id = reserve(.interruption, .bye, did) else { return }
        var via = ByteWriter()
        writeGeneratedVia(hash, dialogs.record(did)?.home, Record.Side(), branch.target, into: &via)
        var part = OwnPart(
            client: ownTransaction(branch.target), sent: endingAgain(cSeq: cSeq, via: via.bytes),
            target: branch.target, listener: branch.listener, serverName: branch.serverName)
        part.flow = branch.flow
        part.leg = receiver
        part.hash = hash
        begin([part], id, dialogs: &dialogs)
    }

    /// The request in `stored` is one of the cluster's, on its way by a server or a member.
    private mutating func isGeneratedStored() -> Bool {
        vias.removeAll(keepingCapacity: true)
        stored.vias(into: &vias)
        return vias.contains { via in
            if case .generated = Branch(stored.bytes, via.branch, mark: settings.mark) { return true }
            return false
        }
    }

    /// The BYE in `stored` once more, with another Via and number.
    private func endingAgain(cSeq: UInt64, via: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(capacity: 512)
        writer.put("BYE ")
        writer.put(stored.bytes, stored.requestURI)
        writer.put(" SIP/2.0\r\nVia: ")
        writer.put(via)
        writer.put("\r\n")
        stored.forEach(.route) { writer.put(stored.bytes, $0.line) }
        writer.put("Max-Forwards: ")
        writer.putDecimal(UInt64(settings.maxForwards))
        writer.put("\r\n")
        for name in [HeaderName.from, .to, .callID] {
            if let field = stored.first(name) { writer.put(stored.bytes, field.line) }
        }
        writer.put("CSeq: ")
        writer.putDecimal(cSeq)
        writer.put(" BYE\r\n")
        ReasonWriter.write(cause: 200, text: Array("The other side has ended the call".utf8), into: &writer)
        writer.put(settings.extraHeaders)
        writer.put("Content-Length: 0\r\n\r\n")
        return writer.bytes
    }
}

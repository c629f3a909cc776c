// The CSeq of a BYE that the cluster makes: above every request that its receiver has had from the other side, and the
// same on whichever node makes it (S1-9). So it is a function of two facts of the record: 2²⁴ above the first CSeq of
// that side, since requests that only a dead node saw must not be above it, and below 2³¹, as a sender must be
// (RFC 3261 §8.1.1.5).
//
// A side may come that far itself: numbers that jump, a call that begins just below 2³¹, phones that count on to 2³²
// (any 32 bits are compared, §12.2.2). Then it is the next multiple of 2²⁴ above its first, which two nodes agree on
// unless a number between them is news to one. At 2³² − 1 there is nothing above, and the BYE has the same number. An
// INVITE that begins a call at 2³¹ or more is refused.
//
// A callee that has sent nothing has no first CSeq, and may send something while the BYE is on its way: whoever has
// not heard of the BYE would count from there. So the question whether a dialog may end comes with the fact that its
// callees are counted from 1.

package import Dialogs
package import Primitives
import SIP

enum GeneratedCSeq {
    static let step: UInt64 = 1 << 24
    static let limit: UInt64 = 1 << 31

    /// The highest CSeq that a receiver has seen of a side, the cluster's own requests among them (`CSeqShift`).
    static func moved(_ highest: UInt32, by shift: UInt32) -> UInt32 {
        UInt32(clamping: UInt64(highest) + UInt64(shift))
    }

    /// - Parameters:
    ///   - first: The first CSeq of the side that would have sent the request; 0 where it never sent any.
    ///   - highest: The highest that was seen of it, as it was moved.
    static func bye(first: UInt32, highest: UInt32) -> UInt64 {
        let first = UInt64(max(1, first))
        let highest = max(first, UInt64(highest))
        let usual = min(first + step, limit - 1)
        if usual > highest { return usual }
        return min(first + step * ((highest - first) / step + 1), UInt64(UInt32.max))
    }
}

extension Proxy {
    /// The dialog is to be ended: what its BYEs to the caller are counted from is a fact from now on.
    package mutating func fixByeCSeqs(_ did: DialogID, now: Instant, dialogs: inout DialogTable) {
        self.now = now
        let uncounted = dialogs.view(did) { view, stored in
            var tags: [[UInt8]] = []
            view.forEachOut(in: stored) { out in
                guard out.state == .confirmedNotAcknowledged || out.state == .confirmed, out.side.firstCSeq == 0 else {
                    return
                }
                tags.append(Array(stored[out.toTag.range]))
            }
            return tags
        }
        guard let uncounted, !uncounted.isEmpty else { return }
        facts.begin()
        for tag in uncounted {
            facts.out(tag) { out in
                out.side { $0.counts(fromCSeq: 1) }
            }
        }
        learn(did, dialogs: &dialogs)
    }

    /// A request that passes with a CSeq above what our BYE would have: the record must know of it, whatever is
    /// answered, and whether or not anything is.
    mutating func writeHighCSeq(_ did: DialogID, _ plan: RequestPlan, dialogs: DialogTable) {
        let (bytes, number) = (message.bytes, plan.cSeq.number)
        guard number > GeneratedCSeq.step else { return }
        let isHigh =
            dialogs.view(did) { view, stored in
                let side =
                    plan.leg == .caller
                    ? view.caller : view.out(toTag: bytes, message.fromTag, in: stored)?.side ?? RecordView.Side()
                let highest = GeneratedCSeq.moved(side.cseq, by: side.shift)
                return UInt64(number) + UInt64(side.shift) >= GeneratedCSeq.bye(first: side.firstCSeq, highest: highest)
            } ?? false
        guard isHigh else { return }
        if plan.leg == .caller {
            facts.caller { $0.cSeq(number) }
            return
        }
        let calleeTag = message.fromTag
        facts.out(bytes, calleeTag) { out in
            out.side { $0.cSeq(number) }
        }
    }
}

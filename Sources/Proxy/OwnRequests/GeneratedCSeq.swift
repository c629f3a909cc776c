// The CSeq of a BYE that the cluster makes: above every request that its receiver has had from the other side, and the
// same on whichever node makes it (S1-9). So it is a function of two facts of the record: 2²⁴ above the first CSeq of
// that side, since requests that only a dead node saw must not be above it, and below 2³¹, as a sender must be
// (RFC 3261 §8.1.1.5).
//
// A side may come that far itself: numbers that jump, a call that begins just below 2³¹, phones that count on to 2³²
// (any 32 bits are compared, §12.2.2). Then it is the next multiple of 2²⁴ above its first, which two nodes agree on
// unless a number between them is news to one. At 2³² − 1 there is nothing above, and the BYE has the same number. An
// INVITE that begins a call at 2³¹ or more is refused.

import Dialogs
import Primitives
import SIP

enum GeneratedCSeq {
    static let step: UInt64 = 1 << 24
    static let limit: UInt64 = 1 << 31

    /// - Parameters:
    ///   - first: The first CSeq of the side that would have sent the request; 0 where it never sent any.
    ///   - highest: The highest that was seen of it.
    static func bye(first: UInt32, highest: UInt32) -> UInt64 {
        let first = UInt64(max(1, first))
        let highest = max(first, UInt64(highest))
        let usual = min(first + step, limit - 1)
        if usual > highest { return usual }
        return min(first + step * ((highest - first) / step + 1), UInt64(UInt32.max))
    }
}

extension Proxy {
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
                return UInt64(number) >= GeneratedCSeq.bye(first: side.firstCSeq, highest: side.cseq)
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

// What an operator asks of another member through this node, and what other members ask here: texts that the core
// carries and does not read.

package import Cluster
package import Primitives

extension Node {
    /// Asks a member; ends in one `InquiryEvent.ended` with this token.
    package mutating func inquire(
        of name: String, _ text: [UInt8], token: UInt64, now: Instant, into out: inout Outbox
    ) {
        cluster.inquire(of: name, text, token: token, now: now, out: &clusterActions)
        advance(to: now, into: &out)
    }

    /// The answer to an `InquiryEvent.heard`.
    package mutating func answer(_ id: InquiryID, with bytes: [UInt8], now: Instant) {
        cluster.answer(id, with: bytes, now: now)
    }
}

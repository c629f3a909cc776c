// What the shell did not open of what came over the bus: the node names it, once, and shows who has another key.

import Cluster
package import Primitives

extension Node {
    /// A message of the bus was refused before this node saw it.
    /// - Parameters:
    ///   - refusal: The raw value of `SealRefusal`.
    ///   - claimed: Who it says that it is from, UTF-8; nobody vouches for it.
    package mutating func receive(refusal: UInt8, claimed: RawSpan, now: Instant, into out: inout Outbox) {
        guard let refusal = SealRefusal(rawValue: refusal) else { return }
        begin(&out)
        let name = String(decoding: [UInt8](copying: claimed), as: UTF8.self)
        cluster.refused(refusal, claimed: name, now: now, out: &clusterActions)
        settle(now: now, into: &out)
        finish(&out, now: now)
    }
}

// BusSeal is what the bus hands every message through on its way out and in, when there is a key: the bus knows
// nothing of keys, and whoever seals knows nothing of sockets. It is called from several threads.
//
//   publish ─▶ seal(frame) ─▶ PUB          SUB ─▶ open(frame) ─▶ inbox
//   request ─▶ seal(request) ─▶ REQ        REP ─▶ open(request) ─▶ inbox, reply ─▶ seal(reply, to its ticket) ─▶ REP
//                                          REQ ─▶ open(reply, to our ticket) ─▶ inbox
//
// Sealed here, on the sending thread, and opened on the receiving ones, so the SIP thread pays for its own frames only.

/// Names one request, so that a reply to another is told from its own.
package struct BusTicket: Equatable, Sendable {
    package var high: UInt64
    package var low: UInt64
    package var counter: UInt64

    package init(high: UInt64, low: UInt64, counter: UInt64) {
        self.high = high
        self.low = low
        self.counter = counter
    }
}

/// What became of a message that came in.
package enum BusOpening: Equatable, Sendable {
    case opened(BusTicket)
    /// - kind: What is told of it to the SIP thread, with the name that the message claims; `nil` when nothing is.
    case refused(kind: UInt8, claimed: [UInt8]?)
}

package protocol BusSeal: Sendable {
    /// Each appends to `out`; `nil` when the message is none of the node's, which is a mistake of ours.
    func seal(frame: RawSpan, into out: inout [UInt8]) -> BusTicket?
    func seal(request: RawSpan, into out: inout [UInt8]) -> BusTicket?
    func seal(reply: RawSpan, to ticket: BusTicket, into out: inout [UInt8]) -> BusTicket?
    /// Each appends what the node is to read; refused, nothing.
    func open(frame: RawSpan, into out: inout [UInt8]) -> BusOpening
    func open(request: RawSpan, into out: inout [UInt8]) -> BusOpening
    func open(reply: RawSpan, to ticket: BusTicket, into out: inout [UInt8]) -> BusOpening
}

// NodeMachine is what the SIP thread drives: events in with the time, actions out into a buffer. `Node` is the one that
// serves; tests drive an echo. The loop is generic over it and specialised for `Node`, so nothing on the way of a
// datagram goes through an existential.

package import Node
package import Primitives
package import SIP

/// A deterministic machine with a node's events.
package protocol NodeMachine: ~Copyable, SendableMetatype {
    /// A datagram, or a message that came over a connection, which `flow` then names.
    mutating func receive(
        datagram: RawSpan, from: Endpoint, on: ListenerID, flow: FlowID, ageMilliseconds: Int64, now: Instant,
        into out: inout Outbox)
    /// A connection has ended.
    mutating func receive(closed flow: FlowID, now: Instant, into out: inout Outbox)
    /// A message whose token is not 0 could not be sent.
    mutating func receive(
        unsent token: UInt64, to: Endpoint, flow: FlowID, now: Instant, into out: inout Outbox)
    mutating func receive(frame: RawSpan, now: Instant, into out: inout Outbox)
    mutating func receive(request: RawSpan, token: UInt64, now: Instant, into out: inout Outbox)
    mutating func receive(reply: RawSpan, to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox)
    mutating func receiveNoReply(to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox)
    /// A message of the bus that was not opened; why, by the seal's own numbers, and whose it says it is.
    mutating func receive(refusal: UInt8, claimed: RawSpan, now: Instant, into out: inout Outbox)
    mutating func receive(probe: ProbeResult, of peer: Int, now: Instant, into out: inout Outbox)
    /// What the servers said to a question of the outbox, or why they said nothing.
    mutating func receive(answer: DNSAnswer, to question: DNSQuestion, now: Instant, into out: inout Outbox)
    /// Whether an address may come to this host or leave it while it runs.
    var watchesAddresses: Bool { get }
    /// The addresses this host has, sorted; told at the start and after every change.
    mutating func hold(addresses: [Address], now: Instant, into out: inout Outbox)
    /// Fires what is due; called after every batch too.
    mutating func advance(to now: Instant, into out: inout Outbox)
    /// When `advance` is wanted next at the latest.
    var nextDeadline: Instant { get }
}

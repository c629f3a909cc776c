// What the bus threads put into the SIP thread's inbox. Where there is no room frames and requests are dropped and
// counted (streams repair themselves, askers ask again), and an answer becomes "no answer".

/// How a peer's port answered a plain TCP connect.
package enum PeerProbe: Equatable, Sendable {
    case connected
    /// Nobody listens there: proof that the process is gone.
    case refused
    /// Neither, within the timeout.
    case silent
}

/// What the bus has to tell, in order of arrival.
package enum BusEvent: Equatable, Sendable {
    /// A message of some publisher's stream.
    case frame
    /// A peer's request; it is answered with `Bus.reply(token:_:)`.
    case request(token: UInt64)
    /// The answer to our request.
    case reply(to: UInt64, from: Int)
    /// There will be no answer to our request.
    case noReply(to: UInt64, from: Int)
    case probe(PeerProbe, of: Int)
    /// A message that was not opened, by its kind; its bytes are the name that it claims. Told at most once a second
    /// for each kind and name.
    case refused(kind: UInt8)
}

package typealias BusEvents = EventBatch<BusEvent>
package typealias BusInbox = EventInbox<BusEvent>

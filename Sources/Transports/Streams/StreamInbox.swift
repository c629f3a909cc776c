// What the connections' event loop puts into the SIP thread's inbox: what one read of one connection brought, at
// once. Where there is no room messages are refused, and whoever sent them is cut off: over a reliable transport
// nobody repeats a message, so the end of the connection is the honest answer. Events without bytes are always taken:
// there is one end a connection, and one report a message that was to be sent.

package import Nanomsg
package import SIP

/// What connections have to tell.
package enum StreamEvent: Equatable, Sendable {
    /// A whole message.
    case message(from: Endpoint, on: ListenerID, flow: FlowID)
    /// The connection has ended; its number will not come again.
    case closed(FlowID)
    /// A message that somebody cared for could not be sent.
    case failed(to: Endpoint, flow: FlowID, token: UInt64)
}

package typealias StreamEvents = EventBatch<StreamEvent>
package typealias StreamInbox = EventInbox<StreamEvent>

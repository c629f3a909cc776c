// What the SIP thread counts about its own work. Plain numbers of one owner; management reads a copy through the
// thread.

package import Primitives

/// Counts since the start.
package struct TransportCounters: Equatable, Sendable {
    package var turns = 0
    /// From the end of a wait to the next one.
    package var turnTimes = Histogram()
    /// Datagrams that the kernel dropped because a socket's buffer was full.
    package var datagramsDropped: Int64 = 0
    package var receiveCalls = 0
    package var datagramsReceived = 0
    /// Longer than a slot; dropped.
    package var datagramsTruncated = 0
    /// Failed receives by errno.
    package var receiveErrors: [Int32: Int] = [:]
    package var sendCalls = 0
    package var datagramsSent = 0
    /// Datagrams that could not be sent, by errno. At most one entry for each errno there is.
    package var sendErrors: [Int32: Int] = [:]
    /// Datagrams for a socket that does not exist.
    package var unknownListener = 0
    /// Messages for a connection in a process that has none, or that is too far behind; told to whoever cares.
    package var streamsRefused = 0
    package var streamEvents = 0
    package var busEvents = 0
    /// Bus actions of a node that has no bus.
    package var busActionsDropped = 0
    /// Answers of the DNS thread.
    package var dnsReplies = 0
    /// Questions of a node without a DNS thread; the node gives them up by itself.
    package var questionsDropped = 0
    /// Peers the bus could not be connected to: an address of the wrong family, no more threads.
    package var peersRefused = 0
    /// Gaps of more than a second between two turns (S2-15).
    package var pauses = 0
    package var longestGapMilliseconds: Int64 = 0
    package var addressChanges = 0

    package init() {}
}

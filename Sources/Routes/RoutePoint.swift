// RoutePoint is where in a request's or a response's way a route is asked, and what the node knows there: whence the
// message came, what is known of its transaction and dialog. It is given once, when the run begins.

package import Dialogs
package import Primitives
package import SIP

/// Which route of a script is asked.
package enum RouteKind: UInt8, Sendable, CaseIterable {
    case request, reply, branch, onsend, onreply, branchFailure, failure, event

    /// Whether what it is about is a request: its own, or the one whose branches failed.
    package var isOfRequest: Bool { self != .reply && self != .onreply }
}

package struct RoutePoint: Sendable {
    package var kind: RouteKind
    package var source: Endpoint
    /// The socket that it came in on, and what that is called outside.
    package var socket: Endpoint
    package var advertised: [UInt8] = []
    /// A CANCEL, an ACK or a response that belongs to a transaction here.
    package var hasTransaction = false
    /// A CANCEL came for it.
    package var isCanceled = false
    /// Where what an onsend route or a route for requests of ours is about goes; `nil` elsewhere.
    package var target: Endpoint?
    /// Of the branch that a branch, reply or failure route is about.
    package var branch = 0
    /// The response that a failure route is about; 0 elsewhere.
    package var status = 0
    package var reason: [UInt8] = []
    /// That response itself; empty where nobody answered.
    package var reply: [UInt8] = []
    /// The answer came from the network: a branch that timed out has none.
    package var isReceivedResponse = false
    /// What the consumed Route of ours says, from its first `;` on.
    package var routeParameters: [UInt8] = []
    /// The request goes from callee to caller; `nil` where that is not known.
    package var isUpstream: Bool?
    /// The dialog that the message belongs to or makes, by name: its record need not be here.
    package var did: DialogID?
    /// An INVITE that begins one, before it goes.
    package var beginsDialog = false
    /// Numbers that name the transaction to `t_continue`.
    package var index = 0
    package var label = 0
    package var connection = 0

    package init(kind: RouteKind, source: Endpoint, socket: Endpoint) {
        self.kind = kind
        self.source = source
        self.socket = socket
    }
}

/// The time that a run sees: it does not pass while it runs.
package struct RouteTime: Equatable, Sendable {
    /// Since 1970.
    package var microseconds: Int
    package var now: Instant

    package init(microseconds: Int, now: Instant) {
        self.microseconds = microseconds
        self.now = now
    }

    package var seconds: Int { microseconds / 1_000_000 }
}

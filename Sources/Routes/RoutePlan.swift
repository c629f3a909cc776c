// RoutePlan is what a run has decided. Nothing of it happens while the route runs: functions answer at once what will
// be, and whoever asked the route carries the plan out when the run has ended.

package import Dialogs
package import SIP

package enum RouteVerdict: Equatable, Sendable {
    /// The route ended without a word: nothing is sent.
    case ended
    case replied(Int, reason: [UInt8], isStateful: Bool)
    /// To the targets of the plan.
    case relayed
    /// Without a transaction.
    case forwarded
    case dropped
}

/// Whither a further branch goes.
package struct RouteBranch: Equatable, Sendable {
    package var uri: [UInt8]
    /// Thousandths, as in a Contact; `nil` where none was given.
    package var q: Int?
    package var destination: [UInt8] = []
    package var path: [UInt8] = []
    package var flags: UInt32 = 0
    /// The registered contact that it goes to, as bytes of a `Binding`.
    package var contact: [UInt8] = []

    package init(uri: [UInt8], q: Int? = nil) {
        self.uri = uri
        self.q = q
    }
}

package struct RoutePlan: Equatable, Sendable {
    /// The most branches that one run may add.
    package static let branchLimit = 16
    /// How often one run may ask media relays.
    package static let mediaCommandLimit = 32
    /// Bytes that our Record-Route may get beside its own.
    package static let recordParameterLimit = 512
    /// Bytes of header lines that answers of ours may get.
    package static let replyLimit = 20_480

    package var verdict = RouteVerdict.ended
    /// The message is not to go on: `set_drop`, `x.drop`.
    package var isDropped = false
    package var edits = MessageEdits()
    /// What `msg_apply_changes` made of the message; further edits are of that. Empty where it was not called.
    package var appliedMessage: [UInt8] = []
    /// Empty keeps the received one.
    package var requestURI: [UInt8] = []
    /// `$du`: whither, instead of where the Request-URI leads. Empty where it is not set.
    package var destination: [UInt8] = []
    package var branches: [RouteBranch] = []
    /// The registered contact that `lookup` has found, as bytes of a `Binding`: it decides whither, until the script
    /// says something else. Empty where none was found.
    package var contact: [UInt8] = []
    /// What is to be joined to records of contacts, and the statuses of the REGISTERs that said so.
    package var registrations: [LocationRecord] = []
    package var registrationStatuses: [Int] = []
    /// Contacts that were put aside, by name, for `$ulc`.
    package var fetched: [[UInt8]: FetchedContacts] = [:]
    /// A verdict waits until a peer has what was registered.
    package var hasRegistered = false
    /// What `reg_send_reply` answers: the last `save` was told not to.
    package var registrationAnswer: RegistrationAnswer?
    /// Thousandths that the contacts of the next `save` get in the place of their own.
    package var registrationQ: UInt32?
    /// The sets of media relays that are asked, one after the other (`set_rtpengine_set`).
    package var mediaSets = [0]
    /// How often media relays were asked.
    package var mediaCommands = 0
    /// The request is put aside.
    package var isSuspended = false
    /// Suspended requests that go on when this run has ended.
    package var continuations: [Continuation] = []
    /// Milliseconds that branches are waited for, until any answer and until the final one; `nil` as configured.
    package var firstAnswerTime: Int?
    package var finalAnswerTime: Int?
    /// Header lines of answers that this node makes.
    package var replyLines: [UInt8] = []
    package var recordsRoute = false
    /// What our Record-Route says beside its own: `;name=value…`.
    package var recordParameters: [UInt8] = []
    /// `loose_route` was asked and said yes: the Routes of ours are consumed.
    package var followsRoute = false
    /// Routes that the request came with are dropped.
    package var removesRoutes = false
    /// What the forwarded request's Max-Forwards is to be; `nil` leaves it to the proxy.
    package var maxForwards: Int?
    package var isStateful = false
    /// The realm whose credentials were good.
    package var authorizedRealm: [UInt8]?
    /// Where a REGISTER really came from, for its binding (`fix_nated_register`).
    package var received: [UInt8] = []
    /// What is to be done to dialogs.
    package var dialogs = DialogDraft()
    /// Why `t_relay` said no, for `sl_reply_error`.
    package var relayFailure: RelayFailure?

    package init() {}

    /// A route for a request that was suspended.
    package struct Continuation: Equatable, Sendable {
        package var transaction: UInt64
        package var route: [UInt8]
    }

    package struct RegistrationAnswer: Equatable, Sendable {
        package var status: Int
        package var lines: [UInt8]
    }

    /// There is something to be done to dialogs or contacts.
    package var hasActs: Bool { !dialogs.isIdle || !registrations.isEmpty || !registrationStatuses.isEmpty }

    /// Takes out what is to be joined to records of contacts, and what became of REGISTERs.
    package mutating func takeRegistrations() -> (records: [LocationRecord], statuses: [Int]) {
        guard !registrations.isEmpty || !registrationStatuses.isEmpty else { return ([], []) }
        defer { (registrations, registrationStatuses) = ([], []) }
        return (registrations, registrationStatuses)
    }

    package enum RelayFailure: Equatable, Sendable {
        case badURI, ourselves, noTransport

        package var status: Int {
            switch self {
            case .badURI: 400
            case .ourselves: 404
            case .noTransport: 478
            }
        }

        package var reason: StaticString {
            switch self {
            case .badURI: "Bad Request-URI"
            case .ourselves: "Not Found"
            case .noTransport: "Unresolvable destination"
            }
        }
    }
}

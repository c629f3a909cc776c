// Script points are the places where the core can be told what to do. It has no script: what is asked about stands
// under a token, a question goes out as an effect, and whoever drives the node runs a script in the same turn and hands
// the verdict back. A run that has to wait gives its verdict later; the token is good until then, for
// `ScriptRoom.wait`.
//
//   point      when                                                        without a verdict in time
//   request    admitted and matched, before it is routed; an ACK of a 2xx  500; an ACK goes by its Routes
//   branch     written, before it is recorded and sent                     it is sent as it is
//   response   of a branch, before it is looked at                         it is taken as it came
//   failure    a branch has ended without a 2xx, before anything follows   it has ended
//   final      no branch is left, before the best response goes upstream   the best response goes upstream
//   local      a request that the cluster makes, before it is sent         it is sent as it is
//   ACK        of a 2xx, written, before it is sent                        it is sent as it is
//
// Never asked about: copies of what is here already, CANCEL (it follows its INVITE), ACKs of failures, what a member
// passes on, and what an heir ends for a dead node, whose script is gone with it.
// Without a script each point costs one test.

package import Dialogs
package import SIP

/// The points at which there is a script to ask.
package struct ScriptPoints: OptionSet, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let request = ScriptPoints(rawValue: 1)
    package static let branch = ScriptPoints(rawValue: 2)
    package static let response = ScriptPoints(rawValue: 4)
    package static let final = ScriptPoints(rawValue: 8)
    package static let branchFailure = ScriptPoints(rawValue: 16)
    package static let local = ScriptPoints(rawValue: 32)
    package static let acknowledgement = ScriptPoints(rawValue: 64)
    /// All that a request from outside passes.
    package static let passing: ScriptPoints = [.request, .branch, .response, .branchFailure, .final]
}

/// What a script is asked.
package struct ScriptQuestion: Sendable {
    package enum Point: Sendable, Equatable {
        case request
        /// The branch with this number.
        case branch(Int)
        /// The response of the branch with this number.
        case response(Int)
        /// The branch with this number, and its final status.
        case branchFailure(Int, status: Int)
        /// The best status of all branches.
        case final(Int)
        /// A request of the cluster's own.
        case local
        /// An ACK of a 2xx, as it leaves.
        case acknowledgement
    }

    /// Names the question; `Proxy.decide` takes the verdict with it.
    package var token: UInt64
    package var point: Point
    /// The message that it is about; for `final` and `branchFailure` the request as its branches were made from it.
    package var bytes: [UInt8]
    /// The node's number for that message while it has it at hand, read; 0 for one that it has not.
    package var number: UInt64 = 0
    /// For `final` and `branchFailure` the response that is the reason; empty where nobody answered.
    package var reply: [UInt8] = []
    /// Who sent the request, and where and how it came in.
    package var source: Endpoint
    package var listener: ListenerID
    package var flow: FlowID
    /// The dialog that it belongs to or makes.
    package var did: DialogID?
    package var isInDialog: Bool
    /// The same for all questions of one transaction; 0 for an ACK, and for what the cluster makes.
    package var transaction: UInt64
    /// Where a branch, an ACK or a request of the cluster's goes; `nil` elsewhere.
    package var target: Endpoint?
}

/// How long a branch of an INVITE is waited for, where a script has said it (`t_set_fr`); `nil` as configured.
package struct AnswerTimes: Equatable, Sendable {
    /// Until any answer comes, 100 included.
    package var first: Duration?
    /// Until the final answer, from the last provisional one on.
    package var final: Duration?

    package init() {}
}

/// What a script says of a request.
///
/// An INVITE that leaves without our Record-Route begins no dialog unless the script says so: its ACK and BYE may go
/// another way, and a record that hears of neither would stand until its lifetime is over.
package struct RequestVerdict: Sendable {
    package enum Fate: Sendable {
        /// It goes by its Routes and its Request-URI, and by the configured routes.
        case route
        /// It goes to these targets, not none.
        case relay([ForkTarget])
        /// It is answered; `lines` are header fields, each with its CRLF.
        case answer(status: Int, reason: [UInt8], lines: [UInt8])
        /// Nobody is told.
        case drop
    }

    package var fate: Fate
    /// The request as the script has changed it; empty where it has not.
    package var bytes: [UInt8] = []
    /// Whether it is record-routed; `nil` as without a script.
    package var recordsRoute: Bool?
    /// What the record of the dialog that it begins has from the first byte on.
    package var changes: [StampedChange] = []
    /// 0: the configured one.
    package var lifetimeMilliseconds: UInt64 = 0
    /// Whether its dialog is tracked; `nil`: where it is record-routed.
    package var tracksDialog: Bool?
    /// It is carried out when a peer has what was published before it, as a 2xx of a call is: it has registered.
    package var awaitsCommit = false
    package var times = AnswerTimes()
    /// What our Record-Route says beside its own: `;name=value…`.
    package var recordParameters: [UInt8] = []

    package init(_ fate: Fate, bytes: [UInt8] = [], recordsRoute: Bool? = nil) {
        self.fate = fate
        self.bytes = bytes
        self.recordsRoute = recordsRoute
    }
}

/// What a script says of a branch, of a response, or of a request of the cluster's.
package enum MessageVerdict: Sendable {
    /// It goes on as the script has changed it; empty where it has not.
    case goOn([UInt8])
    /// The branch is not begun; a provisional response goes no further, a final one does; a request of the cluster's
    /// ends as one that could not be sent.
    case drop
}

/// What a script says when no branch is left, or when one has failed: then its targets are tried beside those that
/// still run, and an answer says nothing.
package enum FinalVerdict: Sendable {
    /// The best response goes upstream.
    case best
    /// This one does instead.
    case answer(status: Int, reason: [UInt8], lines: [UInt8])
    /// Further targets are tried first, not none; `bytes` is the request as their branches are made from it, empty
    /// where it is as before.
    case retry([ForkTarget], bytes: [UInt8], times: AnswerTimes = AnswerTimes())
}

package enum ScriptVerdict: Sendable {
    case request(RequestVerdict)
    case message(MessageVerdict)
    case final(FinalVerdict)
}

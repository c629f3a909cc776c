// ForkTarget is one element of a request's target set (RFC 3261 §16.5): a Request-URI, and the addresses where requests
// for it go. The set is ordered by group: what shares a group is tried at once, the next group only when all of the one
// before it have failed (§16.6, serial and parallel forking).
//
//     waiting ──its group's turn──▶ resolving ──addresses──▶ running ──failed, no address left──▶ ended
//                     │                 └──none, or 5 s──▶ ended (502)   ↺ no reply or 503: the next address
//                     └──addresses known──▶ running                        (RFC 3263 §4.3)
//
// Limits: 16 targets a request, 8 branches at once, 8 addresses a target, 32 branches in all.

package import Dialogs
package import SIP

package struct ForkTarget: Sendable {
    enum State: Sendable { case waiting, resolving, running, ended }

    /// Targets of one request.
    package static let limit = 16
    /// Branches without a final answer at any time.
    package static let parallelLimit = 8
    /// Addresses of one target.
    package static let candidateLimit = 8

    /// The new Request-URI; empty keeps the old one.
    package var requestURI: [UInt8]
    /// Lower groups first.
    package var group: Int
    /// Where requests for it go, in the order in which they are tried.
    package var candidates: [Endpoint]
    /// What has to be looked up first; `nil` where the addresses are known.
    package var name: ResolutionTarget?
    /// The connection that requests for it go over, or the one of the member that they are passed to.
    var flow = FlowID.none
    var memberFlow: FlowFact?
    /// The registered contact that it is, as bytes of a `Binding`; it has addresses once that is read (`reachable`).
    package var contact: [UInt8] = []
    /// Routes that its requests get above those that they have: the value of a header (RFC 3327 §5.3).
    package var routes: [UInt8] = []
    /// The transport was not written: a large request may go by TCP.
    var isTransportOpen = false
    /// Its number on the board of targets, if it has one.
    package var health: Int32?
    var state = State.waiting
    /// Its share of the request's Max-Breadth, once its turn has come.
    var breadth = 0
    /// The candidate to try next.
    var next = 0
    /// What became of it when it never had a branch.
    var failure: Int?
    /// Nothing leads to it.
    static let unreachable = 480

    package init(requestURI: [UInt8], group: Int, candidates: [Endpoint], name: ResolutionTarget? = nil) {
        self.requestURI = requestURI
        self.group = group
        self.candidates = candidates
        self.name = name
    }

    /// A registered contact.
    package init(contact: Binding, group: Int) {
        self.init(requestURI: contact.plainURI, group: group, candidates: [])
        self.contact = contact.bytes
    }
}

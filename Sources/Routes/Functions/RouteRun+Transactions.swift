// The modules tm and tmx: relaying, routes that are armed for later, and what is known of the transaction.
// `t_relay` answers at once whether the request can go, by what can be known without asking anybody; it goes when the
// run has ended.

internal import Primitives
package import SIP

extension RouteRun {
    package mutating func relay() -> Bool {
        guard message.isRequest, [.request, .failure, .branchFailure].contains(point.kind) else { return false }
        switch plan.verdict {
        case .ended, .relayed: break
        case .replied, .forwarded, .dropped: return false
        }
        if let failure = relayFailure() {
            plan.relayFailure = failure
            return false
        }
        plan.verdict = .relayed
        plan.isStateful = true
        return true
    }

    /// `forward()`: without a transaction. An INVITE has one all the same, for its final answer's sake.
    package mutating func forward() -> Bool {
        guard relay() else { return false }
        if message.method != .invite { plan.verdict = .forwarded }
        return true
    }

    /// Whither it would go is a URI of ours, or none that this node can send to.
    func relayFailure() -> RoutePlan.RelayFailure? {
        // With Routes left, it is the first of them that counts, which the proxy looks at.
        if plan.destination.isEmpty, message.first(.route) != nil, !plan.removesRoutes { return nil }
        let uri = nextHopURI
        guard let parts = try? URI(uri, ByteRange(uri)), parts.scheme != .other else { return .badURI }
        guard parts.scheme != .tel else { return .noTransport }
        if settings.isOurs(parts, in: uri), plan.branches.isEmpty { return .ourselves }
        let transport = parts.transport(in: uri) ?? (parts.scheme == .sips ? .tls : .udp)
        return settings.transports.contains(transport) ? nil : .noTransport
    }

    package mutating func createTransaction() -> Bool {
        guard message.isRequest, message.method != .ack else { return false }
        plan.isStateful = true
        return true
    }

    /// 1 for what belongs to a transaction here. Retransmissions never reach a script, so nothing else does.
    package func checkTransaction() -> Int { point.hasTransaction ? 1 : -1 }

    /// `t_set_fr`: how long this request's branches are waited for, milliseconds; 0 leaves one as it is.
    package mutating func setAnswerTimes(final: Int, first: Int?) -> Bool {
        guard 0...86_400_000 ~= final, 0...86_400_000 ~= first ?? 0 else { return false }
        if final > 0 { plan.finalAnswerTime = final }
        if let first, first > 0 { plan.firstAnswerTime = first }
        return true
    }

    package enum ArmedRoute: Sendable { case branch, onreply, failure, branchFailure }

    /// An empty name, or `0`, disarms.
    package mutating func arm(_ route: ArmedRoute, _ name: [UInt8]) -> Bool {
        let name = name == [0x30] ? [] : name
        if !name.isEmpty, !routeNames.isEmpty, !routeNames.contains(name) {
            note(.error, "the script has no function \(name.shown)")
            return false
        }
        switch route {
        case .branch: state.branchRoute = name
        case .onreply: state.onreplyRoute = name
        case .failure: state.failureRoute = name
        case .branchFailure: state.branchFailureRoute = name
        }
        return true
    }

    package func isArmed(_ target: [UInt8]) -> Bool {
        switch String(decoding: target, as: UTF8.self) {
        case "branch_route": !state.branchRoute.isEmpty
        case "onreply_route": !state.onreplyRoute.isEmpty
        case "failure_route": !state.failureRoute.isEmpty
        case "branch_failure_route": !state.branchFailureRoute.isEmpty
        default: false
        }
    }

    /// The status that the route is about, as text of three digits.
    var statusText: [UInt8] { RouteValue.integer(message.isRequest ? point.status : message.statusCode).bytes }

    package func checkStatus(_ pattern: RoutePattern) -> Bool {
        let status = statusText
        return pattern.matchesWhole(status, 0..<status.count)
    }

    package func hasStatus(_ code: Int) -> Bool {
        (message.isRequest ? point.status : message.statusCode) == code
    }
}

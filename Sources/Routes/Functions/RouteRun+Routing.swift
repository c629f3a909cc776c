// The module rr: following Routes, recording ours, and what ours said of the dialog.

internal import Primitives
package import SIP

extension RouteRun {
    /// Whether the request has Routes to follow; from then on those of ours are consumed.
    package mutating func followRoutes(_ preloadedOnly: Bool = false) -> Bool {
        guard message.isRequest, message.first(.route) != nil || !point.routeParameters.isEmpty else { return false }
        if preloadedOnly, !message.toTag.isEmpty { return false }
        plan.followsRoute = true
        return true
    }

    package mutating func recordRoute() -> Bool {
        guard message.isRequest else { return false }
        plan.recordsRoute = true
        return true
    }

    /// Whether the parameters of the Route of ours have something that a pattern covers.
    package func routeParametersHave(_ pattern: RoutePattern) -> Bool {
        let text = routeParameters
        return !text.isEmpty && pattern.matchesWhole(text, 0..<text.count)
    }

    /// Of the Route of ours that was consumed, or is about to be.
    var routeParameters: [UInt8] {
        if !point.routeParameters.isEmpty { return point.routeParameters }
        guard let address = message.firstNameAddress(.route), let uri = try? URI(message.bytes, address.uri),
            settings.isOurs(uri, in: message.bytes)
        else { return [] }
        return message.copy(uri.parameters)
    }

    package func isDirection(_ direction: [UInt8]) -> Bool {
        guard let isUpstream = goesUpstream else { return false }
        return switch String(decoding: direction, as: UTF8.self) {
        case "upstream": isUpstream
        case "downstream": !isUpstream
        default: false
        }
    }

    /// What the module does to Max-Forwards: one less, or the limit where there is none; `false` where no hop is left.
    package mutating func processMaxForwards(_ limit: Int) -> Bool {
        guard (0...255).contains(limit), message.isRequest else { return false }
        guard let left = try? message.maxForwards() else {
            plan.maxForwards = limit
            return true
        }
        guard left > 0 else { return false }
        plan.maxForwards = left - 1
        return true
    }
}

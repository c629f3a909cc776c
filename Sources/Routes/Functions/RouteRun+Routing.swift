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

    /// Adds `;name=value…` to our Record-Route; in a branch route to that of the branch.
    /// - Returns: `false` for what is no parameter, for too much, and where there is nothing to add it to.
    package mutating func addRecordParameters(_ text: [UInt8]) throws(RouteFault) -> Bool {
        guard message.isRequest, Self.areParameters(text),
            plan.recordParameters.count + text.count <= RoutePlan.recordParameterLimit
        else { return false }
        guard point.kind == .branch else {
            guard point.kind == .request else { return false }
            plan.recordParameters += text
            return true
        }
        // The branch is written already: one Record-Route of ours, or two where its sides are named differently.
        var entries: [NameAddress] = []
        message.nameAddresses(.recordRoute, into: &entries)
        var isOnTop = true
        for entry in entries {
            guard let uri = try? URI(message.bytes, entry.uri), settings.isOurs(uri, in: message.bytes) else { break }
            isOnTop = false
            let place = ByteRange(start: Int(entry.uri.end), end: Int(entry.uri.end))
            try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.replace(place, with: text) }
        }
        guard !isOnTop else { return false }
        plan.recordParameters += text
        return true
    }

    /// `record_route_params`.
    package mutating func recordRoute(with parameters: [UInt8]) throws(RouteFault) -> Bool {
        guard point.kind == .request, parameters.isEmpty || Self.areParameters(parameters) else { return false }
        if !parameters.isEmpty, try !addRecordParameters(parameters) { return false }
        return recordRoute()
    }

    /// `record_route_advertised_address`: ours is written whatever it says, so it must be ours.
    package mutating func recordRoute(at address: [UInt8]) -> Bool {
        isOurs(uri: address) && recordRoute()
    }

    /// `next_hop_route`: the first Route that is not ours is where the request goes, whatever its Request-URI says.
    package mutating func goToNextRoute() -> Bool {
        guard message.isRequest else { return false }
        var entries: [NameAddress] = []
        message.nameAddresses(.route, into: &entries)
        for entry in entries {
            guard let uri = try? URI(message.bytes, entry.uri) else { return false }
            if settings.isOurs(uri, in: message.bytes) { continue }
            return setDestination(message.copy(entry.uri))
        }
        return false
    }

    /// `;name` or `;name=value`, any number of them (RFC 3261 §25.1, uri-parameters).
    static func areParameters(_ text: [UInt8]) -> Bool {
        guard text.first == UInt8(ascii: ";"), text.last != UInt8(ascii: ";") else { return false }
        var (isName, isEmpty, previous) = (true, true, UInt8(0))
        for byte in text {
            switch byte {
            case UInt8(ascii: ";"):
                if previous != 0, isEmpty { return false }
                (isName, isEmpty) = (true, true)
            case UInt8(ascii: "="):
                guard isName, !isEmpty else { return false }
                (isName, isEmpty) = (false, true)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                isEmpty = false
            default:
                guard "-_.!~*'()[]/:&+$%".utf8.contains(byte) else { return false }
                isEmpty = false
            }
            previous = byte
        }
        return !isEmpty
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

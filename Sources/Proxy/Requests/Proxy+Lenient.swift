// Requests within a dialog that ignore its route set: no Route, and a Request-URI that names the cluster (S3-27). Some
// user agents, and SIPp's built-in scenarios, send everything to where they sent the INVITE. With `sip.lenient` such a
// request goes as it should have been sent (RFC 3261 §12.2.1.1), by the record: to the other side's Contact, by way of
// its Routes (a strict router included), over its connection, by names where there are names.

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// - Returns: `nil` when the record does not say where the other side is.
    mutating func routeLeniently(_ plan: inout RequestPlan, dialogs: DialogTable) -> Decision? {
        guard settings.lenient, plan.isKnown, let did = plan.did, let record = dialogs.record(did) else { return nil }
        let callee = out(of: record, message.toTag) ?? record.outs.first
        var side = plan.leg == .caller ? callee?.side ?? Record.Side() : record.caller
        let contact = side.contact
        guard !contact.isEmpty, let target = try? URI(contact, ByteRange(contact)), !isOwn(target, in: contact) else {
            return nil
        }
        if side.routes.isEmpty, let fact = FlowFact(side.flow, ByteRange(side.flow)) {
            plan.requestURI = contact
            switch takeFlow(fact, &plan) {
            case .taken: return .proceed
            case .gone where endpoint(of: target, in: contact) == nil: return .refuse(430, .connectionGone)
            case .gone, .none: break
            }
        }
        side.flow = []
        guard let hop = nextHop(side) else { return nil }
        plan.requestURI = hop.requestURI
        plan.addedRoutes = hop.routes
        if let egress = settings.egress {
            plan.nextHop = egress
            return .proceed
        }
        // A strict router has become the Request-URI, and is the next hop.
        let (bytes, range) = hop.routes == side.routes ? firstRoute(hop) : (hop.requestURI, ByteRange(hop.requestURI))
        guard let uri = try? URI(bytes, range), !isOwn(uri, in: bytes) else { return nil }
        guard hop.endpoint == .none else {
            plan.nextHop = hop.endpoint
            plan.isTransportOpen = uri.scheme == .sip && uri.transport(in: bytes) == nil
            return .proceed
        }
        guard let name = name(of: uri, in: bytes) else { return nil }
        return lookUp(name, &plan)
    }

    /// Where the next hop is written: the first Route, else the Request-URI.
    private func firstRoute(_ hop: Hop) -> ([UInt8], ByteRange) {
        var routes: [NameAddress] = []
        NameAddress.append(listIn: hop.routes, ByteRange(hop.routes), to: &routes)
        guard let first = routes.first else { return (hop.requestURI, ByteRange(hop.requestURI)) }
        return (hop.routes, first.uri)
    }
}

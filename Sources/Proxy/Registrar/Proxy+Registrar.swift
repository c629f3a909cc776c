// Requests for the domains of the registrar: which of them it is asked about, and where a contact of it leads. What it
// knows is the node's (`Node+Registrar`); it is asked as a script would be, and its verdict is carried out alike.

import Dialogs
import Primitives
package import SIP

extension Proxy {
    /// Whether a URI's host is a domain of the registrar, whatever its port.
    func isRegistrarDomain(_ uri: URI, in bytes: [UInt8]) -> Bool {
        guard !settings.registrarDomains.isEmpty, uri.scheme == .sip || uri.scheme == .sips else { return false }
        return settings.registrarDomains.contains { Text.sameIgnoringCase(bytes, uri.host, $0, ByteRange($0)) }
    }

    /// Whether the request at hand is for the registrar: a REGISTER for one of its domains, and what begins something
    /// with one of its users. What a member passes on has been looked at where it came in.
    func isForRegistrar(_ plan: RequestPlan) -> Bool {
        guard !settings.registrarDomains.isEmpty, !plan.isJudged, !plan.isInDialog, plan.path == nil,
            plan.consumedRoutes == routes.count, !neighbours.isPeerAddress(plan.source),
            let uri = try? URI(message.bytes, message.requestURI), isRegistrarDomain(uri, in: message.bytes)
        else { return false }
        return message.method == .register || !uri.user.isEmpty
    }

    /// Leaves out what the request has for realms of ours (RFC 3261 §22.3): nobody further down is to see whose it is.
    mutating func consumeCredentials() {
        for field in message.headers where field.name == .proxyAuthorization {
            guard let realm = Credentials.realm(message.bytes, field.value) else { continue }
            let isOurs = settings.realms.contains {
                Text.sameIgnoringCase(message.bytes, realm, $0, ByteRange($0))
            }
            if isOurs { editor.remove(field.line) }
        }
    }

    /// The connection that whoever sent a request can be reached by again.
    package func flowFact(of question: ScriptQuestion, _ request: Message) -> FlowFact? {
        flowFact(question.flow, ofSender: request)
    }

    /// Targets with the addresses of those that are contacts: one way to each phone, the first that is there (RFC 5626
    /// §5.3). A contact that nothing leads to is left out.
    package func reachable(_ targets: [ForkTarget]) -> [ForkTarget] {
        guard targets.contains(where: { !$0.contact.isEmpty }) else { return Array(targets.prefix(ForkTarget.limit)) }
        var (found, instances): ([ForkTarget], [[UInt8]]) = ([], [])
        for target in targets where found.count < ForkTarget.limit {
            guard !target.contact.isEmpty else {
                found.append(target)
                continue
            }
            guard let binding = try? Binding(target.contact),
                binding.instance.isEmpty || !instances.contains(binding.instance),
                var way = self.target(for: binding, group: target.group)
            else { continue }
            way.requestURI = target.requestURI
            found.append(way)
            if !binding.instance.isEmpty { instances.append(binding.instance) }
        }
        return found
    }

    /// The same for what a script wants tried: where no contact can be reached there is a target that fails, so that
    /// its failure route is asked.
    func reachableOrFailing(_ targets: [ForkTarget]) -> [ForkTarget] {
        let found = reachable(targets)
        guard found.isEmpty, var first = targets.first else { return found }
        first.failure = ForkTarget.unreachable
        return [first]
    }

    /// The branch to a contact; `nil` where nothing leads there, as when its connection has ended.
    private func target(for binding: Binding, group: Int) -> ForkTarget? {
        let contact = binding.plainURI
        guard let uri = try? URI(contact, ByteRange(contact)) else { return nil }
        var target = ForkTarget(requestURI: contact, group: group, candidates: [])
        if !binding.path.isEmpty { return follow(binding.path, target) }
        if let fact = FlowFact(binding.flow, ByteRange(binding.flow)) {
            if take(fact, &target) { return target }
            // It may still be connected to, unless it was heard from elsewhere than it says, or cannot be at all.
            let transport = uri.transport(in: contact)
            guard binding.received.isEmpty, transport != .ws, transport != .wss else { return nil }
        }
        if let received = Endpoint(fact: binding.received) {
            target.candidates = [settings.egress ?? received]
            return target
        }
        return lead(&target, to: uri, in: contact) ? target : nil
    }

    private func take(_ fact: FlowFact, _ target: inout ForkTarget) -> Bool {
        if settings.isOwn(fact.member) {
            guard let live = flows[fact.flow] else { return false }
            target.candidates = [live.remote]
            target.flow = fact.flow
            return true
        }
        guard let peer = neighbours.peer(fact.member), peer.isLive, let endpoint = peer.endpoint else { return false }
        target.candidates = [endpoint]
        target.memberFlow = fact
        return true
    }

    /// The Path becomes the Routes, and its first element is where the request goes (RFC 3327 §5.3).
    private func follow(_ path: [UInt8], _ target: ForkTarget) -> ForkTarget? {
        var (target, hops): (ForkTarget, [NameAddress]) = (target, [])
        guard NameAddress.append(listIn: path, ByteRange(path), to: &hops), let first = hops.first,
            let uri = try? URI(path, first.uri), lead(&target, to: uri, in: path)
        else { return nil }
        target.routes = path
        return target
    }

    /// What is ours is never sent to (S1-5).
    private func lead(_ target: inout ForkTarget, to uri: URI, in bytes: [UInt8]) -> Bool {
        guard !isOwn(uri, in: bytes), !isRegistrarDomain(uri, in: bytes) else { return false }
        if let hop = settings.egress ?? endpoint(of: uri, in: bytes) {
            target.candidates = [hop]
            target.isTransportOpen = uri.scheme == .sip && uri.transport(in: bytes) == nil
            return true
        }
        target.name = name(of: uri, in: bytes)
        target.isTransportOpen = uri.scheme == .sip && uri.transport(in: bytes) == nil
        return target.name != nil
    }
}

// Names that have to be looked up before a request can go on (RFC 3263). The look-up itself is another machine's: the
// proxy asks with a token, keeps what waits, and is told addresses in the order in which they are to be tried.
//
//     findNextHop ──a name──▶ ask ──.resolve(token, name)──▶ … ──resolved(token, addresses)──▶ the branch begins
//                                        └── 5 s ──▶ as if there were none: 502
//
// A request with a server transaction waits in its context, so its repetitions are absorbed and a CANCEL finds it; an
// ACK, which has none, waits as the bytes that will be sent. 502 because nothing said that the user is unknown (404) or
// away (480): it is the way onward that is missing.
//
// What waits is kept by `LookUps`.

package import Dialogs
package import Primitives
package import SIP

extension Proxy {
    /// The longest name there is (RFC 1035 §2.3.4).
    private static let nameLimit = 253

    /// What has to be looked up for a URI; `nil` for one that names an address, or nothing that can be sent to.
    func name(of uri: URI, in bytes: [UInt8]) -> ResolutionTarget? {
        guard uri.scheme == .sip || uri.scheme == .sips else { return nil }
        let transport = uri.transport(in: bytes)
        let range = uri.parameter("maddr", in: bytes) ?? uri.host
        guard transport != .other, !range.isEmpty, Address(bytes: bytes, range: range) == nil else { return nil }
        var host = bytes[range.range].map(Text.lowercased)
        if host.last == UInt8(ascii: ".") { host.removeLast() }
        guard !host.isEmpty, host.count <= Self.nameLimit, host[0] != UInt8(ascii: "[") else { return nil }
        return ResolutionTarget(isSecure: uri.scheme == .sips, host: host, port: uri.port, transport: transport)
    }

    /// - Returns: False when there are too many already.
    mutating func ask(for name: ResolutionTarget, _ purpose: LookUps.Purpose) -> Bool {
        guard let token = lookUps.keep(name.host, purpose, now: now) else { return false }
        effects.items.append(.resolve(token, name))
        return true
    }

    /// Answers `.resolve`: addresses in the order in which they are to be tried, none when there are none. A token that
    /// is not waited for any more is ignored.
    package mutating func resolved(_ token: UInt64, endpoints: [Endpoint], now: Instant, dialogs: inout DialogTable) {
        self.now = now
        defer { replayQueued(dialogs: &dialogs) }
        guard let lookUp = lookUps.take(token) else { return }
        end(lookUp, endpoints, dialogs: &dialogs)
    }

    /// Look-ups that have taken too long count as fruitless.
    mutating func expireLookUps(dialogs: inout DialogTable) {
        for late in lookUps.expire(now: now) { end(late, [], dialogs: &dialogs) }
    }

    private mutating func end(_ lookUp: LookUps.Entry, _ endpoints: [Endpoint], dialogs: inout DialogTable) {
        // A name that leads back to the cluster is never sent to (S1-5).
        let usable = endpoints.filter { !isOwn($0) && settings.reaches($0) }.prefix(ForkTarget.candidateLimit)
        switch lookUp.purpose {
        case .target(let id, let place):
            targetResolved(id, place, Array(usable), dialogs: &dialogs)
        case .own(let id, let index): ownResolved(id, index, usable.first, of: lookUp.host, dialogs: &dialogs)
        case .stateless(let bytes, let near, let question):
            guard let endpoint = usable.first else {
                counters.dropped += 1
                return
            }
            var leaving = LeavingAcknowledgement(
                bytes: request(bytes, at: endpoint), target: endpoint,
                listener: egressListener(endpoint, near: near))
            leaving.serverName = serverName(lookUp.host, endpoint)
            send(leaving, asking: question)
        }
    }

    /// What the server at an endpoint must show: the name that was looked up, not one that DNS led to on the way (RFC
    /// 3263 §4.1, RFC 5922 §4). Only TLS shows anything.
    func serverName(_ host: [UInt8], _ endpoint: Endpoint) -> [UInt8] { endpoint.transport == .tls ? host : [] }

    func isOwn(_ endpoint: Endpoint) -> Bool {
        func isNamed(_ name: HostPort) -> Bool { name.address == endpoint.address && name.port == endpoint.port }
        return settings.ownNames.contains(where: isNamed) || neighbours.memberNames.contains(where: isNamed)
    }
}

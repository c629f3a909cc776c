// What this node is called, socket by socket. Each listener has its own name in Via and in Record-Route, since an IPv4
// phone cannot send to an IPv6 address, and a phone of one network not to the socket of another (RFC 3261 §16.6 step 4,
// RFC 5658 §3). A request gets the Via of the socket that it leaves from, and the Record-Routes of that one and of the
// one it came in on: one where both have the same name, two where they differ, upstream's below.
//
// Which socket a request leaves from: over a connection the connection's; within a dialog the one that the last
// Record-Route of ours names, if it names one only; to a phone that registered by UDP the one it was heard on. Else,
// of those of its transport and family, the one whose address is closest to where it goes (`Address.closeness`), of
// equals the one that the request came in on, then the first. A service address that this host holds stands for the
// first UDP socket of its family.
//
// What the cluster makes of itself (BYE, ACK) has the Via of the dialog's home, as its side of the record has it, so
// every node makes the same (S1-9); where that is of a family that the phone does not have, the sender's own.

import Dialogs
import Primitives
package import SIP

/// What one listener is called.
package struct ListenerName: Sendable {
    package var transport: TransportProtocol
    /// sent-by of our Via, `127.0.0.11:5060`.
    package var sentBy: [UInt8]
    /// Host and port of our Record-Route, and the transport unless it is UDP: `127.0.0.11:5061;transport=tls`.
    package let advertised: [UInt8]
    /// The same, as Routes are compared with it.
    let route: HostPort?

    package init(transport: TransportProtocol, sentBy: [UInt8], advertised: [UInt8]) {
        self.transport = transport
        self.sentBy = sentBy
        self.advertised = advertised
        let text = Array("sip:".utf8) + advertised
        route = (try? URI(text, ByteRange(text))).map { uri in
            HostPort(host: Array(text[uri.host.range]), port: uri.effectivePort(in: text), transport: transport)
        }
    }

    static let unnamed = ListenerName(transport: .udp, sentBy: [], advertised: [])
}

extension ProxySettings {
    func name(_ listener: ListenerID) -> ListenerName {
        names.isEmpty ? .unnamed : names[place(of: listener)]
    }

    /// Where in `names` a listener is, or who stands for it.
    private func place(of listener: ListenerID) -> Int {
        let index = Int(listener.rawValue)
        return index < names.count ? index : 0
    }

    /// sent-by of a listener.
    func sentBy(_ listener: ListenerID) -> [UInt8] { names.isEmpty ? [] : names[place(of: listener)].sentBy }

    private func transport(_ listener: ListenerID) -> TransportProtocol {
        names.isEmpty ? .udp : names[place(of: listener)].transport
    }

    private func advertised(_ listener: ListenerID) -> [UInt8] {
        names.isEmpty ? [] : names[place(of: listener)].advertised
    }

    /// The listener that stands for this node where no other is closer: the first UDP one, else the first.
    var mainListener: ListenerID {
        for index in names.indices where names[index].transport == .udp {
            return ListenerID(rawValue: UInt8(truncatingIfNeeded: index))
        }
        return ListenerID(rawValue: 0)
    }

    /// What this node is called in records.
    package var sentBy: [UInt8] { sentBy(mainListener) }

    /// Whether anything comes or goes over connections.
    var hasStreams: Bool {
        for index in names.indices where names[index].transport != .udp { return true }
        return false
    }

    /// Whether this node sends by a transport: it has a listener for it.
    func speaks(_ transport: TransportProtocol) -> Bool {
        transport == .udp || names.contains { $0.transport == transport }
    }

    /// Whether a request can be sent there: a datagram leaves from a socket of its family only.
    func reaches(_ endpoint: Endpoint) -> Bool {
        guard endpoint.transport == .udp else { return speaks(endpoint.transport) }
        return listeners.isEmpty
            || listeners.contains { $0.transport == .udp && $0.address.isIPv6 == endpoint.address.isIPv6 }
    }

    /// The socket toward an endpoint.
    /// - Parameter near: Of two that are as close, this one is taken.
    func listener(toward endpoint: Endpoint, near: ListenerID?) -> ListenerID {
        var (best, bestFit) = (0, -1)
        for index in listeners.indices where index != serviceListener {
            var fit = 2 * Self.fit(of: listeners[index], endpoint)
            if let near, Int(near.rawValue) == index { fit += 1 }
            if fit > bestFit { (best, bestFit) = (index, fit) }
        }
        return socket(best, toward: endpoint)
    }

    /// A listener that was chosen before, if it still leads there.
    func listener(_ named: ListenerID, toward endpoint: Endpoint) -> ListenerID? {
        let index = Int(named.rawValue)
        guard listeners.indices.contains(index), Self.fit(of: listeners[index], endpoint) >= 2 else { return nil }
        return index == serviceListener ? listener(toward: endpoint, near: nil) : socket(index, toward: endpoint)
    }

    /// A listener, or the service address in its place.
    private func socket(_ index: Int, toward endpoint: Endpoint) -> ListenerID {
        let own = ListenerID(rawValue: UInt8(truncatingIfNeeded: index))
        guard let preferred = preferredListener, listeners.indices.contains(preferred), endpoint.transport == .udp,
            listeners[preferred].address.isIPv6 == endpoint.address.isIPv6
        else { return own }
        let first = listeners.firstIndex {
            $0.transport == .udp && $0.address.isIPv6 == endpoint.address.isIPv6
        }
        return first == index || first == preferred ? ListenerID(rawValue: UInt8(truncatingIfNeeded: preferred)) : own
    }

    private static func fit(of listener: Endpoint, _ endpoint: Endpoint) -> Int {
        guard listener.transport == endpoint.transport else { return 0 }
        guard listener.address.isIPv6 == endpoint.address.isIPv6 else { return 1 }
        return 2 + listener.address.closeness(to: endpoint.address)
    }

    /// Two sockets of one transport and family: which of them a request leaves from has to be found out.
    var hasTwins: Bool {
        listeners.indices.contains { index in
            index != serviceListener
                && listeners[..<index].contains {
                    $0.transport == listeners[index].transport && $0.address.isIPv6 == listeners[index].address.isIPv6
                }
        }
    }

    /// The one listener that a Route names.
    func listener(named uri: URI, in bytes: [UInt8]) -> ListenerID? {
        var found: ListenerID?
        for index in names.indices where names[index].route?.matches(uri, in: bytes) ?? false {
            // A URI without a transport means UDP (RFC 3263 §4.1).
            guard names[index].transport == .udp || uri.transport(in: bytes) != nil || uri.scheme == .sips else {
                continue
            }
            if found != nil { return nil }
            found = ListenerID(rawValue: UInt8(truncatingIfNeeded: index))
        }
        return found
    }

    /// The listener with this sent-by from which an endpoint can be reached.
    func listener(sentBy name: [UInt8], toward endpoint: Endpoint) -> ListenerID? {
        guard !name.isEmpty else { return nil }
        let index = names.indices.first { index in
            index != serviceListener && names[index].sentBy == name && listeners.indices.contains(index)
                && Self.fit(of: listeners[index], endpoint) >= 2
        }
        return index.map { socket($0, toward: endpoint) }
    }

    // MARK: What is written

    /// Writes transport and sent-by of our Via: `UDP 127.0.0.11:5060`.
    func writeSentBy(_ listener: ListenerID, into writer: inout ByteWriter) {
        writer.put(transport(listener).name)
        writer.put(0x20)
        writer.put(sentBy(listener))
    }

    /// Writes what stands above a request that leaves: our Via, and the Record-Routes of `recorded`.
    func writeTop(
        _ branch: Branch, _ recorded: RecordedRoute?, from upstream: ListenerID, to downstream: ListenerID,
        secure: Bool, above standing: [UInt8]?, into writer: inout ByteWriter
    ) {
        writer.put("Via: ")
        Proxy.writeVia(self, branch, downstream, into: &writer)
        writer.put("\r\n")
        if let recorded {
            writeRecordRoutes(
                recorded, upstream: upstream, downstream: downstream, secure: secure, above: standing, into: &writer)
        }
    }

    /// Writes the Record-Routes of a dialog: one where both sides know us by one name, two where the names differ, the
    /// one for upstream below (RFC 5658). With `secure` the URIs are sips (RFC 3261 §16.6 step 4).
    /// - Parameter standing: Our entry that stands on top, from its host on, in a request that has come straight back:
    ///   it is not written again.
    func writeRecordRoutes(
        _ recorded: RecordedRoute, upstream: ListenerID, downstream: ListenerID, secure: Bool, above standing: [UInt8]?,
        into writer: inout ByteWriter
    ) {
        var stands = false
        if let standing {
            let below = advertised(upstream)
            stands = standing.starts(with: below) && standing.dropFirst(below.count).first == UInt8(ascii: ";")
        }
        let differs = downstream != upstream && advertised(downstream) != advertised(upstream)
        if differs || !stands { writeRecordRoute(recorded, downstream, secure: secure, into: &writer) }
        if differs, !stands { writeRecordRoute(recorded, upstream, secure: secure, into: &writer) }
    }

    private func writeRecordRoute(
        _ recorded: RecordedRoute, _ listener: ListenerID, secure: Bool, into writer: inout ByteWriter
    ) {
        writer.put(secure && transport(listener) != .udp ? "Record-Route: <sips:" : "Record-Route: <sip:")
        writer.put(advertised(listener))
        writer.put(";lr;")
        writer.put(routeParameter)
        writer.put("=")
        writer.putHex(recorded.did.rawValue, digits: 16)
        writer.put(recorded.parameters)
        writer.put(">\r\n")
    }
}

/// What our Record-Route says: of which dialog it is, and what a script adds to that.
struct RecordedRoute {
    var did: DialogID
    /// `;name=value…`
    var parameters: [UInt8]
}

extension Proxy {
    /// The socket toward an endpoint; of two that are as close, `near`.
    func egressListener(_ endpoint: Endpoint, near: ListenerID? = nil) -> ListenerID {
        settings.listener(toward: endpoint, near: near)
    }

    /// The socket that a request leaves from.
    func listener(for plan: RequestPlan, toward hop: Endpoint) -> ListenerID {
        if plan.flow != .none, let live = flows[plan.flow] { return live.listener }
        if let named = plan.routeListener, let listener = settings.listener(named, toward: hop) { return listener }
        return egressListener(hop, near: plan.near)
    }

    /// The socket that a further branch of a request leaves from.
    func listener(for context: ResponseContext, toward hop: Endpoint) -> ListenerID {
        if let named = context.routeListener, let listener = settings.listener(named, toward: hop) { return listener }
        return egressListener(hop, near: context.near)
    }

    /// The socket that a request of the cluster's own leaves from: the one that its Via names, if it is this node's.
    mutating func listener(ofGenerated request: [UInt8], toward endpoint: Endpoint) -> ListenerID {
        guard settings.names.count > 1, loadStored(request), let via = try? stored.topmostVia(),
            let named = settings.listener(sentBy: stored.copy(via.sentBy), toward: endpoint)
        else { return egressListener(endpoint) }
        return named
    }

    /// What a side of a record keeps of the listener toward it: nothing where that is the home's name anyway.
    func sentByInRecord(_ listener: ListenerID) -> [UInt8] {
        let main = settings.mainListener
        if listener == main { return [] }
        let name = settings.sentBy(listener)
        return name == settings.sentBy(main) ? [] : name
    }

    /// sent-by of a request that the cluster makes to one side: the home's name there, else the home's, else ours.
    func generatedSentBy(_ home: Record.Home?, _ side: Record.Side, toward endpoint: Endpoint) -> [UInt8] {
        for name in [side.sentBy, home?.sentBy ?? []] where !name.isEmpty && Self.isOfFamily(name, of: endpoint) {
            return name
        }
        return settings.sentBy(egressListener(endpoint))
    }

    /// Whether who is at an endpoint can send to a host and port; to a name everybody can.
    private static func isOfFamily(_ name: [UInt8], of endpoint: Endpoint) -> Bool {
        if endpoint == .none { return true }
        if name.first == UInt8(ascii: "[") { return endpoint.address.isIPv6 }
        let host = ByteRange(start: 0, end: name.firstIndex(of: UInt8(ascii: ":")) ?? name.count)
        return !endpoint.address.isIPv6 || Address(bytes: name, range: host) == nil
    }

    /// A request whose topmost Via names what its hop can send to: the hop was found after it had been written.
    mutating func request(_ bytes: [UInt8], at endpoint: Endpoint) -> [UInt8] {
        guard loadStored(bytes), let via = try? stored.topmostVia() else { return bytes }
        let isOfFamily = Self.isOfFamily(stored.copy(via.sentBy), of: endpoint)
        guard via.transport != endpoint.transport || !isOfFamily else { return bytes }
        let listener = egressListener(endpoint)
        editor.begin()
        editor.replace(ByteRange(start: Int(via.element.start), end: Int(via.sentBy.end))) { [settings] writer in
            writer.put("SIP/2.0/")
            settings.writeSentBy(listener, into: &writer)
        }
        scratch.removeAll()
        editor.write(stored, into: &scratch)
        return scratch.copy()
    }
}

// `sip`: where SIP comes in, what goes into Via and Record-Route, and the transaction timers.

package import Proxy
package import SIP

package struct SIPSettings: Equatable, Sendable {
    /// `sip.egress`: where requests leave.
    package enum Egress: String, CaseIterable, Sendable {
        case direct
        /// By the first `sip.balancer` as the next hop, without a Route for it.
        case balancer
    }

    /// `sip.via`: what our Via names.
    package enum ViaChoice: String, CaseIterable, Sendable {
        /// This node's listen or service address.
        case own
        /// The advertised address: only where every node really sends from it (IPVS-DR, anycast).
        case advertise
    }

    /// `sip.late-answer`: what becomes of a 2xx from another callee than the one that has answered.
    package enum LateAnswer: String, CaseIterable, Sendable {
        /// It goes upstream as RFC 3261 §16.7 step 5 asks, and the caller ends the call that it does not want.
        case forward
        /// The cluster ends that call, by ACK and BYE to its callee; the caller hears nothing of it.
        case end
    }

    /// `sip.listen`, required; `udp://`, `tcp://`, `tls://`, `ws://` or `wss://` with `ADDRESS:PORT`, comma list; 1 to
    /// 8, no duplicates, no wildcard address, because the address goes into Via. With `cluster.peers` at least one is
    /// `udp`: members pass messages to each other by it.
    package var listen: [Endpoint] = []
    /// `sip.advertise`; SIP URIs for Record-Route, at most one a transport and address family, each of a transport and
    /// family that `listen` has; a host name serves both families. Default: each listener's own address. Shared by all
    /// nodes behind one balancer. Two sockets of one transport and family have one name then: the balancer is before
    /// both.
    package var advertise: [ConfiguredURI] = []
    /// `sip.alias`: domains that a script takes for ours, in lower case.
    package var alias: [String] = []
    /// `sip.balancer`; `ADDRESS` or `ADDRESS:PORT` (default port 5060), comma list; whose packets come for others.
    package var balancer: [Endpoint] = []
    /// `sip.force_rport`, `auto|true|false`, default auto.
    package var forceRport: ForceRport = .auto
    /// `sip.egress`, `direct|balancer`, default direct.
    package var egress: Egress = .direct
    /// `sip.service-address`; `ADDRESS:PORT` that moves between hosts (VRRP); opened with IP_FREEBIND; default none.
    package var serviceAddress: Endpoint?
    /// `sip.via`, `own|advertise`, default own.
    package var via: ViaChoice = .own
    /// `sip.late-answer`, `forward|end`, default forward.
    package var lateAnswer: LateAnswer = .forward
    /// `sip.min-se`, seconds, 0 (any) or 90 to 86 400, default 0: an INVITE or UPDATE with a shorter Session-Expires,
    /// whose sender supports timers, gets 422 with Min-SE (RFC 4028 §8.1).
    package var minimumSession: Duration = .zero
    /// `sip.session-expires`, seconds, 0 (off) or 90 to 86 400 and not below `min-se`, default 0: the session timer
    /// that every INVITE and UPDATE asks for (RFC 4028 §8.1).
    package var sessionInterval: Duration = .zero
    /// `sip.lenient`, default true: an in-dialog request that has no Route and names us in its Request-URI goes by the
    /// dialog's route set as the record has it; otherwise it gets 404.
    package var isLenient = true
    /// `sip.t1-ms`, milliseconds, 50 to 5000, default 500 (RFC 3261 §17.1.1.1).
    package var t1: Duration = .milliseconds(500)
    /// `sip.t2-ms`, milliseconds, T1 to 32 000, default 4000.
    package var t2: Duration = .milliseconds(4_000)
    /// `sip.t4-ms`, milliseconds, 50 to 60 000, default 5000.
    package var t4: Duration = .milliseconds(5_000)
    /// `sip.timer-c-s`, seconds, 180 to 3600, default 181: RFC 3261 §16.6 step 11 asks for more than three minutes.
    package var timerC = TransactionTimers.standardC
    /// `sip.max-forwards`, 1 to 255, default 70: for a request that comes without one, and for our own.
    package var maxForwards = 70
    /// `sip.tcp.*` and `sip.tls.*`: connections.
    package var streams = ConnectionSettings()

    package init() {}

    package static let listenLimit = 8

    /// What goes into Record-Route for a listener: the URI of its transport and family, else the one of its transport
    /// that is a name; `nil` with an empty `advertise`, when it is the listener's own address.
    package func advertised(for listener: Endpoint) -> ConfiguredURI? {
        let fitting = advertise.filter { $0.transport == listener.transport }
        return fitting.first { $0.address?.isIPv6 == listener.address.isIPv6 } ?? fitting.first { $0.address == nil }
    }

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        listenProblems(&list)
        advertiseProblems(&list)
        if egress == .balancer, balancer.isEmpty {
            list.add("sip.egress", "balancer needs sip.balancer, the address requests leave by")
        }
        if egress == .balancer, let first = balancer.first, !listen.isEmpty,
            !listen.contains(where: { $0.transport == .udp && $0.address.isIPv6 == first.address.isIPv6 })
        {
            let family = Self.family(first.address)
            list.add("sip.egress", "\(first.text) is reached by udp over \(family), which sip.listen does not have")
        }
        list.range("sip.t1-ms", t1)
        // A T1 that is wrong itself is no measure for T2.
        let least = (.milliseconds(50)...(.milliseconds(5_000))).contains(t1) ? t1 : .zero
        if t2 < least || t2 > .milliseconds(32_000) { list.add("sip.t2-ms", "must be sip.t1-ms to 32000 milliseconds") }
        list.range("sip.t4-ms", t4)
        list.range("sip.timer-c-s", timerC)
        list.range("sip.max-forwards", maxForwards)
        let needsCertificate = listen.contains { $0.transport == .tls || $0.transport == .wss }
        list.range("sip.min-se", minimumSession)
        list.range("sip.session-expires", sessionInterval)
        if sessionInterval != .zero, sessionInterval < minimumSession {
            list.add("sip.session-expires", "must not be below sip.min-se, which refuses such sessions")
        }
        return list.problems + streams.problems(needsCertificate: needsCertificate)
    }

    private func listenProblems(_ list: inout ProblemList) {
        if listen.isEmpty { list.add("sip.listen", "is required: at least one address like udp://192.0.2.1:5060") }
        if listen.count > Self.listenLimit { list.add("sip.listen", "at most \(Self.listenLimit) addresses") }
        for (index, endpoint) in listen.enumerated() {
            let text = "\(endpoint.transport.configuredName)://\(endpoint.text)"
            if endpoint.address.isUnspecified {
                list.add("sip.listen", "\(text): name one address of this host, because it goes into Via")
            }
            if listen[..<index].contains(endpoint) { list.add("sip.listen", "\(text) is there twice") }
        }
        for (index, endpoint) in listen.enumerated() where endpoint.transport != .udp {
            let sharesPort = listen[..<index].first { other in
                other.transport != .udp && other.transport != endpoint.transport && other.address == endpoint.address
                    && other.port == endpoint.port
            }
            if let sharesPort {
                let names = "\(sharesPort.transport.configuredName) and \(endpoint.transport.configuredName)"
                list.add("sip.listen", "\(names) cannot share \(endpoint.text): both are TCP ports")
            }
        }
        if let serviceAddress, serviceAddress.transport != .udp {
            list.add("sip.service-address", "\(serviceAddress.text): only udp moves with an address")
        }
        if let serviceAddress, serviceAddress.address.isUnspecified {
            list.add("sip.service-address", "\(serviceAddress.text): name one address")
        }
    }

    private func advertiseProblems(_ list: inout ProblemList) {
        for (index, uri) in advertise.enumerated() {
            if let twin = twin(of: index) {
                list.add(
                    "sip.advertise",
                    "\(twin.text) and \(uri.text) are for the same transport; give one a transport and family")
            }
            if uri.address?.isUnspecified == true { list.add("sip.advertise", "\(uri.text) is no address to send to") }
        }
        unusableProblems(&list)
    }

    /// The URI before this one that is for the same transport and family.
    private func twin(of index: Int) -> ConfiguredURI? {
        let uri = advertise[index]
        return advertise[..<index].first {
            $0.transport == uri.transport && $0.address?.isIPv6 == uri.address?.isIPv6
        }
    }

    /// Listeners that have no name for Record-Route, and names that no listener has.
    private func unusableProblems(_ list: inout ProblemList) {
        guard !advertise.isEmpty else { return }
        var missing: [String] = []
        for endpoint in listen where advertised(for: endpoint) == nil {
            let (name, family) = (endpoint.transport.configuredName, Self.family(endpoint.address))
            let host = endpoint.address.isIPv6 ? "[ADDRESS]" : "ADDRESS"
            let text = "nothing for \(name) over \(family), which sip.listen has; add sip:\(host):PORT"
            let whole = endpoint.transport == .udp ? text : "\(text);transport=\(name)"
            if !missing.contains(whole) { missing.append(whole) }
        }
        for text in missing { list.add("sip.advertise", text) }
        for (index, uri) in advertise.enumerated()
        where twin(of: index) == nil && !listen.contains(where: { advertised(for: $0) == uri }) {
            let family = uri.address.map { " over \(Self.family($0))" } ?? ""
            list.add(
                "sip.advertise",
                "\(uri.text) is of no use: sip.listen has no \(uri.transport.configuredName)\(family) without another")
        }
    }

    private static func family(_ address: Address) -> String { address.isIPv6 ? "IPv6" : "IPv4" }
}

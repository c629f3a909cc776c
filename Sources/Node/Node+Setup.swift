// From validated settings to what the machines work with: keys, names and numbers, in the form that the hot path reads.

import Cluster
import Dialogs
import Primitives
import Proxy
import SIP

extension Node {
    /// The keyed hash of the cluster: from its key, or, on loopback without one, from its name. All members have the
    /// same.
    static func makeHash(_ settings: Settings) -> KeyedHash {
        let name = Array(settings.cluster.name.utf8)
        let secret = settings.cluster.key.bytes
        func derive(_ domain: UInt64) -> UInt64 {
            var stream = KeyedHash(key0: domain, key1: 0x756e_6465_7273_7475).begin()
            stream.combine(RawSpan(_elements: name.span))
            stream.combine(RawSpan(_elements: secret.span))
            return stream.finish()
        }
        return KeyedHash(key0: derive(1), key1: derive(2))
    }

    /// A process in a branch: 32 bits of a keyed hash of name and boot, never 0.
    static func memberTag(name: String, boot: UInt64, hash: KeyedHash) -> UInt32 {
        var stream = hash.begin()
        let bytes = Array(name.utf8)
        stream.combine(RawSpan(_elements: bytes.span))
        stream.combine(boot)
        return UInt32(truncatingIfNeeded: stream.finish()) | 1
    }

    static func makeProxySettings(_ settings: Settings, boot: UInt64, hash: KeyedHash) -> ProxySettings {
        var proxy = ProxySettings()
        let sip = settings.sip
        proxy.listeners = sip.listen
        if let service = sip.serviceAddress, !sip.listen.contains(service) {
            proxy.serviceListener = proxy.listeners.count
            proxy.listeners.append(service)
        }
        proxy.ownNames = names(sip)
        proxy.names = makeListenerNames(sip, proxy.listeners)
        proxy.routeParameter = Array(settings.dialogs.rrParameter.utf8)
        proxy.forceRport = sip.forceRport
        proxy.balancers = sip.balancer.map(\.address)
        proxy.egress = sip.egress == .balancer ? sip.balancer.first : nil
        proxy.lenient = sip.isLenient
        proxy.timers = TransactionTimers(
            t1: sip.t1, t2: sip.t2, t4: sip.t4, c: sip.timerC)
        proxy.lifetime = settings.dialogs.defaultTimeout
        proxy.keepsDeadline = settings.dialogs.keepsDeadline
        proxy.extraHeaders = Array(settings.dialogs.extraHeaders.utf8)
        proxy.tellsEvents = settings.dialogs.tellsEvents
        proxy.earlyTimeout = settings.dialogs.earlyTimeout
        proxy.earlyEndCode = settings.dialogs.byeEarlyCode
        proxy.earlyEndReason = Array(settings.dialogs.byeEarlyReason.utf8)
        proxy.maxForwards = sip.maxForwards
        proxy.earlyTakeover = settings.takeover.early
        proxy.earlyGrace = settings.takeover.earlyGrace
        proxy.stagger = settings.takeover.stagger
        proxy.endsLateAnswers = sip.lateAnswer == .end
        proxy.refusesUnrecorded = settings.dialogs.unrecorded == .refuse
        proxy.minimumSession = UInt32(sip.minimumSession.wholeMilliseconds / 1_000)
        proxy.sessionInterval = UInt32(sip.sessionInterval.wholeMilliseconds / 1_000)
        makeRoutes(settings, into: &proxy)
        makeAdmission(settings, into: &proxy)
        proxy.registrarDomains = settings.registrar.domains.map { Array($0.utf8) }
        proxy.realms = settings.registrar.credentials.isEmpty ? [] : proxy.registrarDomains
        proxy.keepAlive = makeKeepAlive(settings.dialogs)
        proxy.mark = UInt16(truncatingIfNeeded: hash.hash(RawSpan(_elements: Array(settings.cluster.name.utf8).span)))
        proxy.memberTag = memberTag(name: settings.node.name, boot: boot, hash: hash)
        proxy.nodeName = Array(settings.node.name.utf8)
        proxy.boot = boot
        return proxy
    }

    /// What each listener is called. A service address stands in the Via of the first UDP listener of its family, too:
    /// an answer has to find it wherever it moves (S1-1).
    private static func makeListenerNames(_ sip: SIPSettings, _ listeners: [Endpoint]) -> [ListenerName] {
        let service = sip.serviceAddress
        let stands = service.flatMap { service in
            sip.listen.firstIndex { $0.transport == .udp && $0.address.isIPv6 == service.address.isIPv6 }
        }
        return listeners.enumerated().map { index, endpoint in
            let own = Array((index == stands ? service ?? endpoint : endpoint).text.utf8)
            let shared = sip.advertised(for: endpoint).map(hostPort) ?? Array(endpoint.text.utf8)
            let parameter =
                endpoint.transport == .udp ? [] : Array(";transport=\(endpoint.transport.configuredName)".utf8)
            return ListenerName(
                transport: endpoint.transport, sentBy: sip.via == .advertise ? shared : own,
                advertised: shared + parameter)
        }
    }

    private static func hostPort(_ uri: ConfiguredURI) -> [UInt8] {
        let host = uri.address?.isIPv6 == true && !uri.host.hasPrefix("[") ? "[\(uri.host)]" : uri.host
        return Array((uri.port.map { "\(host):\($0)" } ?? host).utf8)
    }

    /// The named sets, then those of routes with targets of their own; and the routes, which point to them.
    static func makeRoutes(_ settings: Settings, into proxy: inout ProxySettings) {
        proxy.targetSets = settings.sets.map { makeSet($0) }
        for route in settings.routes {
            var index = proxy.targetSets.count
            switch route.destination {
            case .own(let set): proxy.targetSets.append(makeSet(set))
            case .named(let name):
                guard let known = settings.sets.firstIndex(where: { $0.name == name }) else { continue }
                index = known
            }
            var made = StaticRoute(set: index)
            made.methods = route.methods.map { Array($0.utf8) }
            made.sources = route.sources
            made.isEmergency = route.isEmergency
            made.path = route.path
            made.dialog = route.dialog
            if let pattern = route.pattern { made.requestURI = { pattern.matches($0, $1.range) } }
            made.headers = route.headers.map { header in
                StaticRoute.HeaderCondition(name: Array(header.name.utf8)) {
                    header.pattern.matchesWhole($0, $1.range)
                }
            }
            proxy.routes.append(made)
        }
    }

    private static func makeSet(_ set: RouteSet) -> TargetSet {
        let targets = set.targets.map { target in
            let uri = target.uri
            let name =
                uri.address == nil
                ? ResolutionTarget(
                    isSecure: uri.isSecure, host: Array(uri.host.lowercased().utf8), port: uri.port,
                    transport: uri.namesTransport ? uri.transport : nil) : nil
            return TargetSet.Target(
                uri: Array(uri.text.utf8), namesUser: !uri.user.isEmpty, endpoint: uri.endpoint, name: name,
                isTransportOpen: !uri.namesTransport && !uri.isSecure, weight: target.weight, q: target.q)
        }
        var made = TargetSet(name: set.name, targets: targets)
        made.policy = set.policy
        made.probeInterval = set.probeInterval
        made.upAfter = set.upAfter
        made.downAfter = set.downAfter
        return made
    }

    static func makeAdmission(_ settings: Settings, into proxy: inout ProxySettings) {
        proxy.access.allow = settings.access.allow
        proxy.access.deny = settings.access.deny
        proxy.trusted = settings.access.trusted
        proxy.access.isSilent = settings.access.answer == .drop
        let limits = settings.limits
        proxy.limits.sourcePerSecond = limits.sourcePerSecond
        proxy.limits.sourceBurst = limits.effectiveSourceBurst
        proxy.limits.totalPerSecond = limits.totalPerSecond
        proxy.limits.totalBurst = limits.effectiveTotalBurst
        proxy.limits.sources = limits.sources
        proxy.limits.overloadMilliseconds = limits.overloadDelay.wholeMilliseconds
        proxy.limits.emergencyReserve = limits.emergencyReserve
    }

    private static func makeKeepAlive(_ dialogs: DialogSettings) -> KeepAliveSettings {
        var keepAlive = KeepAliveSettings()
        keepAlive.interval = dialogs.keepAliveTimer == .zero ? .zero : dialogs.keepAliveInterval
        keepAlive.failureLimit = dialogs.keepAliveFailedLimit
        keepAlive.limit = dialogs.limit
        if dialogs.keepsCallerAlive { keepAlive.flags.insert(.keepAliveToCaller) }
        if dialogs.keepsCalleeAlive { keepAlive.flags.insert(.keepAliveToCallee) }
        return keepAlive
    }

    static func makeClusterSettings(_ settings: Settings) -> ClusterSettings {
        var cluster = ClusterSettings(nodeName: settings.node.name)
        cluster.name = settings.cluster.name
        cluster.peers = settings.cluster.peers.map(\.text)
        cluster.findsPeers = settings.cluster.dns != nil
        cluster.isWitness = settings.node.isWitness
        cluster.heartbeat = settings.cluster.heartbeat
        cluster.suspicion = settings.cluster.suspicion
        cluster.quorum = settings.cluster.quorum == .auto ? .auto : .majority
        cluster.bootstrapAfter = settings.cluster.bootstrapAfter
        cluster.forgetAfter = settings.cluster.forgetAfter
        // A tenth of the lifetime is what a lone survivor may be late by (R4).
        cluster.loneGrace = min(settings.cluster.loneGrace, settings.dialogs.defaultTimeout / 10)
        cluster.linger = settings.replication.linger
        cluster.intentLife = settings.takeover.intentLife
        cluster.requiresCodes = !settings.cluster.key.isEmpty
        cluster.horizon = settings.cluster.bounds.horizon
        cluster.ringCapacity = settings.cluster.bounds.ring
        cluster.parkedLimit = settings.cluster.bounds.parked
        return cluster
    }

    /// What can be sent: over the transports and from the families of the listeners, in their order.
    static func makeResolverSettings(_ settings: Settings) -> ResolverSettings {
        var resolver = ResolverSettings()
        var transports: [TransportProtocol] = []
        for endpoint in settings.sip.listen where !transports.contains(endpoint.transport) {
            transports.append(endpoint.transport)
        }
        if !transports.isEmpty { resolver.transports = transports }
        resolver.families = settings.dns.families(listen: settings.sip.listen)
        resolver.timeout = settings.dns.timeout
        resolver.cacheLimit = settings.dns.cacheEntries
        return resolver
    }

    /// What the other members hear of this node besides its name.
    static func makeHello(_ settings: Settings, software: String) -> Hello {
        Hello(
            management: settings.management.told(bus: settings.cluster.bus),
            sip: settings.sip.listen.first { $0.transport == .udp }?.text ?? "",
            service: settings.sip.serviceAddress?.text ?? "",
            names: names(settings.sip).map(\.configured).joined(separator: " "),
            // A witness has none of what must be the same.
            settings: settings.node.isWitness
                ? [] : sharedSettings(settings).map { fingerprint($0.value, key: $0.key) },
            software: software)
    }

    /// What must be the same on all nodes, by key and value as one text. The order is part of the wire format: further
    /// keys are added at the end.
    static func sharedSettings(_ settings: Settings) -> [(key: String, value: String)] {
        [
            ("ims_dialog.hash_size", String(settings.dialogs.hashSize)),
            ("ims_dialog.rr_param", settings.dialogs.rrParameter),
            // Without it each node names itself, which is no difference.
            ("sip.advertise", settings.sip.advertise.map(\.text).sorted().joined(separator: " ")),
            ("sip.balancer", settings.sip.balancer.map(\.text).sorted().joined(separator: " ")),
        ]
    }

    /// Never 0, which the wire leaves out.
    private static func fingerprint(_ value: String, key: String) -> UInt64 {
        let bytes = Array("\(key)=\(value)".utf8)
        return KeyedHash(key0: 0x7368_6172_6564, key1: 0x7365_7474_696e_6773).hash(RawSpan(_elements: bytes.span)) | 1
    }

    /// The keys in which a member's settings are not ours; none for a member that does not tell.
    static func differences(_ mine: [UInt64], _ theirs: [UInt64], _ settings: Settings) -> [String] {
        zip(zip(mine, theirs), sharedSettings(settings)).filter { $0.0.0 != $0.0.1 }.map(\.1.key)
    }

    /// Listen, service and advertised addresses: what a Route of this node may be called (S1-5).
    static func names(_ sip: SIPSettings) -> [HostPort] {
        var names = sip.listen.map { HostPort($0) }
        if let service = sip.serviceAddress, !sip.listen.contains(service) { names.append(HostPort(service)) }
        for uri in sip.advertise {
            names.append(HostPort(host: Array(uri.host.utf8), port: uri.port ?? uri.transport.defaultPort))
        }
        return names
    }

    static func outcome(_ result: ProbeResult) -> ProbeOutcome {
        switch result {
        case .refused: .refused
        case .connected: .connected
        case .silent: .silent
        }
    }
}

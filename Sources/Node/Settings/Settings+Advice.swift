// What can be used and is probably not meant: a configuration that loops, a route that never matches, a name that
// nobody reaches. Each is told with what to do; none of them keeps a node from starting, because somebody may mean it.

import Proxy
import SIP

extension Settings {
    /// Warnings, in no particular order; those values that `problems()` objects to are not looked at again.
    package func advice() -> [SettingProblem] {
        var list = ProblemList()
        adviseSIP(&list)
        adviseCluster(&list)
        adviseRoutes(&list)
        adviseManagement(&list)
        adviseAccess(&list)
        adviseModule(&list)
        adviseRegistrar(&list)
        return list.problems
    }

    private func adviseSIP(_ list: inout ProblemList) {
        if !sip.balancer.isEmpty, sip.advertise.isEmpty {
            let balancer = sip.balancer[0]
            list.add(
                "sip.balancer",
                "without sip.advertise a node puts its own address into Record-Route, and requests "
                    + "within a call go past "
                    + "the balancer or round in a loop; add sip.advertise: [sip:\(balancer.text)]")
        }
        for (index, balancer) in sip.balancer.enumerated() {
            if sip.balancer[..<index].contains(balancer) { list.add("sip.balancer", "\(balancer.text) is there twice") }
            if !sip.listen.contains(where: { $0.address.isIPv6 == balancer.address.isIPv6 }) {
                list.add("sip.balancer", "\(balancer.text) is of no use: sip.listen has no address of its family")
            }
        }
        let isSecured = sip.listen.contains { $0.transport == .tls || $0.transport == .wss }
        if !sip.streams.certificateFile.isEmpty, !isSecured {
            list.add("sip.tls.certificate-file", "is of no use: sip.listen has neither tls nor wss")
        }
    }

    // MARK: Cluster

    private func adviseCluster(_ list: inout ProblemList) {
        guard let bus = cluster.bus else { return }
        for peer in cluster.peers where peer.address.isLoopback != bus.address.isLoopback {
            if peer.address.isLoopback {
                list.add(
                    "cluster.peers",
                    "\(peer.text) is this host itself; name the address that the node has in its cluster.bus")
            } else {
                list.add("cluster.bus", "\(bus.text) is a loopback address, which \(peer.text) cannot reach")
            }
        }
    }

    // MARK: Routes

    private func adviseRoutes(_ list: inout ProblemList) {
        for (index, route) in routes.enumerated() {
            let name = "route \(index + 1)"
            if let pattern = route.pattern, !pattern.canMatchURI {
                list.add(
                    "routes",
                    "\(name) can never match: a Request-URI begins with its scheme, like sip:, and '\(pattern.text)' "
                        + "does not take one")
            }
            let earlier = routes[..<index].firstIndex { $0.takesAll(of: route) }
            if let earlier {
                list.add(
                    "routes",
                    "\(name) can never match: route \(earlier + 1) takes all that it would; put it before that one, or "
                        + "delete it")
            }
            if let pattern = route.pattern, let mark = pattern.repeatedColon {
                let meant = mark == "+" ? "\\+ for a plus" : mark == "*" ? ".* for any text" : ". for any character"
                list.add(
                    "routes",
                    "\(name): in '\(pattern.text)' the '\(mark)' repeats the ':' before it; write \(meant)")
            }
            adviseMethods(of: route, name, &list)
            if case .own(let set) = route.destination {
                adviseTargets(of: set, "routes", name, &list)
                advisePolicy(of: set, "routes", name, &list)
            }
        }
        for set in sets {
            advisePolicy(of: set, "sets", "set \(set.name)", &list)
            adviseTargets(of: set, "sets", "set \(set.name)", &list)
            if !routes.contains(where: { $0.destination == .named(set.name) }) {
                list.add("sets", "no route goes to set \(set.name)")
            }
        }
    }

    private func adviseRegistrar(_ list: inout ProblemList) {
        guard script.lua.isEmpty else { return }
        if registrar.domains.isEmpty, registrar != RegistrarSettings() {
            list.add(
                "registrar.domains",
                "is missing: without it, or a script, no phone registers here, and the other keys of registrar are of "
                    + "no use")
        }
        if !sip.alias.isEmpty {
            list.add("sip.alias", "is of no use without script.lua: only a script asks which domains are ours")
        }
        for (index, domain) in registrar.domains.enumerated() where registrar.domains[..<index].contains(domain) {
            list.add("registrar.domains", "\(domain) is there twice")
        }
        let range = registrar.minExpires...max(registrar.minExpires, registrar.maxExpires)
        if !registrar.domains.isEmpty, !range.contains(registrar.defaultExpires) {
            list.add(
                "registrar.default_expires",
                "is not between registrar.min_expires and registrar.max_expires, which hold")
        }
    }

    /// Words behind a target that its policy does not look at.
    private func advisePolicy(of set: RouteSet, _ key: String, _ name: String, _ list: inout ProblemList) {
        // A script chooses for itself.
        guard script.lua.isEmpty else { return }
        let (usesWeight, policy) = ([.weight, .hash].contains(set.policy), set.policy.rawValue)
        if !usesWeight, set.targets.contains(where: { $0.weight != 1 }) {
            list.add(key, "\(name): weight= has no effect with policy \(policy); write policy: weight, or hash")
        }
        if ![.failover, .parallel].contains(set.policy), set.targets.contains(where: { $0.q != 1_000 }) {
            list.add(key, "\(name): q= has no effect with policy \(policy); write policy: failover, or parallel")
        }
    }

    /// A call that is sent to ourselves comes back to the same route, and again, until it is told for a loop.
    private func adviseTargets(of set: RouteSet, _ key: String, _ name: String, _ list: inout ProblemList) {
        for target in set.targets {
            let words = ["weight", "q"].filter { target.uri.text.lowercased().contains(";\($0)=") }
            for word in words {
                list.add(
                    key,
                    "\(name): in \(target.uri.text) ;\(word)= is a parameter that is sent on; what this node looks at "
                        + "stands behind the URI, after a space, like 'sip:192.0.2.1 \(word)=1'")
            }
        }
        for target in set.targets where target.uri.user.contains("$") {
            list.add(key, "\(name): \(target.uri.text) is sent as it stands: a target has no variables")
        }
        for target in set.targets where target.uri.user.isEmpty {
            guard let endpoint = target.uri.endpoint else { continue }
            if sip.listen.contains(endpoint) || sip.serviceAddress == endpoint {
                list.add(
                    key,
                    "\(name): \(target.uri.text) is this node's own address: every call would come "
                        + "back to it and end with "
                        + "482; name where the calls are to go")
            } else if sip.advertise.contains(where: { $0.endpoint == endpoint }) {
                list.add(
                    key,
                    "\(name): \(target.uri.text) is in sip.advertise, so it leads back to this "
                        + "cluster; name where the calls "
                        + "are to go")
            }
        }
    }

    /// A method may be any word, but one that is almost a known one is that one, misspelt.
    private func adviseMethods(of route: Route, _ name: String, _ list: inout ProblemList) {
        let known = Method.allCases.map { String(describing: $0.name) }.filter { !$0.isEmpty }
        for method in route.methods where ["ACK", "CANCEL"].contains(method) {
            list.add("routes", "\(name): \(method) goes where its INVITE went, and never by a route; leave it out")
        }
        for method in route.methods where !known.contains(method) {
            guard let near = NearMiss.of(method, among: known) else { continue }
            list.add("routes", "\(name): no request has the method \(method); did you mean \(near)?")
        }
    }

    private func adviseAccess(_ list: inout ProblemList) {
        if limits.totalPerSecond > 0, limits.sourcePerSecond > limits.totalPerSecond {
            list.add("limits.source-per-second", "is of no use: limits.total-per-second is less, and goes for all")
        }
        for block in access.deny where block.prefixLength == 0 {
            let family = block.address.isIPv6 ? "IPv6" : "IPv4"
            list.add("access.deny", "\(block.text) is every \(family) address: nobody could send anything")
        }
        for block in access.allow where access.deny.contains(where: { $0.prefixLength > 0 && $0.covers(block) }) {
            list.add("access.allow", "\(block.text) is of no use: access.deny has it too, and goes first")
        }
        for block in access.trusted where block.prefixLength == 0 {
            list.add("access.trusted", "\(block.text) believes everybody who they say they are")
        }
        let families = Set(access.allow.map(\.address.isIPv6))
        for isIPv6 in [false, true] where !families.isEmpty && !families.contains(isIPv6) {
            guard sip.listen.contains(where: { $0.address.isIPv6 == isIPv6 }) else { continue }
            let family = isIPv6 ? "IPv6" : "IPv4"
            list.add("access.allow", "has no \(family) address, so nobody may send to the \(family) ones of sip.listen")
        }
    }

    // MARK: Management

    private func adviseManagement(_ list: inout ProblemList) {
        let isBusElsewhere = cluster.bus.map { !$0.address.isLoopback } ?? false
        if let told = management.advertise?.address, told.isLoopback, isBusElsewhere {
            list.add("management.advertise", "members on other hosts cannot reach a loopback address")
        }
        if management.http == nil, management.hasTLS {
            list.add("management.tls.certificate-file", "is of no use without management.http")
        }
        if management.isInsecure, management.hasTLS {
            list.add("management.insecure", "is of no use with management.tls, which is served; leave it out")
        }
        if management.http == nil, !management.tokenFile.isEmpty {
            list.add("management.token-file", "is of no use without management.http")
        }
        if let advertise = management.advertise, !advertise.isSecure, management.http != nil, management.hasTLS {
            list.add("management.advertise", "is http://, and management.tls makes management speak https:// only")
        }
        if !management.tokenFile.isEmpty, management.tokenFile == cluster.keyFile {
            list.add(
                "management.token-file",
                "is cluster.key-file too, so whoever may ask a node has the cluster's key; make one of its own with "
                    + "understudy key new")
        }
    }
}

extension Route {
    /// Whether every request that the other route takes is taken by this one, as far as that shows without running
    /// patterns against each other.
    func takesAll(of other: Route) -> Bool {
        let coversURI = pattern.map { $0.takesEverything || $0 == other.pattern } ?? true
        let coversMethod = methods.isEmpty || !other.methods.isEmpty && other.methods.allSatisfy(methods.contains)
        let coversSource = sources.isEmpty || !other.sources.isEmpty && other.sources.allSatisfy(sources.contains)
        return coversURI && coversMethod && coversSource && (headers.isEmpty || headers == other.headers)
    }
}

extension RoutePattern {
    /// What stands behind a ':' and repeats it, which nobody means: `sip:*@`, `sip:+49.*`.
    var repeatedColon: Character? {
        var (isInSet, before): (Bool, Character?) = (false, nil)
        for sign in text {
            if before == "\\" {
                before = nil
                continue
            }
            if before == ":", !isInSet, "*+?".contains(sign) { return sign }
            if sign == "[" || sign == "]" { isInSet = sign == "[" }
            before = sign
        }
        return nil
    }

    /// Written in a way that takes every text.
    var takesEverything: Bool {
        var core = Substring(text)
        if core.hasPrefix("^") { core = core.dropFirst() }
        if core.hasSuffix("$") { core = core.dropLast() }
        return core == ".*" || core == "(.*)"
    }

    /// Whether a text that begins with the scheme of a Request-URI can be taken.
    var canMatchURI: Bool { ["sip:", "sips:", "tel:", "urn:"].contains { canBegin(with: Array($0.utf8)) } }
}

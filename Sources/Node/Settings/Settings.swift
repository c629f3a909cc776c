// A node's settings: validated values, one struct a subsystem, whose comments are the reference (key, unit, range,
// default). Nothing here reads a file, a variable or a clock; Management's loader turns texts into these values by way
// of `SettingKey`, and the simulator writes them directly. What of it a running node takes anew is in `Node+Reload`.

import SIP

package struct Settings: Equatable, Sendable {
    package var node = NodeSettings()
    package var sip = SIPSettings()
    package var dns = DNSSettings()
    package var cluster = ClusterConfiguration()
    package var replication = ReplicationSettings()
    package var dialogs = DialogSettings()
    package var takeover = TakeoverSettings()
    /// `routes`: the first match wins; without one a request goes by its Request-URI.
    package var routes: [Route] = []
    /// `sets`: targets under a name, for several routes.
    package var sets: [RouteSet] = []
    package var access = AccessSettings()
    package var limits = LimitSettings()
    package var management = ManagementSettings()
    package var trace = TraceSettings()
    package var script = ScriptSettings()
    package var registrar = RegistrarSettings()
    package var storage = StorageSettings()

    package init() {}

    package static let routeLimit = 256
    package static let setLimit = 64

    /// Every reason these values cannot be used together; empty when they can.
    package func problems() -> [SettingProblem] {
        if node.isWitness { return witnessProblems() }
        var list =
            node.problems() + sip.problems() + dns.problems(listen: sip.listen) + cluster.problems()
            + replication.problems() + dialogs.problems() + takeover.problems() + management.problems()
            + trace.problems()
            + access.problems() + limits.problems() + routeProblems() + scriptProblems()
            + registrar.problems(hasScript: !script.lua.isEmpty) + storage.problems()
        if !cluster.peers.isEmpty, !sip.listen.isEmpty, !sip.listen.contains(where: { $0.transport == .udp }) {
            let message = "at least one must be udp: the members of a cluster pass messages to each other by it"
            list.append(SettingProblem(key: "sip.listen", message: message))
        }
        return list + addressProblems() + portProblems()
    }

    /// A witness has a name, a bus and peers; what it cannot have is refused, so that nobody takes it for a node.
    private func witnessProblems() -> [SettingProblem] {
        var list = ProblemList()
        if cluster.peers.isEmpty, cluster.dns == nil {
            list.add("cluster.peers", "a witness votes with others: list the nodes' buses, or name cluster.dns")
        }
        let others = "is of no use to a witness (node.witness), which has no SIP; leave it out"
        if !sip.listen.isEmpty { list.add("sip.listen", others) }
        if sip.serviceAddress != nil { list.add("sip.service-address", others) }
        if !routes.isEmpty { list.add("routes", others) }
        if !script.lua.isEmpty { list.add("script.lua", others) }
        if storage.isOn { list.add("storage.db_url", others) }
        return node.problems() + cluster.problems() + replication.problems() + takeover.problems()
            + management.problems() + trace.problems() + list.problems + addressProblems() + portProblems()
    }

    private func scriptProblems() -> [SettingProblem] {
        var list = ProblemList()
        if script.lua.isEmpty {
            if !script.path.isEmpty || !script.modules.isEmpty || !script.parameters.isDefault {
                list.add("script.lua", "is missing: nothing is run")
            }
        } else if !routes.isEmpty {
            list.add("script.lua", "routes and a script cannot both say where requests go; leave one out")
        }
        return list.problems + script.parameters.problems()
    }

    private func routeProblems() -> [SettingProblem] {
        var list = ProblemList()
        if routes.count > Self.routeLimit { list.add("routes", "at most \(Self.routeLimit)") }
        if sets.count > Self.setLimit { list.add("sets", "at most \(Self.setLimit)") }
        for (index, set) in sets.enumerated() {
            if sets[..<index].contains(where: { $0.name == set.name }) {
                list.add("sets", "'\(set.name)' is there twice")
            }
            targetProblems(of: set, "sets", &list)
        }
        for (index, route) in routes.enumerated() {
            checkDialogs(of: route, number: index + 1, &list)
            switch route.destination {
            case .own(let set): targetProblems(of: set, "routes", &list)
            case .named(let name):
                if !sets.contains(where: { $0.name == name }) {
                    let near = NearMiss.of(name, among: sets.map(\.name)).map { "; did you mean \($0)?" } ?? ""
                    list.add("routes", "route \(index + 1): '\(name)' is none of sets\(near)")
                }
            }
        }
        return list.problems
    }

    private func targetProblems(of set: RouteSet, _ key: String, _ list: inout ProblemList) {
        for uri in set.targets.map(\.uri) {
            if let reason = objection(to: uri) { list.add(key, "\(uri.text): \(reason)") }
        }
    }

    /// Why nothing can be sent to a target; `nil` when it can.
    private func objection(to uri: ConfiguredURI) -> String? {
        let transport = uri.transport
        if let address = uri.address {
            if address.isUnspecified { return "is no address to send to" }
            if let objection = address.objection { return objection }
        }
        if transport == .udp {
            guard sip.egress == .direct, !sip.listen.isEmpty, let address = uri.address,
                !sip.listen.contains(where: { $0.transport == .udp && $0.address.isIPv6 == address.isIPv6 })
            else { return nil }
            return "nothing in sip.listen sends udp over \(address.isIPv6 ? "IPv6" : "IPv4")"
        }
        if transport == .ws || transport == .wss { return "nobody can be connected to by WebSocket" }
        let isSpoken = sip.listen.contains { $0.transport == transport }
        return isSpoken ? nil : "nothing in sip.listen speaks \(transport.configuredName)"
    }
}

// A node's settings: validated values, one struct a subsystem, whose comments are the reference (key, unit, range,
// default). Nothing here reads a file, a variable or a clock; Management's loader turns texts into these values by way
// of `SettingKey`, and the simulator writes them directly. Nothing of it is reloaded while a node runs;
// the files of certificates are.

import SIP

package struct Settings: Equatable, Sendable {
    package var node = NodeSettings()
    package var sip = SIPSettings()
    package var cluster = ClusterConfiguration()
    package var replication = ReplicationSettings()
    package var dialogs = DialogSettings()
    package var takeover = TakeoverSettings()
    /// `routes`: first match wins; without one a request goes by its Request-URI.
    package var routes: [Route] = []
    package var management = ManagementSettings()

    package init() {}

    package static let routeLimit = 256

    /// Every reason these values cannot be used together; empty when they can.
    package func problems() -> [SettingProblem] {
        var list =
            node.problems() + sip.problems() + cluster.problems() + replication.problems() + dialogs.problems()
            + takeover.problems() + management.problems()
        if !cluster.peers.isEmpty, !sip.listen.isEmpty, !sip.listen.contains(where: { $0.transport == .udp }) {
            let message = "at least one must be udp: the members of a cluster pass messages to each other by it"
            list.append(SettingProblem(key: "sip.listen", message: message))
        }
        if routes.count > Self.routeLimit {
            list.append(SettingProblem(key: "routes", message: "at most \(Self.routeLimit)"))
        }
        for target in routes.flatMap(\.targets) {
            if target.endpoint == nil {
                let message = "\(target.text): the host must be an address; names are not looked up in this version"
                list.append(SettingProblem(key: "routes", message: message))
            } else if let reason = objection(to: target.transport) {
                let message = "\(target.text): \(reason)"
                list.append(SettingProblem(key: "routes", message: message))
            }
        }
        for route in routes {
            if route.targets.count > 1 {
                list.append(
                    SettingProblem(key: "routes", message: "'\(route.pattern.text)': one target in this version"))
            }
        }
        if let bus = cluster.bus, let http = management.http, bus.address == http.address {
            if http.port == bus.port || Int(http.port) == Int(bus.port) + 1 {
                let message = "\(http.text) is taken by cluster.bus, which uses its port and the next"
                list.append(SettingProblem(key: "management.http", message: message))
            }
        }
        return list
    }

    /// Why nothing can be sent by a transport; `nil` when it can.
    private func objection(to transport: TransportProtocol) -> String? {
        if transport == .udp { return nil }
        if transport == .ws || transport == .wss { return "nobody can be connected to by WebSocket" }
        let isSpoken = sip.listen.contains { $0.transport == transport }
        return isSpoken ? nil : "nothing in sip.listen speaks \(transport.configuredName)"
    }
}

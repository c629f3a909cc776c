// The configuration of a simulated node: the defaults of a real one, with lifetimes short enough that expiry and
// refresh race, and waits that are meant for operators' mistakes cut down to fit in a run.

internal import Node
internal import SIP

extension World {
    func settings(of host: Host) -> Settings {
        var settings = Settings()
        settings.node.name = host.name
        settings.sip.listen = [host.address]
        settings.sip.advertise = ConfiguredURI("sip:\(balancer.endpoint.text)").map { [$0] } ?? []
        settings.sip.balancer = [balancer.endpoint]
        settings.cluster.name = "simulated"
        settings.cluster.bus = World.busAddress(host.index)
        settings.cluster.peers = hosts.indices.filter { $0 != host.index }.map { World.busAddress($0) }
        settings.cluster.quorum = plan.usesMajority ? .majority : .auto
        // Longer than the longest cut, as 30 s is in practice: who hears nobody must not form a second cluster.
        settings.cluster.bootstrapAfter = .seconds(12)
        settings.cluster.forgetAfter = .seconds(60)
        settings.cluster.loneGrace = .seconds(1)
        settings.dialogs.hashSize = 64
        settings.dialogs.defaultTimeout = .seconds(plan.lifetimeSeconds)
        settings.dialogs.limit = 10_000
        if plan.options.keepAlive {
            settings.dialogs.keepAliveTimer = .seconds(1)
            settings.dialogs.keepAliveInterval = .nanoseconds(Plan.keepAliveInterval)
            settings.dialogs.keepsCallerAlive = true
            settings.dialogs.keepsCalleeAlive = true
        }
        settings.management.allowsFaultInjection = true
        return settings
    }

    static func busAddress(_ index: Int) -> Endpoint {
        endpoint("10.0.0.\(index + 1):7400")
    }
}

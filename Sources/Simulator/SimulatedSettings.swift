// The configuration of a simulated node: the defaults of a real one, with lifetimes short enough that expiry and
// refresh race, and waits that are meant for operators' mistakes cut down to fit in a run.

internal import Node
import Proxy
internal import SIP

extension World {
    func settings(of host: Host) -> Settings {
        var settings = Settings()
        settings.node.name = host.name
        settings.node.isWitness = host.isWitness
        if !host.isWitness {
            settings.sip.listen = [host.address]
            settings.sip.advertise = ConfiguredURI("sip:\(balancer.endpoint.text)").map { [$0] } ?? []
            settings.sip.balancer = [balancer.endpoint]
        }
        settings.cluster.name = "simulated"
        settings.cluster.bus = World.busAddress(host.index)
        settings.cluster.peers = hosts.indices.filter { $0 != host.index }.map { World.busAddress($0) }
        settings.cluster.quorum = plan.usesMajority ? .majority : .auto
        // Longer than the longest cut, as 30 s is in practice: who hears nobody must not form a second cluster.
        settings.cluster.bootstrapAfter = .seconds(12)
        settings.cluster.forgetAfter = .seconds(60)
        settings.cluster.loneGrace = .seconds(1)
        if plan.options.tight { settings.cluster.bounds = World.tightBounds }
        settings.dialogs.hashSize = 64
        settings.dialogs.defaultTimeout = .seconds(plan.lifetimeSeconds)
        settings.dialogs.limit = 10_000
        settings.dialogs.unrecorded = plan.refusesUnrecorded ? .refuse : .forward
        settings.sip.sessionInterval = .seconds(plan.sessionSeconds)
        if plan.options.keepAlive {
            settings.dialogs.keepAliveTimer = .seconds(1)
            settings.dialogs.keepAliveInterval = .nanoseconds(Plan.keepAliveInterval)
            settings.dialogs.keepsCallerAlive = true
            settings.dialogs.keepsCalleeAlive = true
        }
        for call in plan.calls where !host.isWitness { route(call, in: &settings) }
        settings.dialogs.profilesWithValue = ["caller"]
        settings.dialogs.profilesNoValue = ["calls"]
        settings.dialogs.tellsEvents = !plan.writes.isEmpty
        if plan.outage != nil, !host.isWitness {
            settings.storage.url = "sqlite:///simulated.db"
            settings.storage.mode = .realtime
            settings.storage.fetchRows = 5
        }
        settings.management.allowsFaultInjection = true
        settings.trace.memory = 1
        return settings
    }

    /// So small that each of them is reached.
    static let tightBounds = ClusterBounds(horizon: .nanoseconds(tightHorizon), ring: 64, parked: 4)
    static let tightHorizon = Nanoseconds.seconds(5)

    /// A forked call is for a name that only the nodes know to be several phones.
    private func route(_ call: CallPlan, in settings: inout Settings) {
        guard call.spiral == nil, let fork = call.fork,
            let pattern = try? RoutePattern("sip:\(World.team(call.index))@.*")
        else { return }
        let targets = callees(of: call.index).compactMap { phone in
            ConfiguredURI("sip:\(phone.user)@\(phone.endpoint.text)").map { uri in
                var target = RouteTarget(uri)
                target.q = phone.behaviour.q
                return target
            }
        }
        var set = RouteSet(name: World.team(call.index), targets: targets)
        set.policy = fork.order == .serial ? .failover : .parallel
        settings.routes.append(Route(pattern: pattern, destination: .own(set)))
    }

    /// The user part that a forked call's Request-URI names.
    static func team(_ call: Int) -> String { "team\(call)" }

    static func busAddress(_ index: Int) -> Endpoint {
        endpoint("10.0.0.\(index + 1):7400")
    }
}

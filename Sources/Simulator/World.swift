// World is one run: nodes, phones, a balancer, two networks and a clock, all following from a seed.
//
//        phones ⇄ balancer ⇄ nodes        datagrams, with loss, duplication, delay, reordering
//                             ⇅           frames, requests, probes, with loss, delay, cuts (World+Bus)
//                           nodes
//
// It is another shell around the real `Node`: what Transports and the bus do with sockets, it does with a queue of
// events ordered by (time, counter). Every checker is told what it needs at the moment it happens; a violation holds
// the time and a sentence. What a phone or a node may not know (who really sent a packet, when a process died) only
// checkers read.
//
// Invariants: one source of chance, forked per purpose; no dictionary is ever iterated; nothing is read from the host.
// Limits: one INVITE dialog a callee; UDP only; hosts' clocks differ by an offset and do not drift.

internal import Node
internal import Primitives
internal import Proxy
internal import SIP

package final class World {
    package let plan: Plan
    var now: Nanoseconds = 0
    var queue = EventQueue()
    var random: SplitMix
    var networkRandom: SplitMix
    var faultRandom: SplitMix
    /// Which node an operator asks.
    var endRandom: SplitMix
    /// Which node a script runs on, and what it writes.
    var writeRandom: SplitMix
    var writeCount = 0
    /// Which node is asked for a request, and for which.
    var askRandom: SplitMix
    /// Of what proxies above and below have a part in.
    var partyRandom: SplitMix
    /// When keys are changed, and in which order.
    var sealRandom: SplitMix
    var keyChange = KeyChange()
    /// What a stranger says on the bus.
    var strangerRandom: SplitMix
    var stranger = Stranger()
    var isKeyStolen = false
    /// Of scripts and of the users that register with them.
    var scriptRandom: SplitMix

    /// How long disks take.
    var diskRandom: SplitMix

    var hosts: [Host] = []
    /// By host; empty where nothing is stored.
    var disks: [SimulatedDisk] = []
    var copiedDisk: SimulatedDisk?
    var links: Links
    var balancer: Balancer
    var phones: [Phone] = []
    var servers: [HuntingServer] = []
    var userPhones: [UserPhone] = []
    var userTruth: [RegistrationTruth] = []
    /// Who asked its script about which request; by its name.
    var scriptRuns: [String: [ScriptRun]] = [:]
    /// What the process at hand has asked its script.
    var asked: [ScriptQuestion] = []
    var lastAsked: (question: ScriptQuestion, host: Int)?
    var reloads = 0
    var truth: [CallTruth] = []
    var parties: [Endpoint: Party] = [:]
    var calls: [String: Int] = [:]

    var outbox = Outbox()
    var parser = Message()
    var trace = TraceHash()
    var delivered = 0

    var disturbances = Disturbances()
    let checks = CheckState()
    var findings: [Finding] = []
    var isSettled = false
    /// The run may stop at the first violation of it.
    private var wantedCode: String?
    private var isWantedFound: Bool {
        guard let wantedCode else { return false }
        return findings.contains { !$0.isByNature && $0.code == wantedCode }
    }

    /// Lines of the trace go here when tracing is on.
    var sink: ((String) -> Void)?
    /// Only what concerns this call is traced.
    var tracedCall: Int?

    package init(plan: Plan) {
        self.plan = plan
        random = SplitMix(seed: plan.randomSeed)
        networkRandom = random.fork()
        endRandom = SplitMix(seed: plan.seed ^ 0x456E_6473_456E_6473)
        faultRandom = random.fork()
        writeRandom = SplitMix(seed: plan.seed ^ 0x5772_6974_6557_7269)
        askRandom = SplitMix(seed: plan.seed ^ 0x4173_6B65_7273_4173)
        partyRandom = SplitMix(seed: plan.randomSeed ^ 0x7061_7274_7061_7274)
        sealRandom = SplitMix(seed: plan.randomSeed ^ 0x6B65_7973_6B65_7973)
        strangerRandom = SplitMix(seed: plan.randomSeed ^ 0x7374_7261_6E67_6572)
        diskRandom = SplitMix(seed: plan.randomSeed ^ 0x4469_736B_734F_6E65)
        disks = plan.outage == nil ? [] : Array(repeating: SimulatedDisk(), count: plan.hostCount)
        scriptRandom = SplitMix(seed: plan.randomSeed ^ 0x5363_7269_7074_5363)
        links = Links(nodes: plan.hostCount)
        balancer = Balancer(nodes: plan.nodes, endpoint: World.balancerEndpoint)
        parties[balancer.endpoint] = .balancer
        placeHosts()
        placePhones()
        schedulePlan()
    }

    /// Runs one seed to its end and says what was found.
    /// - Parameter covers: Says too what it has been through.
    package static func run(_ plan: Plan, covers: Bool = false) -> RunReport {
        let world = World(plan: plan)
        if covers { world.checks.coverage = Coverage() }
        return world.run()
    }

    /// From now on each thing that happens is a line for `sink`; with a call, only what concerns that one.
    package func trace(call: Int? = nil, into sink: @escaping (String) -> Void) {
        tracedCall = call
        self.sink = sink
    }

    package func run() -> RunReport {
        while !isSettled, let time = queue.nextTime, time <= Plan.end { step() }
        finish()
        return report()
    }

    /// Runs no further than to the first violation of a code: what a minimiser asks again and again.
    package static func run(_ plan: Plan, toViolation code: String) -> RunReport {
        let world = World(plan: plan)
        world.wantedCode = code
        while !world.isSettled, !world.isWantedFound, let time = world.queue.nextTime, time <= Plan.end { world.step() }
        if !world.isWantedFound { world.finish() }
        return world.report()
    }

    /// Runs until the virtual time, in milliseconds; for tests that interfere in the middle of a run.
    package func run(untilMilliseconds limit: Int64) {
        while !isSettled, let time = queue.nextTime, time <= .milliseconds(limit) { step() }
    }

    func run(for span: Nanoseconds) {
        let end = now + span
        while let time = queue.nextTime, time <= end { step() }
        now = max(now, end)
    }

    private func step() {
        guard let entry = queue.pop() else { return }
        now = max(now, entry.time)
        trace.combine(Int(entry.time))
        deliver(entry.event)
    }

    func schedule(_ event: Event, after delay: Nanoseconds) {
        queue.push(event, at: now + max(delay, 0))
    }

    func log(_ text: @autoclosure () -> String, call: Int? = nil) {
        guard let sink else { return }
        if let tracedCall, let call, call != tracedCall { return }
        sink("\(now.traceTime)  \(text())")
    }

    // MARK: Delivery

    private func deliver(_ event: Event) {
        delivered += 1
        switch event {
        case .packet(let packet, let party): deliver(packet, at: party)
        case .frame(let bytes, let from, let to, let connection):
            deliverFrame(bytes, from: from, to: to, connection: connection)
        case .request(let bytes, let from, let to, let id): deliverRequest(bytes, from: from, to: to, id: id)
        case .reply(let bytes, let from, let to, let id): deliverReply(bytes, from: from, to: to, id: id)
        case .requestDeadline(let process, let peer, let id): requestDeadline(process, peer: peer, id: id)
        case .probed(let process, let peer, let result): deliverProbe(process, peer: peer, result)
        case .wake(let process): wake(process)
        case .phone(let index, let timer): phones[index].timerFired(timer, self)
        case .server(let index, let timer): servers[index].timerFired(timer, self)
        case .user(let index, let timer): userPhones[index].timerFired(timer, self)
        case .reload(let host, let isGood): reload(hosts[host], isGood: isGood)
        case .startCall(let call): phones[2 * call].startCall(self)
        case .script(let call, let step): perform(step: step, of: call)
        case .operatorEnds(let call): operatorEnds(call)
        case .scriptWrites(let call): scriptWrites(call)
        case .scriptAsks(let call): scriptAsks(call)
        case .storage(let process, let action): perform(action, for: process)
        case .stored(let process, let outcome): tell(outcome, to: process)
        case .balancerProbe: probeNodes()
        case .changeKeys: changeKeys()
        case .stranger: strangerActs()
        case .fault(let action): perform(action)
        case .sample: sample()
        case .settlePoint(let point): settle(point)
        }
    }

    private func deliver(_ packet: Packet, at party: Party) {
        trace.combine(packet.bytes)
        switch party {
        case .node(let index): deliver(packet, toHost: index)
        case .balancer: balancerReceives(packet)
        case .server(let index): servers[index].receive(packet, self)
        case .user(let index): userPhones[index].receive(packet, self)
        case .phone(let index): phones[receiver(of: packet, at: index)].receive(packet, self)
        }
    }

    // MARK: The stage

    static let balancerEndpoint = endpoint("10.0.0.100:5060")

    static func endpoint(_ text: String) -> Endpoint {
        guard let endpoint = Endpoint(text: text) else { preconditionFailure("\(text) is an address") }
        return endpoint
    }

    private func placeHosts() {
        for index in 0..<plan.hostCount {
            let address = World.endpoint("10.0.0.\(index + 1):5060")
            let host = Host(
                index: index, name: "n\(index + 1)", address: address, peers: plan.hostCount - 1,
                clockOffset: random.between(.seconds(1), .seconds(900_000)),
                wallSkew: random.between(-3_000, 3_000))
            host.isWitness = index == plan.nodes
            hosts.append(host)
            if !host.isWitness { parties[address] = .node(index) }
            queue.push(.fault(.start(host: index)), at: random.between(0, .milliseconds(300)))
        }
    }

    private func placePhones() {
        for call in plan.calls {
            let number = call.index
            let name = call.hunt?.first ?? number
            calls["call-\(name)-\(plan.seed)"] = name
            placePhone(call, .caller, place: 0)
            placePhone(call, .callee, place: 0)
            truth.append(CallTruth(index: number, plan: call))
        }
        for call in plan.calls {
            for place in call.callees.indices.dropFirst() { placePhone(call, .callee, place: place) }
        }
        for call in plan.calls { placeServer(call) }
        for user in plan.users {
            let phone = UserPhone(user, seed: plan.seed)
            parties[phone.endpoint] = .user(phone.index)
            userPhones.append(phone)
            userTruth.append(RegistrationTruth())
        }
    }

    private func placeServer(_ call: CallPlan) {
        guard let spiral = call.spiral else { return }
        let targets = callees(of: call.index).map { "sip:\($0.user)@\($0.endpoint.text)" }
        let server = HuntingServer(
            index: servers.count, call: call, plan: spiral, endpoint: World.server(of: call.index), targets: targets,
            outbound: balancer.endpoint)
        parties[server.endpoint] = .server(server.index)
        servers.append(server)
    }

    private static func server(of call: Int) -> Endpoint { endpoint("10.7.\(call / 250).\(call % 250 + 1):5060") }

    private func placePhone(_ call: CallPlan, _ role: Role, place: Int) {
        let number = call.index
        // The attempts of a hunt have their caller in common.
        let home = role == .caller ? call.hunt?.first ?? number : number
        let (high, low) = (number / 250, number % 250 + 1)
        let net = role == .caller ? 1 : 2 + place
        let endpoint = World.endpoint("10.\(net).\(home / 250).\(home % 250 + 1):5060")
        let name = role == .caller ? "alice" : "bob"
        let suffix = place == 0 ? "" : "-\(place + 1)"
        let uri =
            call.fork == nil
            ? "sip:bob\(number)@10.2.\(high).\(low):5060"
            : "sip:\(World.team(number))@10.\(call.spiral == nil ? 9 : 7).\(high).\(low):5060"
        let phone = Phone(
            index: phones.count, call: number, role: role, place: place, endpoint: endpoint,
            user: "\(name)\(home)\(suffix)", plan: call, outbound: balancer.endpoint,
            firstCSeq: firstCSeq(of: call, role), callID: "call-\(call.hunt?.first ?? number)-\(plan.seed)", uri: uri)
        if parties[endpoint] == nil { parties[endpoint] = .phone(phone.index) }
        phones.append(phone)
    }

    private func firstCSeq(of call: CallPlan, _ role: Role) -> UInt32 {
        if role == .caller, let hunt = call.hunt { return hunt.cseq }
        return UInt32(1 + (call.isPlain ? random.below(5_000) : partyRandom.below(5_000)))
    }

    /// All hosts but the witness.
    var nodes: ArraySlice<Host> { hosts.prefix(plan.nodes) }

    // MARK: Who is in a call

    func caller(of call: Int) -> Phone { phones[2 * call] }

    /// In the order of the plan; the first of every call stands beside its caller.
    func callees(of call: Int) -> [Phone] {
        guard plan.calls[call].fork != nil else { return [phones[2 * call + 1]] }
        return phones.filter { $0.call == call && $0.role == .callee }
    }

    /// A side of the dialog that the caller has kept, or of the first one as long as it has none.
    func phone(_ role: Role, of call: Int) -> Phone {
        let kept = truth[call].kept
        return role == .caller ? caller(of: call) : kept == 0 ? phones[2 * call + 1] : callees(of: call)[kept]
    }

    private func schedulePlan() {
        let reduction = plan.reduction
        for call in plan.calls where !call.waits && reduction.makes(call: call.index) {
            queue.push(.startCall(call.index), at: call.start)
        }
        for (number, fault) in plan.faultTimes.enumerated() where reduction.strikes(fault: number) {
            queue.push(.fault(.strike(fault.kind)), at: fault.time)
        }
        for write in plan.writes { queue.push(.scriptWrites(call: write.call), at: write.time) }
        for ask in plan.asks { queue.push(.scriptAsks(call: ask.call), at: ask.time) }
        for end in plan.askedEnds { queue.push(.operatorEnds(call: end.call), at: end.time) }
        if let outage = plan.outage {
            queue.push(.fault(.copyDisk), at: outage.copied)
            queue.push(.fault(.outage), at: outage.struck)
        }
        for user in plan.users {
            for (place, entry) in user.acts.enumerated() { queue.push(.user(user.index, .act(place)), at: entry.time) }
        }
        for reload in plan.reloads {
            queue.push(.reload(host: reload.host, isGood: reload.isGood), at: reload.time)
        }
        queue.push(.fault(.heal), at: Plan.heal)
        queue.push(.settlePoint(.converged), at: Plan.converged)
        queue.push(.settlePoint(.final), at: Plan.converged + plan.longestLifetime + .seconds(8))
        queue.push(.balancerProbe, at: .milliseconds(500))
        if plan.options.sealed {
            queue.push(.stranger, at: .milliseconds(300))
            queue.push(.changeKeys, at: sealRandom.between(.seconds(2), .seconds(12)))
        }
        queue.push(.sample, at: .seconds(1))
    }

    private func perform(step: Int, of call: Int) {
        let wanted = plan.calls[call].steps[step]
        // After the replicas were compared, calls are left to end by themselves.
        guard now < Plan.converged || wanted.act == .hangUp else { return }
        phone(wanted.byCaller ? .caller : .callee, of: call).perform(wanted.act, self)
    }

    /// How long the user takes who is asked by the re-INVITE of now.
    func answerDelay(call: Int, at time: Nanoseconds) -> Nanoseconds {
        let confirmed = truth[call].confirmedAt ?? time
        let latest = plan.calls[call].steps.last { $0.act == .reInvite && confirmed + $0.after <= time }
        return latest?.answerDelay ?? 0
    }
}

// A node of the simulator with its script: the engine that the SIP thread drives, driven by the world's loop, with the
// world's clock and chance. What a node asks is answered within the event that asked, as it is there.

internal import Node
internal import Primitives
internal import Proxy
internal import Routes
internal import SIP
internal import Scripting

extension World {
    /// What answers for the script of a process; `nil` where the plan has none.
    func judge(for host: Host, _ settings: Settings) -> ScriptJudge? {
        guard let script = plan.options.script, !host.isWitness else { return nil }
        do throws(ScriptError) {
            let judge = try ScriptJudge(
                try engine(script.text, version: "", host, settings, seed: scriptRandom.next()), sockets: [host.address]
            )
            judge.localCallback = script == .own ? Array("on_local".utf8) : []
            // Looked at when the node is out of its turn.
            judge.asks = { [unowned self] question in self.asked.append(question) }
            return judge
        } catch {
            preconditionFailure("the script of a simulated node must load: \(error.sentence)")
        }
    }

    private func engine(
        _ text: [UInt8], version: String, _ host: Host, _ settings: Settings, seed: UInt64
    ) throws(ScriptError) -> ScriptEngine {
        var routes = RouteSettings()
        routes.names = hosts.filter { !$0.isWitness }.map { HostPort($0.address) } + [HostPort(balancer.endpoint)]
        routes.domains = [Array(UserPhone.domain.utf8)]
        routes.balancers = [balancer.endpoint.address]
        routes.members = nodes.map(\.address.address)
        routes.registrar.rules.minExpires = 1
        routes.tables = [HashTableSettings(name: Array("ipban".utf8), lifetime: .seconds(300))]
        let point = RoutePoint(kind: .request, source: host.address, socket: host.address)
        let run = RouteRun(settings: routes, point: point, time: routeTime(host), seed: seed)
        var limits = ScriptLimits()
        limits.isReplayable = true
        let source = ScriptSource(main: .init(name: "route.lua", text: text + Array("\n-- \(version)\n".utf8)))
        return try ScriptEngine(source, limits: limits, run: run)
    }

    func routeTime(_ host: Host) -> RouteTime {
        let unix = World.wallOrigin + host.wallSkew + now.inMilliseconds
        return RouteTime(microseconds: Int(unix) * 1_000, now: host.instant(now))
    }

    /// Prepares a node that has a script.
    func prepare(_ node: inout Node, _ judge: ScriptJudge?) {
        guard let judge else { return }
        node.scriptPoints = judge.points
        node.tellsExpiredContacts = !judge.localCallback.isEmpty
    }

    /// What `ScriptedNode` does at the end of an event.
    func answer(_ node: inout Node, _ host: Host, _ judge: ScriptJudge?, advances: Bool) {
        guard let judge else { return }
        let time = routeTime(host)
        judge.answer(&node, time, into: &outbox)
        guard advances else { return }
        judge.goOn(&node, time, into: &outbox)
        judge.tellExpired(to: Array("on_contact".utf8), &node, time, into: &outbox)
    }

    // MARK: Reloads

    func reload(_ host: Host, isGood: Bool) {
        guard host.isRunning, let judge = host.node?.judge, let script = plan.options.script else { return }
        let before = judge.version
        reloads += 1
        // One that cannot be compiled, or has no request route.
        let bad = reloads % 2 == 0 ? "function ksr_request_route( end" : "function ksr_no_route() end"
        var refusal: String?
        do throws(ScriptError) {
            let text = isGood ? script.text : Array(bad.utf8)
            try judge.adopt(
                try engine(text, version: "\(reloads)", host, settings(of: host), seed: scriptRandom.next()))
        } catch {
            refusal = error.sentence
        }
        log("\(host.name) reads its script again: \(refusal ?? judge.version)")
        ran("script")
        guard isGood == (refusal == nil), isGood == (judge.version != before) else {
            violate("script", node: host.index, "a reload came to \(judge.version) from \(before): \(refusal ?? "")")
            return
        }
        // A run that waits wants its turn as before.
        drive(host) { _, _, _ in }
    }

    // MARK: No request runs its script twice

    /// Which request a question is about: its method and number, and the Via of whoever sent it to the cluster. ACKs of
    /// a 2xx have no transaction: each is one of its own.
    private func name(of question: ScriptQuestion) -> (name: String, branch: String)? {
        var problem = ""
        guard question.point == .request,
            let message = PhoneMessage(question.bytes, parser: &parser, problem: &problem), message.method != .ack,
            // The balancer's own Via says only which node it chose.
            let via = message.vias.first(where: { !$0.branch.hasPrefix(Balancer.branchPrefix) })
        else { return nil }
        return ("\(message.callID) \(message.cseq) \(message.methodName) \(via.branch)", message.vias[0].branch)
    }

    /// What a process has asked its script in its turn.
    func noteAsked(_ host: Host) {
        guard !asked.isEmpty else { return }
        let questions = asked
        asked.removeAll()
        for question in questions { note(question, host) }
    }

    func note(_ question: ScriptQuestion, _ host: Host) {
        guard let (name, branch) = name(of: question) else { return }
        lastAsked = (question, host.index)
        ran("script")
        let call = call(of: question.bytes)
        let before = scriptRuns[name] ?? []
        scriptRuns[name] = before + [ScriptRun(process: host.process, branch: branch, at: now)]
        log("\(host.name) asks its script about \(question.bytes.firstLine)", call: call)
        // What makes a dialog is known to every node that hears of its record. Another request is what its topmost Via
        // says (RFC 3261 §17.2.3): a copy by way of the balancer is one more, which a proxy sends on like the first
        // (§16.3).
        let makesDialog = question.bytes.starts(with: "INVITE ".utf8) && !question.isInDialog
        let same = before.last { $0.process == host.process && (makesDialog || $0.branch == branch) }
        if let same, now - same.at < PhoneTimes.transaction {
            violate("script", call: call, node: host.index, "asks its script again about \(question.bytes.firstLine)")
        }
        guard makesDialog, let call else { return }
        for run in before where run.process != host.process && checks.isAlive(run.process) {
            let isHeard =
                links.areConnected(run.process.host, host.index) && links.areConnected(host.index, run.process.host)
            let other = hosts[run.process.host]
            guard isHeard, disturbances.isQuiet(for: .seconds(3), at: now), now - run.at > .seconds(1),
                let did = truth[call].did, let node = other.node, NodeInspection.record(did, node, other) != nil
            else { continue }
            violate(
                "script", call: call, node: host.index,
                "asks its script about an INVITE that \(hosts[run.process.host].name) has asked its about")
        }
    }
}

/// A script was asked about a request.
struct ScriptRun {
    var process: ProcessID
    /// Of the topmost Via.
    var branch: String
    var at: Nanoseconds
}

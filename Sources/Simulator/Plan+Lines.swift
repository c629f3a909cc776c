// A plan as a person reads it: the nodes, the networks, each strike and each call that is made, with their numbers and
// times. Written for plans that a minimiser has made small.

extension Plan {
    /// Refreshes that come when the time that the one before them gave is up.
    package var lateRefreshes: Int {
        let lifetime = Nanoseconds.seconds(Int64(lifetimeSeconds))
        return calls.reduce(0) { sum, call in
            let times = call.steps.filter { $0.act == .reInvite || $0.act == .update }.map(\.after)
            return sum + zip([0] + times, times).count { $1 - $0 > lifetime }
        }
    }

    package var lines: [String] {
        var text = "\(nodes) node\(nodes == 1 ? "" : "s")"
        if hasWitness { text += " and a witness" }
        text += ", quorum \(usesMajority ? "majority" : "auto"), calls live \(lifetimeSeconds) s"
        if deals { text += ", datagrams dealt" }
        if sessionSeconds > 0 { text += ", sessions of \(sessionSeconds) s" }
        var lines = [text, "bus: \(bus.line)", "SIP: \(sip.line)"]
        lines += faults.filter(\.isSteady).map { "all the time: \($0.rawValue)" }
        lines += struckFaults.map { "fault \($0) at \(faultTimes[$0].time.asSeconds): \(faultTimes[$0].kind.rawValue)" }
        if let outage {
            let text = "all are killed at \(outage.struck.asSeconds), for \(outage.downtime.asSeconds)"
            lines.append("\(text); disks: \(outage.trouble)")
        }
        for number in madeCalls {
            lines.append("call \(number) \(calls[number].line)")
            let ends = askedEnds.filter { $0.call == number }.map { "an end at \($0.time.asSeconds)" }
            let writes = writes.filter { $0.call == number }.map { "a write at \($0.time.asSeconds)" }
            let asks = asks.filter { $0.call == number }.map { "a request at \($0.time.asSeconds)" }
            let wished = ends + writes + asks
            if !wished.isEmpty { lines.append("  asked for: " + wished.joined(separator: ", ")) }
        }
        return lines
    }
}

extension LinkQuality {
    fileprivate var line: String {
        var parts = ["latency \(latency.asMilliseconds)"]
        if jitter > 0 { parts.append("up to \(jitter.asMilliseconds) more") }
        if lossPerMille > 0 { parts.append("\(lossPerMille) of 1000 lost") }
        if duplicationPerMille > 0 { parts.append("\(duplicationPerMille) of 1000 doubled") }
        if reorders { parts.append("overtaking") }
        return parts.joined(separator: ", ")
    }
}

extension CallPlan {
    fileprivate var line: String {
        var parts = ["at \(start.asSeconds)"]
        if let hunt { parts.append("attempt \(index - hunt.first + 1) of \(hunt.attempts)") }
        if spiral != nil { parts.append("sent back by a server") }
        parts += callees.map(\.line)
        if let cancelAfter { parts.append("cancelled after \(cancelAfter.asSeconds)") }
        if acknowledgeDelay > 0 { parts.append("ACK \(acknowledgeDelay.asMilliseconds) later") }
        parts += steps.prefix(CallPlan.stepLimit).map(\.line)
        if steps.count > CallPlan.stepLimit { parts.append("and so on, \(steps.count) steps in all") }
        if let vanishes { parts.append("\(vanishes.role.name) silent \(vanishes.after.asSeconds) after the answer") }
        if let forgets { parts.append("\(forgets.role.name) forgets it \(forgets.after.asSeconds) after the answer") }
        return parts.joined(separator: ", ")
    }

    /// Steps of a call that a line tells.
    private static let stepLimit = 8
}

extension CalleePlan {
    fileprivate var line: String {
        switch answer {
        case .accepts: "answered after \(ring.asMilliseconds)"
        case .rejects: "refused with \(code) after \(ring.asMilliseconds)"
        case .ringsOn: "ringing on"
        case .silent: "switched off"
        }
    }
}

extension CallPlan.Step {
    fileprivate var line: String {
        let who = byCaller ? "caller's" : "callee's"
        let what =
            switch act {
            case .reInvite: "re-INVITE"
            case .update: "UPDATE"
            case .options: "OPTIONS"
            case .hangUp: "BYE"
            }
        return "\(who) \(what) +\(after.asSeconds)"
    }
}

extension Nanoseconds {
    /// `31.250 s`
    var asSeconds: String {
        let fraction = inMilliseconds % 1_000
        let padded = fraction < 10 ? "00\(fraction)" : fraction < 100 ? "0\(fraction)" : "\(fraction)"
        return "\(inMilliseconds / 1_000).\(padded) s"
    }

    /// `0.5 ms`
    var asMilliseconds: String {
        let tenths = self / 100_000 % 10
        return tenths == 0 ? "\(inMilliseconds) ms" : "\(inMilliseconds).\(tenths) ms"
    }
}

// The kinds of fault a plan may hold, and the acts they come down to. A kind is what a person asks for on the command
// line; an act is one event of the run, so that a trace shows exactly what was done and when.

/// What may be asked for with `--faults`.
package enum FaultKind: String, CaseIterable, Sendable {
    /// SIGKILL of a process, and a new one a while later.
    case crash
    /// Power cut: the same, but a probe of the host gets no answer.
    case power
    /// A second crash inside the repair window of the first.
    case twins
    /// SIGSTOP for a while; what waited is then delivered before or after the timers that came due.
    case pause
    /// The bus is split in two, both ways.
    case partition
    /// The bus is split in two, one way.
    case oneway
    /// One pair of nodes does not hear each other, everybody else hears both.
    case pair
    /// A burst of lost frames (nanomsg drops what a slow peer does not take).
    case loss
    /// A node that cannot reach phones and balancer, with its bus in order.
    case unplug
    /// Killed at the moment a 2xx or the first BYE leaves.
    case sniper
    /// The same, and that node never returns; as many as leave a majority. No seed draws it.
    case marksman
    /// Single frames do not reach one of their receivers, one in thirty, and nothing else is wrong. No seed draws it.
    case drop
    /// With `marksman`: what the callee repeats of the 2xx that a node died with is lost. No seed draws it.
    case deaf
    /// The bus is cut around a node, with one other or alone, as it gets a 2xx. No seed draws it.
    case severed
    /// Phones put the number of another call into the Routes of one request in eight. No seed draws it.
    case astray
    /// A node joins while one member lacks what only one other holds.
    case donor
    /// The clock of a restarted host has stepped back.
    case clockback
    /// Nodes die one after another and do not return.
    case attrition
    /// One replica is lost silently.
    case forget
    /// A node is drained for a while.
    case drain
}

extension FaultKind {
    /// Not struck at moments of the plan: it is at work all the time.
    var isSteady: Bool {
        switch self {
        case .sniper, .marksman, .drop, .deaf, .severed, .astray, .clockback: true
        case .crash, .power, .twins, .pause, .partition, .oneway, .pair, .loss, .unplug, .donor, .attrition, .forget,
            .drain:
            false
        }
    }
}

/// One act of a fault plan.
enum FaultAction {
    case strike(FaultKind)
    case crash(host: Int, power: Bool)
    case start(host: Int)
    case pause(host: Int)
    case wake(host: Int)
    /// Frames from the first to the second host stop.
    case cut(pairs: [(Int, Int)], number: Int)
    case uncut(number: Int)
    case lossBurst(perMille: Int)
    case unplug(host: Int)
    case plugIn(host: Int)
    case drain(host: Int, Bool)
    /// One disk is copied, and everything is killed.
    case copyDisk
    case outage
    /// The end of all faults.
    case heal
}

// Minimiser takes out of a failing seed's plan what its violation does not need: calls, faults, nodes, whole parts, by
// halves and then one by one (delta debugging, Zeller and Hildebrandt 2002), as long as a run still shows the same
// code.
//
// Leaving something out moves what the rest of a run draws, and a violation that hangs on a moment may be missed by
// that alone. So what seems to be needed is tried with a few other draws before it is kept. The tries are bounded, and
// all of it follows from the seed: two searches find the same.

package struct Minimiser {
    /// Runs of one search.
    package static let tryLimit = 400
    /// Other draws that each step is tried with before what it leaves out counts as needed.
    package static let rerollLimit = 3
    /// The same for the step that takes most away: the call of the violation alone.
    package static let aloneLimit = 40
    /// Fewer nodes are no cluster.
    static let leastNodes = 2

    package let seed: UInt64
    package let options: PlanOptions
    package let code: String
    /// The runs so far.
    package private(set) var tries = 0
    /// The least plan that still shows it.
    package private(set) var reduction: Reduction
    /// What that plan shows.
    package private(set) var finding: Finding
    private let limit: Int
    private let run: (Plan, String) -> RunReport

    /// - Parameters:
    ///   - violation: What a run of this plan has shown.
    ///   - run: What runs a plan, as far as it must for a code.
    package init(
        _ plan: Plan, violation: Finding, limit: Int = Minimiser.tryLimit,
        run: @escaping (Plan, String) -> RunReport = { World.run($0, toViolation: $1) }
    ) {
        seed = plan.seed
        options = plan.options
        reduction = plan.reduction
        finding = violation
        code = violation.code
        self.limit = limit
        self.run = run
    }

    /// What is left to run.
    package var plan: Plan { Plan(seed: seed, options: options, reduction: reduction) }

    /// Looks until nothing more can be left out, or the tries are used up.
    package mutating func minimise() {
        dropWhatComesLater()
        var before: Reduction
        repeat {
            before = reduction
            thinCalls()
            thinFaults()
            dropNodes()
            dropParts()
        } while reduction != before && tries < limit
    }

    /// What was left, and the command that shows it again.
    package func lines(program: String) -> [String] {
        let (whole, plan) = (Plan(seed: seed, options: options), plan)
        let kept =
            "\(plan.madeCalls.count) of \(whole.calls.count) calls, \(plan.struckFaults.count) of "
            + "\(whole.faultTimes.count) faults, \(plan.nodes) of \(whole.nodes) nodes are left"
        return ["seed \(seed) after \(tries) tries: \(kept)", "  \(code): \(finding.line)"]
            + plan.lines.map { "  " + $0 }
            + ["  replay: " + finding.command(program, options.words + reduction.words, seed: seed)]
    }

    // MARK: What is left out

    /// What begins after the violation cannot have led to it. What is judged at the end of a run is judged late, and
    /// may need all of it.
    private mutating func dropWhatComesLater() {
        let plan = plan
        let end = Nanoseconds.milliseconds(finding.atMilliseconds)
        var candidate = reduction
        candidate.onlyCalls = plan.madeCalls.filter { plan.calls[$0].start <= end || $0 == finding.call }
        candidate.withoutFaults = plan.faultTimes.indices.filter {
            !reduction.strikes(fault: $0) || plan.faultTimes[$0].time > end
        }
        if candidate.onlyCalls?.isEmpty == true { return }
        if candidate.onlyCalls?.count == plan.calls.count { candidate.onlyCalls = nil }
        if candidate != reduction { attempt(candidate) }
    }

    private mutating func thinCalls() {
        // The call of the violation alone, first of all.
        if let call = finding.call, plan.madeCalls.count > 1 {
            var candidate = reduction
            candidate.onlyCalls = plan.group(of: call)
            if attempt(candidate, rerolls: Minimiser.aloneLimit) { return }
        }
        thin(plan.madeCalls) { candidate, kept in
            guard !kept.isEmpty else { return false }
            candidate.onlyCalls = kept
            return true
        }
    }

    private mutating func thinFaults() {
        let all = Array(plan.faultTimes.indices)
        thin(all.filter { reduction.strikes(fault: $0) }) { candidate, kept in
            candidate.withoutFaults = all.filter { !kept.contains($0) }
            return true
        }
    }

    private mutating func dropNodes() {
        while plan.nodes > Minimiser.leastNodes {
            var candidate = reduction
            candidate.fewerNodes += 1
            guard attempt(candidate) else { return }
        }
    }

    private mutating func dropParts() {
        for part in Reduction.Part.allCases where plan.has(part) {
            var candidate = reduction
            candidate.without.append(part)
            attempt(candidate)
        }
    }

    /// Takes away as much of a list as can be missed: all of it, then halves, quarters, and in the end one by one.
    private mutating func thin(_ items: [Int], _ keep: (inout Reduction, [Int]) -> Bool) {
        var kept = items
        var size = items.count
        while size > 0 {
            var start = 0
            while start < kept.count {
                let rest = Array(kept[..<start] + kept[min(start + size, kept.count)...])
                var candidate = reduction
                if keep(&candidate, rest), attempt(candidate) {
                    kept = rest
                } else {
                    start += size
                }
            }
            size = size == 1 ? 0 : (size + 1) / 2
        }
    }

    /// Whether a run shows the same with this left out; then it stays so.
    @discardableResult
    private mutating func attempt(_ candidate: Reduction, rerolls: Int = Minimiser.rerollLimit) -> Bool {
        let first = reduction.reroll
        for reroll in first...first + rerolls {
            guard tries < limit else { return false }
            tries += 1
            var candidate = candidate
            candidate.reroll = reroll
            let report = run(Plan(seed: seed, options: options, reduction: candidate), code)
            guard let found = report.violations.first(where: { $0.code == code }) else { continue }
            reduction = candidate
            finding = found
            return true
        }
        return false
    }
}

extension Plan {
    /// The calls that are made, by number.
    package var madeCalls: [Int] { calls.indices.filter { reduction.makes(call: $0) } }
    /// The strikes that are left, by number.
    package var struckFaults: [Int] { faultTimes.indices.filter { reduction.strikes(fault: $0) } }

    /// A call with the attempts that are one hunt with it, and are still made.
    func group(of call: Int) -> [Int] {
        guard let hunt = calls[call].hunt else { return [call] }
        return hunt.calls.filter { reduction.makes(call: $0) }
    }

    /// There is something to leave out.
    func has(_ part: Reduction.Part) -> Bool {
        guard reduction.has(part) else { return false }
        switch part {
        case .writes: return !writes.isEmpty
        case .asks: return !asks.isEmpty
        case .ends: return !askedEnds.isEmpty
        case .steps: return madeCalls.contains { !calls[$0].steps.isEmpty }
        case .sniper: return faults.contains(.sniper)
        case .clockback: return faults.contains(.clockback)
        case .bus: return !bus.isCalm
        case .sip: return !sip.isCalm
        case .users: return !users.isEmpty
        case .reloads: return !reloads.isEmpty
        }
    }
}

extension LinkQuality {
    /// Nothing is lost, doubled, late or overtaken.
    var isCalm: Bool { lossPerMille == 0 && duplicationPerMille == 0 && jitter == 0 && !reorders }
}

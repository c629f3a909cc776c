// A long run goes through seeds that nobody has seen until its time is over or something is violated. One number is
// drawn, the start; seeds count up from there, so the start and the count say all of what was run.

import Simulator

struct LongRun {
    let seeds: FreshSeeds
    let jobs: Int
    let length: Duration

    /// - Parameter tell: Takes a line once a minute.
    /// - Returns: What was seen, and of the plans that violated something the one with the lowest seed.
    func run(_ tell: (String) -> Void) async -> (summary: Summary, failed: (plan: Plan, finding: Finding)?) {
        let began = ContinuousClock.now
        var summary = Summary()
        var number: UInt64 = 0
        var failed: (plan: Plan, finding: Finding)?
        var told = began
        await Crew.run(jobs: jobs) {
            guard failed == nil, ContinuousClock.now - began < length else { return nil }
            number += 1
            return seeds.plan(number - 1)
        } done: { plan, report in
            summary.add(report)
            if let finding = report.violations.first, failed.map({ plan.seed < $0.plan.seed }) ?? true {
                failed = (plan, finding)
            }
            let now = ContinuousClock.now
            guard now - told >= .seconds(60) else { return }
            told = now
            tell(line(summary, after: now - began))
        }
        tell(line(summary, after: ContinuousClock.now - began))
        return (summary, failed)
    }

    private func line(_ summary: Summary, after time: Duration) -> String {
        let (seconds, simulated) = (time.inSeconds, summary.virtualMilliseconds / 1_000)
        let rate = seconds > 0 ? Int(Double(simulated) / seconds) : 0
        return "\(Int(seconds / 60)) min: \(summary.seeds) seeds from \(seeds.start) on, "
            + "\(simulated) simulated seconds, \(rate) a second"
    }
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

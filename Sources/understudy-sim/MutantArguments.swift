// A build with MUTANTS can do without a mechanism of the core (`Mutant`): `--mutant NAME`, or `A+B` for two at once.
// `--until-found` runs seeds until one shows a violation that it does not show with everything in place, and says in
// one line which; `Deploy/mutants` reads that line.

#if MUTANTS
    import ArgumentParser
    import Primitives
    import Simulator

    struct MutantArguments: ParsableArguments {
        @Option(help: "The mechanism that is off, or several with + between.")
        var mutant: String?

        @Flag(help: "Runs up to --count seeds until one shows that it is off.")
        var untilFound = false

        private var names: [String] { (mutant ?? "").split(separator: "+").map(String.init) }

        var isSearch: Bool { untilFound }

        func validate() throws {
            guard !untilFound || mutant != nil else { throw ValidationError("--until-found goes with --mutant.") }
        }

        func switchOff() { Mutant.switchOff(names) }

        /// One after another: how often a mechanism was missed is counted for all threads together.
        func search(from first: Plan, count: Int, excesses: (Summary) throws -> [String]) throws {
            var (reached, summary) = (0, Summary())
            for number in 0..<UInt64(count) {
                let plan = Plan(seed: first.seed &+ number, options: first.options, reduction: first.reduction)
                Mutant.switchOff(names)
                let report = World.run(plan)
                let violations = report.violations
                summary.add(report)
                reached += Mutant.reached > 0 ? 1 : 0
                guard !violations.isEmpty else { continue }
                Mutant.switchOff([])
                let known = Set(World.run(plan).violations.map(\.code))
                guard let finding = violations.first(where: { !known.contains($0.code) }) else { continue }
                print("found|\(finding.code)|\(plan.seed)|\(number + 1)|\(reached)|\(finding.line)")
                return
            }
            if let line = try excesses(summary).first {
                return print("found|budget|\(first.seed)|\(count)|\(reached)|\(line)")
            }
            print("missed||\(first.seed)|\(count)|\(reached)|")
            throw ExitCode(1)
        }
    }
#endif

// understudy-sim runs the deterministic simulator from the command line: one seed or many, or fresh ones for hours,
// with the faults asked for, and says what did not hold, with the command that shows it again. What a seed needs to
// show it is found by leaving out the rest.
//
// Seeds are independent, so several run at once; what is printed does not depend on how many. Exit code 0 when nothing
// was violated, 1 when something was.

import ArgumentParser
import Foundation
import Glibc
import Simulator

@main
struct UnderstudySim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "understudy-sim",
        abstract: "Runs the real node under a virtual network, clock and phones, and checks what must hold.",
        discussion: """
            Faults: \(FaultKind.allCases.map(\.rawValue).joined(separator: " ")); none for a run without any.
            """)

    @Option(help: "The first seed; 1 when left out, and drawn for --hours.")
    var seed: UInt64?

    @Option(help: "Runs fresh seeds for so many hours, or to the first violation, which is then minimised.")
    var hours: Double?

    @Option(help: "Leaves out of this seed's plan what its violation does not need, and prints what is left.")
    var minimise: UInt64?

    @Option(help: "The code of the violation to minimise; the seed's first when left out.")
    var code: String?

    @OptionGroup(title: "What is left out of a plan")
    var reduced: ReductionArguments

    #if MUTANTS
        @OptionGroup(title: "Mechanisms that are off")
        var mutants: MutantArguments
    #endif

    @Option(help: "How many seeds, counting up from the first.")
    var count = 1

    @Option(help: "How many nodes, 1 to 5; drawn from the seed when left out.")
    var nodes: Int?

    @Option(help: "Which faults to draw from, separated by commas; drawn from the seed when left out.")
    var faults: String?

    @Option(help: "How many calls a seed; drawn when left out.")
    var calls: Int?

    @Flag(help: "Every datagram from a phone reaches a random live node.")
    var deal = false

    @Flag(help: "Nodes send keep-alives, and some phones lose their calls.")
    var keepAlive = false

    @Flag(help: "Most calls fork to two or three phones.")
    var forks = false

    @Flag(inversion: .prefixedNo, help: "A proxy above hunts; in one seed of three when left out.")
    var hunts: Bool?

    @Flag(inversion: .prefixedNo, help: "Servers behind send calls back; in one seed of three when left out.")
    var spirals: Bool?

    @Flag(inversion: .prefixedNo, help: "Operators end calls that are up; in one seed of three when left out.")
    var ends: Bool?

    @Flag(inversion: .prefixedNo, help: "Phones agree on session timers and give them up; in one seed of four.")
    var timers: Bool?

    @Flag(inversion: .prefixedNo, help: "Phones without a tag, or with equal ones; in one seed of four.")
    var tagless: Bool?

    @Flag(inversion: .prefixedNo, help: "Answers and route sets near the bounds; in one seed of four.")
    var large: Bool?

    @Flag(inversion: .prefixedNo, help: "Scripts write variables, flags and profiles; in one seed of three.")
    var writes: Bool?

    @Flag(inversion: .prefixedNo, help: "Scripts ask for requests within calls; in one seed of four.")
    var asks: Bool?

    @Flag(help: "A process that only votes runs beside the nodes.")
    var witness = false

    @Flag(help: "Bounds of a few: a ring of 64 facts, 4 parked patches, tombstones for 5 s.")
    var tight = false

    @Flag(help: "Phones refresh up to and beyond the end of their calls.")
    var late = false

    @Flag(help: "Frames are sealed, keys change, and a stranger says on the bus what he likes.")
    var sealed = false

    @Flag(help: "Nodes store records; everything is killed once, starts from its disks, and one may be lost or old.")
    var disks = false
    @Option(help: "The nodes route by a script, and users register with it: own, or a file of Lua.")
    var script: String?

    @Flag(help: "Prints which faults struck, through which states things went, and which checks were at work.")
    var coverage = false

    @OptionGroup(title: "What is left by nature")
    var excuses: ExcuseArguments

    @Flag(name: .customLong("trace"), help: "Print what happens; a number after it names the call to follow.")
    var traces = false

    @Option(help: "How many seeds to run at once.")
    var jobs = 2

    @Argument(help: .hidden)
    var tracedCall: Int?

    func validate() throws {
        guard count > 0 else { throw ValidationError("--count must be at least 1.") }
        guard jobs > 0 else { throw ValidationError("--jobs must be at least 1.") }
        if let nodes, !(1...5).contains(nodes) { throw ValidationError("--nodes must be 1 to 5.") }
        if let calls, !(1...200).contains(calls) { throw ValidationError("--calls must be 1 to 200.") }
        guard !traces || count == 1 else { throw ValidationError("--trace is for one seed; leave out --count.") }
        if let hours, !(hours > 0 && hours <= 10_000) { throw ValidationError("--hours must be above 0, to 10000.") }
        guard hours == nil || minimise == nil else { throw ValidationError("--hours or --minimise, not both.") }
        guard code == nil || minimise != nil else { throw ValidationError("--code goes with --minimise.") }
        if hours != nil || minimise != nil, traces || coverage || excuses.file != nil {
            throw ValidationError("--trace, --coverage and --excuses are for seeds that are run once.")
        }
        _ = try options()
    }

    private func options() throws -> PlanOptions {
        var options = PlanOptions()
        options.nodes = nodes
        options.calls = calls
        options.deals = deal
        options.keepAlive = keepAlive
        options.forgetful = keepAlive
        options.forks = forks
        options.hunts = hunts
        options.spirals = spirals
        options.ends = ends
        options.timers = timers
        options.tagless = tagless
        options.large = large
        options.writes = writes
        options.asks = asks
        options.witness = witness
        options.tight = tight
        options.late = late
        options.sealed = sealed
        options.disks = disks
        options.script = try script.map(Self.simulated)
        if let faults {
            let names = faults.split(separator: ",").map(String.init).filter { $0 != "none" }
            options.faults = try names.map { name in
                guard let kind = FaultKind(rawValue: name) else {
                    let known = FaultKind.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ValidationError("--faults: there is no fault '\(name)'; there are: \(known), none.")
                }
                return kind
            }
        }
        return options
    }

    private static func simulated(_ word: String) throws -> SimulatedScript {
        guard word != "own" else { return .own }
        guard let text = FileManager.default.contents(atPath: word) else {
            throw ValidationError("--script: own, or a file that can be read; '\(word)' cannot.")
        }
        return .given(name: word, text: Array(text))
    }

    private static let program = "swift run -c release understudy-sim"

    func run() async throws {
        let (options, reduction) = (try options(), try reduced.reduction())
        #if MUTANTS
            mutants.switchOff()
            if mutants.isSearch {
                let first = Plan(seed: seed ?? 1, options: options, reduction: reduction)
                return try mutants.search(from: first, count: count, excesses: excuses.judge)
            }
        #endif
        if let hours { return try await run(hours: hours, options, reduction) }
        if let minimise { return try search(Plan(seed: minimise, options: options, reduction: reduction)) }
        let started = ContinuousClock.now
        let plan = Plan(seed: seed ?? 1, options: options, reduction: reduction)
        let summary = traces ? trace(plan) : await runAll(plan)
        for line in summary.lines(replay: Self.program) { print(line) }
        let seconds = (ContinuousClock.now - started).inSeconds
        let rate = seconds > 0 ? Int(Double(summary.seeds) / seconds) : 0
        note("\(Int(seconds * 10) / 10) s, \(rate) seeds/s")
        for line in summary.coverage?.lines ?? [] { print(line) }
        let excesses = try excuses.judge(summary)
        for line in excesses { print("too much is left by nature: \(line)") }
        if summary.violatedSeeds > 0 || !excesses.isEmpty { throw ExitCode(1) }
    }

    private func trace(_ plan: Plan) -> Summary {
        let world = World(plan: plan)
        world.trace(call: tracedCall) { print($0) }
        let report = world.run()
        print("trace hash \(String(report.trace, radix: 16)), \(report.events) events")
        var summary = Summary()
        summary.add(report)
        return summary
    }

    private func runAll(_ plan: Plan) async -> Summary {
        let showsProgress = isatty(STDERR_FILENO) == 1
        var summary = Summary()
        var number: UInt64 = 0
        await Crew.run(jobs: jobs, covers: coverage) {
            guard number < count else { return nil }
            number += 1
            return Plan(seed: plan.seed &+ number - 1, options: plan.options, reduction: plan.reduction)
        } done: { _, report in
            summary.add(report)
            if count == 1 { print("trace hash \(String(report.trace, radix: 16)), \(report.events) events") }
            if showsProgress && summary.seeds % 5 == 0 {
                note("\r\(summary.seeds) of \(count) seeds, \(summary.violatedSeeds) with violations", ends: false)
            }
        }
        if showsProgress { note("\r\u{1B}[K", ends: false) }
        return summary
    }

    private func run(hours: Double, _ options: PlanOptions, _ reduction: Reduction) async throws {
        let start = seed ?? UInt64.random(in: 1_000_000...UInt64(UInt32.max))
        let seeds = FreshSeeds(start: start, fixed: options, reduction: reduction)
        let long = LongRun(seeds: seeds, jobs: jobs, length: .seconds(hours * 3_600))
        tell("from seed \(start) on, \(hours) hours")
        let (summary, failed) = await long.run(tell)
        for line in summary.lines(replay: Self.program) { tell(line) }
        guard let failed else { return }
        try minimise(failed.plan, failed.finding)
    }

    private func search(_ plan: Plan) throws {
        let report = World.run(plan)
        guard let finding = report.violations.first(where: { code == nil || $0.code == code }) else {
            return tell("seed \(plan.seed) violates nothing\(code.map { " of \($0)" } ?? "")")
        }
        try minimise(plan, finding)
    }

    private func minimise(_ plan: Plan, _ finding: Finding) throws {
        tell("seed \(plan.seed) violates \(finding.code): \(finding.line)")
        var minimiser = Minimiser(plan, violation: finding)
        minimiser.minimise()
        for line in minimiser.lines(program: Self.program) { tell(line) }
        throw ExitCode(1)
    }

    /// At once, also into a file: who looks at it waits.
    private func tell(_ line: String) {
        print(line)
        _ = fflush(nil)
    }

    /// To standard error: it is for who waits, not for who reads the result.
    private func note(_ text: String, ends: Bool = true) {
        let bytes = [UInt8]((text + (ends ? "\n" : "")).utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

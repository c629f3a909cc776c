// understudy-sim runs the deterministic simulator from the command line: one seed or many, with the faults asked for,
// and says what did not hold, with the command that shows it again.
//
// Seeds are independent, so several run at once; what is printed does not depend on how many. Exit code 0 when nothing
// was violated, 1 when something was.

import ArgumentParser
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

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

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

    func run() async throws {
        let options = try options()
        let started = ContinuousClock.now
        let summary = traces ? trace(options) : await runAll(options)
        for line in summary.lines(replay: replayCommand) { print(line) }
        let seconds = (ContinuousClock.now - started).inSeconds
        let rate = seconds > 0 ? Int(Double(summary.seeds) / seconds) : 0
        note("\(Int(seconds * 10) / 10) s, \(rate) seeds/s")
        if summary.violatedSeeds > 0 { throw ExitCode(1) }
    }

    private var replayCommand: String {
        var words = ["swift run -c release understudy-sim"]
        if let nodes { words.append("--nodes \(nodes)") }
        if let calls { words.append("--calls \(calls)") }
        if let faults { words.append("--faults \(faults)") }
        if deal { words.append("--deal") }
        if keepAlive { words.append("--keep-alive") }
        if forks { words.append("--forks") }
        if let spirals { words.append(spirals ? "--spirals" : "--no-spirals") }
        if let ends { words.append(ends ? "--ends" : "--no-ends") }
        if let timers { words.append(timers ? "--timers" : "--no-timers") }
        if let tagless { words.append(tagless ? "--tagless" : "--no-tagless") }
        if let large { words.append(large ? "--large" : "--no-large") }
        if let writes { words.append(writes ? "--writes" : "--no-writes") }
        if let asks { words.append(asks ? "--asks" : "--no-asks") }
        if witness { words.append("--witness") }
        if let hunts { words.append(hunts ? "--hunts" : "--no-hunts") }
        return words.joined(separator: " ")
    }

    private func trace(_ options: PlanOptions) -> Summary {
        let world = World(plan: Plan(seed: seed, options: options))
        world.trace(call: tracedCall) { print($0) }
        let report = world.run()
        print("trace hash \(String(report.trace, radix: 16)), \(report.events) events")
        var summary = Summary()
        summary.add(report)
        return summary
    }

    private func runAll(_ options: PlanOptions) async -> Summary {
        let (first, last) = (seed, seed + UInt64(count))
        let showsProgress = isatty(STDERR_FILENO) == 1
        return await withTaskGroup(of: RunReport.self) { group in
            var summary = Summary()
            var next = first
            func add() {
                guard next < last else { return }
                let plan = Plan(seed: next, options: options)
                next += 1
                group.addTask { World.run(plan) }
            }
            for _ in 0..<jobs { add() }
            for await report in group {
                summary.add(report)
                add()
                if count == 1 { print("trace hash \(String(report.trace, radix: 16)), \(report.events) events") }
                if showsProgress && summary.seeds % 5 == 0 {
                    note("\r\(summary.seeds) of \(count) seeds, \(summary.violatedSeeds) with violations", ends: false)
                }
            }
            if showsProgress { note("\r\u{1B}[K", ends: false) }
            return summary
        }
    }

    /// To standard error: it is for who waits, not for who reads the result.
    private func note(_ text: String, ends: Bool = true) {
        let bytes = [UInt8]((text + (ends ? "\n" : "")).utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

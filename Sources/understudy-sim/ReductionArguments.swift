// What the command line leaves out of a seed's plan: what a minimiser prints, and what a person tries by hand.

import ArgumentParser
import Simulator

struct ReductionArguments: ParsableArguments {
    @Option(help: "Numbers of the calls that are made, separated by commas; all when left out.")
    var onlyCalls: NumberList?

    @Option(help: "Numbers of the faults that do not strike, separated by commas.")
    var withoutFaults: NumberList?

    @Option(help: "How many of the nodes that the seed draws are left out.")
    var fewerNodes = 0

    @Option(
        help: ArgumentHelp(
            """
            What is left out as a whole, separated by commas: \
            \(Reduction.Part.allCases.map(\.rawValue).joined(separator: " ")).
            """))
    var without: String?

    @Option(help: "Another number, other latencies and targets of faults; 0 for the seed's own.")
    var reroll = 0

    func validate() throws {
        guard (0...4).contains(fewerNodes) else { throw ValidationError("--fewer-nodes must be 0 to 4.") }
        guard reroll >= 0 else { throw ValidationError("--reroll must be 0 or more.") }
        if let onlyCalls, onlyCalls.numbers.isEmpty { throw ValidationError("--only-calls wants a number.") }
        _ = try reduction()
    }

    func reduction() throws -> Reduction {
        var reduction = Reduction()
        reduction.onlyCalls = onlyCalls?.numbers
        reduction.withoutFaults = withoutFaults?.numbers ?? []
        reduction.fewerNodes = fewerNodes
        reduction.reroll = reroll
        reduction.without = try (without ?? "").split(separator: ",").map { name in
            guard let part = Reduction.Part(rawValue: String(name)) else {
                let known = Reduction.Part.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--without: there is no part '\(name)'; there are: \(known).")
            }
            return part
        }
        return reduction
    }
}

/// `3,7`
struct NumberList: ExpressibleByArgument {
    let numbers: [Int]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.allSatisfy({ $0.map { $0 >= 0 } == true }) else { return nil }
        numbers = parts.compactMap { $0 }.sorted()
    }
}

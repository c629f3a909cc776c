// What is left out of a plan that a seed has drawn: calls, faults, nodes, whole parts. A plan with less in it that
// still shows a violation is one that a person can read.
//
// Everything is drawn as ever and left out afterwards, so call 7 is the same call with and without the others. What a
// run draws as it goes (latencies, which node a fault strikes) comes out otherwise once there is less to draw for: that
// is what `reroll` is for, which has all of it drawn anew.

internal import Primitives

package struct Reduction: Equatable, Sendable {
    /// What may be left out as a whole.
    package enum Part: String, CaseIterable, Sendable {
        /// Scripts' writes into records.
        case writes
        /// Requests within calls that scripts ask for.
        case asks
        /// Operators' ends.
        case ends
        /// What users do after the answer; calls then last until they expire.
        case steps
        /// The sniper of a seed that has drawn it.
        case sniper
        /// The clocks that step back.
        case clockback
        /// Loss, doubling and reordering of frames between nodes, and what latency varies by.
        case bus
        /// The same of datagrams.
        case sip
        /// Phones that register with a script.
        case users
        /// Scripts that are read again.
        case reloads
    }

    /// In ascending order; all calls when absent. Never empty.
    package var onlyCalls: [Int]?
    /// Numbers of strikes, in the order of the plan.
    package var withoutFaults: [Int] = []
    /// How many of the drawn nodes are not there; one always is.
    package var fewerNodes = 0
    package var without: [Part] = []
    /// Another number, other draws as the run goes; 0 is the seed's own.
    package var reroll = 0

    package init() {}

    package var isNone: Bool { self == Reduction() }

    /// The command line that leaves out the same.
    package var words: [String] {
        func list(_ values: [some CustomStringConvertible]) -> String {
            values.map(\.description).joined(separator: ",")
        }
        var words: [String] = []
        if let onlyCalls { words.append("--only-calls \(list(onlyCalls))") }
        if !withoutFaults.isEmpty { words.append("--without-faults \(list(withoutFaults))") }
        if fewerNodes > 0 { words.append("--fewer-nodes \(fewerNodes)") }
        if !without.isEmpty { words.append("--without \(list(without.map(\.rawValue)))") }
        if reroll > 0 { words.append("--reroll \(reroll)") }
        return words
    }

    // MARK: What is left

    func makes(call: Int) -> Bool { onlyCalls?.contains(call) ?? true }
    func strikes(fault: Int) -> Bool { !withoutFaults.contains(fault) }
    func has(_ part: Part) -> Bool { !without.contains(part) }

    func nodes(of drawn: Int) -> Int { max(1, drawn - fewerNodes) }

    func faults(of drawn: [FaultKind]) -> [FaultKind] {
        drawn.filter { ($0 != .sniper || has(.sniper)) && ($0 != .clockback || has(.clockback)) }
    }

    func quality(of drawn: LinkQuality, _ part: Part) -> LinkQuality {
        guard !has(part) else { return drawn }
        var calm = LinkQuality()
        calm.latency = drawn.latency
        return calm
    }

    func call(of drawn: CallPlan) -> CallPlan {
        guard !has(.steps) else { return drawn }
        var call = drawn
        call.steps = []
        return call
    }

    func randomSeed(of drawn: UInt64) -> UInt64 {
        guard reroll > 0 else { return drawn }
        var random = SplitMix(seed: drawn &+ UInt64(reroll))
        return random.next()
    }
}

// The command line that fixes what a plan's options fix: what a summary, a long run and a minimiser print, so that a
// person can run the same again.

extension PlanOptions {
    package var words: [String] {
        var words: [String] = []
        if let nodes { words.append("--nodes \(nodes)") }
        if let calls { words.append("--calls \(calls)") }
        if let faults { words.append("--faults \(faults.isEmpty ? "none" : faults.list)") }
        if deals { words.append("--deal") }
        if keepAlive { words.append("--keep-alive") }
        if forks { words.append("--forks") }
        if witness { words.append("--witness") }
        if tight { words.append("--tight") }
        if late { words.append("--late") }
        if sealed { words.append("--sealed") }
        if disks { words.append("--disks") }
        if let script { words.append("--script \(script.word)") }
        let drawn: [(String, Bool?)] = [
            ("hunts", hunts), ("spirals", spirals), ("ends", ends), ("timers", timers), ("tagless", tagless),
            ("large", large), ("writes", writes), ("asks", asks),
        ]
        for case (let name, let value?) in drawn { words.append(value ? "--\(name)" : "--no-\(name)") }
        return words
    }
}

extension [FaultKind] {
    fileprivate var list: String { map(\.rawValue).joined(separator: ",") }
}

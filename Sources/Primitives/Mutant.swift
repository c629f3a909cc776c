// Mechanisms that a build for mutation tests can do without, one at a time: `Deploy/mutants` switches each off and
// looks whether the simulator finds it. A line of the core that is one of them says so by its name:
//
//     guard now > nextHeartbeat.advanced(by: settings.suspicion / 2), !mutated("wake-ignored") else { return }
//
// Nothing of it is in any other build: without the setting MUTANTS the question is a constant, and its name goes
// nowhere. The names, what each is, and where it is looked for are lines of `Deploy/mutants.txt`.

#if MUTANTS
    /// The mechanisms that are off in this process, set once before anything runs, and how often each was missed.
    public enum Mutant {
        nonisolated(unsafe) private static var names: [String] = []
        nonisolated(unsafe) private static var counts: [Int] = []

        /// Switches these off. Not while a node runs.
        public static func switchOff(_ names: [String]) {
            unsafe Mutant.names = names
            unsafe Mutant.counts = names.map { _ in 0 }
        }

        /// How often a mechanism that is off would have been at work.
        public static var reached: Int { unsafe counts.reduce(0, +) }

        @inline(never)
        public static func isOff(_ name: StaticString) -> Bool {
            guard unsafe !names.isEmpty else { return false }
            let name = name.description
            guard let index = unsafe names.firstIndex(of: name) else { return false }
            unsafe counts[index] += 1
            return true
        }
    }

    /// Whether this mechanism is off.
    public func mutated(_ name: StaticString) -> Bool { Mutant.isOff(name) }
#else
    /// Whether this mechanism is off: never.
    @inlinable @inline(__always)
    public func mutated(_ name: StaticString) -> Bool { false }
#endif

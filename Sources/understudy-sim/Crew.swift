// Runs plans, several at once. Seeds are independent of each other; only the order in which they are done differs.

import Simulator

enum Crew {
    /// Takes plans as long as `next` has some, and tells of each run as it is done.
    static func run(jobs: Int, covers: Bool = false, next: () -> Plan?, done: (Plan, RunReport) -> Void) async {
        await withTaskGroup(of: (Plan, RunReport).self) { group in
            func add() {
                guard let plan = next() else { return }
                group.addTask { (plan, World.run(plan, covers: covers)) }
            }
            for _ in 0..<jobs { add() }
            for await (plan, report) in group {
                done(plan, report)
                add()
            }
        }
    }
}

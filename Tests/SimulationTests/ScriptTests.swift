// Nodes with a script, users that register with it, runs that wait while their node dies, reloads and errors, in
// whatever else happens; and checks that go with them fire when they are broken: `script`, `reg-rise`, `reg-late`.

import Foundation
import Simulator
import Testing

@Suite("Simulation: scripts and registrations")
struct ScriptTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `no request runs its script twice, and a registration stands or ends as it was said`(seed: UInt64) {
        var options = PlanOptions()
        options.deals = seed.isMultiple(of: 2)
        options.script = .own
        let report = World.run(Plan(seed: seed, options: options))
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    /// A backlog told two contacts' ages too small, and no quicker frame had come yet; a copy of a MESSAGE by way of
    /// the balancer is a request of its own; a backlog was read whose sender, and all who could tell its age, had died;
    /// a call that a later pass had answered ended as a set-up and nobody told its phones; a tombstone was given back
    /// by who had heard of the end late; the age of a contact was corrected where it had been told from, and nowhere
    /// else.
    private static let onceFailed: [UInt64] = [
        3_716_396_072, 3_716_396_133, 3_716_396_052, 2_558_194_364, 4_232_432_863, 755_631_023, 755_631_018,
        755_631_489,
    ]

    @Test(arguments: onceFailed)
    func `dealt seeds that failed once do not fail again`(seed: UInt64) {
        var options = PlanOptions()
        (options.deals, options.script) = (true, .own)
        let report = World.run(Plan(seed: seed, options: options))
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    private static let stock = "/usr/share/doc/kamailio/examples/kemi/kamailio-basic-kemi-lua.lua"

    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: stock), "Kamailio's examples are not here"),
        arguments: 11...14 as ClosedRange<UInt64>)
    func `the stock script of Kamailio does as well`(seed: UInt64) throws {
        var options = PlanOptions()
        let text = try #require(FileManager.default.contents(atPath: Self.stock))
        options.script = .given(name: Self.stock, text: Array(text))
        let report = World.run(Plan(seed: seed, options: options))
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    @Test(arguments: [5, 77] as [UInt64])
    func `with a script, too, the same seed gives the same trace`(seed: UInt64) {
        var options = PlanOptions()
        options.script = .own
        let first = World.run(Plan(seed: seed, options: options))
        let second = World.run(Plan(seed: seed, options: options))
        #expect(first.trace == second.trace && first.events == second.events && first.findings == second.findings)
        #expect(first.trace != World.run(Plan(seed: seed)).trace)
    }

    @Test func `a script changes nothing of what else a seed draws`() {
        var options = PlanOptions()
        options.script = .own
        let (plain, scripted) = (Plan(seed: 21), Plan(seed: 21, options: options))
        #expect(plain.nodes == scripted.nodes && plain.faults == scripted.faults)
        #expect(plain.madeCalls == scripted.madeCalls)
    }

    private static func world(from start: Int64 = 8_000) throws -> (World, Int) {
        for seed in 200..<240 as Range<UInt64> {
            var options = PlanOptions()
            (options.nodes, options.faults, options.script) = (3, [], .own)
            (options.hunts, options.spirals, options.ends) = (false, false, false)
            let world = World(plan: Plan(seed: seed, options: options))
            for time in stride(from: start, through: start + 12_000, by: 250) {
                world.run(untilMilliseconds: time)
                if let user = world.usersRegistered.first { return (world, user) }
            }
        }
        throw CheckerMutationTests.NoCall()
    }

    @Test func `the untouched world has no violation, or the tests below prove nothing`() throws {
        #expect(try Self.world().0.run().violations.isEmpty)
    }

    @Test func `a contact that a node loses is told`() throws {
        let (world, user) = try Self.world()
        world.tamper(losingContactsOf: user, on: 1)
        #expect(!world.run().violations.isEmpty)
    }

    @Test func `a contact that comes back is told`() throws {
        let (world, user) = try Self.world()
        world.tamper(pretendingRemovalOf: user, on: 2)
        #expect(world.run().violations.contains { $0.code == "reg-rise" })
    }

    @Test func `one that stays beyond its time is told`() throws {
        let (world, user) = try Self.world()
        world.tamper(endingContactsOf: user)
        #expect(world.run().violations.contains { $0.code == "reg-late" })
    }

    @Test func `a request that is asked about twice is told`() throws {
        let (world, _) = try Self.world()
        world.tamper(askingAgain: ())
        #expect(world.violationCodes.contains("script"))
    }
}

// Fixed seeds of each kind. They are chosen for nothing: the first few of each. `understudy-sim --count 10000` runs
// more.

import Simulator
import Testing

@Suite("Simulation: what must hold on every seed")
struct SeedTests {
    static func expectNoViolation(
        seed: UInt64, faults: [FaultKind]?, deals: Bool = false, nodes: Int? = nil, keepAlive: Bool = false,
        forks: Bool = false, hunts: Bool? = false, spirals: Bool = false, ends: Bool = false,
        timers: Bool = false, tagless: Bool = false, large: Bool = false
    ) {
        var options = PlanOptions()
        options.faults = faults
        options.deals = deals
        options.nodes = nodes
        options.keepAlive = keepAlive
        options.forgetful = keepAlive
        options.forks = forks
        options.hunts = hunts
        options.spirals = spirals
        options.ends = ends
        (options.timers, options.tagless, options.large) = (timers, tagless, large)
        let report = World.run(Plan(seed: seed, options: options))
        let words = ["swift run -c release understudy-sim"] + options.words + ["--seed \(seed)"]
        let command = words.joined(separator: " ")
        let found = report.violations.map { "\($0.code) \($0.line)" }.joined(separator: "\n")
        #expect(report.violations.isEmpty, "\(found)\nreplay: \(command)")
        #expect(report.confirmed > 0)
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `with the faults a seed draws, nothing that must hold is violated`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `without faults every call goes as its users meant it to`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: [])
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `dealt at random over live nodes, every call goes as meant and has one dialog (S1-2)`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: [], deals: true)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `dealt at random while nodes die and networks break`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: true)
    }

    private static let onceFailed: [UInt64] = [
        1_118, 1_240, 1_282, 1_300, 1_430, 1_724, 1_886, 1_912, 4_940, 5_468, 7_797, 8_157, 9_999,
        10_061, 720_718, 721_215, 721_403,
    ]

    @Test(arguments: onceFailed)
    func `seeds that failed once do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil)
    }

    @Test(arguments: [51, 76, 84, 165, 1_020, 1_046, 700_053, 710_074, 710_354] as [UInt64])
    func `dealt seeds that failed once do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: true)
    }

    @Test func `a call whose BYE has its answer by way of another node is over at once`() {
        var options = PlanOptions()
        options.faults = [.marksman]
        let report = World.run(Plan(seed: 13, options: options))
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    @Test(arguments: FaultKind.allCases)
    func `one kind of fault alone violates nothing`(kind: FaultKind) {
        Self.expectNoViolation(seed: 77, faults: [kind, .crash])
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `with keep-alives a call that one phone has lost is ended for the other, and no call else is`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: [], deals: seed % 2 == 0, keepAlive: true)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `keep-alives while nodes die and networks break end no call that lives`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, keepAlive: true)
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `forked calls, with the faults a seed draws`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, forks: true)
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `forked calls with nothing wrong go as their users meant them to, dealt or not`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: [], deals: seed % 2 == 0, forks: true)
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `forked calls dealt at random while nodes die and networks break`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: true, forks: true)
    }

    @Test(arguments: [55, 56, 63, 122, 165, 198, 359, 439] as [UInt64])
    func `seeds with forks that failed once do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, forks: true)
    }

    @Test(arguments: [83, 131, 163, 195, 200, 338, 700_418, 710_222, 710_235, 720_131, 720_312] as [UInt64])
    func `dealt seeds with forks that failed once do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: true, forks: true)
    }

    @Test(arguments: [710_251, 770_042] as [UInt64])
    func `seeds with keep-alives that failed once do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, keepAlive: true)
    }

    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func `proxies above that hunt: each attempt lives and ends by itself`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: seed % 2 == 0, hunts: true)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `proxies above that hunt, with nothing wrong`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: [], deals: seed % 2 == 0, hunts: true)
    }

    @Test(arguments: [5_013, 6_021, 9_047, 9_263, 424_242_093] as [UInt64])
    func `dealt seeds that failed once with all that calls can be do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: true, hunts: true, spirals: true)
    }

    @Test(arguments: [5_091, 5_251, 8_014, 9_141, 9_182, 759_566_676, 759_567_526] as [UInt64])
    func `seeds that failed once with servers behind do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, spirals: true)
    }

    @Test(arguments: [6_081, 8_003, 9_038, 759_565_103, 759_565_427] as [UInt64])
    func `dealt and forked seeds that failed once with servers behind do not fail again`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: true, forks: true, spirals: true)
    }

    /// What each showed: an age told by a backlog that was never asked for again; a CANCEL of an heir without a way to
    /// its callee; a pass that ended with its node as the call did; a CANCEL at a node that had not heard of a joining
    /// one's call; two copies that began one dialog apart; two 2xx that did not fit one record; a first request of a
    /// callee that crossed its BYE; an heir that died as it gave its failure; three callees of a dead node's call that
    /// answered at once; a refresh that seemed to need no deadline of its own, by too small an age; a call that was
    /// answered at a node cut off, and ended as a set-up by the others; a copy of a 2xx that shortened a session which
    /// UPDATEs had agreed on since; ages that another process of a name was asked for; a copy of a 2xx that confirmed a
    /// call and no side of it; a pass that an heir ended and that was answered; a 2xx of a pass that nobody repeated to
    /// the caller; a re-INVITE refused by an heir, and a later one by its callee; an answer to a BYE that another node
    /// saw pass on its way to a dead one; two refreshes in one millisecond; a 2xx that an heir had from a joiner; a
    /// copy of a BYE at a node whose tombstone did not say how far numbers were moved; BYEs that their receivers
    /// refused for a number that nodes apart had moved (three); refreshes that were committed as a member joined (two);
    /// a view that came with the last word for an end.
    private static let drawn: [(seed: UInt64, deals: Bool, forks: Bool)] = [
        (276_544_788, false, false), (276_551_087, false, false), (276_551_760, false, false),
        (276_543_645, true, true), (991_161, true, true), (276_545_380, true, true), (276_543_885, false, true),
        (276_543_885, true, true), (880_195, true, true), (276_543_706, true, true), (105_359_732, true, true),
        (3_004_750_818, false, false), (3_004_752_091, false, false),
        (3_004_755_727, false, false), (3_004_762_070, true, false), (5_550_127, false, false),
        (3_004_762_961, true, false), (3_004_762_681, true, false), (3_004_754_331, false, false),
        (3_004_757_550, false, false), (426_548_970, false, false), (426_549_021, false, false),
        (426_548_956, false, false), (2_568_056_554, true, false), (4_232_432_685, true, true),
        (2_558_194_357, true, true), (2_558_194_531, true, true), (2_558_194_813, false, false),
        (2_558_194_946, false, false), (755_631_816, false, false),
    ]

    /// These showed what nobody alive could have known, and checks that asked for it: sides of a partition that began
    /// before the call was confirmed; a record that one node was made to lose and the other died with; a change on its
    /// way as the run ended; a failure that died with who repeated it; a node that started after a call had failed; a
    /// callee's way that no ACK had told; an UPDATE in a dialog whose 2xx nodes without its record had sent on; a call
    /// that was answered on one side of a partition and ended as a set-up on the other (R15); two copies of one INVITE
    /// on two nodes that were apart; a node that had slept, whose copy of an INVITE was a further attempt (R16); a 2xx
    /// that its record had no room for; a call that was over before it was known which record is its; a BYE to a phone
    /// that is gone; numbers that had been moved by who was dead; a BYE of a node that died behind a cut; a 2xx that
    /// was on its way to its phone as a later one brought the end nearer; two that acted as a cut was healed that was
    /// older than the call; a question about a deadline that was another than the one before.
    private static let unknowable: [(seed: UInt64, deals: Bool, forks: Bool)] = [
        (3_004_752_181, false, false), (3_004_762_213, true, false), (3_004_748_735, false, false),
        (3_004_771_121, true, true), (3_004_753_890, false, false), (7_770_047, false, false),
        (3_004_749_524, false, false), (3_004_762_742, true, false), (1_224_140_997, true, true),
        (3_004_749_462, false, false), (4_273_177_337, true, true), (77_027, false, false),
        (2_568_056_577, true, false), (2_568_057_299, false, false), (4_232_432_552, true, true),
        (4_232_432_679, true, true), (4_232_432_638, true, true),
        (755_631_668, false, false), (755_631_127, true, true), (755_632_301, false, false),
        (3_826_657_305, true, false), (643_087_616, false, false),
    ]

    @Test(arguments: drawn + unknowable)
    func `seeds that failed once, with all that a seed draws, do not fail again`(
        _ drawn: (seed: UInt64, deals: Bool, forks: Bool)
    ) {
        var options = PlanOptions()
        options.deals = drawn.deals
        options.forks = drawn.forks
        let report = World.run(Plan(seed: drawn.seed, options: options))
        let found = report.violations.map { "\($0.code) \($0.line)" }.joined(separator: "\n")
        #expect(report.violations.isEmpty, "\(found)\nseed \(drawn.seed)")
        #expect(report.confirmed > 0)
    }

    /// A peer learned of an answer after it had told the heir all it knew; a callee's 180 had died with its node, but
    /// for its Contact; a CANCEL was for a pass that rang on when another had been answered; an UPDATE was repeated by
    /// way of another node, and answered as it had been before a re-INVITE of the other side; a call whose ACK had gone
    /// by a node without its record was never asked whether its phones have it still; a refusal was repeated after the
    /// cut behind which it had been said.
    private static let learnedLate: [(seed: UInt64, keepAlive: Bool)] = [
        (3_789, false), (2_064_363_723, false), (1_809_524_342, true), (1_702_240_856, true), (2_558_194_341, true),
        (3_826_657_321, true),
    ]

    @Test(arguments: learnedLate)
    func `what one node alone has learned late is known in time`(_ drawn: (seed: UInt64, keepAlive: Bool)) {
        var options = PlanOptions()
        (options.keepAlive, options.forgetful) = (drawn.keepAlive, drawn.keepAlive)
        let report = World.run(Plan(seed: drawn.seed, options: options))
        let found = report.violations.map { "\($0.code) \($0.line)" }.joined(separator: "\n")
        #expect(report.violations.isEmpty, "\(found)\nseed \(drawn.seed)")
        #expect(report.confirmed > 0)
    }

    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func `servers behind that send calls back, while nodes die and networks break`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: nil, deals: seed % 2 == 0, spirals: true)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `servers behind that send calls back, with nothing wrong`(seed: UInt64) {
        Self.expectNoViolation(seed: seed, faults: [], deals: seed % 2 == 0, spirals: true)
    }

    @Test(arguments: 2...5)
    func `kills at the worst moments, in clusters of every size`(nodes: Int) {
        Self.expectNoViolation(seed: 5, faults: [.sniper, .twins, .crash], nodes: nodes)
    }
}

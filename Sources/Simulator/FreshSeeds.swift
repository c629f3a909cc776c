// The seeds of a long run: they count up from one number, and fifty of one kind follow fifty of another. The kinds are
// what a seed does not draw by itself, so a run of hours sees all of them.

package struct FreshSeeds: Sendable {
    /// Seeds of one kind in a row.
    package static let blockLength: UInt64 = 50
    /// What a seed alone decides, and what it does not.
    package static let kinds: [PlanOptions] = {
        var (dealt, forked, both, kept) = (PlanOptions(), PlanOptions(), PlanOptions(), PlanOptions())
        var (watched, tight, late, sealed) = (PlanOptions(), PlanOptions(), PlanOptions(), PlanOptions())
        var (scripted, dealtScripted, stored) = (PlanOptions(), PlanOptions(), PlanOptions())
        dealt.deals = true
        forked.forks = true
        (both.deals, both.forks) = (true, true)
        (kept.keepAlive, kept.forgetful) = (true, true)
        watched.witness = true
        tight.tight = true
        late.late = true
        sealed.sealed = true
        scripted.script = .own
        (dealtScripted.script, dealtScripted.deals) = (.own, true)
        stored.disks = true
        let drawn = [PlanOptions(), dealt, forked, both, kept, watched, tight, late, sealed]
        return drawn + [scripted, dealtScripted, stored]
    }()

    package let start: UInt64
    /// What the command line has fixed; nothing leaves the kind to the seed's number.
    package let fixed: PlanOptions
    package let reduction: Reduction

    package init(start: UInt64, fixed: PlanOptions, reduction: Reduction = Reduction()) {
        self.start = start
        self.fixed = fixed
        self.reduction = reduction
    }

    /// The plan of the seed with this number, counted from 0.
    package func plan(_ number: UInt64) -> Plan {
        let kind = Int(number / FreshSeeds.blockLength % UInt64(FreshSeeds.kinds.count))
        let options = fixed == PlanOptions() ? FreshSeeds.kinds[kind] : fixed
        return Plan(seed: start &+ number, options: options, reduction: reduction)
    }
}

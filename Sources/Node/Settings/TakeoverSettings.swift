// `takeover`: how an heir acts (R1, R12, S2-11).

package struct TakeoverSettings: Equatable, Sendable {
    /// `takeover.early`: what becomes of a ringing call whose node died.
    package enum Early: String, CaseIterable, Sendable {
        case cancel
        case wait
        /// Wait while a live member holds the dead node's service address, else cancel.
        case auto
    }

    /// `takeover.early`, `cancel|wait|auto`, default auto.
    package var early: Early = .auto
    /// `takeover.early-grace-ms`, milliseconds, 0 to 60 000, default 1500: how long the address may take to move.
    package var earlyGrace: Duration = .milliseconds(1_500)
    /// `takeover.settle-ms`, milliseconds, 0 to 10 000, default 150: lets a refresh in flight be joined before acting.
    package var settle: Duration = .milliseconds(150)
    /// `takeover.stagger-ms`, milliseconds, 50 to 10 000, default 500: how much later each rank acts.
    package var stagger: Duration = .milliseconds(500)
    /// `takeover.intent-life-ms`, milliseconds, 500 to 30 000, default 1500: how long a granted intent is final.
    package var intentLife: Duration = .milliseconds(1_500)

    package init() {}

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        list.range("takeover.early-grace-ms", earlyGrace)
        list.range("takeover.settle-ms", settle)
        list.range("takeover.stagger-ms", stagger)
        list.range("takeover.intent-life-ms", intentLife)
        return list.problems
    }
}

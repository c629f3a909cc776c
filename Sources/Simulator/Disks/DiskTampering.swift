// Ways to break what disks promise, for the tests that see each of their checks fire.

internal import Dialogs
internal import Node

extension World {
    package var hasOutage: Bool { checks.outage != nil }
    /// Calls that were on every disk, live and over.
    package var storedCalls: (live: Int, over: Int) { (checks.outage?.live.count ?? 0, checks.outage?.over.count ?? 0) }

    /// Takes every row from every disk; once everything is killed, nobody has anything.
    package func tamperEmptyingDisks() { disks = disks.map { _ in SimulatedDisk() } }

    /// Makes the checkers believe that what is live was over on every disk.
    package func tamperBuryingStored() {
        for call in checks.outage?.live.keys.sorted() ?? [] { checks.outage?.over[call] = .max }
    }

    /// Makes the checkers believe that all those ended at one moment whose time had passed meanwhile.
    package func tamperHurryingEnds() {
        guard let outage = checks.outage else { return }
        for call in truth.prefix(20) {
            checks.outage?.live[call.index] = outage.struck
            call.dialogs[0].byes = [
                GeneratedBye(
                    leg: .caller, place: 0, process: hosts[0].process, at: outage.restart + .seconds(1), branch: "",
                    sentBy: "", cseq: 1, bytes: [], isFirstOfLeg: true)
            ]
        }
        judgePace()
    }
}

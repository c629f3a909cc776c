// Calls that a Kamailio has left in its tables become the cluster's, when it begins: what is not among the records that
// were read before is new, has the time that its row leaves it, and is told to the peers and stored like any other.
//
// A row of a call that is known, live or over, is one that this program has written, or has taken over before.

import Dialogs
import Primitives
import Proxy

extension Node {
    mutating func takeOver(_ page: ModulePage, now: Instant) {
        storage.counters.moduleRefused += UInt64(page.unreadable)
        let home = moduleHome()
        for row in page.rows where !isKnown(row) {
            do throws(ModuleRowError) {
                let taken = try row.takeover(
                    store.dialogs.did(ofModule: row), home: home, size: store.dialogs.bucketCount,
                    now: page.readAt / 1_000
                ) { [settings] link in
                    let name = String(decoding: link.name, as: UTF8.self)
                    let known =
                        link.value == nil ? settings.dialogs.profilesNoValue : settings.dialogs.profilesWithValue
                    return known.contains(name)
                }
                take(taken, now: now)
            } catch {
                refuse(row, error)
            }
        }
    }

    private func moduleHome() -> Record.Home {
        var home = Record.Home()
        (home.name, home.boot) = (proxy.settings.nodeName, proxy.settings.boot)
        home.sentBy = proxy.settings.sentBy
        return home
    }

    private func isKnown(_ row: ModuleRow) -> Bool {
        let (callID, from, to) = (Array(row.key.callID.utf8), Array(row.caller.tag.utf8), Array(row.callee.tag.utf8))
        if store.dialogs.contains(store.dialogs.did(ofModule: row)) { return true }
        return store.dialogs.find(
            callID: callID, ByteRange(callID), fromTag: from, ByteRange(from), toTag: to, ByteRange(to)) != nil
    }

    private mutating func take(_ taken: ModuleTakeover, now: Instant) {
        let record = StoredRecord(did: taken.did, record: taken.record, ageMilliseconds: taken.ageMilliseconds)
        guard join(record, now: now) else {
            storage.counters.moduleRefused += 1
            return
        }
        storage.counters.moduleTaken += 1
        storage.ledger.mark(taken.did, now: now)
        proxy.effects.items.append(.put(taken.did))
    }

    private mutating func refuse(_ row: ModuleRow, _ error: ModuleRowError) {
        storage.counters.moduleRefused += 1
        guard storage.tellsRefusal() else { return }
        notesDue.append(
            Note(
                .warning, "a row of Kamailio's tables makes no dialog; further ones are counted",
                [("call-id", String(row.key.callID.prefix(256))), ("because", error.description)]))
    }

    mutating func tellTakenOver() {
        let counters = storage.counters
        guard counters.moduleTaken > 0 || counters.moduleRefused > 0 else { return }
        notesDue.append(
            Note(
                .notice, "calls were taken over from Kamailio's tables",
                [("calls", String(counters.moduleTaken)), ("refused", String(counters.moduleRefused))]))
    }
}

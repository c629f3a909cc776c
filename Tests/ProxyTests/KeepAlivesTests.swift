// When dialogs are asked: evenly over the interval, at the same moments on every node, and never more in one turn
// than it can bear.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Which dialogs are asked when")
struct KeepAlivesTests {
    private static let hash = KeyedHash(key0: 3, key1: 4)

    private static func did(_ number: Int) -> DialogID {
        var stream = hash.begin()
        stream.combine(UInt64(number))
        return DialogID(rawValue: stream.finish())
    }

    private static func proxy(limit: Int = 200_000) -> Proxy {
        var settings = ProxySettings()
        settings.keepAlive.interval = .seconds(30)
        settings.keepAlive.limit = limit
        return Proxy(settings: settings, hash: hash, now: .zero)
    }

    /// Confirmed dialogs, all at one instant, as a snapshot brings them.
    private static func fill(_ proxy: inout Proxy, _ count: Int) throws -> DialogTable {
        var dialogs = DialogTable(buckets: 16, hash: hash, limit: count)
        var facts = FactsWriter()
        for number in 0..<count {
            facts.begin()
            facts.put(.callID, Array("c\(number)".utf8))
            facts.put(.fromTag, Array("a".utf8))
            facts.reach(.confirmed)
            facts.raise(.keepAliveToCaller)
            let did = did(number)
            _ = try dialogs.learn(did, facts: RawSpan(_elements: facts.bytes.span), age: .zero, now: .zero)
            proxy.watch(did, now: .zero, dialogs: dialogs)
        }
        return dialogs
    }

    @Test func `100 000 dialogs that came at one instant are looked at one by one, evenly over the interval`() throws {
        var proxy = Self.proxy()
        var dialogs = try Self.fill(&proxy, 100_000)
        #expect(proxy.keepAlives.count == 100_000)
        var (due, now) = ([DialogID](), Instant.zero)
        var largest = 0
        for round in 1...2 {
            var seen = Set<DialogID>()
            for _ in 0..<3_001 where now < Instant.zero.advanced(by: .seconds(30) * round) {
                now = now.advanced(milliseconds: 10)
                due.removeAll(keepingCapacity: true)
                proxy.takeDueKeepAlives(now: now, into: &due)
                largest = max(largest, due.count)
                for did in due {
                    seen.insert(did)
                    proxy.keepAlive(did, isActor: false, now: now, dialogs: &dialogs)
                }
            }
            #expect(seen.count == 100_000, "each once an interval, round \(round)")
        }
        // 33 on average; 70 would be six standard deviations.
        #expect(largest >= 33 && largest < 70)
        #expect(proxy.counters.keepAlivesPutOff == 0)
    }

    @Test func `after a pause 256 are looked at in a turn, and the rest in the turns that follow`() throws {
        var proxy = Self.proxy()
        var dialogs = try Self.fill(&proxy, 3_000)
        var (due, now) = ([DialogID](), Instant.zero.advanced(by: .seconds(31)))
        var seen = Set<DialogID>()
        var turns = 0
        while seen.count < 3_000, turns < 100 {
            due.removeAll(keepingCapacity: true)
            proxy.takeDueKeepAlives(now: now, into: &due)
            #expect(due.count <= KeepAlives.turnLimit)
            for did in due {
                #expect(seen.insert(did).inserted, "none twice before all were looked at")
                proxy.keepAlive(did, isActor: false, now: now, dialogs: &dialogs)
            }
            now = now.advanced(milliseconds: 10)
            turns += 1
        }
        #expect(seen.count == 3_000 && turns == 12)
        #expect(proxy.counters.keepAlivesPutOff == 3_000 - 256)
    }

    @Test func `at the limit a dialog is not watched, and counted`() throws {
        var proxy = Self.proxy(limit: 100)
        _ = try Self.fill(&proxy, 120)
        #expect(proxy.keepAlives.count == 100 && proxy.counters.keepAlivesRefused == 20)
    }

    @Test func `replicas of one age have the same moments, whenever they came`() throws {
        var (first, second) = (Self.proxy(), Self.proxy())
        _ = try Self.fill(&first, 1)
        var late = DialogTable(buckets: 16, hash: Self.hash, limit: 10)
        var facts = FactsWriter()
        facts.begin()
        facts.put(.callID, Array("c0".utf8))
        facts.put(.fromTag, Array("a".utf8))
        facts.reach(.confirmed)
        facts.raise(.keepAliveToCaller)
        let now = Instant.zero.advanced(by: .seconds(70))
        _ = try late.learn(Self.did(0), facts: RawSpan(_elements: facts.bytes.span), age: .seconds(70), now: now)
        second.watch(Self.did(0), now: now, dialogs: late)
        func moment(_ proxy: inout Proxy, from: Instant) -> Instant {
            var (due, now) = ([DialogID](), from)
            while due.isEmpty {
                now = now.advanced(milliseconds: 10)
                proxy.takeDueKeepAlives(now: now, into: &due)
            }
            return now
        }
        let home = moment(&first, from: .zero)
        let heir = moment(&second, from: now)
        #expect(heir - home == .seconds(60) || heir - home == .seconds(90))
    }
}

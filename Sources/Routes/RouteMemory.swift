// RouteMemory is what routes of one node remember from run to run: hash tables, shared variables, what pike counts, and
// whose turn it is in a set of the dispatcher. It dies with the node.
//
// A hash table is a dictionary whose entries may end: an entry is gone for whoever asks after its time, and is taken
// away when it is met, or in a sweep once the table is full, at most one a second. What expires is counted from its
// last write, or from its first where the table says so.
//
// Limits: 64 shared variables, 16 tables of 65 536 entries, 65 536 sources that pike knows, 65 536 calls of
// other systems.

internal import Dialogs
package import Primitives
internal import SIP

package struct HashTableSettings: Equatable, Sendable {
    package var name: [UInt8]
    /// How long an entry lives; `nil` for ever.
    package var lifetime: Duration?
    /// A write to an entry that is there begins its time anew.
    package var updatesLifetime = true
    /// What an entry that is not there reads as; null where there is none.
    package var initial: RouteValue = .null

    package init(name: [UInt8], lifetime: Duration? = nil) {
        self.name = name
        self.lifetime = lifetime
    }
}

package struct RouteMemory: Sendable {
    package static let sharedLimit = 64
    package static let entryLimit = 65_536
    package static let remoteLimit = 65_536

    package struct Entry: Sendable {
        package var value: RouteValue
        package var ends: Instant
    }

    package struct Table: Sendable {
        package var settings: HashTableSettings
        package var entries: [[UInt8]: Entry] = [:]
        /// A full table is not walked again before this.
        var nextSweep = Instant(nanoseconds: .min)
    }

    package private(set) var shared: [[UInt8]: RouteValue] = [:]
    package private(set) var tables: [Table]
    package var pike: Pike
    package var dispatcher: Dispatcher
    /// Calls of other systems that count in profiles of this node, and until when, seconds since 1970.
    private var remote: [ProfileLink: [[UInt8]: Int]] = [:]
    private var remoteCount = 0
    /// The probability of `rand_event`, in hundredths.
    package var probability = 50

    package init(_ settings: RouteSettings) {
        tables = settings.tables.map { Table(settings: $0) }
        pike = Pike(settings.pike)
        dispatcher = Dispatcher(settings.dispatcher)
    }

    // MARK: Calls of other systems

    func remoteCount(of link: ProfileLink, seconds: Int) -> Int {
        if !remote.isEmpty, link.value == nil {
            return remote.filter { $0.key.name == link.name }.values.reduce(0) { $0 + $1.values.count { $0 > seconds } }
        }
        return remote[link]?.values.count { $0 > seconds } ?? 0
    }

    /// - Returns: False when there are too many.
    mutating func addRemote(_ link: ProfileLink, _ uid: [UInt8], until: Int, seconds: Int) -> Bool {
        if remote[link]?[uid] == nil {
            if remoteCount >= Self.remoteLimit { forgetRemote(seconds: seconds) }
            guard remoteCount < Self.remoteLimit else { return false }
            remoteCount += 1
        }
        remote[link, default: [:]][uid] = until
        return true
    }

    mutating func removeRemote(_ link: ProfileLink, _ uid: [UInt8]) -> Bool {
        guard remote[link]?.removeValue(forKey: uid) != nil else { return false }
        remoteCount -= 1
        if remote[link]?.isEmpty == true { remote[link] = nil }
        return true
    }

    private mutating func forgetRemote(seconds: Int) {
        for link in remote.keys { remote[link] = remote[link]?.filter { $0.value > seconds } }
        remote = remote.filter { !$0.value.isEmpty }
        remoteCount = remote.values.reduce(0) { $0 + $1.count }
    }

    package mutating func setShared(_ name: [UInt8], _ value: RouteValue) throws(RouteFault) {
        guard shared[name] != nil || shared.count < Self.sharedLimit else {
            throw .tooMuch("shared variables", Self.sharedLimit)
        }
        shared[name] = value.isNull ? .integer(0) : value
    }

    // MARK: Tables

    package func table(_ name: [UInt8]) -> Int? { tables.firstIndex { $0.settings.name == name } }

    package func value(_ table: [UInt8], _ key: [UInt8], at now: Instant) -> RouteValue {
        guard let index = self.table(table) else { return .null }
        guard let entry = tables[index].entries[key], entry.ends > now else { return tables[index].settings.initial }
        return entry.value
    }

    /// - Returns: `false` when there is no such table.
    package mutating func set(
        _ table: [UInt8], _ key: [UInt8], _ value: RouteValue, lifetime: Duration? = nil, at now: Instant
    ) throws(RouteFault) -> Bool {
        guard let index = self.table(table) else { return false }
        let settings = tables[index].settings
        let known = tables[index].entries[key].flatMap { $0.ends > now ? $0 : nil }
        if known == nil { try makeRoom(index, now) }
        var ends = (lifetime ?? settings.lifetime).map { now.advanced(by: $0) } ?? .distantFuture
        if let known, lifetime == nil, !settings.updatesLifetime { ends = known.ends }
        tables[index].entries[key] = Entry(value: value, ends: ends)
        return true
    }

    /// Ends an entry in so long a time.
    package mutating func setLifetime(
        _ table: [UInt8], _ key: [UInt8], _ lifetime: Duration, at now: Instant
    ) -> Bool {
        guard let index = self.table(table), tables[index].entries[key].map({ $0.ends > now }) == true else {
            return false
        }
        tables[index].entries[key]?.ends = now.advanced(by: lifetime)
        return true
    }

    private mutating func makeRoom(_ index: Int, _ now: Instant) throws(RouteFault) {
        guard tables[index].entries.count >= Self.entryLimit else { return }
        if now >= tables[index].nextSweep {
            tables[index].nextSweep = now.advanced(by: .seconds(1))
            tables[index].entries = tables[index].entries.filter { $0.value.ends > now }
        }
        guard tables[index].entries.count < Self.entryLimit else {
            throw .tooMuch("entries of a hash table", Self.entryLimit)
        }
    }

    package mutating func remove(_ table: [UInt8], _ key: [UInt8]) -> Bool {
        guard let index = self.table(table) else { return false }
        return tables[index].entries.removeValue(forKey: key) != nil
    }

    package mutating func removeAll(_ table: [UInt8]) -> Bool {
        guard let index = self.table(table) else { return false }
        tables[index].entries.removeAll()
        return true
    }

    /// Takes away the entries that a test names.
    package mutating func remove(_ table: [UInt8], where test: ([UInt8], RouteValue) -> Bool) -> Bool {
        guard let index = self.table(table) else { return false }
        tables[index].entries = tables[index].entries.filter { !test($0.key, $0.value.value) }
        return true
    }

    package func count(_ table: [UInt8], at now: Instant, named key: [UInt8]) -> Int {
        guard let index = self.table(table), let entry = tables[index].entries[key] else { return 0 }
        return entry.ends > now ? 1 : 0
    }

    /// How many live entries a test names.
    package func count(_ table: [UInt8], at now: Instant, where test: ([UInt8], RouteValue) -> Bool) -> Int {
        guard let index = self.table(table) else { return 0 }
        return tables[index].entries.count { $0.value.ends > now && test($0.key, $0.value.value) }
    }
}

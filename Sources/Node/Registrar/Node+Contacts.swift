// What operators see of the registrations, and how they take one back or add one.

import Cluster
import Dialogs
package import Primitives
import Proxy
import Routes
import SIP

/// One contact, for people.
package struct ContactReport: Equatable, Sendable {
    package var uri = ""
    package var q = 1.0
    package var expiresSeconds = 0
    package var callID = ""
    package var cSeq = 0
    package var userAgent = ""
    package var path = ""
    /// Where it was heard from, where that is not where its URI leads: `sip:192.0.2.1:5060`.
    package var received = ""
    package var instance = ""
    package var registrationID = 0
    /// It came over a connection.
    package var hasConnection = false
    package var registeredUnixMilliseconds: Int64 = 0
    /// Branch flags, as a script's `save` found them.
    package var flags = 0
    /// One bit for each method, by Kamailio's numbers; all of them where the phone did not say.
    package var methods: Int64 = 0xffff_ffff
    /// Its number: Kamailio's ruid.
    package var uniqueID = ""

    package init() {}
}

package struct AddressReport: Equatable, Sendable {
    /// The table of a contact that names none.
    package static let usualTable = "location"

    /// `bob@example.org`, or `bob` where a script registers users alone.
    package var address: String
    package var table: String
    package var contacts: [ContactReport]
    /// 31 bits of its number, and how many buckets addresses are in.
    package var hash: Int64
    package var buckets: Int

    package init(
        address: String, table: String = usualTable, contacts: [ContactReport], hash: Int64 = 0, buckets: Int = 0
    ) {
        self.address = address
        self.table = table
        self.contacts = contacts
        self.hash = hash
        self.buckets = buckets
    }
}

/// A page of addresses of record, and the cursor of the next.
package struct ContactPage: Equatable, Sendable {
    package var addresses: [AddressReport]
    package var next: UInt32?

    package static let size = 100

    package init(addresses: [AddressReport], next: UInt32? = nil) {
        self.addresses = addresses
        self.next = next
    }
}

/// A contact that an operator wants added.
package struct ContactWish: Equatable, Sendable {
    package var address: String
    package var table: String
    package var uri: String
    package var expiresSeconds = 3_600
    package var q = 1.0
    package var path = ""
    package var flags: UInt32 = 0
    /// By Kamailio's numbers; 0 for all.
    package var methods: UInt32 = 0

    package init(address: String, table: String, uri: String) {
        self.address = address
        self.table = table
        self.uri = uri
    }
}

extension Node {
    /// Addresses that can be reached, in an order that stays.
    package func contacts(after cursor: UInt32?, now: Instant) -> ContactPage {
        let page = store.locations.page(from: Int(cursor ?? 0), limit: ContactPage.size)
        let reports = page.records.map { report($0, now: now) }.filter { !$0.contacts.isEmpty }
        return ContactPage(addresses: reports, next: page.next.map { UInt32($0) })
    }

    /// The contacts of one address of record: `bob@example.org`, or `bob` where it was registered so.
    package func contacts(
        of address: String, in table: String = AddressReport.usualTable, now: Instant
    ) -> AddressReport? {
        guard let record = record(of: address, in: table) else { return nil }
        let found = report(record, now: now)
        return found.contacts.isEmpty ? nil : found
    }

    /// Takes a contact back, or all of an address.
    /// - Returns: How many there were; `nil` when the record took nothing.
    package mutating func removeContacts(
        of address: String, in table: String = AddressReport.usualTable, uri: String?, now: Instant,
        into out: inout Outbox
    ) -> Int? {
        guard let record = record(of: address, in: table) else { return 0 }
        let wanted = uri.map { Array($0.utf8) }
        let news = record.removals(stamp: nextStamp(above: record), now: now) { entry in
            wanted.map { $0 == entry.binding.contact } ?? true
        }
        guard !news.entries.isEmpty else { return 0 }
        return write(news, now: now, into: &out) ? news.entries.count : nil
    }

    /// Adds a contact, or renews it.
    /// - Returns: Why it was not; `nil` when it was.
    package mutating func addContact(_ wish: ContactWish, now: Instant, into out: inout Outbox) -> String? {
        let whole = Self.canonical(wish.address)
        let isWhole = !settings.registrar.domains.isEmpty || settings.script.parameters.usesDomain
        let address = isWhole ? whole[...] : whole.prefix { $0 != 0x40 }
        guard !isWhole || address.contains(0x40),
            let name = LocationName(table: Array(wish.table.utf8), address: Array(address)).bytes
        else { return "'\(wish.address)' is no address" }
        let uri = Array(wish.uri.utf8)
        guard let key = RegisterRequest.key(uri) else { return "'\(wish.uri)' is no SIP URI" }
        let path = Array(wish.path.utf8)
        var hops: [NameAddress] = []
        let isPath = path.allSatisfy { $0 >= 0x20 } && NameAddress.append(listIn: path, ByteRange(path), to: &hops)
        guard path.isEmpty || isPath else { return "'\(wish.path)' is no Path" }
        let known = store.locations.record(of: name) ?? LocationRecord(aor: name)
        let before = known.entries.first { $0.key == key && $0.callID == Self.operatorCallID }
        var binding = Binding()
        (binding.key, binding.callID, binding.cSeq) = (key, Self.operatorCallID, (before?.cSeq ?? 0) &+ 1)
        binding.stamp = nextStamp(above: known)
        (binding.contact, binding.path) = (uri, path)
        binding.q = UInt32(max(0, min(1_000, wish.q * 1_000)))
        (binding.flags, binding.methods) = (wish.flags, KamailioMethods.ours(wish.methods))
        binding.userAgent = Array("understudy".utf8)
        binding.lifetimeSeconds = UInt32(wish.expiresSeconds)
        binding.registeredUnixMilliseconds = UInt64(max(0, unixMilliseconds + now.milliseconds(since: startedAt)))
        let until = now.advanced(by: .seconds(wish.expiresSeconds))
        var news = LocationRecord(aor: name)
        news.add(StoredBinding(binding, expiresAt: until, keptUntil: known.lastTrace(of: key) ?? until))
        guard known.byteCount + news.byteCount <= LocationRecord.byteLimit, news.entries[0].bytes.count <= Binding.limit
        else { return "the record takes no more" }
        return write(news, now: now, into: &out) ? nil : "the record takes no more"
    }

    /// What operators add has no call.
    private static let operatorCallID = Array("added-by-operator".utf8)

    private mutating func write(_ news: LocationRecord, now: Instant, into out: inout Outbox) -> Bool {
        begin(&out)
        defer {
            settle(now: now, into: &out)
            finish(&out, now: now)
        }
        do throws(RegistrarRefusal) {
            try write(news, now: now)
            return true
        } catch {
            return false
        }
    }

    /// An address as it was registered: whole, or, as scripts do it, the user alone.
    private func record(of address: String, in table: String) -> LocationRecord? {
        let whole = Self.canonical(address)
        for name in [whole[...], whole.prefix { $0 != 0x40 }] {
            let name = LocationName(table: Array(table.utf8), address: Array(name))
            if let bytes = name.bytes, let record = store.locations.record(of: bytes) { return record }
        }
        return nil
    }

    /// Without a scheme, in lower case.
    private static func canonical(_ address: String) -> [UInt8] {
        let text = address.hasPrefix("sip:") ? address.dropFirst(4) : address[...]
        return text.utf8.map(Text.lowercased)
    }

    private func report(_ record: LocationRecord, now: Instant) -> AddressReport {
        let name = LocationName(record.aor)
        return AddressReport(
            address: Self.text(name.address), table: Self.text(name.table),
            contacts: record.live(at: now).map { report($0, of: record, now: now) },
            hash: Int64(store.locations.id(of: record.aor) & 0x7fff_ffff), buckets: settings.dialogs.hashSize)
    }

    private func report(_ entry: StoredBinding, of record: LocationRecord, now: Instant) -> ContactReport {
        let binding = entry.binding
        var report = ContactReport()
        (report.uri, report.q) = (Self.text(binding.contact), Double(binding.q) / 1_000)
        report.expiresSeconds = Int(entry.expiresAt.milliseconds(since: now) / 1_000)
        (report.callID, report.cSeq) = (Self.text(entry.callID), Int(entry.cSeq))
        (report.userAgent, report.path) = (Self.text(binding.userAgent), Self.text(binding.path))
        (report.received, report.instance) = (Self.text(binding.receivedURI), Self.text(binding.instance))
        (report.registrationID, report.hasConnection) = (Int(binding.registrationID), !binding.flow.isEmpty)
        report.registeredUnixMilliseconds = Int64(clamping: binding.registeredUnixMilliseconds)
        (report.flags, report.methods) = (Int(binding.flags), KamailioMethods.theirs(binding.methods))
        report.uniqueID = Self.text(store.locations.uniqueID(of: entry.key, in: record.aor))
        return report
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

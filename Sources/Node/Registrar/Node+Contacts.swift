// What operators see of the registrations, and how they take one back.

import Cluster
import Dialogs
package import Primitives
import Proxy
import Routes
import SIP

/// One contact, for people.
package struct ContactReport: Equatable, Sendable {
    package var uri: String
    package var q: Double
    package var expiresSeconds: Int
    package var callID: String
    package var cSeq: Int
    package var userAgent: String
    package var path: String
    /// Where it was heard from, where that is not where its URI leads.
    package var received: String
    package var instance: String
    package var registrationID: Int
    /// It came over a connection.
    package var hasConnection: Bool
    package var registeredUnixMilliseconds: Int64
}

package struct AddressReport: Equatable, Sendable {
    package var address: String
    package var contacts: [ContactReport]
}

/// A page of addresses of record, and the cursor of the next.
package struct ContactPage: Equatable, Sendable {
    package var addresses: [AddressReport]
    package var next: UInt32?

    package static let size = 100
}

extension Node {
    /// Addresses that can be reached, in an order that stays.
    package func contacts(after cursor: UInt32?, now: Instant) -> ContactPage {
        let page = store.locations.page(from: Int(cursor ?? 0), limit: ContactPage.size)
        let reports = page.records.map { report($0, now: now) }.filter { !$0.contacts.isEmpty }
        return ContactPage(addresses: reports, next: page.next.map { UInt32($0) })
    }

    /// The contacts of one address of record, `bob@example.org`.
    package func contacts(of address: String, now: Instant) -> AddressReport? {
        guard let aor = aor(address), let record = store.locations.record(of: aor) else { return nil }
        let found = report(record, now: now)
        return found.contacts.isEmpty ? nil : found
    }

    /// Takes a contact back, or all of an address.
    /// - Returns: How many there were; `nil` when the record took nothing.
    package mutating func removeContacts(
        of address: String, uri: String?, now: Instant, into out: inout Outbox
    ) -> Int? {
        guard let aor = aor(address), let record = store.locations.record(of: aor) else { return 0 }
        begin(&out)
        defer {
            settle(now: now, into: &out)
            finish(&out, now: now)
        }
        let stamp = Stamp(counter: cluster.nextStamp(above: record.counter), tag: proxy.settings.memberTag)
        let wanted = uri.map { Array($0.utf8) }
        let news = record.removals(stamp: stamp, now: now) { entry in wanted.map { $0 == entry.binding.contact } ?? true }
        guard !news.entries.isEmpty else { return 0 }
        do throws(RegistrarRefusal) {
            try write(news, now: now)
        } catch {
            return nil
        }
        return news.entries.count
    }

    private func aor(_ address: String) -> [UInt8]? {
        let text = Array((address.hasPrefix("sip:") ? address : "sip:" + address).utf8)
        return RegisterRequest.aor(text, ByteRange(text))
    }

    private func report(_ record: LocationRecord, now: Instant) -> AddressReport {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        return AddressReport(
            address: text(record.aor),
            contacts: record.live(at: now).map { entry in
                let binding = entry.binding
                return ContactReport(
                    uri: text(binding.contact), q: Double(binding.q) / 1_000,
                    expiresSeconds: Int(entry.expiresAt.milliseconds(since: now) / 1_000), callID: text(entry.callID),
                    cSeq: Int(entry.cSeq), userAgent: text(binding.userAgent), path: text(binding.path),
                    received: Endpoint(fact: binding.received)?.text ?? "", instance: text(binding.instance),
                    registrationID: Int(binding.registrationID), hasConnection: !binding.flow.isEmpty,
                    registeredUnixMilliseconds: Int64(clamping: binding.registeredUnixMilliseconds))
            })
    }
}

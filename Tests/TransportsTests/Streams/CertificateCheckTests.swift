// What is told of the files of TLS before anything is served with them: which pairs do not fit, what has ended, what is
// for another name.

import Foundation
import Node
import Testing
import Transports

@Suite("Certificates are looked at first", .enabled(if: Identity.openssl != nil, "\(Identity.absence)"))
struct CertificateCheckTests {
    private static let day: Int64 = 86_400
    /// The certificates are made now, for two days.
    private let made = Int64(Date().timeIntervalSince1970)
    private let folder: URL
    private let here: Identity
    private let far: Identity

    init() throws {
        folder = try Identity.folder()
        here = try Identity(folder, "here", names: Identity.ownAddresses)
        far = try Identity(folder, "far", names: ["DNS:sip.example.org"])
    }

    private func settings(_ certificate: String, _ key: String, hosts: [TLSHost] = []) -> ConnectionSettings {
        var settings = ConnectionSettings()
        settings.certificateFile = certificate
        settings.keyFile = key
        settings.hosts = hosts
        return settings
    }

    /// KEY: MESSAGE, fatal ones with an exclamation mark before them, without the folder's name.
    private func told(_ settings: ConnectionSettings, after days: Int64 = 0) -> [String] {
        CertificateCheck.findings(
            settings, unixSeconds: made + days * Self.day,
            moment: { "day \((Int64($0) - made + Self.day / 2) / Self.day)" }
        ).map { finding in
            "\(finding.isFatal ? "!" : "")\(finding.key): \(finding.message)".replacing("\(folder.path)/", with: "")
        }
    }

    @Test func `nothing is told of nothing, and of a pair that fits only that it ends`() {
        #expect(told(ConnectionSettings()) == [])
        #expect(
            told(settings(here.certificate, here.key), after: 1) == [
                "sip.tls.certificate-file: here.pem ends on day 2, in 1 days; renew it"
            ])
    }

    @Test func `a pair that does not fit, in one order or the other, cannot be served`() {
        let mixed = told(settings(here.certificate, far.key))
        let stranger = "!sip.tls.key-file: the key far.key cannot be used: it does not belong to here.pem"
        #expect(mixed.first == stranger, "\(mixed)")
        let swapped = told(settings(here.key, here.certificate))
        #expect(swapped.first?.hasPrefix("!sip.tls.") == true, "\(swapped)")
        #expect(swapped.first?.contains("are certificate-file and key-file swapped?") == true, "\(swapped)")
        let absent = told(settings("\(folder.path)/none.pem", here.key))
        let unread = "!sip.tls.certificate-file: the certificate none.pem cannot be used: "
        #expect(absent.first?.hasPrefix(unread) == true, "\(absent)")
    }

    @Test func `a certificate that has ended, or has not begun, is told with its moment`() {
        let pair = settings(here.certificate, here.key)
        #expect(
            told(pair, after: 3) == [
                "sip.tls.certificate-file: here.pem ended on day 2: whoever connects will refuse it; renew it"
            ])
        #expect(
            told(pair, after: -1) == [
                "sip.tls.certificate-file: here.pem begins on day 0: whoever connects will refuse it until then"
            ])
    }

    @Test func `a further name's certificate is for that name, also by a star`() {
        func named(_ name: String) -> [String] {
            let host = TLSHost(name: name, certificateFile: far.certificate, keyFile: far.key)
            return told(settings(here.certificate, here.key, hosts: [host])).filter { !$0.contains(" ends on ") }
        }
        #expect(named("sip.example.org") == [])
        #expect(
            named("sip.example.net") == [
                "sip.tls.hosts: far.pem is for sip.example.org, not for sip.example.net: whoever asks for that name "
                    + "will refuse it"
            ])
        let strange = TLSHost(name: "sip.example.org", certificateFile: far.certificate, keyFile: here.key)
        let refused = told(settings(here.certificate, here.key, hosts: [strange]))
        #expect(refused.first?.hasPrefix("!sip.tls.hosts: ") == true, "\(refused)")
    }

    @Test func `names that are told to others are those of a certificate, where it has names`() throws {
        func strange(_ uris: [String], _ identity: Identity) throws -> [String] {
            var all = Settings()
            all.sip.streams = settings(identity.certificate, identity.key)
            all.sip.advertise = try uris.map { try #require(ConfiguredURI($0)) }
            return CertificateCheck.findings(all, unixSeconds: made, moment: { _ in "" })
                .filter { $0.key == "sip.advertise" }.map(\.message)
        }
        #expect(try strange(["sip:sip.example.org;transport=tls", "sip:sip.example.net"], far) == [])
        #expect(try strange(["sip:192.0.2.1;transport=tls"], far) == [], "an address is found by what led to it")
        #expect(try strange(["sip:sip.example.net;transport=tls"], here) == [], "it has addresses only")
        let told = try strange(["sip:sip.example.net;transport=tls", "sips:sip.example.net:5071"], far)
        #expect(
            told == [
                "sip.example.net is told to others, and the certificate is for sip.example.org: whoever asks for that "
                    + "name will refuse it"
            ])
    }

    @Test func `management's files are told under its own keys, and every file's end is known`() {
        var management = ManagementSettings()
        management.certificateFile = here.certificate
        management.keyFile = far.key
        let findings = CertificateCheck.findings(management, unixSeconds: made, moment: { _ in "" })
        #expect(findings.first?.key == "management.tls.key-file" && findings.first?.isFatal == true)
        var all = Settings()
        all.sip.streams = settings(
            here.certificate, here.key,
            hosts: [TLSHost(name: "a", certificateFile: far.certificate, keyFile: far.key)])
        all.management.certificateFile = here.certificate
        let ends = CertificateCheck.ends(all)
        #expect(ends.map(\.file) == [here.certificate, far.certificate], "each file once")
        #expect(ends.allSatisfy { abs($0.end - made - 2 * Self.day) <= 60 })
    }
}

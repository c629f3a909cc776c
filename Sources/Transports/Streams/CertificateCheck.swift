// Whether the files of TLS can be used, looked at before anything is started with them: they are read as the listeners
// read them, matched with their keys, and their dates are told.

import NIOSSL
package import Node
import SIP

package struct CertificateCheck: Sendable {
    package struct Finding: Equatable, Sendable {
        /// The setting that names the file.
        package var key: String
        package var message: String
        /// Nothing can be served with it; otherwise a warning.
        package var isFatal: Bool
    }

    /// Told when a certificate ends sooner than this.
    package static let noticeSeconds: Int64 = 14 * 86_400

    /// - Parameters:
    ///   - unixSeconds: Now.
    ///   - moment: How a moment, in seconds since 1970, is written.
    ///   - section: Where the keys stand that name the files.
    package static func findings(
        _ settings: ConnectionSettings, section: String = "sip.tls", unixSeconds: Int64, moment: (Double) -> String
    ) -> [Finding] {
        guard !settings.certificateFile.isEmpty else { return [] }
        var files = TLSFiles(
            certificate: settings.certificateFile, key: settings.keyFile, authorities: settings.authoritiesFile,
            verifiesClients: settings.verifiesClients, hosts: settings.hosts)
        var findings: [Finding] = []
        do throws(StreamError) {
            _ = try TLSContexts(files)
        } catch {
            // Hosts may share a file with the pair itself: whose it is shows without them.
            files.hosts = []
            let isOfHost = (try? TLSContexts(files)) != nil
            let key =
                switch error.reason {
                case _ where isOfHost: "\(section).hosts"
                case .key: "\(section).key-file"
                case .certificate: "\(section).certificate-file"
                default: "\(section).ca-file"
                }
            findings.append(Finding(key: key, message: error.description, isFatal: true))
        }
        let named = [("\(section).certificate-file", settings.certificateFile)]
        for (key, file) in named + settings.hosts.map({ ("\(section).hosts", $0.certificateFile) }) {
            guard let chain = try? NIOSSLCertificate.fromPEMFile(file) else { continue }
            for (index, certificate) in chain.enumerated() {
                let (from, to) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
                let which = index == 0 ? file : "\(file), certificate \(index + 1) of its chain,"
                guard let message = dateMessage(which, from, to, unixSeconds, moment) else { continue }
                findings.append(Finding(key: key, message: message, isFatal: false))
            }
        }
        for host in settings.hosts {
            guard let first = try? NIOSSLCertificate.fromPEMFile(host.certificateFile).first else { continue }
            let names = names(of: first)
            guard !names.isEmpty, !names.contains(where: { TLSHost.covers($0, host.name) }) else { continue }
            let message =
                "\(host.certificateFile) is for \(names.joined(separator: ", ")), not for \(host.name): "
                + "whoever asks for that name will refuse it"
            findings.append(Finding(key: "\(section).hosts", message: message, isFatal: false))
        }
        return findings
    }

    /// The host names that a certificate is for, in lower case.
    private static func names(of certificate: NIOSSLCertificate) -> [String] {
        certificate._subjectAlternativeNames().filter { $0.nameType == .dnsName }.map {
            String(decoding: $0.contents, as: UTF8.self).lowercased()
        }
    }

    /// The same of management's files.
    package static func findings(
        _ settings: ManagementSettings, unixSeconds: Int64, moment: (Double) -> String
    ) -> [Finding] {
        var files = ConnectionSettings()
        files.certificateFile = settings.certificateFile
        files.keyFile = settings.keyFile
        return findings(files, section: "management.tls", unixSeconds: unixSeconds, moment: moment)
    }

    /// All of a node's: SIP's, management's, and whether they are for the names under which it is told to others.
    package static func findings(
        _ settings: Settings, unixSeconds: Int64, moment: (Double) -> String
    ) -> [Finding] {
        let (streams, management) = (settings.sip.streams, settings.management)
        let told = settings.sip.advertise.filter { [.tls, .wss].contains($0.transport) && $0.address == nil }
        let url = management.advertise.flatMap { $0.isSecure && $0.address == nil ? $0.host : nil }
        return findings(streams, unixSeconds: unixSeconds, moment: moment)
            + findings(management, unixSeconds: unixSeconds, moment: moment)
            + strangers(
                told.map(\.host), "sip.advertise", [streams.certificateFile] + streams.hosts.map(\.certificateFile))
            + strangers([url].compactMap(\.self), "management.advertise", [management.certificateFile])
    }

    /// Names that are told to others and that none of the certificates is for.
    private static func strangers(_ told: [String], _ key: String, _ files: [String]) -> [Finding] {
        let certificates = files.filter { !$0.isEmpty }.compactMap { try? NIOSSLCertificate.fromPEMFile($0).first }
        let known = certificates.flatMap { names(of: $0) }
        var findings: [Finding] = []
        for name in told.map({ $0.lowercased() }) where !known.isEmpty {
            if known.contains(where: { TLSHost.covers($0, name) }) { continue }
            let message =
                "\(name) is told to others, and the certificate is for \(known.joined(separator: ", ")): whoever asks "
                + "for that name will refuse it"
            let finding = Finding(key: key, message: message, isFatal: false)
            if !findings.contains(finding) { findings.append(finding) }
        }
        return findings
    }

    /// Each file of certificates, and when the first of its chain to end does, in seconds since 1970.
    package static func ends(_ settings: Settings) -> [(file: String, end: Int64)] {
        let sip = settings.sip.streams
        let files = [sip.certificateFile] + sip.hosts.map(\.certificateFile) + [settings.management.certificateFile]
        var seen: Set<String> = [""]
        return files.filter { seen.insert($0).inserted }.compactMap { file in
            let chain = (try? NIOSSLCertificate.fromPEMFile(file)) ?? []
            return chain.map { Int64($0.notValidAfter) }.min().map { (file, $0) }
        }
    }

    private static func dateMessage(
        _ which: String, _ from: Int64, _ to: Int64, _ now: Int64, _ moment: (Double) -> String
    ) -> String? {
        if now > to { return "\(which) ended on \(moment(Double(to))): whoever connects will refuse it; renew it" }
        if now < from {
            return "\(which) begins on \(moment(Double(from))): whoever connects will refuse it until then"
        }
        guard to - now < noticeSeconds else { return nil }
        return "\(which) ends on \(moment(Double(to))), in \((to - now) / 86_400) days; renew it"
    }
}

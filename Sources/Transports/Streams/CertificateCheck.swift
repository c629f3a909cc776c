// Whether the files of TLS can be used, looked at before anything is started with them: they are read as the listeners
// read them, matched with their keys, and their dates are told.

import NIOSSL
package import Node

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
    package static func findings(
        _ settings: ConnectionSettings, unixSeconds: Int64, moment: (Double) -> String
    ) -> [Finding] {
        guard !settings.certificateFile.isEmpty else { return [] }
        let files = TLSFiles(
            certificate: settings.certificateFile, key: settings.keyFile, authorities: settings.authoritiesFile,
            verifiesClients: settings.verifiesClients, hosts: settings.hosts)
        var findings: [Finding] = []
        do throws(StreamError) {
            _ = try TLSContexts(files)
        } catch {
            let key =
                switch error.reason {
                case .key(let file, _): file == settings.keyFile ? "sip.tls.key-file" : "sip.tls.hosts"
                case .certificate(let file, _):
                    file == settings.certificateFile ? "sip.tls.certificate-file" : "sip.tls.hosts"
                default: "sip.tls.ca-file"
                }
            findings.append(Finding(key: key, message: error.description, isFatal: true))
        }
        let named = [("sip.tls.certificate-file", settings.certificateFile)]
        for (key, file) in named + settings.hosts.map({ ("sip.tls.hosts", $0.certificateFile) }) {
            guard let chain = try? NIOSSLCertificate.fromPEMFile(file) else { continue }
            for (index, certificate) in chain.enumerated() {
                let (from, to) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
                let which = index == 0 ? file : "\(file), certificate \(index + 1) of its chain,"
                guard let message = dateMessage(which, from, to, unixSeconds, moment) else { continue }
                findings.append(Finding(key: key, message: message, isFatal: false))
            }
        }
        return findings
    }

    /// Each file of certificates, and when the first of its chain to end does, in seconds since 1970.
    package static func ends(_ settings: ConnectionSettings) -> [(file: String, end: Int64)] {
        let files = [settings.certificateFile] + settings.hosts.map(\.certificateFile)
        return files.filter { !$0.isEmpty }.compactMap { file in
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

// Whose certificates of nodes a command believes: the authorities of this host, or those of a file.

import NIOSSL

package struct TrustedAuthorities: Sendable {
    let roots: NIOSSLTrustRoots

    package static let system = TrustedAuthorities(roots: .default)

    private init(roots: NIOSSLTrustRoots) { self.roots = roots }

    /// - Parameter file: PEM, one certificate or several; a certificate that signed itself is its own authority.
    package init(file: String) throws(ClientError) {
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(file)
            guard !certificates.isEmpty else { throw ClientError.badAuthorities(file) }
            roots = .certificates(certificates)
        } catch {
            throw ClientError.badAuthorities(file)
        }
    }
}

// The certificate of management and its key, as HTTPS shows them. They are read from their files at the start and again
// by `readAgain`; a connection keeps those that it was opened with. TLS 1.2 and above.
//
// What is wrong with a file is told by `config check` and by whoever starts the node, in more words than here.

import NIOCore
import NIOSSL
import Synchronization

package final class ServerKeys: Sendable {
    private let certificateFile: String
    private let keyFile: String
    private let current: Mutex<NIOSSLContextConfigurationOverride>
    /// What the server is made with; whoever connects gets the keys of that moment.
    private let first: TLSConfiguration

    package init(certificateFile: String, keyFile: String) throws(HTTPServerError) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        first = try Self.configuration(certificateFile, keyFile)
        current = Mutex(Self.keys(of: first))
    }

    /// Reads the files anew; on an error the keys from before stay.
    package func readAgain() throws(HTTPServerError) {
        let keys = Self.keys(of: try Self.configuration(certificateFile, keyFile))
        current.withLock { $0 = keys }
    }

    var configuration: TLSConfiguration {
        var configuration = first
        configuration.sslContextCallback = { [self] _, promise in promise.succeed(current.withLock { $0 }) }
        return configuration
    }

    private static func keys(of configuration: TLSConfiguration) -> NIOSSLContextConfigurationOverride {
        var keys = NIOSSLContextConfigurationOverride()
        keys.certificateChain = configuration.certificateChain
        keys.privateKey = configuration.privateKey
        return keys
    }

    private static func configuration(
        _ certificateFile: String, _ keyFile: String
    ) throws(HTTPServerError) -> TLSConfiguration {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificateFile)
            let key = try NIOSSLPrivateKey(file: keyFile, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            // Sees whether the two belong together.
            _ = try NIOSSLContext(configuration: configuration)
            return configuration
        } catch {
            throw HTTPServerError(reason: "\(certificateFile) and \(keyFile) cannot be used together")
        }
    }
}

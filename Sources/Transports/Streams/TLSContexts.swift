// The keys of TLS as NIOSSL wants them, read from their files. A reload makes both anew; connections that exist keep
// what they were opened with.
//
// TLS 1.2 and above. Whoever connects is shown the certificate of the name it asks for (SNI), or else the first. A
// server that we connect to must show a certificate for the name it was looked up by, or, when it was given as an
// address, for that address. NIOSSL checks the chain and that one of the two fits, `ServerIdentity` that it is the
// name. Limit: a certificate that names a domain as `URI:sip:…` alone (RFC 5922 §7.1) is refused.

import Glibc
import NIOCore
import NIOSSL
import Node
import SIP

struct TLSContexts: Sendable {
    /// How long a peer may take to answer TLS's own goodbye; the connection counts for the limits until then.
    private static let goodbyeTime = TimeAmount.seconds(1)

    let server: NIOSSLContext
    let client: NIOSSLContext

    init(_ files: TLSFiles) throws(StreamError) {
        let chain = try Self.chain(files.certificate)
        let key = try Self.key(files.key)
        let trust = try Self.trust(files.authorities)
        var server = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        server.minimumTLSVersion = .tlsv12
        server.shutdownTimeout = Self.goodbyeTime
        if files.verifiesClients {
            server.certificateVerification = .noHostnameVerification
            server.trustRoots = trust
        }
        let hosts = try files.hosts.map { host throws(StreamError) in try Host(host, server) }
        if !hosts.isEmpty {
            server.sslContextCallback = { asked, promise in
                let host = asked.serverHostname.flatMap { name in hosts.first { $0.host.covers(name) } }
                promise.succeed(host?.keys ?? .noChanges)
            }
        }
        var client = TLSConfiguration.makeClientConfiguration()
        client.minimumTLSVersion = .tlsv12
        client.shutdownTimeout = Self.goodbyeTime
        client.trustRoots = trust
        client.certificateChain = chain.map { .certificate($0) }
        client.privateKey = .privateKey(key)
        do {
            self.server = try NIOSSLContext(configuration: server)
            self.client = try NIOSSLContext(configuration: client)
        } catch {
            throw StreamError(.key(file: files.key, why: Self.stranger(files.certificate, chain)))
        }
    }

    /// Why a key does not go with a file of certificates: of several, the first is the node's.
    private static func stranger(_ file: String, _ chain: [NIOSSLCertificate]) -> String {
        guard chain.count > 1 else { return "it does not belong to \(file)" }
        return "it does not belong to the first certificate of \(file), which must be the node's own; its authorities' "
            + "follow"
    }

    /// A further name with its keys, as they were when it was read.
    private struct Host: Sendable {
        let host: TLSHost
        let keys: NIOSSLContextConfigurationOverride

        /// - Parameter server: The configuration that the keys are to go into.
        init(_ host: TLSHost, _ server: TLSConfiguration) throws(StreamError) {
            let chain = try TLSContexts.chain(host.certificateFile)
            let key = try TLSContexts.key(host.keyFile)
            var probe = server
            probe.certificateChain = chain.map { .certificate($0) }
            probe.privateKey = .privateKey(key)
            do { _ = try NIOSSLContext(configuration: probe) } catch {
                throw StreamError(.key(file: host.keyFile, why: TLSContexts.stranger(host.certificateFile, chain)))
            }
            var keys = NIOSSLContextConfigurationOverride()
            keys.certificateChain = probe.certificateChain
            keys.privateKey = probe.privateKey
            (self.host, self.keys) = (host, keys)
        }
    }

    private static func chain(_ file: String) throws(StreamError) -> [NIOSSLCertificate] {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(file)
            if !chain.isEmpty { return chain }
        } catch {
            throw StreamError(.certificate(file: file, why: explain(file, isKeyWanted: false)))
        }
        throw StreamError(.certificate(file: file, why: explain(file, isKeyWanted: false)))
    }

    private static func key(_ file: String) throws(StreamError) -> NIOSSLPrivateKey {
        do { return try NIOSSLPrivateKey(file: file, format: .pem) } catch {
            throw StreamError(.key(file: file, why: explain(file, isKeyWanted: true)))
        }
    }

    /// What a file is that is not what was wanted. A key is not looked at further than its first line.
    private static func explain(_ file: String, isKeyWanted: Bool) -> String {
        let text = head(of: file)
        let hasKey = text.firstRange(of: "PRIVATE KEY-----") != nil
        let hasCertificate = text.firstRange(of: "BEGIN CERTIFICATE-----") != nil
        if isKeyWanted, text.firstRange(of: "ENCRYPTED") != nil {
            return
                "it is encrypted, and nobody is there to type the passphrase; openssl pkey -in \(file) writes it plain"
        }
        if isKeyWanted, !hasKey, hasCertificate {
            return "it holds a certificate, not a key; are certificate-file and key-file swapped?"
        }
        if !isKeyWanted, !hasCertificate, hasKey {
            return "it holds a key, not a certificate; are certificate-file and key-file swapped?"
        }
        if text.firstRange(of: "-----BEGIN ") == nil { return "it is no PEM file, which begins with -----BEGIN" }
        return isKeyWanted ? "it holds no key that can be read" : "it holds no certificate that can be read"
    }

    /// What a PEM file has to say stands in its first lines.
    private static func head(of file: String) -> String {
        // Sound: the handle lives until the end of this function, and the bytes are lent for the call only.
        guard let handle = unsafe fopen(file, "r") else { return "" }
        defer { unsafe _ = fclose(handle) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, handle) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    private static func trust(_ file: String) throws(StreamError) -> NIOSSLTrustRoots {
        guard !file.isEmpty else { return .default }
        do { return .certificates(try NIOSSLCertificate.fromPEMFile(file)) } catch {
            throw StreamError(.authorities(file: file, why: "it is no PEM file that can be read"))
        }
    }
}

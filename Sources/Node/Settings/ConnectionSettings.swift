// `sip.tcp` and `sip.tls`: connections, of whatever transport they are. Whether certificate and key can be used is seen
// when they are read: by the loader, as far as there are files, and by the shell that opens the listeners.

package struct ConnectionSettings: Equatable, Sendable {
    /// `sip.tls.certificate-file`, PEM: this node's certificate and the chain above it; required with a `tls` or `wss`
    /// listener. Read again on SIGHUP: connections that come after it get the new one.
    package var certificateFile = ""
    /// `sip.tls.key-file`, PEM: the certificate's key; required with it.
    package var keyFile = ""
    /// `sip.tls.hosts`, at most 64: further names with certificates of their own.
    package var hosts: [TLSHost] = []
    /// `sip.tls.ca-file`, PEM: whom to trust, in both directions; default: the system's authorities.
    package var authoritiesFile = ""
    /// `sip.tls.verify-client`: whoever connects by TLS must show a certificate of those authorities; default false.
    package var verifiesClients = false
    /// `sip.tcp.connection-limit`, connections at once in both directions, 16 to 262 144, default 16 384. Each takes a
    /// file descriptor.
    package var connectionLimit = 16_384
    /// `sip.tcp.connections-per-source`, connections at once that one address may open, 1 to 262 144, default 256.
    /// Addresses of `sip.balancer` are exempt.
    package var connectionsPerSource = 256
    /// `sip.tcp.idle-timeout-s`, seconds, 10 to 86 400, default 600. A phone that sends keep-alives (RFC 5626 asks for
    /// one at least every two minutes) is never idle; one behind a NAT that does not can be called for so long.
    package var idleTimeout: Duration = .seconds(600)
    /// `sip.tcp.message-timeout-s`, seconds that a message may take from its first byte to its last, a handshake and an
    /// upgrade likewise, 1 to 300, default 10.
    package var messageTimeout: Duration = .seconds(10)
    /// `sip.tcp.connect-timeout-ms`, milliseconds that opening a connection may take, 100 to 30 000, default 4000: well
    /// below the 32 s of timers B and F, so that another target can be tried.
    package var connectTimeout: Duration = .milliseconds(4_000)

    package init() {}

    package func problems(needsCertificate: Bool) -> [SettingProblem] {
        var list = ProblemList()
        if needsCertificate, certificateFile.isEmpty {
            list.add("sip.tls.certificate-file", "is required: sip.listen has tls or wss")
        }
        if needsCertificate || !certificateFile.isEmpty, keyFile.isEmpty {
            list.add("sip.tls.key-file", "is required: the key of sip.tls.certificate-file")
        }
        if !keyFile.isEmpty, certificateFile.isEmpty, !needsCertificate {
            list.add("sip.tls.certificate-file", "is required: the certificate of sip.tls.key-file")
        }
        if !hosts.isEmpty, certificateFile.isEmpty, !needsCertificate {
            list.add("sip.tls.certificate-file", "is required with sip.tls.hosts: it is shown to all others")
        }
        for (index, host) in hosts.enumerated() where hosts[..<index].contains(where: { $0.name == host.name }) {
            list.add("sip.tls.hosts", "\(host.name) is there twice")
        }
        if verifiesClients, authoritiesFile.isEmpty {
            list.add("sip.tls.ca-file", "is required with sip.tls.verify-client: whose certificates are good")
        }
        list.range("sip.tcp.connection-limit", connectionLimit)
        list.range("sip.tcp.connections-per-source", connectionsPerSource)
        list.range("sip.tcp.idle-timeout-s", idleTimeout)
        list.range("sip.tcp.message-timeout-s", messageTimeout)
        list.range("sip.tcp.connect-timeout-ms", connectTimeout)
        return list.problems
    }
}

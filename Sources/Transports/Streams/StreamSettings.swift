// What a StreamService is started with, what it counts, and why it cannot start.

package import Node
import Primitives
package import SIP

package struct StreamSettings: Sendable {
    /// One address that connections are accepted on; its endpoint's transport says which kind.
    package struct Listener: Equatable, Sendable {
        package var id: ListenerID
        package var endpoint: Endpoint

        package init(id: ListenerID, endpoint: Endpoint) {
            self.id = id
            self.endpoint = endpoint
        }
    }

    package var listeners: [Listener] = []
    /// `nil`: no TLS, in neither direction.
    package var tls: TLSFiles?
    /// Connections at once, in both directions.
    package var connectionLimit = 16_384
    /// Connections at once that one address may have opened to us.
    package var connectionsPerSource = 256
    /// Addresses that the limit above does not hold for: a balancer's connections are those of everybody behind it.
    package var exemptSources: [Address] = []
    /// A connection over which nothing came and nothing went for so long is closed.
    package var idleTimeout = Duration.seconds(600)
    /// How long a message may take from its first byte to its last; a handshake and an upgrade likewise.
    package var messageTimeout = Duration.seconds(10)
    /// How long opening a connection may take, its handshake included.
    package var connectTimeout = Duration.milliseconds(4_000)
    /// Bytes that may wait to be written to one connection; at the limit it is closed, since its peer does not read.
    package var writeLimit = 1 << 20

    package init() {}

    /// Ports that a peer may offer for one connection (RFC 5923).
    static let aliasLimit = 4
    /// Requests of a connection that are looked at for `alias`.
    static let aliasChecks = 8
    /// How long a connection that has been told of its fault may take to close.
    static let lingerTime = Duration.seconds(2)
    /// How long a service that ends waits for its peers to close, too.
    static let goodbyeTime = Duration.milliseconds(500)
}

extension StreamSettings {
    /// What the settings of a node ask for; `nil` when it listens by UDP only, and then connects to nobody either.
    package init?(_ sip: SIPSettings) {
        self.init()
        for (index, endpoint) in sip.listen.enumerated() where endpoint.transport != .udp {
            listeners.append(Listener(id: ListenerID(rawValue: UInt8(index)), endpoint: endpoint))
        }
        guard !listeners.isEmpty else { return nil }
        let streams = sip.streams
        if !streams.certificateFile.isEmpty {
            tls = TLSFiles(
                certificate: streams.certificateFile, key: streams.keyFile, authorities: streams.authoritiesFile,
                verifiesClients: streams.verifiesClients, hosts: streams.hosts)
        }
        connectionLimit = streams.connectionLimit
        connectionsPerSource = streams.connectionsPerSource
        exemptSources = sip.balancer.map(\.address)
        idleTimeout = streams.idleTimeout
        messageTimeout = streams.messageTimeout
        connectTimeout = streams.connectTimeout
    }
}

/// Where the keys of TLS are; PEM files.
package struct TLSFiles: Equatable, Sendable {
    /// The chain, this node's certificate first; shown to whoever connects, and to servers that ask for it.
    package var certificate: String
    package var key: String
    /// Whom to trust; empty: the system's authorities.
    package var authorities: String
    /// Whoever connects must show a certificate of these authorities.
    package var verifiesClients: Bool
    /// Further names, whose certificates are shown to whoever asks for them.
    package var hosts: [TLSHost]

    package init(
        certificate: String, key: String, authorities: String = "", verifiesClients: Bool = false, hosts: [TLSHost] = []
    ) {
        self.certificate = certificate
        self.key = key
        self.authorities = authorities
        self.verifiesClients = verifiesClients
        self.hosts = hosts
    }
}

/// Counts since the start, and the connections that there are.
package struct StreamCounters: Equatable, Sendable {
    package var connections = 0
    package var accepted = 0
    package var opened = 0
    package var messagesReceived = 0
    package var messagesSent = 0
    package var pings = 0
    /// Found the connection limit reached.
    package var refusedAtLimit = 0
    /// Found their source's limit reached.
    package var refusedAtSourceLimit = 0
    package var connectsFailed = 0
    /// Handshakes and upgrades that took too long, in either direction.
    package var openingsTimedOut = 0
    package var idleClosed = 0
    /// A message took too long to come.
    package var slowClosed = 0
    /// A peer did not read what it was sent.
    package var backlogClosed = 0
    /// The SIP thread was too far behind.
    package var inboxClosed = 0
    /// Bytes that were no message to pass on.
    package var faults = 0
    package var faultsAnswered = 0
    package var tlsFailures = 0
    package var upgradesRefused = 0
    package var webSocketViolations = 0
    package var aliases = 0
    /// Offered a port that is another connection's, or one too many.
    package var aliasesRefused = 0
    /// Messages that could not be sent.
    package var sendsFailed = 0
    package var certificateReloads = 0

    package init() {}
}

/// Why no connections can be accepted.
package struct StreamError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        case addressInUse
        case addressNotAvailable
        case notPermitted
        case certificate(file: String, why: String)
        case key(file: String, why: String)
        case authorities(file: String, why: String)
        /// A TLS listener without files.
        case noCertificate
        case other(String)
    }

    package var endpoint: Endpoint?
    package var reason: Reason

    package init(_ reason: Reason, at endpoint: Endpoint? = nil) {
        self.reason = reason
        self.endpoint = endpoint
    }

    /// It is a file's fault, not an address's.
    package var isAboutTLS: Bool {
        switch reason {
        case .certificate, .key, .authorities, .noCertificate: true
        case .addressInUse, .addressNotAvailable, .notPermitted, .other: false
        }
    }

    package var description: String {
        let why =
            switch reason {
            case .addressInUse: "the address is in use; is another process listening there?"
            case .addressNotAvailable: "the address is not one of this host"
            case .notPermitted: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE"
            case .certificate(let file, let why): "the certificate \(file) cannot be used: \(why)"
            case .key(let file, let why): "the key \(file) cannot be used: \(why)"
            case .authorities(let file, let why): "the authorities \(file) cannot be used: \(why)"
            case .noCertificate: "TLS needs a certificate and a key"
            case .other(let why): why
            }
        guard let endpoint else { return why }
        return "cannot listen on \(endpoint.transport.lowercasedName) \(endpoint.text): \(why)"
    }
}

// DNSAnswer is what became of a question: records of the type asked for, the statement that there are none, or the
// reason why nobody knows. Times to live are as the server gave them; the cache caps them.

package enum DNSAnswer: Hashable, Sendable {
    /// A or AAAA, in the server's order.
    case addresses([Address], ttl: UInt32)
    /// SRV, lowest priority first; otherwise in the server's order.
    case services([DNSService], ttl: UInt32)
    /// NAPTR, in the server's order.
    case pointers([DNSPointer], ttl: UInt32)
    /// The name does not exist, or has no record of the type; how long that holds, when the zone's SOA says so
    /// (RFC 2308 §5).
    case none(ttl: UInt32?)
    case failed(DNSFailure)

    /// Records of one answer that are kept; further ones are not used.
    package static let recordLimit = 16

    /// Whether the answer can be one to a question of the type.
    package func fits(_ type: DNSType) -> Bool {
        switch self {
        case .addresses(let addresses, _):
            switch type {
            case .a: addresses.allSatisfy { !$0.isIPv6 }
            case .aaaa: addresses.allSatisfy(\.isIPv6)
            case .srv, .naptr: false
            }
        case .services: type == .srv
        case .pointers: type == .naptr
        case .none, .failed: true
        }
    }
}

/// A server of a service (RFC 2782).
package struct DNSService: Hashable, Sendable {
    package var priority: UInt16
    package var weight: UInt16
    package var port: UInt16
    /// Empty for ".": the service is decidedly not available at this domain.
    package var target: [UInt8]

    package init(priority: UInt16, weight: UInt16, port: UInt16, target: [UInt8]) {
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target
    }
}

/// A rule of where to look further (RFC 3403 §4.1).
package struct DNSPointer: Hashable, Sendable {
    package var order: UInt16
    package var preference: UInt16
    package var flags: [UInt8]
    package var service: [UInt8]
    package var regularExpression: [UInt8]
    package var replacement: [UInt8]

    package init(
        order: UInt16, preference: UInt16, flags: [UInt8], service: [UInt8], regularExpression: [UInt8],
        replacement: [UInt8]
    ) {
        self.order = order
        self.preference = preference
        self.flags = flags
        self.service = service
        self.regularExpression = regularExpression
        self.replacement = replacement
    }
}

/// Why a question has no answer.
package enum DNSFailure: Hashable, Sendable {
    /// Nobody answered in time.
    case timedOut
    /// No server could be reached.
    case unreachable
    /// Too many questions were under way.
    case busy
    /// The server answered with a code other than "no error" and "no such name": 2 "server failure", 5 "refused".
    case refused(code: UInt8)
    /// The answer could not be read.
    case malformed(DNSMessageError)
    /// Records of another type than the one asked for.
    case otherType
    /// The library's own status.
    case library(code: Int32)

    /// Further questions to the same servers would fare alike.
    package var isSilence: Bool {
        switch self {
        case .timedOut, .unreachable, .busy: true
        case .refused, .malformed, .otherType, .library: false
        }
    }
}

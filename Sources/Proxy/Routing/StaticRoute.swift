// Static routes as the proxy uses them: conditions that a request has to meet, and the set of targets it then goes to.
// Settings are checked before they come here; patterns are closures, since the expressions are the node's.

package import Primitives
package import SIP

/// One entry of `routes`: the first whose conditions all hold decides.
package struct StaticRoute: Sendable {
    package typealias Pattern = @Sendable (_ bytes: [UInt8], _ range: ByteRange) -> Bool

    /// A header of which one value must match.
    package struct HeaderCondition: Sendable {
        /// What the name stands for, `.other` for one that the parser does not know.
        var known: HeaderName
        var name: [UInt8]
        var matches: Pattern

        package init(name: [UInt8], matches: @escaping Pattern) {
            self.name = name
            self.matches = matches
            known =
                HeaderName.allCases.first {
                    $0 != .other
                        && (Text.equalsIgnoringCase(name, ByteRange(name), $0.text)
                            || ($0.compactForm.map { Text.equalsIgnoringCase(name, ByteRange(name), $0) } ?? false))
                } ?? .other
        }
    }

    /// Any of these; every method when empty.
    package var methods: [[UInt8]] = []
    /// Any of these; every source when empty.
    package var sources: [Subnet] = []
    /// Every Request-URI when `nil`.
    package var requestURI: Pattern?
    /// All of these.
    package var headers: [HeaderCondition] = []
    /// Whether a REGISTER gets our Path (RFC 3327); `nil`: none does.
    package var path: PathUse?
    /// Its calls are emergency calls, shed last.
    package var isEmergency = false
    /// What the dialogs of its calls begin with.
    package var dialog: DialogTemplate?
    /// Position in `ProxySettings.targetSets`.
    package var set: Int

    package init(set: Int) {
        self.set = set
    }
}

/// `path` of a route: which REGISTER requests get our Path (RFC 3327 §5.2).
package enum PathUse: String, CaseIterable, Sendable {
    /// Those with `Supported: path`.
    case supported
    /// All of them: a registrar without Path ignores it.
    case always
    /// All of them, with `Require: path`; one without `Supported: path` gets 421.
    case required
}

/// `policy` of a set: in which order its targets are tried.
package enum TargetPolicy: String, CaseIterable, Sendable {
    /// As listed, higher q first.
    case failover
    /// Each request begins with the next one.
    case roundRobin = "round-robin"
    /// The first is drawn by weight, and so is each after it.
    case weight
    /// As `weight`, but drawn by the Call-ID: the same on every node, and for every request of a call.
    case hash
    /// All of the same q at once, higher q first.
    case parallel
}

package struct TargetSet: Sendable {
    package struct Target: Sendable {
        /// It becomes the Request-URI when it names a user, else it is only the next hop.
        package var uri: [UInt8]
        package var namesUser: Bool
        /// `nil` where the host is a name.
        package var endpoint: Endpoint?
        package var name: ResolutionTarget?
        /// The URI leaves the transport open: a large request may go by TCP.
        package var isTransportOpen: Bool
        package var weight: Int
        /// Thousandths.
        package var q: Int

        package init(
            uri: [UInt8], namesUser: Bool, endpoint: Endpoint?, name: ResolutionTarget? = nil,
            isTransportOpen: Bool = false, weight: Int = 1, q: Int = 1_000
        ) {
            self.uri = uri
            self.namesUser = namesUser
            self.endpoint = endpoint
            self.name = name
            self.isTransportOpen = isTransportOpen
            self.weight = weight
            self.q = q
        }
    }

    package var name: String
    package var targets: [Target]
    package var policy = TargetPolicy.failover
    /// Zero: no probes.
    package var probeInterval = Duration.zero
    package var upAfter = 1
    package var downAfter = 3

    package init(name: String, targets: [Target]) {
        self.name = name
        self.targets = targets
    }
}

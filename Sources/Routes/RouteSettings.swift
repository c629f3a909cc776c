// RouteSettings is what routes know of their node that does not change from message to message: its names, and the
// parameters of the modules whose functions they call.

internal import Primitives
package import SIP

package struct RouteSettings: Sendable {
    /// Addresses of the listeners, service and advertised addresses of the whole cluster.
    package var names: [HostPort] = []
    /// Domains that are ours, in lower case, with a port where they have one.
    package var domains: [[UInt8]] = []
    /// The addresses of the members: what comes from there comes from us.
    package var members: [Address] = []
    /// The balancers, behind whose addresses everybody comes.
    package var balancers: [Address] = []
    /// By which this node can send.
    package var transports: Set<TransportProtocol> = [.udp]
    /// Names of the modules whose functions scripts may call, beside those that are always there.
    package var modules: Set<String> = []
    package var permissions = PermissionSettings()
    package var tables: [HashTableSettings] = []
    package var pike = PikeSettings()
    package var dispatcher: [DispatcherSet] = []
    package var auth = AuthSettings()
    package var registrar = RegistrarParameters()
    package var mediaRelays = MediaRelaySettings()
    /// `ims_dialog.profiles_with_value` and `profiles_no_value`.
    package var profilesWithValue: Set<[UInt8]> = []
    package var profilesNoValue: Set<[UInt8]> = []
    /// `ims_dialog.dlg_flag`; `nil`: none is asked for.
    package var beginningFlag: Int?
    /// The name in `ims_dialog.timeout_avp`; empty: none.
    package var timeoutAVP: [UInt8] = []
    /// `ims_dialog.default_timeout`.
    package var dialogLifetime: Duration = .seconds(43_200)
    /// Option tags that Proxy-Require may have (`sanity.proxy_require`).
    package var proxyRequire: [[UInt8]] = []

    package init() {}

    /// Whether a URI names us: with the host, port and transport of a listener, or with a domain of ours.
    package func isOurs(_ uri: URI, in bytes: [UInt8]) -> Bool {
        guard uri.scheme == .sip || uri.scheme == .sips else { return false }
        let transport = uri.transport(in: bytes)
        let assumed = uri.port ?? (uri.scheme == .sips ? 5_061 : transport?.defaultPort ?? 5_060)
        for name in names where name.port == assumed {
            if let known = name.transport, let transport, known != transport { continue }
            if name.matches(host: uri.host, in: bytes) { return true }
        }
        return domains.contains { domain in
            if Text.sameIgnoringCase(domain, ByteRange(domain), bytes, uri.host) { return true }
            guard let port = uri.port, let colon = domain.lastIndex(of: 0x3A), colon + 1 < domain.count else {
                return false
            }
            return Text.sameIgnoringCase(domain, ByteRange(start: 0, end: colon), bytes, uri.host)
                && RouteText.leadingNumber(Array(domain[(colon + 1)...])) == Int(port)
        }
    }

    /// `sip:host:port`, or `host` with a port or without.
    package func isOurs(text: [UInt8]) -> Bool {
        if let uri = try? URI(text, ByteRange(text)), uri.scheme == .sip || uri.scheme == .sips {
            return isOurs(uri, in: text)
        }
        let whole = Array("sip:".utf8) + text
        guard let uri = try? URI(whole, ByteRange(whole)), uri.user.isEmpty else { return false }
        return isOurs(uri, in: whole)
    }
}

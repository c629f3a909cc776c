// Whether this host could serve a configuration now: its addresses and ports. Every socket that is opened for it is
// closed at once.

import CSockets
import Glibc
package import SIP

package enum HostProbe {
    package enum Hindrance: Equatable, Sendable {
        case inUse
        case notThisHost
        case notPermitted
        case other(code: Int32)

        init(code: Int32) {
            switch code {
            case EADDRINUSE: self = .inUse
            case EADDRNOTAVAIL: self = .notThisHost
            case EACCES, EPERM: self = .notPermitted
            default: self = .other(code: code)
            }
        }

        package var sentence: String {
            switch self {
            case .inUse: "is in use on this host; if a node with this configuration runs, that is it"
            case .notThisHost: "is not an address of this host"
            case .notPermitted: "may not be opened: ports below 1024 need CAP_NET_BIND_SERVICE"
            case .other(let code): unsafe "cannot be opened: \(String(cString: strerror(code)))"
            }
        }
    }

    /// What keeps this host from listening there; `nil` when nothing does.
    package static func hindrance(to endpoint: Endpoint) -> Hindrance? {
        guard endpoint.transport == .udp else {
            let local = csys_endpoint(endpoint)
            // Sound: the call reads the variable that it is lent.
            let code = unsafe withUnsafePointer(to: local) { unsafe csys_tcp_try($0) }
            return code == 0 ? nil : Hindrance(code: -code)
        }
        do throws(UDPError) {
            _ = try UDPSocket(endpoint)
            return nil
        } catch {
            switch error.reason {
            case .addressInUse: return .inUse
            case .addressNotAvailable: return .notThisHost
            case .notPermitted: return .notPermitted
            case .familyNotSupported: return .other(code: EAFNOSUPPORT)
            case .tooManySockets: return .other(code: EMFILE)
            case .other(let code): return .other(code: code)
            }
        }
    }
}

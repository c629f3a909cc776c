// UDPSocket owns one bound, non-blocking UDP socket. Binding is exclusive: a second process on the port is an error
// with the address in it, never a silent share of the datagrams.
//
// `Binding.anyAddress` (IP_FREEBIND) is for service addresses, which a balancer or VRRP may move to this host at any
// time: the socket is open before the address arrives and works from that instant. Until then its sends fail and are
// counted.
//
// Limits: unicast only; link-local IPv6 addresses lose their scope and do not work.

import CSockets
import Glibc
package import SIP

/// Why a socket could not be opened.
package struct UDPError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        case addressInUse
        case addressNotAvailable
        /// A port below 1024 without the privilege.
        case notPermitted
        /// The host has no such family of addresses.
        case familyNotSupported
        case tooManySockets
        case other(code: Int32)
    }

    package var endpoint: Endpoint
    package var reason: Reason

    init(_ endpoint: Endpoint, code: Int32) {
        self.endpoint = endpoint
        switch code {
        case EADDRINUSE: reason = .addressInUse
        case EADDRNOTAVAIL: reason = .addressNotAvailable
        case EACCES, EPERM: reason = .notPermitted
        case EAFNOSUPPORT: reason = .familyNotSupported
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: reason = .tooManySockets
        default: reason = .other(code: code)
        }
    }

    package init(_ endpoint: Endpoint, reason: Reason) {
        self.endpoint = endpoint
        self.reason = reason
    }

    package var description: String {
        let why =
            switch reason {
            case .addressInUse: "the address is in use; is another process listening there?"
            case .addressNotAvailable: "the address is not one of this host"
            case .notPermitted: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE"
            case .familyNotSupported: "this host does not support the address family"
            case .tooManySockets: "too many open sockets; raise the limit of open files"
            case .other(let code): unsafe "\(String(cString: strerror(code))) (\(code))"
            }
        return "cannot listen on udp \(endpoint.text): \(why)"
    }
}

/// A bound socket; closed with its last reference.
package final class UDPSocket: Sendable {
    package enum Binding: Sendable {
        /// The address must be one of this host.
        case ownAddress
        /// Any address, now or later.
        case anyAddress
    }

    /// Where it listens; a port of 0 has become the port that the kernel chose.
    package let endpoint: Endpoint
    /// Bytes of receive buffer that the kernel granted, its own overhead included.
    package let receiveBuffer: Int
    let descriptor: Int32

    /// Asked for in both directions; the kernel caps it at `net.core.[rw]mem_max` for the unprivileged.
    package static let bufferBytes: Int32 = 4 << 20

    package init(_ endpoint: Endpoint, binding: Binding = .ownAddress) throws(UDPError) {
        var local = csys_endpoint(endpoint)
        var step: Int32 = 0
        // Sound: each call reads or writes the variables it is lent, and keeps nothing.
        let opened = unsafe csys_udp_open(&local, binding == .anyAddress ? 1 : 0, Self.bufferBytes, &step)
        guard opened >= 0 else { throw UDPError(endpoint, code: -opened) }
        _ = unsafe csys_local_endpoint(opened, &local)
        descriptor = opened
        self.endpoint = Endpoint(local)
        receiveBuffer = Int(max(0, csys_receive_buffer(opened)))
    }

    /// Datagrams that found the receive buffer full, since the socket was opened.
    var dropped: Int64 { csys_receive_drops(descriptor) }

    deinit { csys_close(descriptor) }
}

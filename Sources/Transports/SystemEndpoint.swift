// The way between the core's addresses and times and those of the system calls. IPv4 addresses are the low 32 bits in
// both.

import CSockets
package import Primitives
package import SIP

/// The clock of the shells: CLOCK_BOOTTIME, which goes on while the host is suspended and never steps.
package enum BootClock {
    package static var now: Instant { Instant(nanoseconds: csys_boottime()) }

    /// Milliseconds of the calendar clock since 1970; for `boot` numbers and logs, never compared between nodes.
    package static var unixMilliseconds: Int64 { csys_realtime() / 1_000_000 }

    /// CPU time of this process.
    package static var processMicroseconds: Int64 { csys_process_cpu() / 1_000 }
}

extension Endpoint {
    init(_ system: csys_endpoint) {
        let isIPv6 = system.is_ipv6 != 0
        let address =
            isIPv6
            ? Address(high: system.high, low: system.low) : Address(ipv4: UInt32(truncatingIfNeeded: system.low))
        self.init(address: address, port: system.port, transport: .udp)
    }
}

extension csys_endpoint {
    init(_ endpoint: Endpoint) {
        self.init(
            high: endpoint.address.high, low: endpoint.address.low, port: endpoint.port,
            is_ipv6: endpoint.address.isIPv6 ? 1 : 0)
    }
}

/// The addresses of this host's interfaces.
package enum HostAddresses {
    /// More addresses than this are not seen; a service address beyond it would be taken for absent.
    package static let limit = 1_024

    /// Sorted, so that two lists of the same addresses are equal; empty when the system does not tell.
    package static func current() -> [Address] {
        let found = unsafe [csys_endpoint](unsafeUninitializedCapacity: limit) { buffer, count in
            // Sound: the call writes at most `limit` elements, and says how many.
            let written = unsafe csys_host_addresses(buffer.baseAddress, Int32(limit))
            count = max(0, Int(written))
        }
        return found.map { Endpoint($0).address }
            .sorted { ($0.isIPv6 ? 1 : 0, $0.high, $0.low) < ($1.isIPv6 ? 1 : 0, $1.high, $1.low) }
    }
}

// MediaSockets are the sockets that media relays are asked from, one for each family of addresses that is needed: any
// port, behind the sockets of SIP, on the SIP thread like those. Only what the judge can match to a question of its own
// is taken from them.

import Node
import Routes
import SIP
import Transports

enum MediaSockets {
    private static func families(_ settings: Settings) -> (ipv4: Bool, ipv6: Bool) {
        let servers = settings.script.lua.isEmpty ? [] : settings.script.parameters.mediaRelays.servers
        return (
            servers.contains { !$0.endpoint.address.isIPv6 }, servers.contains { $0.endpoint.address.isIPv6 }
        )
    }

    /// Their numbers, behind the listeners and the service address.
    static func listeners(_ settings: Settings) -> (ipv4: ListenerID?, ipv6: ListenerID?) {
        let (ipv4, ipv6) = families(settings)
        let first = settings.sip.listen.count + (settings.sip.serviceAddress == nil ? 0 : 1)
        func id(_ number: Int) -> ListenerID { ListenerID(rawValue: UInt8(clamping: number)) }
        return (ipv4 ? id(first) : nil, ipv6 ? id(first + (ipv4 ? 1 : 0)) : nil)
    }

    /// In the order of their numbers.
    static func open(_ settings: Settings) throws(UDPError) -> [UDPSocket] {
        let (ipv4, ipv6) = families(settings)
        var sockets: [UDPSocket] = []
        if ipv4 { sockets.append(try UDPSocket(Endpoint(address: Address(ipv4: 0), port: 0))) }
        if ipv6 { sockets.append(try UDPSocket(Endpoint(address: Address(high: 0, low: 0), port: 0))) }
        return sockets
    }
}

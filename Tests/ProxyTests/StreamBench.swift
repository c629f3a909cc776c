// StreamBench is a ProxyBench with connections: messages come by a transport and a flow, and what is sent says by which
// transport, from which listener and over which flow.

import Primitives
import Proxy
import SIP

/// One proxy with a UDP, a TCP and a WebSocket listener; what it sends, with all there is to know.
struct StreamBench {
    struct Out: Equatable {
        var sent: Sent
        var transport: TransportProtocol
        var listener: UInt8
        var flow: FlowID
        var token: UInt64
        /// What a TLS server must show.
        var serverName: String
    }

    var bench: ProxyBench

    static let names = [
        ListenerName(
            transport: .tcp, sentBy: Array("10.0.1.1:5060".utf8),
            advertised: Array("10.0.1.9:5060;transport=tcp".utf8)),
        ListenerName(
            transport: .ws, sentBy: Array("10.0.1.1:80".utf8), advertised: Array("10.0.1.9:80;transport=ws".utf8)),
        ListenerName(
            transport: .tls, sentBy: Array("10.0.1.1:5061".utf8),
            advertised: Array("10.0.1.9:5061;transport=tls".utf8)),
    ]

    init(_ configure: (inout ProxySettings) -> Void = { _ in }) {
        bench = ProxyBench { settings in
            settings.listeners = [
                Endpoint(text: ProxyBench.node)!, Self.endpoint("10.0.1.1:5060", .tcp),
                Self.endpoint("10.0.1.1:80", .ws), Self.endpoint("10.0.1.1:5061", .tls),
            ]
            settings.names += Self.names
            settings.ownNames += [
                HostPort(Self.endpoint("10.0.1.1:80", .ws)), HostPort(host: Array("10.0.1.9".utf8), port: 80),
                HostPort(host: Array("10.0.1.9".utf8), port: 5_061),
                HostPort(host: Array("10.0.1.9".utf8), port: 5_060),
            ]
            configure(&settings)
        }
    }

    static func endpoint(_ text: String, _ transport: TransportProtocol) -> Endpoint {
        var endpoint = Endpoint(text: text)!
        endpoint.transport = transport
        return endpoint
    }

    mutating func receive(
        _ text: String, from source: String, _ transport: TransportProtocol = .udp, flow: UInt64 = 0,
        on socket: Int? = nil
    ) -> [Out] {
        let bytes = Array(text.utf8)
        let listener = socket ?? bench.proxy.settings.listeners.firstIndex { $0.transport == transport } ?? 0
        bench.proxy.receive(
            RawSpan(_elements: bytes.span), from: Self.endpoint(source, transport),
            on: ListenerID(rawValue: UInt8(listener)), flow: FlowID(rawValue: flow), ageMilliseconds: 0,
            now: bench.now, dialogs: &bench.dialogs)
        return drain()
    }

    mutating func fail(_ token: UInt64) -> [Out] {
        bench.proxy.receiveUnsent(token, now: bench.now, dialogs: &bench.dialogs)
        return drain()
    }

    mutating func drain() -> [Out] {
        let (datagrams, arena) = (bench.proxy.effects.queue.datagrams, bench.proxy.effects.queue.arena.bytes)
        return zip(bench.drain(), datagrams).map { sent, datagram in
            Out(
                sent: sent, transport: datagram.to.transport, listener: datagram.from.rawValue, flow: datagram.flow,
                token: datagram.token,
                serverName: String(decoding: arena[datagram.serverName.range], as: UTF8.self))
        }
    }
}

/// A request as it is written for a connection.
func overTCP(_ text: String, _ name: String = "TCP") -> String {
    text.replacing("SIP/2.0/UDP 10.0.0", with: "SIP/2.0/\(name) 10.0.0")
}

// What the shells count, as metrics: datagrams, system calls, bus frames. The names say what a number is for; a counter
// that only matters when something is wrong (errors, drops) is always there, at 0, so that an alert can be written for
// it.

import Nanomsg
import Node
import Transports

enum ShellMetrics {
    static func reports(_ transport: TransportCounters, _ bus: BusCounters?, _ dns: DNSCounters) -> [MetricReport] {
        func counter(_ name: String, _ help: String, _ value: Int) -> MetricReport {
            MetricReport(name: "understudy_\(name)", help: help, kind: .counter, value: Int64(value))
        }
        var reports = [
            counter("udp_datagrams_received_total", "SIP datagrams received", transport.datagramsReceived),
            counter("udp_datagrams_sent_total", "SIP datagrams sent", transport.datagramsSent),
            counter("udp_receive_calls_total", "recvmmsg calls that brought something", transport.receiveCalls),
            counter("udp_send_calls_total", "sendmmsg calls", transport.sendCalls),
            counter("udp_truncated_total", "Datagrams longer than a slot", transport.datagramsTruncated),
            counter("udp_errors_total", "Datagrams not sent, and receive errors", errors(transport)),
            counter("loop_turns_total", "Turns of the SIP thread", transport.turns),
            counter("loop_pauses_total", "Gaps of more than a second between two turns", transport.pauses),
            counter("dns_replies_total", "Answers and failures from the DNS thread", dns.replies),
            counter(
                "dns_dropped_total", "Questions and answers a full queue had no room for", dns.refused + dns.dropped),
            counter("bus_peers_refused_total", "Peers the bus could not be connected to", transport.peersRefused),
            counter("bus_actions_dropped_total", "Bus actions of a node without a bus", transport.busActionsDropped),
        ]
        if let bus {
            reports += [
                counter("bus_frames_published_total", "Frames published to peers", bus.framesPublished),
                counter("bus_bytes_published_total", "Bytes of those frames", bus.bytesPublished),
            ]
        }
        return reports
    }

    private static func errors(_ transport: TransportCounters) -> Int {
        transport.sendErrors.values.reduce(0, +) + transport.receiveErrors.values.reduce(0, +)
            + transport.unknownListener
    }
}

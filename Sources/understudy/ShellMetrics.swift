// What the shells count, as metrics: datagrams, system calls, bus frames. The names say what a number is for; a counter
// that only matters when something is wrong (errors, drops) is always there, at 0, so that an alert can be written for
// it.

import Cluster
import Nanomsg
import Node
import Sealing
import Transports

enum ShellMetrics {
    static func reports(
        _ transport: TransportCounters, _ bus: BusCounters?, _ seal: BusSealing.Report?, _ dns: DNSCounters,
        _ streams: StreamCounters?
    ) -> [MetricReport] {
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
            counter(
                "udp_dropped_total", "Datagrams the kernel dropped: a receive buffer was full",
                Int(transport.datagramsDropped)),
            counter("loop_turns_total", "Turns of the SIP thread", transport.turns),
            counter("loop_pauses_total", "Gaps of more than a second between two turns", transport.pauses),
            counter("dns_replies_total", "Answers and failures from the DNS thread", dns.replies),
            counter(
                "dns_dropped_total", "Questions and answers a full queue had no room for", dns.refused + dns.dropped),
            counter("bus_peers_refused_total", "Peers the bus could not be connected to", transport.peersRefused),
            counter("bus_actions_dropped_total", "Bus actions of a node without a bus", transport.busActionsDropped),
            counter(
                "streams_refused_total", "Messages for connections in a node that has none, or is too far behind",
                transport.streamsRefused),
        ]
        reports += MetricReport.histogram(
            "understudy_loop_turn_seconds", "A turn of the SIP thread, from its waking to its waiting",
            transport.turnTimes)
        if let streams { reports += Self.streams(streams) }
        for (refusal, count) in seal?.refused ?? [] {
            reports.append(
                MetricReport(
                    name: "understudy_bus_refused_total", help: "Messages of the bus that were not opened, by why",
                    kind: .counter, labels: [.init(name: "because", value: refusal.name)],
                    value: Int64(clamping: count)))
        }
        if let bus {
            reports += [
                counter("bus_frames_published_total", "Frames published to peers", bus.framesPublished),
                counter("bus_bytes_published_total", "Bytes of those frames", bus.bytesPublished),
                counter(
                    "bus_connections_silent_total", "Connections to the bus ports ended because nothing came",
                    bus.silentClosed),
                counter(
                    "bus_connections_refused_total", "Connections to the bus ports ended: too many of strangers",
                    bus.strangersClosed),
            ]
        }
        return reports
    }

    private static func streams(_ streams: StreamCounters) -> [MetricReport] {
        let gauge = MetricReport(
            name: "understudy_connections", help: "Connections that there are", kind: .gauge,
            value: Int64(streams.connections))
        let counters: [(String, String, Int)] = [
            ("connections_accepted", "Connections accepted", streams.accepted),
            ("connections_opened", "Connections opened", streams.opened),
            ("stream_messages_received", "Messages that came over connections", streams.messagesReceived),
            ("stream_messages_sent", "Messages that the system took for a connection", streams.messagesSent),
            ("stream_pings", "Keep-alives answered", streams.pings),
            ("connections_refused", "Connections refused at sip.tcp.connection-limit", streams.refusedAtLimit),
            (
                "connections_refused_by_source", "Connections refused at sip.tcp.connections-per-source",
                streams.refusedAtSourceLimit
            ),
            ("connects_failed", "Connections that could not be opened", streams.connectsFailed),
            ("connections_not_opened_in_time", "Handshakes and upgrades that took too long", streams.openingsTimedOut),
            ("connections_idle", "Connections closed because nothing happened", streams.idleClosed),
            ("connections_slow", "Connections closed because a message took too long", streams.slowClosed),
            ("connections_backlogged", "Connections closed because the peer did not read", streams.backlogClosed),
            ("connections_overload", "Connections closed because this node was too far behind", streams.inboxClosed),
            ("stream_faults", "What came over connections and was no message", streams.faults),
            ("stream_faults_answered", "Those that were told so", streams.faultsAnswered),
            ("tls_failures", "Handshakes that failed", streams.tlsFailures),
            ("websocket_upgrades_refused", "HTTP requests for anything but SIP", streams.upgradesRefused),
            ("websocket_violations", "WebSockets closed for breaking the protocol", streams.webSocketViolations),
            ("connection_aliases", "Ports that connections were offered for", streams.aliases),
            ("connection_aliases_refused", "Ports offered that were not taken", streams.aliasesRefused),
            ("stream_sends_failed", "Messages that could not be sent over a connection", streams.sendsFailed),
            ("certificate_reloads", "Times certificates were read again", streams.certificateReloads),
        ]
        return [gauge]
            + counters.map { name, help, value in
                MetricReport(name: "understudy_\(name)_total", help: help, kind: .counter, value: Int64(value))
            }
    }

    private static func errors(_ transport: TransportCounters) -> Int {
        transport.sendErrors.values.reduce(0, +) + transport.receiveErrors.values.reduce(0, +)
            + transport.unknownListener
    }
}

// What each key means, in the words of the manual: the tables of the article Configuration are written from here and
// from the table of keys, which knows ranges and defaults. What is said here besides is what a number cannot say.

/// What the manual says of a key besides what the table knows.
package struct SettingManual: Sendable {
    /// What it means, with its unit and what happens at it.
    package var meaning: String
    /// Its range, where that is more than numbers or words to choose from.
    package var range: String?
    /// Its default, where the key has no plain value.
    package var value: String?

    init(_ meaning: String, range: String? = nil, value: String? = nil) {
        (self.meaning, self.range, self.value) = (meaning, range, value)
    }

    static let all = node.merging(sip) { first, _ in first }.merging(cluster) { first, _ in first }
        .merging(script) { first, _ in first }
        .merging(service) { first, _ in first }.merging(storage) { first, _ in first }
        .merging(ModuleParameter.all.map { ($0.name, $0.manual) }) { first, _ in first }
}

extension SettingKey {
    /// `nil` for the tables of routes and sets, which have a section of their own.
    package var manual: SettingManual? { SettingManual.all[name] }

    /// Its row in the article Configuration.
    package var row: String? {
        guard let manual else { return nil }
        let words = choices.map { "`\($0)`" }.joined(separator: ", ")
        let range = manual.range ?? (rangeText.isEmpty ? words : rangeText)
        let plain = defaultValue.map { choices.isEmpty ? $0 : "`\($0)`" } ?? ""
        return "| `\(name)` | \(manual.meaning) | \(range) | \(manual.value ?? plain) |"
    }
}

extension SettingManual {
    static let node: [String: SettingManual] = [
        "node.name": SettingManual(
            """
            Name of this node, unique in the cluster. It travels in frames and records
            """,
            range: "1 to 32 of `A-Z a-z 0-9 . _ -`",
            value: "required"),
        "node.shards": SettingManual(
            """
            SIP threads
            """),
        "node.witness": SettingManual(
            """
            The process only votes: no SIP, no records, nothing but `cluster`, `management` and its name. The third \
            vote where there are two nodes, see <doc:Nodes>
            """),
        "node.log-level": SettingManual(
            """
            What is logged: lines of this level and above. `serve --log-level` wins; `understudy log-level` changes \
            it until the next reload that brings another
            """,
            range: "debug, info, notice, warning, error",
            value: "info"),
        "dns.servers": SettingManual(
            """
            Whom to ask
            """,
            range: "list of at most 8 `ADDRESS` or `ADDRESS:PORT`, port 53",
            value: "the system's resolv.conf, read at the start"),
        "dns.timeout-ms": SettingManual(
            """
            A question without an answer for so long has failed, milliseconds. All servers and tries together
            """),
        "dns.tries": SettingManual(
            """
            Rounds over all servers within that time, each twice as long as the one before
            """),
        "dns.cache-entries": SettingManual(
            """
            Answers kept. At the limit the least recently used one goes, counted
            """),
        "dns.families": SettingManual(
            """
            Which addresses of a name are used. `auto`: those of the families in `sip.listen`, the first one \
            preferred
            """),
    ]

    static let sip: [String: SettingManual] = [
        "sip.listen": SettingManual(
            """
            Where SIP comes in. Each address goes into the Via and Record-Route of what passes it, so no wildcard. \
            Without a scheme it is `udp://`
            """,
            range: """
                list of 1 to 8 `udp://`, `tcp://`, `tls://`, `ws://` or `wss://ADDRESS:PORT`; with peers at least \
                one `udp`
                """,
            value: "required"),
        "sip.advertise": SettingManual(
            """
            SIP URIs for Record-Route, owned by every node: the balancer's address
            """,
            range: """
                one a transport and family, for each that `sip.listen` has and for no other; a host name serves both \
                families
                """,
            value: "each listener's own address"),
        "sip.balancer": SettingManual(
            """
            Whose packets come for others
            """,
            range: "list of `ADDRESS` or `ADDRESS:PORT`, port 5060",
            value: "none"),
        "sip.force_rport": SettingManual(
            """
            Where an answer goes. `auto`: to the source port when Via has rport, when the source differs from \
            sent-by, or when it is the balancer's; else by RFC 3261 §18.2.2
            """),
        "sip.egress": SettingManual(
            """
            Where requests leave: straight to the next hop, or through the first `sip.balancer`
            """),
        "sip.service-address": SettingManual(
            """
            An address that moves between hosts (VRRP). It is opened before it is there
            """,
            range: "`ADDRESS:PORT`, port 5060",
            value: "none"),
        "sip.via": SettingManual(
            """
            What our Via names. `advertise` only where every node really sends from that address
            """),
        "sip.late-answer": SettingManual(
            """
            A 2xx from another callee than the one that has answered. `forward`: the caller gets it, and ends the \
            call that it does not want (RFC 3261 §13.2.2.4). `end`: the cluster ends it, by ACK and BYE to its \
            callee
            """),
        "sip.min-se": SettingManual(
            """
            Least Session-Expires, seconds: an INVITE or UPDATE with less, whose sender supports timers, gets 422 \
            with Min-SE; from a sender that does not, it goes on with Min-SE and Session-Expires raised (RFC 4028 \
            §8.1). 0: any
            """),
        "sip.session-expires": SettingManual(
            """
            Session timer that INVITE and UPDATE ask for, seconds: inserted where there is none, lowered where there \
            is more, never below the request's Min-SE (RFC 4028 §8.1). Not below `sip.min-se`. 0: none is asked for; \
            what the parties ask for is observed all the same
            """),
        "sip.lenient": SettingManual(
            """
            What becomes of an in-dialog request without a Route whose Request-URI names the cluster. `true`: it \
            goes by the dialog's route set as the record has it. `false`: 404
            """),
        "sip.t1-ms": SettingManual(
            """
            T1 of RFC 3261 §17, milliseconds
            """),
        "sip.t2-ms": SettingManual(
            """
            T2, milliseconds
            """,
            range: "`sip.t1-ms` to 32 000"),
        "sip.t4-ms": SettingManual(
            """
            T4, milliseconds
            """),
        "sip.timer-c-s": SettingManual(
            """
            Timer C, how long a phone may ring, seconds
            """),
        "sip.max-forwards": SettingManual(
            """
            Max-Forwards for a request that came without one, and of the cluster's own requests
            """),
        "sip.tls.certificate-file": SettingManual(
            """
            This node's certificate and the chain above it
            """,
            range: "PEM file",
            value: "required with a `tls` or `wss` listener"),
        "sip.tls.key-file": SettingManual(
            """
            The certificate's key
            """,
            range: "PEM file",
            value: "required with a certificate"),
        "sip.tls.hosts": SettingManual(
            """
            Further names, each with a certificate of its own, shown to whoever asks for that name (SNI); everybody \
            else sees the first. `*.example.org` stands for one label
            """,
            range: """
                list of at most 64 `{name, certificate-file, key-file}`; on the command line `NAME => \
                CERTIFICATE-FILE KEY-FILE`
                """,
            value: "none"),
        "sip.tls.ca-file": SettingManual(
            """
            Whom to trust, in both directions. A server that was looked up by name must show that name whole: a \
            wildcard is refused (RFC 5922)
            """,
            range: "PEM file",
            value: "the system's authorities"),
        "sip.tls.verify-client": SettingManual(
            """
            Whoever connects by TLS must show a certificate of those authorities
            """),
        "sip.tcp.connection-limit": SettingManual(
            """
            Connections at once, in both directions. Each takes a file descriptor
            """),
        "sip.tcp.connections-per-source": SettingManual(
            """
            Connections at once that one address may open. Addresses of `sip.balancer` are exempt
            """),
        "sip.tcp.idle-timeout-s": SettingManual(
            """
            A connection over which nothing came or went for so long is closed, seconds. Keep-alives count (RFC 5626 \
            asks for one at least every two minutes). A phone behind a NAT that sends none can be called for so long
            """),
        "sip.tcp.message-timeout-s": SettingManual(
            """
            How long a message may take from its first byte to its last, a handshake and an upgrade likewise, \
            seconds
            """),
        "sip.tcp.connect-timeout-ms": SettingManual(
            """
            How long opening a connection may take, milliseconds
            """),
    ]
}

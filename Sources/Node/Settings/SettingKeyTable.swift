// The table of keys: how a text is read, and the range of what has one. What must fit together is in each struct's
// `problems()`, which takes the ranges from here, so that values written directly, by a test or the simulator, are
// held to the same rules. What a key means is in `SettingKeyManual`; the article Configuration is written from both.

import Dialogs
import Primitives
import Proxy
import Routes
import SIP

extension SettingKey {
    package static let all: [SettingKey] =
        nodeKeys + sipKeys + connectionKeys + dnsKeys + clusterKeys + replicationKeys + dialogKeys
        + ModuleParameter.all.map(\.key) + takeoverKeys + admissionKeys + managementKeys
        + [integer("trace.memory-mb", \.trace.memory, in: 0...1_024)]
        + scriptKeys + registrarKeys + moduleKeys + storageKeys

    private static let scriptKeys = [
        text("script.lua", \.script.lua), text("script.path", \.script.path),
        list(
            "script.modules", \.script.modules,
            { "'\($0)' is none of \(ScriptSettings.Module.allCases.map(\.rawValue).joined(separator: ", "))" }
        ) { ScriptSettings.Module(rawValue: $0) },
        list("sip.alias", \.sip.alias, { "'\($0)' is no domain like example.org" }) { domain($0) },
    ]

    private static let registrarKeys = [
        list("registrar.domains", \.registrar.domains, { "'\($0)' is no domain like example.org" }) { domain($0) },
        text("registrar.credentials-file", \.registrar.credentialsFile),
        duration("registrar.default_expires", \.registrar.defaultExpires, unit: .seconds, in: 10...604_800),
        duration("registrar.min_expires", \.registrar.minExpires, unit: .seconds, in: 1...604_800),
        duration("registrar.max_expires", \.registrar.maxExpires, unit: .seconds, in: 10...604_800),
        integer("registrar.max_contacts", \.registrar.maxContacts, in: 1...Int64(LocationRecord.contactLimit)),
        integer("registrar.limit", \.registrar.limit, in: 100...10_000_000),
    ]

    private static func domain(_ text: String) -> String? {
        let uri = "sip:" + text
        guard let parts = try? URI(Array(uri.utf8), ByteRange(Array(uri.utf8))), parts.user.isEmpty,
            parts.parameters.isEmpty, parts.headers.isEmpty, parts.port == nil
        else { return nil }
        return text.lowercased()
    }

    private static let nodeKeys = [
        text("node.name", \.node.name),
        integer("node.shards", \.node.shards, in: 1...1),
        flag("node.witness", \.node.isWitness),
        SettingKey(name: "node.log-level", isList: false) { settings, texts in
            let names = NoteLevel.all.map(\.name)
            guard let level = NoteLevel(name: texts[0].trimmed) else {
                return "'\(texts[0])' is not one of \(names.joined(separator: ", "))"
            }
            settings.node.logLevel = level
            return nil
        },
    ]

    private static let sipKeys = [
        endpoints("sip.listen", \.sip.listen, like: "udp://192.0.2.1:5060", schemes: .sip, defaultPort: nil),
        list("sip.advertise", \.sip.advertise, { ConfiguredURI.objection(to: $0, like: "sip:192.0.2.1:5060") }) {
            ConfiguredURI($0)
        },
        endpoints(
            "sip.balancer", \.sip.balancer, like: "192.0.2.1 or 192.0.2.1:5060", schemes: .none, defaultPort: 5_060),
        choice("sip.force_rport", \.sip.forceRport),
        choice("sip.egress", \.sip.egress),
        endpoint(
            "sip.service-address", \.sip.serviceAddress, like: "192.0.2.1:5060", schemes: .sip, defaultPort: 5_060),
        choice("sip.via", \.sip.via),
        choice("sip.late-answer", \.sip.lateAnswer),
        duration("sip.min-se", \.sip.minimumSession, unit: .seconds, in: 90...86_400, orZero: true),
        duration("sip.session-expires", \.sip.sessionInterval, unit: .seconds, in: 90...86_400, orZero: true),
        flag("sip.lenient", \.sip.isLenient),
        duration("sip.t1-ms", \.sip.t1, unit: .milliseconds, in: 50...5_000),
        duration("sip.t2-ms", \.sip.t2, unit: .milliseconds),
        duration("sip.t4-ms", \.sip.t4, unit: .milliseconds, in: 50...60_000),
        duration("sip.timer-c-s", \.sip.timerC, unit: .seconds, in: 180...3_600),
        integer("sip.max-forwards", \.sip.maxForwards, in: 1...255),
    ]

    private static let dnsKeys = [
        endpoints(
            "dns.servers", \.dns.servers, like: "192.0.2.53 or 192.0.2.53:53", schemes: .none, defaultPort: 53),
        duration("dns.timeout-ms", \.dns.timeout, unit: .milliseconds, in: 100...30_000),
        integer("dns.tries", \.dns.tries, in: 1...5),
        integer("dns.cache-entries", \.dns.cacheEntries, in: 16...1_048_576),
        choice("dns.families", \.dns.families),
    ]

    private static let connectionKeys = [
        text("sip.tls.certificate-file", \.sip.streams.certificateFile),
        text("sip.tls.key-file", \.sip.streams.keyFile),
        table(
            "sip.tls.hosts", \.sip.streams.hosts, line: { TLSHost.parse($0, number: $1, problems: &$2) },
            row: { TLSHost.read($0, number: $1, problems: &$2) }),
        text("sip.tls.ca-file", \.sip.streams.authoritiesFile),
        flag("sip.tls.verify-client", \.sip.streams.verifiesClients),
        integer("sip.tcp.connection-limit", \.sip.streams.connectionLimit, in: 16...262_144),
        integer("sip.tcp.connections-per-source", \.sip.streams.connectionsPerSource, in: 1...262_144),
        duration("sip.tcp.idle-timeout-s", \.sip.streams.idleTimeout, unit: .seconds, in: 10...86_400),
        duration("sip.tcp.message-timeout-s", \.sip.streams.messageTimeout, unit: .seconds, in: 1...300),
        duration("sip.tcp.connect-timeout-ms", \.sip.streams.connectTimeout, unit: .milliseconds, in: 100...30_000),
    ]

    private static let clusterKeys = [
        text("cluster.name", \.cluster.name),
        endpoint("cluster.bus", \.cluster.bus, like: "tcp://192.0.2.1:7400", schemes: .bus, defaultPort: nil),
        endpoints("cluster.peers", \.cluster.peers, like: "tcp://192.0.2.1:7400", schemes: .bus, defaultPort: nil),
        SettingKey(name: "cluster.dns", isList: false) { settings, texts in
            let text = texts[0].trimmed
            let name = PeerName(text)
            guard name != nil || text.isEmpty else {
                return "'\(text)' is not a name with a port like understudy.example.org:7400"
            }
            settings.cluster.dns = name
            return nil
        },
        text("cluster.key-file", \.cluster.keyFile),
        choice("cluster.quorum", \.cluster.quorum),
        duration("cluster.bootstrap-after", \.cluster.bootstrapAfter, unit: .seconds, in: 1...3_600),
        duration("cluster.forget-after", \.cluster.forgetAfter, unit: .seconds, in: 60...604_800),
        duration("cluster.lone-grace", \.cluster.loneGrace, unit: .seconds, in: 1...600),
        duration("cluster.heartbeat-ms", \.cluster.heartbeat, unit: .milliseconds, in: 10...10_000),
        duration("cluster.suspicion-ms", \.cluster.suspicion, unit: .milliseconds),
    ]

    private static let replicationKeys = [
        choice("replication.commit", \.replication.commit),
        duration("replication.commit-timeout-ms", \.replication.commitTimeout, unit: .milliseconds, in: 5...2_000),
        duration("replication.linger-ms", \.replication.linger, unit: .milliseconds, in: 0...100),
    ]

    private static let dialogKeys = [
        integer("ims_dialog.hash_size", \.dialogs.hashSize),
        text("ims_dialog.rr_param", \.dialogs.rrParameter),
        duration("ims_dialog.default_timeout", \.dialogs.defaultTimeout, unit: .seconds, in: 1...604_800),
        duration("ims_dialog.early_timeout", \.dialogs.earlyTimeout, unit: .seconds, in: 1...3_600),
        duration("ims_dialog.noack_timeout", \.dialogs.noAckTimeout, unit: .seconds, in: 1...3_600, orZero: true),
        integer("ims_dialog.bye_early_code", \.dialogs.byeEarlyCode, in: 400...699),
        text("ims_dialog.bye_early_reason", \.dialogs.byeEarlyReason),
        flag("ims_dialog.detect_spirals", \.dialogs.detectsSpirals),
        integer("ims_dialog.dlg_flag", \.dialogs.beginningFlag, in: -1...31),
        text("ims_dialog.timeout_avp", \.dialogs.timeoutAVP),
        names("ims_dialog.profiles_with_value", \.dialogs.profilesWithValue),
        names("ims_dialog.profiles_no_value", \.dialogs.profilesNoValue),
        flag("ims_dialog.timeout_noreset", \.dialogs.keepsDeadline),
        headers("ims_dialog.dlg_extra_hdrs", \.dialogs.extraHeaders),
        text("ims_dialog.bridge_controller", \.dialogs.bridgeController),
        text("ims_dialog.bridge_contact", \.dialogs.bridgeContact),
        duration("ims_dialog.ka_timer", \.dialogs.keepAliveTimer, unit: .seconds, in: 1...3_600, orZero: true),
        duration("ims_dialog.ka_interval", \.dialogs.keepAliveInterval, unit: .seconds, in: 30...86_400, orZero: true),
        integer("ims_dialog.ka_failed_limit", \.dialogs.keepAliveFailedLimit, in: 1...100),
        flag("ims_dialog.ka-src", \.dialogs.keepsCallerAlive),
        flag("ims_dialog.ka-dst", \.dialogs.keepsCalleeAlive),
        text("ims_dialog.event_callback", \.dialogs.eventCallback),
        flag("dialogs.events", \.dialogs.tellsEvents),
        text("dialogs.events-file", \.dialogs.eventsFile),
        integer("dialogs.limit", \.dialogs.limit, in: 100...10_000_000),
        choice("dialogs.unrecorded", \.dialogs.unrecorded),
        table(
            "routes", \.routes, line: { Route.parse($0, number: $1, problems: &$2) },
            row: { Route.read($0, number: $1, problems: &$2) }),
        table(
            "sets", \.sets, line: { RouteSet.parse($0, number: $1, problems: &$2) },
            row: { RouteSet.read($0, number: $1, problems: &$2) }),
    ]

    private static let admissionKeys = [
        list("access.allow", \.access.allow, Subnet.objection) { Subnet(text: $0) },
        list("access.deny", \.access.deny, Subnet.objection) { Subnet(text: $0) },
        choice("access.answer", \.access.answer),
        list("access.trusted", \.access.trusted, Subnet.objection) { Subnet(text: $0) },
        integer("limits.source-per-second", \.limits.sourcePerSecond, in: 0...1_000_000),
        integer("limits.source-burst", \.limits.sourceBurst, in: 0...1_000_000),
        integer("limits.total-per-second", \.limits.totalPerSecond, in: 0...1_000_000),
        integer("limits.total-burst", \.limits.totalBurst, in: 0...1_000_000),
        integer("limits.sources", \.limits.sources, in: 16...1_000_000),
        duration("limits.overload-ms", \.limits.overloadDelay, unit: .milliseconds, in: 5...1_000, orZero: true),
        integer("limits.emergency-reserve", \.limits.emergencyReserve, in: 0...50),
    ]

    private static let takeoverKeys = [
        choice("takeover.early", \.takeover.early),
        duration("takeover.early-grace-ms", \.takeover.earlyGrace, unit: .milliseconds, in: 0...60_000),
        duration("takeover.settle-ms", \.takeover.settle, unit: .milliseconds, in: 0...10_000),
        duration("takeover.stagger-ms", \.takeover.stagger, unit: .milliseconds, in: 50...10_000),
        duration("takeover.intent-life-ms", \.takeover.intentLife, unit: .milliseconds, in: 500...30_000),
    ]

    private static let managementKeys = [
        endpoint("management.http", \.management.http, like: "127.0.0.1:8080", schemes: .http, defaultPort: 8_080),
        SettingKey(name: "management.advertise", isList: false) { settings, texts in
            let text = texts[0].trimmed
            let url = ManagementURL(text)
            guard url != nil || text.isEmpty else {
                return "'\(text)' is not a URL like http://192.0.2.11:8080"
            }
            settings.management.advertise = url
            return nil
        },
        text("management.token-file", \.management.tokenFile),
        text("management.tls.certificate-file", \.management.certificateFile),
        text("management.tls.key-file", \.management.keyFile),
        flag("management.insecure", \.management.isInsecure),
        list("management.ctl", \.management.control, Self.objection(toControl:)) { ControlAddress($0) },
        text("management.jsonrpc_socket", \.management.jsonSocket),
        text("management.jsonrpc_fifo", \.management.jsonFIFO),
        text("management.mi_fifo", \.management.miFIFO),
        text("management.fifo_reply_dir", \.management.replyFolder),
        choice("management.compat", \.management.compatibility),
        text("management.dump_folder", \.management.dumpFolder),
        flag("management.fault_injection", \.management.allowsFaultInjection),
    ]
}

// How a text of each kind is read.
extension SettingKey {
    @Sendable
    private static func objection(toControl text: String) -> String {
        "'\(text)' is not an address like unix:/run/understudy/ctl or tcp:127.0.0.1:\(ControlAddress.defaultPort)"
    }

    typealias Path<Value> = any WritableKeyPath<Settings, Value> & Sendable

    static func text(_ name: String, _ path: Path<String>) -> SettingKey {
        SettingKey(name: name, isList: false) { settings, texts in
            settings[keyPath: path] = texts[0].trimmed
            return nil
        }
    }

    /// Names with `;` between them, as the module has them, or a list.
    static func names(_ name: String, _ path: Path<[String]>) -> SettingKey {
        SettingKey(name: name, isList: true) { settings, texts in
            settings[keyPath: path] = texts.flatMap { $0.split(separator: ";") }.map(\.trimmed).filter { !$0.isEmpty }
            return nil
        }
    }

    /// Header lines, with CRLF between them or what stands for it in a script.
    static func headers(_ name: String, _ path: Path<String>) -> SettingKey {
        SettingKey(name: name, isList: false) { settings, texts in
            let lines = texts[0].replacing("\\r\\n", with: "\n").split(whereSeparator: \.isNewline)
            settings[keyPath: path] = lines.map { "\($0.trimmed)\r\n" }.joined()
            return nil
        }
    }

    static func integer(_ name: String, _ path: Path<Int>, in range: ClosedRange<Int64>? = nil) -> SettingKey {
        var key = SettingKey(name: name, isList: false) { settings, texts in
            // A number that is far out of range is told its range, like any other.
            let text = texts[0].trimmed
            let digits = text.hasPrefix("-") ? text.dropFirst() : Substring(text)
            guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else {
                let most = range.map { ", \($0.lowerBound) to \($0.upperBound)" } ?? ""
                return "'\(texts[0])' is not a whole number\(most)"
            }
            settings[keyPath: path] = Int(text) ?? (text.hasPrefix("-") ? -.largest : .largest)
            return nil
        }
        key.range = range
        key.value = { $0[keyPath: path].grouped }
        return key
    }

    static func flag(_ name: String, _ path: Path<Bool>) -> SettingKey {
        var key = SettingKey(name: name, isList: false) { settings, texts in
            switch texts[0].trimmed.lowercased() {
            case "true", "yes", "on", "1": settings[keyPath: path] = true
            case "false", "no", "off", "0": settings[keyPath: path] = false
            default: return "'\(texts[0])' is neither true nor false"
            }
            return nil
        }
        key.choices = ["true", "false"]
        key.value = { $0[keyPath: path] ? "true" : "false" }
        return key
    }

    static func choice<Value>(_ name: String, _ path: Path<Value>) -> SettingKey
    where Value: RawRepresentable<String> & CaseIterable & Sendable {
        var key = SettingKey(name: name, isList: false) { settings, texts in
            guard let value = Value(rawValue: texts[0].trimmed.lowercased()) else {
                return "'\(texts[0])' is not one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
            }
            settings[keyPath: path] = value
            return nil
        }
        key.choices = Value.allCases.map(\.rawValue)
        key.value = { $0[keyPath: path].rawValue }
        return key
    }

    /// `1500`, in the key's unit, or with a unit of its own: `1500ms`, `90s`, `15m`, `1h`.
    /// - Parameter orZero: 0 may be written, too, whatever the range.
    static func duration(
        _ name: String, _ path: Path<Duration>, unit: Unit, in range: ClosedRange<Int64>? = nil, orZero: Bool = false
    ) -> SettingKey {
        var key = SettingKey(name: name, isList: false) { settings, texts in
            guard let milliseconds = unit.milliseconds(texts[0]) else {
                return "'\(texts[0])' is not \(unit.likeness)"
            }
            settings[keyPath: path] = .milliseconds(milliseconds)
            return nil
        }
        let scale: Int64 = unit == .milliseconds ? 1 : 1_000
        (key.unit, key.range, key.takesZero) = (unit, range, orZero)
        key.value = { Int($0[keyPath: path].wholeMilliseconds / scale).grouped }
        return key
    }

    static func list<Value: Sendable>(
        _ name: String, _ path: Path<[Value]>, _ objection: @escaping @Sendable (String) -> String,
        _ parse: @escaping @Sendable (String) -> Value?
    ) -> SettingKey {
        SettingKey(name: name, isList: true) { settings, texts in
            var values: [Value] = []
            var wrong: [String] = []
            for text in texts {
                if let value = parse(text.trimmed) { values.append(value) } else { wrong.append(objection(text)) }
            }
            guard wrong.isEmpty else { return wrong.joined(separator: "; ") }
            settings[keyPath: path] = values
            return nil
        }
    }

    /// A list of rows, each a mapping in a file and one line elsewhere; all faults of all rows are told.
    static func table<Row: Sendable>(
        _ name: String, _ path: Path<[Row]>,
        line: @escaping @Sendable (String, Int, inout [SettingProblem]) -> Row?,
        row: @escaping @Sendable ([String: [String]], Int, inout [SettingProblem]) -> Row?
    ) -> SettingKey {
        var key = SettingKey(name: name, isList: true) { _, _ in nil }
        key.applyTable = { settings, value in
            var problems: [SettingProblem] = []
            var rows: [Row?] = []
            switch value {
            case .list(let texts): for text in texts { rows.append(line(text, rows.count + 1, &problems)) }
            case .table(let table): for fields in table { rows.append(row(fields, rows.count + 1, &problems)) }
            }
            if problems.isEmpty { settings[keyPath: path] = rows.compactMap { $0 } }
            return problems
        }
        return key
    }

    /// - Parameter example: What may be written, for messages.
    static func endpoint(
        _ name: String, _ path: Path<Endpoint?>, like example: String, schemes: Endpoint.Schemes, defaultPort: UInt16?
    ) -> SettingKey {
        SettingKey(name: name, isList: false, example: example) { settings, texts in
            let text = texts[0].trimmed
            guard !text.isEmpty else {
                settings[keyPath: path] = nil
                return nil
            }
            guard let endpoint = Endpoint(configured: text, schemes: schemes, defaultPort: defaultPort) else {
                return Endpoint.objection(to: text, like: example, schemes: schemes, defaultPort: defaultPort)
            }
            settings[keyPath: path] = endpoint
            return nil
        }
    }

    static func endpoints(
        _ name: String, _ path: Path<[Endpoint]>, like example: String, schemes: Endpoint.Schemes, defaultPort: UInt16?
    ) -> SettingKey {
        SettingKey(name: name, isList: true, example: example) { settings, texts in
            var values: [Endpoint] = []
            var wrong: [String] = []
            for text in texts.map(\.trimmed) {
                if let value = Endpoint(configured: text, schemes: schemes, defaultPort: defaultPort) {
                    values.append(value)
                } else {
                    wrong.append(
                        Endpoint.objection(to: text, like: example, schemes: schemes, defaultPort: defaultPort))
                }
            }
            guard wrong.isEmpty else { return wrong.joined(separator: "; ") }
            settings[keyPath: path] = values
            return nil
        }
    }
}

extension Int {
    /// As the manual writes it: `1 000 000`, and `4096`.
    var grouped: String {
        var (digits, text) = (Substring(String(magnitude)), "")
        guard magnitude >= 10_000 else { return String(self) }
        while digits.count > 3 {
            text = " \(digits.suffix(3))\(text)"
            digits = digits.dropLast(3)
        }
        return (self < 0 ? "-" : "") + digits + text
    }

    /// Beyond every range, and far from overflowing.
    fileprivate static let largest = 1 << 60
}

// `management`: where operators and probes come in (Configuration, "management").

package import SIP

package struct ManagementSettings: Equatable, Sendable {
    /// `management.http`, `ADDRESS:PORT`; default none: no management at all.
    package var http: Endpoint?
    /// `management.tls.certificate-file`, PEM: the certificate that is shown there, and the chain above it; with it
    /// management is HTTPS and nothing else. Read again on a reload. Required unless `management.http` is a loopback
    /// address or `management.insecure` says otherwise.
    package var certificateFile = ""
    /// `management.tls.key-file`, PEM: the certificate's key; required with it.
    package var keyFile = ""
    /// `management.insecure`, default false: the token and all that is asked may cross a network in the clear, because
    /// it is a network of the nodes' own, or something in front of the node speaks TLS.
    package var isInsecure = false
    /// `management.advertise`, `http://HOST:PORT` or `https://HOST:PORT`, at most 128 bytes: the URL that other members
    /// and tools reach this node's management by, when it is not `management.http`; default: that one, and for a
    /// wildcard address that of `cluster.bus`.
    package var advertise: ManagementURL?
    /// `management.token-file`, a file whose first line is the bearer token, at least 16 characters; required unless
    /// `management.http` is a loopback address.
    package var tokenFile = ""
    /// What that file holds; read by the loader.
    package var token = Secret([])
    /// `management.ctl`, list of at most 4, `unix:/PATH` or `tcp:ADDRESS:PORT` with an address of loopback: BINRPC, for
    /// kamcmd; default none. Each path of a door is absolute, and nobody but the node's user and group may write there.
    package var control: [ControlAddress] = []
    /// `management.jsonrpc_socket`, a path: JSON-RPC by datagrams, for kamcli; default none.
    package var jsonSocket = ""
    /// `management.jsonrpc_fifo`, a path: JSON-RPC by a FIFO, for kamctl; default none.
    package var jsonFIFO = ""
    /// `management.mi_fifo`, a path: the commands of Kamailio's former MI; default none.
    package var miFIFO = ""
    /// `management.fifo_reply_dir`, a folder, default `/tmp`: where whoever asks by a FIFO makes that for the answer.
    package var replyFolder = "/tmp"
    /// `management.compat`, `none` or `kamailio-5.6`, default none: visible defects of Kamailio 5.6.3 come back.
    package var compatibility = Compatibility.none
    /// `management.dump_folder`, a folder, default none: where `dlg.dump_file` may write.
    package var dumpFolder = ""
    /// `management.fault_injection`, default false: adds `fault.forget`, `fault.pause_bus` and `fault.skew`; refused
    /// unless `management.http` is a loopback address.
    package var allowsFaultInjection = false

    package init() {}

    package enum Compatibility: String, CaseIterable, Sendable {
        case none
        case kamailio56 = "kamailio-5.6"
    }

    package static let tokenMinimum = 16
    package static let controlLimit = 4
    /// What the system takes as the path of a socket.
    package static let pathLimit = 107

    /// The URL that the other members are told; empty when there is none.
    package func told(bus: Endpoint?) -> String {
        guard let http else { return "" }
        if let advertise { return advertise.text }
        let scheme = hasTLS ? "https" : "http"
        guard http.address.isUnspecified, let bus else { return "\(scheme)://\(http.text)" }
        return "\(scheme)://\(Endpoint(address: bus.address, port: http.port, transport: .tcp).text)"
    }

    package var hasTLS: Bool { !certificateFile.isEmpty }

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if advertise != nil, http == nil {
            list.add("management.advertise", "needs management.http, the address that it leads to")
        }
        let isLoopback = http?.address.isLoopback ?? true
        if !isLoopback, tokenFile.isEmpty {
            list.add("management.token-file", "is required unless management.http is a loopback address")
        }
        tlsProblems(isLoopback: isLoopback, &list)
        doorProblems(&list)
        if !tokenFile.isEmpty, token.isEmpty {
            list.add("management.token-file", "the first line of \(tokenFile) is empty; the token stands there")
        } else if !tokenFile.isEmpty, !token.bytes.allSatisfy({ $0 > 32 && $0 < 127 }) {
            list.add(
                "management.token-file",
                "\(tokenFile) holds a token with a space, or a byte that is not ASCII, which no HTTP header carries; "
                    + "make one with understudy key new")
        } else if !tokenFile.isEmpty, token.bytes.count < Self.tokenMinimum {
            list.add(
                "management.token-file",
                "\(tokenFile) holds a token of \(token.bytes.count) characters; at least \(Self.tokenMinimum)")
        }
        if allowsFaultInjection, !isLoopback {
            list.add("management.fault_injection", "is refused unless management.http is a loopback address")
        }
        if allowsFaultInjection, http == nil {
            list.add("management.fault_injection", "needs management.http, where its methods are served")
        }
        return list.problems
    }

    private func doorProblems(_ list: inout ProblemList) {
        if control.count > Self.controlLimit { list.add("management.ctl", "at most \(Self.controlLimit)") }
        var paths: [(key: String, path: String)] = []
        for address in control {
            switch address {
            case .unix(let path): paths.append(("management.ctl", path))
            case .tcp(let endpoint):
                if !endpoint.address.isLoopback {
                    list.add("management.ctl", "\(endpoint.text) is no loopback address, and BINRPC knows no token")
                }
            }
        }
        paths += [
            ("management.jsonrpc_socket", jsonSocket), ("management.jsonrpc_fifo", jsonFIFO),
            ("management.mi_fifo", miFIFO),
        ].filter { !$0.1.isEmpty }
        for (index, (key, path)) in paths.enumerated() {
            if !path.hasPrefix("/") || path.hasSuffix("/") {
                list.add(key, "'\(path)' is not a path like /run/understudy/\(key.split(separator: ".").last ?? "")")
            } else if path.utf8.count > Self.pathLimit {
                list.add(key, "\(path) is longer than the \(Self.pathLimit) bytes that a socket's path may have")
            }
            if let other = paths[..<index].first(where: { $0.path == path }) {
                list.add(key, "\(path) is taken by \(other.key)")
            }
        }
        let hasFIFO = !jsonFIFO.isEmpty || !miFIFO.isEmpty
        for (key, folder) in [("management.fifo_reply_dir", replyFolder), ("management.dump_folder", dumpFolder)] {
            if !folder.isEmpty, !folder.hasPrefix("/") { list.add(key, "'\(folder)' is not a folder like /tmp") }
        }
        if hasFIFO, replyFolder.isEmpty { list.add("management.fifo_reply_dir", "is required with a FIFO") }
    }

    private func tlsProblems(isLoopback: Bool, _ list: inout ProblemList) {
        if hasTLS, keyFile.isEmpty {
            list.add("management.tls.key-file", "is required: the key of management.tls.certificate-file")
        }
        if !hasTLS, !keyFile.isEmpty {
            list.add("management.tls.certificate-file", "is required: the certificate of management.tls.key-file")
        } else if !hasTLS, !isLoopback, !isInsecure {
            list.add(
                "management.tls.certificate-file",
                "is required unless management.http is a loopback address: without TLS whoever can listen on the way "
                    + "reads the token; management.insecure: true says that nobody can, or that TLS ends in front of "
                    + "the node")
        }
    }
}

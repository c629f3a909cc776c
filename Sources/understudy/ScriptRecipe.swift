// ScriptRecipe makes the engine of this process's script: when it starts, and again whenever the configuration is read
// anew. What the functions of KSR know of the node follows from the settings that it was started with.

import Node
import Primitives
import Routes
import SIP
import Scripting
import Transports

struct ScriptRecipe: Sendable {
    private let settings: Settings
    private let seed: UInt64

    /// `nil` without a script.
    init?(_ settings: Settings, seed: UInt64) {
        guard !settings.script.lua.isEmpty else { return nil }
        self.settings = settings
        self.seed = seed
    }

    /// The files as they are now.
    func source() throws(Console.NoFile) -> ScriptSource {
        try CheckScript.source(settings.script.lua, settings.script.path.isEmpty ? nil : settings.script.path)
    }

    func engine(_ source: ScriptSource) throws(ScriptError) -> ScriptEngine {
        let socket = settings.sip.listen.first ?? Endpoint(address: Address(ipv4: 0), port: 5_060)
        let run = RouteRun(
            settings: RouteSettings(settings, seed: settings.cluster.key.isEmpty ? Array("\(seed)".utf8) : []),
            point: RoutePoint(kind: .request, source: socket, socket: socket),
            time: RouteTime(microseconds: Int(BootClock.unixMilliseconds) * 1_000, now: BootClock.now), seed: seed)
        return try ScriptEngine(source, limits: ScriptLimits(), run: run)
    }

    func judge(_ source: ScriptSource, _ log: NodeLog) throws(ScriptError) -> ScriptJudge {
        let judge = try ScriptJudge(try engine(source), sockets: settings.sip.listen)
        judge.clock = { BootClock.now }
        judge.lowestNote = { RouteNote.Level(log.level) }
        return judge
    }
}

extension RouteSettings {
    /// What routes know of a configured node.
    /// - Parameter seed: Nobody else's bytes, for a node without a key; empty where the cluster has one.
    init(_ settings: Settings, seed: [UInt8]) {
        self.init()
        names = settings.sip.listen.map { HostPort($0) }
        for uri in settings.sip.advertise {
            let port = uri.port ?? uri.transport.defaultPort
            let transport = uri.namesTransport ? uri.transport : nil
            names.append(HostPort(host: Array(uri.host.utf8), port: port, transport: transport))
        }
        if let service = settings.sip.serviceAddress { names.append(HostPort(service)) }
        domains = settings.sip.alias.map { Array($0.utf8) }
        profilesWithValue = Set(settings.dialogs.profilesWithValue.map { Array($0.utf8) })
        profilesNoValue = Set(settings.dialogs.profilesNoValue.map { Array($0.utf8) })
        dialogLifetime = settings.dialogs.defaultTimeout
        beginningFlag = settings.dialogs.beginningFlag >= 0 ? settings.dialogs.beginningFlag : nil
        timeoutAVP = Array((settings.dialogs.timeoutAVPName ?? "").utf8)
        balancers = settings.sip.balancer.map(\.address)
        members = settings.cluster.peers.map(\.address)
        transports = Set(settings.sip.listen.map(\.transport)).union([.udp])
        modules = Set(settings.script.modules.map(\.rawValue))
        take(settings)
        // Nothing of the cluster's key is in what goes out: a nonce has a mark made with what is made of it.
        auth.key = SHA256.authenticationCode(Array("nonce".utf8), key: settings.cluster.key.bytes + seed)
    }
}

extension RouteNote.Level {
    init(_ level: NoteLevel) {
        switch level {
        case .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        }
    }
}

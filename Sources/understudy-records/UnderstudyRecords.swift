// understudy-records: a node of a cluster with a program in its process, which writes call records. An example of what
// it takes to embed a node: its settings, its sockets, its bus and its thread, and who is told of dialogs.
//
// It speaks UDP only, has no management address, no script, no storage and no names to look up; `understudy serve` has
// them all.
//
// Exit codes: 0 left on request; 2 configuration wrong, or an address in use.

import ArgumentParser
import Callbacks
import Cluster
import Dispatch
import Foundation
import Glibc
import Management
import Nanomsg
import Node
import Primitives
import SIP
import Sealing
import Synchronization
import Transports

@main
struct UnderstudyRecords: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "understudy-records", abstract: "Run a node that writes a record of each call.")

    @Option(name: .shortAndLong, help: "The node's YAML file.")
    var config: String?
    @Option(name: [.customShort("s"), .customLong("set")], help: "One setting, KEY=VALUE.")
    var overrides: [String] = []
    @Option(help: "Where records are appended, as lines of JSON.")
    var records: String
    @Option(help: "Seconds that a call may last.")
    var longest: Int?

    func run() async throws {
        let settings = try load()
        let callbacks = DialogCallbacks(tellsLives: true)
        let seat = Seat()
        let file = try LineFile<LifeEvent>(path: records) { events in
            Task { await seat.service?.confirm(events) }
        }
        try CallRecords(node: settings.node.name, longest: longest).follow(callbacks) { file.append($0, $1) }
        let thread = try Self.start(settings, callbacks)
        seat.take(DialogService(thread, callbacks))
        Self.tell("node ready")
        await Self.terminated()
        await thread.perform { node, now, out in node.leave(now: now, into: &out) }
        try await Task.sleep(for: .milliseconds(150))  // Its last frames leave.
        thread.stop()
        file.stop()
    }

    private func load() throws -> Settings {
        let bytes = try config.map { Array(try Data(contentsOf: URL(fileURLWithPath: $0))) }
        let loaded = SettingsLoader(
            file: bytes, fileName: config ?? "the configuration", environment: ProcessInfo.processInfo.environment,
            overrides: overrides,
            readFile: { path throws(SettingsLoader.Unreadable) in
                do { return Array(try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
                    throw SettingsLoader.Unreadable(reason: error.localizedDescription)
                }
            }
        ).load()
        for problem in loaded.problems { Self.tell(problem.description) }
        var settings = loaded.settings
        if settings.sip.listen.contains(where: { $0.transport != .udp }) { Self.tell("sip.listen: udp:// only") }
        guard loaded.problems.isEmpty, settings.sip.listen.allSatisfy({ $0.transport == .udp }) else {
            throw ExitCode(2)
        }
        settings.dialogs.tellsEvents = true
        return settings
    }

    private static func start(_ settings: Settings, _ callbacks: DialogCallbacks) throws -> NodeThread {
        let signal = Signal()
        let sockets = try settings.sip.listen.map { Optional(try UDPSocket($0)) }
        let secrets = settings.cluster.keys.seals.map(\.bytes)
        let seal = secrets.isEmpty ? nil : BusSealing(secrets, clock: { BootClock.now })
        let bus = try settings.cluster.bus.map { address in
            let peers = try settings.cluster.peers.map { try BusAddress("tcp://\($0.text)") }
            return try Bus(
                BusSettings(bind: try BusAddress("tcp://\(address.text)"), peers: peers), seal: seal, signal: signal)
        }
        var random = SystemRandomNumberGenerator()
        var node = Node(
            settings: settings, boot: UInt64(BootClock.unixMilliseconds), seed: random.next(),
            salt: Salt(high: random.next(), low: random.next()), now: BootClock.now,
            unixMilliseconds: BootClock.unixMilliseconds)
        node.awaitsConfirmation = true
        node.watchedMoments = callbacks.watched
        return try NodeThread(
            machine: node, sockets: sockets, bus: bus, signal: signal,
            observer: { node, now, out in callbacks.run(&node, now: now, into: &out) },
            note: { note in if note.level >= .notice { tell(note.message) } })
    }

    /// Waits for SIGTERM or SIGINT.
    private static func terminated() async {
        let (arrivals, continuation) = AsyncStream<Void>.makeStream()
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.resume()
            return source
        }
        for await _ in arrivals { break }
        for source in sources { source.cancel() }
    }

    /// A line for whoever started it.
    private static func tell(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}

/// Where the file finds the node that it confirms to, once there is one.
private final class Seat: Sendable {
    private let seated = Mutex<DialogService?>(nil)
    var service: DialogService? { seated.withLock { $0 } }
    func take(_ service: DialogService) { seated.withLock { $0 = service } }
}

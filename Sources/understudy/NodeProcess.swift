// One node with its shells: opens everything, starts the SIP thread, and takes it down again in the order that loses
// nothing.
//
// Start: UDP sockets, then listeners for connections, then the management address (its requests are answered "stopping"
// until the thread runs), then the bus, then the thread. Whatever is refused closes what was opened before it; nothing
// has been sent by then.
// End: the node drains, so that probes turn new calls away; transactions in progress get a bounded time; the node says
// goodbye on the bus in its last turn; then thread, bus, connections and management end.

import Cluster
import Logging
import Management
import Nanomsg
import Node
import SIP
import Scripting
import Sealing
import Storage
import Synchronization
import Transports

/// Why a node did not start: one sentence.
struct StartError: Error, CustomStringConvertible {
    let description: String
}

final class NodeProcess: Sendable {
    /// How long the last frames may take to leave before the bus is closed.
    private static let goodbyeTime: Duration = .milliseconds(150)

    /// How long the last records may take to be stored.
    private static let storingTime: Duration = .seconds(10)

    /// How often a drain that waits says what for.
    private static let drainNoteInterval: Duration = .seconds(10)

    private let live: LiveNode
    private let thread: SIPThread<ScriptedNode>
    private let streams: StreamService?
    private let management: Task<Void, Never>?
    private let doors: Doors
    private let log: NodeLog
    private let settings: Settings
    private let reloader: Reloader
    private let service: ServiceReports
    private let storage: StorageService?

    private init(
        settings: Settings, reloader: Reloader, live: LiveNode, thread: SIPThread<ScriptedNode>,
        storage: StorageService?, streams: StreamService?,
        management: Task<Void, Never>?, doors: Doors, service: ServiceReports, log: NodeLog
    ) {
        self.storage = storage
        self.settings = settings
        self.reloader = reloader
        self.live = live
        self.thread = thread
        self.streams = streams
        self.management = management
        self.doors = doors
        self.service = service
        self.log = log
    }

    /// - Parameter reading: Reads the configuration again.
    static func start(
        _ loaded: SettingsLoader.Loaded, log: NodeLog, reading: @escaping @Sendable () -> SettingsLoader.Loaded
    ) async throws(StartError) -> NodeProcess {
        let settings = loaded.settings
        let signal = Signal()
        let sockets = try openSockets(settings.sip) + openMediaSockets(settings)
        let streams = try await openStreams(settings.sip, signal)
        let live = LiveNode()
        let service = ServiceReports(log: log)
        var management: Task<Void, Never>?
        var doors: Doors?
        do throws(StartError) {
            let keys = try managementKeys(settings.management)
            let context = RPCContext(
                node: live, allowsFaultInjection: settings.management.allowsFaultInjection,
                unixSeconds: { live.unixSeconds }, process: ProcessFacts(settings))
            management = try await openManagement(settings.management, keys, context, log)
            let opened = try await openDoors(settings.management, context)
            doors = opened
            let recipe = ScriptRecipe(settings, seed: UInt64.random(in: 0...UInt64.max))
            let keeper = try Keeper(settings, live)
            let parts = ThreadParts(log: log, live: live, recipe: recipe, keeper: keeper)
            let thread = try startThread(settings, sockets, streams, signal, service, parts)
            live.tellCertificates(settings)
            let reloader = Reloader(
                loaded, live: live, streams: streams, keys: keys, service: service,
                script: recipe, log: log, reading: reading)
            live.control(LiveNode.Controls(log: log) { await reloader.reload() })
            return NodeProcess(
                settings: settings, reloader: reloader, live: live, thread: thread, storage: keeper.service,
                streams: streams, management: management, doors: opened, service: service, log: log)
        } catch {
            management?.cancel()
            await doors?.close()
            await streams?.stop()
            throw error
        }
    }

    private static func openStreams(
        _ settings: SIPSettings, _ signal: Signal
    ) async throws(StartError) -> StreamService? {
        guard let wanted = StreamSettings(settings) else { return nil }
        do throws(StreamError) {
            return try await StreamService.start(wanted, signal: signal)
        } catch {
            throw StartError(description: "\(error.description); see sip.\(error.isAboutTLS ? "tls" : "listen")")
        }
    }

    /// In the order of `ListenerID`: the listeners, with a gap for each that takes connections, then the service
    /// address, which need not be on this host yet.
    private static func openSockets(_ settings: SIPSettings) throws(StartError) -> [UDPSocket?] {
        do throws(UDPError) {
            var sockets: [UDPSocket?] = []
            for endpoint in settings.listen {
                sockets.append(endpoint.transport == .udp ? try UDPSocket(endpoint) : nil)
            }
            if let service = settings.serviceAddress { sockets.append(try UDPSocket(service, binding: .anyAddress)) }
            return sockets
        } catch {
            throw StartError(description: "\(error.description); see sip.listen")
        }
    }

    private static func openMediaSockets(_ settings: Settings) throws(StartError) -> [UDPSocket?] {
        do throws(UDPError) { return try MediaSockets.open(settings) } catch {
            throw StartError(description: "\(error.description); see rtpengine.sets")
        }
    }

    private static func startThread(
        _ settings: Settings, _ sockets: [UDPSocket?], _ streams: StreamService?, _ signal: Signal,
        _ service: ServiceReports, _ parts: ThreadParts
    ) throws(StartError) -> SIPThread<ScriptedNode> {
        let (log, live, keeper) = (parts.log, parts.live, parts.keeper)
        let dns = try openDNS(settings.dns, signal)
        let judge = try openScript(parts.recipe, parts.log)
        do throws(NanomsgError) {
            var bus: Bus?
            let secrets = settings.cluster.keys.seals.map(\.bytes)
            let seal = secrets.isEmpty ? nil : BusSealing(secrets, clock: { BootClock.now })
            if let address = settings.cluster.bus {
                var peers: [BusAddress] = []
                for peer in settings.cluster.peers { peers.append(try BusAddress("tcp://\(peer.text)")) }
                bus = try Bus(
                    BusSettings(bind: try BusAddress("tcp://\(address.text)"), peers: peers), seal: seal, signal: signal
                )
            }
            var random = SystemRandomNumberGenerator()
            var node = Node(
                settings: settings, boot: UInt64(BootClock.unixMilliseconds), seed: random.next(),
                salt: Salt(high: random.next(), low: random.next()),
                authenticator: Inquiries.authenticator(settings.cluster.key), software: Build.version,
                now: BootClock.now,
                unixMilliseconds: BootClock.unixMilliseconds)
            let events = try EventSink.open(settings.dialogs, live)
            node.awaitsConfirmation = events != nil
            node.keepRecords(knownUntil: keeper.knownUntil, now: BootClock.now)
            let thread = try SIPThread(
                machine: ScriptedNode(node, judge: judge, hasSink: events != nil), sockets: sockets, streams: streams,
                bus: bus, dns: dns,
                signal: signal,
                heartbeat: service.heartbeat,
                observer: { machine, now, out in
                    EventSink.take(events, &machine, now, &out)
                    keeper.take(&out)
                },
                inquiry: { live.take($0) }
            ) { log.write($0) }
            live.begin(thread, bus, seal, dns, streams)
            live.follow(events)
            return thread
        } catch {
            throw StartError(description: "\(error.description); see cluster.bus")
        }
    }

    /// What the SIP thread is given beside its sockets.
    private struct ThreadParts {
        let log: NodeLog
        let live: LiveNode
        let recipe: ScriptRecipe?
        let keeper: Keeper
    }

    private static func openScript(_ recipe: ScriptRecipe?, _ log: NodeLog) throws(StartError) -> ScriptJudge? {
        guard let recipe else { return nil }
        let source: ScriptSource
        do throws(Console.NoFile) { source = try recipe.source() } catch {
            throw StartError(description: "\(error.reason); see script.lua")
        }
        do throws(ScriptError) {
            return try recipe.judge(source, log)
        } catch {
            throw StartError(description: "\(error.sentence); see script.lua")
        }
    }

    private static func openDNS(_ settings: DNSSettings, _ signal: Signal) throws(StartError) -> DNSClient {
        var client = DNSClientSettings()
        client.servers = settings.servers
        client.timeout = settings.timeout.wholeMilliseconds
        client.tries = settings.tries
        do throws(DNSClientError) {
            return try DNSClient(client, signal: signal)
        } catch {
            throw StartError(description: "\(error.description); see dns.servers")
        }
    }

    private static func managementKeys(_ settings: ManagementSettings) throws(StartError) -> ServerKeys? {
        guard settings.http != nil, settings.hasTLS else { return nil }
        let findings = CertificateCheck.findings(
            settings, unixSeconds: BootClock.unixMilliseconds / 1_000, moment: { TimeText.moment(unixSeconds: $0) })
        if let wrong = findings.first(where: \.isFatal) {
            throw StartError(description: "\(wrong.message); see \(wrong.key)")
        }
        do throws(HTTPServerError) {
            return try ServerKeys(certificateFile: settings.certificateFile, keyFile: settings.keyFile)
        } catch {
            throw StartError(description: "\(error.description); see management.tls")
        }
    }

    private static func openManagement(
        _ settings: ManagementSettings, _ keys: ServerKeys?, _ context: RPCContext, _ log: NodeLog
    ) async throws(StartError) -> Task<Void, Never>? {
        guard let http = settings.http else { return nil }
        let service = ManagementService(context, settings)
        let server = HTTPServer(
            service: service, address: http.address.text, port: Int(http.port), keys: keys, logger: log.logger)
        let (outcomes, outcome) = AsyncStream<String?>.makeStream()
        let bound = Flag()
        let task = Task {
            do {
                try await server.run { _ in
                    bound.raise()
                    outcome.yield(nil)
                }
                outcome.yield("it ended")
            } catch {
                outcome.yield("\(error)")
                // Until it is bound, the refusal is the sentence that the process ends with.
                guard bound.isRaised, !Task.isCancelled else { return }
                log.write(Note(.error, "management ended", [("address", http.text), ("why", "\(error)")]))
            }
        }
        for await refusal in outcomes {
            guard let refusal else { break }
            throw StartError(description: "cannot listen on tcp \(http.text): \(refusal); see management.http")
        }
        return task
    }

    private static func openDoors(
        _ settings: ManagementSettings, _ context: RPCContext
    ) async throws(StartError) -> Doors {
        do throws(DoorError) { return try await Doors.open(settings, context) } catch {
            throw StartError(description: error.description)
        }
    }

    /// Serves until a signal, or until the node itself wants to end.
    /// - Returns: The exit code.
    /// - Parameter reloads: Each asks for the configuration to be read again.
    func run(until signals: AsyncStream<Int32>, reloads: AsyncStream<Int32>, drainTimeout: Duration) async -> Int32 {
        let code = await withTaskGroup(of: Int32?.self) { group in
            group.addTask { await self.thread.ended() }
            group.addTask {
                await self.leave(on: signals, drainTimeout)
                return nil
            }
            let certificates = Task { for await _ in reloads { _ = await self.reloader.reload() } }
            let watch = Task { await self.watch() }
            let service = Task { await self.service.follow(self.live) }
            defer {
                certificates.cancel()
                watch.cancel()
                service.cancel()
            }
            var code: Int32 = 0
            for await outcome in group {
                if let outcome { code = outcome }
                group.cancelAll()
            }
            return code
        }
        storage?.stop()
        live.end()
        await streams?.stop()
        await doors.close()
        management?.cancel()
        await management?.value
        return code
    }

    /// Once a second: what the counters tell, log lines that were kept back, and the service addresses that members
    /// have told of since. Each of those is opened once, and may come to this host at any time.
    private func watch() async {
        var watch = NodeWatch()
        var opened = settings.sip.listen + [settings.sip.serviceAddress].compactMap(\.self)
        while !Task.isCancelled {
            if let seen = try? await live.look() {
                for note in watch.look(seen.status, seen.metrics) { log.write(note) }
                for failure in await live.open(seen.serviceAddresses, besides: &opened) {
                    log.write(Note(.warning, "service address not opened", [("why", failure.description)]))
                }
            }
            log.tellRepeats()
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Waits for the first signal, then drains and leaves; a second signal cuts the drain short.
    private func leave(on signals: AsyncStream<Int32>, _ timeout: Duration) async {
        var arrivals = signals.makeAsyncIterator()
        guard await arrivals.next() != nil, !Task.isCancelled else { return }
        service.tell(.stopping)
        log.write(Note(.notice, "draining", [("seconds", "\(timeout.wholeMilliseconds / 1_000)")]))
        _ = try? await live.drain(true)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.transactionsEnd(within: timeout) }
            group.addTask {
                var more = signals.makeAsyncIterator()
                _ = await more.next()
            }
            await group.next()
            group.cancelAll()
        }
        if let status = try? await live.status() { warnOfWhatIsLeft(status, timeout) }
        await storeAll()
        await live.leave()
        log.write(Note(.notice, "left"))
        try? await Task.sleep(for: Self.goodbyeTime)
        thread.stop()
    }

    /// What is not stored yet is, if it can be.
    private func storeAll() async {
        guard storage != nil else { return }
        let end = ContinuousClock.now + Self.storingTime
        var isStored = await live.flushStorage()
        while !isStored, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(10))
            isStored = await live.isStorageFlushed()
        }
        if !isStored {
            log.write(
                Note(
                    .warning, "leaving with records that are not stored",
                    [("seconds", "\(Self.storingTime.wholeMilliseconds / 1_000)")]))
        }
    }

    private func warnOfWhatIsLeft(_ status: StatusReport, _ timeout: Duration) {
        let seconds = ("seconds", "\(timeout.wholeMilliseconds / 1_000)")
        if Self.isAnythingOpen(status) {
            log.write(
                Note(
                    .warning, "leaving with transactions open: callers of those not relayed get 480",
                    Self.openFields(status) + [seconds]))
        }
        if !status.mayLeave {
            log.write(Note(.warning, "leaving before another member has all records of this node", [seconds]))
        }
    }

    private static func isAnythingOpen(_ status: StatusReport) -> Bool {
        status.openTransactions + status.unacknowledged > 0
    }

    private static func openFields(_ status: StatusReport) -> [(String, String)] {
        [
            ("transactions", String(status.openTransactions)), ("invites", String(status.openInvites)),
            ("relayed", String(status.openRelays)), ("unacknowledged", String(status.unacknowledged)),
        ]
    }

    private func transactionsEnd(within timeout: Duration) async {
        let end = ContinuousClock.now + timeout
        var nextNote = ContinuousClock.now + Self.drainNoteInterval
        while ContinuousClock.now < end, !Task.isCancelled {
            guard let status = try? await live.status(),
                Self.isAnythingOpen(status) || !status.mayLeave
            else { return }
            if ContinuousClock.now >= nextNote {
                nextNote += Self.drainNoteInterval
                log.write(
                    Note(
                        .notice, "still draining",
                        Self.openFields(status) + [
                            ("replicas", status.mayLeave ? "equal" : "behind"),
                            ("seconds-left", "\((end - ContinuousClock.now).components.seconds)"),
                        ]))
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }
}

/// Something that has happened, told across tasks.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    func raise() { value.store(true, ordering: .releasing) }
    var isRaised: Bool { value.load(ordering: .acquiring) }
}

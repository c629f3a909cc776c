// Bus joins the nodes of a cluster: it publishes our stream to every peer, receives theirs, asks and answers over the
// repair sockets, and tells the SIP thread of all of it through one inbox.
//
//   SIP thread ──publish──▶ PUB ─connects─▶ every peer's SUB
//              ──request──▶ queue ▶ REQ thread ─connects─▶ that peer's REP
//              ◀──inbox──── SUB thread, REP thread, REQ threads, prober
//
// Publishing is done by the caller, in its own thread. nn_send on a PUB socket never waits (a subscriber that is not
// ready is skipped) and costs what its write calls cost; a publishing thread would add a wake-up for each frame and
// save nothing in total. Measured with two subscribers on a busy machine, CPU of the process a frame: 59 µs direct
// against 82 µs through a thread (2 KB, 1000/s), 120 against 157 (16 KB, 200/s). The price is that the SIP thread
// stands still for that long.
//
// A connection that nanomsg takes for alive may be a ghost and stay one for ever; `recycle` makes a peer's
// connections anew. When to do so is the node's decision, from heartbeats.
//
// With a `BusSeal` every message is sealed before it goes to a socket, and opened before it comes to the inbox: what
// was not sealed by a member is counted, and never seen by the node.
//
// Limits: frames up to 64 KiB, repair messages up to 512 KiB, one family of addresses.

import Synchronization

/// A node's end of the bus; runs from creation to `stop`.
package final class Bus: Sendable {
    private struct Publisher: ~Copyable, Sendable {
        let socket: PublishSocket
        /// By peer; without one after a failure, or when the peer was given up.
        var endpoints: [Int32?]
        var addresses: [BusAddress]
        /// The sealed frame; used again and again.
        var sealed: [UInt8] = []

        /// - Returns: How many bytes went out; `nil` when the frame could not be sealed.
        mutating func publish(_ frame: RawSpan, _ state: BusState) throws(NanomsgError) -> Int? {
            guard let seal = state.seal else {
                try socket.publish(frame)
                return frame.byteCount
            }
            sealed.removeAll(keepingCapacity: true)
            guard seal.seal(frame: frame, into: &sealed) != nil else {
                state.count(\.sealsFailed)
                return nil
            }
            try socket.publish(RawSpan(_elements: sealed.span))
            return sealed.count
        }
    }

    private let settings: BusSettings
    private let state: BusState
    private let publisher: Mutex<Publisher?>
    private let server: RequestServer
    private let clients: Mutex<[RequestClient]>
    private let prober: PeerProber
    private let door: BusDoor
    private let threads: Mutex<[WorkerThread]>

    /// What the bus has to tell.
    package var inbox: BusInbox { state.inbox }

    /// Opens every socket and starts the threads; a peer that is not there yet is tried again and again.
    /// - Parameters:
    ///   - seal: Without one, everything goes in the clear: on loopback only.
    ///   - signal: Kicked when the inbox is no longer empty.
    /// - Throws: Before anything is left running, for the operator: an address in use, not ours, or not an address.
    package init(_ settings: BusSettings, seal: (any BusSeal)? = nil, signal: Signal) throws(NanomsgError) {
        if let odd = settings.peers.first(where: { $0.isIPv6 != settings.bind.isIPv6 }) {
            throw NanomsgError(.connect, .mixedFamilies, address: odd.text)
        }
        let state = BusState(inbox: BusInbox(signal: signal), seal: seal)
        self.settings = settings
        self.state = state
        let receiver = try StreamReceiver(listeningOn: settings.bind, state: state)
        let server = try RequestServer(
            listeningOn: settings.bind.repair, replyTimeout: settings.replyTimeout, state: state)
        let socket = try PublishSocket(isIPv6: settings.bind.isIPv6)
        var endpoints: [Int32?] = []
        for peer in settings.peers { endpoints.append(try socket.connect(to: peer)) }
        self.server = server
        publisher = Mutex(Publisher(socket: socket, endpoints: endpoints, addresses: settings.peers))
        clients = Mutex(
            settings.peers.enumerated().map { index, peer in
                RequestClient(peer: index, address: peer.repair, timeout: settings.requestTimeout, state: state)
            })
        prober = PeerProber(addresses: settings.peers, timeout: settings.probeTimeout, state: state)
        door = BusDoor(settings, state: state)
        threads = Mutex([])
        try start(receiver)
    }

    deinit { stop() }

    private func start(_ receiver: StreamReceiver) throws(NanomsgError) {
        var bodies: [(name: String, run: @Sendable () -> Void)] = [
            ("bus-sub", { receiver.run() }), ("bus-rep", { [server] in server.run() }),
            ("bus-probe", { [prober] in prober.run() }), ("bus-door", { [door] in door.run() }),
        ]
        for (index, client) in clients.withLock({ $0 }).enumerated() {
            bodies.append(("bus-req-\(index)", { client.run() }))
        }
        for body in bodies {
            do throws(NanomsgError) {
                let thread = try WorkerThread(name: body.name, body.run)
                threads.withLock { $0.append(thread) }
            } catch {
                stop()
                throw error
            }
        }
    }

    /// Publishes a frame to every peer that can take it now.
    package func publish(_ frame: RawSpan) {
        let count = frame.byteCount
        guard count <= BusSettings.frameLimit else { return state.count(\.oversizeRefused) }
        guard !state.isPaused else { return state.count(\.pausedDropped) }
        let sent: Int? = publisher.withLock { publisher in
            do throws(NanomsgError) {
                return try publisher?.publish(frame, state) ?? nil
            } catch {
                return nil
            }
        }
        state.count { counters in
            counters.framesPublished += sent == nil ? 0 : 1
            counters.bytesPublished += sent ?? 0
            counters.sendsFailed += sent == nil ? 1 : 0
        }
    }

    /// Asks a peer; ends in exactly one `.reply` or `.noReply` with this id.
    package func request(peer: Int, id: UInt64, _ bytes: RawSpan) {
        guard let client = client(peer) else { return state.inbox.put(.noReply(to: id, from: peer)) }
        guard bytes.byteCount <= BusSettings.repairLimit else {
            state.count(\.oversizeRefused)
            return state.inbox.put(.noReply(to: id, from: peer))
        }
        client.ask(id, bytes)
    }

    private func client(_ peer: Int) -> RequestClient? {
        clients.withLock { $0.indices.contains(peer) ? $0[peer] : nil }
    }

    /// Answers the request that came with `token`; too late, or too long, and it is dropped.
    package func reply(token: UInt64, _ bytes: RawSpan) {
        guard bytes.byteCount <= BusSettings.repairLimit else { return state.count(\.oversizeRefused) }
        server.answer(token, bytes)
    }

    /// Asks a peer's bus port whether anybody listens there; ends in a `.probe`.
    package func probe(peer: Int) {
        guard client(peer) != nil else { return }
        prober.probe(peer)
    }

    /// Makes the connections to a peer anew.
    package func recycle(peer: Int) {
        guard let client = client(peer) else { return }
        state.count(\.recycled)
        client.recycle()
        publisher.withLock { publisher in
            guard let address = publisher?.addresses[peer] else { return }
            // One that the library no longer knows is gone already; without a connect the next recycle tries again.
            if let endpoint = publisher?.endpoints[peer] { try? publisher?.socket.disconnect(endpoint) }
            let renewed = try? publisher?.socket.connect(to: address)
            publisher?.endpoints[peer] = renewed
        }
    }

    /// Puts a peer at an address: at the next free position, or at one that has been used before.
    ///
    /// What was asked at this position before may still be answered, by whoever was there; the asker tells by its id.
    /// Does not wait for the peer.
    /// - Throws: And nothing has changed: an address of the other family, no room, no thread.
    package func connect(peer: Int, to address: BusAddress) throws(NanomsgError) {
        guard address.isIPv6 == settings.bind.isIPv6 else {
            throw NanomsgError(.connect, .mixedFamilies, address: address.text)
        }
        let count = clients.withLock { $0.count }
        guard (0...count).contains(peer), peer < BusSettings.peerLimit else {
            throw NanomsgError(.connect, .tooManySockets, address: address.text)
        }
        if peer == count {
            let client = RequestClient(
                peer: peer, address: address.repair, timeout: settings.requestTimeout, state: state)
            let thread = try WorkerThread(name: "bus-req-\(peer)") { client.run() }
            threads.withLock { $0.append(thread) }
            clients.withLock { $0.append(client) }
        } else {
            client(peer)?.move(to: address.repair)
        }
        prober.set(address, of: peer)
        door.set(address, of: peer)
        disconnect(peer: peer)
        publisher.withLock { publisher in
            guard publisher != nil else { return }
            // Refused by the library, it is tried again with the next recycle.
            let endpoint = try? publisher?.socket.connect(to: address)
            if peer == publisher?.addresses.count {
                publisher?.addresses.append(address)
                publisher?.endpoints.append(endpoint)
            } else {
                publisher?.addresses[peer] = address
                publisher?.endpoints[peer] = endpoint
            }
        }
    }

    /// Gives a peer's connection up; its position may be used again.
    package func disconnect(peer: Int) {
        publisher.withLock { publisher in
            guard let endpoints = publisher?.endpoints, endpoints.indices.contains(peer), let endpoint = endpoints[peer]
            else { return }
            publisher?.endpoints[peer] = nil
            // One that the library no longer knows is gone already.
            try? publisher?.socket.disconnect(endpoint)
        }
    }

    /// Test aid: neither sends nor receives for a while. Zero ends a pause.
    package func pause(seconds: Double) { state.pause(seconds: seconds) }

    package var counters: BusCounters { state.counters }

    /// Connections of the publishing socket as the library counts them: a hint, for `status` and the log.
    package var connections: (current: Int, broken: Int, failed: Int) {
        publisher.withLock { publisher in
            (
                publisher?.socket.connections ?? 0, publisher?.socket.brokenConnections ?? 0,
                publisher?.socket.failedAttempts ?? 0
            )
        }
    }

    /// Ends the threads, within a second, and closes every socket. What was published before is with the kernel.
    package func stop() {
        state.stop()
        server.wake()
        prober.wake()
        door.wake()
        for client in clients.withLock({ $0 }) { client.wake() }
        let running = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in running { thread.join() }
        publisher.withLock { $0 = nil }
    }
}

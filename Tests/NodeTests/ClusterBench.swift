// ClusterBench is a few nodes on a bus (`+Bus`) that loses nothing and takes no time unless it is told to, and the
// phones of one call: for what a simulated world is too large for, and one node too little. The simulator has the
// faults by chance; here each is a line of a test, or of a scenario (`Scenarios/Stage`).

import Node
import Primitives
import Proxy
import SIP

struct ClusterBench {
    /// A SIP message that left the cluster.
    struct Sent {
        var node: Int
        var text: String
        var to: String
        var at: Instant
        /// The address that it comes from.
        var source = ""
        /// It goes over a connection, not as a datagram.
        var isStream = false

        func header(_ name: String) -> String? {
            text.split(separator: "\r\n").first { $0.hasPrefix("\(name): ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }
    }

    static let caller = "10.0.9.1:5060"
    static let callee = "10.0.9.2:5060"

    /// What a phone sends at once for what it got, and which node it reaches.
    struct Reply {
        var text: String
        var from: String
        var node: Int
        /// The phone's connection, if it has one to that node.
        var flow = FlowID.none
    }

    var nodes: [Node?] = []
    var now = Instant.zero
    private(set) var sent: [Sent] = []
    var notes: [(node: Int, note: Note, at: Instant)] = []
    /// Events of dialogs' lives, as they were told.
    private(set) var events: [(node: Int, event: LifeEvent)] = []
    /// How requests within dialogs have ended.
    private(set) var requests: [(node: Int, event: RequestEvent)] = []
    /// What passed of dialogs, where programs watch.
    private(set) var moments: [(node: Int, moment: DialogMoment)] = []
    /// What a phone answers to a request of the cluster's; 0: nothing. The address it was sent to decides.
    var status: [String: Int] = [caller: 200, callee: 200]
    /// Phones that do more than `status` says; then that says nothing.
    var phones: ((Sent, ClusterBench) -> [Reply])?
    /// Whether a message has a way to its phone.
    var reaches: ((Sent) -> Bool)?
    /// Sees what nodes send each other's SIP sockets.
    var watch: ((Sent, _ isLost: Bool) -> Void)?

    private let change: (inout Settings) -> Void
    var outs: [Outbox] = []
    var bus = BenchBus()
    /// Which host has a service address, by whose it was.
    var holders: [Int] = []
    /// What nodes with `storage` keep, by the place in this list that each has: its own, or the first with
    /// `storage.shared`. It outlives its node.
    var disks: [BenchDisk] = []
    private var boots: UInt64 = 0

    init(nodes count: Int = 3, _ change: @escaping (inout Settings) -> Void) {
        self.change = change
        holders = Array(0..<count)
        disks = Array(repeating: BenchDisk(), count: count)
        nodes = Array(repeating: nil, count: count)
        outs = Array(repeating: Outbox(), count: count)
        for index in 0..<count { start(index) }
    }

    /// Starts a process; its boot is above those before.
    mutating func start(_ index: Int) {
        var settings = Settings()
        settings.node.name = "n\(index + 1)"
        settings.sip.listen = [Self.address(index)]
        settings.cluster.bus = Self.bus(index)
        settings.cluster.peers = nodes.indices.filter { $0 != index }.map(Self.bus)
        change(&settings)
        boots += 1
        nodes[index] = Node(settings: settings, boot: boots, seed: boots, now: now, unixMilliseconds: 0)
        outs[index].removeAll()
        if settings.storage.isOn {
            let disk = disks[disk(of: index)]
            nodes[index]?.keepRecords(knownUntil: disk.isDead ? nil : disk.knownUntil, now: now)
        }
        bus.processStarted(index)
        if settings.sip.serviceAddress != nil { tellAddresses(of: index) }
    }

    /// An operator asks a node to end the call.
    mutating func end(through index: Int) -> EndReport? {
        end(did: nodes[index]?.dialogs(DialogQuery(), now: now).dialogs.first?.did ?? "", through: index)
    }

    mutating func end(did: String, through index: Int) -> EndReport? {
        let report = nodes[index]?.endDialog(did: did, now: now, into: &outs[index])
        deliver()
        return report
    }

    /// How far the end of the call has come, as a node sees it.
    func end(seenBy index: Int) -> DialogEnd? {
        var query = DialogQuery()
        if let live = nodes[index]?.dialogs(query, now: now).dialogs.first { return live.end }
        query.states = ["deleted"]
        return nodes[index]?.dialogs(query, now: now).dialogs.first?.end
    }

    /// An operator has a node drained, or SIGTERM does.
    mutating func drain(_ index: Int) {
        _ = nodes[index]?.drain(true, now: now, into: &outs[index])
        deliver()
    }

    /// A node says goodbye, and its process ends.
    mutating func leave(_ index: Int) {
        nodes[index]?.leave(now: now, into: &outs[index])
        deliver()
        kill(index)
    }

    /// SIGKILL.
    mutating func kill(_ index: Int) {
        nodes[index] = nil
        outs[index].removeAll()
        bus.processEnded(index)
    }

    /// SIGSTOP: what reaches the process waits, and its timers do.
    mutating func pause(_ index: Int) { bus.paused.insert(index) }

    /// SIGCONT: what the bus has brought first, then datagrams with their age, then timers (S2-15).
    mutating func resume(_ index: Int) {
        let waiting = bus.resumed(index)
        for arrival in waiting where !arrival.event.isDatagram { hand(arrival.event, to: index, arrived: arrival.at) }
        deliver()
        for arrival in waiting where arrival.event.isDatagram { hand(arrival.event, to: index, arrived: arrival.at) }
        deliver()
    }

    static func address(_ index: Int) -> Endpoint { Endpoint(text: "10.0.1.\(index + 1):5060")! }
    /// Where a node has one of its own that moves when it dies.
    static func serviceAddress(_ index: Int) -> Endpoint { Endpoint(text: "10.0.2.\(index + 1):5060")! }
    private static func bus(_ index: Int) -> Endpoint { Endpoint(text: "10.0.0.\(index + 1):7400")! }

    /// A service address moves to another host.
    mutating func moveServiceAddress(of index: Int, to host: Int) {
        let before = holders[index]
        holders[index] = host
        for node in [before, host] { tellAddresses(of: node) }
        deliver()
    }

    private mutating func tellAddresses(of index: Int) {
        let held = holders.indices.filter { holders[$0] == index }.map { Self.serviceAddress($0).address }
        nodes[index]?.hold(addresses: held, now: now, into: &outs[index])
    }

    /// Who has this address now, and the socket it is read from.
    func host(of endpoint: Endpoint) -> (node: Int, listener: ListenerID)? {
        if let node = nodes.indices.first(where: { Self.address($0) == endpoint }) {
            return (node, ListenerID(rawValue: 0))
        }
        guard let owner = nodes.indices.first(where: { Self.serviceAddress($0) == endpoint }) else { return nil }
        let holder = holders[owner]
        guard let place = serviceSockets(of: holder).firstIndex(of: endpoint) else { return nil }
        return (holder, ListenerID(rawValue: UInt8(place + 1)))
    }

    /// The sockets behind those of the configuration: the node's own service address, then the others'.
    private func serviceSockets(of index: Int) -> [Endpoint] {
        let own = Self.serviceAddress(index)
        let known = nodes[index]?.serviceAddresses ?? []
        return (known.contains(own) ? [own] : []) + known.filter { $0 != own }
    }

    private func source(_ listener: ListenerID, of index: Int) -> Endpoint {
        let place = Int(listener.rawValue) - 1
        let known = serviceSockets(of: index)
        return known.indices.contains(place) ? known[place] : Self.address(index)
    }

    // MARK: Time and messages

    mutating func advance(milliseconds: Int64) {
        let end = now.advanced(milliseconds: milliseconds)
        while true {
            let wake = nodes.indices.filter { !bus.paused.contains($0) }.compactMap { nodes[$0]?.nextDeadline }.min()
            let next = min(wake ?? .distantFuture, bus.nextArrival)
            guard next <= end else { break }
            now = max(now, next)
            while let arrival = bus.take(until: now) {
                arrive(arrival.event, at: arrival.node)
                deliver()
            }
            for index in nodes.indices where !bus.paused.contains(index) {
                guard (nodes[index]?.nextDeadline ?? .distantFuture) <= now else { continue }
                nodes[index]?.advance(to: now, into: &outs[index])
            }
            deliver()
        }
        now = end
    }

    /// Interferes with one node; what it then wants done is done with the next advance.
    mutating func change(_ index: Int, _ body: (inout Node, Instant) -> Void) {
        guard var node = nodes[index] else { return }
        body(&node, now)
        nodes[index] = node
        nodes[index]?.advance(to: now, into: &outs[index])
        deliver()
    }

    /// Somebody asks one node for something.
    mutating func perform(_ index: Int, _ body: (inout Node, Instant, inout Outbox) -> Void) {
        guard var node = nodes[index] else { return }
        body(&node, now, &outs[index])
        nodes[index] = node
        deliver()
    }

    /// The sum of a counter of all nodes.
    func metric(_ name: String) -> Int64 {
        nodes.compactMap { $0?.metrics(now: now).first { $0.name == "understudy_\(name)_total" }?.value }.reduce(0, +)
    }

    /// A phone's message reaches a node.
    mutating func receive(_ text: String, from: String, at index: Int) {
        hand(Array(text.utf8), from: Endpoint(text: from)!, to: index)
        deliver()
    }

    private mutating func hand(
        _ bytes: [UInt8], from: Endpoint, to index: Int, on listener: ListenerID = ListenerID(rawValue: 0),
        flow: FlowID = .none
    ) {
        arrive(.datagram(bytes, from: from, on: listener, flow: flow), at: index)
    }

    /// A phone's message reaches an address, and whoever has it now; or a node, over a connection of the phone's.
    mutating func receive(_ text: String, from: String, to address: Endpoint, flow: FlowID = .none) {
        guard let host = host(of: address), var source = Endpoint(text: from) else { return }
        if flow != .none { source.transport = .tcp }
        // The listener of connections stands behind that of datagrams.
        let listener = flow == .none ? host.listener : ListenerID(rawValue: 1)
        hand(Array(text.utf8), from: source, to: host.node, on: listener, flow: flow)
        deliver()
    }

    /// A phone's connection has ended.
    mutating func close(_ flow: FlowID, of index: Int) {
        nodes[index]?.receive(closed: flow, now: now, into: &outs[index])
        deliver()
    }

    /// Until nobody has anything to say.
    mutating func deliver() {
        while let index = outs.indices.first(where: { !outs[$0].isEmpty }) {
            let out = outs[index]
            outs[index].removeAll()
            for datagram in out.datagrams {
                let bytes = Array(out.arena[datagram.range.range])
                if let host = host(of: datagram.to) {
                    watch?(
                        Sent(node: index, text: Self.text(bytes), to: "n\(host.node + 1)", at: now),
                        nodes[host.node] == nil)
                    hand(bytes, from: source(datagram.from, of: index), to: host.node, on: host.listener)
                } else {
                    let source = source(datagram.from, of: index).text
                    leave(
                        Sent(
                            node: index, text: Self.text(bytes), to: datagram.to.text, at: now, source: source,
                            isStream: datagram.to.transport != .udp), datagram)
                }
            }
            notes += out.notes.map { (index, $0, now) }
            events += out.events.map { (index, $0) }
            requests += out.requests.map { (index, $0) }
            moments += out.moments.map { (index, $0) }
            for action in out.storage { perform(action, of: index) }
            for action in out.bus { perform(action, out.busArena, of: index) }
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    func disk(of index: Int) -> Int { nodes[index]?.settings.storage.isShared == true ? 0 : index }

    private mutating func perform(_ action: StorageAction, of index: Int) {
        let outcome = disks[disk(of: index)].perform(action, by: "n\(index + 1)", now: now)
        nodes[index]?.receive(storage: outcome, now: now, into: &outs[index])
    }

    private mutating func leave(_ message: Sent, _ datagram: Datagram) {
        let (text, to, index) = (message.text, message.to, message.node)
        sent.append(message)
        if reaches?(message) == false {
            let token = datagram.token
            guard token != 0 else { return }
            nodes[index]?.receive(unsent: token, to: datagram.to, flow: datagram.flow, now: now, into: &outs[index])
            return
        }
        if let phones {
            for reply in phones(message, self) {
                var source = Endpoint(text: reply.from)!
                if reply.flow != .none { source.transport = .tcp }
                hand(Array(reply.text.utf8), from: source, to: reply.node, flow: reply.flow)
            }
            return
        }
        guard text.hasPrefix("OPTIONS ") || text.hasPrefix("BYE "), let status = status[to], status > 0 else { return }
        hand(Array(Self.answer(status, to: message).utf8), from: Endpoint(text: to)!, to: index)
    }

    // MARK: The call

    /// Makes a call through a node, and confirms it.
    mutating func call(through index: Int) {
        receive(
            Self.request("INVITE", "z9hG4bKc1", "<sip:bob@10.0.9.2>", extra: "Contact: <sip:alice@10.0.9.1>\r\n"),
            from: Self.caller, at: index)
        let invite = sent.last { $0.text.hasPrefix("INVITE") }!
        receive(
            Self.answer(200, to: invite, toTag: ";tag=bob", extra: "Contact: <sip:bob@10.0.9.2>\r\n"),
            from: Self.callee, at: index)
        advance(milliseconds: 100)
        let route = "Route: \(invite.header("Record-Route")!)\r\n"
        receive(
            Self.request("ACK", "z9hG4bKa1", "<sip:bob@10.0.9.2>;tag=bob", extra: route), from: Self.caller, at: index)
        advance(milliseconds: 100)
    }

    static func request(_ method: String, _ branch: String, _ to: String, cSeq: Int = 1, extra: String) -> String {
        "\(method) sip:bob@10.0.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP \(caller);branch=\(branch)\r\nMax-Forwards: 70\r\n"
            + "From: <sip:alice@10.0.9.1>;tag=alice\r\nTo: \(to)\r\nCall-ID: c\r\nCSeq: \(cSeq) \(method)\r\n\(extra)"
            + "Content-Length: 0\r\n\r\n"
    }

    static func answer(_ status: Int, to request: Sent, toTag: String = "", extra: String = "") -> String {
        var text = "SIP/2.0 \(status) Whatever\r\n"
        for line in request.text.split(separator: "\r\n")
        where line.hasPrefix("Via: ") || line.hasPrefix("Record-Route: ") {
            text += "\(line)\r\n"
        }
        text += "From: \(request.header("From")!)\r\nTo: \(request.header("To")!)\(toTag)\r\n"
        text += "Call-ID: \(request.header("Call-ID")!)\r\nCSeq: \(request.header("CSeq")!)\r\n"
        return text + extra + "Content-Length: 0\r\n\r\n"
    }
}

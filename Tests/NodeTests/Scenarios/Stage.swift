// Stage plays a scenario: real nodes on a bus (`ClusterBench`), phones that do what the file says, and a clock that
// moves when it says so. What happens becomes lines, in the order in which it happened (`StageTranscript`).
//
// Between two commands 20 ms pass, so that the bus has carried what was learned; before one that begins with `and`,
// none. A frame takes 1 ms on the bus, a datagram no time. Nothing is left to chance: the same file gives the same
// lines.
//
// Commands: +Phones (what phones do), +Cluster (nodes, faults, time), +Questions (what nodes know).

import Node
import Primitives
import SIP

final class Stage {
    /// Milliseconds between two commands.
    static let pause: Int64 = 20
    /// Who there is; the addresses follow from the place.
    static let names = ["alice", "bob", "carol", "dave", "server", "balancer"]
    static let advertised = "10.0.0.100:5060"

    var bench = ClusterBench(nodes: 0) { _ in }
    var phones: [String: StagePhone] = [:]
    var transcript = StageTranscript()
    /// When the file's time begins.
    var origin = Instant.zero
    /// How often two have called each other: their Call-IDs.
    var calls: [String: Int] = [:]
    /// Through which node the last request of a phone went.
    var doors: [String: String] = [:]
    private var notesTold = 0
    var now: Int64 { bench.now.milliseconds(since: origin) }

    init() {
        for (place, name) in Self.names.enumerated() {
            phones[name] = StagePhone(name: name, address: "10.0.9.\(place + 1):5060")
        }
    }

    /// What each block of a file leads to.
    static func play(_ file: ScenarioFile) throws -> [[String]] {
        let stage = Stage()
        return try file.blocks.map { try stage.play($0.commands) }
    }

    private func play(_ lines: [String]) throws -> [String] {
        for (index, line) in lines.enumerated() where !line.hasPrefix("#") {
            do {
                try perform(ScenarioCommand(line.hasPrefix("and ") ? String(line.dropFirst(4)) : line))
            } catch let error as ScenarioError {
                throw ScenarioError(description: "'\(line)': \(error)")
            }
            let follows = lines[(index + 1)...].first { !$0.hasPrefix("#") }
            if follows?.hasPrefix("and ") != true { advance(Self.pause) }
        }
        return transcript.take()
    }

    private func perform(_ command: ScenarioCommand) throws {
        guard let first = command.words.first else { return }
        if let phone = phones[first] {
            try perform(command, by: phone)
        } else if try !performOnCluster(command), try !answer(command) {
            throw ScenarioError(description: "there is no command \(first)")
        }
    }

    // MARK: Time

    func advance(_ milliseconds: Int64) {
        bench.advance(milliseconds: milliseconds)
        takeNotes()
    }

    func say(_ text: String) { transcript.say(text, at: now) }

    /// What nodes logged since the last look.
    func takeNotes() {
        for entry in bench.notes[notesTold...] where entry.note.level > .info {
            transcript.log(entry.note, of: entry.node, at: entry.at.milliseconds(since: origin))
        }
        notesTold = bench.notes.count
    }

    // MARK: Datagrams

    func watchTraffic() {
        bench.phones = { [unowned self] in receive($0, of: $1) }
        bench.reaches = { [unowned self] in reaches($0) }
        bench.watch = { [unowned self] sent, isLost in
            let time = sent.at.milliseconds(since: origin)
            transcript.add(sent.text, from: "n\(sent.node + 1)", to: sent.to, at: time, isLost: isLost)
        }
    }

    /// Over a connection a phone that has one is reached by the node that holds it, and by no other.
    private func reaches(_ sent: ClusterBench.Sent) -> Bool {
        let phone = phones.values.first { sent.to.hasPrefix("\($0.host):") || sent.to == "\($0.host):0" }
        guard let phone, phone.hasConnected, phone.connection != sent.node else { return true }
        let time = sent.at.milliseconds(since: origin)
        transcript.add(sent.text, from: "n\(sent.node + 1)", to: phone.name, at: time, isLost: true)
        return false
    }

    /// A message of a node's reaches a phone, which may answer at once.
    private func receive(_ sent: ClusterBench.Sent, of bench: ClusterBench) -> [ClusterBench.Reply] {
        let time = sent.at.milliseconds(since: origin)
        guard let name = phones.values.first(where: { sent.to.hasPrefix("\($0.host):") })?.name else {
            transcript.add(sent.text, from: "n\(sent.node + 1)", to: transcript.name(of: sent.to), at: time)
            return []
        }
        let port = sent.to.hasSuffix(":5060") ? "" : sent.to.drop { $0 != ":" }
        transcript.add(sent.text, from: "n\(sent.node + 1)", to: name + port, at: time)
        return hand(sent.text, to: name, from: sent.source, node: sent.node, of: bench)
    }

    /// What a phone says at once to what it got, from a node or from a proxy before it.
    private func hand(
        _ text: String, to name: String, from source: String, node: Int, of bench: ClusterBench
    ) -> [ClusterBench.Reply] {
        let time = bench.now.milliseconds(since: origin)
        func toNode(_ text: String) -> ClusterBench.Reply {
            transcript.add(text, from: name, to: "n\(node + 1)", at: time)
            return ClusterBench.Reply(text: text, from: phones[name]?.source ?? "", node: node)
        }
        if let passed = phones[name]?.passedOn(text) {
            let ack = phones[name]?.acknowledgement(of: text).map(toNode)
            return [ack].compactMap { $0 } + reply(passed, by: name, toVia: passed.headers("Via")[0], of: bench)
        }
        return (phones[name]?.receive(text, from: source) ?? []).flatMap { text in
            text.statusCode > 0 ? reply(text, by: name, toVia: text.headers("Via")[0], of: bench) : [toNode(text)]
        }
    }

    /// An answer goes where the topmost Via says (RFC 3261 §18.2.2, RFC 3581); with whoever is dead it is lost.
    private func reply(
        _ text: String, by name: String, toVia via: String, of bench: ClusterBench
    ) -> [ClusterBench.Reply] {
        let (time, target) = (bench.now.milliseconds(since: origin), Self.target(via))
        guard let node = bench.host(of: target)?.node else {
            let phone = phones.values.first { target.text.hasPrefix("\($0.host):") }?.name
            transcript.add(text, from: name, to: phone ?? "nobody", at: time)
            // What a phone says to the proxy before it, an ACK, ends there.
            if let phone { _ = phones[phone]?.receive(text, from: "") }
            return []
        }
        transcript.add(text, from: name, to: "n\(node + 1)", at: time, isLost: bench.nodes[node] == nil)
        let flow = phones[name]?.connection == node ? phones[name]?.flow : nil
        return [ClusterBench.Reply(text: text, from: phones[name]?.source ?? "", node: node, flow: flow ?? .none)]
    }

    static func target(_ via: String) -> Endpoint {
        if let host = via.value("received"), let port = via.value("rport"),
            let source = Endpoint(text: "\(host):\(port)")
        {
            return source
        }
        let part = via.split(separator: " ").last.map { String($0.prefix { $0 != ";" }) } ?? ""
        return Endpoint(text: part.contains(":") ? part : "\(part):5060") ?? Endpoint(text: "0.0.0.0:1")!
    }

    /// Sends what a phone says: to the node that its balancer chose, or where an answer's Via says.
    func send(_ text: String, by name: String, through door: String?) throws {
        let text = text.replacing("$did", with: transcript.lastDid)
        guard let phone = phones[name], !phone.isGone else { return }
        let endpoint: Endpoint
        if let door {
            endpoint = ClusterBench.address(try index(of: door))
        } else {
            endpoint = Self.target(text.headers("Via")[0])
        }
        guard let host = bench.host(of: endpoint) else {
            throw ScenarioError(description: "nobody is at \(endpoint.text); say through which node it goes")
        }
        transcript.add(text, from: name, to: "n\(host.node + 1)", at: now, isLost: bench.nodes[host.node] == nil)
        let flow = phone.connection == host.node ? phone.flow : .none
        bench.receive(text, from: phone.source, to: endpoint, flow: flow)
        takeNotes()
    }

    func index(of node: String) throws -> Int {
        guard node.hasPrefix("n"), let number = Int(node.dropFirst()), bench.nodes.indices.contains(number - 1) else {
            throw ScenarioError(description: "there is no node \(node)")
        }
        return number - 1
    }
}

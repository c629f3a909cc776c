// What a file does to nodes, to what is between them, and to time.
//
//     cluster 3 KEY=VALUE …       starts them, waits until they serve; any key of the configuration, n2:KEY for one
//                                 node (n3:node.witness=true), `tcp` for listeners of connections,
//                                 `service-addresses` for those that move
//     kill n1, start n1           SIGKILL; a new process              drain n1, leave n1   SIGTERM; its farewell
//     pause n1, resume n1         SIGSTOP, SIGCONT                    end alice-bob through n1   an operator's end
//     cut n1 from n2 n3           nothing passes between them         slow n2 100ms, slow n1 -> n2 100ms
//     lose n1 -> n2               frames are lost, repairs pass       forget alice-bob on n2     a replica is lost
//     heal                        all of that is over                 skew n2 3600s        its wall clock is set
//     move n1's address to n2     a service address (VRRP)            wait 500ms, wait 3s

import Node
import Primitives
import SIP

extension Stage {
    /// Whether it was a command of these.
    func performOnCluster(_ command: ScenarioCommand) throws -> Bool {
        let words = command.words
        let rest = Array(words.dropFirst())
        switch words[0] {
        case "cluster": try open(rest)
        case "wait": advance(try milliseconds(rest.first))
        case "kill": bench.kill(try index(of: rest.first ?? ""))
        case "start": bench.start(try index(of: rest.first ?? ""))
        case "drain": bench.drain(try index(of: rest.first ?? ""))
        case "leave": bench.leave(try index(of: rest.first ?? ""))
        case "pause": bench.pause(try index(of: rest.first ?? ""))
        case "resume": bench.resume(try index(of: rest.first ?? ""))
        case "end": try end(rest.first ?? "", command)
        case "forget": try forget(rest)
        case "skew": try skew(rest)
        case "cut", "lose", "slow", "heal": try interfere(words)
        case "move": try move(rest)
        default: return false
        }
        takeNotes()
        return true
    }

    // MARK: The cluster

    private func open(_ words: [String]) throws {
        guard let count = words.first.flatMap({ Int($0) }), (1...9).contains(count) else {
            throw ScenarioError(description: "say how many nodes there are")
        }
        let hasServiceAddresses = words.contains("service-addresses")
        let hasTCP = words.contains("tcp")
        let pairs = words.dropFirst().filter { $0 != "service-addresses" && $0 != "tcp" }.map {
            $0.split(separator: "=", maxSplits: 1)
        }
        for pair in pairs {
            var settings = Settings()
            let problems = Self.set(pair, in: &settings)
            guard problems.isEmpty else { throw ScenarioError(description: problems[0].message) }
        }
        bench = ClusterBench(nodes: count) { settings in
            settings.sip.advertise = ConfiguredURI("sip:\(Self.advertised)").map { [$0] } ?? []
            if hasTCP, let address = settings.sip.listen.first {
                settings.sip.listen.append(Endpoint(address: address.address, port: address.port, transport: .tcp))
                settings.sip.advertise += ConfiguredURI("sip:\(Self.advertised);transport=tcp").map { [$0] } ?? []
            }
            settings.management.allowsFaultInjection = true
            settings.dialogs.hashSize = 64
            if hasServiceAddresses, let number = Int(settings.node.name.dropFirst()) {
                settings.sip.serviceAddress = ClusterBench.serviceAddress(number - 1)
            }
            for pair in pairs { _ = Self.set(pair, in: &settings) }
            // It has no SIP; everything else of a file is for it too.
            if settings.node.isWitness { settings.sip = SIPSettings() }
        }
        bench.bus.delay = 1
        transcript.isSilent = true
        watchTraffic()
        advance(5_000)
        transcript.isSilent = false
        origin = bench.now.advanced(milliseconds: Self.pause)
        for line in members() { say(line) }
    }

    /// A pair of a key, which may begin with the node that it is for, and a value.
    private static func set(_ pair: [Substring], in settings: inout Settings) -> [SettingProblem] {
        guard pair.count == 2 else { return [SettingProblem(key: "", message: "say KEY=VALUE")] }
        var key = String(pair[0])
        if let colon = key.firstIndex(of: ":") {
            guard key[..<colon] == settings.node.name || settings.node.name.isEmpty else { return [] }
            key = String(key[key.index(after: colon)...])
        }
        var value = String(pair[1])
        for (place, name) in names.enumerated() {
            value = value.replacing("@\(name)", with: "@10.0.9.\(place + 1)")
        }
        let isList = SettingKey.named(key)?.isList == true
        return settings.set(key, to: .list(isList ? value.split(separator: ",").map(String.init) : [value]))
    }

    private func end(_ callID: String, _ command: ScenarioCommand) throws {
        let index = try index(of: command.through ?? "n1")
        guard let did = record(callID, on: index)?.did else {
            throw ScenarioError(description: "\(callID) is not known there")
        }
        guard let report = bench.end(did: did, through: index) else { return }
        say("n\(index + 1) tells its operator: \(report)")
    }

    private func forget(_ words: [String]) throws {
        guard words.count == 3 else { throw ScenarioError(description: "say: forget alice-bob on n2") }
        let index = try index(of: words[2])
        guard let did = record(words[0], on: index)?.did else {
            throw ScenarioError(description: "\(words[0]) is not known there")
        }
        bench.change(index) { node, _ in _ = node.forget(did: did) }
    }

    private func skew(_ words: [String]) throws {
        guard words.count == 2 else { throw ScenarioError(description: "say: skew n2 3600s") }
        let seconds = Int(try milliseconds(words[1]) / 1_000)
        bench.change(try index(of: words[0])) { node, _ in node.skew(seconds: seconds) }
    }

    private func move(_ words: [String]) throws {
        guard words.count == 4, let owner = words.first?.prefix(while: { $0 != "'" }) else {
            throw ScenarioError(description: "say: move n1's address to n2")
        }
        bench.moveServiceAddress(of: try index(of: String(owner)), to: try index(of: words[3]))
    }

    // MARK: What is between them

    private func interfere(_ words: [String]) throws {
        switch (words[0], words.count) {
        case ("heal", 1):
            bench.bus.cuts = []
            bench.bus.losses = []
            bench.bus.slowness = [:]
            bench.bus.slowWays = [:]
        case ("cut", 4...) where words[2] == "from":
            let one = try index(of: words[1])
            for other in try words[3...].map(index) {
                bench.bus.cuts.formUnion([BenchBus.Way(from: one, to: other), BenchBus.Way(from: other, to: one)])
            }
        case ("lose", 4):
            bench.bus.losses.insert(BenchBus.Way(from: try index(of: words[1]), to: try index(of: words[3])))
        case ("slow", 5):
            let way = BenchBus.Way(from: try index(of: words[1]), to: try index(of: words[3]))
            bench.bus.slowWays[way] = try milliseconds(words[4])
        case ("slow", 3): bench.bus.slowness[try index(of: words[1])] = try milliseconds(words[2])
        default:
            throw ScenarioError(
                description: "say: cut n1 from n2 n3, lose n1 -> n2, slow n2 100ms, slow n1 -> n2 100ms, heal")
        }
    }

    func milliseconds(_ text: String?) throws -> Int64 {
        let digits = (text ?? "").prefix { $0.isNumber }
        let scales: [Substring: Int64] = ["ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000]
        guard let number = Int64(digits), let scale = scales[(text ?? "").dropFirst(digits.count)] else {
            throw ScenarioError(description: "say how long, like 500ms or 3s")
        }
        return number * scale
    }
}

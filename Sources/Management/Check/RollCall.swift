// Whom `understudy check` has to ask, and who of them could be: every member that somebody knows and every peer that
// somebody has in its configuration. Who is not reached is named with what the others know of it, because an
// answer without them proves nothing.
//
// Only the nodes whose URLs are given are asked over HTTP; they ask the others over the bus, because management is most
// often open to its own host alone. An answer counts only under the name that was asked for.

import Node

struct RollCall: Sendable {
    struct Party: Sendable {
        var name: String
        var caller: any RPCCaller
        var status: JSONValue
        /// One of the given: it asks others.
        var isGiven = true

        /// What it says of a member; `nil` when it knows nobody of the name.
        func member(_ name: String) -> JSONValue? {
            (status["members"]?.elements ?? []).first { $0["name"]?.text == name }
        }

        /// Frames of another cluster, or with another key, come to it under this name, since the member was heard.
        func hearsStranger(_ name: String) -> Bool {
            let heard = member(name).flatMap { Cell.seconds($0["silent_s"]) } ?? .infinity
            return (status["strangers"]?.elements ?? []).contains { stranger in
                stranger["name"]?.text == name && Cell.seconds(stranger["silent_s"]) ?? 0 < heard
            }
        }

        func hears(_ name: String) -> Bool {
            ["joining", "up", "draining"].contains(member(name)?["state"]?.text ?? "")
        }
    }

    /// Makes a caller for a member's URL.
    let caller: @Sendable (String) throws(ClientError) -> any RPCCaller
    private(set) var asked: [Party] = []
    private(set) var unasked: [CheckReport.Unasked] = []

    init(caller: @escaping @Sendable (String) throws(ClientError) -> any RPCCaller) { self.caller = caller }

    /// - Parameter isPartial: With several URLs only those are meant.
    mutating func run(_ urls: [String], isPartial: Bool) async throws(CheckError) {
        try await ask(given: urls)
        let clusters = Set(asked.map { $0.status["cluster"]?.text ?? "" }).sorted()
        guard clusters.count == 1 else { throw .clustersDiffer(clusters) }
        if !isPartial || urls.count == 1 {
            await askTheKnown(of: clusters[0])
            nameTheUnheard()
        }
        let witnesses = witnesses
        asked.removeAll { witnesses.contains($0.name) }
        unasked.removeAll { witnesses.contains($0.name) }
        asked.sort { $0.name < $1.name }
        unasked.sort { $0.name < $1.name }
    }

    /// Who has other settings than who, where all must have the same.
    var remarks: [String] {
        var pairs: [String: Set<String>] = [:]
        for party in asked {
            for member in party.status["members"]?.elements ?? [] {
                let keys = (member["differs"]?.elements ?? []).compactMap(\.text)
                guard let name = member["name"]?.text, !keys.isEmpty else { continue }
                let pair = [party.name, name].sorted().joined(separator: " and ")
                pairs[pair, default: []].formUnion(keys)
            }
        }
        return pairs.sorted { $0.key < $1.key }.map { pair, keys in
            "\(pair) differ in \(keys.sorted().joined(separator: ", ")): set the same value on every node"
        }
    }

    /// Nobody may lack in the comparison because its table has another size: it is left out, and named.
    mutating func leaveOut(_ name: String, why: String) {
        asked.removeAll { $0.name == name }
        unasked.append(.init(name: name, why: why))
    }

    private mutating func ask(given urls: [String]) async throws(CheckError) {
        var firstError: ClientError?
        var labels: [String: String] = [:]
        for url in urls {
            let party: Party
            do throws(ClientError) {
                party = try await learn(try caller(url), url)
            } catch {
                firstError = firstError ?? error
                unasked.append(.init(name: url, why: error.description))
                continue
            }
            if let first = labels[party.name] { throw .askedTwice(name: party.name, first: first, second: url) }
            labels[party.name] = url
            asked.append(party)
        }
        if asked.isEmpty, let firstError { throw .client(firstError) }
    }

    private func learn(_ caller: any RPCCaller, _ url: String) async throws(ClientError) -> Party {
        let status = try await caller.call("cluster.status", [])
        guard let name = status["node"]?.text else { throw .notUnderstood(url: url) }
        return Party(name: name, caller: caller, status: status)
    }

    // MARK: Members that somebody knows

    private mutating func askTheKnown(of cluster: String) async {
        var tried: Set<String> = []
        while let name = nextKnown(besides: tried) {
            tried.insert(name)
            let givens = asked.filter(\.isGiven)
            let hearing = givens.filter { $0.hears(name) }
            // What nobody hears cannot be asked over the bus: what it is to them says it all.
            let tellers = hearing.isEmpty ? asked.filter { $0.member(name) != nil } : hearing
            var why = ""
            for teller in hearing {
                do throws(ClientError) {
                    var party = try await learn(RelayedCaller(name, through: teller.caller), teller.caller.label)
                    party.isGiven = false
                    let found = party.status["cluster"]?.text ?? ""
                    if party.name != name {
                        throw .wrongNode(url: teller.caller.label, asked: name, answered: party.name)
                    }
                    if found != cluster { throw .wrongCluster(url: name, answered: found) }
                    asked.append(party)
                    why = ""
                    break
                } catch {
                    why = error.description
                }
            }
            guard !asked.contains(where: { $0.name == name }) else { continue }
            unasked.append(.init(name: name, why: standing(of: name, tellers, givens, why)))
        }
    }

    /// Why a known member was not asked.
    private func standing(of name: String, _ tellers: [Party], _ givens: [Party], _ why: String) -> String {
        var words = [tellers.first?.member(name).map(Self.standing) ?? "unknown"]
        if !why.isEmpty { words.append(why) }
        if why.isEmpty, let teller = tellers.first, !teller.isGiven {
            words[0] = "\(words[0]) to \(teller.name), not heard by \(givens.map(\.name).joined(separator: ", "))"
        }
        if let hearer = asked.first(where: { $0.hearsStranger(name) }) {
            words.append(
                "frames of \(name) come to \(hearer.name) with another cluster.name or cluster key: give all nodes the "
                    + "same")
        }
        return words.joined(separator: "; ")
    }

    /// A member that has a name and was not tried yet, the first by name.
    private func nextKnown(besides tried: Set<String>) -> String? {
        asked.flatMap { party in (party.status["members"]?.elements ?? []).compactMap { $0["name"]?.text } }
            .filter { name in
                !name.isEmpty && !tried.contains(name) && !asked.contains { $0.name == name }
                    && !witnesses.contains(name)
            }.min()
    }

    /// Members that have no records: there is nothing to compare, and nothing missing without them.
    private var witnesses: Set<String> {
        let members = asked.flatMap { $0.status["members"]?.elements ?? [] }
        return Set(members.filter { $0["witness"]?.flag == true }.compactMap { $0["name"]?.text })
    }

    /// What a member is to the node that tells of it: `down: silent for 12 s`.
    static func standing(_ member: JSONValue) -> String {
        let seconds: Int64 =
            switch member["silent_s"] {
            case .number(let number): Int64(number)
            case .integer(let number): number
            default: 0
            }
        switch member["state"]?.text ?? "" {
        case "down":
            return member["gone"]?.flag == true
                ? "down: its process is gone, since \(seconds) s" : "down: silent for \(seconds) s"
        case "left": return "it left in good order, \(seconds) s ago"
        case let state: return state
        }
    }

    // MARK: Peers that nobody heard

    private mutating func nameTheUnheard() {
        var tellers: [String: [Party]] = [:]
        for party in asked {
            for member in party.status["members"]?.elements ?? [] where member["name"]?.text == "" {
                tellers[member["bus"]?.text ?? "", default: []].append(party)
            }
        }
        for (bus, parties) in tellers.sorted(by: { $0.key < $1.key }) {
            let holder = self.holder(ofBus: bus)
            // Somebody else heard it once: it has been asked for, and told of, by its name.
            if let holder, unasked.contains(where: { $0.name == holder }) { continue }
            let names = parties.map(\.name).sorted().joined(separator: ", ")
            let strangers = parties.flatMap { $0.status["strangers"]?.elements ?? [] }.compactMap { $0["name"]?.text }
            var why = "never heard by \(names): not started, cut off, or without \(names) among its cluster.peers"
            if !strangers.isEmpty {
                let who = Set(strangers).sorted().joined(separator: ", ")
                why = "never heard by \(names), where frames of \(who) come with another cluster.name or cluster key"
            }
            unasked.append(.init(name: holder ?? bus, why: why))
        }
    }

    /// Who has this bus address, by its own word or by another's.
    private func holder(ofBus bus: String) -> String? {
        for party in asked {
            for member in party.status["members"]?.elements ?? [] where member["bus"]?.text == bus {
                if let name = member["name"]?.text, !name.isEmpty { return name }
            }
        }
        return nil
    }
}

// `understudy check`: asks every member for its digests, then for the records of unequal buckets, and compares
// (`ReplicaComparison`). What is in flight is asked about again, for at most `patience`; after a repair, so is
// everything.
//
// Limits: bucket lists are asked for in groups of `BucketReport.requestLimit`; fields are named for the first
// `detailLimit` unequal records only. With the digests equal it costs one small answer a member, however many dialogs.

import Node

/// Why the replicas could not be compared: exit code 2.
package enum CheckError: Error, Equatable, Sendable, CustomStringConvertible {
    case client(ClientError)
    /// A member of the view whose management address nobody knows.
    case noAddress(member: String)
    case sizesDiffer([String])
    case clustersDiffer([String])

    package var description: String {
        switch self {
        case .client(let error): error.description
        case .noAddress(let member):
            "\(member) is a member, but serves no management; set management.http there, or name nodes with --node"
        case .sizesDiffer(let sizes):
            "ims_dialog.hash_size differs (\(sizes.joined(separator: ", "))): set the same value on every node"
        case .clustersDiffer(let names):
            "these nodes are of different clusters (\(names.joined(separator: ", ")))"
        }
    }
}

package struct ReplicaCheck: Sendable {
    package static let detailLimit = 100

    /// Makes a caller for a member's URL.
    package var caller: @Sendable (String) throws(ClientError) -> any RPCCaller
    /// Waits; a test does not.
    package var pause: @Sendable (Duration) async -> Void
    /// Milliseconds that only grow.
    package var milliseconds: @Sendable () -> Int64
    /// How long what is in flight is asked about again.
    package var patience: Duration = .milliseconds(3_000)
    /// Told what is going on, for a terminal.
    package var progress: @Sendable (String) -> Void = { _ in }

    package init(
        caller: @escaping @Sendable (String) throws(ClientError) -> any RPCCaller,
        pause: @escaping @Sendable (Duration) async -> Void, milliseconds: @escaping @Sendable () -> Int64
    ) {
        self.caller = caller
        self.pause = pause
        self.milliseconds = milliseconds
    }

    private struct Member: Sendable {
        var name: String
        var caller: any RPCCaller
    }

    /// Compares the members that the URLs name; with a single URL, all the members its node knows.
    package func run(urls: [String], repairing: Bool) async throws(CheckError) -> CheckReport {
        let members = try await findMembers(urls)
        progress("comparing \(members.map(\.name).joined(separator: ", "))")
        let report = try await compare(members, insisting: false)
        guard repairing, !report.isEqual else { return report }
        progress("repairing \(report.unequal.count) dialogs")
        for member in members { _ = try await ask(member, "cluster.repair", []) }
        return try await compare(members, insisting: true)
    }

    private func ask(_ member: Member, _ method: String, _ params: JSONValue) async throws(CheckError) -> JSONValue {
        do throws(ClientError) { return try await member.caller.call(method, params) } catch { throw .client(error) }
    }

    private func connect(_ url: String) throws(CheckError) -> any RPCCaller {
        do throws(ClientError) { return try caller(url) } catch { throw .client(error) }
    }

    // MARK: Whom to ask

    private func findMembers(_ urls: [String]) async throws(CheckError) -> [Member] {
        var found: [Member] = []
        var clusters: [String] = []
        for url in urls {
            let status = try await learn(url, &found)
            let cluster = status["cluster"]?.text ?? ""
            if !clusters.contains(cluster) { clusters.append(cluster) }
            guard urls.count == 1 else { continue }
            for member in status["members"]?.elements ?? [] where member["self"]?.flag != true {
                let name = member["name"]?.text ?? ""
                guard ["joining", "up", "draining"].contains(member["state"]?.text ?? "") else { continue }
                guard let peer = member["url"]?.text, !peer.isEmpty else { throw .noAddress(member: name) }
                _ = try await learn(peer, &found)
            }
        }
        guard clusters.count == 1 else { throw .clustersDiffer(clusters.sorted()) }
        return found.sorted { $0.name < $1.name }
    }

    private func learn(_ url: String, _ found: inout [Member]) async throws(CheckError) -> JSONValue {
        let caller = try connect(url)
        let status = try await ask(Member(name: url, caller: caller), "cluster.status", [])
        guard let name = status["node"]?.text else { throw .client(.notUnderstood(url: url)) }
        if !found.contains(where: { $0.name == name }) { found.append(Member(name: name, caller: caller)) }
        return status
    }

    // MARK: Rounds

    /// - Parameter insisting: Ask again about settled differences too, because a repair is under way.
    private func compare(_ members: [Member], insisting: Bool) async throws(CheckError) -> CheckReport {
        let end = milliseconds() + patience.wholeMilliseconds
        var differences = try await round(members)
        while differences.contains(where: { insisting || !$0.isSettled }), milliseconds() < end {
            progress("\(differences.count { !$0.isSettled }) dialogs in flight")
            await pause(.milliseconds(250))
            differences = try await round(members)
        }
        return try await report(differences, members)
    }

    private func round(_ members: [Member]) async throws(CheckError) -> [ReplicaDifference] {
        let began = milliseconds()
        var digests: [DigestReport] = []
        for member in members { digests.append(try await self.digests(of: member)) }
        guard let unequal = ReplicaComparison.unequalBuckets(digests) else {
            throw .sizesDiffer(digests.map { "\($0.node) \($0.buckets.count)" })
        }
        var differences: [ReplicaDifference] = []
        var rest = unequal[...]
        while !rest.isEmpty {
            let group = Array(rest.prefix(BucketReport.requestLimit))
            rest = rest.dropFirst(group.count)
            var snapshots: [ReplicaSnapshot] = []
            for member in members { snapshots.append(try await snapshot(of: member, group)) }
            let asking = milliseconds() - began
            differences += ReplicaComparison.differences(snapshots, askingMilliseconds: asking)
        }
        return differences
    }

    private func digests(of member: Member) async throws(CheckError) -> DigestReport {
        let answer = try await ask(member, "cluster.digests", [])
        guard let texts = answer["buckets"]?.elements else { throw .client(.notUnderstood(url: member.caller.label)) }
        var report = DigestReport()
        report.node = member.name
        report.buckets = texts.map { UInt64($0.text ?? "", radix: 16) ?? 0 }
        return report
    }

    private func snapshot(of member: Member, _ buckets: [Int]) async throws(CheckError) -> ReplicaSnapshot {
        let numbers = JSONValue.array(buckets.map { .count($0) })
        let answer = try await ask(member, "cluster.bucket", [numbers])
        guard let listed = answer["buckets"]?.elements else { throw .client(.notUnderstood(url: member.caller.label)) }
        let records = listed.flatMap { $0["records"]?.elements ?? [] }.map { record in
            var digest = RecordDigest()
            digest.did = record["did"]?.text ?? ""
            digest.callID = record["call_id"]?.text ?? ""
            digest.state = record["state"]?.text ?? ""
            digest.digest = UInt64(record["digest"]?.text ?? "", radix: 16) ?? 0
            digest.changedMilliseconds = record["changed_ms"]?.whole ?? 0
            return digest
        }
        return ReplicaSnapshot(member: member.name, records: records)
    }

    // MARK: What it came to

    private func report(
        _ differences: [ReplicaDifference], _ members: [Member]
    ) async throws(CheckError) -> CheckReport {
        var report = CheckReport()
        report.members = members.map(\.name)
        for difference in differences {
            guard difference.isSettled else {
                report.inFlight += 1
                continue
            }
            var differs = difference.missing.map { "missing on \($0)" }
            if !difference.missing.isEmpty { report.missing += 1 }
            if difference.recordsDiffer {
                let isDetailed = report.unequal.count < Self.detailLimit
                differs += isDetailed ? try await fields(of: difference, members) : ["record"]
            }
            report.unequal.append(.init(did: difference.did, callID: difference.callID, differs: differs))
        }
        return report
    }

    /// A record that went away since is no reason to fail.
    private func fields(of difference: ReplicaDifference, _ members: [Member]) async throws(CheckError) -> [String] {
        var records: [JSONValue] = []
        for member in members where difference.holders.contains(member.name) {
            do throws(CheckError) {
                records.append(try await ask(member, "cluster.dialog", [.string(difference.did)]))
            } catch .client(.refused) {
                continue
            }
        }
        return ReplicaComparison.differingFields(records)
    }
}

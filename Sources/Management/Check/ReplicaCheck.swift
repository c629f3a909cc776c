// `understudy check`: asks every member (`RollCall`) for its digests, then for the records of unequal buckets, and
// compares (`ReplicaComparison`). What is in flight is asked about again, for at most `patience`; after a repair, so is
// everything.
//
// Limits: bucket lists are asked for in groups of `BucketReport.requestLimit` at most, and of about `recordGroup`
// records, digests in groups of `digestGroup`, so that each answer goes over the bus; fields are named for the first
// `detailLimit` unequal records only. With the digests equal it costs one small answer a member, however many dialogs.

import Node

package struct ReplicaCheck: Sendable {
    package static let detailLimit = 100
    /// Records in one answer: about two megabytes.
    static let recordGroup = 8_192
    static let digestGroup = 65_536

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

    private typealias Member = RollCall.Party

    /// Compares all members that the nodes of these URLs know, and those nodes.
    /// - Parameter isPartial: Who cannot be asked does not count; of several URLs only those nodes are meant.
    package func run(
        urls: [String], repairing: Bool = false, isPartial: Bool = false
    ) async throws(CheckError) -> CheckReport {
        progress("asking who is there")
        var roll = RollCall(caller: caller)
        try await roll.run(urls, isPartial: isPartial)
        try await leaveOutOtherSizes(&roll)
        progress("comparing \(roll.asked.map(\.name).joined(separator: ", "))")
        var (report, differences) = try await compare(roll.asked, insisting: false)
        if repairing {
            let before = differences
            if !report.unequal.isEmpty {
                progress("repairing \(report.unequal.count) dialogs")
                for member in roll.asked { _ = try await ask(member, "cluster.repair", []) }
                (report, differences) = try await compare(roll.asked, insisting: true)
            }
            report.mended = try await mended(before, stillDiffer: differences, roll.asked)
        }
        report.unasked = roll.unasked
        report.remarks = roll.remarks
        report.isPartial = isPartial
        return report
    }

    private func ask(_ member: Member, _ method: String, _ params: JSONValue) async throws(CheckError) -> JSONValue {
        do throws(ClientError) { return try await member.caller.call(method, params) } catch { throw .client(error) }
    }

    /// Tables of different sizes cannot be compared bucket by bucket: those of the size that most have are.
    private func leaveOutOtherSizes(_ roll: inout RollCall) async throws(CheckError) {
        var sizes: [(name: String, size: Int)] = []
        for member in roll.asked { sizes.append((member.name, try await digests(of: member).buckets.count)) }
        let counts = Dictionary(grouping: sizes, by: \.size).mapValues(\.count)
        guard let common = sizes.max(by: { (counts[$0.size] ?? 0) < (counts[$1.size] ?? 0) }) else { return }
        for other in sizes where other.size != common.size {
            let why =
                "its ims_dialog.hash_size is \(other.size), that of \(common.name) \(common.size): "
                + "set the same value on every node"
            roll.leaveOut(other.name, why: why)
        }
    }

    // MARK: Rounds

    /// - Parameter insisting: Ask again about settled differences too, because a repair is under way.
    private func compare(
        _ members: [Member], insisting: Bool
    ) async throws(CheckError) -> (CheckReport, [ReplicaDifference]) {
        let end = milliseconds() + patience.wholeMilliseconds
        var (differences, dialogs) = try await round(members)
        while differences.contains(where: { insisting || !$0.isSettled }), milliseconds() < end {
            progress("\(differences.count { !$0.isSettled }) dialogs in flight")
            await pause(.milliseconds(250))
            (differences, dialogs) = try await round(members)
        }
        var report = try await report(differences, members)
        report.dialogs = dialogs
        return (report, differences)
    }

    /// What differs, and how many dialogs the member with the most of them has.
    private func round(_ members: [Member]) async throws(CheckError) -> ([ReplicaDifference], dialogs: Int) {
        let began = milliseconds()
        var digests: [DigestReport] = []
        for member in members { digests.append(try await self.digests(of: member)) }
        guard let unequal = ReplicaComparison.unequalBuckets(digests) else {
            throw .client(.notUnderstood(url: members.map(\.caller.label).joined(separator: ", ")))
        }
        var differences: [ReplicaDifference] = []
        var rest = unequal[...]
        while !rest.isEmpty {
            let group = Array(rest.prefix(Self.bucketGroup(digests)))
            rest = rest.dropFirst(group.count)
            var snapshots: [ReplicaSnapshot] = []
            for member in members { snapshots.append(try await snapshot(of: member, group)) }
            let asking = milliseconds() - began
            differences += ReplicaComparison.differences(snapshots, askingMilliseconds: asking)
        }
        return (differences, digests.map(\.live).max() ?? 0)
    }

    private func digests(of member: Member) async throws(CheckError) -> DigestReport {
        var report = DigestReport()
        report.node = member.name
        while true {
            let page: JSONValue = [.count(report.buckets.count), .count(Self.digestGroup)]
            let answer = try await ask(member, "cluster.digests", page)
            guard let texts = answer["buckets"]?.elements, let size = answer["size"]?.whole else {
                throw .client(.notUnderstood(url: member.caller.label))
            }
            report.live = Int(clamping: answer["live"]?.whole ?? 0)
            report.buckets += texts.map { UInt64($0.text ?? "", radix: 16) ?? 0 }
            if texts.isEmpty || report.buckets.count >= Int(clamping: size) { return report }
        }
    }

    /// How many buckets to ask for at once: dids are spread evenly over them.
    private static func bucketGroup(_ digests: [DigestReport]) -> Int {
        let fullest = digests.map { $0.live / max(1, $0.buckets.count) }.max() ?? 0
        return max(1, min(BucketReport.requestLimit, recordGroup / max(1, fullest)))
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

    /// What differed and does not any more, and whose record was the one that changed.
    private func mended(
        _ before: [ReplicaDifference], stillDiffer: [ReplicaDifference], _ members: [Member]
    ) async throws(CheckError) -> [CheckReport.Mended] {
        var list: [CheckReport.Mended] = []
        for difference in before
        where difference.isSettled && !stillDiffer.contains(where: { $0.did == difference.did }) {
            var changed = difference.missing
            if difference.recordsDiffer, list.count < Self.detailLimit, let member = members.first {
                let now = try await digest(of: difference.did, at: member)
                changed += difference.digests.filter { $0.value != now }.keys
            }
            let sorted = changed.isEmpty ? difference.holders : changed.sorted()
            list.append(.init(did: difference.did, callID: difference.callID, members: sorted))
        }
        return list
    }

    /// `nil` for a record that went away since.
    private func digest(of did: String, at member: Member) async throws(CheckError) -> UInt64? {
        do throws(CheckError) {
            let record = try await ask(member, "cluster.dialog", [.string(did)])
            return UInt64(record["digest"]?.text ?? "", radix: 16)
        } catch .client(.refused) {
            return nil
        }
    }
}

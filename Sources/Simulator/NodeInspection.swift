// The one place where the simulator looks into a node. Checkers ask in their own words; what a node offers is
// translated here.

internal import Cluster
internal import Dialogs
internal import Node
internal import Primitives

/// A record as a checker wants to know it.
struct KnownRecord {
    var state: DialogState
    /// Virtual time; `.min` without a deadline.
    var deadline: Nanoseconds
}

/// A node's place in the cluster, as it sees it.
struct Standing {
    var state: MemberState
    var epoch: UInt64
    /// Names of the members, sorted.
    var view: [String]
    var hasQuorum: Bool
    /// Peers whose acknowledgement counts.
    var livePeers: Int

    var isServing: Bool { state.isServing }
}

enum NodeInspection {
    static func standing(of process: RunningNode) -> Standing {
        process.access { node in
            let view = node.cluster.view
            return Standing(
                state: node.cluster.state, epoch: view.epoch, view: view.members.map(\.name).sorted(),
                hasQuorum: node.cluster.quorum == .held, livePeers: node.cluster.livePeerCount)
        }
    }

    /// How a node sees the members, in one line.
    static func members(of process: RunningNode, now: Nanoseconds) -> String {
        process.access { node in
            let status = node.status(now: Instant(nanoseconds: now))
            let members = status.members.map {
                "\($0.name) \($0.state) applied \($0.applied) acknowledged \($0.acknowledged) lag \($0.lagFrames)"
            }
            return "\(status.state), quorum \(status.quorum): " + members.joined(separator: "; ")
        }
    }

    static func state(of process: RunningNode) -> MemberState { process.access { $0.cluster.state } }

    static func dialogState(_ did: UInt64, _ process: RunningNode) -> DialogState? {
        process.access { $0.inspectedState(DialogID(rawValue: did)) }
    }

    static func mark(of process: RunningNode) -> TurnMark {
        process.access { node in
            let counters = node.cluster.counters
            return TurnMark(
                grants: counters.grantsGiven, asks: counters.asks, epoch: node.cluster.view.epoch,
                isFit: node.cluster.isFit, isJoining: !node.cluster.state.isServing)
        }
    }

    /// Whether the record is older than what the node has just given its word about; `nil` when it has not.
    static func isWordBehind(_ did: UInt64, _ process: RunningNode, at time: Instant) -> Bool? {
        let id = DialogID(rawValue: did)
        return process.access { node in
            guard let heard = node.inspectedIntent(id), heard.heardAt == time else { return nil }
            let stamp = node.inspectedStamp(id)
            return stamp < (heard.intent.generation, heard.intent.deadlineMilliseconds)
        }
    }

    /// Names of the members that it hears.
    static func heard(by process: RunningNode, at now: Instant) -> [String] {
        process.access { node in
            node.status(now: now).members.filter { $0.isInView && !$0.isSelf && $0.state != "down" }.map(\.name)
        }
    }

    /// A record's deadline as it stands, milliseconds since the dialog's birth, in its generation.
    static func stamp(_ did: UInt64, _ process: RunningNode) -> UInt64 {
        process.access { node in
            let (generation, milliseconds) = node.inspectedStamp(DialogID(rawValue: did))
            return UInt64(generation) << 40 ^ milliseconds
        }
    }

    /// Generation of a record's deadline; 0 before the dialog was answered.
    static func generation(_ did: UInt64, _ process: RunningNode) -> UInt32 {
        process.access { $0.inspectedStamp(DialogID(rawValue: did)).0 }
    }

    /// When the node last gave its word for the end of a dialog, to itself or to another.
    static func lastWord(_ did: UInt64, _ process: RunningNode) -> Instant? {
        process.access { $0.inspectedIntent(DialogID(rawValue: did))?.heardAt }
    }

    /// Whether what the node last gave its word about is what its record says.
    static func isWordStanding(_ did: UInt64, _ process: RunningNode) -> Bool {
        let id = DialogID(rawValue: did)
        return process.access { node in
            guard let heard = node.inspectedIntent(id), node.inspectedState(id) != .deleted else { return false }
            return node.inspectedStamp(id) == (heard.intent.generation, heard.intent.deadlineMilliseconds)
        }
    }

    static func hasQuorum(_ process: RunningNode) -> Bool {
        process.access { $0.cluster.quorum == .held }
    }

    /// It is up, and not draining.
    static func takesCalls(_ process: RunningNode) -> Bool {
        process.access { $0.cluster.state == .up }
    }

    static func isServing(_ process: RunningNode) -> Bool {
        process.access { $0.cluster.state.isServing }
    }

    /// `nil` when the node has no record of it, not even a tombstone.
    static func record(_ did: UInt64, _ process: RunningNode, _ host: Host) -> KnownRecord? {
        let id = DialogID(rawValue: did)
        return process.access { node in
            guard let state = node.inspectedState(id) else { return nil }
            let deadline = node.inspectedDeadline(id).map { host.virtualTime($0) }
            return KnownRecord(state: state, deadline: deadline ?? .min)
        }
    }

    /// Whether a record says that the numbers of a side are moved.
    static func isMoved(_ side: Leg, of did: UInt64, _ process: RunningNode) -> Bool {
        process.access { node in
            node.inspectedDialogs.view(DialogID(rawValue: did)) { view, stored in
                guard side == .callee else { return view.caller.shift > 0 }
                var isMoved = false
                view.forEachOut(in: stored) { isMoved = isMoved || $0.side.shift > 0 }
                return isMoved
            } ?? false
        }
    }

    /// What a record says of the dialog with one callee; `nil` when it says nothing of it.
    static func state(of did: UInt64, with tag: String, _ process: RunningNode) -> DialogState? {
        let bytes = [UInt8](tag.utf8)
        return process.access { node in
            node.inspectedDialogs.view(DialogID(rawValue: did)) { view, stored in
                view.out(toTag: bytes, ByteRange(bytes), in: stored)?.state
            } ?? nil
        }
    }

    /// Whether a record says that somebody asked for the end of its dialog.
    static func isExplicitEnd(_ did: UInt64, _ process: RunningNode) -> Bool {
        process.access { node in
            node.inspectedDialogs.view(DialogID(rawValue: did)) { view, _ in
                view.state != .deleted && view.deadline?.isExplicitEnd ?? false
            } ?? false
        }
    }

    /// Whether a tombstone says that the set-up of its call has failed.
    static func isFailed(_ did: UInt64, _ process: RunningNode) -> Bool {
        process.access { node in
            node.inspectedDialogs.view(DialogID(rawValue: did)) { view, _ in
                view.state == .deleted && view.flags.contains(.failed)
            } ?? false
        }
    }

    /// Whether a record has a branch of a further pass to this user that may be cancelled: a provisional response to it
    /// is known (RFC 3261 §9.1).
    static func hasPass(_ did: UInt64, to user: String, _ process: RunningNode) -> Bool {
        let prefix = Array("sip:\(user)@".utf8)
        return process.access { node in
            node.inspectedDialogs.view(DialogID(rawValue: did)) { view, stored in
                var found = false
                view.forEachPending(in: stored) { pending in
                    let uri = stored[Int(pending.requestURI.start)..<Int(pending.requestURI.end)]
                    let mayCancel = pending.progress.contains(.provisional)
                    found = found || !pending.pass.isFirst && mayCancel && uri.starts(with: prefix)
                }
                return found
            } ?? false
        }
    }

    /// Whether the record has the Vias of a further copy of its INVITE, by the branch that its caller gave it.
    static func hasAdoption(_ did: UInt64, by branch: String, _ process: RunningNode) -> Bool {
        decoded(did, process)?.adoptions.contains { adoption in
            String(decoding: adoption.vias, as: UTF8.self).contains(branch)
        } ?? false
    }

    static func bytes(_ did: UInt64, _ process: RunningNode) -> [UInt8]? {
        process.access { $0.inspectedDialogs.bytes(DialogID(rawValue: did)) }
    }

    static func decoded(_ did: UInt64, _ process: RunningNode) -> Record? {
        process.access { $0.inspectedDialogs.record(DialogID(rawValue: did)) }
    }

    /// What decides of a record, in one line for a trace: flags, dialog-outs, transactions under way.
    static func summary(_ did: UInt64, _ process: RunningNode) -> String {
        guard let record = decoded(did, process) else { return "no record" }
        var parts = [record.state.map { "\($0)" } ?? "no state"]
        parts += record.flags.names
        for out in record.outs {
            var text = "out \(String(decoding: out.toTag, as: UTF8.self)) \(out.state.map { "\($0)" } ?? "no state")"
            if out.acked > 0 { text += " acked \(out.acked)" }
            if !out.side.contact.isEmpty { text += " at \(String(decoding: out.side.contact, as: UTF8.self))" }
            if !out.side.routes.isEmpty { text += " by \(String(decoding: out.side.routes, as: UTF8.self))" }
            if !out.answer.isEmpty { text += " with its 2xx" }
            parts.append(text)
        }
        for pending in record.pendings {
            let pass = pending.pass.isFirst ? "" : " pass \(pending.pass.rawValue >> 32)"
            parts.append("\(pending.leg) \(pending.cseq)\(pass) \(pending.progress.names.joined(separator: " "))")
        }
        if !record.adoptions.isEmpty { parts.append("\(record.adoptions.count) adopted") }
        return parts.joined(separator: ", ")
    }

    /// The live records of one that the other has otherwise, or not at all.
    static func differences(_ one: RunningNode, _ other: RunningNode) -> [UInt64] {
        func live(_ process: RunningNode) -> [UInt64: [UInt8]] {
            process.access { node in
                var found: [UInt64: [UInt8]] = [:]
                var slot: UInt32?
                while let (next, did) = node.inspectedDialogs.next(after: slot) {
                    slot = next
                    guard node.inspectedDialogs.state(did) != .deleted else { continue }
                    found[did.rawValue] = node.inspectedDialogs.bytes(did) ?? []
                }
                return found
            }
        }
        let (left, right) = (live(one), live(other))
        return Set(left.keys).union(right.keys).filter { left[$0] != right[$0] }.sorted()
    }

    static func rootDigest(_ process: RunningNode) -> UInt64 { process.access { $0.inspectedDialogs.rootDigest } }

    /// Live records by state.
    static func liveCounts(_ process: RunningNode) -> [Int] {
        process.access { node in
            [DialogState.unconfirmed, .early, .confirmedNotAcknowledged, .confirmed].map {
                node.inspectedDialogs.count(in: $0)
            }
        }
    }

    static func live(_ process: RunningNode) -> Int { process.access { $0.inspectedDialogs.live } }
    static func tombstones(_ process: RunningNode) -> Int {
        process.access { $0.inspectedDialogs.count(in: .deleted) }
    }

    static func drain(_ node: inout Node, _ drains: Bool, now: Instant, into out: inout Outbox) {
        _ = node.drain(drains, now: now, into: &out)
    }

    static func forget(_ node: inout Node, _ did: UInt64, now: Instant, into out: inout Outbox) {
        _ = node.forget(did: DialogID(rawValue: did).hex)
    }

    static func plant(_ node: inout Node, _ did: UInt64, _ bytes: [UInt8], now: Instant) {
        node.plant(
            did: DialogID(rawValue: did), record: RawSpan(_elements: bytes.span), age: .seconds(1), now: now)
    }
}

/// What writers have written into a record, as a node has it.
struct Written {
    var value: String?
    var stamp: WrittenStamp?
    var isFlagSet: Bool
    /// It is in the profile of callers, under any value.
    var isMember: Bool
}

extension NodeInspection {
    /// `nil` without a live record.
    static func written(_ did: UInt64, _ process: RunningNode) -> Written? {
        process.access { node in
            guard let record = node.inspectedDialogs.record(DialogID(rawValue: did)), record.state != .deleted else {
                return nil
            }
            let name = Array(World.writtenVariable.utf8)
            let entry = record.variables.first { $0.key == name }
            return Written(
                value: entry?.value.map { String(decoding: $0, as: UTF8.self) },
                stamp: entry.map { WrittenStamp(counter: $0.counter, node: $0.node) },
                isFlagSet: record.attributes.contains { $0.key == [UInt8(World.writtenFlag)] && $0.value != nil },
                isMember: record.profiles.contains {
                    $0.value != nil && ProfileLink(key: $0.key).name == Array("caller".utf8)
                })
        }
    }

    /// The profiles that writers write, with a value and in all.
    private static let profiles: [ProfileLink] =
        (0..<3).map { ProfileLink(name: Array("caller".utf8), value: Array("user\($0)".utf8)) }
        + ["caller", "calls"].map { ProfileLink(name: Array($0.utf8)) }

    /// What a node's live records are, and what it says of its profiles: where neither has changed, nothing has.
    static func profileMark(_ process: RunningNode) -> [UInt64] {
        process.access { node in
            [node.inspectedDialogs.rootDigest, UInt64(node.inspectedDialogs.live)]
                + profiles.map { UInt64(bitPattern: Int64(node.inspectedDialogs.size(ofProfile: $0))) }
        }
    }

    /// How a node's sizes differ from what its live records say.
    static func profileDifference(_ process: RunningNode) -> String? {
        process.access { node in
            var expected: [ProfileLink: Int] = [:]
            var slot: UInt32?
            while let (next, did) = node.inspectedDialogs.next(after: slot) {
                slot = next
                guard let record = node.inspectedDialogs.record(did), record.state != .deleted else { continue }
                for entry in record.profiles where entry.value != nil {
                    let link = ProfileLink(key: entry.key)
                    expected[link, default: 0] += 1
                    if link.value != nil { expected[ProfileLink(name: link.name), default: 0] += 1 }
                }
            }
            for link in profiles {
                let size = node.inspectedDialogs.size(ofProfile: link)
                let wanted = expected[link] ?? 0
                guard size != wanted else { continue }
                let name = String(decoding: link.name, as: UTF8.self)
                return "profile \(name) has \(size), its live records say \(wanted)"
            }
            return nil
        }
    }
}

// The checkers' eyes on every packet: what leaves a node is looked at before it is on the wire, so that "who knew at
// that moment" is exact, and so that a node can be killed at its worst moment (the sniper).

internal import Dialogs
internal import Node
internal import SIP

/// What becomes of a packet that is about to leave a node.
enum Fate {
    case go
    /// The process is killed before the packet is out.
    case dieBefore
    /// The process is killed as it is out.
    case dieAfter
}

final class CheckState {
    /// A record's birth is known to a replica up to a frame's way; deadlines agree no better than this.
    static let tolerance = Nanoseconds.milliseconds(100)
    /// Wake-ups in a row, a millisecond apart, that change nothing: 2 s of them are a machine that spins.
    static let idleWakeLimit = 2_000

    var exits = 0
    var hardship = Hardship()
    var snipes = 0
    var frames = 0
    /// When an INVITE of each transaction of a node first left it, by what its branches have in common.
    var branchLeft: [String: Nanoseconds] = [:]
    /// A node's branch up to the number of the branch within its transaction.
    static let transactionLength = 38
    /// When each process ended, by host and serial.
    var ends: [ProcessID: Nanoseconds] = [:]
    /// What each process last had of each call: absent, live, deleted; by process, then call.
    var seen: [ProcessID: [Sight]] = [:]
    /// By call: since when a record that was gone everywhere lives again.
    var risenAt: [Int: Nanoseconds] = [:]
    var isDead: Set<Int> = []
    var convergedAt: Nanoseconds?
    var settlePoint: SettlePoint?
    var settleSince: Nanoseconds = 0
    /// The pairs of each cut, emptied when it is healed.
    var cuts: [[(Int, Int)]] = []
    /// Samples at which the nodes could not have acted for anybody.
    var uncalm: [Nanoseconds] = []
    /// When a cut was last healed, and a process last killed.
    var lastUncut: Nanoseconds = .min / 2
    var lastDeath: Nanoseconds = .min / 2
    /// Samples at which no node took new calls: all were draining, joining or gone.
    var takerless: [Nanoseconds] = []
    /// Samples at which a fault was in progress.
    var troubled: [Nanoseconds] = []

    /// Of each process, for which records and sizes its profiles were last found right.
    var profilesSeen: [ProcessID: [UInt64]] = [:]
    /// Since when each process has a call as over.
    var buriedAt: [Place: Nanoseconds] = [:]
    /// Since when it first had.
    var firstBuriedAt: [Place: Nanoseconds] = [:]
    /// What was gone through, where that is asked for, and in which state each was last.
    var coverage: Coverage?
    var memberSeen: [ProcessID: String] = [:]
    var dialogSeen: [Place: DialogState?] = [:]

    /// What disks had when everything was killed.
    var outage: OutageTruth?

    enum Sight: UInt8 { case absent, live, deleted }

    func processEnded(_ process: ProcessID, at now: Nanoseconds) {
        ends[process] = now
        lastDeath = now
        seen[process] = nil
    }
    func isAlive(_ process: ProcessID) -> Bool { ends[process] == nil }

    func frameLeaves(_ bytes: Int, _ world: World) {
        frames += 1
        // Never above 32 KiB (WireFormat, "Limits").
        if bytes > 32_768 + 256 { world.violate("8", "a frame of \(bytes) bytes") }
    }

    func woken(_ host: Host, _ world: World) {
        host.idleWakes += 1
        guard host.idleWakes > CheckState.idleWakeLimit else { return }
        host.idleWakes = 0
        world.violate("spin", node: host.index, "wakes every millisecond and has nothing to do")
    }

    // MARK: Into a node

    func packetReached(_ host: Host, _ packet: Packet, _ world: World) {
        host.idleWakes = 0
        world.noteRegistration(reaching: packet)
        noteRequest(packet, world)
        let isByServer: Bool
        switch packet.sender {
        case .phone: isByServer = false
        case .server: isByServer = true
        case .user, .node, .balancer: return
        }
        guard packet.bytes.starts(with: "SIP/2.0 2".utf8), let found = AnswerName(packet.bytes, world),
            world.comesByServer(found) ?? false == isByServer
        else { return }
        let truth = world.truth[found.call]
        guard !truth.answers.contains(where: { $0.isFor(found) }) else { return }
        truth.answers.append(
            Answer(
                asker: found.asker, place: found.place, cseq: found.cseq, method: found.method, reachedAt: world.now))
        truth.mayShorten(packet.bytes, world)
        if found.method == .invite, truth.confirmedAt == nil { world.sever(host) }
    }

    /// Any request or answer inside of a call may move its deadline; no node can know a later one than this.
    private func noteRequest(_ packet: Packet, _ world: World) {
        guard let call = world.call(of: packet.bytes) else { return }
        let truth = world.truth[call]
        noteTransaction(packet.bytes, truth)
        guard !truth.isBoundFixed else { return }
        truth.latestDeadline = max(truth.latestDeadline, world.now + truth.longest(world.plan))
    }

    /// An INVITE that makes a dialog, by what makes it one transaction (R16): no pass of a spiral, which has a Via of
    /// a node's, and no re-INVITE.
    private func noteTransaction(_ bytes: [UInt8], _ truth: CallTruth) {
        guard bytes.starts(with: "INVITE ".utf8), bytes.header("To")?.parameter("tag") == nil,
            bytes.header("Route")?.contains(";did=") != true, !bytes.contains(text: "z9hG4bKus"),
            let branch = bytes.header("Via")?.parameter("branch")
        else { return }
        truth.transactions.insert(branch)
    }

    // MARK: Out of a node

    func packetLeaves(_ host: Host, _ packet: Packet, isUncommitted: Bool, _ world: World) -> Fate {
        host.idleWakes = 0
        let bytes = packet.bytes
        let ofRegistration = world.noteRegistration(leaving: packet, host, isUncommitted: isUncommitted)
        guard ofRegistration == .go else { return ofRegistration }
        if bytes.starts(with: "BYE ".utf8) { return byeLeaves(host, packet, world) }
        if bytes.starts(with: "ACK ".utf8), case .phone(let index) = world.parties[packet.to] ?? .balancer,
            let call = world.call(of: bytes)
        {
            let place = world.phones[index].place
            world.truth[call].dialogs[place].ackLeft = world.truth[call].dialogs[place].ackLeft ?? world.now
        }
        if bytes.starts(with: "INVITE ".utf8), let branch = bytes.header("Via")?.parameter("branch") {
            let transaction = String(branch.prefix(CheckState.transactionLength))
            branchLeft[transaction] = branchLeft[transaction] ?? world.now
            if let call = world.call(of: bytes), bytes.header("To")?.parameter("tag") == nil {
                world.truth[call].inviteOwner = world.truth[call].inviteOwner ?? host.process
            }
        }
        guard bytes.starts(with: "SIP/2.0 ".utf8), bytes.count > 9 else { return .go }
        // An answer passed on to the member it belongs to is not yet on its way to a phone; one that goes by a draining
        // node, which relayed its INVITE, is.
        let next = world.parties[packet.to] ?? .balancer
        if case .node = next, bytes.header("Via")?.parameter("branch")?.hasPrefix("z9hG4bKus") != false { return .go }
        // Nor is one that a server behind gets, directly or by the balancer: it comes back.
        if world.isBelowServer(bytes) { return .go }
        guard let found = AnswerName(bytes, world) else { return .go }
        let truth = world.truth[found.call]
        if bytes[8] == 49 {
            noteAdoption(host, truth, bytes, world)
            if truth.ringKnowers.isEmpty { truth.ringKnowers = knowers(of: truth, world) { _ in true } }
            return .go
        }
        if bytes[8] > 50 && found.method == .invite && found.asker == .caller {
            noteRefusal(host, truth, found, world)
            if found.cseq == world.phones[2 * truth.index].firstCSeq { world.checkRefusal(host, truth) }
        }
        guard bytes[8] == 50 else { return .go }
        let fate = answerLeaves(host, truth, found, bytes, isUncommitted: isUncommitted, world)
        if case .node(let relay) = next, let index = truth.answers.firstIndex(where: { $0.isFor(found) }) {
            truth.answers[index].relays.insert(world.hosts[relay].process)
        }
        return fate
    }

    /// A provisional answer by the transaction that was tried again: its sender has taken that.
    private func noteAdoption(_ host: Host, _ truth: CallTruth, _ bytes: [UInt8], _ world: World) {
        let caller = world.caller(of: truth.index)
        guard truth.triedAgainAt != nil, let client = caller.inviteClient,
            bytes.contains(text: caller.clients[client].branch)
        else { return }
        truth.adopters.append(host.process)
        guard let did = truth.did else { return }
        truth.adoptionKnowers += world.hosts.filter { other in
            other.node.map { NodeInspection.hasAdoption(did, by: caller.clients[client].branch, $0) } == true
        }.map(\.process)
    }

    /// A final answer that is no 2xx leaves for the INVITE that made the call: should it be confirmed too, it is owing
    /// (R15).
    private func noteRefusal(_ host: Host, _ truth: CallTruth, _ found: AnswerName, _ world: World) {
        guard found.cseq == world.phones[2 * truth.index].firstCSeq else { return }
        truth.wasRefused = true
        truth.refusers.append(host.process)
        if truth.confirmedAt != nil, truth.wasRefusedApart == nil {
            let knowing = truth.deadlineKnowers.filter { isAlive($0) }
            truth.wasRefusedApart = !knowing.contains { world.links.areConnected(host.index, $0.host) }
        }
        let hasRecord = knowers(of: truth, world) { _ in true }.contains(host.process)
        truth.wasStrayRefusal = truth.wasStrayRefusal || !hasRecord
    }

    private func answerLeaves(
        _ host: Host, _ truth: CallTruth, _ found: AnswerName, _ bytes: [UInt8], isUncommitted: Bool, _ world: World
    ) -> Fate {
        guard let index = truth.answers.firstIndex(where: { $0.isFor(found) }),
            !truth.answers[index].relays.contains(host.process)  // It was judged where it left the member.
        else { return .go }
        let isFirst = truth.answers[index].leftAt == nil
        truth.answers[index].leftAt = truth.answers[index].leftAt ?? world.now
        let lifetime = truth.lifetime(saying: bytes, world.plan)
        truth.answers[index].lifetime = lifetime
        let deadline = truth.answers[index].reachedAt + lifetime - CheckState.tolerance
        let knowing = knowers(of: truth, place: found.place, world) { known in
            guard known.state >= .confirmedNotAcknowledged, known.state != .deleted else { return false }
            return known.deadline >= deadline
        }
        let isAlone = host.node.map { NodeInspection.standing(of: $0).livePeers == 0 } ?? true
        let isUnheld = isUncommitted || isAlone
        let isKnownHere = knowing.contains(host.process)
        if isFirst && !isKnownHere { checkRelay(host, truth, found, isUnheld: isUnheld, world) }
        truth.answers[index].isUncommitted = truth.answers[index].isUncommitted || isUnheld || !isKnownHere
        if isFirst { truth.answers[index].knowers = knowing }
        let isConfirmed = truth.dialogs[found.place].confirmedAt != nil
        if isFirst && isKnownHere && found.method == .invite && found.asker == .caller && !isConfirmed {
            checkCommit(host, truth, truth.answers[index], knowing, isUncommitted: isUncommitted, world)
        }
        if isFirst && isUncommitted { checkDropped(host, truth, world) }
        if isFirst && isKnownHere && !isUnheld && isConfirmed {
            checkRefresh(host, truth, found, until: deadline, world)
        }
        let fate = snipes(host, truth, world, perMille: 60)
        let isKept = !truth.answers[index].isUncommitted && found.method == .invite && !isConfirmed
        if fate != .go, isKept, world.plan.faults.contains(.deaf) { truth.isDeaf = true }
        return fate
    }

    /// A 2xx leaves, not counted as uncommitted, and what it means for the deadline is not even in the sender's record
    /// (R2, R9). Left by nature when nobody in reach has a record; when the call is over there is nothing to move.
    private func checkRelay(
        _ host: Host, _ truth: CallTruth, _ found: AnswerName, isUnheld: Bool, _ world: World
    ) {
        guard !isUnheld else {
            truth.dialogs[found.place].wasRelayed = true
            return looksAway("R2", "uncommitted, or alone")
        }
        ran("R2")
        let having = knowers(of: truth, world) { _ in true }
        let text =
            "\(host.name) sends the 2xx to the \(found.asker.name)'s \(found.method) on, and learns nothing from it"
        let inReach = having.filter { world.links.areConnected(host.index, $0.host) }
        guard !inReach.isEmpty else {
            truth.dialogs[found.place].wasRelayed = true
            return world.excuse("relay", call: truth.index, text + "; nobody in reach has a record")
        }
        // No refresh moves an end that was asked for.
        guard !truth.isEnding, !truth.dialogs[found.place].isEnding, truth.byes.isEmpty, truth.askedAt == nil else {
            return
        }
        let isDeleted = knowers(of: truth, world) { $0.state == .deleted }
        guard isDeleted.isEmpty else { return }
        guard having.contains(host.process) else {
            // The request has waited for the record, or the answer has: then it goes on, and nothing is published (R2).
            truth.dialogs[found.place].wasRelayed = true
            return world.excuse("relay", call: truth.index, text + "; the record did not come in time")
        }
        // An early record and an UPDATE: the 2xx of the INVITE went by unseen, or it is an early dialog's (RFC 3311).
        let isEarly = host.node.flatMap { node in truth.did.flatMap { NodeInspection.record($0, node, host) } }
        if found.method == .update, let isEarly, isEarly.state < .confirmedNotAcknowledged {
            truth.dialogs[found.place].wasRelayed = true
            return world.excuse("relay", call: truth.index, text + "; its record is early")
        }
        // Of a forked call one dialog may be early in the record whose 2xx has gone by unseen, whatever the others are.
        // Nobody alive knew of the 2xx: the nodes that sent it on had no record to write it into, and no ACK has passed
        // one that had, or the dialog would be confirmed there. An UPDATE says nothing: it belongs to early dialogs,
        // too (RFC 3311 §5.1).
        let tag = world.callees(of: truth.index)[found.place].tag
        let state = host.node.flatMap { node in truth.did.flatMap { NodeInspection.state(of: $0, with: tag, node) } }
        if found.method == .update, truth.isForked, truth.dialogs[found.place].wasRelayed,
            (state ?? .early) < .confirmedNotAcknowledged
        {
            return world.excuse("relay", call: truth.index, text + "; its dialog is early there, the 2xx was relayed")
        }
        world.violate("R2", call: truth.index, text + "; it has the record")
    }

    /// A 2xx that confirms a dialog leaves only when a peer has the dialog (S1-3).
    private func checkCommit(
        _ host: Host, _ truth: CallTruth, _ answer: Answer, _ knowing: [ProcessID], isUncommitted: Bool, _ world: World
    ) {
        let place = answer.place
        let standing = host.node.map { NodeInspection.standing(of: $0) }
        let isAlone = (standing?.livePeers ?? 0) == 0
        truth.dialogs[place].confirmHolders = knowing
        truth.dialogs[place].holders += knowing.filter { !truth.dialogs[place].holders.contains($0) }
        truth.dialogs[place].wasUncommitted = isUncommitted
        truth.dialogs[place].wasAlone = isAlone
        let others = knowing.filter { $0.host != host.index }
        guard world.plan.nodes > 1, !isUncommitted, !isAlone else {
            return looksAway("commit", "uncommitted, or alone")
        }
        ran("commit")
        let serving = others.filter { process in
            world.hosts[process.host].node.map { NodeInspection.isServing($0) } == true
        }
        // A joiner's word does not count (R11). Who is told by the others, after a cut, that it is out joins anew.
        let isDropped = max(world.disturbances.lastCut, world.disturbances.lastHealed) > world.now - .seconds(3)
        guard (isDropped ? others : serving).isEmpty else { return }
        // A peer may have had it, and died, or was made to lose it, since it acknowledged.
        let isJustLost = world.now - truth.recordLostAt < .milliseconds(500)
        let justDied = isJustLost || ends.values.contains { world.now - $0 < .milliseconds(500) }
        // Or have it as a tombstone: an heir has ended what this node, stopped meanwhile, still confirms.
        guard !justDied, !truth.isEnding, !truth.dialogs[place].isEnding, !truth.wasRefused,
            !knowers(of: truth, world, { $0.state == .deleted }).contains(where: { $0.host != host.index })
        else { return looksAway("commit", "a death just before, or an end") }
        world.violate(
            "commit", call: truth.index, node: host.index,
            "the 2xx leaves, counted as committed, and no peer that serves has it")
    }

    /// The processes whose record of the call is as the predicate wants it, stopped ones included.
    func knowers(of truth: CallTruth, _ world: World, _ isKnown: (KnownRecord) -> Bool) -> [ProcessID] {
        guard let did = truth.did else { return [] }
        var found: [ProcessID] = []
        for host in world.hosts {
            guard let node = host.node, let known = NodeInspection.record(did, node, host) else { continue }
            if isKnown(known) { found.append(host.process) }
        }
        return found
    }

    /// The same for one dialog of the call: what counts is the state that the record gives it.
    private func knowers(
        of truth: CallTruth, place: Int, _ world: World, _ isKnown: (KnownRecord) -> Bool
    ) -> [ProcessID] {
        guard let did = truth.did, truth.isForked else { return knowers(of: truth, world, isKnown) }
        let tag = world.callees(of: truth.index)[place].tag
        var found: [ProcessID] = []
        for host in world.hosts {
            guard let node = host.node, var known = NodeInspection.record(did, node, host),
                let state = NodeInspection.state(of: did, with: tag, node)
            else { continue }
            known.state = max(state, known.state == .deleted ? .deleted : state)
            if isKnown(known) { found.append(host.process) }
        }
        return found
    }
}

/// Which request of which phone an answer is for.
struct AnswerName {
    let call: Int
    let asker: Role
    /// Which callee the dialog is with.
    let place: Int
    let cseq: UInt32
    let method: SIP.Method

    /// `nil` when it is for no call of ours, or for a request that moves no deadline.
    init?(_ bytes: [UInt8], _ world: World) {
        guard let call = world.call(of: bytes), let from = bytes.header("From"),
            let line = bytes.header("CSeq")
        else { return nil }
        let parts = line.split(separator: " ")
        guard parts.count == 2, let cseq = UInt32(parts[0]) else { return nil }
        guard let method: SIP.Method = parts[1] == "INVITE" ? .invite : parts[1] == "UPDATE" ? .update : nil else {
            return nil
        }
        self.call = call
        self.method = method
        asker = world.asker(from, call: call)
        self.cseq = world.ownCSeq(cseq, asker, call: call)
        let other = asker == .caller ? bytes.header("To") : from
        place = world.place(of: other?.parameter("tag"), call: call)
    }
}

extension Answer {
    func isFor(_ name: AnswerName) -> Bool {
        asker == name.asker && place == name.place && cseq == name.cseq && method == name.method
    }
}

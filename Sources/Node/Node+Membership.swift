// Who is live, who inherits, and the slow walk over all records that finds what a change of members has left behind.
//
// The walk visits a bounded number of records a turn, so a million dialogs never hold up a call; it starts a settle
// time after a change of members, again when strangers have had their grace, and every few seconds as a safety net.
//
// Limit: `RecordWalk.slice` records a turn.

import Cluster
import Dialogs
import Primitives
import Proxy
import SIP

/// A walk over all records, some at a time.
struct RecordWalk: Sendable {
    static let slice = 2_000
    /// Tombstones that a slice passes over besides.
    static let dead = 32_000
    /// Pause between two slices.
    static let pause = Duration.milliseconds(2)
    /// Time from one walk to the next when nothing calls for one.
    static let interval = Duration.seconds(5)

    var isUnderWay = false
    var position: UInt32?
    var nextSlice = Instant.zero
    /// Records this node acts for, counted on the way.
    var acting = 0
    /// What the last complete walk counted.
    var actingAtLast = 0
}

/// Where a member is, as its hello says: read once.
struct MemberPlace {
    let name: String
    let boot: UInt64
    let hello: Hello
    /// The process in a branch.
    let tag: UInt32
    let service: Endpoint?
    let sockets: [Endpoint]
    /// Where it is passed messages.
    let passing: Endpoint?

    func isOf(_ member: MemberStatus) -> Bool {
        boot == member.boot && name == member.name && hello == member.hello
    }
}

extension Node {
    /// Brings the proxy's picture of the members up to date.
    mutating func refreshMembership(now: Instant) {
        membershipAt = now.advanced(by: settings.cluster.heartbeat)
        if cluster.isFit != wasFit {
            wasFit = cluster.isFit
            fitSince = now
            overdue.begin()
        }
        quorumLostSince = cluster.quorum == .held ? nil : quorumLostSince ?? now
        let members = cluster.members(now: now)
        overdue.share(among: members.count { $0.isSelf || $0.isLive && !$0.isWitness })
        let holders = members.filter { $0.isInView && !$0.isWitness }
        endsCanBeGranted = cluster.isFit && 2 * holders.count(where: \.isFit) > holders.count
        var peers: [PeerContact] = []
        readPlaces(of: members)
        serviceAddresses = places.compactMap(\.service).reduce(into: []) { found, endpoint in
            if !found.contains(endpoint), !settings.sip.listen.contains(endpoint) { found.append(endpoint) }
        }
        for member in members where member.isLive && !member.isSelf {
            memberLags.note(.milliseconds(member.lagFrames == 0 ? 0 : member.silentMilliseconds))
        }
        let held = members.filter(\.isLive).flatMap(\.addresses)
        for (member, place) in zip(members, places) {
            if member.isSelf || member.isAbsent || member.isWitness { continue }
            let service = member.hello.service
            let moved = !service.isEmpty && !member.isLive && held.contains(service)
            peers.append(
                PeerContact(
                    memberTag: place.tag, endpoint: place.passing, sockets: place.sockets, isLive: member.isLive,
                    takesCalls: member.isLive && member.state == .up, movesAddress: !service.isEmpty,
                    holdsMovedAddress: moved))
        }
        let names = members.filter { !$0.isSelf }.map(\.hello.names)
        if names != memberNames {
            memberNames = names
            proxy.neighbours.memberNames = names.flatMap {
                $0.split(separator: " ").compactMap { HostPort(configured: $0) }
            }
        }
        store.comparesLocations = members.allSatisfy {
            $0.isSelf || $0.isAbsent || $0.isWitness || $0.hello.capabilities & Hello.locations != 0
        }
        peers.sort { $0.memberTag < $1.memberTag }
        // What a process left behind whose name another has now is looked at when that one is heard.
        if proxy.neighbours.peers.map(\.memberTag) != peers.map(\.memberTag) {
            reviewAt = min(reviewAt, now.advanced(by: settings.takeover.settle))
        }
        proxy.neighbours.peers = peers
        let mayInherit = cluster.isFit && cluster.hasComparedView(now: now)
        if mayInherit, proxy.neighbours.heirs.isEmpty {
            reviewAt = min(reviewAt, now.advanced(by: settings.takeover.settle))
        }
        proxy.neighbours.heirs = mayInherit ? cluster.ranking : Ranking(hash: hash)
        tellReadiness(now: now)
        proxy.neighbours.commits = settings.replication.commit != .async && cluster.hasPeers
        proxy.reviewRelays(now: now, dialogs: &store.dialogs)
        proxy.reviewLastRecords(now: now, dialogs: &store.dialogs)
    }

    /// Reads what members say of themselves, where one says something new: this happens ten times a second.
    private mutating func readPlaces(of members: [MemberStatus]) {
        if places.count > members.count { places.removeLast(places.count - members.count) }
        for (index, member) in members.enumerated() {
            if index < places.count, places[index].isOf(member) { continue }
            let sockets = Self.sockets(of: member.hello)
            let place = MemberPlace(
                name: member.name, boot: member.boot, hello: member.hello,
                tag: Self.memberTag(name: member.name, boot: member.boot, hash: hash),
                service: Endpoint(text: member.hello.service), sockets: sockets,
                passing: passingAddress(of: member.hello, sockets))
            if index < places.count { places[index] = place } else { places.append(place) }
        }
    }

    /// The UDP sockets of a member: whatever comes from one of them comes from it.
    private static func sockets(of hello: Hello) -> [Endpoint] {
        hello.names.split(separator: " ").compactMap { text in
            guard let name = HostPort(configured: text), name.transport == .udp else { return nil }
            return name.address.map { Endpoint(address: $0, port: name.port) }
        }
    }

    /// Where a member is passed messages: its first UDP socket of a family that this node has one of, too. Its service
    /// address may be elsewhere.
    private func passingAddress(of hello: Hello, _ sockets: [Endpoint]) -> Endpoint? {
        let first = Endpoint(text: hello.sip)
        let own = settings.sip.listen
        let reached = ([first].compactMap(\.self) + sockets).first { endpoint in
            endpoint.text != hello.service
                && own.contains { $0.transport == .udp && $0.address.isIPv6 == endpoint.address.isIPv6 }
        }
        return reached ?? first
    }

    private mutating func tellReadiness(now: Instant) {
        proxy.neighbours.isReady = unready(now: now) == nil
        proxy.neighbours.isJoining = cluster.state == .joining
        proxy.neighbours.expectsPeers = !settings.cluster.peers.isEmpty || settings.cluster.dns != nil
        proxy.neighbours.isDraining = cluster.state == .draining || cluster.state == .left
    }

    /// How long a node without quorum still takes new dialogs, in nanoseconds.
    private static let quorumPatience: Int64 = 2_000_000_000

    /// Why the node takes no new dialogs from a balancer (S2-14).
    private enum Unready: String {
        case joining, draining, leaving, witness
        case noQuorum = "no quorum"
    }

    private func unready(now: Instant) -> Unready? {
        switch cluster.state {
        case .joining: return .joining
        case .draining: return .draining
        case .left, .down: return .leaving
        case .up: break
        }
        if settings.node.isWitness { return .witness }
        guard let lost = quorumLostSince, now.nanoseconds(since: lost) > Self.quorumPatience else { return nil }
        return .noQuorum
    }

    /// The same for people; empty when it takes them.
    func notReadyReason(now: Instant) -> String { unready(now: now)?.rawValue ?? "" }

    /// A change of members: all records are looked at after the settle time, and again when strangers have had theirs.
    mutating func scheduleReview(now: Instant) {
        refreshMembership(now: now)
        reviewAt = min(reviewAt, now.advanced(by: settings.takeover.settle))
        strangersReviewAt = now.advanced(by: Proxy.strangerGrace + settings.takeover.settle)
    }

    mutating func continueWalk(now: Instant) {
        tellReadiness(now: now)
        if proxy.hasMetStranger() {
            // Whom it meets before that, the next walk finds.
            strangersReviewAt = min(
                strangersReviewAt, now.advanced(by: Proxy.strangerGrace + settings.takeover.settle))
        }
        if now >= strangersReviewAt {
            reviewAt = min(reviewAt, now)
            strangersReviewAt = .distantFuture
        }
        if reviewAt == .distantFuture { reviewAt = now.advanced(by: RecordWalk.interval) }
        if now >= reviewAt {
            walk.isUnderWay = true
            walk.position = nil
            walk.acting = 0
            walk.nextSlice = now
            beginSuccessions()
            reviewAt = now.advanced(by: RecordWalk.interval)
        }
        guard walk.isUnderWay, now >= walk.nextSlice else { return }
        let me = settings.node.name
        // A tombstone has a row to be inherited, and nothing else.
        var dead = successions.isEmpty ? RecordWalk.dead : 0
        for _ in 0..<RecordWalk.slice {
            guard let (slot, did) = store.dialogs.next(after: walk.position, skipping: dead) else {
                walk.isUnderWay = false
                walk.actingAtLast = walk.acting
                tellSuccessions(now: now)
                return
            }
            dead = max(0, dead - (Int(slot) - Int(walk.position ?? 0)))
            walk.position = slot
            if store.dialogs.state(did) != .deleted {
                let actor = actorName(did)
                if actor == me { walk.acting += 1 }
                if !successions.isEmpty { countSuccession(did, actor: actor) }
            }
            if !successions.isEmpty { inheritRow(did, now: now) }
            if proxy.hasOrphan(did, now: now, dialogs: store.dialogs) {
                proxy.review(did, now: now, dialogs: &store.dialogs)
            }
        }
        walk.nextSlice = now.advanced(by: RecordWalk.pause)
    }

    /// Who acts for a dialog now, as this node's view has it.
    func actorName(_ did: DialogID) -> String? {
        cluster.actor(did: did.rawValue, home: homeName(did))
    }

    /// Tells the peers which service addresses this host has.
    mutating func announceHeldAddresses(now: Instant) {
        let known = cluster.members(now: now).map(\.hello.service).filter { !$0.isEmpty }
        var held: [String] = []
        for text in known where !held.contains(text) {
            if let endpoint = Endpoint(text: text), heldAddresses.contains(endpoint.address) { held.append(text) }
        }
        if let own = settings.sip.serviceAddress {
            let holds = heldAddresses.contains(own.address)
            if holds, !held.contains(own.text) { held.append(own.text) }
            proxy.settings.preferredListener = holds ? settings.sip.listen.count : nil
        }
        cluster.addresses = held.sorted()
    }

    /// A peer knew a higher boot of our name: we go on under the one above (R14).
    mutating func takeBoot(_ boot: UInt64) {
        proxy.settings.rise(
            to: boot, memberTag: Self.memberTag(name: settings.node.name, boot: boot, hash: hash))
    }
}

extension MemberStatus {
    /// Its transactions are its own: the members have not agreed that it is gone, or it is heard though it is no
    /// member.
    var isLive: Bool { !isAbsent && state != .left && (isInView || state != .down) }
}

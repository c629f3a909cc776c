// CallBenchmark is calls through a cluster of two, without sockets: one node carries them all, the other has their
// replicas. Both are the real `Node`, driven as the SIP thread drives it: each datagram and each frame is a turn of its
// own, and each turn ends with an `advance`.
//
//     caller ──INVITE, ACK, BYE──▶ owner ──▶ callee            a call a millisecond; 50 ms of ringing, a second of talk
//            ◀──100, 180, 200─────   │ ▲ ◀──180, 200──
//                              facts ▼ │ positions
//                                   replica
//
// What is counted lies inside of `ownerTurn` and `replicaTurn`: these names are what `Deploy/benchmark` looks for in
// callgrind's output. When the last call is over, time goes on until every transaction and tombstone has gone, so a run
// of 2n calls has all that one of n has, n calls apart: their difference is what a call costs.

import Node
import Primitives
import Proxy
import Routes
import SIP
import Scripting

/// One node of the cluster and what it wants done.
struct Member {
    var node: Node
    /// What answers for its script; `nil` without one.
    var judge: ScriptJudge?
    var outbox = Outbox()
    /// When it wants a turn without an arrival; asked for once a turn, as the SIP thread does.
    var deadline = Instant.zero
    var allocations: UInt64 = 0
    var frames: UInt64 = 0
    var frameBytes: UInt64 = 0

    init(_ index: Int, isTraced: Bool, script: [UInt8]? = nil) {
        var settings = Settings()
        if !isTraced { settings.trace.memory = 0 }
        settings.node.name = "n\(index + 1)"
        settings.sip.listen = [Self.address(index)]
        settings.cluster.bus = Self.bus(index)
        settings.cluster.peers = [Self.bus(1 - index)]
        settings.cluster.name = "bench"
        settings.dialogs.hashSize = 16_384
        node = Node(
            settings: settings, boot: UInt64(index + 1), seed: UInt64(index + 1), now: .zero, unixMilliseconds: 0)
        guard let script else { return }
        judge = ScriptBenchmarks.judge(script, at: Self.address(index))
        node.scriptPoints = judge?.points ?? []
    }

    static func address(_ index: Int) -> Endpoint { Endpoint(text: "10.0.1.\(index + 1):5060")! }
    private static func bus(_ index: Int) -> Endpoint { Endpoint(text: "10.0.0.\(index + 1):7400")! }
}

/// What comes to a node in one turn.
enum Arrival {
    case datagram([UInt8], Endpoint)
    case frame([UInt8])
    case request([UInt8], token: UInt64)
    case reply([UInt8], id: UInt64)
    case probed
    /// Nothing: a deadline has come.
    case nothing
}

package struct CallBenchmark {
    private var owner: Member
    private var replica: Member
    private var phones = Phones()
    private var now = Instant.zero
    /// What phones are about to send, by millisecond from now on.
    private var agenda: [[PhoneMessage]] = Array(repeating: [], count: 2_048)
    private var planned = 0
    /// Milliseconds.
    private var tick: Int64 = 0
    private let allocations: () -> UInt64
    private var began = 0

    /// What the owner has been sent by phones, when it is kept.
    private(set) var heard: [[UInt8]]?

    /// - Parameters:
    ///   - warmUp: Calls before those that are counted: tables, slabs and arenas are as large afterwards as they are
    ///     going to be, when no more than that are counted at once.
    ///   - allocations: Blocks of memory asked for so far, by the whole process.
    ///   - isTraced: Messages are kept for `understudy trace`, as nodes do unless they are told not to.
    ///   - script: Lua for the owner, which routes by it.
    package init(
        warmUp: Int, keepsMessages: Bool = false, isTraced: Bool = true, script: [UInt8]? = nil,
        allocations: @escaping () -> UInt64
    ) {
        self.allocations = allocations
        (owner, replica) = (Member(0, isTraced: isTraced, script: script), Member(1, isTraced: isTraced))
        take(.nothing, at: 0)
        take(.nothing, at: 1)
        pass(milliseconds: 10_000)
        run(calls: warmUp)
        if keepsMessages { heard = [] }
    }

    /// Makes so many calls, a millisecond apart, and lets time pass until nothing of them is left.
    package mutating func run(calls: Int) {
        for _ in 0..<calls {
            began += 1
            take(.datagram(Phones.invite(began), Phones.caller), at: 0)
            step()
        }
        pass(milliseconds: 90_000)
        precondition(phones.ended == began, "every call must be answered and ended: \(phones.ended) of \(began)")
    }

    /// Blocks of memory that a node has asked for in its turns.
    package var allocationsOfOwner: UInt64 { owner.allocations }
    package var allocationsOfReplica: UInt64 { replica.allocations }
    package var framesOfOwner: UInt64 { owner.frames }
    package var frameBytesOfOwner: UInt64 { owner.frameBytes }

    // MARK: Time

    private mutating func pass(milliseconds: Int64) {
        let end = tick + milliseconds
        while tick < end {
            let next = min(owner.deadline, replica.deadline).nanoseconds / 1_000_000
            if planned == 0, next > tick + 1 { tick = min(next, end) - 1 }
            step()
        }
    }

    /// The next millisecond: what phones say, then who has a deadline.
    private mutating func step() {
        tick += 1
        now = Instant(nanoseconds: tick * 1_000_000)
        let slot = Int(tick) & 2_047
        let messages = agenda[slot]
        agenda[slot] = []
        planned -= messages.count
        for message in messages { take(.datagram(message.bytes, message.from), at: 0) }
        if owner.deadline <= now { take(.nothing, at: 0) }
        if replica.deadline <= now { take(.nothing, at: 1) }
    }

    // MARK: Turns

    /// One turn of a node, and what follows from it elsewhere.
    private mutating func take(_ arrival: Arrival, at index: Int) {
        if case .datagram(let bytes, _) = arrival { heard?.append(bytes) }
        let before = allocations()
        if index == 0 {
            ownerTurn(&owner, arrival, now)
            owner.allocations += allocations() - before
            deliver(Self.empty(&owner.outbox, &phones, at: tick), of: 0)
        } else {
            replicaTurn(&replica, arrival, now)
            replica.allocations += allocations() - before
            deliver(Self.empty(&replica.outbox, &phones, at: tick), of: 1)
        }
    }

    /// What is in an outbox, and what phones answer to it.
    private struct Contents {
        var answers: [PhoneMessage] = []
        var bus: [BusAction] = []
        var arena: [UInt8] = []
    }

    private static func empty(_ outbox: inout Outbox, _ phones: inout Phones, at tick: Int64) -> Contents {
        var contents = Contents()
        guard !outbox.isEmpty else { return contents }
        for datagram in outbox.datagrams {
            let bytes = RawSpan(_elements: outbox.arena.span).extracting(datagram.range.range)
            contents.answers += phones.answer(bytes, at: tick)
        }
        contents.bus = Array(outbox.bus[...])
        contents.arena = Array(outbox.busArena[...])
        outbox.removeAll()
        return contents
    }

    private mutating func deliver(_ contents: Contents, of index: Int) {
        for message in contents.answers { agenda[Int(message.at) & 2_047].append(message) }
        planned += contents.answers.count
        for action in contents.bus { perform(action, contents.arena, of: index) }
    }

    private mutating func perform(_ action: BusAction, _ arena: [UInt8], of index: Int) {
        let other = 1 - index
        switch action {
        case .publish(let range):
            if index == 0 {
                owner.frames += 1
                owner.frameBytes += UInt64(range.count)
            }
            take(.frame(Array(arena[range.range])), at: other)
        case .request(_, let id, let range): take(.request(Array(arena[range.range]), token: id), at: other)
        case .reply(let token, let range): take(.reply(Array(arena[range.range]), id: token), at: other)
        case .probe: take(.probed, at: index)
        case .recycle, .connect, .disconnect: break
        }
    }
}

@inline(never)
private func ownerTurn(_ member: inout Member, _ arrival: Arrival, _ now: Instant) {
    turn(&member, arrival, now)
}

/// Only from the bus.
@inline(never)
private func replicaTurn(_ member: inout Member, _ arrival: Arrival, _ now: Instant) {
    if case .datagram = arrival { preconditionFailure("no phone knows the replica") }
    turn(&member, arrival, now)
}

@inline(__always)
private func turn(_ member: inout Member, _ arrival: Arrival, _ now: Instant) {
    switch arrival {
    case .datagram(let bytes, let source):
        member.node.receive(
            datagram: RawSpan(_elements: bytes.span), from: source, on: ListenerID(rawValue: 0), ageMilliseconds: 0,
            now: now, into: &member.outbox)
    case .frame(let bytes):
        member.node.receive(frame: RawSpan(_elements: bytes.span), now: now, into: &member.outbox)
    case .request(let bytes, let token):
        member.node.receive(request: RawSpan(_elements: bytes.span), token: token, now: now, into: &member.outbox)
    case .reply(let bytes, let id):
        member.node.receive(reply: RawSpan(_elements: bytes.span), to: id, from: 0, now: now, into: &member.outbox)
    case .probed: member.node.receive(probe: .connected, of: 0, now: now, into: &member.outbox)
    case .nothing: break
    }
    guard let judge = member.judge else {
        member.node.advance(to: now, into: &member.outbox)
        member.deadline = member.node.nextDeadline
        return
    }
    // As `ScriptedNode` does it.
    let time = RouteTime(microseconds: 0, now: now)
    judge.answer(&member.node, time, into: &member.outbox)
    member.node.advance(to: now, into: &member.outbox)
    judge.answer(&member.node, time, into: &member.outbox)
    judge.goOn(&member.node, time, into: &member.outbox)
    precondition(member.outbox.notes.isEmpty || member.outbox.notes.allSatisfy { $0.level < .warning }, "it must run")
    member.deadline = min(member.node.nextDeadline, judge.next ?? .distantFuture)
}

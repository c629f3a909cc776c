// A small network in memory for several Cluster machines: one event queue, one virtual clock, one seed.
//
// Frames go to every other process; they may be lost, doubled, delayed and overtaken. Requests and replies go to one
// address and may be lost. A process may crash (its port then refuses), restart with another boot and an empty store,
// or be paused (what comes meanwhile is delivered when it wakes, before its clock is advanced). After every event the
// invariants that must always hold are checked.

import Cluster
import Primitives

extension SplitMix {
    mutating func chance(_ probability: Double) -> Bool { Double(next() >> 11) / Double(1 << 53) < probability }
}

final class Net {
    final class Process {
        var cluster: Cluster
        var store = ToyStore()
        var out = ClusterActions()
        var isAlive = true
        var isPaused = false
        var deferred: [Event] = []
        var wakeAt = Instant.distantFuture
        var granted: [UInt64] = []
        var refused: [UInt64] = []
        var committed: [(token: UInt64, acknowledged: Bool)] = []
        var exits: [Int32] = []
        var notes: [ClusterNote] = []
        var states: [MemberState] = []
        var inquired: [(token: UInt64, outcome: InquiryOutcome)] = []
        init(_ cluster: Cluster) { self.cluster = cluster }
    }

    enum Event {
        case frame([UInt8])
        case request([UInt8], token: UInt64)
        case reply([UInt8]?, id: UInt64, lane: Int)
        case probe(ProbeOutcome, lane: Int)
        case wake
    }

    struct Scheduled {
        var at: Instant
        var order: UInt64
        var to: Int
        var process: ObjectIdentifier
        var event: Event
    }

    let names: [String]
    var processes: [Process] = []
    var random: SplitMix
    var now = Instant(nanoseconds: 1_000_000_000)
    var loss = 0.0
    var duplication = 0.0
    var jitterMilliseconds: UInt64 = 0
    /// Directed pairs that do not reach each other.
    var cut: Set<[Int]> = []
    var configure: (inout ClusterSettings) -> Void
    var violations: [String] = []
    /// Two living processes with different views of one epoch are a violation, unless it is by nature: two lone
    /// survivors.
    var allowsTwins = false
    /// Frames on their way, by sender, may be tampered with here.
    var onFrame: ((Int, [UInt8]) -> Void)?
    /// Requests that leave, by sender; and replies, which may be changed.
    var onRequest: ((Int, [UInt8]) -> Void)?
    var onReply: (([UInt8]) -> [UInt8])?
    /// Answers members' inquiries; by whom they were heard.
    var answer: ((Int, InquiryID, [UInt8]) -> Void)?
    /// The code that a process makes, by its index; none: inquiries go without.
    var authenticators: [Int: Authenticator] = [:]
    var trace: UInt64 = 0
    /// Processes that were replaced by a restart.
    var graveyard: [Process] = []
    /// What a commit or a question is about, by process, for the checks.
    var waiting: [UInt64: (did: UInt64, value: UInt64, peers: Int)] = [:]
    var asked: [UInt64: UInt64] = [:]
    var counted = (commits: 0, grants: 0)

    private var queue: [Scheduled] = []
    private var order: UInt64 = 0
    private var replies: [UInt64: (from: Int, id: UInt64, lane: Int, process: ObjectIdentifier)] = [:]
    private var nextToken: UInt64 = 0
    private var boots: [UInt64]

    init(_ count: Int, seed: UInt64, configure: @escaping (inout ClusterSettings) -> Void = { _ in }) {
        names = (1...count).map { "n\($0)" }
        random = SplitMix(seed: seed)
        self.configure = configure
        boots = Array(repeating: 100, count: count)
        for index in 0..<count { processes.append(make(index)) }
        for index in 0..<count { schedule(index, .wake, at: now) }
    }

    /// Every process anew, before anything has happened: with what was set since.
    func remakeAll() {
        for index in names.indices {
            processes[index] = make(index)
            schedule(index, .wake, at: now)
        }
    }

    private func make(_ index: Int) -> Process {
        var settings = ClusterSettings(nodeName: names[index])
        settings.peers = names.indices.filter { $0 != index }.map { "peer-\(names[$0])" }
        settings.ringCapacity = 4_096
        configure(&settings)
        return Process(
            Cluster(
                settings: settings, boot: boots[index], hello: Hello(), hash: KeyedHash(key0: 1, key1: 2),
                seed: random.next(), authenticator: authenticators[index], now: now))
    }

    /// The process behind a lane of another.
    func target(_ index: Int, _ lane: Int) -> Int { lane < index ? lane : lane + 1 }
    func lane(_ index: Int, to other: Int) -> Int { other < index ? other : other - 1 }

    // MARK: Faults

    func crash(_ index: Int) { processes[index].isAlive = false }

    func restart(_ index: Int, boot: UInt64? = nil) {
        guard !processes[index].isAlive else { return }
        boots[index] = boot ?? boots[index] + 10
        graveyard.append(processes[index])
        processes[index] = make(index)
        schedule(index, .wake, at: now)
    }

    func pause(_ index: Int) { processes[index].isPaused = true }

    func resume(_ index: Int) {
        let process = processes[index]
        guard process.isPaused else { return }
        process.isPaused = false
        let events = process.deferred
        process.deferred = []
        guard process.isAlive else { return }
        for event in events { deliver(event, to: index) }
        advance(index)
    }

    func partition(_ side: Set<Int>, oneWay: Bool = false) {
        cut = []
        for from in names.indices {
            for to in names.indices where side.contains(from) != side.contains(to) {
                if !oneWay || side.contains(from) { cut.insert([from, to]) }
            }
        }
    }

    func heal() {
        cut = []
        loss = 0
        duplication = 0
        for index in names.indices { resume(index) }
        for index in names.indices { restart(index) }
    }

    // MARK: Running

    func run(milliseconds: Int64) { run(until: now.advanced(milliseconds: milliseconds)) { false } }

    /// Runs until the condition holds; answers whether it did.
    @discardableResult
    func run(limit milliseconds: Int64, _ condition: () -> Bool) -> Bool {
        run(until: now.advanced(milliseconds: milliseconds), condition)
        return condition()
    }

    private func run(until end: Instant, _ condition: () -> Bool) {
        while let next = queue.first, next.at <= end {
            pop()
            now = max(now, next.at)
            let process = processes[next.to]
            guard process.isAlive, ObjectIdentifier(process) == next.process else { continue }
            if case .wake = next.event { process.wakeAt = .distantFuture }
            if process.isPaused {
                if process.deferred.count < 4_000 { process.deferred.append(next.event) }
                continue
            }
            deliver(next.event, to: next.to)
            advance(next.to)
            check(next.to)
            if condition() { return }
        }
        now = max(now, end)
    }

    private func deliver(_ event: Event, to index: Int) {
        let process = processes[index]
        switch event {
        case .frame(let bytes):
            process.cluster.receive(
                frame: RawSpan(_elements: bytes.span), store: &process.store, now: now, out: &process.out)
        case .request(let bytes, let token):
            process.cluster.receive(
                request: RawSpan(_elements: bytes.span), token: token, store: &process.store, now: now,
                out: &process.out)
        case .reply(let bytes, let id, let lane):
            if let bytes {
                process.cluster.receive(
                    reply: RawSpan(_elements: bytes.span), to: id, from: lane, store: &process.store, now: now,
                    out: &process.out)
            } else {
                process.cluster.receive(
                    reply: nil, to: id, from: lane, store: &process.store, now: now, out: &process.out)
            }
        case .probe(let outcome, let lane):
            process.cluster.receive(probe: outcome, of: lane, now: now, out: &process.out)
        case .wake: break
        }
    }

    /// Lets a process do something by hand, then what follows from it.
    func act<Result>(_ index: Int, _ body: (inout Cluster, inout ToyStore, inout ClusterActions) -> Result) -> Result {
        let process = processes[index]
        let result = body(&process.cluster, &process.store, &process.out)
        advance(index)
        return result
    }

    private func advance(_ index: Int) {
        let process = processes[index]
        process.cluster.advance(now: now, store: &process.store, out: &process.out)
        perform(index)
        let next = max(process.cluster.nextDeadline, now.advanced(by: .microseconds(100)))
        if next < process.wakeAt {
            process.wakeAt = next
            schedule(index, .wake, at: next)
        }
    }

    private func perform(_ index: Int) {
        let process = processes[index]
        let items = process.out.items
        let arena = process.out.arena.bytes
        process.out.removeAll()
        for item in items {
            switch item {
            case .publish(let range): publish(index, Array(arena[range.range]))
            case .request(let lane, let id, let range): request(index, lane, id, Array(arena[range.range]))
            case .reply(let token, let range): reply(token, Array(arena[range.range]))
            case .probe(let lane): probe(index, lane)
            case .committed(let token, let acknowledged):
                process.committed.append((token, acknowledged))
                if acknowledged { checkCommit(index, token) }
            case .granted(let did):
                process.granted.append(did)
                checkGrant(index, did)
            case .refused(let did): process.refused.append(did)
            case .exit(let code): process.exits.append(code)
            case .note(let note): process.notes.append(note)
            case .stateChanged(let state): process.states.append(state)
            case .rebooted(let boot): boots[index] = boot
            case .inquiry(let id, let text): answer?(index, id, text)
            case .inquired(let token, let outcome): process.inquired.append((token, outcome))
            case .recycle, .viewChanged, .fitChanged: break
            }
        }
    }

    private func reaches(_ from: Int, _ to: Int) -> Bool { !cut.contains([from, to]) }

    private func delay() -> Instant {
        now.advanced(by: .microseconds(Int(500 + random.next() % (1_000 * jitterMilliseconds + 1_000))))
    }

    private func publish(_ index: Int, _ bytes: [UInt8]) {
        onFrame?(index, bytes)
        for byte in bytes { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for other in names.indices where other != index && reaches(index, other) && !random.chance(loss) {
            schedule(other, .frame(bytes), at: delay())
            if random.chance(duplication) { schedule(other, .frame(bytes), at: delay()) }
        }
    }

    private func request(_ index: Int, _ lane: Int, _ id: UInt64, _ bytes: [UInt8]) {
        onRequest?(index, bytes)
        let other = target(index, lane)
        let works = processes[other].isAlive && reaches(index, other) && reaches(other, index) && !random.chance(loss)
        guard works else {
            return schedule(index, .reply(nil, id: id, lane: lane), at: now.advanced(milliseconds: 500))
        }
        nextToken += 1
        replies[nextToken] = (index, id, lane, ObjectIdentifier(processes[index]))
        schedule(other, .request(bytes, token: nextToken), at: delay())
    }

    private func reply(_ token: UInt64, _ bytes: [UInt8]) {
        guard let asked = replies.removeValue(forKey: token) else { return }
        guard ObjectIdentifier(processes[asked.from]) == asked.process else { return }
        let bytes = onReply?(bytes) ?? bytes
        schedule(asked.from, .reply(bytes, id: asked.id, lane: asked.lane), at: delay())
    }

    private func probe(_ index: Int, _ lane: Int) {
        let other = target(index, lane)
        let isReachable = reaches(index, other) && reaches(other, index)
        let outcome: ProbeOutcome = !isReachable ? .silent : processes[other].isAlive ? .connected : .refused
        schedule(index, .probe(outcome, lane: lane), at: delay())
    }

    // MARK: The queue: a binary heap by (time, order)

    private func schedule(_ to: Int, _ event: Event, at: Instant) {
        order += 1
        queue.append(Scheduled(at: at, order: order, to: to, process: ObjectIdentifier(processes[to]), event: event))
        var child = queue.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            queue.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func pop() {
        queue.swapAt(0, queue.count - 1)
        queue.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < queue.count && isBefore(child, least) {
                least = child
            }
            if least == parent { return }
            queue.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (queue[left].at, queue[left].order) < (queue[right].at, queue[right].order)
    }

    // MARK: Checks

    private func check(_ index: Int) {
        let cluster = processes[index].cluster
        let view = cluster.view
        guard view.epoch > 0 else { return }
        guard !allowsTwins else { return }
        for other in processes where other !== processes[index] && other.isAlive {
            let theirs = other.cluster.view
            guard theirs.epoch == view.epoch, theirs.members != view.members else { continue }
            let names = "\(view.members.map(\.name)) and \(theirs.members.map(\.name))"
            if violations.count < 10 { violations.append("epoch \(view.epoch): \(names) at \(now)") }
        }
    }

    /// An acknowledged fact is in the records of as many others as were asked for.
    private func checkCommit(_ index: Int, _ token: UInt64) {
        guard let wait = waiting[token] else { return }
        counted.commits += 1
        let holders = (processes + graveyard).count { process in
            process !== processes[index] && process.store.values[wait.did].map { $0 >= wait.value } ?? false
                || process !== processes[index] && process.store.forgotten.contains(wait.did)
        }
        if holders < wait.peers { violations.append("commit \(token) of \(wait.did): \(holders) have it at \(now)") }
    }

    /// A majority of the asker's view granted it.
    private func checkGrant(_ index: Int, _ did: UInt64) {
        guard let deadline = asked[did * 8 + UInt64(index)] else { return }
        counted.grants += 1
        let view = processes[index].cluster.view
        let voices = (processes + graveyard).count { process in
            view.contains(process.cluster.localMember) && (process.store.grants[did] ?? 0) >= deadline
        }
        if 2 * voices <= processes[index].cluster.holderCount {
            violations.append("\(names[index]) acts on \(did) with \(voices) grants")
        }
    }

    var alive: [Process] { processes.filter(\.isAlive) }
    var allUp: Bool { alive.allSatisfy { $0.cluster.state == .up && ($0.cluster.isFit || $0.cluster.isWitness) } }
    var viewsAgree: Bool {
        let first = alive.first?.cluster.view
        return alive.allSatisfy { $0.cluster.view == first } && first?.members.count == alive.count
    }
    var storesAgree: Bool {
        let holders = alive.filter { !$0.cluster.isWitness }
        return holders.allSatisfy { $0.store.live == holders.first?.store.live }
    }
}

extension Net {
    /// Creates or raises a record at a node, as a node would: joined first, then published.
    @discardableResult
    func put(_ index: Int, _ did: UInt64, _ value: UInt64) -> UInt64 {
        let now = now
        return act(index) { cluster, store, _ in
            let bytes = ToyStore.bytes(1, value, padding: store.padding)
            let isNew = store.entries[did] == nil
            _ = store.join(did, RawSpan(_elements: bytes.span), ageMilliseconds: 0, now: now)
            let facts = RawSpan(_elements: bytes.span)
            let sequence =
                isNew
                ? cluster.publish(record: facts, of: did, ageMilliseconds: 0, now: now)
                : cluster.publish(patch: facts, of: did, now: now)
            if value == ToyStore.tombstone { cluster.bury(did, store: &store, now: now) }
            return sequence
        }
    }

    func wait(_ index: Int, for sequence: UInt64, peers: Int = 1, token: UInt64, timeout: Duration = .milliseconds(50))
    {
        let now = now
        act(index) { cluster, _, out in
            cluster.wait(for: sequence, peers: peers, token: token, timeout: timeout, now: now, out: &out)
        }
    }

    func ask(_ index: Int, _ did: UInt64, deadline: UInt64) {
        let now = now
        act(index) { cluster, store, out in
            let intent = Intent(did: did, generation: 0, deadlineMilliseconds: deadline, payload: [1, 2, 3])
            cluster.ask(intent, store: &store, now: now, out: &out)
        }
    }

    /// Every process up, in one view.
    @discardableResult
    func start(limit: Int64 = 5_000) -> Bool { run(limit: limit) { allUp && viewsAgree } }
}

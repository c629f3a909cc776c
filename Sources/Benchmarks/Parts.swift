// The parts of a call by themselves. Each benchmark prepares one operation, which is not counted, and measures it.

import Cluster
import Dialogs
import Primitives
import SIP

protocol PartBenchmark {
    mutating func prepare()
    /// The operation, in a function whose name begins with `measured`.
    mutating func measure()
}

/// What phones send to the owner in one call.
private func messagesOfACall() -> [[UInt8]] {
    var bench = CallBenchmark(warmUp: 0, keepsMessages: true) { 0 }
    bench.run(calls: 1)
    return bench.heard ?? []
}

private func loaded(_ bytes: [UInt8]) -> Message {
    var message = Message()
    load(bytes, into: &message)
    return message
}

@inline(__always)
private func load(_ bytes: [UInt8], into message: inout Message) {
    do throws(SIPParseError) {
        try message.load(RawSpan(_elements: bytes.span))
        try message.identify()
    } catch {
        preconditionFailure("a message of the benchmark must be valid: \(error)")
    }
}

// MARK: SIP

struct ParseBenchmark: PartBenchmark {
    private let messages = messagesOfACall()
    private var message = Message()

    mutating func prepare() {}

    mutating func measure() { measuredParse(messages, &message) }
}

@inline(never)
private func measuredParse(_ messages: [[UInt8]], _ message: inout Message) {
    for bytes in messages { load(bytes, into: &message) }
}

struct RewriteBenchmark: PartBenchmark {
    private let messages = messagesOfACall().map(loaded)
    private var editor = MessageEditor()
    private var out = ByteWriter(capacity: 65_536)

    mutating func prepare() {}

    mutating func measure() { measuredRewrite(messages, &editor, &out) }
}

@inline(never)
private func measuredRewrite(_ messages: [Message], _ editor: inout MessageEditor, _ out: inout ByteWriter) {
    out.removeAll()
    for message in messages {
        guard let via = try? message.topmostVia() else { preconditionFailure("every message has a Via") }
        editor.begin()
        if message.isRequest {
            editor.insert(at: message.firstLineEnd) {
                $0.put("Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKus90c0t15f95243300000d;rport\r\n")
                $0.put("Record-Route: <sip:10.0.1.1:5060;lr;did=4d20362777537e17>\r\n")
            }
            editor.stamp(via, of: message, source: Phones.caller, forceRport: false)
            if let route = message.first(.route) { editor.remove(route.line) }
            if let field = message.first(.maxForwards) { editor.replace(field.value) { $0.putDecimal(69) } }
        } else {
            editor.removeTopmost(via)
        }
        editor.write(message, into: &out)
    }
}

// MARK: Records

struct LearnBenchmark: PartBenchmark {
    private let facts = FactsOfACall.all
    private var table = DialogTable(buckets: 16_384, hash: KeyedHash(key0: 1, key1: 2), limit: 65_536)
    private var number: UInt64 = 0

    mutating func prepare() { number += 1 }

    mutating func measure() { measuredLearn(DialogID(rawValue: number), facts, &table) }
}

@inline(never)
private func measuredLearn(_ did: DialogID, _ facts: [[UInt8]], _ table: inout DialogTable) {
    for (index, bytes) in facts.enumerated() {
        let learned = try? table.learn(
            did, facts: RawSpan(_elements: bytes.span), age: index == 0 ? .zero : nil, now: .zero)
        precondition(learned?.outcome == (index == 0 ? .created : .changed), "every fact must be news")
    }
    table.remove(did)
}

struct JoinBenchmark: PartBenchmark {
    private let record = FactsOfACall.all[0]
    private let patch = FactsOfACall.all[2]
    private var joiner = RecordJoin()
    private var out = ByteWriter(capacity: 4_096)

    mutating func prepare() { out.removeAll() }

    mutating func measure() { measuredJoin(record, patch, &joiner, &out) }
}

@inline(never)
private func measuredJoin(
    _ record: [UInt8], _ patch: [UInt8], _ joiner: inout RecordJoin, _ out: inout ByteWriter
) {
    do throws(RecordError) {
        try joiner.join(
            RawSpan(_elements: record.span), RawSpan(_elements: patch.span), isCanonical: true, into: &out)
    } catch {
        preconditionFailure("these facts must be joined: \(error)")
    }
}

// MARK: Streams

/// A store that takes everything and keeps nothing.
struct NoStore: ReplicatedRecords {
    mutating func join(_ did: UInt64, _ record: RawSpan, ageMilliseconds: Int64?, now: Instant) -> JoinOutcome {
        .applied
    }
    func write(_ did: UInt64, into writer: inout ByteWriter, now: Instant) -> Int64? { nil }
    func isTombstone(_ did: UInt64) -> Bool { false }
    mutating func forget(_ did: UInt64) {}
    mutating func consider(_ intent: Intent, now: Instant) -> Consideration { .silent }
    var bucketCount: Int { 1 }
    func digest(bucket: Int) -> UInt64 { 0 }
    var rootDigest: UInt64 { 0 }
    var liveCount: Int { 0 }
    func dids(inBucket bucket: Int) -> [UInt64] { [] }
    func youngest(bucket: Int) -> Instant { .zero }
}

/// Two clusters that know each other, without anything between them.
struct ClusterPair {
    var publisher = ClusterPair.member("n1", peer: "tcp://10.0.0.2:7400")
    var subscriber = ClusterPair.member("n2", peer: "tcp://10.0.0.1:7400")
    var store = NoStore()
    var out = ClusterActions()
    var now = Instant.zero
    private var number: UInt64 = 0

    static func member(_ name: String, peer: String) -> Cluster {
        var settings = ClusterSettings(nodeName: name)
        settings.peers = [peer]
        return Cluster(
            settings: settings, boot: 1, hello: Hello(), hash: KeyedHash(key0: 1, key1: 2), seed: 1, now: .zero)
    }

    init() {
        for _ in 0..<100 { exchange() }
    }

    /// Ten milliseconds: heartbeats go both ways.
    mutating func exchange() {
        now = now.advanced(milliseconds: 10)
        out.removeAll()
        publisher.advance(now: now, store: &store, out: &out)
        for frame in frames {
            subscriber.receive(frame: RawSpan(_elements: frame.span), store: &store, now: now, out: &out)
        }
        out.removeAll()
        subscriber.advance(now: now, store: &store, out: &out)
        for frame in frames {
            publisher.receive(frame: RawSpan(_elements: frame.span), store: &store, now: now, out: &out)
        }
        out.removeAll()
    }

    var frames: [[UInt8]] {
        out.items.compactMap { action in
            guard case .publish(let range) = action else { return nil }
            return Array(out.arena.bytes[range.range])
        }
    }

    mutating func publish() -> [[UInt8]] {
        number += 1
        measuredFrame(number, FactsOfACall.all, &publisher, &store, now, &out)
        return frames
    }
}

struct FrameBenchmark: PartBenchmark {
    private var pair = ClusterPair()

    mutating func prepare() { pair.exchange() }

    mutating func measure() { precondition(!pair.publish().isEmpty, "a frame must leave") }
}

@inline(never)
private func measuredFrame(
    _ did: UInt64, _ facts: [[UInt8]], _ cluster: inout Cluster, _ store: inout NoStore, _ now: Instant,
    _ out: inout ClusterActions
) {
    for (index, bytes) in facts.enumerated() {
        let facts = RawSpan(_elements: bytes.span)
        _ =
            index == 0
            ? cluster.publish(record: facts, of: did, ageMilliseconds: 0, now: now)
            : cluster.publish(patch: facts, of: did, now: now)
    }
    cluster.advance(now: now.advanced(milliseconds: 6), store: &store, out: &out)
}

struct ApplyBenchmark: PartBenchmark {
    private var pair = ClusterPair()
    private var published: [[UInt8]] = []

    mutating func prepare() {
        pair.exchange()
        published = pair.publish()
        pair.out.removeAll()
    }

    mutating func measure() { measuredApply(published, &pair.subscriber, &pair.store, pair.now, &pair.out) }
}

@inline(never)
private func measuredApply(
    _ frames: [[UInt8]], _ cluster: inout Cluster, _ store: inout NoStore, _ now: Instant, _ out: inout ClusterActions
) {
    for frame in frames { cluster.receive(frame: RawSpan(_elements: frame.span), store: &store, now: now, out: &out) }
}

// MARK: Time

struct WheelBenchmark: PartBenchmark {
    private var wheel = TimerWheel(origin: .zero)
    private var now = Instant.zero
    private var due: [UInt64] = []

    mutating func prepare() {
        now = now.advanced(milliseconds: 10)
        due.removeAll(keepingCapacity: true)
    }

    mutating func measure() { measuredWheel(&wheel, now, &due) }
}

/// 100 Trying, timer A, B and C, the retransmissions of the answer: cancelled; timers D and J: they fire.
@inline(never)
private func measuredWheel(_ wheel: inout TimerWheel, _ now: Instant, _ due: inout [UInt64]) {
    let trying = wheel.schedule(1, at: now.advanced(milliseconds: 200))
    let timerA = wheel.schedule(2, at: now.advanced(milliseconds: 500))
    let timerC = wheel.schedule(3, at: now.advanced(milliseconds: 180_000))
    wheel.cancel(trying)
    wheel.cancel(timerA)
    wheel.cancel(timerC)
    _ = wheel.schedule(4, at: now.advanced(milliseconds: 5_000))
    _ = wheel.schedule(5, at: now.advanced(milliseconds: 32_000))
    wheel.advance(to: now, due: &due)
}

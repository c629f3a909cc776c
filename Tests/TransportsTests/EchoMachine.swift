// EchoMachine stands in for a node: it sends every datagram back to where it came from, answers requests with their own
// bytes, and writes down what it was told, in order.

import Node
import Primitives
import SIP
import Transports

struct EchoMachine: NodeMachine {
    enum Entry: Equatable, Sendable {
        case datagram([UInt8], ListenerID)
        case frame([UInt8])
        case request([UInt8])
        case reply([UInt8], UInt64, Int)
        case noReply(UInt64, Int)
        case probe(ProbeResult, Int)
        case answer(DNSAnswer, DNSQuestion)
        case closed(FlowID)
        case unsent(UInt64, Endpoint)
        case advance
    }

    /// Everything but advances that follow an advance; at most `limit` entries are kept.
    var entries: [Entry] = []
    var ages: [Int64] = []
    var addresses: [Address] = []
    var echoes = true
    /// Set once: the next advance exits with it.
    var exitCode: Int32? = nil
    static let limit = 4_096

    var nextDeadline: Instant = .distantFuture
    var watchesAddresses = false

    private mutating func log(_ entry: Entry) {
        if entry == .advance, entries.last == .advance || entries.isEmpty { return }
        if entries.count < Self.limit { entries.append(entry) }
    }

    /// The flows of the messages that came over connections, in order.
    var flows: [FlowID] = []

    mutating func receive(
        datagram: RawSpan, from: Endpoint, on listener: ListenerID, flow: FlowID, ageMilliseconds: Int64, now: Instant,
        into out: inout Outbox
    ) {
        log(.datagram([UInt8](copying: datagram), listener))
        if flow != .none, flows.count < Self.limit { flows.append(flow) }
        if ages.count < Self.limit { ages.append(ageMilliseconds) }
        guard echoes else { return }
        let start = out.arena.count
        out.arena.append(datagram)
        out.datagrams.append(
            Datagram(range: ByteRange(start: start, end: out.arena.count), to: from, from: listener, flow: flow))
    }

    mutating func receive(closed flow: FlowID, now: Instant, into out: inout Outbox) { log(.closed(flow)) }

    mutating func receive(unsent token: UInt64, to: Endpoint, flow: FlowID, now: Instant, into out: inout Outbox) {
        log(.unsent(token, to))
    }

    mutating func receive(frame: RawSpan, now: Instant, into out: inout Outbox) {
        log(.frame([UInt8](copying: frame)))
    }

    mutating func receive(request: RawSpan, token: UInt64, now: Instant, into out: inout Outbox) {
        log(.request([UInt8](copying: request)))
        let start = out.busArena.count
        out.busArena.append(request)
        out.bus.append(.reply(token: token, ByteRange(start: start, end: out.busArena.count)))
    }

    mutating func receive(reply: RawSpan, to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox) {
        log(.reply([UInt8](copying: reply), request, peer))
    }

    mutating func receiveNoReply(to request: UInt64, from peer: Int, now: Instant, into out: inout Outbox) {
        log(.noReply(request, peer))
    }

    mutating func receive(refusal: UInt8, claimed: RawSpan, now: Instant, into out: inout Outbox) {}
    mutating func receive(probe: ProbeResult, of peer: Int, now: Instant, into out: inout Outbox) {
        log(.probe(probe, peer))
    }

    mutating func receive(answer: DNSAnswer, to question: DNSQuestion, now: Instant, into out: inout Outbox) {
        log(.answer(answer, question))
    }

    mutating func hold(addresses: [Address], now: Instant, into out: inout Outbox) {
        self.addresses = addresses
    }

    mutating func advance(to now: Instant, into out: inout Outbox) {
        log(.advance)
        if let exitCode { out.exit = exitCode }
    }
}

extension Outbox {
    /// Appends a bus action with bytes.
    mutating func add(_ bytes: [UInt8], _ action: (ByteRange) -> BusAction) {
        let start = busArena.count
        busArena += bytes
        bus.append(action(ByteRange(start: start, end: busArena.count)))
    }
}

// A small DNS server for tests, on loopback, over UDP and TCP: it says what its script says, which may be nothing, too
// much, or nonsense.

import Glibc
import Nanomsg
import Node
import Primitives
import SIP
import Synchronization
import Transports

/// What the server does with one question.
struct ScriptedAnswer: Sendable {
    var code: UInt8 = 0
    /// Type and data, owned by the name that was asked for.
    var records: [(type: UInt16, data: [UInt8])] = []
    var ttl: UInt32 = 60
    /// Last field of an SOA in the authority section.
    var negativeTTL: UInt32? = nil
    /// Over UDP only the header goes out, with the bit that sends the asker to TCP.
    var isCutOverUDP = false
    /// So many questions are not answered first.
    var silences = 0
    /// Sent instead of an answer, after the id.
    var garbage: [UInt8]? = nil

    static let silent = ScriptedAnswer(silences: .max)
}

final class NameServer: Sendable {
    let endpoint: Endpoint
    private let stopping = Atomic<Bool>(false)
    private let asked = Mutex<[String]>([])
    private let script: [String: ScriptedAnswer]
    private let thread = Mutex<WorkerThread?>(nil)

    /// The kernel chooses its port, for UDP and with it for TCP.
    /// - Parameter script: By name and type number, `h.example 1`; another name does not exist.
    init(_ number: Int, _ script: [String: ScriptedAnswer]) throws {
        let socket = try UDPSocket(Loopback.endpoint(number, 0))
        endpoint = socket.endpoint
        self.script = script
        let address = try Loopback.bus(number, port: endpoint.port)
        let running = try WorkerThread(name: "name-server") { [self] in run(socket, address) }
        thread.withLock { $0 = running }
    }

    /// Questions in order of arrival, those over TCP with a mark.
    var questions: [String] { asked.withLock { $0 } }

    func stop() {
        stopping.store(true, ordering: .releasing)
        thread.withLock { $0 }?.join()
    }

    private func run(_ socket: UDPSocket, _ address: BusAddress) {
        guard let listener = Stranger.listening(on: address) else { return }
        var receiving = ReceiveBatch()
        var sending = SendBatch()
        var counters = TransportCounters()
        while !stopping.load(ordering: .acquiring) {
            var outbox = Outbox()
            for index in 0..<max(0, receiving.receive(from: socket)) {
                let (query, from) = receiving.withDatagram(index) { ([UInt8](copying: $0), $1.from) }
                guard let reply = reply(to: query, isTCP: false) else { continue }
                let start = outbox.arena.count
                outbox.arena += reply
                outbox.datagrams.append(
                    Datagram(
                        range: ByteRange(start: start, end: outbox.arena.count), to: from,
                        from: ListenerID(rawValue: 0)))
            }
            sending.send(outbox, through: [socket], counting: &counters)
            guard let connection = listener.accepted(milliseconds: 2) else { continue }
            let length = connection.read(2)
            guard length.count == 2 else { continue }
            let query = connection.read(Int(length[0]) << 8 | Int(length[1]))
            guard let reply = reply(to: query, isTCP: true) else { continue }
            connection.write([UInt8(reply.count >> 8), UInt8(reply.count & 255)] + reply)
            // The asker closes first.
            _ = connection.isAnswered(milliseconds: 500)
        }
    }

    /// The reply, or `nil` for silence.
    private func reply(to query: [UInt8], isTCP: Bool) -> [UInt8]? {
        var labels: [String] = []
        var offset = 12
        while offset < query.count, query[offset] != 0 {
            let end = offset + 1 + Int(query[offset])
            guard end <= query.count else { return nil }
            labels.append(String(decoding: query[offset + 1..<end], as: UTF8.self))
            offset = end
        }
        guard offset + 5 <= query.count else { return nil }
        let type = UInt16(query[offset + 1]) << 8 | UInt16(query[offset + 2])
        let name = labels.joined(separator: ".").lowercased()
        let words = "\(name) \(type)"
        let before = asked.withLock { asked in
            defer { asked.append(isTCP ? words + " tcp" : words) }
            return asked.count { $0 == words }
        }
        guard let answer = script[words] else { return message(query, offset + 5, ScriptedAnswer(code: 3), false) }
        guard before >= answer.silences else { return nil }
        if let garbage = answer.garbage { return Array(query.prefix(2)) + garbage }
        return message(query, offset + 5, answer, answer.isCutOverUDP && !isTCP)
    }

    private func message(_ query: [UInt8], _ end: Int, _ answer: ScriptedAnswer, _ isCut: Bool) -> [UInt8] {
        let records = isCut ? [] : answer.records
        let hasAuthority = !isCut && answer.negativeTTL != nil
        var bytes = Array(query.prefix(2)) + [isCut ? 0x87 : 0x85, 0x80 | answer.code]
        bytes += [0, 1, 0, UInt8(records.count), 0, hasAuthority ? 1 : 0, 0, 0] + query[12..<end]
        func head(_ type: UInt16, _ count: Int) -> [UInt8] {
            [0xC0, 12] + Self.number(type) + [0, 1] + Self.number(0) + Self.number(UInt16(answer.ttl))
                + Self.number(UInt16(count))
        }
        for record in records { bytes += head(record.type, record.data.count) + record.data }
        if hasAuthority, let ttl = answer.negativeTTL {
            let data = Self.name("ns.example") + Self.name("who.example") + [UInt8](repeating: 0, count: 16)
            bytes += head(6, data.count + 4) + data + Self.number(UInt16(ttl >> 16)) + Self.number(UInt16(ttl & 0xFFFF))
        }
        return bytes
    }

    static func number(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}

extension Stranger {
    /// Reads exactly so many bytes, or what came within a second.
    func read(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, isAnswered(milliseconds: 1_000) {
            var part = [UInt8](repeating: 0, count: count - bytes.count)
            // Sound: the array holds `count` bytes and outlives the call.
            let received = unsafe recv(descriptor, &part, part.count, 0)
            guard received > 0 else { break }
            bytes += part.prefix(received)
        }
        return bytes
    }
}

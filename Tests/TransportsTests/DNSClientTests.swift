// The DNS thread against a name server of our own on loopback. Every wait has a bound.

import Glibc
import Nanomsg
import Node
import Primitives
import SIP
import Testing
import Transports

@Suite("DNS thread, over loopback", .serialized)
struct DNSClientTests {
    /// A client and everything it was told.
    final class Asker {
        let signal = Signal()
        let client: DNSClient
        private(set) var replies: [DNSReply] = []
        private var batch: [DNSReply] = []

        init(_ servers: [Endpoint], timeout: Int64 = 2_000, tries: Int = 2) throws {
            var settings = DNSClientSettings()
            settings.servers = servers
            settings.timeout = timeout
            settings.tries = tries
            client = try DNSClient(settings, signal: signal)
        }

        func collect(_ count: Int, seconds: Double = 10) -> Bool {
            Loopback.wait(seconds: seconds) {
                client.inbox.take(into: &batch)
                replies += batch
                return replies.count >= count
            }
        }

        func ask(_ name: String, _ type: DNSType) -> DNSAnswer? {
            replies = []
            client.ask([DNSQuestion(name: Array(name.utf8), type: type)])
            guard collect(1) else { return nil }
            return replies.count == 1 && replies[0].question.type == type ? replies[0].answer : nil
        }
    }

    /// An address at which nobody listens: the kernel gave it to a socket that is closed again.
    private static func nobody() throws -> Endpoint { try UDPSocket(Loopback.endpoint(22, 0)).endpoint }

    private static var pointer: [UInt8] {
        var data: [UInt8] = [0, 50, 0, 90, 1, 0x73, 7]
        data += Array("SIP+D2T".utf8)
        data.append(0)
        return data + NameServer.name("_sip._tcp.x.example")
    }

    @Test func `each type of record comes as the server has it, with its time to live`() throws {
        let server = try NameServer(
            21,
            [
                "x.example 35": ScriptedAnswer(records: [(35, Self.pointer)], ttl: 11),
                "_sip._udp.x.example 33": ScriptedAnswer(
                    records: [(33, [0, 1, 0, 2, 19, 196] + NameServer.name("h.example"))], ttl: 22),
                "h.example 1": ScriptedAnswer(records: [(1, [192, 0, 2, 1]), (1, [192, 0, 2, 2])], ttl: 33),
                "h.example 28": ScriptedAnswer(
                    records: [(28, [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1])], ttl: 44),
            ])
        defer { server.stop() }
        let asker = try Asker([server.endpoint])
        defer { asker.client.stop() }
        let pointer = DNSPointer(
            order: 50, preference: 90, flags: [0x73], service: Array("SIP+D2T".utf8), regularExpression: [],
            replacement: Array("_sip._tcp.x.example".utf8))
        #expect(asker.ask("x.example", .naptr) == .pointers([pointer], ttl: 11))
        let service = DNSService(priority: 1, weight: 2, port: 5060, target: Array("h.example".utf8))
        #expect(asker.ask("_sip._udp.x.example", .srv) == .services([service], ttl: 22))
        #expect(
            asker.ask("h.example", .a)
                == .addresses([Address(text: "192.0.2.1")!, Address(text: "192.0.2.2")!], ttl: 33))
        #expect(asker.ask("h.example", .aaaa) == .addresses([Address(text: "2001:db8::1")!], ttl: 44))
        #expect(asker.client.counters.questions == 4)
        #expect(asker.client.counters.replies == 4)
    }

    @Test func `no such name, and no such record, with the time of the SOA`() throws {
        let server = try NameServer(
            21,
            [
                "gone.example 1": ScriptedAnswer(code: 3, negativeTTL: 17),
                "empty.example 1": ScriptedAnswer(negativeTTL: 18),
            ])
        defer { server.stop() }
        let asker = try Asker([server.endpoint])
        defer { asker.client.stop() }
        #expect(asker.ask("gone.example", .a) == DNSAnswer.none(ttl: 17))
        #expect(asker.ask("empty.example", .a) == DNSAnswer.none(ttl: 18))
        #expect(asker.ask("unknown.example", .a) == DNSAnswer.none(ttl: nil))
    }

    @Test func `an answer that was cut is asked for again over TCP`() throws {
        let many = (0..<60).map { (type: UInt16(1), data: [10, 0, 0, UInt8($0)] as [UInt8]) }
        let server = try NameServer(
            21, ["h.example 1": ScriptedAnswer(records: many, isCutOverUDP: true)])
        defer { server.stop() }
        let asker = try Asker([server.endpoint])
        defer { asker.client.stop() }
        let expected = (0..<16).map { Address(ipv4: 0x0A00_0000 + UInt32($0)) }
        #expect(asker.ask("h.example", .a) == .addresses(expected, ttl: 60))
        #expect(server.questions == ["h.example 1", "h.example 1 tcp"])
    }

    @Test func `silence is a failure after the timeout, and no sooner`() throws {
        let server = try NameServer(21, ["h.example 1": .silent])
        defer { server.stop() }
        let asker = try Asker([server.endpoint], timeout: 600)
        defer { asker.client.stop() }
        let start = BootClock.now
        #expect(asker.ask("h.example", .a) == .failed(.timedOut))
        let took = BootClock.now.milliseconds(since: start)
        #expect(took >= 500 && took < 5_000, "\(took) ms")
        #expect(server.questions.count == 2)
    }

    @Test func `a lost question is asked again, and a dead server passed over`() throws {
        let answer = ScriptedAnswer(records: [(1, [192, 0, 2, 1])], silences: 1)
        let server = try NameServer(21, ["h.example 1": answer])
        defer { server.stop() }
        let asker = try Asker([server.endpoint])
        defer { asker.client.stop() }
        #expect(asker.ask("h.example", .a) == .addresses([Address(text: "192.0.2.1")!], ttl: 60))
        let other = try Asker([try Self.nobody(), server.endpoint])
        defer { other.client.stop() }
        #expect(other.ask("h.example", .a) == .addresses([Address(text: "192.0.2.1")!], ttl: 60))
    }

    @Test func `nobody there is unreachable, long before the timeout`() throws {
        let asker = try Asker([try Self.nobody()], timeout: 8_000)
        defer { asker.client.stop() }
        let start = BootClock.now
        #expect(asker.ask("h.example", .a) == .failed(.unreachable))
        #expect(BootClock.now.milliseconds(since: start) < 4_000)
    }

    @Test(arguments: [(2, 2), (4, 4), (5, 5)] as [(UInt8, UInt8)])
    func `a server's error code is told`(code: UInt8, expected: UInt8) throws {
        let server = try NameServer(21, ["h.example 1": ScriptedAnswer(code: code)])
        defer { server.stop() }
        let asker = try Asker([server.endpoint])
        defer { asker.client.stop() }
        #expect(asker.ask("h.example", .a) == .failed(.refused(code: expected)))
    }

    @Test func `nonsense is not believed, and a broken record is told as such`() throws {
        let server = try NameServer(
            21,
            [
                "a.example 1": ScriptedAnswer(garbage: [0x85, 0x80] + [UInt8](repeating: 0xFF, count: 40)),
                "b.example 1": ScriptedAnswer(garbage: []),
                "c.example 1": ScriptedAnswer(records: [(1, [192, 0, 2])]),
            ])
        defer { server.stop() }
        let asker = try Asker([server.endpoint], timeout: 400)
        defer { asker.client.stop() }
        for name in ["a.example", "b.example"] {
            guard case .failed = asker.ask(name, .a) else {
                Issue.record("\(name) has no answer")
                continue
            }
        }
        guard case .failed(.malformed(let error)) = asker.ask("c.example", .a) else {
            Issue.record("c.example is malformed")
            return
        }
        #expect(error.reason == .badRecord)
    }

    @Test func `a thousand questions at once each get one answer`() throws {
        let server = try NameServer(21, [:])
        defer { server.stop() }
        let asker = try Asker([server.endpoint], timeout: 8_000)
        defer { asker.client.stop() }
        let questions = (0..<1_000).map { DNSQuestion(name: Array("h\($0).example".utf8), type: .a) }
        asker.client.ask(questions)
        #expect(asker.collect(1_000, seconds: 20))
        #expect(Set(asker.replies.map(\.question)) == Set(questions))
        #expect(asker.replies.count == 1_000)
        #expect(asker.replies.allSatisfy { $0.answer == DNSAnswer.none(ttl: nil) })
    }

    @Test func `4096 questions wait to be asked, and one more is busy at once`() throws {
        let asker = try Asker([try Self.nobody()])
        defer { asker.client.stop() }
        let questions = (0..<DNSClient.queueLimit + 3).map { DNSQuestion(name: Array("h\($0).example".utf8), type: .a) }
        asker.client.ask(questions)
        #expect(asker.collect(3))
        #expect(asker.replies.count { $0.answer == .failed(.busy) } == 3)
        #expect(asker.client.counters.refused == 3)
    }

    @Test func `an inbox that nobody empties drops what finds no room, and counts it`() {
        let signal = Signal()
        let inbox = DNSInbox(signal: signal, limit: 2)
        let reply = DNSReply(question: DNSQuestion(name: [0x61], type: .a), answer: .failed(.timedOut))
        inbox.put([reply, reply, reply])
        inbox.put([reply])
        #expect(inbox.dropped == 2)
        #expect(signal.wait(milliseconds: 0))
        var batch: [DNSReply] = []
        inbox.take(into: &batch)
        #expect(batch == [reply, reply])
    }

    @Test func `a stop does not wait for questions under way`() throws {
        let server = try NameServer(21, ["h.example 1": .silent])
        defer { server.stop() }
        let asker = try Asker([server.endpoint], timeout: 20_000)
        asker.client.ask([DNSQuestion(name: Array("h.example".utf8), type: .a)])
        #expect(Loopback.wait(seconds: 5) { !server.questions.isEmpty })
        let start = BootClock.now
        asker.client.stop()
        #expect(BootClock.now.milliseconds(since: start) < 1_000)
    }

    @Test(arguments: [(1, 2, 1_666), (2, 2, 833), (1, 1, 5_000), (1, 3, 714), (8, 5, 50)] as [(Int, Int, Int64)])
    func `all rounds together take the timeout`(servers: Int, tries: Int, milliseconds: Int64) {
        var settings = DNSClientSettings()
        settings.tries = tries
        #expect(settings.firstRound(servers: servers) == milliseconds)
    }

    @Test func `questions of the SIP thread are answered on the SIP thread`() async throws {
        let server = try NameServer(21, ["h.example 1": ScriptedAnswer(records: [(1, [192, 0, 2, 1])])])
        defer { server.stop() }
        let signal = Signal()
        var settings = DNSClientSettings()
        settings.servers = [server.endpoint]
        let client = try DNSClient(settings, signal: signal)
        let thread = try SIPThread(
            machine: EchoMachine(), sockets: [UDPSocket(Loopback.endpoint(23, 0))], bus: nil, dns: client,
            signal: signal, note: { _ in })
        let question = DNSQuestion(name: Array("h.example".utf8), type: .a)
        thread.performBlocking { _, _, out in out.questions.append(question) }
        let answer = EchoMachine.Entry.answer(.addresses([Address(text: "192.0.2.1")!], ttl: 60), question)
        #expect(
            Loopback.wait(seconds: 5) {
                thread.performBlocking { machine, _, _ in machine.entries.contains(answer) }
            })
        #expect(await thread.counters().dnsReplies == 1)
        thread.stop()
    }

    @Test func `without a DNS thread questions are counted, not lost in silence`() async throws {
        let thread = try SIPThread(
            machine: EchoMachine(), sockets: [UDPSocket(Loopback.endpoint(23, 0))], bus: nil, signal: Signal(),
            note: { _ in })
        thread.performBlocking { _, _, out in out.questions.append(DNSQuestion(name: [0x61], type: .a)) }
        thread.performBlocking { _, _, _ in }
        #expect(await thread.counters().questionsDropped == 1)
        thread.stop()
    }
}

// Raw DNS messages: what a recursive server sends, by the byte, and what nobody should.

import Primitives
import SIP
import Testing

/// Builds a message, well-formed or not.
struct MessageBuilder {
    var bytes: [UInt8] = []
    private var counts = [0, 0, 0, 0]

    init(_ question: DNSQuestion, flags: UInt16 = 0x8180) {
        bytes = [0x12, 0x34] + Self.number(flags) + [UInt8](repeating: 0, count: 8)
        bytes += Self.name(question.words.split(separator: " ")[0]) + Self.number(question.type.rawValue) + [0, 1]
        count(0)
    }

    private mutating func count(_ section: Int) {
        counts[section] += 1
        bytes.replaceSubrange(4 + section * 2..<6 + section * 2, with: Self.number(UInt16(counts[section])))
    }

    /// A record of the answer (section 1) or the authority (2).
    mutating func add(
        _ owner: [UInt8], _ type: UInt16, ttl: UInt32, _ data: [UInt8], section: Int = 1, length: Int? = nil,
        dnsClass: UInt16 = 1
    ) {
        bytes += owner + Self.number(type) + Self.number(dnsClass) + Self.word(ttl)
        bytes += Self.number(UInt16(length ?? data.count)) + data
        count(section)
    }

    static func number(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
    static func word(_ value: UInt32) -> [UInt8] { number(UInt16(value >> 16)) + number(UInt16(value & 0xFFFF)) }
    static func name(_ text: some StringProtocol) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
    /// The name of the question, by a pointer.
    static let asked: [UInt8] = [0xC0, 12]
    static func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
}

@Suite("DNS messages, RFC 1035 §4")
struct DNSMessageTests {
    private typealias Builder = MessageBuilder
    private let host = DNSQuestion("h.example", .a)

    private func read(_ builder: MessageBuilder, _ question: DNSQuestion) throws(DNSMessageError) -> DNSAnswer {
        try DNSMessage.answer(to: question, in: RawSpan(_elements: builder.bytes.span))
    }

    private func reason(_ builder: MessageBuilder, _ question: DNSQuestion) -> DNSMessageError.Reason? {
        do throws(DNSMessageError) {
            _ = try read(builder, question)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func `a message as a server sends it, byte by byte`() throws {
        let bytes: [UInt8] = [
            0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0,
            4, 0x5F, 0x73, 0x69, 0x70, 4, 0x5F, 0x75, 0x64, 0x70, 1, 0x78, 0, 0, 33, 0, 1,
            0xC0, 0x0C, 0, 33, 0, 1, 0, 0, 0x0E, 0x10, 0, 11, 0, 10, 0, 60, 0x13, 0xC4, 2, 0x48, 0x31, 0xC0, 0x16,
        ]
        let question = DNSQuestion("_sip._udp.x", .srv)
        let service = DNSService(priority: 10, weight: 60, port: 5060, target: Array("h1.x".utf8))
        #expect(
            try DNSMessage.answer(to: question, in: RawSpan(_elements: bytes.span)) == .services([service], ttl: 3_600))
    }

    @Test func `addresses of both families, and the least time to live`() throws {
        var builder = Builder(host)
        builder.add(Builder.asked, 1, ttl: 300, [192, 0, 2, 1])
        builder.add(Builder.name("H.EXAMPLE"), 1, ttl: 60, [192, 0, 2, 2])
        builder.add(Builder.asked, 16, ttl: 1, [0])
        builder.add(Builder.asked, 1, ttl: 2, [192, 0, 2, 3], dnsClass: 3)
        let first = Address(text: "192.0.2.1")!
        #expect(try read(builder, host) == .addresses([first, Address(text: "192.0.2.2")!], ttl: 60))
        let six = DNSQuestion("h.example", .aaaa)
        var other = Builder(six)
        other.add(Builder.asked, 28, ttl: 9, [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1])
        #expect(try read(other, six) == .addresses([Address(text: "2001:db8::1")!], ttl: 9))
    }

    @Test func `NAPTR with its four texts`() throws {
        let question = DNSQuestion("x.example", .naptr)
        var builder = Builder(question)
        var data: [UInt8] = [0, 50, 0, 90]
        for text in ["s", "SIP+D2T", ""] { data += Builder.text(text) }
        data += Builder.name("_sip._tcp.x.example")
        builder.add(Builder.asked, 35, ttl: 5, data)
        let pointer = DNSPointer(
            order: 50, preference: 90, flags: [0x73], service: Array("SIP+D2T".utf8), regularExpression: [],
            replacement: Array("_sip._tcp.x.example".utf8))
        #expect(try read(builder, question) == .pointers([pointer], ttl: 5))
    }

    @Test func `aliases are followed, with the least time to live on the way`() throws {
        var builder = Builder(host)
        builder.add(Builder.name("b.example"), 5, ttl: 20, Builder.name("c.example"))
        builder.add(Builder.asked, 5, ttl: 100, Builder.name("b.example"))
        builder.add(Builder.name("c.example"), 1, ttl: 50, [10, 0, 0, 1])
        #expect(try read(builder, host) == .addresses([Address(ipv4: 0x0A00_0001)], ttl: 20))
    }

    @Test func `aliases in a circle, to nowhere, or too many are no records`() throws {
        var circle = Builder(host)
        circle.add(Builder.asked, 5, ttl: 1, Builder.name("b.example"))
        circle.add(Builder.name("b.example"), 5, ttl: 1, Builder.asked)
        #expect(try read(circle, host) == .none(ttl: nil))
        var nowhere = Builder(host)
        nowhere.add(Builder.asked, 5, ttl: 1, Builder.name("b.example"))
        #expect(try read(nowhere, host) == .none(ttl: nil))
        for (length, isFollowed) in [(DNSMessage.aliasLimit, true), (DNSMessage.aliasLimit + 1, false)] {
            var chain = Builder(host)
            for index in 0..<length {
                chain.add(
                    index == 0 ? Builder.asked : Builder.name("a\(index).example"), 5, ttl: 1,
                    Builder.name("a\(index + 1).example"))
            }
            chain.add(Builder.name("a\(length).example"), 1, ttl: 1, [10, 0, 0, 1])
            #expect(
                try read(chain, host)
                    == (isFollowed ? .addresses([Address(ipv4: 0x0A00_0001)], ttl: 1) : .none(ttl: nil)))
        }
    }

    @Test(arguments: [0, 3] as [UInt16])
    func `no records, or no such name, with the SOA's time`(code: UInt16) throws {
        var builder = Builder(host, flags: 0x8180 | code)
        #expect(try read(builder, host) == .none(ttl: nil))
        let soa = Builder.name("ns.example") + Builder.name("who.example") + [UInt8](repeating: 0, count: 16)
        var smaller = builder
        builder.add(Builder.name("example"), 6, ttl: 900, soa + Builder.word(30), section: 2)
        #expect(try read(builder, host) == .none(ttl: 30))
        smaller.add(Builder.name("example"), 6, ttl: 7, soa + Builder.word(30), section: 2)
        #expect(try read(smaller, host) == .none(ttl: 7))
    }

    @Test(arguments: [1, 2, 4, 5, 9, 15] as [UInt16])
    func `an error code is a failure`(code: UInt16) throws {
        #expect(
            try read(Builder(host, flags: 0x8180 | code), host) == .failed(.refused(code: UInt8(code))))
    }

    @Test func `a time to live with its highest bit set counts as zero, RFC 2181 §8`() throws {
        var builder = Builder(host)
        builder.add(Builder.asked, 1, ttl: 0x8000_0001, [10, 0, 0, 1])
        #expect(try read(builder, host) == .addresses([Address(ipv4: 0x0A00_0001)], ttl: 0))
    }

    @Test func `the first sixteen records are kept, services by priority`() throws {
        let question = DNSQuestion("_sip._udp.x", .srv)
        var builder = Builder(question)
        for index in (0..<40).reversed() {
            builder.add(Builder.asked, 33, ttl: 1, [0, UInt8(index), 0, 0, 19, 196] + Builder.name("h\(index)"))
        }
        guard case .services(let services, _) = try read(builder, question) else {
            Issue.record("no services")
            return
        }
        #expect(services.map(\.priority) == (0..<16).map { UInt16($0) })
    }

    @Test func `128 records are read, 129 are not`() {
        for (count, expected) in [(128, nil), (129, .tooManyRecords)] as [(Int, DNSMessageError.Reason?)] {
            var builder = Builder(host)
            for _ in 0..<count { builder.add(Builder.asked, 1, ttl: 1, [10, 0, 0, 1]) }
            #expect(reason(builder, host) == expected)
        }
    }

    @Test func `what is wrong has its reason`() {
        #expect(reason(Builder(host, flags: 0x0100), host) == .notAnAnswer)
        #expect(reason(Builder(host, flags: 0x8980), host) == .notAnAnswer)
        #expect(reason(Builder(host, flags: 0x8380), host) == .truncated)
        #expect(reason(Builder(DNSQuestion("other.example", .a), flags: 0x8180), host) == .otherQuestion)
        #expect(reason(Builder(DNSQuestion("h.example", .aaaa), flags: 0x8180), host) == .otherQuestion)
        func answer(_ type: UInt16, _ data: [UInt8], length: Int? = nil, owner: [UInt8] = Builder.asked)
            -> MessageBuilder
        {
            var builder = Builder(host)
            builder.add(owner, type, ttl: 1, data, length: length)
            return builder
        }
        #expect(reason(answer(1, [10, 0, 0]), host) == .badRecord)
        #expect(reason(answer(1, [10, 0, 0, 1, 0]), host) == .badRecord)
        #expect(reason(answer(1, [10, 0, 0, 1], length: 5), host) == .tooShort)
        #expect(reason(answer(1, [10, 0, 0, 1], owner: [0xFF, 0xFF]), host) == .badName)
        #expect(
            reason(answer(1, [10, 0, 0, 1], owner: [64] + [UInt8](repeating: 97, count: 64) + [0]), host) == .badName)
        #expect(reason(answer(1, [10, 0, 0, 1], owner: [3, 97, 0x2E, 98, 0]), host) == .badName)
        let long = Builder.name((0..<60).map { _ in "abcd" }.joined(separator: "."))
        #expect(reason(answer(1, [10, 0, 0, 1], owner: long), host) == .nameTooLong)
        var short = Builder(host)
        short.bytes.removeLast(short.bytes.count - 11)
        #expect(reason(short, host) == .tooShort)
    }

    @Test func `pointers point backwards, so no name is read for ever`() {
        let start = UInt8(Builder(host).bytes.count)
        for owner in [[0xC0, start], [0xC0, start + 2, 0xC0, start], [1, 97, 0xC0, start]] as [[UInt8]] {
            var builder = Builder(host)
            builder.add(owner, 1, ttl: 1, [10, 0, 0, 1])
            #expect(reason(builder, host) == .badName)
        }
    }

    @Test func `data that end too early or too late have not the shape of their type`() {
        let service = DNSQuestion("_sip._udp.x", .srv)
        for data in [[0, 1, 0, 1, 19, 196], [0, 1, 0, 1, 19, 196, 1, 97, 0, 0], []] as [[UInt8]] {
            var builder = Builder(service)
            builder.add(Builder.asked, 33, ttl: 1, data)
            #expect(reason(builder, service) == .badRecord)
        }
        let pointer = DNSQuestion("x.example", .naptr)
        let start: [UInt8] = [0, 1, 0, 1] + Builder.text("s") + Builder.text("SIP+D2U")
        for data in [start, [0, 1, 0, 1, 200, 1, 1, 1, 1], start + [0, 0, 0], start + [9, 0]] as [[UInt8]] {
            var builder = Builder(pointer)
            builder.add(Builder.asked, 35, ttl: 1, data)
            #expect(reason(builder, pointer) == .badRecord)
        }
    }

    @Test func `every cut and a hundred thousand mutations end in an answer or an error`() {
        let question = DNSQuestion("x.example", .naptr)
        var builder = Builder(question)
        builder.add(Builder.asked, 5, ttl: 1, Builder.name("y.example"))
        var data: [UInt8] = [0, 1, 0, 1]
        for text in ["s", "SIP+D2U", ""] { data += Builder.text(text) }
        data += Builder.name("_sip._udp.x.example")
        builder.add(Builder.name("y.example"), 35, ttl: 5, data)
        let answersEnd = builder.bytes.count
        let soa: [UInt8] = Builder.name("ns.example") + Builder.name("a.example") + [UInt8](repeating: 1, count: 20)
        builder.add(Builder.name("example"), 6, ttl: 9, soa, section: 2)
        let whole = builder.bytes
        var answers = 0
        func read(_ bytes: [UInt8]) {
            do throws(DNSMessageError) {
                _ = try DNSMessage.answer(to: question, in: RawSpan(_elements: bytes.span))
                answers += 1
            } catch {
                #expect(error.offset <= 0x4000 + bytes.count)
            }
        }
        for end in 0...whole.count { read(Array(whole[..<end])) }
        // With records found nobody reads on: the authority says nothing that is needed.
        #expect(answers == whole.count - answersEnd + 1)
        var random = SplitMix(seed: 1035)
        for _ in 0..<100_000 {
            var bytes = whole
            for _ in 0...random.next(below: 4) {
                bytes[random.next(below: bytes.count)] = UInt8(random.next(below: 256))
            }
            read(bytes)
        }
        #expect(answers > 1_000)
    }
}

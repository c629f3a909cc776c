// Every stream is cut at once, byte by byte and two glued together; what is found must be the same.

import Foundation
import Primitives
import SIP
import Testing

/// What a framer finds, faults with the head that an answer would be made from.
private enum Found: Equatable, CustomStringConvertible {
    case message(String)
    case ping
    case pong
    case fault(StreamFault, head: String)

    var description: String {
        switch self {
        case .message(let text): "message(\(text.debugDescription))"
        case .ping: "ping"
        case .pong: "pong"
        case .fault(let fault, let head): "\(fault.reason), \(head.debugDescription)"
        }
    }
}

extension StreamFramer {
    fileprivate mutating func drain(into found: inout [Found]) {
        func text() -> String { withElement { String(decoding: [UInt8](copying: $0), as: UTF8.self) } }
        while true {
            do throws(StreamFault) {
                switch try next() {
                case .message: found.append(.message(text()))
                case .ping: found.append(.ping)
                case .pong: found.append(.pong)
                case nil: return
                }
            } catch {
                found.append(.fault(error, head: text()))
            }
        }
    }

    fileprivate mutating func append(_ bytes: ArraySlice<UInt8>) {
        let piece = Array(bytes)
        append(RawSpan(_elements: piece.span))
    }
}

/// Cuts in pieces of the given size.
private func cut(_ bytes: [UInt8], pieces: Int) -> [Found] {
    var framer = StreamFramer()
    var found: [Found] = []
    for start in stride(from: 0, to: bytes.count, by: pieces) {
        framer.append(bytes[start..<min(start + pieces, bytes.count)])
        framer.drain(into: &found)
    }
    return found
}

private func cut(_ text: String, pieces: Int = .max >> 1) -> [Found] { cut(Array(text.utf8), pieces: pieces) }

private let options = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
private let answer = "SIP/2.0 200 OK\r\nl:5\r\n\r\nhello"

/// A stream that is one message and nothing else.
private func whole(_ text: String) -> (String, [Found]) { (text, [.message(text)]) }

/// A stream that ends in a fault with this head.
private func broken(_ head: String, _ reason: StreamFault.Reason, rest: String = "") -> (String, [Found]) {
    (head + rest, [.fault(StreamFault(reason), head: head)])
}

@Suite("Stream framer, RFC 3261 §18.3")
struct StreamFramerTests {
    private static let limit = StreamFramer.messageLimit
    private static let headLimit = StreamFramer.headLimit

    private static func large(_ total: Int) -> String {
        let head = "MESSAGE sip:a SIP/2.0\r\nContent-Length: "
        let length = total - head.utf8.count - 4 - String(total).count
        return "\(head)\(length)\r\n\r\n" + String(repeating: "x", count: length)
    }

    private static func withHead(_ total: Int) -> String {
        let (start, end) = ("MESSAGE sip:a SIP/2.0\r\nSubject: ", "\r\nl: 0\r\n\r\n")
        return start + String(repeating: "s", count: total - start.utf8.count - end.utf8.count) + end
    }

    private static let sound: [(String, [Found])] = [
        (options, [.message(options)]),
        (answer, [.message(answer)]),
        (options + answer, [.message(options), .message(answer)]),
        ("\r\n" + options, [.pong, .message(options)]),
        ("\r\n\r\n", [.pong, .ping]),
        ("\r\n\r\n\r\n", [.pong, .ping, .pong]),
        ("\r\n\r\n\r\n\r\n" + answer, [.pong, .ping, .pong, .ping, .message(answer)]),
        (options + "\r\n\r\n" + answer, [.message(options), .pong, .ping, .message(answer)]),
        whole("A b SIP/2.0\r\ncONTENT-lENGTH : 1\r\n\r\nx"),
        whole("A b SIP/2.0\r\nL\t:\r\n  2\r\n\r\nxy"),
        whole("A b SIP/2.0\r\nSubject: x\r\n Content-Length: 9\r\nl: 0 \r\n\r\n"),
        whole("A b SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\nx"),
        ("A b SIP/2.0\nl: 1\n\nx\n", [.message("A b SIP/2.0\nl: 1\n\nx"), .pong]),
        whole("Content-Length: 7 SIP/2.0\r\nl: 0\r\n\r\n"),
        whole("A b SIP/2.0\r\nc: 3\r\nLength: 4\r\nl: 0\r\n\r\n"),
        whole(large(limit)),
        whole(withHead(headLimit)),
    ]

    private static let faulty: [(String, [Found])] = [
        broken("A b SIP/2.0\r\nTo: c\r\n\r\n", .missingContentLength),
        broken("A b SIP/2.0\r\nl: 1x\r\n\r\n", .malformedContentLength, rest: "A b SIP/2.0\r\nl: 0\r\n\r\n"),
        broken("A b SIP/2.0\r\nl:\r\n\r\n", .malformedContentLength),
        broken("A b SIP/2.0\r\nl: -1\r\n\r\n", .malformedContentLength),
        broken("A b SIP/2.0\r\nl: 4294967296\r\n\r\n", .malformedContentLength),
        broken("A b SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n", .contradictingContentLengths, rest: "xy"),
        ("\u{16}\u{3}\u{1}", [.fault(StreamFault(.notSIP), head: "")]),
        ("\rx", [.fault(StreamFault(.notSIP), head: "")]),
        (
            options + "x" + String(repeating: "y", count: headLimit),
            [.message(options), .fault(StreamFault(.headTooLarge(limit: headLimit)), head: "")]
        ),
        (withHead(headLimit + 1), [.fault(StreamFault(.headTooLarge(limit: headLimit)), head: "")]),
        (
            "A b SIP/2.0\r\nl: 65535\r\n\r\n" + String(repeating: "b", count: 65_535) + answer,
            [
                .fault(StreamFault(.messageTooLarge(limit: limit)), head: "A b SIP/2.0\r\nl: 65535\r\n\r\n"),
                .message(answer),
            ]
        ),
    ]

    @Test(arguments: 0..<sound.count, [1, 2, 3, 7, 1 << 20])
    func `what is found does not depend on how the bytes come`(row: Int, pieces: Int) {
        let (text, found) = Self.sound[row]
        #expect(cut(text, pieces: pieces) == found)
    }

    @Test(arguments: 0..<faulty.count, [1, 2, 3, 7, 1 << 20])
    func `a fault is found once, wherever the bytes are cut`(row: Int, pieces: Int) {
        let (text, found) = Self.faulty[row]
        #expect(cut(text, pieces: pieces) == found)
    }

    @Test(arguments: 0..<sound.count, 0..<sound.count)
    func `two streams glued together are their elements one after the other`(first: Int, second: Int) {
        let text = Self.sound[first].0 + Self.sound[second].0
        let whole = Self.sound[first].1 + Self.sound[second].1
        // An empty line at the end of the one and the first of the other make a ping.
        let endsAlone = Self.sound[first].1.last == .pong
        guard !endsAlone || Self.sound[second].1.first != .pong else { return }
        #expect(cut(text) == whole)
        #expect(cut(text, pieces: 1_000) == whole)
    }

    @Test func `only a message that is skipped lets the stream go on, and only what has a head is answered`() {
        let reasons: [StreamFault.Reason] = [
            .messageTooLarge(limit: 1), .headTooLarge(limit: 1), .missingContentLength, .malformedContentLength,
            .contradictingContentLengths, .notSIP,
        ]
        #expect(reasons.map { StreamFault($0).statusCode } == [513, nil, 400, 400, 400, nil])
        #expect(reasons.map { StreamFault($0).canGoOn } == [true, false, false, false, false, false])
    }

    @Test func `less than a message is held, and nothing after a fault that closes`() {
        var framer = StreamFramer()
        var found: [Found] = []
        let start = Array("A b SIP/2.0\r\nl: 65000\r\n\r\n".utf8)
        framer.append(start[...])
        framer.drain(into: &found)
        #expect(framer.isWithinMessage)
        for _ in 0..<65 {
            framer.append(ArraySlice(repeating: 0x62, count: 1_000))
            framer.drain(into: &found)
            #expect(framer.heldByteCount < StreamFramer.messageLimit)
        }
        #expect(found.count == 1)
        #expect(!framer.isWithinMessage && framer.heldByteCount == 0)

        // A skipped body is not held either.
        framer.append(Array("A b SIP/2.0\r\nl: 4000000000\r\n\r\n".utf8)[...])
        for _ in 0..<100 {
            framer.append(ArraySlice(repeating: 0x62, count: 1_000))
            framer.drain(into: &found)
            #expect(framer.heldByteCount == 0 && framer.isWithinMessage)
        }
        var other = StreamFramer()
        other.append([0x16])
        other.drain(into: &found)
        let held = other.heldByteCount
        other.append(ArraySlice(repeating: 0x62, count: 1_000))
        other.drain(into: &found)
        #expect(other.heldByteCount == held && !other.isWithinMessage)
    }

    @Test(.enabled(if: TestData.isPresent, "\(TestData.absence)"), arguments: [1, 113, 1 << 20])
    func `recorded streams are cut where their authors meant`(pieces: Int) throws {
        let wifi = try TestData.bytes("stream/lioneagle-sipparser.txt")
        let found = cut(wifi, pieces: pieces).filter { $0 != .pong && $0 != .ping }
        #expect(found.count == 26)
        for element in found {
            guard case .message(let text) = element else {
                Issue.record("\(element)")
                continue
            }
            let bytes = Array(text.utf8)
            var message = Message()
            #expect(throws: Never.self) { try message.load(RawSpan(_elements: bytes.span)) }
        }

        // 24 messages of the other file have no Content-Length: each would close its stream, so a new one follows it.
        var rest = try TestData.bytes("stream/generic.txt")
        var (messages, faults) = (0, 0)
        while !rest.isEmpty {
            var used = 0
            let stream = cut(rest, pieces: pieces)
            for element in stream {
                switch element {
                case .message(let text):
                    messages += 1
                    used += text.utf8.count
                case .fault(let fault, let head):
                    #expect(fault.reason == .missingContentLength)
                    faults += 1
                    used += head.utf8.count
                case .ping, .pong: used += 2  // One line end each.
                }
            }
            rest.removeFirst(used)
        }
        #expect(messages == 203 && faults == 24)
    }
}

@Suite("What is told about a stream's messages")
struct StreamAnswerTests {
    private let source = Endpoint(address: Address(ipv4: 0xC000_0201), port: 40_000, transport: .tcp)

    private func answer(_ reason: StreamFault.Reason, _ head: String) -> String {
        var (reader, out) = (Message(), ByteWriter())
        let bytes = Array(head.replacingLineFeeds().utf8)
        StreamAnswer.write(
            StreamFault(reason), head: RawSpan(_elements: bytes.span), source: source, reader: &reader, into: &out)
        return out.text
    }

    private let head = """
        INVITE sip:b SIP/2.0
        Via: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK1;rport
        From: <sip:a@b>;tag=1
        To: <sip:b@b>
        Call-ID: 1
        CSeq: 1 INVITE


        """

    @Test func `a request is told what is wrong with it`() {
        let text = answer(.missingContentLength, head)
        #expect(text.hasPrefix("SIP/2.0 400 Bad Request\r\n"))
        #expect(text.contains("Via: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK1;rport=40000;received=192.0.2.1\r\n"))
        #expect(text.hasSuffix("CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"))
        #expect(answer(.messageTooLarge(limit: 1), head).hasPrefix("SIP/2.0 513 "))
    }

    @Test func `responses, ACKs and what is no SIP are told nothing`() {
        #expect(answer(.missingContentLength, "SIP/2.0 200 OK\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\n\n") == "")
        #expect(answer(.missingContentLength, head.replacing("INVITE", with: "ACK")) == "")
        #expect(answer(.missingContentLength, "GET / HTTP/1.1\nHost: b\n\n") == "")
        #expect(answer(.headTooLarge(limit: 1), head) == "")
    }

    @Test(arguments: [
        (";branch=z9hG4bK1;alias", "10.0.0.1:5070", 5_070), (";Alias;branch=z9hG4bK1", "10.0.0.1", 5_060),
        (";branch=z9hG4bK1;aliases", "10.0.0.1:5070", nil), (";branch=alias", "10.0.0.1:5070", nil),
    ])
    func `alias offers the port of sent-by`(parameters: String, sentBy: String, port: Int?) {
        var reader = Message()
        let text = "OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/TCP \(sentBy)\(parameters)\nl: 0\n\n".replacingLineFeeds()
        let bytes = Array(text.utf8)
        let found = StreamAlias.port(of: RawSpan(_elements: bytes.span), reader: &reader)
        #expect(found.map(Int.init) == port)
    }
}

// SIP over WebSocket, RFC 7118, spoken by hand: the frames of RFC 6455 §5.2 are a few bytes each.

import Foundation
import NIOCore
import NIOSSL
import Nanomsg
import Primitives
import SIP
import Testing
import Transports

/// A browser's side of one WebSocket.
private struct Browser {
    enum Opcode: UInt8 { case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }

    struct Frame: Equatable {
        var opcode: UInt8
        var bytes: [UInt8]

        init(_ opcode: Opcode, _ text: String) {
            self.opcode = opcode.rawValue
            bytes = Array(text.utf8)
        }

        init(_ opcode: UInt8, _ bytes: [UInt8]) {
            self.opcode = opcode
            self.bytes = bytes
        }
    }

    let caller: Caller

    /// Asks for an upgrade.
    init(_ endpoint: Endpoint, subprotocol: String? = "sip", tls: NIOSSLContext? = nil) async throws {
        caller = try await Caller(endpoint, tls: tls)
        caller.send(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                + (subprotocol.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? "") + "\r\n")
    }

    /// The head of the answer to it, when it has come whole.
    var head: String? {
        caller.text.firstRange(of: "\r\n\r\n").map { String(caller.text[..<$0.lowerBound]) }
    }

    func waitForHead() -> Bool { Loopback.wait(seconds: 20) { head != nil } }

    /// The frames that came behind the head.
    var frames: [Frame] {
        let bytes = caller.bytes
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound else { return [] }
        var rest = bytes[end...]
        var frames: [Frame] = []
        while rest.count >= 2 {
            let start = rest.startIndex
            var length = Int(rest[start + 1] & 0x7F)
            var offset = 2
            if length == 126 {
                guard rest.count >= 4 else { break }
                length = Int(rest[start + 2]) << 8 | Int(rest[start + 3])
                offset = 4
            }
            guard rest.count >= offset + length else { break }
            frames.append(Frame(rest[start] & 0x0F, Array(rest[(start + offset)..<(start + offset + length)])))
            rest = rest[(start + offset + length)...]
        }
        return frames
    }

    func wait(for frames: [Frame]) -> Bool { Loopback.wait(seconds: 20) { self.frames == frames } }

    static func frame(_ opcode: UInt8, _ bytes: [UInt8], fin: Bool = true, masked: Bool = true) -> [UInt8] {
        var frame = [(fin ? 0x80 : 0) | opcode]
        let bit: UInt8 = masked ? 0x80 : 0
        switch bytes.count {
        case ..<126: frame.append(bit | UInt8(bytes.count))
        case ..<65_536: frame += [bit | 126, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)]
        default: frame += [bit | 127] + (0..<8).map { UInt8(bytes.count >> ((7 - $0) * 8) & 0xFF) }
        }
        guard masked else { return frame + bytes }
        let mask: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        return frame + mask + bytes.enumerated().map { $0.element ^ mask[$0.offset & 3] }
    }

    func send(_ opcode: Opcode, _ text: String, fin: Bool = true, masked: Bool = true) {
        caller.send(Self.frame(opcode.rawValue, Array(text.utf8), fin: fin, masked: masked))
    }
}

@Suite("SIP over WebSocket, RFC 7118", .serialized)
struct WebSocketTests {
    private let local = Sample.tcp(1, 0, .ws)

    private func open(_ desk: StreamDesk) async throws -> Browser {
        let browser = try await Browser(desk.endpoint)
        #expect(browser.waitForHead())
        #expect(browser.head?.hasPrefix("HTTP/1.1 101 ") == true)
        return browser
    }

    @Test func `the subprotocol sip is agreed on, and messages go both ways`() async throws {
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        #expect(browser.head?.lowercased().contains("sec-websocket-protocol: sip") == true)
        #expect(browser.head?.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == true, "RFC 6455 §1.3")
        browser.send(.text, Sample.options())
        #expect(desk.waitForMessages(1))
        guard case .message(let text, let from, _, let flow) = try #require(desk.seen.first) else {
            Issue.record("it is something else")
            return
        }
        #expect(text == Sample.options() && from.transport == .ws && from.port == browser.caller.local.port)
        desk.send(Sample.answer, to: from, flow: flow)
        desk.send(Sample.options(2), to: from)
        #expect(browser.wait(for: [.init(.text, Sample.answer), .init(.text, Sample.options(2))]))
        await desk.service.stop()
    }

    @Test(.enabled(if: Identity.openssl != nil, "\(Identity.absence)"), arguments: [false, true])
    func `the same over TLS, in both families`(isIPv6: Bool) async throws {
        let local =
            isIPv6 ? Endpoint(address: Address(high: 0, low: 1), port: 0, transport: .wss) : Sample.tcp(1, 0, .wss)
        guard !isIPv6 || HostAddresses.current().contains(local.address) else {
            try Test.cancel("no IPv6 on loopback")
        }
        let identity = try Identity(try Identity.folder(), "here", names: Identity.ownAddresses)
        let desk = try await StreamDesk([local]) { $0.tls = identity.files }
        let browser = try await Browser(desk.endpoint, tls: identity.client())
        #expect(browser.waitForHead())
        browser.send(.text, Sample.options())
        #expect(desk.waitForMessages(1))
        guard case .message(_, let from, _, let flow) = try #require(desk.seen.first) else {
            Issue.record("it is something else")
            return
        }
        #expect(from.transport == .wss)
        desk.send(Sample.answer, to: from, flow: flow)
        #expect(browser.wait(for: [.init(.text, Sample.answer)]))
        await desk.service.stop()
    }

    @Test func `IPv6 is served like IPv4`() async throws {
        let local = Endpoint(address: Address(high: 0, low: 1), port: 0, transport: .ws)
        guard HostAddresses.current().contains(local.address) else { try Test.cancel("no IPv6 on loopback") }
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        browser.send(.text, Sample.options())
        #expect(desk.waitForMessages(1))
        await desk.service.stop()
    }

    @Test(arguments: [nil, "xmpp", "soap, wamp"])
    func `another subprotocol, or none, is refused with 426`(subprotocol: String?) async throws {
        let desk = try await StreamDesk([local])
        let browser = try await Browser(desk.endpoint, subprotocol: subprotocol)
        #expect(browser.caller.waitUntilClosed())
        #expect(browser.head?.hasPrefix("HTTP/1.1 426 ") == true)
        let list = try await Browser(desk.endpoint, subprotocol: "xmpp, sip")
        #expect(list.waitForHead() && list.head?.hasPrefix("HTTP/1.1 101 ") == true)
        let plain = try await Caller(desk.endpoint)
        plain.send(Sample.options())
        #expect(plain.waitUntilClosed(), "SIP is no HTTP")
        #expect(await desk.waitForCounters { $0.upgradesRefused == 2 && $0.connections == 1 })
        desk.look()
        #expect(desk.messages.isEmpty)
        await desk.service.stop()
    }

    @Test func `fragments are one message, control frames may stand between them`() async throws {
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        let text = Sample.options(1, body: "abc")
        browser.send(.text, String(text.prefix(10)), fin: false)
        browser.send(.ping, "are you there")
        browser.send(.continuation, String(text.dropFirst(10).prefix(20)), fin: false)
        browser.send(.continuation, String(text.dropFirst(30)))
        #expect(desk.waitForMessages(1))
        #expect(desk.messages == [text])
        #expect(browser.wait(for: [.init(.pong, "are you there")]))
        #expect(await desk.service.counters().pings == 1)
        await desk.service.stop()
    }

    @Test func `who sends binary is sent binary, and what is no UTF-8 always is`() async throws {
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        browser.send(.text, Sample.options(1))
        #expect(desk.waitForMessages(1))
        let flow = desk.flow
        let odd: [UInt8] = Array(Sample.answer.utf8) + [0xFF, 0xFE]
        desk.service.send(
            [Datagram(range: ByteRange(odd), to: local, from: ListenerID(rawValue: 0), flow: flow)], of: odd
        ) { _ in }
        #expect(browser.wait(for: [Browser.Frame(2, odd)]))
        browser.send(.binary, Sample.options(2))
        #expect(desk.waitForMessages(2))
        desk.send(Sample.answer, to: local, flow: flow)
        #expect(browser.wait(for: [Browser.Frame(2, odd), .init(.binary, Sample.answer)]))
        await desk.service.stop()
    }

    @Test func `two empty lines are answered by one`() async throws {
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        browser.send(.text, "\r\n\r\n")
        browser.send(.text, "\r\n")
        browser.send(.text, "")
        #expect(browser.wait(for: [.init(.text, "\r\n")]))
        browser.send(.text, Sample.options())
        #expect(desk.waitForMessages(1))
        #expect(desk.messages == [Sample.options()])
        #expect(browser.frames.count == 1)
        await desk.service.stop()
    }

    @Test func `a close is answered, and the connection ends`() async throws {
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        browser.caller.send(
            Browser.frame(1, Array(Sample.options().utf8)) + Browser.frame(8, [0x03, 0xE8] + Array("bye".utf8)))
        #expect(browser.caller.waitUntilClosed())
        #expect(browser.frames == [Browser.Frame(8, [0x03, 0xE8])])
        #expect(desk.wait { $0.seen.count == 2 })
        #expect(desk.messages == [Sample.options()])
        #expect(desk.seen.last == .closed(desk.flow))
        await desk.service.stop()
    }

    private static let violations: [(bytes: [UInt8], code: UInt16)] = [
        (Browser.frame(1, Array(Sample.answer.utf8), masked: false), 1_002),
        (Browser.frame(0, [0x61]), 1_002),
        (Browser.frame(1, [0x61], fin: false) + Browser.frame(1, [0x62]), 1_002),
        (Browser.frame(3, [0x61]), 1_002),
        (Browser.frame(1, [UInt8](repeating: 0x61, count: 65_536)), 1_009),
        (
            Browser.frame(1, [UInt8](repeating: 0x61, count: 65_000), fin: false)
                + Browser.frame(0, [UInt8](repeating: 0x61, count: 536)), 1_009
        ),
    ]

    @Test(arguments: violations.indices)
    func `a peer that breaks the protocol is told why and cut off`(row: Int) async throws {
        let (bytes, code) = Self.violations[row]
        let desk = try await StreamDesk([local])
        let browser = try await open(desk)
        browser.caller.send(bytes)
        #expect(browser.caller.waitUntilClosed())
        #expect(browser.frames == [Browser.Frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)])])
        #expect(await desk.waitForCounters { $0.webSocketViolations == 1 && $0.connections == 0 })
        desk.look()
        #expect(desk.messages.isEmpty)
        await desk.service.stop()
    }

    @Test func `an upgrade, a frame and a message must each come in time`() async throws {
        let desk = try await StreamDesk([local]) { $0.messageTimeout = .seconds(2) }
        let mute = try await Caller(desk.endpoint)
        let browser = try await open(desk)
        browser.caller.send(Array(Browser.frame(1, Array(Sample.options().utf8)).prefix(12)))
        let fragments = try await open(desk)
        fragments.send(.text, "OPTIONS", fin: false)
        let idle = try await open(desk)
        #expect(mute.waitUntilClosed())
        #expect(browser.caller.waitUntilClosed() && fragments.caller.waitUntilClosed())
        #expect(await desk.waitForCounters { $0.openingsTimedOut == 1 && $0.slowClosed == 2 })
        #expect(!idle.caller.isClosed)
        await desk.service.stop()
    }
}

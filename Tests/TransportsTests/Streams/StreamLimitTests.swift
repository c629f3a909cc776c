// Every limit of the stream service is reached once.

import NIOCore
import NIOPosix
import Nanomsg
import Primitives
import SIP
import Testing
import Transports

@Suite("Limits of the stream service", .serialized)
struct StreamLimitTests {
    @Test func `connections in all`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)]) { $0.connectionLimit = 2 }
        let first = try await Caller(desk.endpoint)
        let second = try await Caller(desk.endpoint)
        #expect(await desk.waitForCounters { $0.accepted == 2 })
        let third = try await Caller(desk.endpoint)
        #expect(third.waitUntilClosed())
        desk.send(Sample.options(), to: Sample.tcp(2, 5_997), token: 3)
        #expect(desk.wait { $0.seen.contains(.failed(Sample.tcp(2, 5_997), token: 3)) })
        #expect(await desk.service.counters().refusedAtLimit == 2)
        first.close()
        #expect(await desk.waitForCounters { $0.connections == 1 })
        let fourth = try await Caller(desk.endpoint)
        fourth.send(Sample.options())
        #expect(desk.waitForMessages(1))
        #expect(!second.isClosed)
        await desk.service.stop()
    }

    @Test func `connections from one address, unless it stands for many`() async throws {
        let balancer = Loopback.endpoint(3, 0).address
        let desk = try await StreamDesk([Sample.tcp(1)]) {
            $0.connectionsPerSource = 1
            $0.exemptSources = [balancer]
        }
        let first = try await Caller(desk.endpoint, host: 2)
        #expect(await desk.waitForCounters { $0.accepted == 1 })
        let second = try await Caller(desk.endpoint, host: 2)
        #expect(second.waitUntilClosed())
        let elsewhere = try await Caller(desk.endpoint, host: 4)
        let behind = try await Caller(desk.endpoint, host: 3)
        let alsoBehind = try await Caller(desk.endpoint, host: 3)
        #expect(await desk.waitForCounters { $0.accepted == 4 && $0.refusedAtSourceLimit == 1 })
        first.close()
        #expect(await desk.waitForCounters { $0.connections == 3 })
        let third = try await Caller(desk.endpoint, host: 2)
        #expect(await desk.waitForCounters { $0.accepted == 5 })
        for caller in [elsewhere, behind, alsoBehind, third] { #expect(!caller.isClosed) }
        await desk.service.stop()
    }

    @Test func `idle time, which keep-alives put off`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)]) { $0.idleTimeout = .seconds(1) }
        let silent = try await Caller(desk.endpoint)
        let alive = try await Caller(desk.endpoint)
        let isOver = Loopback.wait(seconds: 10) {
            alive.send("\r\n\r\n")
            return silent.isClosed
        }
        #expect(isOver && !alive.isClosed)
        #expect(alive.waitUntilClosed())
        #expect(await desk.service.counters().idleClosed == 2)
        await desk.service.stop()
    }

    @Test func `the time a message may take, however steadily its bytes come`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)]) { $0.messageTimeout = .seconds(1) }
        let slow = try await Caller(desk.endpoint)
        let steady = try await Caller(desk.endpoint)
        // Many messages one after the other, each in time, may take as long as they like.
        let patient = try await Caller(desk.endpoint)
        steady.send(Sample.options(1) + Sample.options(2).prefix(20))
        let text = Array(Sample.options(3).utf8)
        var (count, rest) = (0, text[...])
        // The pauses are what is tried: bytes that come steadily, and too slowly.
        for byte in text where !slow.isClosed {
            slow.send([byte])
            patient.send(Array(rest.prefix(30)))
            Loopback.pause(milliseconds: 15)
            patient.send(Array(rest.dropFirst(30)) + text.prefix(10))
            rest = text.dropFirst(10)
            count += 1
            Loopback.pause(milliseconds: 15)
        }
        #expect(slow.waitUntilClosed())
        #expect(steady.waitUntilClosed(), "half a message behind a whole one")
        patient.send(Array(rest))
        #expect(desk.waitForMessages(count + 2))
        #expect(desk.messages.count { $0 == Sample.options(1) } == 1)
        #expect(desk.messages.count { $0 == Sample.options(3) } == count + 1 && !patient.isClosed)
        #expect(await desk.service.counters().slowClosed == 2)
        await desk.service.stop()
    }

    @Test func `bytes that wait for a peer that does not read`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)]) { $0.writeLimit = 100_000 }
        let caller = try await Caller(desk.endpoint, reads: false)
        caller.send(Sample.options())
        #expect(desk.waitForMessages(1))
        let large = Sample.options(1, body: String(repeating: "x", count: 60_000))
        for token in 1...400 as ClosedRange<UInt64> {
            desk.send(large, to: Sample.tcp(2, 0), flow: desk.flow, token: token)
        }
        #expect(desk.wait { $0.seen.contains { if case .closed = $0 { true } else { false } } })
        let counters = await desk.service.counters()
        #expect(counters.backlogClosed == 1)
        let failures = desk.seen.count { if case .failed = $0 { true } else { false } }
        #expect(failures > 0)
        #expect(await desk.waitForCounters { $0.messagesSent + $0.sendsFailed == 400 })
        await desk.service.stop()
    }

    @Test func `events that wait for the SIP thread`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let caller = try await Caller(desk.endpoint)
        let large = Array(Sample.options(1, body: String(repeating: "x", count: 64_000)).utf8)
        // Nobody takes them, so that at 16 MiB there is no room.
        for _ in 0..<(StreamInbox.byteLimit / 64_000 + 2) { caller.send(large) }
        #expect(caller.waitUntilClosed())
        #expect(await desk.waitForCounters { $0.inboxClosed == 1 && $0.connections == 0 })
        desk.look()
        #expect(desk.messages.count * 64_000 <= StreamInbox.byteLimit && desk.messages.count > 200)
        let next = try await Caller(desk.endpoint)
        next.send(Sample.options())
        let count = desk.messages.count
        #expect(desk.waitForMessages(count + 1))
        await desk.service.stop()
    }

    @Test func `messages that wait for the event loop are refused at the limit`() async throws {
        let desk = try await StreamDesk([Sample.tcp(1)])
        let bytes = [UInt8](repeating: 0x61, count: 65_000)
        let datagram = Datagram(
            range: ByteRange(bytes), to: Sample.tcp(2, 5_996), from: ListenerID(rawValue: 0), token: 1)
        var refused = 0
        // In one batch, so that the event loop cannot keep up with it.
        desk.service.send([Datagram](repeating: datagram, count: 300), of: bytes) { _ in refused += 1 }
        #expect(refused == 300 - (16 << 20) / 65_000)
        await desk.service.stop()
    }

    @Test func `a connection that is never opened is given up`() async throws {
        // TLS to somebody who accepts and says nothing.
        let mute = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: Loopback.host(2), port: 0).get()
        guard Identity.openssl != nil else { try Test.cancel(Comment(rawValue: Identity.absence)) }
        let folder = try Identity.folder()
        let identity = try Identity(folder, "near", names: Identity.ownAddresses)
        let desk = try await StreamDesk([Sample.tcp(1, 0, .tls)]) {
            $0.tls = identity.files
            $0.connectTimeout = .milliseconds(200)
            $0.messageTimeout = .milliseconds(200)
        }
        let target = Sample.tcp(2, UInt16(mute.localAddress?.port ?? 0), .tls)
        desk.send(Sample.options(), to: target, token: 1)
        #expect(desk.wait { $0.seen.contains(.failed(target, token: 1)) })
        // The other way round: somebody connects and does not shake hands.
        let silent = try await Caller(desk.endpoint)
        #expect(silent.waitUntilClosed())
        #expect(await desk.waitForCounters { $0.openingsTimedOut == 2 && $0.connections == 0 })
        await desk.service.stop()
        try await mute.close()
    }
}

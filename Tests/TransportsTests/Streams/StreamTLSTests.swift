// TLS in both directions, with certificates made for the test.

import Foundation
import NIOCore
import Nanomsg
import Node
import Primitives
import SIP
import Testing
import Transports

@Suite(
    "TLS of the stream service", .serialized, .enabled(if: Identity.openssl != nil, "\(Identity.absence)"))
struct StreamTLSTests {
    private let folder: URL
    private let here: Identity
    private let far: Identity

    init() throws {
        folder = try Identity.folder()
        here = try Identity(folder, "here", names: Identity.ownAddresses)
        far = try Identity(folder, "far", names: ["DNS:sip.example.org"])
    }

    private func desk(
        _ endpoint: Endpoint = Sample.tcp(1, 0, .tls), _ files: TLSFiles? = nil
    ) async throws -> StreamDesk {
        try await StreamDesk([endpoint]) { $0.tls = files ?? here.files }
    }

    @Test(arguments: [false, true])
    func `a message comes in by TLS, and its answer goes back`(isIPv6: Bool) async throws {
        let local =
            isIPv6 ? Endpoint(address: Address(high: 0, low: 1), port: 0, transport: .tls) : Sample.tcp(1, 0, .tls)
        guard !isIPv6 || HostAddresses.current().contains(local.address) else {
            try Test.cancel("no IPv6 on loopback")
        }
        let desk = try await desk(local)
        let caller = try await Caller(desk.endpoint, tls: here.client())
        caller.send(Sample.options() + "\r\n\r\n")
        #expect(desk.waitForMessages(1))
        guard case .message(_, let from, _, _) = try #require(desk.seen.first) else {
            Issue.record("it is something else")
            return
        }
        #expect(from.transport == .tls && from.port == caller.local.port)
        #expect(caller.wait(for: "\r\n"))
        desk.send(Sample.answer, to: from, flow: desk.flow)
        #expect(caller.wait(for: "\r\n" + Sample.answer))
        await desk.service.stop()
    }

    @Test func `whoever speaks no TLS gets nothing through`() async throws {
        let desk = try await desk()
        let plain = try await Caller(desk.endpoint)
        plain.send(Sample.options())
        #expect(plain.waitUntilClosed())
        #expect(await desk.waitForCounters { $0.tlsFailures == 1 && $0.connections == 0 })
        desk.look()
        #expect(desk.messages.isEmpty)
        await desk.service.stop()
    }

    @Test func `with verify-client only certificates of the authorities are let in`() async throws {
        var files = here.files
        files.authorities = far.certificate
        files.verifiesClients = true
        let desk = try await desk(files: files)
        let nameless = try await Caller(desk.endpoint, tls: here.client())
        nameless.send(Sample.options(1))
        let wrong = try await Caller(desk.endpoint, tls: here.client(showing: here))
        wrong.send(Sample.options(2))
        #expect(nameless.waitUntilClosed() && wrong.waitUntilClosed())
        let good = try await Caller(desk.endpoint, tls: here.client(showing: far))
        good.send(Sample.options(3))
        #expect(desk.waitForMessages(1))
        #expect(desk.messages == [Sample.options(3)])
        #expect(await desk.service.counters().tlsFailures == 2)
        await desk.service.stop()
    }

    private func desk(files: TLSFiles) async throws -> StreamDesk { try await desk(Sample.tcp(1, 0, .tls), files) }

    @Test func `a server is asked by its name and must show it; one without a name, its address`() async throws {
        let near = try await desk()  // Trusts itself only.
        var trusting = here.files
        trusting.authorities = try bundle([here, far])
        let sender = try await desk(Sample.tcp(3, 0, .tls), trusting)
        let named = try await desk(Sample.tcp(2, 0, .tls), far.files)

        sender.send(Sample.options(1), to: near.endpoint)
        #expect(near.waitForMessages(1))
        // Its certificate is good and names somebody: not the address that was called.
        sender.send(Sample.options(2), to: named.endpoint, token: 2)
        #expect(sender.wait { $0.seen.contains(.failed(named.endpoint, token: 2)) })
        sender.send(Sample.options(3), to: named.endpoint, named: "sip.example.org", token: 3)
        #expect(named.waitForMessages(1))
        #expect(named.messages == [Sample.options(3)])
        // A stranger's certificate is not good at all.
        near.send(Sample.options(4), to: named.endpoint, named: "sip.example.org", token: 4)
        #expect(near.wait { $0.seen.contains(.failed(named.endpoint, token: 4)) })
        #expect(await near.service.counters().tlsFailures == 1)
        for desk in [near, sender, named] { await desk.service.stop() }
    }

    @Test func `whoever asks for a further name is shown its certificate, everybody else the first`() async throws {
        let wild = try Identity(folder, "wild", names: ["DNS:*.example.net"])
        var files = here.files
        files.hosts = [
            TLSHost(name: "sip.example.org", certificateFile: far.certificate, keyFile: far.key),
            TLSHost(name: "*.example.net", certificateFile: wild.certificate, keyFile: wild.key),
        ]
        let desk = try await desk(files: files)
        let asked: [(Identity, String?, Bool)] = [
            (far, "sip.example.org", true), (far, "SIP.Example.ORG", true), (wild, "a.example.net", true),
            (wild, "a.b.example.net", false), (far, "other.example.org", false), (here, nil, true), (far, nil, false),
        ]
        for (number, (identity, name, isShown)) in asked.enumerated() {
            let caller = try await Caller(desk.endpoint, tls: identity.client(), name: name)
            caller.send(Sample.options(number))
            if isShown {
                #expect(desk.wait { $0.messages.contains(Sample.options(number)) }, "\(name ?? "nobody")")
            } else {
                #expect(caller.waitUntilClosed(), "\(name ?? "nobody")")
            }
        }
        // What cannot be used is told, and what is there stays.
        files.hosts[1].keyFile = far.key
        let error = await #expect(throws: StreamError.self) { _ = try await self.desk(files: files) }
        #expect(error?.description.contains(far.key) == true)
        await desk.service.stop()
    }

    private func bundle(_ identities: [Identity]) throws -> String {
        let path = folder.appending(path: "bundle.pem").path
        let text = try identities.map { try String(contentsOfFile: $0.certificate, encoding: .utf8) }.joined()
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func `certificates are read again while connections go on`() async throws {
        let files = here.files
        let desk = try await desk(files: files)
        let before = try await Caller(desk.endpoint, tls: here.client())
        before.send(Sample.options(1))
        #expect(desk.waitForMessages(1))

        let next = try Identity(folder, "next", names: Identity.ownAddresses)
        let early = try await Caller(desk.endpoint, tls: next.client())
        early.send(Sample.options(2))
        #expect(early.waitUntilClosed(), "the new certificate is not shown yet")

        let oldContext = try here.client()
        for (new, old) in [(next.certificate, here.certificate), (next.key, here.key)] {
            try FileManager.default.removeItem(atPath: old)
            try FileManager.default.copyItem(atPath: new, toPath: old)
        }
        try await desk.service.reloadCertificates()
        let after = try await Caller(desk.endpoint, tls: next.client())
        after.send(Sample.options(3))
        #expect(desk.waitForMessages(2))
        before.send(Sample.options(4))
        #expect(desk.waitForMessages(3))
        #expect(desk.messages == [Sample.options(1), Sample.options(3), Sample.options(4)])
        let late = try await Caller(desk.endpoint, tls: oldContext)
        late.send(Sample.options(5))
        #expect(late.waitUntilClosed(), "the old certificate is not shown any more")

        // What cannot be read changes nothing.
        try "no certificate".write(toFile: here.certificate, atomically: true, encoding: .utf8)
        await #expect(throws: StreamError.self) { try await desk.service.reloadCertificates() }
        let still = try await Caller(desk.endpoint, tls: next.client())
        still.send(Sample.options(6))
        #expect(desk.waitForMessages(4))
        #expect(await desk.service.counters().certificateReloads == 1)
        await desk.service.stop()
    }

    @Test func `files that cannot be used are errors that name the file`() async throws {
        var files = here.files
        files.certificate = folder.appending(path: "absent.pem").path
        await #expect(throws: StreamError.self) { _ = try await desk(files: files) }
        var mixed = here.files
        mixed.key = far.key
        let error = await #expect(throws: StreamError.self) { _ = try await desk(files: mixed) }
        #expect(error?.description.contains(far.key) == true)
        #expect(error?.isAboutTLS == true)
        var empty = here.files
        empty.authorities = folder.appending(path: "none.pem").path
        let second = await #expect(throws: StreamError.self) { _ = try await desk(files: empty) }
        #expect(second?.description.contains("none.pem") == true)
    }
}

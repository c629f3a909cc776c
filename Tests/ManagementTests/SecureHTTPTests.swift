// Management by TLS: who is believed, what is shown, and that a renewed certificate needs no restart.

import Foundation
import Management
import Node
import Testing

@Suite("Management by TLS", .enabled(if: SelfSigned.openssl != nil, "\(SelfSigned.absence)"))
struct SecureHTTPTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "understudy-https-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func serve(_ keys: ServerKeys?, _ body: (_ url: String) async throws -> Void) async throws {
        let service = ManagementService(node: FakeNode("n1", []), settings: ManagementSettings(), unixSeconds: { 0 })
        let server = HTTPServer(service: service, address: "127.0.0.1", port: 0, keys: keys)
        let (ports, port) = AsyncStream<Int>.makeStream()
        let serving = Task { try await server.run { port.yield($0) } }
        var iterator = ports.makeAsyncIterator()
        let bound = try #require(await iterator.next())
        try await body("127.0.0.1:\(bound)")
        serving.cancel()
        _ = await serving.result
    }

    private func name(_ url: String, trusting file: String) async throws -> JSONValue? {
        let client = try RPCClient(
            "https://\(url)", authorities: try TrustedAuthorities(file: file), timeout: .seconds(60))
        return try await client.call("cluster.status", [])["node"]
    }

    @Test func `a node is asked by TLS, by those who know its authority; anybody else is told why not`() async throws {
        let own = try SelfSigned(folder, "own", names: ["IP:127.0.0.1"])
        let stranger = try SelfSigned(folder, "stranger", names: ["IP:127.0.0.1"])
        let keys = try ServerKeys(certificateFile: own.certificate, keyFile: own.key)
        try await serve(keys) { url in
            #expect(try await name(url, trusting: own.certificate) == "n1")
            for authorities in [TrustedAuthorities.system, try TrustedAuthorities(file: stranger.certificate)] {
                let client = try RPCClient("https://\(url)", authorities: authorities)
                let error = await #expect(throws: ClientError.self) { try await client.call("cluster.status", []) }
                #expect(error?.description.contains("not one that is trusted here for 127.0.0.1") == true)
            }
            let plain = try RPCClient("http://\(url)")
            let error = await #expect(throws: ClientError.self) { try await plain.call("cluster.status", []) }
            #expect(error?.description.contains("speak") == true || error?.description.contains("lost") == true)
        }
    }

    @Test func `a certificate of another name is not believed`() async throws {
        let other = try SelfSigned(folder, "other", names: ["IP:127.0.0.2", "DNS:n1.example.org"])
        try await serve(try ServerKeys(certificateFile: other.certificate, keyFile: other.key)) { url in
            let error = await #expect(throws: ClientError.self) { try await name(url, trusting: other.certificate) }
            #expect(error?.description.contains("not one that is trusted here for 127.0.0.1") == true)
        }
    }

    @Test func `https to a node without TLS is told`() async throws {
        let own = try SelfSigned(folder, "own", names: ["IP:127.0.0.1"])
        try await serve(nil) { url in
            await #expect(throws: ClientError.noTLS(url: "https://\(url)")) {
                try await name(url, trusting: own.certificate)
            }
        }
    }

    @Test func `a renewed certificate is shown after it was read again, one that cannot be used never is`() async throws
    {
        let first = try SelfSigned(folder, "shown", names: ["IP:127.0.0.1"])
        let keys = try ServerKeys(certificateFile: first.certificate, keyFile: first.key)
        let kept = folder.appending(path: "first.pem").path
        try FileManager.default.copyItem(atPath: first.certificate, toPath: kept)
        try await serve(keys) { url in
            #expect(try await name(url, trusting: kept) == "n1")
            let renewed = try SelfSigned(folder, "shown", names: ["IP:127.0.0.1"])
            #expect(renewed.certificate == first.certificate)
            #expect(try await name(url, trusting: kept) == "n1", "not read again yet")
            try keys.readAgain()
            #expect(try await name(url, trusting: renewed.certificate) == "n1")
            await #expect(throws: ClientError.self) { try await name(url, trusting: kept) }
            let good = folder.appending(path: "good.pem").path
            try FileManager.default.copyItem(atPath: renewed.certificate, toPath: good)
            try Data("-----BEGIN".utf8).write(to: URL(fileURLWithPath: renewed.certificate))
            #expect(throws: HTTPServerError.self) { try keys.readAgain() }
            #expect(try await name(url, trusting: good) == "n1")
        }
    }

    @Test func `files that do not belong together, or are none, are refused`() throws {
        let one = try SelfSigned(folder, "one", names: ["IP:127.0.0.1"])
        let two = try SelfSigned(folder, "two", names: ["IP:127.0.0.1"])
        for (certificate, key) in [(one.certificate, two.key), (one.key, one.certificate), ("/nope", one.key)] {
            #expect(throws: HTTPServerError.self) { _ = try ServerKeys(certificateFile: certificate, keyFile: key) }
        }
        #expect(throws: ClientError.badAuthorities(one.key)) { _ = try TrustedAuthorities(file: one.key) }
        #expect(throws: ClientError.badAuthorities("/nope")) { _ = try TrustedAuthorities(file: "/nope") }
    }
}

/// A certificate that is its own authority, made by openssl.
struct SelfSigned {
    static let absence = "skipped: openssl is not installed, so there are no certificates"
    static let openssl = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let certificate: String
    let key: String

    init(_ folder: URL, _ name: String, names: [String]) throws {
        certificate = folder.appending(path: "\(name).pem").path
        key = folder.appending(path: "\(name).key").path
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.openssl))
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(names.joined(separator: ","))", "-keyout", key,
            "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}

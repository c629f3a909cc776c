// Secrets that only root may read reach a node as credentials of its service.

import Management
import Node
import Testing

@Suite("Credentials of the service")
struct CredentialTests {
    private static let yaml = """
        node: {name: n1}
        sip:
          listen: [udp://127.0.0.1:5060, tls://127.0.0.1:5061]
          tls: {certificate-file: /etc/understudy/sip.pem, key-file: /etc/understudy/sip.key}
        cluster: {bus: "tcp://192.0.2.11:7400", peers: ["tcp://192.0.2.12:7400"], key-file: /etc/understudy/cluster.key}
        management: {http: "192.0.2.11:8080", token-file: /etc/understudy/token, insecure: true}
        """

    private func load(
        _ files: [String: String], environment: [String: String] = ["CREDENTIALS_DIRECTORY": "/run/credentials/u"]
    ) -> SettingsLoader.Loaded {
        SettingsLoader(
            file: Array(Self.yaml.utf8), environment: environment, overrides: [],
            readFile: { path throws(SettingsLoader.Unreadable) in
                guard let text = files[path] else { throw SettingsLoader.Unreadable(reason: "permission denied") }
                return Array(text.utf8)
            }
        ).load()
    }

    @Test func `a file that may not be read is taken from a folder of credentials, or by its own name`() {
        let loaded = load([
            "/etc/understudy/sip.pem": "certificate",
            "/run/credentials/u/understudy_sip.key": "key",
            "/run/credentials/u/understudy_cluster.key": "0123456789abcdef\n",
            "/run/credentials/u/token": "fedcba9876543210\n",
        ])
        #expect(loaded.problems == [])
        #expect(loaded.settings.cluster.key == Secret(Array("0123456789abcdef".utf8)))
        #expect(loaded.settings.management.token == Secret(Array("fedcba9876543210".utf8)))
        #expect(loaded.settings.sip.streams.certificateFile == "/etc/understudy/sip.pem")
        #expect(loaded.settings.sip.streams.keyFile == "/run/credentials/u/understudy_sip.key")
    }

    @Test func `the file itself comes first, so that a reload finds it renewed`() {
        var files = ["sip.pem": "a", "sip.key": "b", "cluster.key": "0123456789abcdef", "token": "fedcba9876543210"]
        files = Dictionary(uniqueKeysWithValues: files.map { ("/etc/understudy/\($0)", $1) })
        files["/run/credentials/u/understudy_cluster.key"] = "of the start, not now"
        let loaded = load(files)
        #expect(loaded.problems == [])
        #expect(loaded.settings.cluster.key == Secret(Array("0123456789abcdef".utf8)))
        #expect(loaded.settings.cluster.keyFile == "/etc/understudy/cluster.key")
    }

    @Test(arguments: [["CREDENTIALS_DIRECTORY": "/run/credentials/u"], ["CREDENTIALS_DIRECTORY": ""], [:]])
    func `what is nowhere is told by the name that was configured`(environment: [String: String]) {
        let loaded = load(["/etc/understudy/sip.pem": "certificate"], environment: environment)
        let told = loaded.problems.filter { $0.message.contains("cannot be read") }.map(\.description)
        #expect(told.count == 3)
        #expect(told.allSatisfy { $0.contains("/etc/understudy/") && !$0.contains("/run/") })
    }
}

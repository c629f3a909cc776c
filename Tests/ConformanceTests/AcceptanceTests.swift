// The acceptance cases, in small, from `swift test`: real nodes, a real Kamailio, telephones on real sockets.
//
// Each test runs one case of `Deploy/acceptance … --quick` as a process and wants exit 0; what the case printed is the
// failure's message. They run one after another, because every case starts its cluster on the same addresses. Where a
// program that they need is missing they are skipped, and say which.

import Foundation
import Testing

/// What the cases need and where it is.
enum Ground {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func isExecutable(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

    static func find(_ program: String) -> String? {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first(where: isExecutable)
    }

    /// The node's binary: ACCEPTANCE_BINARY, else the release build, else the debug build.
    static let binary: String? = {
        if let given = ProcessInfo.processInfo.environment["ACCEPTANCE_BINARY"] {
            return isExecutable(given) ? given : nil
        }
        return ["release", "debug"].map { root.appending(path: ".build/\($0)/understudy").path }.first(
            where: isExecutable)
    }()

    /// What is missing, in words; empty when the cases can run.
    static let missing: String = {
        var list = ["python3", "kamailio"].filter { find($0) == nil }
        if binary == nil { list.append("the built understudy") }
        return list.joined(separator: ", ")
    }()

    static let isRoot = getuid() == 0
}

@Suite(
    "Acceptance against real processes", .serialized,
    .enabled(if: Ground.missing.isEmpty, "skipped, because this is missing: \(Ground.missing)"))
struct AcceptanceTests {
    /// Runs a case and expects it to pass. The case bounds its own time; the test's limit is for the harness itself.
    private func expectToPass(_ name: String) throws {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = Ground.root.appending(path: "Deploy/acceptance")
        process.arguments = [name, "--quick"]
        var environment = ProcessInfo.processInfo.environment
        environment["ACCEPTANCE_BINARY"] = Ground.binary
        process.environment = environment
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(output)")
        // What was not tried has not passed: the test counts as skipped, and says what is missing.
        let skipped = output.split(separator: "\n").first { $0.hasPrefix("SKIPPED") }
        if let skipped, process.terminationStatus == 0 { try Test.cancel("\(skipped)") }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            "expiry-3", "expiry-kill-3", "expiry-kill-2", "in-dialog-after-kill", "kill-under-load", "late-ack",
            "killed-while-ringing", "reinvite-owner-killed",
        ])
    func `no call notices that a node died`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["registrar"])
    func `a phone whose 200 has left is reached by every survivor`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["script-bad", "script-beside"])
    func `a script that goes wrong is nobody else's, and one that goes well does what it does in Kamailio`(
        name: String
    ) throws {
        try expectToPass(name)
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: ["killed-all", "killed-all-postgres", "killed-all-young", "expired-all", "clocks-set", "stored"])
    func `a cluster that lost every node comes back with its calls`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["calls-moved", "calls-moved-ims"])
    func `calls move from a Kamailio to the cluster and back`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["profiles-counted", "variable-everywhere", "memory-of-variables"])
    func `what is written of a call is the same on every node, whoever dies`(name: String) throws {
        try expectToPass(name)
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: ["lossy-bus", "lossy-network", "variable-lossy", "stopped", "two-apart", "rolling", "comparing"])
    func `a bus that loses, nodes that stand still and nodes that are updated harm no call`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["requests-within", "call-records"])
    func `the cluster asks within calls, and programs are told of them`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["corners", "corners-killed"])
    func `a call that is out of the ordinary is one call on every node, and ends`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["random-relay"])
    func `any datagram may reach any node (S1-2)`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["cut-off", "forget", "restart", "detection"])
    func `replicas become equal, and deaths are noticed`(name: String) throws {
        try expectToPass(name)
    }

    /// A case whose telephone or balancer is not installed says so in its output, and counts as skipped.
    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            "peers-sipp-udp", "peers-sipp-tcp", "peers-baresip", "peers-pjsua", "peers-linphone", "peers-netsip",
            "peers-websocket", "reached-by-connection", "route-of-the-dead", "expiry-over-connections",
            "stream-manners", "services", "hunting-above", "hunting-behind", "script-stock", "media",
            "media-real",
        ])
    func `independent user agents call through the nodes`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["balancer-nginx", "balancer-haproxy", "balancer-kamailio"])
    func `calls go on behind each balancer when a node dies`(name: String) throws {
        try expectToPass(name)
    }

    @Test(
        .timeLimit(.minutes(5)), arguments: ["drain-sigterm", "drain-kamailio", "drain-nginx", "drain-haproxy"])
    func `a planned stop hangs up on nobody, and a drained node takes no new dialog`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["robust", "load-2000", "load-tcp"])
    func `strangers and load do not reach the calls of others`(name: String) throws {
        try expectToPass(name)
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            "trace", "operator-mistakes", "operator-told", "operator-hosts", "operator-init", "operator-reload",
            "operator-floods", "kamailio-tools",
        ])
    func `what an operator is told is true, in one sentence, with its exit code`(name: String) throws {
        try expectToPass(name)
    }

    /// Without root, debootstrap or systemd-nspawn it says so in its output, and counts as skipped.
    @Test(.timeLimit(.minutes(8)), arguments: ["unit", "package", "image", "kubernetes", "metrics", "documentation"])
    func `systemd, the package, the image and the manifest work as they are shipped`(name: String) throws {
        try expectToPass(name)
    }

    @Test(.timeLimit(.minutes(5)), .enabled(if: Ground.isRoot, "skipped: network namespaces need root"))
    func `a ringing call goes on where the dead node's address went (S1-1)`() throws {
        try expectToPass("moved-address")
    }
}

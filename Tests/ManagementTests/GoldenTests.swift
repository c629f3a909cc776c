// What Kamailio 5.6.3 answered to its tools, asked of this program: the recorded requests go through each door to a
// node with the same two dialogs, and the answers have to be the same but for what is listed here with its reason.

import Foundation
import Management
import Node
import Synchronization
import Testing

@Suite("Transcripts of Kamailio 5.6.3", .enabled(if: Golden.isPresent, Golden.absence))
struct GoldenTests {
    /// Steps that are answered otherwise, and why. Each must be: one that is the same after all does not belong here.
    private static let differences: [String: String] = [
        "core.version": "the name and version of this program",
        "raw notification no id": "as core.version", "raw string id": "as core.version",
        "raw null id": "as core.version",
        "system.listMethods": "the methods of this program",
        "raw malformed json": "JSON-RPC's Parse Error, so that whoever asks need not wait; none with compat",
        "raw not json": "the same", "raw batch": "JSON-RPC's Invalid Request: there are no batches; {} with compat",
        "stats.fetch all dialog": "the group core has what this program counts",
        "dlg.list absent": "both modules' methods are there",
        "stats.fetch dialog": "both modules' statistics are there",
        "list after one": "an ended dialog is no longer listed", "list after all": "the same",
        "list after": "the same", "end_dlg repeat": "it has ended: 404",
        "end_dlg string params": "over JSON a text counts as 0, as in dlg.end_dlg: one is missing here",
        "briefing": "to_tag is the callee's; the module prints the caller's, as compat does",
        "briefing_format": "the same",
    ]

    @Test(arguments: ["dialog", "ims_dialog"], ["unix-dgram", "fifo", "http"])
    func `JSON-RPC`(module: String, door: String) async throws {
        let steps = try Golden.steps("\(module)-two-confirmed/\(door).jsonl")
        let node = try Golden.node(module)
        let context = Golden.context(node)
        var differing: [String: String] = [:]
        for step in steps {
            guard let name = step["step"]?.text, let request = step["request"]?.text, name != "raw GET" else {
                continue
            }
            let wanted = Golden.answer(step["response"])
            let answer: [UInt8]
            if door == "http" {
                let body = request.components(separatedBy: "\r\n\r\n").dropFirst().joined(separator: "\r\n\r\n")
                answer = await RPCServer(context).answer(Array(body.utf8)).body.bytes
            } else {
                answer = await TextServer(context).answer(Array(request.utf8), isTaken: true)
            }
            let got = (try? JSONValue(parsing: answer)).map(Golden.steady)
            if got != wanted { differing[name] = String(decoding: answer.prefix(300), as: UTF8.self) }
        }
        let known = Set(steps.compactMap { $0["step"]?.text }).intersection(Self.differences.keys)
        for (name, answer) in differing where !known.contains(name) {
            Issue.record("\(module) \(door) \(name): \(answer)")
        }
        // A name may stand for a step of the other module, too.
        for name in known where differing[name] == nil && !Self.sameInOne.contains(name) {
            Issue.record("\(module) \(door) \(name) is answered alike, and is listed as different")
        }
    }

    /// Listed for one module, and the same for the other, whose step has the same name.
    private static let sameInOne: Set = ["end_dlg repeat", "list after", "end_dlg string params"]

    @Test func `with compat a briefing has the caller's tag twice, as there`() async throws {
        let context = Golden.context(try Golden.node("dialog"), showsDefects: true)
        var compared = 0
        for step in try Golden.steps("dialog-two-confirmed/unix-dgram.jsonl") {
            guard let request = step["request"]?.text, step["step"]?.text?.hasPrefix("briefing") == true,
                step["step"]?.text != "briefing after"
            else { continue }
            let answer = await TextServer(context).answer(Array(request.utf8), isTaken: true)
            #expect((try? JSONValue(parsing: answer)).map(Golden.steady) == Golden.answer(step["response"]))
            compared += 1
        }
        #expect(compared == 2)
    }

    @Test(arguments: ["dialog", "ims_dialog"])
    func `the text is printed as cJSON prints it`(module: String) async throws {
        let context = Golden.context(try Golden.node(module))
        var compared = 0
        for step in try Golden.steps("\(module)-two-confirmed/unix-dgram.jsonl") {
            guard let request = step["request"]?.text, let wanted = step["response"]?.elements?.first?.text,
                let name = step["step"]?.text, Self.differences[name] == nil
            else { continue }
            let answer = await TextServer(context).answer(Array(request.utf8), isTaken: true)
            guard let value = try? JSONValue(parsing: answer), let other = try? JSONValue(parsing: Array(wanted.utf8)),
                value == other
            else { continue }
            #expect(String(decoding: answer, as: UTF8.self) == wanted)
            compared += 1
        }
        #expect(compared > 5)
    }

    @Test(arguments: ["dialog", "ims_dialog"], ["kamcmd-unix", "kamcmd-tcp"])
    func `BINRPC, byte by byte where nothing is of the moment`(module: String, door: String) async throws {
        let node = try Golden.node(module)
        let server = BinaryServer(Golden.context(node, showsDefects: module == "dialog"))
        let known =
            ["core.version", "system.listMethods", "core.uptime"]
            + (module == "ims_dialog" ? ["dlg.list"] : [])
        for step in try Golden.steps("\(module)-two-confirmed/\(door).jsonl") {
            let wire = step["wire"]?.elements ?? []
            guard wire.count == 2, let sent = wire[0]["hex"]?.text, let received = wire[1]["hex"]?.text else {
                continue
            }
            let (request, _) = try BINRPC.request(Golden.bytes(sent)[...])
            let answer = await server.answer(request)
            if known.contains(request.method) { continue }
            #expect(
                Golden.steady(packet: answer) == Golden.steady(packet: Golden.bytes(received)),
                "\(request.method) \(request.parameters)")
        }
    }

    @Test func `what kamctl wrote into the FIFO, and what kamcli sent, is read`() async throws {
        for module in ["dialog", "ims_dialog"] {
            let context = Golden.context(try Golden.node(module))
            for step in try Golden.steps("\(module)-two-confirmed/kamctl-fifo.jsonl") {
                guard let request = step["fifo_request"]?.text else { continue }
                let bytes = Array(request.utf8)
                guard case .object(let skipped, let length) = JSONFraming.read(bytes[...]) else {
                    Issue.record("no object: \(request)")
                    continue
                }
                let value = try JSONValue(parsing: Array(bytes[skipped..<skipped + length]))
                #expect(value["reply_name"]?.text?.hasPrefix("kamailio_receiver_") == true)
                let answer = try JSONValue(parsing: await TextServer(context).answer(value, isTaken: true))
                #expect(answer["id"] == value["id"])
            }
            for step in try Golden.steps("\(module)-two-confirmed/kamcli-dgram.jsonl") {
                guard let wire = step["wire"]?.elements, wire.count == 2, let sent = wire[0]["text"]?.text else {
                    continue
                }
                let answer = try JSONValue(parsing: await TextServer(context).answer(Array(sent.utf8), isTaken: true))
                let wanted = try JSONValue(parsing: Array((wire[1]["text"]?.text ?? "").utf8))
                #expect(answer["id"] == wanted["id"])
            }
        }
    }
}

/// The recorded files, and a node like the one that answered.
enum Golden {
    private static let folder = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "../shared/testdata/golden/kamailio-5.6.3").standardizedFileURL

    static let isPresent = FileManager.default.fileExists(atPath: folder.path)
    static let absence: Comment = "skipped: no transcripts at ../shared/testdata beside the package"

    static func steps(_ name: String) throws -> [JSONValue] {
        let data = [UInt8](try Data(contentsOf: folder.appending(path: name)))
        return try data.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: Array($0)) }
    }

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) ?? 0
        }
    }

    static func context(_ node: FakeNode, showsDefects: Bool = false) -> RPCContext {
        var process = ProcessFacts()
        process.showsDefects = showsDefects
        process.version = "understudy"
        return RPCContext(
            node: node, allowsFaultInjection: false, unixSeconds: { 1_795_437_190 }, process: process)
    }

    /// The answer of a datagram, a FIFO or an HTTP response, without what is of the moment.
    static func answer(_ response: JSONValue?) -> JSONValue? {
        let text: String
        switch response {
        case .array(let parts): text = parts.first?.text ?? ""
        case .string(let whole): text = whole.hasPrefix("HTTP/") ? String(whole.drop { $0 != "{" }) : whole
        default: text = ""
        }
        return (try? JSONValue(parsing: Array(text.utf8))).map(steady)
    }

    private static let volatile: Set = [
        "start_ts", "init_ts", "end_ts", "duration", "timeout", "now", "up_since", "uptime",
        // What is counted otherwise, or not at all: references, Kamailio's own bits, whose table the dialog-outs are
        // in.
        "ref", "Ref", "dflags", "Dialog-ID", "dlg_outs",
    ]

    /// Lists of dialogs in one order, and 0 for what is of the moment.
    static func steady(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(members.map { .init($0.name, volatile.contains($0.name) ? 0 : steady($0.value)) })
        case .array(let elements):
            .array(elements.map(steady).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) })
        default: value
        }
    }

    /// A reply's values, likewise.
    static func steady(packet: [UInt8]) -> [JSONValue] {
        // A reply is read as a request whose first value is a name.
        guard packet.count > 3 else { return [] }
        var request = packet
        let head = 2 + Int(packet[1] >> 2 & 3) + 1 + Int(packet[1] & 3) + 1
        let body = [0x21, 0x61, 0x00] + Array(packet.dropFirst(head))
        let cookie = Array(packet[(head - Int(packet[1] & 3) - 1)..<head])
        request = [0xa1, 0x0c | UInt8(cookie.count - 1)]
        for shift in [24, 16, 8, 0] { request.append(UInt8(truncatingIfNeeded: body.count >> shift)) }
        request += cookie + body
        guard let read = try? BINRPC.request(request[...]).request else { return [.string("unreadable")] }
        let type: JSONValue = .count(packet[1] >> 4)
        return [type] + read.parameters.map { steady(json($0)) }.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }

    private static func json(_ value: BINRPC.Value) -> JSONValue {
        switch value {
        case .integer(let number): .integer(number)
        case .text(let text): .string(text)
        case .decimal(let number): .number(number)
        case .structure(let members): .object(members.map { .init($0.name, json($0.value)) })
        case .array(let values): .array(values.map(json))
        case .bytes(let bytes): .count(bytes.count)
        }
    }

    /// A node with the two dialogs that the first listing shows, under the same numbers.
    static func node(_ module: String) throws -> FakeNode {
        let steps = try steps("\(module)-two-confirmed/unix-dgram.jsonl")
        let first = steps.first { $0["step"]?.text == "list" }
        let listing = try #require(first?["response"]?.elements?.first?.text)
        let result = try #require(try JSONValue(parsing: Array(listing.utf8))["result"])
        let dialogs =
            module == "dialog"
            ? (result.elements ?? []).map(report)
            : (result["Dialogs"]?.elements ?? []).map { ims($0["Dialog"] ?? .null) }
        try #require(dialogs.count == 2)
        let node = FakeNode("n1", dialogs)
        node.state.withLock { state in
            state.profiles = [
                ProfileReport(name: "caller", takesValue: true, size: 2),
                ProfileReport(name: "calls", takesValue: false, size: 2),
            ]
            state.bucketCount = 4_096
            state.endsDialogs = true
            state.status.dialogs.confirmed = 2
            state.processed = 2
        }
        return node
    }

    private static func did(_ entry: JSONValue?, _ identifier: JSONValue?) -> (did: String, bucket: Int) {
        let value = UInt64(identifier?.whole ?? 0) << 32 | UInt64(entry?.whole ?? 0)
        let digits = String(value, radix: 16)
        return (String(repeating: "0", count: 16 - digits.count) + digits, Int(entry?.whole ?? 0))
    }

    private static func report(_ printed: JSONValue) -> DialogReport {
        var report = DialogReport()
        (report.did, report.bucket) = did(printed["h_entry"], printed["h_id"])
        report.callID = printed["call-id"]?.text ?? ""
        report.fromTag = printed["caller"]?["tag"]?.text ?? ""
        report.toTag = printed["callee"]?["tag"]?.text ?? ""
        report.from = "<\(printed["from_uri"]?.text ?? "")>;tag=\(report.fromTag)"
        report.to = "<\(printed["to_uri"]?.text ?? "")>"
        report.requestURI = printed["to_uri"]?.text ?? ""
        report.state = "confirmed"
        report.home = "n1"
        report.lifetimeMilliseconds = UInt64(printed["lifetime"]?.whole ?? 0) * 1_000
        report.remainingMilliseconds = 1_000_000
        report.caller = side(printed["caller"])
        var out = OutReport()
        out.toTag = report.toTag
        out.state = "confirmed"
        out.side = side(printed["callee"])
        report.outs = [out]
        report.profiles = (printed["profiles"]?.elements ?? []).map(pair)
        report.variables = (printed["variables"]?.elements ?? []).map(pair)
        return report
    }

    private static func side(_ printed: JSONValue?) -> SideReport {
        var side = SideReport()
        side.contact = printed?["contact"]?.text ?? ""
        side.cseq = UInt32(printed?["cseq"]?.text ?? "") ?? 0
        side.routes = printed?["route_set"]?.text ?? ""
        side.socket = printed?["socket"]?.text ?? ""
        return side
    }

    private static func pair(_ printed: JSONValue) -> StampedReport {
        if case .object(let members) = printed, let first = members.first {
            return StampedReport(key: first.name, value: first.value.text ?? "")
        }
        return StampedReport(key: printed.text ?? "", value: "")
    }

    private static func ims(_ printed: JSONValue) -> DialogReport {
        var report = DialogReport()
        (report.did, report.bucket) = did(printed["Entry"], printed["Id"])
        report.callID = printed["Call-ID"]?.text ?? ""
        report.fromTag = printed["From Tag"]?.text ?? ""
        report.from = "<\(printed["From"]?.text ?? "")>"
        report.requestURI = printed["RURI"]?.text ?? ""
        report.caller.contact = printed["Caller Contact"]?.text ?? ""
        report.state = "confirmed"
        var out = OutReport()
        out.toTag = "b"
        out.state = "confirmed"
        report.outs = [out]
        return report
    }
}

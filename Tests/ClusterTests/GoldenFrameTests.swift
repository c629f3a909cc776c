// Messages of the bus as earlier versions wrote them, in `Tests/Golden`: each must be read for ever, or for as long as
// its version may stand beside this one. And what a later version may add, unknown kinds and unknown fields, passes.
//
// One file a version, one message a line: lane, then hexadecimal. `RERECORD=1` writes the file of the version in work,
// `next.txt`; at a release it is renamed, and never written again.

import Foundation
import Primitives
import Testing

@testable import Cluster

@Suite("Golden frames")
struct GoldenFrameTests {
    static let folder = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Golden")

    struct Message: Hashable {
        var lane: String
        var bytes: [UInt8]
    }

    static func messages(_ file: String) throws -> [Message] {
        let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let words = line.split(separator: " ")
            let digits = Array(words[1].utf8)
            let bytes = stride(from: 0, to: digits.count, by: 2).map { at in
                UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16) ?? 0
            }
            return Message(lane: String(words[0]), bytes: bytes)
        }
    }

    static var files: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted()
    }

    /// Everything of a message, as text; throws where it cannot be read.
    static func read(_ bytes: [UInt8]) throws -> (header: FrameHeader, entries: [String], unknown: Int) {
        var reader = WireReader(bytes)
        let header = try FrameHeader.read(&reader)
        var (entries, unknown): ([String], Int) = ([], 0)
        while let entry = try Cluster.nextEntry(&reader) {
            guard let kind = EntryKind(rawValue: entry.kind) else {
                unknown += 1
                continue
            }
            entries.append("\(kind) \(try content(of: kind, bytes, entry.payload))")
        }
        return (header, entries, unknown)
    }

    private static func content(of kind: EntryKind, _ bytes: [UInt8], _ range: Range<Int>) throws -> String {
        switch kind {
        case .put, .patch, .item:
            let item = try RecordItem(bytes, range)
            return "\(item.did) \(item.age) \(item.sequence) \(Array(bytes[item.record]))"
        case .heartbeat: return "\(try Heartbeat(bytes, range))"
        case .positions: return "\(try Position.readAll(bytes, range))"
        case .intent: return "\(try Intent(bytes, range))"
        case .grant, .refuse:
            let answer = try IntentAnswer(bytes, range)
            return "\(answer.did) \(answer.deadlineMilliseconds) \(answer.asker) \(Array(bytes[answer.record]))"
        case .farewell: return ""
        case .question: return "\(try Question(bytes, range))"
        case .known:
            let answer = try QuestionAnswer(bytes, range)
            return "\(answer.did) \(answer.number) \(answer.asker) \(answer.isLarge) \(Array(bytes[answer.record]))"
        case .repairRequest: return "\(try RepairRequest(bytes, range))"
        case .fetchRequest: return "\(try FetchRequest.read(bytes, range))"
        case .repairAnswer: return ""
        case .syncRequest: return "\(try SyncRequest(bytes, range))"
        case .syncAnswer: return "\(try SyncAnswer(bytes, range))"
        case .inquiry: return "\(try InquiryMessage(bytes, range))"
        case .inquiryPart: return "\(try InquiryPart(bytes, range))"
        }
    }

    /// What a small cluster says in a life with a death, losses, questions and an operator: one message of each make.
    private static func record() -> [Message] {
        let net = Net(3, seed: 4)
        var seen: Set<String> = []
        var found: [Message] = []
        func note(_ lane: String, _ bytes: [UInt8]) {
            var reader = WireReader(bytes)
            guard (try? FrameHeader.read(&reader)) != nil else { return }
            var kinds: Set<UInt8> = []
            while let entry = try? Cluster.nextEntry(&reader) { kinds.insert(entry.kind) }
            let new = kinds.filter { !seen.contains("\(lane) \($0)") }
            guard !new.isEmpty else { return }
            seen.formUnion(new.map { "\(lane) \($0)" })
            found.append(Message(lane: lane, bytes: bytes))
        }
        net.onFrame = { note("frame", $1) }
        net.onRequest = { note("request", $1) }
        net.onReply = { bytes in
            note("reply", bytes)
            return bytes
        }
        net.start()
        net.put(0, 1, 5)
        net.put(0, 1, 6)
        net.run(milliseconds: 500)
        net.ask(0, 1, deadline: 6)
        net.run(milliseconds: 100)
        net.processes[2].store.raise(1, to: 9)
        net.ask(1, 1, deadline: 6)
        net.run(milliseconds: 100)
        net.processes[0].store.raise(1, to: 12)
        let now = net.now
        net.act(1) { cluster, store, out in cluster.question(1, store: store, now: now, out: &out) }
        net.act(1) { cluster, _, _ in cluster.fetch(1) }
        net.cut = [[0, 2]]
        net.put(0, 2, 5)
        net.run(milliseconds: 30)
        net.cut = []
        net.run(milliseconds: 2_000)
        net.act(2) { cluster, _, out in cluster.leave(now: net.now, out: &out) }
        net.run(milliseconds: 200)
        return found
    }

    @Test func `the file of the version in work has every kind that a cluster says, and is written as it is`() throws {
        let file = Self.folder.appending(path: "next.txt")
        if ProcessInfo.processInfo.environment["RERECORD"] != nil {
            try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
            var text = "# Messages of the bus, one a line: lane, hexadecimal. Written by GoldenFrameTests.\n"
            for message in Self.record() {
                let hex = message.bytes.map { byte in
                    (byte < 16 ? "0" : "") + String(byte, radix: 16)
                }
                text += "\(message.lane) \(hex.joined())\n"
            }
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        var kinds: Set<String> = []
        for message in try Self.messages("next.txt") {
            for entry in try Self.read(message.bytes).entries { kinds.insert(String(entry.prefix { $0 != " " })) }
        }
        let wanted = [
            "put", "patch", "heartbeat", "positions", "intent", "grant", "refuse", "farewell", "question", "known",
            "item", "repairRequest", "fetchRequest", "syncRequest", "syncAnswer",
        ]
        #expect(wanted.filter { !kinds.contains($0) } == [])
        // What was recorded is what is said now: a change of the wire shows here, and is told in the Changelog.
        #expect(Self.record() == (try Self.messages("next.txt")))
    }

    @Test(arguments: files)
    func `every message that was kept is read whole`(file: String) throws {
        let messages = try Self.messages(file)
        #expect(messages.count >= 10)
        for message in messages {
            let (_, entries, unknown) = try Self.read(message.bytes)
            #expect(!entries.isEmpty && unknown == 0)
        }
    }

    @Test(arguments: files)
    func `kinds and fields of a later version pass`(file: String) throws {
        for message in try Self.messages(file) {
            let before = try Self.read(message.bytes)
            var reader = WireReader(message.bytes)
            _ = try FrameHeader.read(&reader)
            var later = ByteWriter()
            later.put(Array(message.bytes[..<reader.offset]))
            while let entry = try Cluster.nextEntry(&reader) {
                later.put(entry.kind)
                later.putLengthDelimited { writer in
                    writer.put(Array(message.bytes[entry.payload]))
                    writer.putField(4_000, varint: 7)
                    writer.putField(4_001, fixed: 8)
                    writer.putField(4_002, bytes: [1, 2, 3])
                }
                later.put(UInt8(99))
                later.putLengthDelimited { $0.putField(1, bytes: [9]) }
            }
            let after = try Self.read(later.bytes)
            #expect(after.header == before.header && after.entries == before.entries)
            #expect(after.unknown == before.entries.count)
        }
    }
}

// The packets of kamcmd, byte by byte, and what is none.

import Management
import Node
import Testing

@Suite("BINRPC, MI commands and JSON in a FIFO")
struct BINRPCTests {
    private static let cookie: [UInt8] = [1, 2, 3, 4]

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8.filter { $0 != 32 })
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) ?? 0
        }
    }

    @Test(
        arguments: [
            ("a1 03 0b 01020304 91 09 646c672e6c69737400", "dlg.list", []),
            ("a1 03 08 01020304 41 612e6200 10 05 00", "a.b", [.integer(5), .integer(0)]),
            ("a1 03 09 01020304 21 6100 20 06a9 21 6200", "a", [.integer(1_705), .text("b")]),
            ("a1 03 08 01020304 21 6100 40 ffffffff", "a", [.integer(-1)]),
            ("a1 03 06 01020304 21 6100 22 0dac", "a", [.decimal(3.5)]),
            ("a1 03 05 01020304 21 6100 11 00", "a", [.text("")]),
        ] as [(String, String, [BINRPC.Value])])
    func `a request is a name and values, and is written as it was read`(
        hex: String, method: String, parameters: [BINRPC.Value]
    ) throws {
        let bytes = Self.bytes(hex)
        let (request, length) = try BINRPC.request(bytes[...])
        #expect(length == bytes.count)
        #expect(request == BINRPC.Request(cookie: Self.cookie, method: method, parameters: parameters))
        #expect(BINRPC.write(request) == bytes)
    }

    @Test func `replies and faults carry the cookie; a struct's list has members without names`() {
        #expect(BINRPC.reply([], to: Self.cookie) == Self.bytes("a1 13 00 01020304"))
        #expect(BINRPC.reply([.integer(2)], to: Self.cookie) == Self.bytes("a1 13 02 01020304 10 02"))
        #expect(
            BINRPC.fault(404, "No", to: Self.cookie) == Self.bytes("a1 33 07 01020304 20 0194 31 4e6f00"))
        let value = BINRPC.Value(["p": [["caller": "alice"], "calls"], "n": .null])
        #expect(
            BINRPC.reply([value], to: [7])
                == Self.bytes(
                    "a1 10 21 07 03 25 7000 03 03 75 63616c6c657200 61 616c69636500 83 61 63616c6c7300 83"
                        + "25 6e00 91 0e 3c6e756c6c20737472696e673e00 83"
                ).patchedLength)
        // Members that JSON can only wrap are members again.
        let dialogs = BINRPC.Value(["Dialogs": [["Dialog": ["Entry": 1]], ["Dialog": ["Entry": 2]]]])
        #expect(
            dialogs
                == .structure([
                    .init(
                        "Dialogs",
                        .structure([
                            .init("Dialog", .structure([.init("Entry", .integer(1))])),
                            .init("Dialog", .structure([.init("Entry", .integer(2))])),
                        ]))
                ]))
    }

    @Test(arguments: ["", "a1", "a1 03", "a1 03 0b 0102", "a1 03 0b 01020304 91 09 646c67"])
    func `a part of a packet waits for the rest`(hex: String) {
        #expect(throws: BINRPC.Fault.incomplete) { try BINRPC.request(Self.bytes(hex)[...]) }
    }

    @Test(arguments: ["00", "47 45 54", "a2 03 00 01020304", "a1 13 00 01020304"])
    func `what is no request of this version is told apart at once`(hex: String) {
        #expect(throws: BINRPC.Fault.notBINRPC) { try BINRPC.request(Self.bytes(hex)[...]) }
    }

    @Test func `a packet that is too long, too deep or has too many values is none`() {
        func packet(_ body: [UInt8]) -> [UInt8] {
            let size = body.count
            return [0xa1, 0x0f, 0, UInt8(size >> 16 & 255), UInt8(size >> 8 & 255), UInt8(size & 255)] + Self.cookie
                + body
        }
        let name = Self.bytes("21 6100")
        #expect(throws: BINRPC.Fault.tooLong) {
            try BINRPC.request(packet(Array(repeating: 0, count: BINRPC.sizeLimit))[...])
        }
        func accepted(_ body: [UInt8]) -> Bool { (try? BINRPC.request(packet(name + body)[...])) != nil }
        func nested(_ depth: Int) -> [UInt8] {
            Array(repeating: 0x03, count: depth) + Array(repeating: 0x83, count: depth)
        }
        #expect(accepted(nested(BINRPC.depthLimit)) && !accepted(nested(BINRPC.depthLimit + 1)))
        #expect(accepted(Array(repeating: 0x00, count: BINRPC.valueLimit - 1)))
        #expect(!accepted(Array(repeating: 0x00, count: BINRPC.valueLimit)))
        // A struct without an end, an end without a struct, a text without its zero byte, a name without a value.
        for body in ["03", "83", "04 83", "21 6162", "03 25 6100 83", "50 0102030405", "35 616200"] {
            #expect(!accepted(Self.bytes(body)), "\(body)")
        }
    }

    // MARK: MI

    @Test(arguments: [
        (":dlg_list:reply\n\n", "dlg_list", "reply", []), (":uptime:\n\n", "uptime", "", []),
        (":dlg_list:r\nabcd@h\nftag\n\n", "dlg_list", "r", ["abcd@h", "ftag"]),
        (":a:r\nx y \"two words\" \"q\\\"\"\r\n\r\n", "a", "r", ["x", "y", "two words", "q\""]),
    ])
    func `an MI command ends with an empty line`(text: String, name: String, reply: String, parameters: [String]) {
        let bytes = Array(text.utf8)
        let command = MICommand(name: name, replyName: reply, parameters: parameters)
        #expect(MICommand.read(bytes[...]) == .command(command, length: bytes.count))
        for count in 0..<bytes.count { #expect(MICommand.read(bytes[..<count]) == .incomplete, "\(count)") }
        #expect(MICommand.read((bytes + bytes)[...]) == .command(command, length: bytes.count))
    }

    @Test func `an MI command that is too long, or has too many parameters, is passed over`() {
        func read(_ text: String) -> MICommand.Read { MICommand.read(Array(text.utf8)[...]) }
        let many = ":a:r\n" + String(repeating: "x\n", count: MICommand.parameterLimit + 1) + "\n"
        #expect(read(many) == .skipped(length: many.utf8.count))
        let long = ":a:r\n" + String(repeating: "x", count: MICommand.sizeLimit) + "\n\n"
        #expect(read(long) == .skipped(length: long.utf8.count))
        let endless = ":a:r\n" + String(repeating: "x", count: MICommand.sizeLimit)
        #expect(read(endless) == .skipped(length: endless.utf8.count))
        #expect(read("hello\n:a:r\n\n") == .skipped(length: 6))
        for text in [":\n\n", "::r\n\n", ":a\n\n", ":a:r\n\"open\n\n"] {
            #expect(read(text) == .skipped(length: text.utf8.count), "\(text)")
        }
    }

    @Test func `an answer of MI is a tree, a node a line`() {
        let node = MINode("dialog", "", attributes: [("hash", "1:2")], children: [MINode("state", "4")])
        #expect(MINode.answer(200, "OK", [node]) == "200 OK\ndialog::  hash=1:2\n\tstate:: 4\n\n")
        #expect(MINode.answer(404, "a\nb", [MINode("x", "1\r\n2")]) == "404 a b\nx:: 1 2\n\n")
    }

    // MARK: JSON in a FIFO

    @Test func `a JSON request in a FIFO ends with its last brace`() {
        func read(_ text: String) -> JSONFraming.Read { JSONFraming.read(Array(text.utf8)[...]) }
        #expect(read(#" {"a":"}","b":{"c":"\"}"}} x"#) == .object(skipped: 1, length: 25))
        #expect(read("") == .incomplete && read("{\"a\":") == .incomplete)
        #expect(read("hello\n") == .skipped(length: 6))
    }

    @Test func `a JSON request that is too long is passed over`() {
        let long = Array(("{\"a\":\"" + String(repeating: "x", count: JSONFraming.sizeLimit)).utf8)
        #expect(JSONFraming.read(long[...]) == .skipped(length: JSONFraming.sizeLimit))
        #expect(JSONFraming.read(long[..<JSONFraming.sizeLimit]) == .incomplete)
    }
}

extension [UInt8] {
    /// The packet with the length that it has, for a header of one byte each.
    fileprivate var patchedLength: [UInt8] {
        var copy = self
        copy[2] = UInt8(count - 4)
        return copy
    }
}

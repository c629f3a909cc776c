// The JSON reader takes what is JSON, refuses the rest with a typed error, and never traps.

import Management
import Testing

@Suite("JSON, RFC 8259")
struct JSONTests {
    @Test(arguments: [
        #"{"a":1,"b":[true,false,null],"c":"x"}"#, "[]", "{}", #""""#, "12345678901234567", #"{"z":1,"a":2}"#,
        #"["\u0001\"\\\n\té"]"#, "[1.5,-2]",
    ])
    func `what is written compactly is written again as it was, members in their order`(text: String) throws {
        #expect(String(decoding: try JSONValue(parsing: text).bytes, as: UTF8.self) == text)
    }

    @Test func `a value and its text stand for each other`() throws {
        let value: JSONValue = .object([
            .init("z", .array([.null, .bool(true), .integer(-7), .number(0.25)])),
            .init("a", .string("x\"y\u{1}")),
        ])
        let text = #"{"z":[null,true,-7,0.25],"a":"x\"y\u0001"}"#
        #expect(String(decoding: value.bytes, as: UTF8.self) == text)
        #expect(try JSONValue(parsing: text) == value)
        #expect(try JSONValue(parsing: " { \"z\" : [ ] } ") == .object([.init("z", .array([]))]))
    }

    @Test func `whole numbers stay whole, others become numbers`() throws {
        #expect(
            try JSONValue(parsing: "[1,-2,1.5,1e3,9223372036854775808]") == [
                1, -2, .number(1.5), .number(1_000), .number(0x1p63),
            ])
    }

    @Test func `escapes and surrogate pairs become characters`() throws {
        #expect(try JSONValue(parsing: #""\u00e9\ud83d\ude00\/\b""#) == .string("é😀/\u{8}"))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "tru", "\"\u{1}\"", #""\x""#, #""\ud800""#, "1 2", "[1", "\"a",
        "nul", "-",
        #"{"a":1,}"#, "1e", #""\u12g4""#,
    ])
    func `what is not JSON is a typed error`(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func `text that is not UTF-8 is refused`() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func `nesting has a bound`() throws {
        let limit = JSONValue.depthLimit
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSONValue(parsing: nested(limit))
        #expect(throws: JSONError.self) { try JSONValue(parsing: nested(limit + 1)) }
    }

    @Test func `every single byte is either read or refused`() {
        for byte in UInt8.min...UInt8.max { _ = try? JSONValue(parsing: [byte]) }
        for byte in UInt8.min...UInt8.max { _ = try? JSONValue(parsing: [0x22, 0x5C, byte, 0x22]) }
    }
}

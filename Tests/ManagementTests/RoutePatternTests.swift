// Patterns of routes: what they match, what is refused, and what a hostile one costs.

import SIP
import Testing

@Suite("Route patterns")
struct RoutePatternTests {
    @Test(arguments: [
        ("sip:.*@example.org", "sip:bob@example.org", true),
        ("sip:.*@example.org", "sip:bob@example.org:5060;transport=udp", true),
        ("sip:.*@example.org", "sip:bob@example.org?x=y", true),
        ("sip:.*@example.org", "sip:bob@example.org.evil.net", false),
        ("sip:.*@example.org", "sip:example.org", false),
        ("sip:bob", "sip:bob:secret@host", false),
        ("sip:[0-9]+@.*", "sip:1000@10.0.0.1", true),
        ("sip:[0-9]+@.*", "sip:a000@10.0.0.1", false),
        ("sip:[^0-9]?@.*", "sip:@h", true),
        ("^sips?:(alice|bob)@h$", "sips:alice@h", true),
        ("^sips?:(alice|bob)@h$", "sip:bob@h", true),
        ("^sips?:(alice|bob)@h$", "sip:carol@h", false),
        ("sip:a\\.b@h", "sip:a.b@h", true),
        ("sip:a\\.b@h", "sip:axb@h", false),
        ("sip:[]a-]+@h", "sip:]-a@h", true),
        (".*", "", true),
        (".*", "sip:x", true),
        ("sip:(a|ab)(c|bcd)", "sip:abcd", true),
    ])
    func `a pattern covers the URI, or all before its port and parameters`(
        pattern: String, uri: String, expected: Bool
    ) throws {
        #expect(try RoutePattern(pattern).matches(Array(uri.utf8)) == expected)
    }

    @Test(arguments: ["", "(", ")", "[a", "a)", "*", "a**", "a{2}", "\\d", "a\\", "[z-a]", "a^b", "(|*)"])
    func `what is not understood is refused`(pattern: String) {
        #expect(throws: RoutePattern.PatternError.self) { try RoutePattern(pattern) }
    }

    @Test func `a pattern has bounds`() throws {
        let longest = String(repeating: "a", count: RoutePattern.sizeLimit)
        #expect(try RoutePattern(longest).matches(Array(longest.utf8)))
        #expect(throws: RoutePattern.PatternError.self) { try RoutePattern(longest + "a") }
        let deep = String(repeating: "(", count: 33) + String(repeating: ")", count: 33)
        #expect(throws: RoutePattern.PatternError.self) { try RoutePattern(deep) }
    }

    @Test func `a hostile URI costs linear time`() throws {
        let pattern = try RoutePattern("(a*)*b")
        #expect(!pattern.matches(Array(repeating: UInt8(ascii: "a"), count: 20_000)))
    }
}

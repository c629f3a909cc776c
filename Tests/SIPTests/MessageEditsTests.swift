// What a script may change in a message, and what it may not: a refused edit changes nothing, and nothing that is
// written is another message than the one received.

import Primitives
import SIP
import Testing

@Suite("Edits of a message at work")
struct MessageEditsTests {
    private static let invite = """
        INVITE sip:bob@example.org SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
        From: <sip:alice@example.org>;tag=a
        To: <sip:bob@example.org>
        Call-ID: c1
        CSeq: 1 INVITE
        Contact: <sip:alice@192.0.2.1>
        X-One: 1
        Content-Type: text/plain
        Content-Length: 2

        hi
        """

    private func edited(
        _ text: String = invite, _ body: (inout MessageEdits, Message) throws -> Void
    ) throws -> String {
        let message = try Message(lines: text)
        var edits = MessageEdits()
        try body(&edits, message)
        var tools = MessageEdits.Tools()
        let bytes = try edits.apply(to: message, using: &tools)
        return String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: "\n")
    }

    @Test func `lines are added at both ends, and beside a field`() throws {
        let text = try edited { edits, message in
            try edits.append(Array("X-Last: 1\r\n".utf8), to: message)
            try edits.insert(Array("X-First: 1".utf8), to: message)
            let contact = try #require(message.first(.contact))
            try edits.insert(Array("X-After: 1\n".utf8), after: true, contact)
            try edits.insert(Array("X-Before: 1".utf8), after: false, contact)
        }
        #expect(text.hasPrefix("INVITE sip:bob@example.org SIP/2.0\nX-First: 1\nVia:"))
        #expect(text.contains("CSeq: 1 INVITE\nX-Before: 1\nContact: <sip:alice@192.0.2.1>\nX-After: 1\nX-One: 1\n"))
        #expect(text.hasSuffix("Content-Length: 2\nX-Last: 1\n\nhi"))
    }

    @Test func `a header is removed once, however often it is asked for`() throws {
        let text = try edited { edits, message in
            let field = try #require(message.field(named: Array("x-one".utf8)))
            try edits.remove(field)
            try edits.remove(field)
        }
        #expect(!text.contains("X-One"))
    }

    @Test func `a new body brings its length and type`() throws {
        let text = try edited { edits, _ in
            try edits.setBody(Array("v=0\r\n".utf8), type: Array("application/sdp".utf8))
        }
        #expect(text.contains("Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n"))
        let removed = try edited { edits, message in
            try edits.remove(try #require(message.first(.contentLength)))
            try edits.setBody([], type: [])
        }
        #expect(removed.contains("Content-Type: text/plain\nContent-Length: 0\n\n"))
        #expect(removed.hasSuffix("\n\n"))
    }

    @Test func `Request-URI and status are written in their place`() throws {
        let text = try edited { edits, _ in try edits.setRequestURI(Array("sip:carol@example.net".utf8)) }
        #expect(text.hasPrefix("INVITE sip:carol@example.net SIP/2.0\n"))
        let response = "SIP/2.0 486 Busy Here" + Self.invite.dropFirst("INVITE sip:bob@example.org SIP/2.0".count)
        let status = try edited(response) { edits, _ in try edits.setStatus(600, Array("Busy Everywhere".utf8)) }
        #expect(status.hasPrefix("SIP/2.0 600 Busy Everywhere\n"))
        let bare = "SIP/2.0 486" + Self.invite.dropFirst("INVITE sip:bob@example.org SIP/2.0".count)
        #expect(throws: (any Error).self) {
            try edited(bare) { edits, _ in try edits.setRequestURI(Array("sip:a".utf8)) }
        }
    }

    @Test(arguments: [
        "X-One", "no header", ": value", "X-One: 1\r\n\r\nbody", "X-One: 1\r\nnot a line", " folded: first", "X: a\0b",
        "",
    ])
    func `what is no header line is refused`(text: String) throws {
        let message = try Message(lines: Self.invite)
        var edits = MessageEdits()
        #expect(throws: MessageEdits.Refusal.notHeaderLines) { try edits.append(Array(text.utf8), to: message) }
        #expect(edits.isEmpty)
    }

    @Test func `two changes of the same bytes are refused`() throws {
        let message = try Message(lines: Self.invite)
        var edits = MessageEdits()
        let contact = try #require(message.first(.contact))
        try edits.replace(contact.value, with: Array("<sip:a@b>".utf8))
        #expect(throws: MessageEdits.Refusal.overlap) { try edits.remove(contact) }
        try edits.remove(try #require(message.first(.contentType)))
        #expect(throws: MessageEdits.Refusal.overlap) {
            try edits.replace(try #require(message.first(.contentType)).value, with: Array("a/b".utf8))
        }
    }

    @Test(arguments: ["Via", "Call-ID", "CSeq", "From", "To"])
    func `a message without what it must have is never written`(name: String) throws {
        #expect(throws: MessageEdits.Refusal.unreadable) {
            try edited { edits, message in try edits.remove(try #require(message.field(named: Array(name.utf8)))) }
        }
    }

    @Test func `a message of another transaction or dialog is never written`() throws {
        for (name, value) in [
            (HeaderName.callID, "c2"), (.cSeq, "2 INVITE"), (.from, "<sip:alice@example.org>;tag=b"),
            (.via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2"),
        ] {
            #expect(throws: MessageEdits.Refusal.anotherMessage) {
                try edited { edits, message in
                    try edits.replace(try #require(message.first(name)).value, with: Array(value.utf8))
                }
            }
        }
        #expect(throws: MessageEdits.Refusal.unreadable) {
            try edited { edits, message in try edits.append(Array("Call-ID: c2".utf8), to: message) }
        }
    }

    @Test func `more edits than the editor takes are refused`() throws {
        let message = try Message(lines: Self.invite)
        var edits = MessageEdits()
        for _ in 0..<(MessageEditor.limit - 4) { try edits.append(Array("X: 1".utf8), to: message) }
        #expect(throws: MessageEdits.Refusal.tooManyEdits) { try edits.append(Array("X: 1".utf8), to: message) }
    }
}

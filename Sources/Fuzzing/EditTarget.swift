// A valid message, forwarded as the proxy forwards: parsed, edited, parsed again. What the edit did not touch must be
// there byte for byte and in order; what it did must read back as it was meant (RFC 3261 §16.6, §16.7 step 3).
//
//   input: one byte (routes to consume in the low four bits, 0x10 IPv6 source, 0x20 forced rport), then the message

import Primitives
import SIP

enum EditTarget {
    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let choice = input.byte()
        var message = Message()
        guard load(Array(input.rest), into: &message) else { return }
        let source = Endpoint(
            address: choice & 0x10 == 0 ? Address(ipv4: 0x0A00_0001) : Address(high: 1, low: 2), port: 5_070)
        let forwarded = forwards(message, source, routes: Int(choice & 15), forced: choice & 0x20 != 0)
        returns(forwarded, as: message)
    }

    private static func load(_ bytes: [UInt8], into message: inout Message) -> Bool {
        do throws(SIPParseError) {
            try message.load(RawSpan(_elements: bytes.span))
            try message.validate()
            return true
        } catch {
            return false
        }
    }

    private static func text(_ message: Message, _ range: ByteRange) -> [UInt8] { message.copy(range) }

    private static func vias(_ message: Message) -> [Via] {
        var vias: [Via] = []
        precondition(message.vias(into: &vias), "the Vias of a valid message must be readable")
        return vias
    }

    private static func routes(_ message: Message) -> [NameAddress] {
        var routes: [NameAddress] = []
        precondition(message.nameAddresses(.route, into: &routes), "the Routes of a valid message must be readable")
        return routes
    }

    /// The forwarded form, checked against the received one.
    private static func forwards(_ message: Message, _ source: Endpoint, routes count: Int, forced: Bool) -> Message {
        let (before, routes) = (vias(message), routes(message))
        var editor = MessageEditor()
        editor.insert(at: message.firstLineEnd) { $0.put("Via: SIP/2.0/UDP 127.0.0.11;branch=z9hG4bKours\r\n") }
        editor.stamp(before[0], of: message, source: source, forceRport: forced)
        editor.removeLeading(count, of: routes)
        if let field = message.first(.maxForwards) {
            editor.replace(field.value) { $0.put("69") }
        } else {
            editor.insert(at: message.headersEnd) { $0.put("Max-Forwards: 70\r\n") }
        }
        precondition(!editor.isOverfull, "128 header fields must fit the editor")
        var out = ByteWriter()
        editor.write(message, into: &out)
        var after = Message()
        guard load(out.bytes, into: &after) else {
            // One field more than came in may be one too many.
            precondition(
                message.headerCount + 2 > Message.headerLimit || out.count > Message.sizeLimit, out.bytes.shown)
            return message
        }
        let vias = vias(after)
        precondition(vias.count == before.count + 1, "our Via is added, none is lost")
        precondition(text(after, vias[0].branch) == Array("z9hG4bKours".utf8), "ours is on top")
        for (old, new) in zip(before, vias.dropFirst()) {
            precondition(text(message, old.sentBy) == text(after, new.sentBy), "sent-by is not ours to change")
            precondition(text(message, old.branch) == text(after, new.branch), "nor is a branch")
        }
        if forced || before[0].hasRport {
            precondition(vias[1].rport == source.port, "rport is the source's port")
            precondition(Address(bytes: after.bytes, range: vias[1].received) == source.address, "received is set")
        }
        let left = Self.routes(after).map { text(after, $0.element) }
        precondition(left == routes.dropFirst(count).map { text(message, $0.element) }, "the other Routes stay")
        keeps(message, in: after)
        return after
    }

    /// Start line, body and every header that forwarding leaves alone.
    private static func keeps(_ message: Message, in after: Message) {
        precondition(text(message, message.body) == text(after, after.body), "a body is not touched")
        precondition(message.isRequest == after.isRequest && message.method == after.method, "nor a method")
        precondition(text(message, message.requestURI) == text(after, after.requestURI), "nor a Request-URI")
        precondition(message.statusCode == after.statusCode, "nor a status")
        let mine = message.headers.filter { isKept($0.name) }.map { message.copy($0.line) }
        let theirs = after.headers.filter { isKept($0.name) }.map { after.copy($0.line) }
        precondition(mine == theirs, "nor the other headers, nor their order")
    }

    private static func isKept(_ name: HeaderName) -> Bool {
        name != .via && name != .route && name != .maxForwards
    }

    /// The way back: without our Via, the message has its own again.
    private static func returns(_ forwarded: Message, as message: Message) {
        guard let via = try? forwarded.topmostVia() else { preconditionFailure("a forwarded message has a Via") }
        guard text(forwarded, via.branch) == Array("z9hG4bKours".utf8) else { return }
        var editor = MessageEditor()
        editor.removeTopmost(via)
        var (out, after) = (ByteWriter(), Message())
        editor.write(forwarded, into: &out)
        precondition(load(out.bytes, into: &after), "without our Via it must be valid: \(out.bytes.shown)")
        precondition(vias(after).count == vias(message).count, "only ours is gone")
        keeps(message, in: after)
    }
}

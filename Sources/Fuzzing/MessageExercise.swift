// Everything that SIP can do with a message, done to any bytes: nothing may trap, every range must lie within the
// message, and what is made of a valid message must be valid again. The tests of torture messages and of damaged ones
// use it too.

internal import Primitives
package import SIP

/// What is reused from message to message, as the proxy reuses it.
package struct MessageExercise {
    private var message = Message()
    private var again = Message()
    private var editor = MessageEditor()
    private var out = ByteWriter()
    private var vias: [Via] = []
    private var addresses: [NameAddress] = []
    private let source = Endpoint(address: Address(high: 1, low: 2), port: 5070)
    /// How many inputs passed `validate`.
    package private(set) var valid = 0

    package init() {}

    /// - Returns: the first fault, `nil` for a valid message.
    @discardableResult
    package mutating func run(_ bytes: [UInt8]) -> SIPParseError? {
        var fault: SIPParseError?
        do throws(SIPParseError) {
            try message.load(RawSpan(_elements: bytes.span))
            try message.validate()
            valid += 1
        } catch {
            fault = error
        }
        readEverything()
        answer(isValid: fault == nil)
        rewrite(isValid: fault == nil)
        requests(isValid: fault == nil)
        return fault
    }

    private func check(_ range: ByteRange, in bytes: Int) {
        precondition(Int(range.end) <= bytes, "\(range) must lie within a message of \(bytes) bytes")
    }

    private mutating func readEverything() {
        let bytes = message.bytes
        for range in [message.methodText, message.requestURI, message.reasonPhrase, message.body, message.callID] {
            check(range, in: bytes.count)
        }
        precondition(message.headersEnd <= bytes.count && message.firstLineEnd <= bytes.count, "ends within")
        for field in message.headers {
            check(field.line, in: bytes.count)
            precondition(
                field.value.start >= field.line.start && field.value.end <= field.line.end,
                "\(field) must have its value inside of its line")
        }
        vias.removeAll(keepingCapacity: true)
        message.vias(into: &vias)
        for via in vias {
            for range in [via.host, via.sentBy, via.branch, via.received, via.maddr, via.rportRange, via.element] {
                check(range, in: bytes.count)
            }
            _ = via.hasMagicCookie(in: bytes)
        }
        addresses.removeAll(keepingCapacity: true)
        for name in [HeaderName.from, .to, .contact, .recordRoute] { message.nameAddresses(name, into: &addresses) }
        for address in addresses {
            for range in [address.element, address.uri, address.parameters, address.tag] {
                check(range, in: bytes.count)
            }
            _ = Parameters.value("q", in: bytes, address.parameters)
            read(address.uri)
        }
        read(message.requestURI)
        check(message.fromTag, in: bytes.count)
        check(message.toTag, in: bytes.count)
        _ = try? message.maxForwards()
        _ = try? message.cSeq()
        _ = message.leadingNumber(.expires)
        _ = message.lists("100rel", in: .supported)
        for name in HeaderName.allCases {
            precondition((message.first(name) == nil) == (message.count(of: name) == 0), "a first one, or none")
        }
    }

    private func read(_ range: ByteRange) {
        guard let uri = try? URI(message.bytes, range) else { return }
        for part in [uri.user, uri.password, uri.host, uri.parameters, uri.headers] {
            check(part, in: message.bytes.count)
        }
        _ = uri.hasLooseRoute(in: message.bytes)
        _ = uri.effectivePort(in: message.bytes)
        _ = Address(bytes: message.bytes, range: uri.host)
        _ = HostPort(Endpoint(address: Address(high: 1, low: 2), port: 5060)).matches(uri, in: message.bytes)
    }

    private mutating func reload(_ what: StaticString, mustBeValid: Bool) {
        let bytes = out.bytes
        do throws(SIPParseError) {
            try again.load(RawSpan(_elements: bytes.span))
            if mustBeValid { try again.validate() }
        } catch {
            precondition(!mustBeValid, "\(what) of a valid message must be valid: \(error)\n\(bytes.shown)")
        }
    }

    private mutating func answer(isValid: Bool) {
        for code in [100, 400] {
            out.removeAll()
            ResponseWriter.write(
                code, to: message, toTag: [0x61], received: (source, forceRport: code == 400), into: &out)
            reload("the response", mustBeValid: isValid)
        }
    }

    private mutating func rewrite(isValid: Bool) {
        editor.begin()
        addresses.removeAll(keepingCapacity: true)
        message.nameAddresses(.route, into: &addresses)
        editor.removeLeading(max(1, addresses.count / 2), of: addresses)
        if let via = try? message.topmostVia() { editor.stamp(via, of: message, source: source, forceRport: true) }
        editor.insert(at: message.firstLineEnd) { $0.put("Via: SIP/2.0/UDP 127.0.0.11;branch=z9hG4bK1\r\n") }
        if let field = message.first(.maxForwards) { editor.replace(field.value) { $0.put("69") } }
        out.removeAll()
        editor.write(message, into: &out)
        reload("the forwarded form", mustBeValid: isValid)
        guard isValid, let via = try? again.topmostVia() else { return }
        editor.begin()
        editor.removeTopmost(via)
        out.removeAll()
        editor.write(again, into: &out)
        reload("the form without our Via", mustBeValid: true)
    }

    private mutating func requests(isValid: Bool) {
        out.removeAll()
        if CancelWriter.write(invite: message, maxForwards: 70, into: &out) {
            reload("the CANCEL", mustBeValid: isValid)
        }
        out.removeAll()
        if AckWriter.write(invite: message, response: message, maxForwards: 70, into: &out) {
            reload("the ACK", mustBeValid: isValid)
        }
    }
}

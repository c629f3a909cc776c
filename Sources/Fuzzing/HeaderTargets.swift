// URI, Via, lists of addresses, and the small values, one target each: whatever the bytes, what is read lies where it
// says, and what is written from it reads the same.

import Primitives
import SIP

/// The bytes are one URI.
enum URITarget {
    static func run(_ bytes: [UInt8]) {
        guard let uri = try? URI(bytes, ByteRange(bytes)) else { return }
        let parts = [uri.user, uri.password, uri.host, uri.parameters, uri.headers]
        var covered = 0
        for part in parts {
            precondition(Int(part.end) <= bytes.count, "a part must lie within the URI")
            covered += part.count
        }
        precondition(covered <= bytes.count, "parts must not overlap")
        if uri.scheme == .sip || uri.scheme == .sips {
            precondition(!uri.host.isEmpty, "a SIP URI has a host")
            precondition(uri.headers.isEmpty || bytes[Int(uri.headers.start)] == UInt8(ascii: "?"), "headers after ?")
            precondition(uri.parameters.isEmpty || bytes[Int(uri.parameters.start)] == UInt8(ascii: ";"), "after ;")
            precondition(uri.headers.isEmpty || Int(uri.headers.end) == bytes.count, "headers end a URI")
        }
        _ = uri.effectivePort(in: bytes)
        _ = uri.hasLooseRoute(in: bytes)
        _ = uri.transport(in: bytes)
        if let number = try? TelephoneNumber(uri, in: bytes) {
            precondition(!number.digits.isEmpty && (number.isGlobal || !number.context.isEmpty), "a number is complete")
        }
        compare(uri, bytes)
    }

    /// Equal to itself; and whether it equals another does not depend on which is asked.
    private static func compare(_ uri: URI, _ bytes: [UInt8]) {
        precondition(uri.isEquivalent(to: uri, in: bytes, bytes), "reflexive: \(bytes.shown)")
        for index in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 8)) {
            var changed = bytes
            changed[index] ^= 1
            guard let other = try? URI(changed, ByteRange(changed)) else { continue }
            precondition(
                uri.isEquivalent(to: other, in: bytes, changed) == other.isEquivalent(to: uri, in: changed, bytes),
                "symmetric: \(bytes.shown) \(changed.shown)")
        }
    }
}

/// The bytes are the value of a Via header.
enum ViaTarget {
    static func run(_ bytes: [UInt8]) {
        var message = Message()
        let whole = Array("OPTIONS sip:a SIP/2.0\r\nVia: ".utf8) + bytes + Array("\r\n\r\n".utf8)
        guard (try? message.load(RawSpan(_elements: whole.span))) != nil else { return }
        var vias: [Via] = []
        let isReadable = message.vias(into: &vias)
        var last = 0
        for via in vias {
            precondition(Int(via.element.start) >= last, "via-parms must follow each other")
            last = Int(via.element.end)
            precondition(via.following >= via.element.end, "the next one starts behind this one")
            for part in [via.sentBy, via.branch, via.received, via.maddr, via.rportRange] where !part.isEmpty {
                precondition(part.start >= via.element.start && part.end <= via.element.end, "a part lies within")
            }
        }
        guard isReadable, let via = vias.first else { return }
        for source in [
            Endpoint(address: Address(ipv4: 0x7F00_000B), port: 65_535),
            Endpoint(address: Address(high: 1, low: 2), port: 1),
        ] {
            stamped(message, via, others: vias.count - 1, source)
        }
    }

    private static func stamped(_ message: Message, _ via: Via, others: Int, _ source: Endpoint) {
        var (editor, out, after) = (MessageEditor(), ByteWriter(), Message())
        editor.stamp(via, of: message, source: source, forceRport: true)
        editor.write(message, into: &out)
        let bytes = out.bytes
        guard (try? after.load(RawSpan(_elements: bytes.span))) != nil else { preconditionFailure(bytes.shown) }
        var vias: [Via] = []
        precondition(after.vias(into: &vias), "a stamped Via must be readable: \(bytes.shown)")
        precondition(vias.count == others + 1, "a stamp adds no Via: \(bytes.shown)")
        precondition(vias[0].rport == source.port, "rport must be the source's: \(bytes.shown)")
        precondition(Address(bytes: after.bytes, range: vias[0].received) == source.address, bytes.shown)
        precondition(after.copy(vias[0].branch) == message.copy(via.branch), "the branch stays: \(bytes.shown)")
        precondition(after.copy(vias[0].host) == message.copy(via.host) && vias[0].port == via.port, bytes.shown)
    }
}

/// The bytes are a comma-separated list of addresses.
enum AddressesTarget {
    static func run(_ bytes: [UInt8]) {
        var list: [NameAddress] = []
        let isReadable = NameAddress.append(listIn: bytes, ByteRange(bytes), to: &list)
        var (joined, last) = (ByteWriter(), 0)
        for address in list {
            precondition(Int(address.element.start) >= last, "addresses must follow each other")
            last = Int(address.element.end)
            for part in [address.uri, address.parameters, address.tag] where !part.isEmpty {
                precondition(part.start >= address.element.start && part.end <= address.element.end, "lies within")
            }
            guard let alone = try? NameAddress(bytes, address.element) else {
                preconditionFailure("an address taken out of its list must be readable: \(bytes.shown)")
            }
            precondition(alone.uri == address.uri && isSame(alone.tag, address.tag), "and read the same")
            if !joined.isEmpty { joined.put(", ") }
            joined.put(bytes, address.element)
            _ = Parameters.value("expires", in: bytes, address.parameters)
        }
        guard isReadable else { return }
        var again: [NameAddress] = []
        let text = joined.bytes
        precondition(NameAddress.append(listIn: text, ByteRange(text), to: &again), "a list that is joined again")
        precondition(
            again.map { Array(text[$0.uri.range]) } == list.map { Array(bytes[$0.uri.range]) },
            "must have the same URIs: \(text.shown)")
    }

    /// Nothing is the same wherever it is.
    private static func isSame(_ left: ByteRange, _ right: ByteRange) -> Bool {
        left == right || (left.isEmpty && right.isEmpty)
    }
}

/// One byte says which value, the rest is its text.
enum ValuesTarget {
    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let choice = input.byte()
        let text = Array(input.rest)
        switch choice % 4 {
        case 0: cSeq(text)
        case 1: parameters(text)
        case 2: numbers(text)
        default: tokens(text)
        }
    }

    private static func cSeq(_ text: [UInt8]) {
        guard let cSeq = try? CSeq(text, ByteRange(text)) else { return }
        var writer = ByteWriter()
        writer.putDecimal(UInt64(cSeq.number))
        writer.put(0x20)
        writer.put(text, cSeq.methodText)
        guard let again = try? CSeq(writer.bytes, ByteRange(writer.bytes)) else { preconditionFailure(text.shown) }
        precondition(again.number == cSeq.number && again.method == cSeq.method, "a CSeq written must read the same")
    }

    private static func parameters(_ text: [UInt8]) {
        for name in ["tag", "lr", "transport", "maddr", "refresher"] as [StaticString] {
            guard let value = Parameters.value(name, in: text, ByteRange(text)) else { continue }
            precondition(Int(value.end) <= text.count, "a value lies within its list")
        }
    }

    private static func numbers(_ text: [UInt8]) {
        var message = Message()
        let lines = ["Max-Forwards", "Expires", "Session-Expires", "Min-SE", "RSeq", "Retry-After", "Max-Breadth"]
            .flatMap { Array("\($0): ".utf8) + text + Array("\r\n".utf8) }
        let whole = Array("OPTIONS sip:a SIP/2.0\r\n".utf8) + lines + Array("\r\n".utf8)
        guard (try? message.load(RawSpan(_elements: whole.span))) != nil else { return }
        if let hops = try? message.maxForwards() { precondition((0...255).contains(hops), "at most 255 hops") }
        if let agreed = (try? message.sessionExpires()) ?? nil {
            var writer = ByteWriter()
            agreed.write(into: &writer)
            precondition(
                (try? SessionExpires(writer.bytes, ByteRange(writer.bytes))) == agreed, "written, it is the same")
        }
        if let breadth = (try? message.maxBreadth()) ?? nil { precondition((0...65_535).contains(breadth), "bounded") }
        for name in [HeaderName.expires, .sessionExpires, .minSE, .rseq, .retryAfter] {
            _ = message.leadingNumber(name)
        }
    }

    private static func tokens(_ text: [UInt8]) {
        var message = Message()
        let whole =
            Array("OPTIONS sip:a SIP/2.0\r\nRequire: ".utf8) + text + Array("\r\nSupported: timer,".utf8) + text
            + Array("\r\n\r\n".utf8)
        guard (try? message.load(RawSpan(_elements: whole.span))) != nil else { return }
        _ = message.lists("timer", in: .require)
        var (count, writer) = (0, ByteWriter())
        message.forEachToken(in: .require) { token in
            precondition(!token.isEmpty, "a token is not empty")
            count += 1
        }
        precondition(message.writeUnsupported(.require, known: [], into: &writer) == (count > 0), "all or none")
        guard !text.contains(0x0A) else { return }
        precondition(message.lists("TIMER", in: .supported), "a token is found whatever follows it, in any case")
    }
}

/// The bytes are the text of an address or an endpoint.
enum EndpointTarget {
    static func run(_ bytes: [UInt8]) {
        if let address = Address(bytes: bytes, range: ByteRange(bytes)) {
            precondition(
                Address(text: address.text) == address, "an address written must read the same: \(address.text)")
            var writer = ByteWriter()
            address.write(into: &writer)
            precondition(Address(bytes: writer.bytes, range: ByteRange(writer.bytes)) == address, "in brackets too")
            precondition(HostPort(host: bytes, port: 5_060).address == address, "a name of ours knows its address")
        }
        if let endpoint = Endpoint(bytes: bytes, range: ByteRange(bytes)) {
            precondition(Endpoint(text: endpoint.text) == endpoint, "an endpoint written must read the same")
            precondition(HostPort(endpoint).matches(host: ByteRange(hostOf(bytes)), in: hostOf(bytes)), "and is itself")
        }
    }

    private static func hostOf(_ bytes: [UInt8]) -> [UInt8] {
        Array(bytes.prefix(bytes.lastIndex(of: UInt8(ascii: ":")) ?? 0))
    }
}

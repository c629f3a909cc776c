// DNSMessage reads the answer to one question out of a raw message (RFC 1035 §4), with every time to live and the
// negative one of the SOA, which the C library's own parsers drop.
//
//   0        2        4         6         8         10        12
//   │ id     │ flags  │ QDCOUNT │ ANCOUNT │ NSCOUNT │ ARCOUNT │ questions │ answers │ authority │ additional
//
//   record:  name │ type, u16 │ class, u16 │ TTL, u32 │ RDLENGTH, u16 │ RDATA          big-endian
//   name:    length-prefixed labels to a 0; a length of 0xC0 or more begins a pointer into what was before
//
// Everything here comes from a stranger. Every read is checked against the end, a pointer must point before the name
// that it stands in, and what cannot be read ends in one typed error with its offset.
//
// Aliases: a recursive server sends the CNAMEs of a name before the records at their end; the chain is followed within
// the message, at most `aliasLimit` steps. A chain without records at its end counts as "no such records".
//
// Limits: `recordLimit` records in answer and authority, names of `DNSQuestion.nameLimit` bytes, the first
// `DNSAnswer.recordLimit` records are kept. Not read: the additional section (addresses there would have to be believed
// for names nobody asked for), classes other than IN.

internal import Primitives

/// Why a message was not read.
package struct DNSMessageError: Error, Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        case tooShort
        case notAnAnswer
        /// The server cut it, and the way around by TCP was not taken.
        case truncated
        /// It answers something that was not asked.
        case otherQuestion
        case tooManyRecords
        /// A label that is no label, or a pointer that does not point backwards.
        case badName
        case nameTooLong
        /// Data that do not have the shape of their type.
        case badRecord
    }
    package var reason: Reason
    /// Bytes from the start of the message to where reading stopped.
    package var offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

package enum DNSMessage {
    package static let recordLimit = 128
    package static let aliasLimit = 16

    private struct Record {
        var owner: [UInt8]
        var type: UInt16
        var ttl: UInt32
        var data: Range<Int>
    }

    private enum Kind {
        static let cname: UInt16 = 5
        static let soa: UInt16 = 6
    }

    /// What a message says to a question.
    package static func answer(to question: DNSQuestion, in message: RawSpan) throws(DNSMessageError) -> DNSAnswer {
        guard message.byteCount >= 12 else { throw DNSMessageError(.tooShort, at: message.byteCount) }
        let flags = try number(message, 2)
        // QR set, an ordinary query.
        guard flags & 0xF800 == 0x8000 else { throw DNSMessageError(.notAnAnswer, at: 2) }
        let code = UInt8(flags & 0xF)
        guard code == 0 || code == 3 else { return .failed(.refused(code: code)) }
        guard flags & 0x0200 == 0 else { throw DNSMessageError(.truncated, at: 2) }
        var offset = 12
        try skipQuestion(question, message, &offset)
        let (answers, authority) = (Int(try number(message, 6)), Int(try number(message, 8)))
        guard answers + authority <= recordLimit else { throw DNSMessageError(.tooManyRecords, at: 6) }
        var records: [Record] = []
        for _ in 0..<answers {
            if let record = try record(message, &offset) { records.append(record) }
        }
        let (found, aliasTTL) = follow(question, records, message)
        if found.isEmpty {
            return .none(ttl: try negativeTTL(message, &offset, records: authority))
        }
        return try decode(question.type, found, ttl: aliasTTL, message)
    }

    private static func skipQuestion(
        _ question: DNSQuestion, _ message: RawSpan, _ offset: inout Int
    ) throws(DNSMessageError) {
        guard try number(message, 4) == 1 else { throw DNSMessageError(.otherQuestion, at: 4) }
        let asked = try name(message, &offset)
        let type = try number(message, offset)
        guard asked == question.name, type == question.type.rawValue, try number(message, offset + 2) == 1 else {
            throw DNSMessageError(.otherQuestion, at: 12)
        }
        offset += 4
    }

    /// The records at the end of the aliases, and the least time to live on the way.
    private static func follow(
        _ question: DNSQuestion, _ records: [Record], _ message: RawSpan
    ) -> (found: [Record], ttl: UInt32) {
        var owner = question.name
        var ttl = UInt32.max
        for _ in 0...aliasLimit {
            let found = records.filter { $0.type == question.type.rawValue && $0.owner == owner }
            guard found.isEmpty else { return (found, ttl) }
            guard let alias = records.first(where: { $0.type == Kind.cname && $0.owner == owner }) else { break }
            var offset = alias.data.lowerBound
            guard let next = try? name(message, &offset), offset == alias.data.upperBound else { break }
            ttl = min(ttl, alias.ttl)
            owner = next
        }
        return ([], ttl)
    }

    private static func decode(
        _ type: DNSType, _ records: [Record], ttl aliasTTL: UInt32, _ message: RawSpan
    ) throws(DNSMessageError) -> DNSAnswer {
        let ttl = records.reduce(aliasTTL) { min($0, $1.ttl) }
        switch type {
        case .a, .aaaa:
            var addresses: [Address] = []
            for record in records { addresses.append(try address(type, record.data, message)) }
            return .addresses(Array(addresses.prefix(DNSAnswer.recordLimit)), ttl: ttl)
        case .srv:
            var services: [(index: Int, service: DNSService)] = []
            for (index, record) in records.enumerated() { services.append((index, try service(record.data, message))) }
            services.sort { ($0.service.priority, $0.index) < ($1.service.priority, $1.index) }
            return .services(services.prefix(DNSAnswer.recordLimit).map(\.service), ttl: ttl)
        case .naptr:
            var pointers: [DNSPointer] = []
            for record in records { pointers.append(try pointer(record.data, message)) }
            return .pointers(Array(pointers.prefix(DNSAnswer.recordLimit)), ttl: ttl)
        }
    }

    /// RFC 2308 §5: the smaller of the SOA's own time to live and its last field.
    private static func negativeTTL(
        _ message: RawSpan, _ offset: inout Int, records: Int
    ) throws(DNSMessageError) -> UInt32? {
        for _ in 0..<records {
            guard let record = try record(message, &offset), record.type == Kind.soa else { continue }
            var field = record.data.lowerBound
            _ = try name(message, &field)
            _ = try name(message, &field)
            guard field + 20 == record.data.upperBound else { throw DNSMessageError(.badRecord, at: field) }
            return min(record.ttl, try time(message, field + 16))
        }
        return nil
    }

    // MARK: Data by type

    private static func address(
        _ type: DNSType, _ data: Range<Int>, _ message: RawSpan
    ) throws(DNSMessageError) -> Address {
        guard data.count == (type == .a ? 4 : 16) else { throw DNSMessageError(.badRecord, at: data.lowerBound) }
        if type == .a { return Address(ipv4: try word(message, data.lowerBound)) }
        var words: [UInt64] = []
        for index in 0..<4 { words.append(UInt64(try word(message, data.lowerBound + index * 4))) }
        return Address(high: words[0] << 32 | words[1], low: words[2] << 32 | words[3])
    }

    private static func service(_ data: Range<Int>, _ message: RawSpan) throws(DNSMessageError) -> DNSService {
        guard data.count >= 7 else { throw DNSMessageError(.badRecord, at: data.lowerBound) }
        var offset = data.lowerBound + 6
        let target = try name(message, &offset)
        guard offset == data.upperBound else { throw DNSMessageError(.badRecord, at: offset) }
        return DNSService(
            priority: try number(message, data.lowerBound), weight: try number(message, data.lowerBound + 2),
            port: try number(message, data.lowerBound + 4), target: target)
    }

    private static func pointer(_ data: Range<Int>, _ message: RawSpan) throws(DNSMessageError) -> DNSPointer {
        guard data.count >= 8 else { throw DNSMessageError(.badRecord, at: data.lowerBound) }
        var offset = data.lowerBound + 4
        var texts: [[UInt8]] = []
        for _ in 0..<3 {
            guard offset < data.upperBound else { throw DNSMessageError(.badRecord, at: offset) }
            let end = offset + 1 + Int(message[offset])
            guard end < data.upperBound else { throw DNSMessageError(.badRecord, at: offset) }
            texts.append([UInt8](copying: message.extracting(offset + 1..<end)))
            offset = end
        }
        let replacement = try name(message, &offset)
        guard offset == data.upperBound else { throw DNSMessageError(.badRecord, at: offset) }
        return DNSPointer(
            order: try number(message, data.lowerBound), preference: try number(message, data.lowerBound + 2),
            flags: texts[0], service: texts[1], regularExpression: texts[2], replacement: replacement)
    }

    // MARK: Parts

    /// The next record; `nil` when it is of another class than IN.
    private static func record(_ message: RawSpan, _ offset: inout Int) throws(DNSMessageError) -> Record? {
        let owner = try name(message, &offset)
        let type = try number(message, offset)
        let isInternet = try number(message, offset + 2) == 1
        let ttl = try time(message, offset + 4)
        let start = offset + 10
        let end = start + Int(try number(message, offset + 8))
        guard end <= message.byteCount else { throw DNSMessageError(.tooShort, at: start) }
        offset = end
        return isInternet ? Record(owner: owner, type: type, ttl: ttl, data: start..<end) : nil
    }

    /// A name in lower case with dots between its labels; empty for the root.
    private static func name(_ message: RawSpan, _ offset: inout Int) throws(DNSMessageError) -> [UInt8] {
        var name: [UInt8] = []
        var position = offset
        /// Pointers go below everything read so far, so there are fewer of them than bytes.
        var floor = offset
        var hasJumped = false
        while true {
            guard position < message.byteCount else { throw DNSMessageError(.tooShort, at: position) }
            let length = Int(message[position])
            if length == 0 {
                if !hasJumped { offset = position + 1 }
                return name
            }
            if length >= 0xC0 {
                let target = Int(try number(message, position) & 0x3FFF)
                guard target < floor else { throw DNSMessageError(.badName, at: position) }
                if !hasJumped { offset = position + 2 }
                hasJumped = true
                floor = target
                position = target
                continue
            }
            guard length <= DNSQuestion.labelLimit else { throw DNSMessageError(.badName, at: position) }
            guard position + 1 + length <= message.byteCount else { throw DNSMessageError(.tooShort, at: position) }
            if !name.isEmpty { name.append(UInt8(ascii: ".")) }
            for index in position + 1...position + length {
                let byte = message[index]
                guard byte != UInt8(ascii: "."), byte != 0 else { throw DNSMessageError(.badName, at: index) }
                name.append(Text.lowercased(byte))
            }
            guard name.count <= DNSQuestion.nameLimit else { throw DNSMessageError(.nameTooLong, at: position) }
            position += 1 + length
        }
    }

    private static func number(_ message: RawSpan, _ offset: Int) throws(DNSMessageError) -> UInt16 {
        guard offset + 2 <= message.byteCount else { throw DNSMessageError(.tooShort, at: offset) }
        return UInt16(message[offset]) << 8 | UInt16(message[offset + 1])
    }

    private static func word(_ message: RawSpan, _ offset: Int) throws(DNSMessageError) -> UInt32 {
        UInt32(try number(message, offset)) << 16 | UInt32(try number(message, offset + 2))
    }

    /// Seconds; one with its highest bit set counts as 0 (RFC 2181 §8).
    private static func time(_ message: RawSpan, _ offset: Int) throws(DNSMessageError) -> UInt32 {
        let seconds = try word(message, offset)
        return seconds > UInt32(Int32.max) ? 0 : seconds
    }
}

// RequestWish is a request that the cluster is to send to one side of a dialog, as it stands in the record: a word
// (`DialogWord`), so of two that were asked for at once one stays, the same on every node.
//
//   REFER 4102 4096 81234 0 0 0  method, CSeq, shift of the sender from then on, when it was asked for in milliseconds
//   Refer-To: <sip:…>            since birth, how many heirs have taken it up, final status (0: none yet), and of a
//                                REFER what its last NOTIFY says of the call that it has made
//
//   body
//
// One that has ended keeps the first line alone: its result, for whoever asks any node.

internal import Primitives

public struct RequestWish: Equatable, Sendable {
    /// As it is written in the request.
    public var method: [UInt8]
    public var place: CSeqShift.Place
    public var askedMilliseconds: UInt64
    public var heirs: UInt32 = 0
    /// The final status; 0 while there is none. 408 also stands for silence, 503 for what was never sent.
    public var status: UInt32 = 0
    /// The status of the call that a REFER asked for, as far as it has been told (RFC 3515 §2.4.5); 0 for none.
    public var notified: UInt32 = 0
    /// Header lines, each with its CRLF.
    public var headers: [UInt8] = []
    public var body: [UInt8] = []

    public init(method: [UInt8], place: CSeqShift.Place, askedMilliseconds: UInt64) {
        self.method = method
        self.place = place
        self.askedMilliseconds = askedMilliseconds
    }

    public var isOpen: Bool { status == 0 }

    /// How it ended.
    public func ended(_ status: UInt32) -> RequestWish {
        var wish = self
        (wish.status, wish.headers, wish.body) = (max(1, status), [], [])
        return wish
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 64 + headers.count + body.count)
        writer.put(method)
        for number in [
            UInt64(place.cSeq), UInt64(place.shift), askedMilliseconds, UInt64(heirs), UInt64(status), UInt64(notified),
        ] {
            writer.put(0x20)
            writer.putDecimal(number)
        }
        writer.put("\r\n")
        guard isOpen else { return writer.bytes }
        writer.put(headers)
        writer.put("\r\n")
        writer.put(body)
        return writer.bytes
    }

    /// `nil` for bytes that are none: they came over the network.
    public init?(_ bytes: [UInt8]) {
        guard let end = Self.lineEnd(bytes, from: 0) else { return nil }
        let parts = bytes[..<end].split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 7, !parts[0].isEmpty else { return nil }
        let numbers = parts.dropFirst().map { Text.decimal(bytes, ByteRange(start: $0.startIndex, end: $0.endIndex)) }
        guard let cSeq = numbers[0].flatMap({ UInt32(exactly: $0) }),
            let shift = numbers[1].flatMap({ UInt32(exactly: $0) }), let asked = numbers[2],
            let heirs = numbers[3].flatMap({ UInt32(exactly: $0) }),
            let status = numbers[4].flatMap({ UInt32(exactly: $0) }),
            let notified = numbers[5].flatMap({ UInt32(exactly: $0) })
        else { return nil }
        self.init(method: Array(parts[0]), place: .init(cSeq: cSeq, shift: shift), askedMilliseconds: asked)
        (self.heirs, self.status, self.notified) = (heirs, status, notified)
        var line = end + 2
        guard isOpen else {
            if line != bytes.count { return nil }
            return
        }
        while let next = Self.lineEnd(bytes, from: line), next > line { line = next + 2 }
        guard Self.lineEnd(bytes, from: line) == line else { return nil }
        headers = Array(bytes[(end + 2)..<line])
        body = Array(bytes[(line + 2)...])
    }

    /// Where the line's CRLF is.
    private static func lineEnd(_ bytes: [UInt8], from start: Int) -> Int? {
        guard start >= 0, start < bytes.count else { return nil }
        return (start..<bytes.count - 1).first { bytes[$0] == 0x0D && bytes[$0 + 1] == 0x0A }
    }
}

extension DialogWord {
    /// Where the last request to a side stands.
    public init(requestTo leg: Leg) { self = leg == .caller ? .requestToCaller : .requestToCallee }
}

extension RecordView {
    /// The last request to a side that somebody has asked for, and the process that wrote what stands here.
    public func wish(to leg: Leg, in bytes: [UInt8]) -> (wish: RequestWish, writer: UInt32)? {
        let key = Array(DialogWord(requestTo: leg).rawValue.utf8)
        var found: (RequestWish, UInt32)?
        forEachAttribute(in: bytes) { entry in
            guard let value = entry.value, Text.same(bytes, entry.key, key, ByteRange(key)),
                let wish = RequestWish(Array(bytes[value.range]))
            else { return }
            found = (wish, bytes[entry.node.range].reduce(0) { $0 << 8 | UInt32($1) })
        }
        return found
    }
}

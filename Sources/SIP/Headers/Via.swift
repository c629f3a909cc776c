// Via is one via-parm of RFC 3261 §20.42: where a response goes (§18.2.2, RFC 3581) and which transaction it belongs
// to.
//
//     SIP/2.0/UDP 192.0.2.1:5060 ;branch=z9hG4bK87asd ;received=198.51.100.7 ;rport=5062
//     └─ transport ─┘└ sentBy ─┘  └ branch (value)                          └ rportRange
//     └────────────────────────────────── element ─────────────────────────────────────┘
//
// White space, folds included, may stand around every separator (RFC 4475 §3.1.1.1). The protocol version is not judged
// here: a request of another version is answered 505 by way of this Via.

package import Primitives

package struct Via: Equatable, Sendable {
    package var transport: TransportProtocol
    /// As written; an IPv6 reference with its brackets.
    package var host: ByteRange
    package var port: UInt16?
    /// Host and port as written.
    package var sentBy: ByteRange
    /// Values of the parameters; empty when absent.
    package var branch = ByteRange.empty
    package var received = ByteRange.empty
    package var maddr = ByteRange.empty
    package var hasRport = false
    /// The port that a server put into `rport` (RFC 3581 §4).
    package var rport: UInt16?
    /// `rport` or `rport=…`, without its semicolon; empty when absent.
    package var rportRange = ByteRange.empty
    /// The whole via-parm.
    package var element: ByteRange
    /// The header's line, folds and line end included.
    package var field: ByteRange
    package var isOnlyInField: Bool
    /// Where the next via-parm of the same field starts; the element's end when it is the last.
    package var following: Int32

    /// Whether the branch starts with the magic cookie and says more than it (§8.1.1.7, RFC 4475 §3.2.1).
    package func hasMagicCookie(in bytes: [UInt8]) -> Bool { Self.hasMagicCookie(branch, in: bytes) }

    /// The same of a branch that stands by itself.
    package static func hasMagicCookie(_ branch: ByteRange, in bytes: [UInt8]) -> Bool {
        guard branch.count > 7 else { return false }
        let start = Int(branch.start)
        // "z9hG4bK", as mostly written.
        if RawSpan(_elements: bytes.span).word(at: start) << 8 == 0x4B62_3447_6839_7A00 { return true }
        return Text.equalsIgnoringCase(bytes, ByteRange(start: start, end: start + 7), "z9hG4bK")
    }

    /// The port a response goes to by sent-by: the one written, or the transport's (§18.2.2).
    package var sentByPort: UInt16 { port ?? transport.defaultPort }

    /// Reads the via-parm that starts, after white space, at `start`; `field.value` bounds it.
    init(_ span: RawSpan, at start: Int, in field: HeaderField) throws(SIPParseError) {
        let end = Int(field.value.end)
        let first = Grammar.skipSpace(span, start, end)
        let failure = SIPParseError(.malformedValue(.via), at: first)
        var offset = first
        if first &+ 8 <= end, span.word(at: first) == 0x2F30_2E32_2F50_4953 {  // "SIP/2.0/"
            offset = Grammar.skipSpace(span, first &+ 8, end)
        } else {
            offset = try Self.skipProtocol(span, first, end)
        }
        let transportEnd = Grammar.skipToken(span, offset, end)
        let hostStart = Grammar.skipSpace(span, transportEnd, end)
        guard transportEnd > offset, hostStart > transportEnd, let hostEnd = Grammar.skipHost(span, hostStart, end)
        else { throw failure }
        transport = TransportProtocol(span, ByteRange(start: offset, end: transportEnd))
        host = ByteRange(start: hostStart, end: hostEnd)
        sentBy = host
        element = field.value
        self.field = field.line
        isOnlyInField = true
        following = 0

        offset = hostEnd
        let colon = Grammar.skipSpace(span, hostEnd, end)
        if colon < end, span[colon] == 0x3A {
            let portStart = Grammar.skipSpace(span, colon &+ 1, end)
            offset = Grammar.skipDigits(span, portStart, end)
            guard let number = Grammar.port(span, portStart, offset) else { throw failure }
            port = number
            sentBy = ByteRange(start: hostStart, end: offset)
        }
        let elementEnd = try readParameters(span, offset, end)
        element = ByteRange(start: first, end: elementEnd)
        following = Int32(elementEnd)
        let comma = Grammar.skipSpace(span, elementEnd, end)
        if comma < end { following = Int32(Grammar.skipSpace(span, comma &+ 1, end)) }
        isOnlyInField = comma == end && first == Int(field.value.start)
    }

    /// Past the name and version of the protocol, and the slash behind each.
    private static func skipProtocol(_ span: RawSpan, _ first: Int, _ end: Int) throws(SIPParseError) -> Int {
        var offset = first
        for _ in 0..<2 {
            let tokenEnd = Grammar.skipToken(span, offset, end)
            let slash = Grammar.skipSpace(span, tokenEnd, end)
            guard tokenEnd > offset, slash < end, span[slash] == 0x2F else {
                throw SIPParseError(.malformedValue(.via), at: first)
            }
            offset = Grammar.skipSpace(span, slash &+ 1, end)
        }
        return offset
    }

    /// Reads the parameters from `offset` and answers where the last one ends.
    private mutating func readParameters(
        _ span: RawSpan, _ offset: Int, _ end: Int
    ) throws(SIPParseError) -> Int {
        var offset = offset
        while true {
            switch Parameters.step(span, offset, end) {
            case .end:
                return offset
            case .malformed(let place):
                throw SIPParseError(.malformedValue(.via), at: place)
            case .parameter(let parameter):
                offset = Int(parameter.whole.end)
                switch parameter.key {
                case 0x6272_616E_6368: branch = parameter.value  // branch
                case 0x7265_6365_6976_6564: received = parameter.value  // received
                case 0x6D_6164_6472: maddr = parameter.value  // maddr
                case 0x72_706F_7274:  // rport
                    hasRport = true
                    rport = Grammar.port(span, Int(parameter.value.start), Int(parameter.value.end))
                    rportRange = ByteRange(start: Int(parameter.name.start), end: offset)
                default: break
                }
            }
        }
    }
}

// What a proxy insists on before it looks further (RFC 3261 §16.3 steps 1 and 2, §8.1.1; outcomes of RFC 4475). `load`
// has already judged start line, header lines and lengths.
//
// Judged: the headers that identify a transaction and a dialog, each there once and readable; all Vias and Routes; a
// Request-URI of a known scheme. Not judged: everything that only the user agents understand (Contact, bodies, dates,
// credentials): RFC 4475 §3.3.4 says that it is none of a proxy's business. A missing From tag passes, as RFC 2543
// phones send none; a missing Max-Forwards passes (§16.6 step 3).

internal import Primitives

/// Whom From or To names: where its URI is, and its tag, which is empty where there is none.
struct MessageParty: Sendable {
    var uri = ByteRange.empty
    var tag = ByteRange.empty
}

/// The headers that say whose a message is.
struct MessageIdentity: Sendable {
    var topmostVia: Via
    var from: MessageParty
    var to: MessageParty
    var cSeq: CSeq
    /// Of a request.
    var requestURI: URI?
}

extension Message {
    /// Throws the first reason why this message must not be forwarded.
    package func validate() throws(SIPParseError) { _ = try validated() }

    /// As `validate`; the topmost Via, tags and CSeq, which it reads on the way, are kept until the next `load`.
    package mutating func identify() throws(SIPParseError) {
        let identity = try validated()
        remember(identity)
    }

    private func validated() throws(SIPParseError) -> MessageIdentity {
        var topmostVia: Via?
        var (from, to) = (MessageParty(), MessageParty())
        let fields = index.fields
        try requireOnce([.callID, .cSeq, .from, .to], fields)
        guard index.first(.via) != nil else { throw SIPParseError(.missingHeader(.via), at: headersEnd) }
        let span = RawSpan(_elements: bytes.span)
        for field in fields {
            switch field.name {
            case .via:
                let via = try validateVias(span, field)
                if topmostVia == nil { topmostVia = via }
            case .from: from = try validateSingleAddress(span, field)
            case .to: to = try validateSingleAddress(span, field)
            case .callID: try validateCallID(span, field)
            case .route: try validateRoutes(span, field)
            case .maxForwards: try validateMaxForwards(field)
            default: break
            }
        }
        let cSeq = try cSeq()
        guard let topmostVia else { throw SIPParseError(.missingHeader(.via), at: headersEnd) }
        var identity = MessageIdentity(topmostVia: topmostVia, from: from, to: to, cSeq: cSeq)
        guard isRequest else { return identity }
        guard cSeq.method == method, method != .other || Text.same(bytes, cSeq.methodText, bytes, methodText) else {
            throw SIPParseError(.methodMismatch, at: Int(cSeq.methodText.start))
        }
        let uri = try URI(span, requestURI)
        guard uri.scheme != .other || namesEmergencyService else {
            throw SIPParseError(.unsupportedScheme, at: Int(requestURI.start))
        }
        // Headers have no place in a Request-URI (§19.1.1), and would be an injection if someone applied them (RFC 4475
        // §3.1.2.11).
        guard uri.headers.isEmpty else { throw SIPParseError(.malformedURI, at: Int(uri.headers.start)) }
        identity.requestURI = uri
        return identity
    }

    /// The Request-URI is `urn:service:sos`, or a service below it (RFC 5031 §4.2).
    package var namesEmergencyService: Bool {
        let name: StaticString = "urn:service:sos"
        let length = name.utf8CodeUnitCount
        guard requestURI.count >= length else { return false }
        let start = ByteRange(start: Int(requestURI.start), end: Int(requestURI.start) + length)
        guard Text.equalsIgnoringCase(bytes, start, name) else { return false }
        return requestURI.count == length || bytes[Int(start.end)] == UInt8(ascii: ".")
    }

    private func requireOnce(
        _ names: InlineArray<4, HeaderName>, _ fields: ContiguousArray<HeaderField>
    ) throws(SIPParseError) {
        for position in names.indices {
            guard let field = index.first(names[position]) else {
                throw SIPParseError(.missingHeader(names[position]), at: headersEnd)
            }
            guard index.isRepeated(field.name) else { continue }
            for other in fields where other.name == field.name && other.line != field.line {
                throw SIPParseError(.duplicateHeader(field.name), at: Int(other.line.start))
            }
        }
    }

    /// - Returns: The first one.
    private func validateVias(_ span: RawSpan, _ field: HeaderField) throws(SIPParseError) -> Via {
        let first = try Via(span, at: Int(field.value.start), in: field)
        var (end, following) = (first.element.end, first.following)
        while following != end {
            let via = try Via(span, at: Int(following), in: field)
            (end, following) = (via.element.end, via.following)
        }
        return first
    }

    private func validateRoutes(_ span: RawSpan, _ field: HeaderField) throws(SIPParseError) {
        var offset = Int(field.value.start)
        while true {
            let route = try NameAddress(span, at: offset, in: field)
            _ = try URI(span, route.uri)
            if route.following == route.element.end { return }
            offset = Int(route.following)
        }
    }

    private func validateSingleAddress(_ span: RawSpan, _ field: HeaderField) throws(SIPParseError) -> MessageParty {
        let address = try NameAddress(span, at: Int(field.value.start), in: field)
        guard address.isOnlyInField, span[Int(address.uri.start)] != 0x2A else {
            throw SIPParseError(.malformedValue(field.name), at: Int(address.element.end))
        }
        return MessageParty(uri: address.uri, tag: address.tag)
    }

    private func validateCallID(_ span: RawSpan, _ field: HeaderField) throws(SIPParseError) {
        guard !field.value.isEmpty else { throw SIPParseError(.malformedValue(.callID), at: Int(field.line.start)) }
        let end = Grammar.skipVisible(span, Int(field.value.start), Int(field.value.end))
        guard end == Int(field.value.end) else { throw SIPParseError(.malformedValue(.callID), at: end) }
    }

    private func validateMaxForwards(_ field: HeaderField) throws(SIPParseError) {
        _ = try maxForwards()
        guard index.first(.maxForwards)?.line == field.line else {
            throw SIPParseError(.duplicateHeader(.maxForwards), at: Int(field.line.start))
        }
    }
}

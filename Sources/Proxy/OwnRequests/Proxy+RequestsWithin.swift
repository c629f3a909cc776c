// The bytes of requests that the cluster makes within a dialog, and where they go: written from the record as the other
// side would send them (RFC 3261 §12.2.1.1). A BYE's transaction follows from dialog, side and method alone (S1-9, R7).

import Dialogs
import Primitives
import SIP

extension Proxy {
    /// The branch hash of a generated request.
    /// - Parameter cSeq: Of one of several with that method; 0 for a BYE.
    func generatedBranch(
        _ did: DialogID, _ leg: Leg, _ method: Method, toTag: [UInt8], cSeq: UInt32 = 0
    ) -> UInt64 {
        var stream = hash.begin()
        stream.combine(0x6765_6e65_7261_7465)
        stream.combine(did.rawValue)
        if mutated("bye-branch-of-node") { stream.combine(UInt64(settings.memberTag)) }
        stream.combine(UInt64(leg.rawValue) << 8 | UInt64(method.rawValue))
        stream.combine(toTag, ByteRange(toTag))
        if cSeq > 0 { stream.combine(UInt64(cSeq)) }
        return stream.finish() | 1
    }

    /// BYE for one side of a dialog-out.
    ///
    /// CSeq and branch are those of any other BYE to this leg: should the dialog turn out to be confirmed elsewhere,
    /// the BYE at its deadline is a retransmission of this one (S1-9).
    func bye(
        _ did: DialogID, _ record: Record, _ out: Record.Out, to leg: Leg, because cause: ByeCause = .recorded
    ) -> EndingRequest? {
        var side = leg == .caller ? record.caller : out.side
        // Whoever knows of the dialog by its ACK alone knows the callee by the URI that was called, and by its tag.
        if side.contact.isEmpty, leg == .callee {
            // Behind a server that sends calls back the called URI is the server's, which knows nothing of the phone.
            guard record.outs.allSatisfy({ $0.side.pass.isFirst }) else { return nil }
            side.contact = record.requestURI
        }
        guard !side.contact.isEmpty else { return nil }
        let sender = leg == .caller ? out.side : record.caller
        let highest = GeneratedCSeq.moved(sender.cseq, by: sender.shift)
        let usual = GeneratedCSeq.bye(first: sender.firstCSeq, highest: highest)
        let cSeq = mutated("bye-cseq-above-last") ? UInt64(sender.cseq) + 1 : usual
        guard let hop = nextHop(side) else { return nil }
        let request = requestWithin(
            record, out, to: leg, OwnLine("BYE", cSeq: cSeq), hop,
            via: { writeGeneratedVia(did, record, out, to: leg, .bye, settings.egress ?? hop.endpoint, into: &$0) },
            extra: { writer in
                Self.writeReason(cause, record, into: &writer)
                if cause == .recorded, let headers = record.word(.endHeaders) { writer.put(headers) }
            })
        return EndingRequest(leg: leg, target: hop.endpoint, bytes: request)
    }

    /// The value of the Via of a request that the cluster makes: it follows from dialog, side and method, and the home
    /// that the record names.
    func writeGeneratedVia(
        _ did: DialogID, _ record: Record, _ out: Record.Out, to leg: Leg, _ method: Method,
        _ hop: Endpoint, into writer: inout ByteWriter
    ) {
        let hash = generatedBranch(did, leg, method, toTag: out.toTag)
        writeGeneratedVia(hash, record.home, leg == .caller ? record.caller : out.side, hop, into: &writer)
    }

    func writeGeneratedVia(
        _ hash: UInt64, _ home: Record.Home?, _ side: Record.Side, _ hop: Endpoint, into writer: inout ByteWriter
    ) {
        writer.put("SIP/2.0/")
        writer.put(hop.transport.name)
        writer.put(0x20)
        writer.put(generatedSentBy(home, side, toward: hop))
        writer.put(";branch=")
        Branch.generated(hash).write(mark: settings.mark, into: &writer)
        writer.put(";rport")
    }

    /// Why the cluster ends a dialog (RFC 3326).
    private static func writeReason(_ cause: ByeCause, _ record: Record, into writer: inout ByteWriter) {
        let flags = record.flags
        if cause == .recorded, flags.contains(.endedByOperator), let reason = record.word(.endReason) {
            return ReasonWriter.write(cause: 480, text: reason, into: &writer)
        }
        if cause == .elsewhere { return writeCancelReason(.elsewhere, ofCaller: [], into: &writer) }
        let (code, text): (Int, String) =
            if flags.contains(.endedByOperator) {
                (480, "Ended by the operator")
            } else if cause == .interrupted {
                (480, "Call set-up was interrupted")
            } else if flags.contains(.endedByKeepAlive) {
                (408, "Keep-alive failed")
            } else {
                (408, "Dialog lifetime expired")
            }
        ReasonWriter.write(cause: code, text: Array(text.utf8), into: &writer)
    }

    /// A request of the cluster's own within a dialog-out, to one side as the other would send it (RFC 3261 §12.2.1.1).
    /// `via` writes the value of its Via, `extra` further headers.
    func requestWithin(
        _ record: Record, _ out: Record.Out, to leg: Leg, _ line: OwnLine, _ hop: Hop,
        via: (inout ByteWriter) -> Void, extra: (inout ByteWriter) -> Void = { _ in }
    ) -> [UInt8] {
        // A callee without a tag has the null tag, and gets none (RFC 3261 §12.1.1).
        let tag = out.toTag.isEmpty ? [] : Array(";tag=".utf8) + out.toTag
        let toValue = out.to.isEmpty ? record.to + tag : out.to
        var writer = ByteWriter(capacity: 512 + line.body.count)
        writer.put(line.method)
        writer.put(0x20)
        writer.put(hop.requestURI)
        writer.put(" SIP/2.0\r\nVia: ")
        via(&writer)
        writer.put("\r\n")
        if !hop.routes.isEmpty {
            writer.put("Route: ")
            writer.put(hop.routes)
            writer.put("\r\n")
        }
        writer.put("Max-Forwards: ")
        writer.putDecimal(UInt64(settings.maxForwards))
        writer.put("\r\nFrom: ")
        writer.put(leg == .caller ? toValue : record.from)
        writer.put("\r\nTo: ")
        writer.put(leg == .caller ? record.from : toValue)
        writer.put("\r\nCall-ID: ")
        writer.put(record.callID)
        writer.put("\r\nCSeq: ")
        writer.putDecimal(line.cSeq)
        writer.put(0x20)
        writer.put(line.method)
        writer.put("\r\n")
        extra(&writer)
        writer.put(settings.extraHeaders)
        writer.put("Content-Length: ")
        writer.putDecimal(UInt64(line.body.count))
        writer.put("\r\n\r\n")
        writer.put(line.body)
        return writer.bytes
    }

    /// What a request of the cluster's is, beside the dialog that it stands in.
    struct OwnLine {
        var method: [UInt8]
        var cSeq: UInt64
        var body: [UInt8] = []

        init(_ method: [UInt8], cSeq: UInt64, body: [UInt8] = []) {
            (self.method, self.cSeq, self.body) = (method, cSeq, body)
        }

        init(_ method: StaticString, cSeq: UInt64) {
            self.init([UInt8](copying: method), cSeq: cSeq)
        }
    }

    typealias Hop = (requestURI: [UInt8], routes: [UInt8], endpoint: Endpoint)

    /// Request-URI, Route value and endpoint of a request in a dialog (RFC 3261 §12.2.1.1): a first route without lr
    /// becomes the Request-URI, and the Contact goes last. No endpoint means that a name has to be looked up.
    func nextHop(_ side: Record.Side) -> Hop? {
        let (contact, value) = (side.contact, side.routes)
        var routes: [NameAddress] = []
        if !value.isEmpty { NameAddress.append(listIn: value, ByteRange(value), to: &routes) }
        guard let first = routes.first else {
            if let holder = holder(ofFlow: side.flow) { return (contact, [], holder) }
            guard let uri = try? URI(contact, ByteRange(contact)), let endpoint = hop(of: uri, in: contact)
            else { return nil }
            return (contact, [], endpoint)
        }
        guard let uri = try? URI(value, first.uri), let endpoint = hop(of: uri, in: value) else { return nil }
        if uri.hasLooseRoute(in: value) { return (contact, value, endpoint) }
        var rest = ByteWriter()
        for route in routes.dropFirst() {
            rest.put(value, route.element)
            rest.put(", ")
        }
        rest.put("<")
        rest.put(contact)
        rest.put(">")
        return (Array(value[URI.withoutHeaders(value, first.uri).range]), rest.bytes, endpoint)
    }

    // MARK: Where they go

    /// What has to be looked up for a request as it leaves: its first Route, else its Request-URI.
    mutating func nameOfHop(_ request: [UInt8]) -> ResolutionTarget? {
        guard loadStored(request) else { return nil }
        addresses.removeAll(keepingCapacity: true)
        stored.nameAddresses(.route, into: &addresses)
        guard let uri = try? URI(stored.bytes, addresses.first?.uri ?? stored.requestURI) else { return nil }
        return name(of: uri, in: stored.bytes)
    }

    /// The endpoint that a URI names, none where it has to be looked up; `nil` for one that can never be sent to.
    private func hop(of uri: URI, in bytes: [UInt8]) -> Endpoint? {
        endpoint(of: uri, in: bytes) ?? (name(of: uri, in: bytes) == nil ? nil : Endpoint.none)
    }

    /// The hash in the branch of a request we made; 0 for bytes that are not such a request.
    mutating func generatedHash(_ bytes: [UInt8]) -> UInt64 {
        guard loadStored(bytes), let via = try? stored.topmostVia(),
            case .generated(let hash) = Branch(stored.bytes, via.branch, mark: settings.mark)
        else { return 0 }
        return hash
    }
}

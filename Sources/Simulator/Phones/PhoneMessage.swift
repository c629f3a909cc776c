// A message as a phone reads it: every part that a user agent needs, as text. Phones are few and slow on purpose; what
// they must be is right, so that a mistake of the proxy is seen as a phone would see it.

internal import Primitives
internal import SIP

struct PhoneMessage {
    struct ViaValue {
        /// The whole via-parm, for copying into a response.
        var text: String
        var branch: String
        var sentBy: String
        var received: String
        var rport: UInt16?
        var hasRport: Bool
    }

    var isRequest = false
    var method = Method.other
    var methodName = ""
    var statusCode = 0
    var requestURI = ""
    var vias: [ViaValue] = []
    var callID = ""
    var from = ""
    var to = ""
    var fromTag = ""
    var toTag = ""
    var cseq: UInt32 = 0
    var cseqMethod = Method.other
    var contact = ""
    var recordRoutes: [String] = []
    var routes: [String] = []
    var retryAfter: Int64?
    /// Seconds.
    var sessionExpires: UInt32?
    var bytes: [UInt8] = []

    var branch: String { vias.first?.branch ?? "" }

    /// `nil` when the datagram is not a message that a phone could use, with the reason in `problem`.
    init?(_ datagram: [UInt8], parser: inout Message, problem: inout String) {
        do {
            try parser.load(RawSpan(_elements: datagram.span))
            try parser.validate()
            let bytes = parser.bytes
            self.bytes = bytes
            isRequest = parser.isRequest
            if isRequest {
                method = parser.method
                methodName = bytes.text(parser.methodText)
                requestURI = bytes.text(parser.requestURI)
            } else {
                statusCode = parser.statusCode
            }
            let cseqValue = try parser.cSeq()
            cseq = cseqValue.number
            cseqMethod = cseqValue.method
        } catch {
            problem = "\(error)"
            return nil
        }
        readHeaders(parser)
        guard !vias.isEmpty else {
            problem = "no Via"
            return nil
        }
    }

    private mutating func readHeaders(_ message: Message) {
        var list: [Via] = []
        message.vias(into: &list)
        vias = list.map { via in
            ViaValue(
                text: bytes.text(via.element), branch: bytes.text(via.branch), sentBy: bytes.text(via.sentBy),
                received: bytes.text(via.received), rport: via.rport, hasRport: via.hasRport)
        }
        callID = bytes.text(message.callID)
        fromTag = bytes.text(message.fromTag)
        toTag = bytes.text(message.toTag)
        if let field = message.first(.from) { from = bytes.text(field.value) }
        if let field = message.first(.to) { to = bytes.text(field.value) }
        if let field = message.first(.retryAfter) { retryAfter = Int64(bytes.text(field.value)) }
        sessionExpires = ((try? message.sessionExpires()) ?? nil)?.seconds
        var names: [NameAddress] = []
        message.nameAddresses(.contact, into: &names)
        if let first = names.first { contact = bytes.text(first.uri) }
        names.removeAll()
        message.nameAddresses(.recordRoute, into: &names)
        recordRoutes = names.map { bytes.text($0.element) }
        names.removeAll()
        message.nameAddresses(.route, into: &names)
        routes = names.map { bytes.text($0.element) }
    }
}

extension [UInt8] {
    func text(_ range: ByteRange) -> String {
        String(decoding: self[range.range], as: UTF8.self)
    }
}

extension Endpoint {
    /// The address that a URI or name-addr names: `<sip:u@10.0.0.1:5060;lr>`; port 5060 when it names none.
    init?(uriText: String) {
        var rest = Substring(uriText)
        if let open = rest.firstIndex(of: "<") { rest = rest[rest.index(after: open)...] }
        if let close = rest.firstIndex(of: ">") { rest = rest[..<close] }
        if let colon = rest.firstIndex(of: ":") { rest = rest[rest.index(after: colon)...] }
        if let end = rest.firstIndex(where: { $0 == ";" || $0 == "?" }) { rest = rest[..<end] }
        if let at = rest.firstIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        self.init(hostPort: String(rest))
    }

    /// `10.0.0.1:5060` or `10.0.0.1`.
    init?(hostPort: String) {
        self.init(text: hostPort.contains(":") ? hostPort : hostPort + ":5060")
    }
}

extension String {
    /// The value of `;name=` in a URI or header parameter list, for the few places that need one.
    func parameter(_ name: String) -> String? {
        for part in split(separator: ";").dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.first.map(String.init) == name, pair.count == 2 else { continue }
            return String(pair[1].prefix { $0 != ">" })
        }
        return nil
    }
}

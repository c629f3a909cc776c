// The pseudo-variables without an argument: a name, and what it reads. A number is answered as a number where the
// module's variable is one, as text where it is text with a number in it.

internal import Primitives
internal import SIP

extension PseudoVariable {
    struct Name: Sendable {
        let name: StaticString
        let read: @Sendable (RouteRun) -> RouteValue

        init(_ name: StaticString, _ read: @escaping @Sendable (RouteRun) -> RouteValue) {
            self.name = name
            self.read = read
        }
    }

    static let plainNames: [Name] =
        requestNames + addressNames + messageNames + socketNames + destinationNames + transactionNames + timeNames
        + dialogNames

    /// The value of a header that is null where it is absent.
    static func text(_ bytes: [UInt8]?) -> RouteValue { bytes.map { .text($0) } ?? .null }

    private static let requestNames: [Name] = [
        Name("ru") { $0.requestURI.isEmpty ? .null : .text($0.requestURI) },
        Name("rU") { current($0, .user) },
        Name("rd") { current($0, .host) },
        Name("rp") { current($0, .port) },
        Name("rP") { current($0, .transport) },
        Name("rz") { current($0, .scheme) },
        Name("rm") { .text($0.methodText) },
        Name("rs") { $0.message.isRequest ? .null : .integer($0.message.statusCode) },
        Name("rr") { $0.message.isRequest ? .null : .text($0.message.copy($0.message.reasonPhrase)) },
        Name("rb") { $0.message.body.isEmpty ? .null : .text($0.message.copy($0.message.body)) },
        Name("ou") { original($0, .whole) },
        Name("oU") { original($0, .user) },
        Name("od") { original($0, .host) },
        Name("op") { original($0, .port) },
        Name("oP") { original($0, .transport) },
    ]

    private static func original(_ run: RouteRun, _ part: URIPart) -> RouteValue {
        run.message.isRequest ? part.value(of: run.message.bytes, at: run.message.requestURI) : .null
    }

    private static func current(_ run: RouteRun, _ part: URIPart) -> RouteValue {
        run.plan.requestURI.isEmpty ? original(run, part) : part.value(of: run.plan.requestURI)
    }

    private static func of(_ name: HeaderName, _ part: URIPart) -> @Sendable (RouteRun) -> RouteValue {
        { run in run.message.firstURI(name).map { part.value(of: run.message.bytes, at: $0) } ?? .null }
    }

    private static let addressNames: [Name] = [
        Name("fu", of(.from, .whole)), Name("fU", of(.from, .user)), Name("fd", of(.from, .host)),
        Name("fp", of(.from, .port)), Name("fP", of(.from, .transport)),
        Name("ft") { $0.message.fromTag.isEmpty ? .null : .text($0.message.copy($0.message.fromTag)) },
        Name("fn") { displayName($0, .from) },
        Name("tu", of(.to, .whole)), Name("tU", of(.to, .user)), Name("td", of(.to, .host)),
        Name("tp", of(.to, .port)), Name("tP", of(.to, .transport)),
        Name("tt") { $0.message.toTag.isEmpty ? .null : .text($0.message.copy($0.message.toTag)) },
        Name("tn") { displayName($0, .to) },
        Name("ai", of(.assertedIdentity, .whole)), Name("pu", of(.preferredIdentity, .whole)),
        Name("pU", of(.preferredIdentity, .user)), Name("pd", of(.preferredIdentity, .host)),
        Name("pn") { displayName($0, .preferredIdentity) },
        Name("rt") { otherURI($0, "Refer-To") },
        Name("di") { otherURI($0, "Diversion") },
        Name("re") { otherURI($0, "Remote-Party-ID") },
    ]

    private static func otherURI(_ run: RouteRun, _ name: StaticString) -> RouteValue {
        guard let field = run.message.other(named: name),
            let address = try? NameAddress(run.message.bytes, field.value)
        else { return .null }
        return .text(run.message.copy(address.uri))
    }

    /// With its quotes, as it is written.
    static func displayName(_ run: RouteRun, _ name: HeaderName) -> RouteValue {
        guard let field = run.message.first(name), let address = run.message.firstNameAddress(name) else {
            return .null
        }
        let before = run.message.bytes[Int(field.value.start)..<Int(address.uri.start)].prefix { $0 != 0x3C }
        let text = RouteText.trimmed(before)
        return text.isEmpty ? .null : .text(text)
    }

    private static let messageNames: [Name] = [
        Name("ci") { text($0.value(.callID)) },
        Name("cs") { run in
            (try? run.message.cSeq()).map { .text(RouteValue.integer(Int($0.number)).bytes) } ?? .null
        },
        Name("csb") { text($0.value(.cSeq)) },
        Name("ct") { text($0.value(.contact)) },
        Name("cT") { text($0.value(.contentType)) },
        Name("cl") { text($0.value(.contentLength)) },
        Name("ua") { text($0.userAgent()) },
        Name("mb") { .text($0.message.snapshot()) },
        Name("ml") { .integer($0.message.bytes.count) },
        Name("mt") { .integer($0.message.isRequest ? 1 : 2) },
        Name("mf") { .integer(Int($0.state.flags)) },
        Name("mF") { .text(Array(String($0.state.flags, radix: 16).utf8)) },
        Name("sf") { .integer(Int($0.state.scriptFlags)) },
        Name("bf") { .integer(Int($0.state.branchFlags.first ?? 0)) },
        // Read by `KSR.pv.get` and its like, which wait for a media relay; elsewhere there is nothing to read.
        Name("rtpstat") { _ in .null },
        // The URL of an HTTP request: a SIP message has none.
        Name("hu") { _ in .null },
        Name("au") { credential($0, "username") }, Name("ar") { credential($0, "realm") },
        Name("adu") { credential($0, "uri") }, Name("an") { credential($0, "nonce") },
        Name("aU") { credential($0, "username") },
    ]

    private static func credential(_ run: borrowing RouteRun, _ name: StaticString) -> RouteValue {
        var value = run.value(.authorization)
        if value == nil { value = run.value(.proxyAuthorization) }
        return value.flatMap { DigestParameters($0)?[name] }.map { .text($0) } ?? .null
    }

    private static func write(_ body: (inout ByteWriter) -> Void) -> RouteValue {
        var writer = ByteWriter()
        body(&writer)
        return .text(writer.bytes)
    }

    private static func uri(_ endpoint: Endpoint, always: Bool) -> RouteValue {
        write { writer in
            writer.put("sip:")
            endpoint.write(into: &writer)
            guard always || endpoint.transport != .udp else { return }
            writer.put(";transport=")
            writer.put(endpoint.transport.lowercasedName)
        }
    }

    private static let socketNames: [Name] = [
        Name("si") { run in
            let address = run.point.source.address
            return write { address.write(into: &$0, brackets: false) }
        },
        Name("siz") { run in
            let address = run.point.source.address
            return write { address.write(into: &$0) }
        },
        Name("sp") { .integer(Int($0.point.source.port)) },
        Name("su") { uri($0.point.source, always: false) },
        Name("sut") { uri($0.point.source, always: true) },
        Name("proto") { .text($0.point.source.transport.lowercasedName) },
        Name("pr") { .text($0.point.source.transport.lowercasedName) },
        Name("Ri") { run in
            let address = run.point.socket.address
            return write { address.write(into: &$0, brackets: false) }
        },
        Name("Rp") { .integer(Int($0.point.socket.port)) },
        Name("Ru") { run in
            let socket = run.point.socket
            return write { writer in
                writer.put(socket.transport.lowercasedName)
                writer.put(0x3A)
                socket.write(into: &writer)
            }
        },
        Name("Rut") { uri($0.point.socket, always: true) },
        Name("RAut") { run in
            run.point.advertised.isEmpty
                ? uri(run.point.socket, always: true) : .text(Array("sip:".utf8) + run.point.advertised)
        },
        Name("af") { .text($0.point.source.address.isIPv6 ? "IPv6" : "IPv4") },
        Name("conid") { .integer($0.point.connection) },
    ]

    private static let destinationNames: [Name] = [
        Name("du") { $0.plan.destination.isEmpty ? .null : .text($0.plan.destination) },
        Name("dd") { URIPart.host.value(of: $0.plan.destination) },
        Name("dp") { URIPart.port.value(of: $0.plan.destination) },
        Name("dP") { URIPart.transport.value(of: $0.plan.destination) },
    ]

    private static let transactionNames: [Name] = [
        Name("T_branch_idx") { .integer($0.point.branch) },
        Name("T_reply_code") { .integer($0.message.isRequest ? $0.point.status : $0.message.statusCode) },
        Name("T_reply_reason") { run in
            if !run.message.isRequest { return .text(run.message.copy(run.message.reasonPhrase)) }
            return run.point.reason.isEmpty ? .null : .text(run.point.reason)
        },
    ]

    private static let timeNames: [Name] = [
        Name("TS") { .integer($0.time.seconds) },
        Name("Ts") { .integer($0.time.seconds) },
        Name("Tb") { .integer($0.time.seconds) },
    ]
}

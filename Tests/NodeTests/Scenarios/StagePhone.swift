// A phone of a scenario: it does what it is told, and what every phone does by itself: it answers requests, repeats an
// answer for a repeated request, and acknowledges a failure. What it says in a dialog follows RFC 3261 §12.2.1.1: the
// other side's Contact, the route set, a CSeq one higher.

import SIP

struct StagePhone {
    /// A dialog as the phone has it.
    struct Side {
        var callID: String
        var localTag: String
        var peer: String
        var target: String
        var routes: [String]
        /// The whole From or To that names the other side.
        var remote: String
        /// Of the last request that it sent here.
        var cSeq: Int
        /// Of its INVITE that was answered, for the ACK.
        var inviteCSeq: Int
        var isOver = false
    }

    struct Request {
        var text: String
        var method: String
    }

    let name: String
    /// Where it listens.
    let address: String
    /// What it answers to a method, instead of 200; 0: nothing.
    var answers: [String: Int] = [:]
    /// It neither hears nor says anything.
    var isGone = false
    /// It leaves the ACK of a failure to the file.
    var leavesACK = false
    /// What it has to say in an ACK of the last failure.
    private(set) var failure: (invite: String, to: String)?
    /// It sends what belongs to a dialog to the cluster's name, without a Route.
    var ignoresRoutes = false
    /// It asks for answers at the port that it sends from (RFC 3581), which is not 5060 everywhere.
    var asksRport = true
    /// It answers where the topmost Via says, whoever has sent the request.
    var ignoresReceived = false
    var sourcePort = 5060
    /// It has a connection, to this node.
    var connection: Int? {
        didSet { hasConnected = true }
    }
    /// It is reached over a connection of its own, and not otherwise.
    private(set) var hasConnected = false
    var sides: [Side] = []
    /// What it has sent, and through which node; the last of each method is what it can repeat.
    var sent: [Request] = []
    /// INVITEs that it got, the last one last.
    var invites: [String] = []
    /// What it answered to a branch and method; a repeated request gets it again.
    private var given: [String: Int] = [:]
    private var lastBranch = 0
    private var calls = 0

    init(name: String, address: String) {
        (self.name, self.address) = (name, address)
    }

    var host: String { String(address.prefix { $0 != ":" }) }
    var isByTCP: Bool { hasConnected || prefersTCP }
    /// Calls for it go by TCP.
    var prefersTCP = false
    var uri: String { "sip:\(name)@\(host)\(isByTCP ? ";transport=tcp" : "")" }
    var contact: String { "<\(uri)>" }
    var source: String { "\(host):\(sourcePort)" }
    var flow: FlowID { connection == nil ? .none : FlowID(rawValue: UInt64(2 + 2 * name.utf8.count)) }

    // MARK: What it sends

    mutating func newBranch() -> String {
        lastBranch += 1
        return "z9hG4bK-\(name)-\(lastBranch)"
    }

    /// An INVITE that begins a call, or another request outside of a dialog.
    mutating func request(_ method: String, to uri: String, callID: String, extra: [String]) -> String {
        let contact = method == "INVITE" || method == "SUBSCRIBE" ? ["Contact: \(self.contact)"] : []
        let text = message(
            method, uri, branch: newBranch(), from: "<sip:\(name)@\(host)>;tag=\(name)", to: "<\(uri)>",
            callID: callID, cSeq: 1, extra: contact + extra)
        sent.append(Request(text: text, method: method))
        return text
    }

    /// A request within a dialog.
    mutating func request(_ method: String, in index: Int, extra: [String]) -> String {
        if method != "ACK" { sides[index].cSeq += 1 }
        let side = sides[index]
        if method == "INVITE" { sides[index].inviteCSeq = side.cSeq }
        if method == "BYE" { sides[index].isOver = true }
        let contact = method == "INVITE" || method == "UPDATE" ? ["Contact: \(self.contact)"] : []
        let text = message(
            method, ignoresRoutes ? "sip:\(Stage.advertised)" : side.target, branch: newBranch(),
            from: "<sip:\(name)@\(host)>;tag=\(side.localTag)",
            to: side.remote, callID: side.callID, cSeq: method == "ACK" ? side.inviteCSeq : side.cSeq,
            extra: (ignoresRoutes ? [] : side.routes).map { "Route: \($0)" } + contact + extra)
        sent.append(Request(text: text, method: method))
        return text
    }

    /// CANCEL, or the ACK of a failure: of the INVITE's transaction (RFC 3261 §9.1, §17.1.1.3).
    mutating func request(_ method: String, of invite: String, to: String) -> String {
        let uri = invite.split(separator: " ")[1]
        var text = "\(method) \(uri) SIP/2.0\r\nVia: \(invite.headers("Via")[0])\r\n"
        for route in invite.headers("Route") { text += "Route: \(route)\r\n" }
        text += "Max-Forwards: 70\r\nFrom: \(invite.header("From"))\r\nTo: \(to)\r\n"
        text += "Call-ID: \(invite.header("Call-ID"))\r\nCSeq: \(invite.cSeqNumber) \(method)\r\n"
        text += "Content-Length: 0\r\n\r\n"
        sent.append(Request(text: text, method: method))
        return text
    }

    private func message(
        _ method: String, _ uri: String, branch: String, from: String, to: String, callID: String, cSeq: Int,
        extra: [String]
    ) -> String {
        let via = "\(isByTCP ? "TCP" : "UDP") \(host);branch=\(branch)\(asksRport ? ";rport" : "")"
        return "\(method) \(uri) SIP/2.0\r\nVia: SIP/2.0/\(via)\r\nMax-Forwards: 70\r\n"
            + "From: \(from)\r\nTo: \(to)\r\nCall-ID: \(callID)\r\nCSeq: \(cSeq) \(method)\r\n"
            + extra.map { "\($0)\r\n" }.joined() + "Content-Length: 0\r\n\r\n"
    }

    /// An answer to a request that it got.
    mutating func answer(_ status: Int, to request: String, extra: [String] = []) -> String {
        given[request.transaction] = status
        var text = "SIP/2.0 \(status) \(status < 300 ? "OK" : "No")\r\n"
        for via in request.headers("Via") { text += "Via: \(via)\r\n" }
        let method = request.cSeqMethod
        if method == "INVITE" || method == "SUBSCRIBE", status > 100, status < 300 {
            // What proxies behind the cluster have put there stands above.
            for route in extra where route.hasPrefix("Record-Route: ") { text += "\(route)\r\n" }
            for route in request.headers("Record-Route") { text += "Record-Route: \(route)\r\n" }
            text += "Contact: \(contact)\r\n"
        }
        let to = request.header("To")
        text += "From: \(request.header("From"))\r\nTo: \(to)\(to.contains(";tag=") ? "" : ";tag=\(name)")\r\n"
        text += "Call-ID: \(request.header("Call-ID"))\r\nCSeq: \(request.header("CSeq"))\r\n"
        let others = extra.filter { !$0.hasPrefix("Record-Route: ") }
        return text + others.map { "\($0)\r\n" }.joined() + "Content-Length: 0\r\n\r\n"
    }

    // MARK: What it gets

    /// What it sends back at once.
    mutating func receive(_ message: String, from source: String) -> [String] {
        guard !isGone else { return [] }
        if message.hasPrefix("SIP/2.0") { return receive(response: message) }
        return receive(request: ignoresReceived ? message : Self.stamped(message, source))
    }

    /// With the source in the topmost Via, which is where answers go (RFC 3581 §4).
    private static func stamped(_ request: String, _ source: String) -> String {
        let via = request.headers("Via")[0]
        let parts = source.split(separator: ":")
        guard via.hasSuffix(";rport") || via.contains(";rport;"), parts.count == 2 else { return request }
        let stamped = via.replacing(";rport", with: ";rport=\(parts[1]);received=\(parts[0])")
        return request.replacing("Via: \(via)\r\n", with: "Via: \(stamped)\r\n", maxReplacements: 1)
    }

    private mutating func receive(response: String) -> [String] {
        guard response.cSeqMethod == "INVITE", let status = Int(response.split(separator: " ")[1]), status > 100 else {
            return []
        }
        let to = response.header("To")
        if status < 300 {
            learn(from: response, to: to)
            return []
        }
        let invite = sent.last { $0.method == "INVITE" && $0.text.transaction == response.transaction }
        guard let invite else { return [] }
        failure = (invite.text, to)
        guard !leavesACK else { return [] }
        return [request("ACK", of: invite.text, to: to)]
    }

    /// A dialog of its own INVITE (RFC 3261 §12.1.2).
    private mutating func learn(from response: String, to: String) {
        guard let tag = to.tag else { return }
        let callID = response.header("Call-ID")
        let routes = Array(response.headers("Record-Route").reversed())
        let target = response.header("Contact").uri
        if let index = sides.lastIndex(where: { $0.callID == callID && $0.peer == tag }) {
            if !target.isEmpty { sides[index].target = target }
            return
        }
        sides.append(
            Side(
                callID: callID, localTag: name, peer: tag, target: target, routes: routes, remote: to,
                cSeq: response.cSeqNumber, inviteCSeq: response.cSeqNumber))
    }

    private mutating func receive(request: String) -> [String] {
        let method = request.cSeqMethod
        if method == "ACK" { return [] }
        let isAgain = given[request.transaction] != nil
        if method == "INVITE" {
            // What it has answered it answers again only when it is told to (timer G is the file's).
            guard !isAgain, !invites.contains(where: { $0.transaction == request.transaction }) else { return [] }
            invites.append(request)
            accept(request)
            return []
        }
        let status = given[request.transaction] ?? status(of: request)
        guard status > 0 else { return [] }
        var replies = [answer(status, to: request)]
        if method == "BYE", let index = side(of: request) { sides[index].isOver = true }
        if method == "CANCEL", status == 200, !isAgain,
            let invite = invites.last(where: { $0.branch == request.branch })
        {
            replies.append(answer(487, to: invite))
        }
        return replies
    }

    /// 481 for what it knows no dialog of (RFC 3261 §12.2.2).
    private func status(of request: String) -> Int {
        if let wanted = answers[request.cSeqMethod] { return wanted }
        if request.cSeqMethod == "CANCEL" { return invites.contains { $0.branch == request.branch } ? 200 : 481 }
        guard request.header("To").tag != nil else { return 200 }
        guard let index = side(of: request), !sides[index].isOver else { return 481 }
        return 200
    }

    private func side(of request: String) -> Int? {
        sides.lastIndex { $0.callID == request.header("Call-ID") && $0.peer == request.header("From").tag }
    }

    /// A dialog that somebody else's INVITE begins (RFC 3261 §12.1.1), or a new target of one.
    private mutating func accept(_ invite: String) {
        guard let tag = invite.header("From").tag else { return }
        let target = invite.header("Contact").uri
        if let index = side(of: invite) {
            if !target.isEmpty { sides[index].target = target }
            return
        }
        sides.append(
            Side(
                callID: invite.header("Call-ID"), localTag: name, peer: tag, target: target,
                routes: invite.headers("Record-Route"), remote: invite.header("From"), cSeq: 0, inviteCSeq: 0))
    }

    // MARK: A proxy behind the cluster

    /// What it forwards: one Via more, another Request-URI (RFC 3261 §16.6).
    mutating func forward(_ invite: String, to uri: String) -> String {
        var lines = invite.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
        lines[0] = "\(invite.prefix { $0 != " " }) \(uri) SIP/2.0"
        lines.insert("Via: SIP/2.0/UDP \(host);branch=\(newBranch());rport", at: 1)
        let hops = Int(invite.header("Max-Forwards")) ?? 70
        lines = lines.map { $0.hasPrefix("Max-Forwards: ") ? "Max-Forwards: \(hops - 1)" : $0 }
        let text = lines.joined(separator: "\r\n")
        sent.append(Request(text: text, method: "INVITE"))
        return text
    }

    /// The ACK of a failure to what it forwarded: failures are acknowledged hop by hop.
    mutating func acknowledgement(of response: String) -> String? {
        guard response.statusCode >= 300, response.cSeqMethod == "INVITE",
            let invite = sent.last(where: { $0.method == "INVITE" && $0.text.transaction == response.transaction })
        else { return nil }
        return request("ACK", of: invite.text, to: response.header("To"))
    }

    /// An answer to what it forwarded, without its Via; `nil` where it was none of those.
    func passedOn(_ response: String) -> String? {
        let vias = response.headers("Via")
        guard vias.count > 1, vias[0].contains("branch=z9hG4bK-\(name)-"), response.statusCode > 100 else { return nil }
        var lines = response.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
        if let index = lines.firstIndex(where: { $0.hasPrefix("Via: ") }) { lines.remove(at: index) }
        return lines.joined(separator: "\r\n")
    }
}

/// A SIP message as text, as phones and nodes write it: one header a line, names in full.
extension String {
    func headers(_ name: String) -> [String] {
        split(separator: "\r\n").filter { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    func header(_ name: String) -> String { headers(name).first ?? "" }

    var branch: String { headers("Via").first?.value("branch") ?? "" }
    var tag: String? { value("tag") }
    var statusCode: Int { hasPrefix("SIP/2.0 ") ? Int(split(separator: " ")[1]) ?? 0 : 0 }
    var cSeqNumber: Int { Int(header("CSeq").prefix { $0 != " " }) ?? 0 }
    var cSeqMethod: String { header("CSeq").split(separator: " ").last.map(String.init) ?? "" }
    /// What a response is matched by (RFC 3261 §17.1.3).
    var transaction: String { "\(branch) \(cSeqMethod)" }

    /// Of a name-addr.
    var uri: String { String(drop { $0 != "<" }.dropFirst().prefix { $0 != ">" }) }

    func value(_ parameter: String) -> String? {
        split(separator: ";").dropFirst().first { $0.hasPrefix("\(parameter)=") }.map {
            String($0.dropFirst(parameter.count + 1))
        }
    }
}

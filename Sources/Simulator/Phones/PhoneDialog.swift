// A dialog at a user agent, RFC 3261 §12: route set, remote target, CSeqs, and nothing that a phone could not know.

internal import SIP

struct PhoneDialog {
    enum State { case early, confirmed, ended }

    var state = State.early
    let callID: String
    /// Header values with their tags.
    var local: String
    var remote: String
    var localTag: String
    var remoteTag: String
    /// The last this side has sent (§12.2.1.1).
    var localCSeq: UInt32
    /// The last seen from the other side, `nil` before its first request.
    var remoteCSeq: UInt32?
    /// In the order in which a request names them; fixed once the dialog is confirmed (§12.2).
    var routeSet: [String]
    var remoteTarget: String
    /// Counts the Contacts this side has used; each target refresh takes the next.
    var contactVersion = 0
}

/// A dialog that a second 2xx to one INVITE made, and its ACK, for every further copy of that 2xx.
struct SurplusDialog {
    var dialog: PhoneDialog
    let acknowledgement: [UInt8]
    let acknowledgementTo: Endpoint
}

extension Phone {
    /// Our Contact URI; a target refresh changes its user part.
    var contactURI: String {
        let version = dialog?.contactVersion ?? 0
        let filling = SizePlan.filled("x", plan.habits.size?.uri ?? 0)
        return "sip:\(user)\(version == 0 ? "" : "-v\(version)")@\(endpoint.text)\(filling)"
    }

    var tagParameter: String { tag.isEmpty ? "" : ";tag=\(tag)" }

    /// Proxies between this phone and the cluster that stay in the way.
    var hops: [String] {
        guard let size = plan.habits.size else { return [] }
        return size.routes(role == .caller ? size.hopsAbove : size.hopsBelow, at: endpoint.text)
    }

    /// What a request says of the session's timer.
    func timerText(_ method: SIP.Method, cseq: UInt32) -> String {
        guard let session = plan.habits.session, method == .invite || method == .update else { return "" }
        let supported = role == .callee || session.callerHasTimers ? "Supported: timer\r\n" : ""
        guard case .asks(let seconds, _) = session.word(role, number: Int(cseq - firstCSeq)) else { return supported }
        return supported + "Session-Expires: \(seconds)\r\n"
    }

    /// What a 2xx says of it: as the request asked, or nothing.
    private func timerText(answering request: PhoneMessage) -> String {
        guard let session = plan.habits.session, let asked = request.sessionExpires,
            request.method == .invite || request.method == .update
        else { return "" }
        // By the CSeq alone: both sides count from numbers that the other does not know.
        guard case .asks(_, true) = session.words[Int(request.cseq) % session.words.count] else { return "" }
        return "Require: timer\r\nSession-Expires: \(asked);refresher=uac\r\n"
    }

    func newBranch() -> String {
        branches += 1
        return "z9hG4bK-\(branchName)-\(branches)"
    }

    /// A request inside of the dialog (§12.2.1.1), and where it goes: the first Route, else the remote target.
    func inDialogRequest(
        _ method: String, cseq: UInt32, branch: String, dialog: PhoneDialog, body: String
    ) -> (bytes: [UInt8], to: Endpoint)? {
        guard let next = Endpoint(uriText: dialog.routeSet.first ?? dialog.remoteTarget) else { return nil }
        var text = "\(method) \(dialog.remoteTarget) SIP/2.0\r\n"
        text += "Via: SIP/2.0/UDP \(endpoint.text);branch=\(branch);rport\r\nMax-Forwards: 70\r\n"
        for route in dialog.routeSet { text += "Route: \(route)\r\n" }
        text += "From: \(dialog.local)\r\nTo: \(dialog.remote)\r\nCall-ID: \(dialog.callID)\r\n"
        text += "CSeq: \(cseq) \(method)\r\n"
        if method == "INVITE" || method == "UPDATE" { text += "Contact: <\(contactURI)>\r\n" }
        if method == "INVITE" { text += timerText(.invite, cseq: cseq) }
        if method == "UPDATE" { text += timerText(.update, cseq: cseq) }
        text += Phone.bodyText(body)
        return ([UInt8](text.utf8), next)
    }

    static func bodyText(_ body: String) -> String {
        guard !body.isEmpty else { return "Content-Length: 0\r\n\r\n" }
        return "Content-Type: application/sdp\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// A session description short enough to be read in a trace.
    var offer: String { offer(filledTo: 0) }

    func offer(filledTo count: Int) -> String {
        let text =
            "v=0\r\no=\(user) 1 1 IN IP4 \(endpoint.address.text)\r\ns=-\r\nc=IN IP4 \(endpoint.address.text)\r\n"
            + "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        guard count > text.utf8.count + 8 else { return text }
        return text + "a=x\(SizePlan.filled("x", count - text.utf8.count - 8).dropFirst(2))\r\n"
    }

    /// A response to `request` (§8.2.6): every Via, the topmost with `received` and `rport` filled in.
    func response(_ statusCode: Int, to request: PhoneMessage, source: Endpoint, body: String = "") -> [UInt8] {
        var text = "SIP/2.0 \(statusCode) \(Phone.reason(statusCode))\r\n"
        for (index, via) in request.vias.enumerated() {
            text += "Via: \(index == 0 ? Phone.stamped(via, source: source) : via.text)\r\n"
        }
        if statusCode < 300 && request.method == .invite {
            if request.toTag.isEmpty && statusCode > 100 { for hop in hops { text += "Record-Route: \(hop)\r\n" } }
            for entry in request.recordRoutes { text += "Record-Route: \(entry)\r\n" }
        }
        let to = request.toTag.isEmpty && statusCode > 100 ? request.to + tagParameter : request.to
        text += "From: \(request.from)\r\nTo: \(to)\r\nCall-ID: \(request.callID)\r\n"
        text += "CSeq: \(request.cseq) \(request.methodName)\r\n"
        if statusCode < 300 && (request.method == .invite || request.method == .update) {
            text += "Contact: <\(contactURI)>\r\n"
        }
        if 200..<300 ~= statusCode { text += timerText(answering: request) }
        text += Phone.bodyText(body)
        return [UInt8](text.utf8)
    }

    private static func stamped(_ via: PhoneMessage.ViaValue, source: Endpoint) -> String {
        var kept: [Substring] = []
        for part in via.text.split(separator: ";") {
            let name = part.split(separator: "=", maxSplits: 1)[0]
            if name != "rport" && name != "received" { kept.append(part) }
        }
        var text = kept.joined(separator: ";") + ";received=\(source.address.text)"
        if via.hasRport { text += ";rport=\(source.port)" }
        return text
    }

    private static func reason(_ statusCode: Int) -> String {
        switch statusCode {
        case 180: "Ringing"
        case 200: "OK"
        case 404: "Not Found"
        case 480: "Temporarily Unavailable"
        case 481: "Call/Transaction Does Not Exist"
        case 482: "Loop Detected"
        case 486: "Busy Here"
        case 487: "Request Terminated"
        case 491: "Request Pending"
        case 503: "Service Unavailable"
        case 603: "Decline"
        default: "Server Internal Error"
        }
    }
}

// A request that the cluster is asked to make within a dialog, and how it ended: the Swift API of `dlg_req_within` and
// `dlg_refer`.

package import Dialogs
import SIP

package struct DialogRequest: Equatable, Sendable {
    /// Who gets it.
    package var side = Leg.caller
    /// Any that needs nothing else than an answer: INVITE, ACK, BYE, CANCEL, PRACK and REGISTER do.
    package var method = ""
    /// Header lines, each with its CRLF; Content-Type is `contentType`.
    package var headers = ""
    package var contentType = ""
    package var body = ""

    package static let bodyLimit = 2_048

    package init(_ method: String, to side: Leg) {
        (self.method, self.side) = (method, side)
    }

    /// REFER: the side is to call somebody else (RFC 3515).
    /// - Parameter controller: Who says so: a URI.
    package static func refer(_ side: Leg, to address: String, by controller: String) -> DialogRequest {
        var request = DialogRequest("REFER", to: side)
        func bracketed(_ uri: String) -> String { uri.hasPrefix("<") ? uri : "<\(uri)>" }
        request.headers = "Refer-To: \(bracketed(address))\r\nReferred-By: \(bracketed(controller))\r\n"
        return request
    }

    /// Why this is no URI that a REFER can name, of whatever scheme; `nil` when it is one.
    static func objection(toAddress text: String) -> String? {
        let uri = text.hasPrefix("<") && text.hasSuffix(">") ? Substring(text.dropFirst().dropLast()) : Substring(text)
        let parts = uri.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1)
        let isScheme = parts.first?.allSatisfy {
            (97...122).contains($0 | 0x20) || (48...57).contains($0) || [43, 45, 46].contains($0)
        }
        let isPlain = uri.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != 60 && $0 != 62 && $0 != 34 }
        guard parts.count == 2, isScheme == true, isPlain, uri.utf8.count <= 1_024 else {
            return "'\(text.prefix(64))' is not a URI like sip:alice@192.0.2.5"
        }
        return nil
    }

    private static let unfit = ["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "REGISTER"]

    /// Why it cannot be made; `nil` when it can.
    var objection: String? {
        let letters = method.utf8.allSatisfy { (65...90).contains($0) || (48...57).contains($0) || $0 == 45 }
        guard 1...32 ~= method.utf8.count, letters else { return "a method is 1 to 32 capital letters" }
        if Self.unfit.contains(method) { return "\(method) is no request that an answer ends" }
        if let objection = DialogSettings.objection(toHeaders: headers) { return objection }
        let isType = contentType.utf8.allSatisfy { $0 > 32 && $0 < 127 || $0 == 32 }
        guard contentType.utf8.count <= 128, isType else { return "a content type is one line of 128 characters" }
        if !body.isEmpty, contentType.isEmpty { return "a body needs its content type" }
        return body.utf8.count <= Self.bodyLimit ? nil : "a body has at most \(Self.bodyLimit) bytes"
    }

    /// All its header lines.
    var lines: [UInt8] {
        Array((body.isEmpty ? headers : headers + "Content-Type: \(contentType)\r\n").utf8)
    }
}

/// How a request that somebody has asked for has ended: told once, by the node that made it.
package struct RequestEvent: Equatable, Sendable {
    package enum Outcome: String, CaseIterable, Sendable {
        /// A 2xx.
        case accepted
        /// Another final answer, or none.
        case failed
        /// It did not leave: not every member knew of it in time, or there was no way any more.
        case notMade = "not_made"
        /// Another request to the same side, asked for at the same moment on another node, was made in its place.
        case overtaken
        /// Its node died, and it was too old to be repeated.
        case givenUp = "given_up"
        /// The phone that a REFER went to tells that it has made the call, or has not (RFC 3515 §2.4.5).
        case referred
        case notReferred = "not_referred"
    }

    /// Empty for a bridge whose first phone has not answered.
    package var did: String
    package var side: Leg
    package var method: String
    package var outcome: Outcome
    /// The final status; 408 also for silence, 0 for what did not leave.
    package var status: Int
    /// An heir made it, or tells that nobody does.
    package var isOfHeir = false
    package var callID = ""
    /// Who tells it, and when: Unix time in milliseconds.
    package var node = ""
    package var unixMilliseconds: Int64 = 0

    package init(did: String, side: Leg, method: String, outcome: Outcome, status: Int = 0) {
        (self.did, self.side, self.method, self.outcome, self.status) = (did, side, method, outcome, status)
    }
}

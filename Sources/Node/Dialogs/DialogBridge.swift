// A bridge of two addresses that the cluster is asked for: the Swift API of `dlg_bridge`.

import SIP

package struct DialogBridge: Equatable, Sendable {
    /// Who is called first, and to whom it is sent on: `sip:` or `sips:` URIs.
    package var from = ""
    package var to = ""
    /// Where the INVITE goes, instead of where `from` says; empty for none.
    package var proxy = ""
    /// Of the INVITE; `nil`: one that holds the line.
    package var body: String?

    package init(from: String, to: String, proxy: String = "", body: String? = nil) {
        (self.from, self.to, self.proxy, self.body) = (from, to, proxy, body)
    }

    /// Why it cannot be made; `nil` when it can.
    var objection: String? {
        for uri in [from, to] + (proxy.isEmpty ? [] : [proxy]) where ConfiguredURI(uri) == nil {
            return "'\(uri)' is not a SIP URI like sip:alice@192.0.2.5"
        }
        let count = body?.utf8.count ?? 0
        return count <= DialogRequest.bodyLimit ? nil : "a body has at most \(DialogRequest.bodyLimit) bytes"
    }

    /// Audio that goes nowhere (RFC 3264 §8.4), for phones that want an offer.
    static let hold =
        "v=0\r\no=understudy 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
        + "m=audio 9 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
}

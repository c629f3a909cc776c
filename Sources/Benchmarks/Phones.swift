// The two telephones of a measured call, and the balancer's part of them: messages as phones write them, made of what
// the cluster has sent. Nothing here is measured.

import Primitives
import SIP

/// A message that leaves a phone at a time.
struct PhoneMessage {
    var at: Int64
    var bytes: [UInt8]
    var from: Endpoint
}

struct Phones {
    static let caller = Endpoint(text: "10.0.9.1:5060")!
    static let callee = Endpoint(text: "10.0.9.2:5060")!
    /// Milliseconds from ringing to the answer, and from the answer to the end.
    static let ring: Int64 = 50
    static let talk: Int64 = 1_000

    private var message = Message()
    /// Calls whose BYE was answered.
    private(set) var ended = 0

    static func invite(_ number: Int) -> [UInt8] {
        let body =
            "v=0\r\no=alice 2890844526 2890844526 IN IP4 10.0.9.1\r\ns=-\r\nc=IN IP4 10.0.9.1\r\nt=0 0\r\n"
            + "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        return Array(
            ("INVITE sip:bob\(number)@10.0.9.2:5060 SIP/2.0\r\n"
                + "Via: SIP/2.0/UDP 10.0.9.1:5060;branch=z9hG4bK-i-\(number);rport\r\nMax-Forwards: 70\r\n"
                + "From: \"Alice\" <sip:alice@example.org>;tag=a\(number)\r\nTo: <sip:bob\(number)@example.org>\r\n"
                + "Call-ID: \(number)-7c1b2f@10.0.9.1\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@10.0.9.1:5060>\r\n"
                + "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nUser-Agent: bench\r\n"
                + "Content-Type: application/sdp\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)").utf8)
    }

    /// What the phones say to a message that has left the cluster.
    mutating func answer(_ datagram: RawSpan, at now: Int64) -> [PhoneMessage] {
        do {
            try message.load(datagram)
        } catch {
            preconditionFailure("the cluster must send what can be read: \(error)")
        }
        if message.isRequest {
            switch message.method {
            case .invite:
                return [
                    PhoneMessage(at: now + 1, bytes: response(180, "Ringing", body: ""), from: Self.callee),
                    PhoneMessage(
                        at: now + Self.ring, bytes: response(200, "OK", body: Self.answerBody), from: Self.callee),
                ]
            case .bye: return [PhoneMessage(at: now + 1, bytes: response(200, "OK", body: ""), from: Self.callee)]
            default: return []
            }
        }
        guard message.statusCode == 200 else { return [] }
        if Text.equals(message.bytes, (try? message.cSeq())?.methodText ?? .empty, "BYE") {
            ended += 1
            return []
        }
        return [
            PhoneMessage(at: now + 1, bytes: request("ACK", 1), from: Self.caller),
            PhoneMessage(at: now + Self.talk, bytes: request("BYE", 2), from: Self.caller),
        ]
    }

    private static let answerBody =
        "v=0\r\no=bob 2890844730 2890844730 IN IP4 10.0.9.2\r\ns=-\r\nc=IN IP4 10.0.9.2\r\nt=0 0\r\n"
        + "m=audio 40002 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"

    /// Appends every field of that name.
    private func copy(_ name: HeaderName, as text: String, into out: inout ByteWriter) {
        message.forEach(name) { field in
            out.put(text: text)
            out.put(message.bytes, field.value)
        }
    }

    private func response(_ status: Int, _ phrase: String, body: String) -> [UInt8] {
        var out = ByteWriter(capacity: 1_024)
        out.put(text: "SIP/2.0 \(status) \(phrase)")
        copy(.via, as: "\r\nVia: ", into: &out)
        copy(.recordRoute, as: "\r\nRecord-Route: ", into: &out)
        copy(.from, as: "\r\nFrom: ", into: &out)
        copy(.to, as: "\r\nTo: ", into: &out)
        if message.toTag.isEmpty {
            out.put(";tag=b")
            out.put(message.bytes, message.fromTag)
        }
        copy(.callID, as: "\r\nCall-ID: ", into: &out)
        copy(.cSeq, as: "\r\nCSeq: ", into: &out)
        out.put("\r\nContact: <sip:bob@10.0.9.2:5060>\r\nUser-Agent: bench\r\n")
        if !body.isEmpty { out.put("Content-Type: application/sdp\r\n") }
        out.put(text: "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return out.bytes
    }

    /// A request of the caller's, in the dialog of the 2xx at hand.
    private func request(_ method: String, _ number: Int) -> [UInt8] {
        var out = ByteWriter(capacity: 1_024)
        out.put(text: "\(method) sip:bob@10.0.9.2:5060 SIP/2.0\r\n")
        out.put(text: "Via: SIP/2.0/UDP 10.0.9.1:5060;branch=z9hG4bK-\(method)-")
        out.put(message.bytes, message.callID)
        out.put(";rport\r\nMax-Forwards: 70")
        copy(.recordRoute, as: "\r\nRoute: ", into: &out)
        copy(.from, as: "\r\nFrom: ", into: &out)
        copy(.to, as: "\r\nTo: ", into: &out)
        copy(.callID, as: "\r\nCall-ID: ", into: &out)
        out.put(text: "\r\nCSeq: \(number) \(method)\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n")
        return out.bytes
    }
}

// Our own versions of the torture messages that the corpus beside the repository lacks: each has the fault (or the
// oddity) that a section of RFC 4475 or RFC 5118 describes, in our words, and what the RFC asks of a proxy.

/// What a proxy as a whole makes of one datagram.
enum TortureOutcome: Equatable, CustomStringConvertible {
    case forwarded
    case status(Int)
    case dropped

    var description: String {
        switch self {
        case .forwarded: "forwarded"
        case .status(let code): "\(code)"
        case .dropped: "dropped"
        }
    }
}

struct TortureMessage: CustomStringConvertible {
    var name: String
    var section: String
    var outcome: TortureOutcome
    /// Lines end with LF here and with CRLF on the wire.
    var text: String

    var description: String { "\(section) \(name)" }

    var bytes: [UInt8] { text.utf8.flatMap { $0 == 0x0A ? [0x0D, 0x0A] : [$0] } }

    /// A request with some headers in the place of the usual ones.
    private static func request(
        _ start: String, _ method: String, to: String = "To: <sip:user@example.com>",
        from: String = "From: <sip:caller@example.org>;tag=torture", contact: String = "", extra: String = ""
    ) -> String {
        """
        \(start)
        Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bK\(abs(extra.count &* 31 &+ start.count))
        Max-Forwards: 70
        \(from)
        \(to)
        Call-ID: torture.\(method).\(start.count)
        CSeq: 8 \(method)
        \(contact)\(extra)Content-Length: 0


        """
    }

    static let all: [TortureMessage] = valid + invalid + application + ipv6

    private static func many(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    /// Long names, long values, 33 Vias, and a header that nobody knows.
    private static let longRequest: String = {
        let to = "unknownparam1=very\(many("long", 24))value;shortparam;verylongParam\(many("Name", 12))=shortvalue"
        let from = "tag=12\(many("982", 50))424;unknownheaderparam\(many("name", 40))=\(many("value", 30));unknown"
        let vias = (1...31).reversed().map { "V: SIP/2.0/TCP sip\($0).example.com;branch=z9hG4bK\($0)\n" }.joined()
        let name = many("amazinglylongcallername", 9)
        return """
            INVITE sip:user@example.com SIP/2.0
            To: "I have a \(many("long ", 160))name"<sip:user@example.com:6000;\(to)>
            F: sip:\(name)@example.net;\(from)Valueless\(many("param", 20))
            Call-ID: longreq.one\(many("really", 30))longcallid
            CSeq: 3882340 INVITE
            Unknown-\(many("Long", 40))-Name: unknown-\(many("long", 40))-value; x=y
            Via: SIP/2.0/TCP sip33.example.com
            v: SIP/2.0/TCP sip32.example.com
            \(vias)Max-Forwards: 70
            Contact: <sip:\(name)@host5.example.net>
            Content-Type: application/sdp
            l: 5

            v=0

            """
    }()

    private static let valid = [
        TortureMessage(
            name: "escnull", section: "4475 §3.1.1.4", outcome: .forwarded,
            text: request(
                "REGISTER sip:example.com SIP/2.0", "REGISTER", to: "To: sip:null-%00-null@example.com",
                from: "From: sip:null-%00-null@example.com;tag=nul",
                contact: "Contact: <sip:%00@host5.example.com>\nContact: <sip:%00%00@host5.example.com>\n")),
        TortureMessage(
            name: "longreq", section: "4475 §3.1.1.7", outcome: .forwarded,
            text: longRequest),
        TortureMessage(
            name: "dblreq", section: "4475 §3.1.1.8", outcome: .forwarded,
            text: request("REGISTER sip:example.com SIP/2.0", "REGISTER", contact: "Contact: sip:j@example.com\n")
                + request("INVITE sip:joe@example.com SIP/2.0", "INVITE")),
        TortureMessage(
            name: "semiuri", section: "4475 §3.1.1.9", outcome: .forwarded,
            text: request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", "OPTIONS")),
    ]

    private static let invalid = [
        TortureMessage(
            name: "lwsruri", section: "4475 §3.1.2.8", outcome: .status(400),
            text: request("INVITE sip:user@example.com; lr SIP/2.0", "INVITE")),
        TortureMessage(
            name: "lwsstart", section: "4475 §3.1.2.9", outcome: .status(400),
            text: request("INVITE  sip:user@example.com  SIP/2.0", "INVITE")),
        TortureMessage(
            name: "escruri", section: "4475 §3.1.2.11", outcome: .status(400),
            text: request("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", "INVITE")),
        TortureMessage(  // Only who reads a Date can mind its time zone.
            name: "baddate", section: "4475 §3.1.2.12", outcome: .forwarded,
            text: request(
                "INVITE sip:user@example.com SIP/2.0", "INVITE", extra: "Date: Fri, 01 Jan 2010 16:00:00 EST\n")),
        TortureMessage(  // A registrar answers 400; a proxy does not read a REGISTER's Contact.
            name: "regbadct", section: "4475 §3.1.2.13", outcome: .forwarded,
            text: request(
                "REGISTER sip:example.com SIP/2.0", "REGISTER",
                contact: "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\n")),
        TortureMessage(
            name: "mismatch01", section: "4475 §3.1.2.17", outcome: .status(400),
            text: request("OPTIONS sip:user@example.com SIP/2.0", "INVITE")),
        TortureMessage(
            name: "bigcode", section: "4475 §3.1.2.19", outcome: .dropped,
            text: request("SIP/2.0 4294967301 better not break the receiver", "INVITE")),
    ]

    private static let application = [
        TortureMessage(
            name: "insuf", section: "4475 §3.3.1", outcome: .status(400),
            text: """
                INVITE sip:user@example.com SIP/2.0
                CSeq: 193942 INVITE
                Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf
                Content-Type: application/sdp
                l: 5

                v=0

                """),
        TortureMessage(
            name: "novelsc", section: "4475 §3.3.3", outcome: .status(416),
            text: request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "OPTIONS")),
        TortureMessage(
            name: "bext01", section: "4475 §3.3.5", outcome: .status(420),
            text: request(
                "OPTIONS sip:user@example.com SIP/2.0", "OPTIONS",
                extra: "Require: nothingSupportsThis, nothingSupportsThisEither\n"
                    + "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\n")),
        TortureMessage(  // A user agent answers 415.
            name: "invut", section: "4475 §3.3.6", outcome: .forwarded,
            text: request(
                "INVITE sip:user@example.com SIP/2.0", "INVITE",
                extra: "Content-Type: application/unknownformat\n")),
        TortureMessage(
            name: "multi01", section: "4475 §3.3.8", outcome: .status(400),
            text: request(
                "INVITE sip:user@company.com SIP/2.0", "INVITE",
                extra: "CSeq: 59 INVITE\nCall-ID: multi01.second\nMax-Forwards: 5\n"
                    + "From: sip:other@company.com;tag=2\nTo: sip:t2fsd@company.com\n")),
        TortureMessage(  // Nobody forwards what a Via of broadcast would have it send.
            name: "bcast", section: "4475 §3.3.10", outcome: .dropped,
            text: """
                SIP/2.0 200 OK
                Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
                Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
                Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
                CSeq: 35 INVITE
                From: sip:user@example.com;tag=11141343
                To: sip:user@example.edu;tag=2229
                Content-Length: 0


                """),
        TortureMessage(
            name: "regescrt", section: "4475 §3.3.14", outcome: .forwarded,
            text: request(
                "REGISTER sip:example.com SIP/2.0", "REGISTER",
                contact: "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\n")),
        TortureMessage(  // A user agent answers 406.
            name: "sdp01", section: "4475 §3.3.15", outcome: .forwarded,
            text: request(
                "INVITE sip:user@example.com SIP/2.0", "INVITE", extra: "Accept: text/nobodyKnowsThis\n")),
        TortureMessage(  // An older telephone: no branch, no tag, no Max-Forwards, no length.
            name: "inv2543", section: "4475 §3.4.1", outcome: .forwarded,
            text: """
                INVITE sip:UserB@example.com SIP/2.0
                Via: SIP/2.0/UDP iftgw.example.com
                From: <sip:+13035551111@ift.client.example.net;user=phone>
                Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>
                To: sip:+16505552222@ss1.example.net;user=phone
                Call-ID: inv2543.1717@ift.client.example.com
                CSeq: 56 INVITE
                Content-Type: application/sdp

                v=0

                """),
    ]

    private static let ipv6 = [
        TortureMessage(  // All of it is the address: the port is the default.
            name: "port-ambiguous", section: "5118 §4.3", outcome: .forwarded,
            text: request("REGISTER sip:[2001:db8::10:5070] SIP/2.0", "REGISTER")),
        TortureMessage(
            name: "port-unambiguous", section: "5118 §4.4", outcome: .forwarded,
            text: request("REGISTER sip:[2001:db8::10]:5070 SIP/2.0", "REGISTER")),
        TortureMessage(
            name: "via-received-param-no-delim", section: "5118 §4.5", outcome: .forwarded,
            text: """
                OPTIONS sip:[2001:db8::10] SIP/2.0
                To: sip:user@example.com
                From: sip:user@example.com;tag=81x2
                Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3
                Call-ID: SSG95523997077@hlau_4100
                Max-Forwards: 70
                CSeq: 921 OPTIONS
                l: 0


                """),
        TortureMessage(
            name: "ipv6-in-sdp", section: "5118 §4.6", outcome: .forwarded,
            text: """
                INVITE sip:user@[2001:db8::10] SIP/2.0
                To: sip:user@[2001:db8::10]
                From: sip:user@example.com;tag=81x2
                Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
                Call-ID: sdp6@[2001:db8::20]
                Contact: "Caller" <sip:caller@[2001:db8::20]>
                CSeq: 8612 INVITE
                Max-Forwards: 70
                Content-Type: application/sdp

                v=0
                o=assistant 971731711378798081 0 IN IP6 2001:db8::20
                c=IN IP6 2001:db8::20

                """),
        TortureMessage(
            name: "ipv4-mapped-ipv6", section: "5118 §4.9", outcome: .forwarded,
            text: """
                INVITE sip:user@example.com SIP/2.0
                To: sip:user@example.com
                From: sip:user@east.example.com;tag=5671
                Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19
                Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111
                Call-ID: mapped@192.0.2.1
                Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>
                CSeq: 8612 INVITE
                Max-Forwards: 70
                l: 0


                """),
    ]
}

// `sip.lenient`: requests within a dialog that name the cluster instead of the other side, and carry no Route.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Requests that ignore their route set, S3-27")
struct LenientTests {
    private static let us = "sip:\(ProxyBench.shared)"

    /// A confirmed call; the callee's 200 has these Record-Routes above ours, the INVITE these below.
    private static func bench(
        above: String = "", below: String = "", contact: String = "sip:bob@10.0.0.2:5060", lenient: Bool = true,
        acknowledges: Bool = true
    ) -> ProxyBench {
        var bench = ProxyBench { $0.lenient = lenient }
        let recorded = below.isEmpty ? "" : "Record-Route: \(below)\r\n"
        let invite = bench.receive(Call.request("INVITE", extra: recorded), from: ProxyBench.caller)[0]
        var answer = Call.response(200, to: invite, contact: contact)
        if !above.isEmpty {
            let line = "Record-Route: "
            let first = answer.range(of: line)!
            answer.insert(contentsOf: "\(line)\(above)\r\n", at: first)
        }
        _ = bench.receive(answer, from: ProxyBench.callee)
        if acknowledges {
            _ = bench.receive(request("ACK", branch: "z9hG4bKa1", cSeq: 1), from: ProxyBench.caller)
        }
        return bench
    }

    private static func request(_ method: String, branch: String = "z9hG4bKb1", cSeq: Int = 2) -> String {
        Call.request(method, uri: us, branch: branch, cSeq: cSeq, toTag: "bob", contact: nil)
    }

    private static func fromCallee(_ method: String) -> String {
        Call.request(
            method, uri: us, via: "10.0.0.2:5060", branch: "z9hG4bKb2", cSeq: 1, toTag: "alice", fromTag: "bob",
            contact: nil, from: "sip:bob@example.org", to: "sip:alice@example.org")
    }

    @Test func `without routes they go to the Contact of the other side, the ACK as well`() {
        var bench = Self.bench(acknowledges: false)
        let ack = bench.receive(Self.request("ACK", branch: "z9hG4bKa1", cSeq: 1), from: ProxyBench.caller)
        #expect(ack.map(\.firstLine) == ["ACK sip:bob@10.0.0.2:5060 SIP/2.0"] && ack[0].to == ProxyBench.callee)
        #expect(bench.state == .confirmed)
        let bye = bench.receive(Self.fromCallee("BYE"), from: ProxyBench.callee)
        #expect(bye.map(\.firstLine) == ["BYE sip:alice@10.0.0.1:5060 SIP/2.0"] && bye[0].to == ProxyBench.caller)
        #expect(bench.state == .deleted)
    }

    @Test func `they go by the whole route set of the record, in both directions`() {
        var bench = Self.bench(
            above: "<sip:10.0.0.88;lr>, <sip:10.0.0.89;lr>", below: "<sip:10.0.0.77;lr>, <sip:10.0.0.78;lr>")
        let info = bench.receive(Self.request("INFO"), from: ProxyBench.caller)
        #expect(info.map(\.to) == ["10.0.0.89:5060"])
        #expect(info[0].firstLine == "INFO sip:bob@10.0.0.2:5060 SIP/2.0")
        #expect(info[0].headers("Route") == ["<sip:10.0.0.89;lr>, <sip:10.0.0.88;lr>"])
        let back = bench.receive(Self.fromCallee("INFO"), from: ProxyBench.callee)
        #expect(back.map(\.to) == ["10.0.0.77:5060"])
        #expect(back[0].headers("Route") == ["<sip:10.0.0.77;lr>, <sip:10.0.0.78;lr>"])
    }

    @Test func `a strict router becomes the Request-URI, and the Contact goes last`() {
        var bench = Self.bench(above: "<sip:10.0.0.88;lr>, <sip:strict@10.0.0.89>")
        let info = bench.receive(Self.request("INFO"), from: ProxyBench.caller)
        #expect(info.map(\.to) == ["10.0.0.89:5060"])
        #expect(info[0].firstLine == "INFO sip:strict@10.0.0.89 SIP/2.0")
        #expect(info[0].headers("Route") == ["<sip:10.0.0.88;lr>, <sip:bob@10.0.0.2:5060>"])
    }

    @Test(
        arguments: [
            ("", "sip:bob@phone.example.org", "phone.example.org", []),
            ("<sip:edge.example.org;lr>", "sip:bob@10.0.0.2", "edge.example.org", ["<sip:edge.example.org;lr>"]),
        ] as [(String, String, String, [String])])
    func `a name is looked up`(above: String, contact: String, name: String, routes: [String]) {
        var bench = Self.bench(above: above, contact: contact, acknowledges: false)
        #expect(bench.receive(Self.request("INFO"), from: ProxyBench.caller).isEmpty)
        #expect(bench.questions.map { String(decoding: $0.name.host, as: UTF8.self) } == [name])
        let sent = bench.answer(["10.0.0.55:5060"])
        #expect(sent.map(\.to) == ["10.0.0.55:5060"] && sent[0].firstLine == "INFO \(contact) SIP/2.0")
        #expect(sent[0].headers("Route") == routes)
    }

    @Test func `over the connection of the other side the Request-URI is its Contact, too`() {
        let browser = "sip:x1@random.invalid;transport=ws"
        var bench = StreamBench { $0.lenient = true }
        let invite = bench.receive(
            overTCP(Call.request("INVITE", contact: browser), "WS"), from: "10.0.0.1:40000", .ws, flow: 8)[0]
        _ = bench.receive(Call.response(200, to: invite.sent), from: ProxyBench.callee)
        let sent = bench.receive(Self.fromCallee("INFO"), from: ProxyBench.callee)
        #expect(sent.map(\.flow) == [FlowID(rawValue: 8)])
        #expect(sent[0].sent.firstLine == "INFO \(browser) SIP/2.0")
        bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        let gone = bench.receive(
            Self.fromCallee("INFO").replacing("z9hG4bKb2", with: "z9hG4bKb3"), from: ProxyBench.callee)
        #expect(gone.map(\.sent.firstLine) == ["SIP/2.0 430 Flow Failed"])
    }

    @Test func `an ACK that names us is no news of where the callee is`() {
        // The 2xx went by another node: the ACK is all that is known of the callee.
        var bench = ProxyBench { $0.lenient = true }
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        let ack = Call.request(
            "ACK", uri: Self.us, branch: "z9hG4bKa1", toTag: "bob", route: [invite.header("Record-Route")!],
            contact: nil)
        _ = bench.receive(ack, from: ProxyBench.caller)
        #expect(bench.state == .confirmed)
        #expect(bench.dialogs.record(bench.did)?.outs.map(\.side.contact) == [[]])
    }

    @Test func `a re-INVITE keeps for its heir where it went`() throws {
        var bench = Self.bench(above: "<sip:10.0.0.88;lr>")
        _ = bench.receive(Self.request("INVITE"), from: ProxyBench.caller)
        let pending = try #require(bench.dialogs.record(bench.did)?.pendings.first)
        #expect(pending.requestURI == Array("sip:bob@10.0.0.2:5060".utf8))
        #expect(pending.routes == Array("<sip:10.0.0.88;lr>".utf8))
        #expect(pending.target == Array("10.0.0.88:5060".utf8))
    }

    @Test func `without sip_lenient, or without a record, the answer is 404`() {
        var strict = Self.bench(lenient: false, acknowledges: false)
        #expect(
            strict.receive(Self.request("INFO"), from: ProxyBench.caller).map(\.firstLine) == ["SIP/2.0 404 Not Found"])
        var unknown = ProxyBench { $0.lenient = true }
        #expect(
            unknown.receive(Self.request("INFO"), from: ProxyBench.caller).map(\.firstLine) == ["SIP/2.0 404 Not Found"]
        )
    }
}

extension String {
    /// Where a text begins.
    fileprivate func range(of text: String) -> Index? {
        indices.first { self[$0...].hasPrefix(text) }
    }
}

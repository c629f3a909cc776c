// CANCEL where INVITEs go over connections: where it goes, and what becomes of the INVITE when it cannot go anywhere.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("CANCEL over connections, RFC 3261 §9.1, §16.8 and §18.4")
struct CancelOverConnectionTests {
    private static let callee = "sip:bob@10.0.0.2;transport=tcp"

    /// A call to a phone that rings over TCP, and the CANCEL that the caller's gives rise to.
    private func cancelled(_ bench: inout StreamBench) -> (invite: StreamBench.Out, cancel: StreamBench.Out) {
        let invite = bench.receive(Call.request("INVITE", uri: Self.callee), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite.sent), from: ProxyBench.callee, .tcp, flow: 9)
        let sent = bench.receive(Call.request("CANCEL", uri: Self.callee, contact: nil), from: ProxyBench.caller)
        #expect(sent.map(\.sent.firstLine) == ["SIP/2.0 200 OK", "CANCEL \(Self.callee) SIP/2.0"])
        return (invite, sent[1])
    }

    private func finals(_ sent: [Sent]) -> [String] {
        sent.filter { $0.to == ProxyBench.caller && $0.header("CSeq") == "1 INVITE" }.map(\.firstLine)
    }

    @Test func `a CANCEL that no connection could be had for ends alone; 64·T1 after it the caller has 487`() {
        var bench = StreamBench()
        let (invite, cancel) = cancelled(&bench)
        #expect(cancel.token != 0 && cancel.token != invite.token)
        #expect(bench.fail(cancel.token).isEmpty)
        #expect(bench.bench.proxy.counters.transportErrors == 1)
        #expect(bench.fail(cancel.token).isEmpty && bench.fail(invite.token).isEmpty, "each is told once, or too late")
        #expect(bench.bench.proxy.counters.transportErrors == 1)
        #expect(bench.bench.advance(milliseconds: 31_900).isEmpty, "a reliable transport repeats nothing")
        #expect(finals(bench.bench.advance(milliseconds: 200)) == ["SIP/2.0 487 Request Terminated"])
        #expect(bench.bench.state == .deleted)
        _ = bench.receive(
            Call.request("ACK", uri: Self.callee, toTag: "bob", contact: nil), from: ProxyBench.caller)
        _ = bench.bench.advance(milliseconds: 70_000)
        #expect(bench.bench.proxy.contextCount == 0 && bench.bench.proxy.nextDeadline == nil)
    }

    @Test(arguments: [487, 200])
    func `until then the callee may answer over a connection of its own`(status: Int) {
        var bench = StreamBench()
        let (invite, cancel) = cancelled(&bench)
        _ = bench.fail(cancel.token)
        _ = bench.bench.advance(milliseconds: 20_000)
        let sent = bench.receive(Call.response(status, to: invite.sent), from: "10.0.0.2:50000", .tcp, flow: 12)
        #expect(finals(sent.map(\.sent)) == ["SIP/2.0 \(status) Whatever"])
        #expect(bench.bench.state == (status == 200 ? .confirmedNotAcknowledged : .deleted))
        let later = bench.bench.advance(milliseconds: 60_000)
        #expect(!later.contains { $0.firstLine.hasPrefix("SIP/2.0 487") && status == 200 }, "no second final answer")
    }

    @Test func `a CANCEL that is sent and never answered ends the call 64·T1 after it, not 64·T1 after that`() {
        var bench = StreamBench()
        _ = cancelled(&bench)
        #expect(finals(bench.bench.advance(milliseconds: 31_900)).isEmpty)
        #expect(finals(bench.bench.advance(milliseconds: 200)) == ["SIP/2.0 487 Request Terminated"])
    }

    @Test func `by UDP a CANCEL is sent again whatever the system said of the first`() {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        _ = bench.receive(Call.response(180, to: invite), from: ProxyBench.callee)
        let cancel = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller)[1]
        #expect(cancel.token == 0)
        #expect(bench.advance(milliseconds: 600).map(\.text) == [cancel.text])
    }

    /// A fork to two phones over TCP and one by UDP, in this order, all ringing.
    private func ringing(_ bench: inout StreamBench) -> [StreamBench.Out] {
        bench = StreamBench { settings in
            var set = TargetSet(name: "phones", targets: [])
            for (number, transport) in [(31, TransportProtocol.tcp), (32, .tcp), (33, .udp)] {
                set.targets.append(
                    TargetSet.Target(
                        uri: Array("sip:bob@10.0.0.\(number)".utf8), namesUser: true,
                        endpoint: StreamBench.endpoint("10.0.0.\(number):5060", transport)))
            }
            set.policy = .parallel
            settings.targetSets = [set]
            settings.routes = [StaticRoute(set: 0)]
        }
        let invites = bench.receive(Call.request("INVITE"), from: ProxyBench.caller).filter {
            $0.sent.firstLine.hasPrefix("INVITE ")
        }
        for (index, invite) in invites.enumerated() { _ = answer(180, invite, index, &bench) }
        return invites
    }

    private func answer(_ status: Int, _ invite: StreamBench.Out, _ index: Int, _ bench: inout StreamBench) -> [Sent] {
        bench.receive(
            Call.response(status, to: invite.sent, toTag: "t\(index)"), from: invite.sent.to, invite.transport,
            flow: invite.transport == .tcp ? UInt64(index * 2 + 1) : 0
        ).map(\.sent)
    }

    @Test func `each branch of a fork is cancelled where its INVITE went, with that INVITE's Via`() {
        var bench = StreamBench()
        let invites = ringing(&bench)
        #expect(invites.map(\.transport) == [.tcp, .tcp, .udp])
        let cancels = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller).dropFirst()
        #expect(cancels.count == 3 && cancels.allSatisfy { $0.sent.firstLine.hasPrefix("CANCEL ") })
        for (invite, cancel) in zip(invites, cancels) {
            #expect(cancel.sent.to == invite.sent.to && cancel.transport == invite.transport)
            #expect(cancel.listener == invite.listener && cancel.flow == invite.flow)
            #expect(cancel.sent.headers("Via") == [invite.sent.headers("Via")[0]])
            #expect(cancel.sent.firstLine.dropFirst(7) == invite.sent.firstLine.dropFirst(7), "its Request-URI")
        }
        #expect(Set(cancels.map { $0.sent.headers("Via")[0] }).count == 3)
        var upstream: [String] = []
        for (index, invite) in invites.enumerated() {
            #expect(upstream.isEmpty, "not before all have ended")
            upstream = finals(answer(487, invite, index, &bench))
        }
        #expect(upstream == ["SIP/2.0 487 Whatever"])
    }

    @Test func `one CANCEL that could not be sent ends one branch; the caller hears when all have ended`() {
        var bench = StreamBench()
        let invites = ringing(&bench)
        let cancels = bench.receive(Call.request("CANCEL", contact: nil), from: ProxyBench.caller).dropFirst()
        #expect(Set(cancels.map(\.token)).count == 3 && cancels.first?.token != 0)
        _ = bench.fail(cancels.first?.token ?? 0)
        #expect(finals(answer(487, invites[1], 1, &bench)).isEmpty)
        #expect(finals(answer(487, invites[2], 2, &bench)).isEmpty)
        #expect(finals(bench.bench.advance(milliseconds: 31_900)).isEmpty)
        #expect(finals(bench.bench.advance(milliseconds: 200)) == ["SIP/2.0 487 Request Terminated"])
        #expect(bench.bench.state == .deleted)
    }

    @Test func `a branch over a browser's connection is cancelled over it, and ends when that has ended`() {
        var bench = StreamBench()
        let contact = "sip:x1@random.invalid;transport=ws"
        let call = overTCP(Call.request("INVITE", contact: contact), "WS")
        let invite = bench.receive(call, from: "10.0.0.1:40000", .ws, flow: 8)[0].sent
        _ = bench.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        let routes = invite.headers("Record-Route")
        func again(_ method: String) -> String {
            Call.request(
                method, uri: contact, via: "10.0.0.2:5060", branch: "z9hG4bKb1", cSeq: 7, toTag: "alice",
                fromTag: "bob", route: routes, contact: method == "INVITE" ? "sip:bob@10.0.0.2:5060" : nil,
                from: "sip:bob@example.org", to: "sip:alice@example.org")
        }
        let reInvite = bench.receive(again("INVITE"), from: ProxyBench.callee)[0]
        #expect(reInvite.flow == FlowID(rawValue: 8))
        _ = bench.receive(Call.response(180, to: reInvite.sent), from: "10.0.0.1:40000", .ws, flow: 8)
        let sent = bench.receive(again("CANCEL"), from: ProxyBench.callee)
        #expect(sent.map(\.flow) == [.none, FlowID(rawValue: 8)] && sent[1].transport == .ws)
        bench.bench.proxy.flowClosed(FlowID(rawValue: 8))
        _ = bench.fail(sent[1].token)
        let end = bench.bench.advance(milliseconds: 32_100).filter { $0.header("CSeq") == "7 INVITE" }
        #expect(end.map(\.firstLine) == ["SIP/2.0 487 Request Terminated"])
        #expect(bench.bench.state == .confirmedNotAcknowledged, "the dialog goes on")
    }

    @Test func `an heir cancels a TLS server by the name that the dead node had looked up, RFC 5922`() throws {
        let name = ResolutionTarget(isSecure: false, host: Array("gw.example.org".utf8), port: nil, transport: .tls)
        var owner = StreamBench { settings in
            let target = TargetSet.Target(
                uri: Array("sip:gw.example.org;transport=tls".utf8), namesUser: false, endpoint: nil, name: name)
            settings.targetSets = [TargetSet(name: "gw", targets: [target])]
            settings.routes = [StaticRoute(set: 0)]
        }
        _ = owner.receive(Call.request("INVITE"), from: ProxyBench.caller)
        let question = try #require(owner.bench.questions.first)
        owner.bench.proxy.resolved(
            question.token, endpoints: [StreamBench.endpoint("10.0.0.2:5061", .tls)], now: owner.bench.now,
            dialogs: &owner.bench.dialogs)
        let invite = try #require(owner.drain().first)
        #expect(invite.serverName == "gw.example.org" && invite.transport == .tls)
        _ = owner.receive(Call.response(180, to: invite.sent), from: "10.0.0.2:5061", .tls, flow: 9)

        var heir = StreamBench { $0.memberTag = 0x2222_2223 }
        heir.bench.proxy.neighbours.peers = [PeerContact(memberTag: 0x1111_1111, endpoint: nil, isLive: false)]
        let record = try #require(owner.bench.dialogs.bytes(owner.bench.did))
        _ = try heir.bench.dialogs.learn(
            owner.bench.did, facts: RawSpan(_elements: record.span), age: .zero, now: heir.bench.now)
        heir.bench.proxy.review(
            owner.bench.did, now: heir.bench.now, dialogs: &heir.bench.dialogs)
        let cancel = try #require(heir.drain().first { $0.sent.firstLine.hasPrefix("CANCEL") })
        #expect(cancel.serverName == "gw.example.org" && cancel.sent.to == "10.0.0.2:5061")
    }
}

// A server behind the cluster sends a call back through it (S2-17): one dialog, and each pass lives, ends and is
// inherited by itself.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

/// Cluster and server: the server tries phones, one after another or at once, by way of the cluster.
struct Hunt {
    static let server = "10.0.0.5:5060"
    static let bob = "10.0.0.2:5060"
    static let carol = "10.0.0.3:5060"

    var bench: ProxyBench
    /// The INVITE as the server has it.
    var invite: Sent
    let recordsRoute: Bool

    init(recordsRoute: Bool = true, _ configure: (inout ProxySettings) -> Void = { _ in }) {
        bench = ProxyBench(configure)
        self.recordsRoute = recordsRoute
        invite =
            bench.receive(
                Call.request("INVITE", uri: "sip:hunt@\(Self.server)"), from: ProxyBench.caller)[0]
    }

    /// The server's branch to a phone, as it reaches the cluster.
    func branch(_ name: String, to host: String) -> String {
        let rest = invite.text.dropFirst(invite.firstLine.count + 1)
        let own = recordsRoute ? "Record-Route: <sip:\(Self.server);lr>\r\n" : ""
        return "INVITE sip:phone@\(host) SIP/2.0\r\nVia: SIP/2.0/UDP \(Self.server);branch=z9hG4bK\(name)\r\n" + own
            + rest
    }

    /// Sends the branch by way of the first node.
    mutating func tries(_ name: String, _ host: String) -> [Sent] {
        bench.receive(branch(name, to: host), from: Self.server)
    }

    static func hopByHop(_ method: String, _ name: String, to host: String, toTag: String = "") -> String {
        Call.request(
            method, uri: "sip:phone@\(host)", via: Self.server, branch: "z9hG4bK\(name)", toTag: toTag, contact: nil)
    }

    /// What the server does with an answer of the cluster's: it takes its Via off and passes it up.
    mutating func passUp(_ answer: Sent) -> [Sent] {
        let own = "Via: \(answer.headers("Via")[0])\r\n"
        return bench.receive(answer.text.replacing(own, with: ""), from: Self.server)
    }
}

@Suite("Passes of a spiral, S2-17")
struct PassTests {
    private func status(_ sent: [Sent]) -> [String] {
        sent.filter { $0.firstLine.hasPrefix("SIP/2.0") }.map { String($0.firstLine.dropFirst(8).prefix(3)) }
    }

    private func second(of bench: ProxyBench, isLive: Bool) -> ProxyBench {
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.listeners = [Endpoint(text: "10.0.1.2:5060")!]
            settings.names[0].sentBy = Array("10.0.1.2:5060".utf8)
            settings.nodeName = Array("n2".utf8)
        }
        other.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x1111_1111, endpoint: Endpoint(text: ProxyBench.node), isLive: isLive)
        ]
        other.puts = bench.puts
        copy(from: bench, to: &other)
        return other
    }

    private func copy(from bench: ProxyBench, to other: inout ProxyBench) {
        let bytes = bench.dialogs.bytes(bench.did)!
        _ = try? other.dialogs.learn(bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: other.now)
        other.proxy.review(bench.did, now: other.now, dialogs: &other.dialogs)
    }

    @Test func `a busy branch of the server's search ends neither the call nor the next branch`() throws {
        var hunt = Hunt()
        let first = hunt.tries("s1", Hunt.bob)[0]
        #expect(first.to == Hunt.bob && hunt.bench.dialogs.count == 1)
        _ = hunt.bench.receive(Call.response(180, to: first, toTag: "tb"), from: Hunt.bob)
        let busy = hunt.bench.receive(Call.response(486, to: first, toTag: "tb"), from: Hunt.bob)
        #expect(busy.map(\.to) == [Hunt.bob, Hunt.server], "ACK down, 486 up to the server")
        #expect(hunt.bench.receive(Hunt.hopByHop("ACK", "s1", to: Hunt.bob, toTag: "tb"), from: Hunt.server).isEmpty)
        #expect(hunt.bench.state != .deleted)
        let next = hunt.tries("s2", Hunt.carol)
        let second = try #require(next.first)
        #expect(second.to == Hunt.carol)
        let answered = hunt.bench.receive(
            Call.response(200, to: second, toTag: "tc", contact: "sip:carol@\(Hunt.carol)"), from: Hunt.carol)
        #expect(answered.map(\.to) == [Hunt.server] && hunt.bench.state != .confirmedNotAcknowledged)
        let up = hunt.passUp(answered[0])
        #expect(up.map(\.to) == [ProxyBench.caller] && status(up) == ["200"])
        #expect(hunt.bench.state == .confirmedNotAcknowledged)
        let record = try #require(hunt.bench.dialogs.record(hunt.bench.did))
        #expect(record.outs.first { $0.toTag == Array("tc".utf8) }?.state == .confirmedNotAcknowledged)
        #expect(record.outs.first { $0.toTag == Array("tb".utf8) }?.state == .deleted)
    }

    @Test func `the ACK for a pass that failed confirms nothing, on whichever node it lands`() throws {
        var hunt = Hunt()
        let owner = hunt.tries("s1", Hunt.bob)[0]
        _ = hunt.bench.receive(Call.response(180, to: owner, toTag: "tb"), from: Hunt.bob)
        // The second pass is another node's; the first node has the first pass, and hears of the second.
        var other = second(of: hunt.bench, isLive: true)
        let next = try #require(other.receive(hunt.branch("s2", to: Hunt.carol), from: Hunt.server).first)
        _ = other.receive(Call.response(180, to: next, toTag: "tc"), from: Hunt.carol)
        _ = other.receive(Call.response(486, to: next, toTag: "tc"), from: Hunt.carol)
        copy(from: other, to: &hunt.bench)
        hunt.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        let ack = Hunt.hopByHop("ACK", "s2", to: Hunt.carol, toTag: "tc")
        #expect(hunt.bench.receive(ack, from: Hunt.server).map(\.to) == ["10.0.1.2:5060"], "to who has its transaction")
        #expect(hunt.bench.state == .unconfirmed)
        #expect(hunt.bench.advance(milliseconds: 50).isEmpty, "and no branch is cancelled")
    }

    @Test func `a CANCEL of a pass by a renewed branch finds it by its target, on another node`() throws {
        var hunt = Hunt()
        let sent = hunt.tries("s1", Hunt.bob)[0]
        _ = hunt.bench.receive(Call.response(180, to: sent, toTag: "tb"), from: Hunt.bob)
        let other = hunt.tries("s2", Hunt.carol)[0]
        _ = hunt.bench.receive(Call.response(180, to: other, toTag: "tc"), from: Hunt.carol)
        var node = second(of: hunt.bench, isLive: true)
        let answered = node.receive(Hunt.hopByHop("CANCEL", "renewed", to: Hunt.bob), from: Hunt.server)
        #expect(status(answered) == ["200"] && answered.count == 2, "and its owner has it, too")
        func progress(_ bench: ProxyBench) -> [UInt64] {
            (bench.dialogs.record(bench.did)?.pendings ?? []).map(\.progress.rawValue)
        }
        let changed = zip(progress(hunt.bench), progress(node)).filter { $0 != $1 }
        #expect(changed.count == 1, "one pass, and not the call")
        #expect(node.dialogs.record(node.did)?.flags == [])
        // Its owner hears of it by either way.
        copy(from: node, to: &hunt.bench)
        let acts = hunt.bench.drain()
        #expect(acts.map(\.to) == [Hunt.bob] && acts.allSatisfy { $0.firstLine.hasPrefix("CANCEL") })
    }

    @Test func `every pass is record-routed, and once where nothing stands between`() {
        var between = Hunt(recordsRoute: true)
        let sent = between.tries("s1", Hunt.bob)[0].headers("Record-Route")
        #expect(sent.map { $0.hasPrefix("<sip:\(ProxyBench.shared);lr;did=") } == [true, false, true])
        var plain = Hunt(recordsRoute: false)
        #expect(plain.tries("s1", Hunt.bob)[0].headers("Record-Route").count == 1)
    }

    @Test func `BYEs of the cluster go to the callee by way of the server, to the caller without it`() throws {
        var hunt = Hunt()
        let sent = hunt.tries("s1", Hunt.bob)[0]
        let answered = hunt.bench.receive(Call.response(200, to: sent, toTag: "tb"), from: Hunt.bob)
        _ = hunt.passUp(answered[0])
        let payload = try #require(hunt.bench.proxy.endingPayload(hunt.bench.did, dialogs: hunt.bench.dialogs))
        hunt.bench.proxy.end(
            hunt.bench.did, payload: payload, dialogs: &hunt.bench.dialogs, now: hunt.bench.now)
        let byes = hunt.bench.drain()
        #expect(byes.map(\.to) == [ProxyBench.caller, Hunt.server])
        #expect(byes[1].firstLine == "BYE sip:bob@10.0.0.2:5060 SIP/2.0")
        let route = byes[1].header("Route") ?? ""
        #expect(route.hasPrefix("<sip:\(Hunt.server);lr>, <sip:\(ProxyBench.shared);lr;did="))
        #expect(byes[0].header("Route") == nil)
        // The server sends it on: by the other pass it reaches the phone, and teaches nothing.
        let on = byes[1].text.replacing("Route: <sip:\(Hunt.server);lr>, ", with: "Route: ")
            .replacing("\r\nVia:", with: "\r\nVia: SIP/2.0/UDP \(Hunt.server);branch=z9hG4bKb\r\nVia:")
        #expect(hunt.bench.receive(on, from: Hunt.server).map(\.to) == [Hunt.bob])
    }

    @Test func `the answer to another node's BYE that passes this one is given to that one, too`() throws {
        var hunt = Hunt()
        let sent = hunt.tries("s1", Hunt.bob)[0]
        let answered = hunt.bench.receive(Call.response(200, to: sent, toTag: "tb"), from: Hunt.bob)
        _ = hunt.passUp(answered[0])
        var heir = second(of: hunt.bench, isLive: true)
        hunt.bench.proxy.neighbours.peers = [
            PeerContact(memberTag: 0x2222_2222, endpoint: Endpoint(text: "10.0.1.2:5060"), isLive: true)
        ]
        let payload = try #require(heir.proxy.endingPayload(hunt.bench.did, dialogs: heir.dialogs))
        heir.proxy.end(hunt.bench.did, payload: payload, dialogs: &heir.dialogs, now: heir.now)
        let byes = heir.drain()
        let on = byes[1].text.replacing("Route: <sip:\(Hunt.server);lr>, ", with: "Route: ")
            .replacing("\r\nVia:", with: "\r\nVia: SIP/2.0/UDP \(Hunt.server);branch=z9hG4bKb\r\nVia:")
        let toBob = hunt.bench.receive(on, from: Hunt.server)
        let answer = hunt.bench.receive(Call.response(200, to: toBob[0], contact: nil), from: Hunt.bob)
        let passed = try #require(answer.first { $0.to == "10.0.1.2:5060" })
        #expect(answer.contains { $0.to == Hunt.server } && passed.headers("Via") == byes[1].headers("Via"))
        _ = heir.receive(Call.response(200, to: byes[0], contact: nil), from: ProxyBench.caller)
        #expect(heir.endedLegs.isEmpty)
        #expect(heir.receive(passed.text, from: ProxyBench.node).isEmpty)
        #expect(heir.endedLegs == [hunt.bench.did])
    }

    @Test func `a BYE that comes back ends the dialog with its last pass, or with the server's answer`() {
        for comesBack in [true, false] {
            var hunt = Hunt()
            let sent = hunt.tries("s1", Hunt.bob)[0]
            let answered = hunt.bench.receive(Call.response(200, to: sent, toTag: "tb"), from: Hunt.bob)
            let ok = hunt.passUp(answered[0])[0]
            let routes = ok.headers("Record-Route").reversed().map { $0 }
            let bye = hunt.bench.receive(
                Call.request(
                    "BYE", uri: "sip:bob@\(Hunt.bob)", branch: "z9hG4bKbye", cSeq: 2, toTag: "tb", route: routes,
                    contact: nil),
                from: ProxyBench.caller)
            #expect(bye.map(\.to) == [Hunt.server] && hunt.bench.state == .confirmedNotAcknowledged)
            if comesBack {
                let on = bye[0].text.replacing("Route: <sip:\(Hunt.server);lr>\r\n", with: "")
                    .replacing("\r\nMax-Forwards", with: "\r\nMax-Forwards")
                let text =
                    "BYE"
                    + on.dropFirst(3).replacing(
                        " SIP/2.0\r\n", with: " SIP/2.0\r\nVia: SIP/2.0/UDP \(Hunt.server);branch=z9hG4bKb\r\n",
                        maxReplacements: 1)
                #expect(hunt.bench.receive(text, from: Hunt.server).map(\.to) == [Hunt.bob])
            } else {
                _ = hunt.bench.receive(Call.response(200, to: bye[0], contact: nil), from: Hunt.server)
            }
            #expect(hunt.bench.state == .deleted)
        }
    }

    @Test func `a CANCEL ends its pass only, on whichever node`() {
        var hunt = Hunt()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        let carol = hunt.tries("s2", Hunt.carol)[0]
        _ = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        _ = hunt.bench.receive(Call.response(180, to: carol, toTag: "tc"), from: Hunt.carol)
        var other = second(of: hunt.bench, isLive: true)
        let answer = other.receive(Hunt.hopByHop("CANCEL", "s1", to: Hunt.bob), from: Hunt.server)
        #expect(status(answer) == ["200"])
        #expect(other.dialogs.record(hunt.bench.did)?.flags == [])
        copy(from: other, to: &hunt.bench)
        let cancels = hunt.bench.drain().filter { $0.firstLine.hasPrefix("CANCEL") }
        #expect(cancels.map(\.to) == [Hunt.bob])
        #expect(hunt.bench.state != .deleted)
    }

    @Test func `a copy of a pass at another node is its owner's, of a dead one it is adopted`() {
        for isLive in [true, false] {
            var hunt = Hunt()
            let bob = hunt.tries("s1", Hunt.bob)[0]
            let ringing = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
            _ = hunt.passUp(ringing[0])
            var other = second(of: hunt.bench, isLive: isLive)
            _ = other.drain()
            let sent = other.receive(hunt.branch("s1", to: Hunt.bob), from: Hunt.server)
            #expect(!sent.contains { $0.to == Hunt.bob && $0.firstLine.hasPrefix("INVITE") }, "no second INVITE")
            if isLive {
                #expect(sent.map(\.to) == [ProxyBench.node])
            } else {
                #expect(status(sent).first == "100" && sent[0].to == Hunt.server)
            }
        }
    }

    @Test func `heirs end each pass by itself`() throws {
        var hunt = Hunt()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        let ringing = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        _ = hunt.passUp(ringing[0])
        var heir = second(of: hunt.bench, isLive: false)
        let sent = heir.drain()
        #expect(
            sent.filter { $0.firstLine.hasPrefix("CANCEL") }.map(\.to).sorted() == [Hunt.bob, Hunt.server].sorted())
        let toBob = try #require(sent.first { $0.to == Hunt.bob })
        let ended = heir.receive(Call.response(200, to: toBob, contact: nil), from: Hunt.bob)
        #expect(ended.contains { $0.to == Hunt.server && $0.firstLine.hasPrefix("SIP/2.0 480") })
        #expect(ended.contains { $0.to == Hunt.server && $0.firstLine.hasPrefix("BYE") }, "by way of the server")
        #expect(heir.dialogs.state(hunt.bench.did) != .deleted, "the caller's INVITE is the first pass's")
        #expect(heir.dialogs.flags(hunt.bench.did) == .interrupted, "who knows of an answer has it to tell")
        let toServer = try #require(sent.first { $0.to == Hunt.server })
        let rest = heir.receive(Call.response(200, to: toServer, contact: nil), from: Hunt.server)
        #expect(rest.contains { $0.to == ProxyBench.caller && $0.firstLine.hasPrefix("SIP/2.0 480") })
        #expect(heir.dialogs.state(hunt.bench.did) == .deleted)
    }

    @Test func `an heir sends the 2xx of a pass again to the server, by the server's Vias`() throws {
        var hunt = Hunt()
        hunt.bench.proxy.neighbours.commits = true
        _ = hunt.bench.commit()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        #expect(hunt.bench.receive(Call.response(200, to: bob, toTag: "tb"), from: Hunt.bob).isEmpty, "held")
        var heir = second(of: hunt.bench, isLive: false)
        let sent = heir.drain()
        let answer = try #require(sent.first { $0.firstLine.hasPrefix("SIP/2.0 200") })
        #expect(answer.to == Hunt.server && answer.headers("Via").count == 3)
        #expect(answer.headers("Via")[0].contains("z9hG4bKs1"))
    }

    @Test func `an heir that takes a pass's 2xx for the server's repeats it to the caller until its ACK, S1-3`() {
        var hunt = Hunt()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        _ = hunt.bench.receive(Call.response(200, to: bob, toTag: "tb"), from: Hunt.bob)
        var heir = second(of: hunt.bench, isLive: false)
        _ = heir.drain()
        func copies(_ milliseconds: Int64) -> Int {
            heir.advance(milliseconds: milliseconds).count {
                $0.to == ProxyBench.caller && $0.firstLine.hasPrefix("SIP/2.0 200")
            }
        }
        #expect(copies(1_900) == 0, "the server's may come")
        #expect(copies(200) == 1)
        #expect(copies(1_500) == 2, "the server's copies go to the dead node")
        let ack = Call.request(
            "ACK", uri: "sip:bob@\(Hunt.bob)", branch: "z9hG4bKack", toTag: "tb",
            route: ["<sip:\(ProxyBench.shared);lr;did=\(hunt.bench.did.hex)>"], contact: nil)
        _ = heir.receive(ack, from: ProxyBench.caller)
        #expect(copies(30_000) == 0)
    }

    @Test func `who knows of the answer by its ACK alone knows the way to the callee by the ACK's Routes`() throws {
        var hunt = Hunt()
        let did = hunt.bench.did
        let routes = [
            "<sip:\(ProxyBench.shared);lr;did=\(did.hex)>", "<sip:\(Hunt.server);lr>",
            "<sip:\(ProxyBench.shared);lr;did=\(did.hex)>",
        ]
        let ack = Call.request(
            "ACK", uri: "sip:bob@\(Hunt.bob)", branch: "z9hG4bKack", toTag: "tb", route: routes, contact: nil)
        _ = hunt.bench.receive(ack, from: ProxyBench.caller)
        let out = try #require(hunt.bench.dialogs.record(did)?.outs.first)
        #expect(out.side.contact == Array("sip:bob@\(Hunt.bob)".utf8))
        #expect(String(decoding: out.side.routes, as: UTF8.self) == routes.dropFirst().joined(separator: ", "))
    }

    @Test func `a re-INVITE passes the server and comes back, and neither pass takes it for a repetition`() {
        var hunt = Hunt()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        let answered = hunt.bench.receive(Call.response(200, to: bob, toTag: "tb"), from: Hunt.bob)
        let ok = hunt.passUp(answered[0])[0]
        let routes = ok.headers("Record-Route").reversed().map { $0 }
        let again = hunt.bench.receive(
            Call.request(
                "INVITE", uri: "sip:bob@\(Hunt.bob)", branch: "z9hG4bKre", cSeq: 2, toTag: "tb", route: routes),
            from: ProxyBench.caller)
        let first = again.first { $0.to == Hunt.server }
        #expect(first != nil)
        guard let first else { return }
        let text =
            "INVITE"
            + first.text.dropFirst(6).replacing("Route: <sip:\(Hunt.server);lr>\r\n", with: "").replacing(
                " SIP/2.0\r\n", with: " SIP/2.0\r\nVia: SIP/2.0/UDP \(Hunt.server);branch=z9hG4bKr\r\n",
                maxReplacements: 1)
        let passed = hunt.bench.receive(text, from: Hunt.server).filter { $0.firstLine.hasPrefix("INVITE") }
        #expect(passed.map(\.to) == [Hunt.bob])
        let up = hunt.bench.receive(Call.response(488, to: passed[0], toTag: ""), from: Hunt.bob)
        #expect(up.contains { $0.to == Hunt.server && $0.firstLine.hasPrefix("SIP/2.0 488") })
        #expect(hunt.bench.dialogs.record(hunt.bench.did)?.settledCaller == 0, "settled by the first pass alone")
    }

    @Test func `a BYE in the only early dialog known ends that one, while the INVITE is pending`() {
        var hunt = Hunt()
        let bob = hunt.tries("s1", Hunt.bob)[0]
        let ringing = hunt.bench.receive(Call.response(180, to: bob, toTag: "tb"), from: Hunt.bob)
        _ = hunt.passUp(ringing[0])
        let did = hunt.bench.did
        _ = hunt.bench.receive(
            Call.request(
                "BYE", uri: "sip:bob@\(Hunt.bob)", branch: "z9hG4bKbye", cSeq: 2, toTag: "tb",
                route: ["<sip:\(ProxyBench.shared);lr;did=\(did.hex)>"], contact: nil),
            from: ProxyBench.caller)
        #expect(hunt.bench.state == .early)
        #expect(hunt.bench.dialogs.record(did)?.outs.map(\.state) == [.deleted])
    }

    @Test func `a pass waits for the record that it has overtaken, and goes on without it in the end`() {
        let hunt = Hunt()
        var other = second(of: hunt.bench, isLive: true)
        other.dialogs.remove(hunt.bench.did)
        other.proxy.neighbours.commits = true
        #expect(other.receive(hunt.branch("s1", to: Hunt.bob), from: Hunt.server).isEmpty)
        #expect(other.wanted == [hunt.bench.did])
        let sent = other.advance(milliseconds: 250)
        #expect(sent.contains { $0.to == Hunt.bob && $0.headers("Record-Route").count == 3 })
    }
}

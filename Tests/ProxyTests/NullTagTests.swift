// Dialogs of which one side has no tag, neither has, or both have the same.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Missing and equal tags, RFC 3261 §12.1.1, §12.1.2 and §12.2.2")
struct NullTagTests {
    /// A call between phones that write these tags; empty ones write none.
    struct TagCall {
        var bench: ProxyBench
        var caller: String
        var callee: String
        var route = ""

        init(_ caller: String, _ callee: String, _ configure: (inout ProxySettings) -> Void = { _ in }) {
            bench = ProxyBench(configure)
            self.caller = caller
            self.callee = callee
        }

        private func plain(_ text: String) -> String { text.replacing(";tag=\r\n", with: "\r\n") }

        /// A request of one side.
        func request(
            _ method: String, _ leg: Leg, branch: String, cSeq: Int, routed: Bool = true, toTag: String? = nil
        ) -> String {
            let routes = routed && !route.isEmpty ? [route] : []
            let contact = method == "ACK" || method == "BYE" || method == "CANCEL"
            return plain(
                leg == .caller
                    ? Call.request(
                        method, branch: branch, cSeq: cSeq, toTag: toTag ?? callee, fromTag: caller, route: routes,
                        contact: contact ? nil : "sip:alice@10.0.0.1:5060")
                    : Call.request(
                        method, uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: branch, cSeq: cSeq,
                        toTag: caller, fromTag: callee, route: routes,
                        contact: contact ? nil : "sip:bob@10.0.0.2:5060", from: "sip:bob@example.org",
                        to: "sip:alice@example.org"))
        }

        static func source(_ leg: Leg) -> String { leg == .caller ? ProxyBench.caller : ProxyBench.callee }
        static func target(_ leg: Leg) -> String { source(leg == .caller ? .callee : .caller) }

        /// INVITE, 200, ACK.
        mutating func establish() {
            let invite = bench.receive(
                request("INVITE", .caller, branch: "z9hG4bKc1", cSeq: 1, toTag: ""), from: ProxyBench.caller)[0]
            _ = bench.receive(Call.response(180, to: invite, toTag: callee), from: ProxyBench.callee)
            _ = bench.receive(Call.response(200, to: invite, toTag: callee), from: ProxyBench.callee)
            route = invite.header("Record-Route")!
            _ = bench.receive(request("ACK", .caller, branch: "z9hG4bKa1", cSeq: 1), from: ProxyBench.caller)
        }

        var record: Record { bench.dialogs.record(bench.did)! }
    }

    static let tags = [("alice", ""), ("", "bob"), ("", ""), ("same", "same")]

    @Test(arguments: tags)
    func `the dialog is confirmed, and its callee stands in the record by the tag it has`(
        tags: (caller: String, callee: String)
    ) {
        var call = TagCall(tags.caller, tags.callee)
        call.establish()
        #expect(call.bench.state == .confirmed)
        #expect(call.record.outs.map(\.toTag) == [Array(tags.callee.utf8)])
        #expect(call.record.outs[0].state == .confirmed && call.record.settledCaller == 1)
        #expect(call.record.outs[0].side.contact == Array("sip:bob@10.0.0.2:5060".utf8))
        #expect(call.bench.puts.count == 1)
    }

    @Test(arguments: tags, [(Leg.caller, true), (.caller, false), (.callee, true), (.callee, false)])
    func `a BYE of either side ends it, with and without our did in its Route`(
        tags: (caller: String, callee: String), sender: (leg: Leg, named: Bool)
    ) {
        var call = TagCall(tags.caller, tags.callee)
        call.establish()
        if !sender.named { call.route = "<sip:\(ProxyBench.shared);lr>" }
        let sent = call.bench.receive(
            call.request("BYE", sender.leg, branch: "z9hG4bKb1", cSeq: 7), from: TagCall.source(sender.leg))
        #expect(sent.map(\.to) == [TagCall.target(sender.leg)])
        #expect(call.bench.state == .deleted)
        let flag = sender.leg == .caller ? RecordFlags.byeFromCaller : RecordFlags.byeFromCallee
        #expect(call.record.flags == flag.union(.toldEnd))
    }

    @Test(arguments: tags, [Leg.caller, .callee])
    func `a re-INVITE is of this dialog and refreshes the side that sent it`(
        tags: (caller: String, callee: String), leg: Leg
    ) throws {
        var call = TagCall(tags.caller, tags.callee)
        call.establish()
        let sent = call.bench.receive(
            call.request("INVITE", leg, branch: "z9hG4bKr1", cSeq: 9), from: TagCall.source(leg))
        let again = try #require(sent.first { $0.to == TagCall.target(leg) })
        #expect(again.header("Record-Route") == nil, "within a dialog nothing is recorded again")
        let contact = leg == .caller ? "sip:bob@10.0.0.2:5060" : "sip:alice@10.0.0.1:5060"
        _ = call.bench.receive(Call.response(200, to: again, toTag: "", contact: contact), from: TagCall.target(leg))
        #expect(call.bench.puts.count == 1)
        #expect(call.record.caller.cseq == (leg == .caller ? 9 : 1))
        #expect(call.record.outs[0].side.cseq == (leg == .callee ? 9 : 0))
        #expect(call.record.outs.count == 1)
        let ack = call.bench.receive(
            call.request("ACK", leg, branch: "z9hG4bKa2", cSeq: 9), from: TagCall.source(leg))
        #expect(ack.map(\.to) == [TagCall.target(leg)])
        #expect((leg == .caller ? call.record.settledCaller : call.record.settledCallee) == 9)
    }

    @Test(arguments: tags, [Leg.caller, .callee])
    func `a re-INVITE that is cancelled on another node is found by its side`(
        tags: (caller: String, callee: String), leg: Leg
    ) throws {
        var call = TagCall(tags.caller, tags.callee)
        call.establish()
        _ = call.bench.receive(call.request("INVITE", leg, branch: "z9hG4bKr1", cSeq: 9), from: TagCall.source(leg))
        var other = TagCall(tags.caller, tags.callee) { $0.memberTag = 0x2222_2222 }
        other.route = call.route
        let bytes = try #require(call.bench.dialogs.bytes(call.bench.did))
        _ = try other.bench.dialogs.learn(
            call.bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: other.bench.now)
        let sent = other.bench.receive(
            other.request("CANCEL", leg, branch: "z9hG4bKr1", cSeq: 9), from: TagCall.source(leg))
        #expect(sent.map(\.firstLine) == ["SIP/2.0 200 OK"])
        let record = try #require(other.bench.dialogs.record(call.bench.did))
        #expect(record.pendings.map(\.leg) == [leg] && record.pendings[0].progress.contains(.cancelled))
    }

    @Test(arguments: tags)
    func `a generated BYE has the tags that the phones have, and no empty one`(
        tags: (caller: String, callee: String)
    ) throws {
        var call = TagCall(tags.caller, tags.callee)
        call.establish()
        let payload = try #require(call.bench.proxy.endingPayload(call.bench.did, dialogs: call.bench.dialogs))
        call.bench.proxy.end(
            call.bench.did, payload: payload, dialogs: &call.bench.dialogs, now: call.bench.now)
        let sent = call.bench.drain()
        func tagged(_ uri: String, _ tag: String) -> String { tag.isEmpty ? "<\(uri)>" : "<\(uri)>;tag=\(tag)" }
        let (alice, bob) = (tagged("sip:alice@example.org", tags.caller), tagged("sip:bob@example.org", tags.callee))
        #expect(sent.map(\.to) == [ProxyBench.caller, ProxyBench.callee])
        #expect(sent.map { $0.header("From") } == [bob, alice] && sent.map { $0.header("To") } == [alice, bob])
        #expect(Set(sent.map { $0.headers("Via")[0] }).count == 2, "a transaction for each side")
        // Where the callee is known by the ACK alone, its To value is made from the record's and the tag.
        var record = call.record
        record.outs[0].to = []
        var bare = ProxyBench()
        let bytes = try record.encoded()
        _ = try bare.dialogs.learn(call.bench.did, facts: RawSpan(_elements: bytes.span), age: .zero, now: bare.now)
        bare.proxy.end(
            call.bench.did, payload: try #require(bare.proxy.endingPayload(call.bench.did, dialogs: bare.dialogs)),
            dialogs: &bare.dialogs, now: bare.now)
        #expect(bare.drain().map { $0.header("From") } == [bob, alice])
    }

    @Test func `a first INVITE, its copies and its CANCEL are of no dialog for want of a To tag`() {
        var call = TagCall("alice", "")
        let invite = call.request("INVITE", .caller, branch: "z9hG4bKc1", cSeq: 1)
        let sent = call.bench.receive(invite, from: ProxyBench.caller)
        #expect(sent[0].header("Record-Route") != nil && call.bench.puts.count == 1)
        _ = call.bench.receive(Call.response(180, to: sent[0], toTag: ""), from: ProxyBench.callee)
        #expect(call.bench.receive(invite, from: ProxyBench.caller).count == 1, "a copy is absorbed")
        let cancel = call.bench.receive(
            call.request("CANCEL", .caller, branch: "z9hG4bKc1", cSeq: 1), from: ProxyBench.caller)
        #expect(cancel.map(\.firstLine) == ["SIP/2.0 200 OK", "CANCEL sip:bob@10.0.0.2:5060 SIP/2.0"])
        // A call after the last one, with the same Call-ID and tag, is one of its own.
        var next = TagCall("alice", "")
        next.establish()
        _ = next.bench.receive(
            next.request("BYE", .caller, branch: "z9hG4bKb1", cSeq: 2), from: ProxyBench.caller)
        _ = next.bench.receive(
            next.request("INVITE", .caller, branch: "z9hG4bKc2", cSeq: 3, routed: false), from: ProxyBench.caller)
        #expect(next.bench.puts.count == 2)
    }

    @Test func `a request that waited in the socket and is of a dialog is not taken for a new one`() {
        var call = TagCall("alice", "")
        call.establish()
        let sent = call.bench.receive(
            call.request("BYE", .caller, branch: "z9hG4bKb1", cSeq: 2), from: ProxyBench.caller, age: 5_000)
        #expect(sent.map(\.to) == [ProxyBench.callee] && call.bench.proxy.counters.staleDropped == 0)
    }

    @Test func `without a record a request that a Route of ours names goes by its Request-URI, not by static routes`() {
        var call = TagCall("alice", "") { settings in
            let target = TargetSet.Target(
                uri: Array("sip:10.0.0.9".utf8), namesUser: false, endpoint: Endpoint(text: "10.0.0.9:5060"))
            settings.targetSets = [TargetSet(name: "all", targets: [target])]
            settings.routes = [StaticRoute(set: 0)]
        }
        call.route = "<sip:\(ProxyBench.shared);lr;did=0123456789abcdef>"
        let sent = call.bench.receive(
            call.request("BYE", .caller, branch: "z9hG4bKb1", cSeq: 2), from: ProxyBench.caller)
        #expect(sent.map(\.to) == [ProxyBench.callee])
    }

    @Test(arguments: [true, false])
    func `a re-INVITE whose record is nowhere is of its dialog by its Route, and makes none`(isJoining: Bool) {
        var call = TagCall("alice", "")
        call.route = "<sip:\(ProxyBench.shared);lr;did=0123456789abcdef>"
        call.bench.proxy.neighbours.isJoining = isJoining
        let sent = call.bench.receive(
            call.request("INVITE", .caller, branch: "z9hG4bKr1", cSeq: 2), from: ProxyBench.caller)
        #expect(sent.count { $0.to == ProxyBench.callee } == 1)
        #expect(call.bench.puts.isEmpty)
    }
}

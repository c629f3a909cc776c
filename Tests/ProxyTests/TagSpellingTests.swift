// Requests whose tags are not byte for byte those of the dialog, and BYEs that name it by Call-ID and one tag alone.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("Which dialog a request without its did, or with other letters in its tags, belongs to")
struct TagSpellingTests {
    private static func confirmed(tags: [String] = ["bob"]) -> (bench: ProxyBench, route: String) {
        var bench = ProxyBench()
        let invite = bench.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        for tag in tags {
            _ = bench.receive(Call.response(200, to: invite, toTag: tag), from: ProxyBench.callee)
            _ = bench.commit()
            let ack = Call.request(
                "ACK", branch: "z9hG4bKa\(tag)", toTag: tag, route: [invite.header("Record-Route")!], contact: nil)
            _ = bench.receive(ack, from: ProxyBench.caller)
        }
        return (bench, invite.header("Record-Route")!)
    }

    @Test(arguments: [true, false])
    func `tags are compared without regard to case, and leave as the dialog has them (RFC 3261 §7.3.1)`(hasDid: Bool)
        throws
    {
        var (bench, route) = Self.confirmed()
        if !hasDid { route = "<sip:\(ProxyBench.shared);lr>" }
        let bye = Call.request(
            "BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "BOB", fromTag: "Alice", route: [route], contact: nil)
        let sent = try #require(bench.receive(bye, from: ProxyBench.caller).first { $0.firstLine.hasPrefix("BYE") })
        #expect(sent.header("To")?.hasSuffix(";tag=bob") == true)
        #expect(sent.header("From")?.hasSuffix(";tag=alice") == true)
        #expect(bench.dialogs.flags(bench.did)?.contains(.byeFromCaller) == true && bench.state == .deleted)
    }

    @Test func `a callee's request, too`() throws {
        var (bench, route) = Self.confirmed()
        let bye = Call.request(
            "BYE", uri: "sip:alice@10.0.0.1:5060", via: "10.0.0.2:5060", branch: "z9hG4bKb2", toTag: "ALICE",
            fromTag: "Bob", route: [route], contact: nil)
        let sent = try #require(bench.receive(bye, from: ProxyBench.callee).first { $0.firstLine.hasPrefix("BYE") })
        #expect(sent.header("To")?.hasSuffix(";tag=alice") == true)
        #expect(bench.dialogs.flags(bench.did)?.contains(.byeFromCallee) == true)
    }

    @Test func `where two dialogs differ in case alone, each has its own requests`() {
        var (bench, route) = Self.confirmed(tags: ["bob", "BOB"])
        let bye = Call.request("BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "BOB", route: [route], contact: nil)
        _ = bench.receive(bye, from: ProxyBench.caller)
        let outs = bench.dialogs.record(bench.did)?.outs ?? []
        #expect(outs.first { $0.toTag == Array("bob".utf8) }?.state == .confirmed)
        #expect(outs.first { $0.toTag == Array("BOB".utf8) }?.state == .deleted)
    }

    @Test func `tags of another dialog stay what they are`() throws {
        var (bench, route) = Self.confirmed()
        let bye = Call.request("BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "ROB", route: [route], contact: nil)
        let sent = try #require(bench.receive(bye, from: ProxyBench.caller).first { $0.firstLine.hasPrefix("BYE") })
        #expect(sent.header("To")?.hasSuffix(";tag=ROB") == true && bench.state == .confirmed)
    }

    // MARK: Ahead of the answer

    /// A node that has the record of a ringing call, and the one that has seen its answer since.
    private static func behind() throws -> (other: ProxyBench, first: ProxyBench) {
        var first = ProxyBench()
        let invite = first.receive(Call.request("INVITE"), from: ProxyBench.caller)[0]
        var other = ProxyBench { settings in
            settings.memberTag = 0x2222_2222
            settings.nodeName = Array("n2".utf8)
        }
        other.puts = first.puts
        try learn(from: first, to: &other)
        _ = first.receive(Call.response(200, to: invite), from: ProxyBench.callee)
        _ = first.commit()
        return (other, first)
    }

    private static func learn(from first: ProxyBench, to other: inout ProxyBench) throws {
        let bytes = try #require(first.dialogs.bytes(first.did))
        _ = try other.dialogs.learn(
            first.did, facts: RawSpan(_elements: bytes.span), age: .zero, isPeers: true, now: other.now)
    }

    private static func bye(fromTag: String = "alice") -> String {
        Call.request(
            "BYE", branch: "z9hG4bKb1", cSeq: 2, toTag: "bob", fromTag: fromTag,
            route: ["<sip:\(ProxyBench.shared);lr>"], contact: nil)
    }

    @Test func `a BYE without a did, ahead of the 2xx, ends the one call of its Call-ID that is not confirmed here`()
        throws
    {
        var (other, first) = try Self.behind()
        #expect(other.receive(Self.bye(), from: ProxyBench.caller).contains { $0.firstLine.hasPrefix("BYE") })
        try Self.learn(from: first, to: &other)
        #expect(other.state == .deleted || other.demands.contains(.spent))
    }

    @Test func `one of another caller does not`() throws {
        var (other, first) = try Self.behind()
        _ = other.receive(Self.bye(fromTag: "mallory"), from: ProxyBench.caller)
        try Self.learn(from: first, to: &other)
        #expect(other.state == .confirmedNotAcknowledged && !other.demands.contains(.spent))
    }
}

// Requests that the cluster makes within a dialog, and what they do to the CSeqs of both phones: afterwards each
// phone's next request must be accepted by the other, through whichever node, whoever died.

import Dialogs
import Node
import Primitives
import SIP
import Synchronization
import Testing

/// Two phones that take CSeqs seriously (RFC 3261 §12.2.2): a request that is not above all before it gets 500.
private final class StrictPhones: Sendable {
    struct Memory {
        /// Highest CSeq that a phone has seen of its peer, and the number of its last INVITE with the answers to it.
        var highest: [String: Int] = [:]
        var branches: [String: [String: String]] = [:]
        var refused = 0
        var acknowledged: [String: [Int]] = [:]
        var received: [String: [String]] = [:]
        var answers: [String: [String]] = [:]
        /// Methods that get no answer.
        var silent: Set<String> = []
    }

    let memory = Mutex(Memory())

    var refused: Int { memory.withLock { $0.refused } }
    func acknowledged(_ phone: String) -> [Int] { memory.withLock { $0.acknowledged[phone] ?? [] } }
    func received(_ phone: String) -> [String] { memory.withLock { $0.received[phone] ?? [] } }
    /// `CSeq: status` of what a phone was answered.
    func answers(_ phone: String) -> [String] { memory.withLock { $0.answers[phone] ?? [] } }

    func replies(to sent: ClusterBench.Sent) -> [ClusterBench.Reply] {
        guard let text = sent.header("CSeq"), let number = Int(text.split(separator: " ")[0]) else { return [] }
        let method = String(text.split(separator: " ")[1])
        guard !sent.text.hasPrefix("SIP/2.0") else {
            let status = sent.text.split(separator: " ")[1]
            if status != "100" { memory.withLock { $0.answers[sent.to, default: []].append("\(text): \(status)") } }
            return []
        }
        let branch = sent.header("Via") ?? ""
        let status = memory.withLock { memory -> Int? in
            if method == "ACK" {
                memory.acknowledged[sent.to, default: []].append(number)
                return nil
            }
            let isSilent = memory.silent.contains(method)
            if let known = memory.branches[sent.to]?[branch] { return isSilent ? nil : Int(known) }  // A repetition.
            let isHigher = number > memory.highest[sent.to] ?? 0
            if isHigher { memory.highest[sent.to] = number } else { memory.refused += 1 }
            memory.received[sent.to, default: []].append(text)
            memory.branches[sent.to, default: [:]][branch] = isHigher ? "200" : "500"
            return isSilent ? nil : isHigher ? 200 : 500
        }
        guard let status else { return [] }
        let user = sent.to == ClusterBench.caller ? "alice@10.0.9.1" : "bob@10.0.9.2"
        let tag = sent.header("To")?.contains("tag=") == true ? "" : ";tag=bob"
        let answer = ClusterBench.answer(status, to: sent, toTag: tag, extra: "Contact: <sip:\(user)>\r\n")
        return [ClusterBench.Reply(text: answer, from: sent.to, node: sent.node)]
    }
}

@Suite("Requests within a dialog that the cluster makes")
struct RequestWithinTests {
    private let phones: StrictPhones

    init() { phones = StrictPhones() }

    private init(phones: StrictPhones) { self.phones = phones }

    private func bench(nodes: Int = 3, cSeq: Int = 1) -> ClusterBench {
        var bench = ClusterBench(nodes: nodes) { $0.dialogs.defaultTimeout = .seconds(600) }
        bench.advance(milliseconds: 2_000)
        bench.phones = { [phones] sent, _ in phones.replies(to: sent) }
        send(&bench, "INVITE", from: .caller, cSeq: cSeq, at: 0, isInitial: true)
        bench.advance(milliseconds: 100)
        send(&bench, "ACK", from: .caller, cSeq: cSeq, at: 0)
        bench.advance(milliseconds: 100)
        return bench
    }

    private func route(_ bench: ClusterBench) -> String {
        bench.sent.first { $0.text.hasPrefix("INVITE") }.map { "Route: \($0.header("Record-Route")!)\r\n" } ?? ""
    }

    /// A phone's request, over a node.
    private func send(
        _ bench: inout ClusterBench, _ method: String, from leg: Leg, cSeq: Int, at node: Int,
        isInitial: Bool = false
    ) {
        let (me, peer) = leg == .caller ? ("alice@10.0.9.1", "bob@10.0.9.2") : ("bob@10.0.9.2", "alice@10.0.9.1")
        let source = leg == .caller ? ClusterBench.caller : ClusterBench.callee
        let tags = leg == .caller ? (";tag=alice", isInitial ? "" : ";tag=bob") : (";tag=bob", ";tag=alice")
        let branch = "z9hG4bK\(method)\(leg)\(cSeq)"
        bench.receive(
            "\(method) sip:\(peer) SIP/2.0\r\nVia: SIP/2.0/UDP \(source);branch=\(branch)\r\nMax-Forwards: 70\r\n"
                + "From: <sip:\(me)>\(tags.0)\r\nTo: <sip:\(peer)>\(tags.1)\r\nCall-ID: c\r\n"
                + "CSeq: \(cSeq) \(method)\r\n"
                + "Contact: <sip:\(me)>\r\n\(isInitial ? "" : route(bench))Content-Length: 0\r\n\r\n",
            from: source, at: node)
    }

    private func did(_ bench: ClusterBench) -> String {
        bench.nodes.compactMap { $0 }.first?.dialogs(DialogQuery(), now: bench.now).dialogs.first?.did ?? ""
    }

    private func ask(
        _ bench: inout ClusterBench, _ request: DialogRequest, of given: String? = nil, through node: Int
    ) -> DialogError? {
        let id = given ?? did(bench)
        var error: DialogError?
        bench.perform(node) { machine, now, out in
            do throws(DialogError) { try machine.request(did: id, request, now: now, into: &out) } catch let problem {
                error = problem
            }
        }
        return error
    }

    private func outcomes(_ bench: ClusterBench) -> [RequestEvent.Outcome] { bench.requests.map(\.event.outcome) }

    /// Both phones re-INVITE, through any nodes, and have their answers by their own numbers.
    private func expectBothGoOn(_ bench: inout ClusterBench, from cSeq: Int, _ comment: Comment) {
        let live = bench.nodes.indices.filter { bench.nodes[$0] != nil }
        for (step, leg) in [Leg.caller, .callee, .caller, .callee].enumerated() {
            let number = cSeq + step
            let phone = leg == .caller ? ClusterBench.caller : ClusterBench.callee
            let peer = leg == .caller ? ClusterBench.callee : ClusterBench.caller
            send(&bench, "INVITE", from: leg, cSeq: number, at: live[step % live.count])
            bench.advance(milliseconds: 150)
            #expect(phones.answers(phone).contains("\(number) INVITE: 200"), comment)
            let invite = phones.received(peer).last
            send(&bench, "ACK", from: leg, cSeq: number, at: live[(step + 1) % live.count])
            bench.advance(milliseconds: 50)
            #expect(phones.acknowledged(peer).last.map { "\($0) INVITE" } == invite, comment)
        }
        #expect(phones.refused == 0, comment)
    }

    @Test(arguments: 0..<3)
    func `a request that a phone's own overtakes while it spreads takes a place above that`(node: Int) {
        var bench = bench()
        bench.bus.delay = 20
        #expect(ask(&bench, DialogRequest("INFO", to: .caller), through: 1) == nil)
        bench.advance(milliseconds: 8)
        send(&bench, "INVITE", from: .callee, cSeq: 100, at: node)
        bench.advance(milliseconds: 300)
        send(&bench, "ACK", from: .callee, cSeq: 100, at: node)
        bench.advance(milliseconds: 50)
        #expect(phones.answers(ClusterBench.callee) == ["100 INVITE: 200"])
        #expect(phones.received(ClusterBench.caller).last?.hasSuffix(" INFO") == true)
        #expect(outcomes(bench) == [.accepted] && phones.refused == 0)
        bench.bus.delay = 0
        expectBothGoOn(&bench, from: 101, "through node \(node)")
    }

    @Test(arguments: [Leg.caller, .callee], 0..<3)
    func `after a request to either side, each phone's next re-INVITE is accepted through any node`(
        side: Leg, node: Int
    ) {
        var bench = bench()
        #expect(ask(&bench, .refer(side, to: "sip:carol@10.0.9.3", by: "sip:controller@x"), through: node) == nil)
        bench.advance(milliseconds: 100)
        let peer = side == .caller ? ClusterBench.caller : ClusterBench.callee
        #expect(phones.received(peer).last?.hasSuffix(" REFER") == true)
        #expect(outcomes(bench) == [.accepted])
        let refer = bench.sent.first { $0.text.hasPrefix("REFER") }
        #expect(refer?.header("Refer-To") == "<sip:carol@10.0.9.3>")
        #expect(refer?.header("Contact") == (side == .caller ? "<sip:bob@10.0.9.2>" : "<sip:alice@10.0.9.1>"))
        expectBothGoOn(&bench, from: 2, "REFER to the \(side) by node \(node)")
    }

    @Test func `requests to both sides, again and again, leave room for both phones`() {
        var bench = bench()
        var next = 2
        for round in 0..<5 {
            for side in [Leg.caller, .callee] {
                var request = DialogRequest("INFO", to: side)
                (request.contentType, request.body) = ("text/plain", "round \(round)")
                #expect(ask(&bench, request, through: (round + Int(side.rawValue)) % 3) == nil)
                bench.advance(milliseconds: 60)
            }
            expectBothGoOn(&bench, from: next, "round \(round)")
            next += 4
        }
        #expect(outcomes(bench) == Array(repeating: .accepted, count: 10))
        #expect(bench.sent.filter { $0.text.hasPrefix("INFO") && $0.text.hasSuffix("\r\n\r\nround 4") }.count == 2)
    }

    @Test func `an INVITE that was sent before the request keeps its number in its ACK, which comes after it`() {
        var bench = bench()
        send(&bench, "INVITE", from: .caller, cSeq: 2, at: 1)
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 2) == nil)
        bench.advance(milliseconds: 100)
        for node in [0, 1, 2] {
            send(&bench, "ACK", from: .caller, cSeq: 2, at: node)
            bench.advance(milliseconds: 20)
        }
        #expect(phones.acknowledged(ClusterBench.callee) == [1, 2, 2, 2])
        expectBothGoOn(&bench, from: 3, "afterwards")
        // And one that was moved keeps what it had, when a further request has moved the side on.
        send(&bench, "INVITE", from: .caller, cSeq: 7, at: 1)
        bench.advance(milliseconds: 100)
        send(&bench, "ACK", from: .caller, cSeq: 7, at: 1)
        bench.advance(milliseconds: 20)
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 100)
        send(&bench, "ACK", from: .caller, cSeq: 7, at: 0)
        send(&bench, "ACK", from: .caller, cSeq: 7, at: 2)
        let own = phones.acknowledged(ClusterBench.callee).suffix(3)
        // The first request took a higher place, since an INVITE overtook it.
        #expect(Set(own).count == 1 && own.first == 7 + 2 * 4_096, "\(own)")
    }

    @Test(arguments: 0..<3)
    func `when its node dies before the answer, the heir repeats the request, and the phone takes it for one`(
        victim: Int
    ) {
        var bench = bench()
        phones.memory.withLock { $0.silent = ["REFER"] }
        #expect(ask(&bench, .refer(.callee, to: "sip:carol@x", by: "sip:c@x"), through: victim) == nil)
        bench.advance(milliseconds: 300)
        #expect(bench.sent.contains { $0.text.hasPrefix("REFER") })
        bench.kill(victim)
        bench.advance(milliseconds: 3_000)
        phones.memory.withLock { $0.silent = [] }
        bench.advance(milliseconds: 5_000)
        let refers = bench.sent.filter { $0.text.hasPrefix("REFER") }
        #expect(Set(refers.map(\.text)).count == 1, "the same in every byte")
        #expect(Set(refers.map(\.node)).count == 2)
        #expect(outcomes(bench) == [.accepted] && bench.requests.first?.event.isOfHeir == true)
        expectBothGoOn(&bench, from: 2, "without node \(victim)")
    }

    @Test func `a node that dies while the shift spreads leaves both phones their room`() {
        for delay in [0, 1, 3, 6, 20] as [Int64] {
            let phones = StrictPhones()
            let test = RequestWithinTests(phones: phones)
            var bench = test.bench()
            bench.bus.delay = 4
            #expect(test.ask(&bench, DialogRequest("INFO", to: .callee), through: 1) == nil)
            bench.advance(milliseconds: delay)
            bench.kill(1)
            bench.advance(milliseconds: 6_000)
            #expect(phones.received(ClusterBench.callee).filter { $0.hasSuffix(" INFO") }.count <= 1)
            test.expectBothGoOn(&bench, from: 2, "\(delay) ms after it was asked for")
        }
    }

    @Test func `an heir gives up what is older than a transaction`() {
        var bench = bench()
        phones.memory.withLock { $0.silent = ["INFO"] }
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 1) == nil)
        bench.advance(milliseconds: 31_800)
        bench.kill(1)
        bench.advance(milliseconds: 3_000)
        #expect(outcomes(bench) == [.givenUp])
        #expect(bench.metric("dialog_requests_given_up") == 1)
        expectBothGoOn(&bench, from: 2, "afterwards")
    }

    @Test func `a request does not leave while a member has not taken the shift`() {
        var bench = bench()
        bench.bus.losses = [BenchBus.Way(from: 0, to: 2)]
        bench.bus.cuts = [BenchBus.Way(from: 0, to: 2)]
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 200)
        #expect(!bench.sent.contains { $0.text.hasPrefix("INFO") })
        bench.bus.losses = []
        bench.bus.cuts = []
        bench.advance(milliseconds: 300)
        #expect(bench.sent.contains { $0.text.hasPrefix("INFO") })
        #expect(outcomes(bench) == [.accepted])
        expectBothGoOn(&bench, from: 2, "afterwards")
    }

    @Test func `a member that takes no facts is waited for until it is no member any more`() {
        var bench = bench()
        bench.pause(2)
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 250)
        #expect(!bench.sent.contains { $0.text.hasPrefix("INFO") })
        bench.advance(milliseconds: 5_000)
        #expect(outcomes(bench) == [.accepted])
        #expect(bench.sent.filter { $0.text.hasPrefix("INFO") }.count == 1)
        bench.resume(2)
        bench.advance(milliseconds: 3_000)
        expectBothGoOn(&bench, from: 2, "afterwards")
    }

    @Test func `a restarted node moves what it never saw`() {
        var bench = bench()
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 100)
        bench.kill(2)
        bench.advance(milliseconds: 2_000)
        bench.start(2)
        bench.advance(milliseconds: 150)  // It has heard a member: before that it can ask nobody.
        send(&bench, "INVITE", from: .caller, cSeq: 2, at: 2)
        bench.advance(milliseconds: 1_000)
        send(&bench, "INVITE", from: .caller, cSeq: 2, at: 2)
        bench.advance(milliseconds: 1_000)
        send(&bench, "ACK", from: .caller, cSeq: 2, at: 2)
        bench.advance(milliseconds: 1_000)
        #expect(phones.refused == 0)
        #expect(phones.acknowledged(ClusterBench.callee).last == 2 + 4_096)
        expectBothGoOn(&bench, from: 3, "afterwards")
    }

    @Test func `a request whose number would be 2³¹ is refused, and the phones go on`() {
        var bench = bench(cSeq: Int(UInt32(1) << 31) - 9_000)
        let first = Int(UInt32(1) << 31) - 9_000
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 100)
        #expect(outcomes(bench) == [.accepted])
        #expect(
            ask(&bench, DialogRequest("INFO", to: .callee), through: 0)
                == .refused("the CSeq would be 2147483648 or more"))
        send(&bench, "INFO", from: .caller, cSeq: first + 1, at: 2)
        bench.advance(milliseconds: 100)
        #expect(phones.answers(ClusterBench.caller).last == "\(first + 1) INFO: 200" && phones.refused == 0)
        // What does not fit 32 bits as it is moved is refused.
        send(&bench, "INFO", from: .caller, cSeq: Int(UInt32.max) - 1, at: 1)
        bench.advance(milliseconds: 100)
        #expect(phones.answers(ClusterBench.caller).last == "\(UInt32.max - 1) INFO: 500")
        #expect(bench.metric("sip_cseqs_used_up") == 1)
    }

    @Test func `a second request to the same side waits for the first, and one to the other does not`() {
        var bench = bench()
        phones.memory.withLock { $0.silent = ["INFO"] }
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 50)
        let objection = DialogError.refused("a request to this side is under way")
        for node in 0..<3 { #expect(ask(&bench, DialogRequest("MESSAGE", to: .callee), through: node) == objection) }
        #expect(ask(&bench, DialogRequest("MESSAGE", to: .caller), through: 2) == nil)
        bench.advance(milliseconds: 33_000)
        #expect(outcomes(bench) == [.accepted, .failed] && bench.requests.last?.event.status == 408)
        #expect(ask(&bench, DialogRequest("MESSAGE", to: .callee), through: 1) == nil)
        bench.advance(milliseconds: 100)
        #expect(outcomes(bench) == [.accepted, .failed, .accepted])
    }

    @Test func `of two that are asked for at one moment on two nodes one is made, and both are told of`() {
        var bench = bench()
        bench.bus.delay = 5
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        #expect(ask(&bench, DialogRequest("MESSAGE", to: .callee), through: 2) == nil)
        bench.advance(milliseconds: 1_500)
        #expect(Set(outcomes(bench)) == [.accepted, .overtaken] && bench.requests.count == 2)
        #expect(phones.received(ClusterBench.callee).filter { !$0.hasSuffix("INVITE") }.count == 1)
        expectBothGoOn(&bench, from: 2, "afterwards")
    }

    @Test func `BYEs of the cluster are above its other requests, and one transaction`() {
        var bench = bench()
        for side in [Leg.caller, .callee] {
            #expect(ask(&bench, DialogRequest("INFO", to: side), through: 0) == nil)
        }
        bench.advance(milliseconds: 100)
        expectBothGoOn(&bench, from: 2, "before the end")
        #expect(bench.end(did: did(bench), through: 1) == .ending)
        bench.advance(milliseconds: 1_500)
        #expect(phones.refused == 0)
        for phone in [ClusterBench.caller, ClusterBench.callee] {
            let byes = phones.received(phone).filter { $0.hasSuffix(" BYE") }
            #expect(byes.count == 1)
        }
    }

    @Test(arguments: [
        ("INVITE", ""), ("BYE", ""), ("info", ""), ("", ""), ("INFO", "Via: x\r\n"), ("INFO", "X: y"),
    ])
    func `what is no request that an answer ends is refused`(method: String, headers: String) {
        var bench = bench()
        var request = DialogRequest(method, to: .callee)
        request.headers = headers
        guard case .invalid = ask(&bench, request, through: 0) else {
            Issue.record("\(method) was taken")
            return
        }
        #expect(bench.metric("dialog_requests_refused") == 1)
    }

    @Test func `a call that rings is asked for nothing yet, and that is why`() {
        var bench = ClusterBench(nodes: 1) { _ in }
        bench.advance(milliseconds: 2_000)
        send(&bench, "INVITE", from: .caller, cSeq: 1, at: 0, isInitial: true)
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0)?.message == "the dialog is not confirmed")
    }

    @Test func `a body has so many bytes and no more`() {
        var bench = bench()
        var request = DialogRequest("INFO", to: .callee)
        request.contentType = "text/plain"
        request.body = String(repeating: "x", count: DialogRequest.bodyLimit + 1)
        guard case .invalid = ask(&bench, request, through: 0) else {
            Issue.record("it was taken")
            return
        }
        #expect(bench.metric("dialog_requests_refused") == 1)
        request.body.removeLast()
        #expect(ask(&bench, request, through: 0) == nil)
        bench.advance(milliseconds: 200)
        #expect(outcomes(bench) == [.accepted])
    }

    @Test func `so many requests are under way at a node and no more`() throws {
        let limit = 4_096
        var bench = ClusterBench(nodes: 1) { $0.dialogs.defaultTimeout = .seconds(600) }
        bench.advance(milliseconds: 2_000)
        bench.phones = { sent, _ in
            guard sent.text.hasPrefix("INVITE") else { return [] }
            let contact = "Contact: <sip:bob@10.0.9.2>\r\n"
            let answer = ClusterBench.answer(200, to: sent, toTag: ";tag=bob", extra: contact)
            return [ClusterBench.Reply(text: answer, from: sent.to, node: sent.node)]
        }
        for number in 0...limit {
            for method in ["INVITE", "ACK"] {
                let invite = method == "ACK" ? bench.sent.last { $0.text.hasPrefix("INVITE") } : nil
                let route = invite?.header("Record-Route")
                bench.receive(
                    "\(method) sip:bob@10.0.9.2 SIP/2.0\r\nVia: SIP/2.0/UDP \(ClusterBench.caller);"
                        + "branch=z9hG4bK\(method)\(number)\r\nMax-Forwards: 70\r\nFrom: <sip:alice@10.0.9.1>;tag=a\r\n"
                        + "To: <sip:bob@10.0.9.2>\(method == "ACK" ? ";tag=bob" : "")\r\nCall-ID: c\(number)\r\n"
                        + "CSeq: 1 \(method)\r\nContact: <sip:alice@10.0.9.1>\r\n"
                        + (route.map { "Route: \($0)\r\n" } ?? "") + "Content-Length: 0\r\n\r\n",
                    from: ClusterBench.caller, at: 0)
            }
        }
        var (dids, query) = ([String](), DialogQuery())
        repeat {
            let page = try #require(bench.nodes[0]).dialogs(query, now: bench.now)
            dids += page.dialogs.map(\.did)
            query.cursor = page.next
        } while query.cursor != nil
        #expect(dids.count == limit + 1)
        for did in dids.dropLast() {
            #expect(ask(&bench, DialogRequest("INFO", to: .callee), of: did, through: 0) == nil)
        }
        let last = try #require(dids.last)
        #expect(
            ask(&bench, DialogRequest("INFO", to: .callee), of: last, through: 0)
                == .refused("this node has as many requests under way as it may"))
        #expect(bench.metric("dialog_requests_refused") == 1)
    }

    @Test func `the result stands in the record of every node`() {
        var bench = bench()
        #expect(ask(&bench, DialogRequest("INFO", to: .callee), through: 0) == nil)
        bench.advance(milliseconds: 200)
        for node in bench.nodes.compactMap({ $0 }) {
            #expect(node.dialog(did: did(bench), now: bench.now)?.properties == ["request-callee=INFO 200"])
        }
    }
}

// Bridging two addresses: INVITE that holds the line, REFER, BYE; and what phones tell of the calls that REFERs ask
// for.

import Dialogs
import Node
import Primitives
import SIP
import Synchronization
import Testing

/// A phone that takes the cluster's call, and does what it is referred to.
private final class BridgedPhone: Sendable {
    struct Memory {
        var requests: [String] = []
        var answers: [String] = []
        /// Of the INVITE.
        var status = 200
        /// Of the REFER.
        var accepts = 202
    }

    let memory = Mutex(Memory())

    var requests: [String] { memory.withLock { $0.requests } }
    var answers: [String] { memory.withLock { $0.answers } }

    func replies(to sent: ClusterBench.Sent) -> [ClusterBench.Reply] {
        guard sent.to == ClusterBench.callee else { return [] }
        let cSeq = sent.header("CSeq") ?? ""
        let method = String(cSeq.split(separator: " ").last ?? "")
        guard !sent.text.hasPrefix("SIP/2.0") else {
            memory.withLock { $0.answers.append("\(cSeq) \(sent.text.split(separator: " ")[1])") }
            return []
        }
        let status = memory.withLock { memory -> Int? in
            memory.requests.append(method)
            switch method {
            case "INVITE": return memory.status
            case "REFER": return memory.accepts
            case "ACK": return nil
            default: return 200
            }
        }
        guard let status else { return [] }
        let tag = sent.header("To")?.contains("tag=") == true ? "" : ";tag=bob"
        let answer = ClusterBench.answer(status, to: sent, toTag: tag, extra: "Contact: <sip:bob@10.0.9.2>\r\n")
        return [ClusterBench.Reply(text: answer, from: sent.to, node: sent.node)]
    }
}

@Suite("Bridging two addresses, and what REFERs lead to")
struct BridgeTests {
    private let phone: BridgedPhone

    init() { phone = BridgedPhone() }

    private init(phone: BridgedPhone) { self.phone = phone }

    private func bench() -> ClusterBench {
        var bench = ClusterBench(nodes: 3) { settings in
            settings.dialogs.bridgeController = "sip:controller@example.org"
            settings.dialogs.bridgeContact = "sip:controller@10.0.1.2:5060"
        }
        bench.advance(milliseconds: 2_000)
        bench.phones = { [phone] sent, _ in phone.replies(to: sent) }
        return bench
    }

    private func bridge(_ bench: inout ClusterBench, through node: Int, _ wish: DialogBridge? = nil) -> DialogError? {
        var error: DialogError?
        let wish = wish ?? DialogBridge(from: "sip:bob@10.0.9.2", to: "sip:carol@10.0.9.3")
        bench.perform(node) { machine, now, out in
            do throws(DialogError) { try machine.bridge(wish, now: now, into: &out) } catch let problem {
                error = problem
            }
        }
        return error
    }

    /// The phone tells what became of its call.
    private func notify(
        _ bench: inout ClusterBench, _ status: Int, cSeq: Int, at node: Int, event: String = "refer",
        isOver: Bool = true
    ) {
        let refer = bench.sent.last { $0.text.hasPrefix("REFER") }!
        let body = "SIP/2.0 \(status) Whatever\r\n"
        bench.receive(
            "NOTIFY \(refer.header("Contact")!.dropFirst().dropLast()) SIP/2.0\r\n"
                + "Route: \(bench.sent.first { $0.text.hasPrefix("INVITE") }!.header("Record-Route")!)\r\n"
                + "Via: SIP/2.0/UDP \(ClusterBench.callee);branch=z9hG4bKn\(cSeq)\r\nMax-Forwards: 70\r\n"
                + "From: \(refer.header("To")!)\r\nTo: \(refer.header("From")!)\r\n"
                + "Call-ID: \(refer.header("Call-ID")!)\r\n"
                + "CSeq: \(cSeq) NOTIFY\r\nEvent: \(event)\r\nContact: <sip:bob@10.0.9.2>\r\n"
                + "Subscription-State: \(isOver ? "terminated;reason=noresource" : "active;expires=60")\r\n"
                + "Content-Type: message/sipfrag\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)",
            from: ClusterBench.callee, at: node)
        bench.advance(milliseconds: 50)
    }

    private func outcomes(_ bench: ClusterBench) -> [RequestEvent.Outcome] { bench.requests.map(\.event.outcome) }

    @Test(arguments: 0..<3)
    func `the first phone is called, sent on, followed and hung up on, whichever nodes its requests reach`(node: Int) {
        var bench = bench()
        #expect(bridge(&bench, through: node) == nil)
        bench.advance(milliseconds: 300)
        #expect(phone.requests == ["INVITE", "ACK", "REFER"])
        let invite = bench.sent.first { $0.text.hasPrefix("INVITE") }!
        #expect(invite.header("From")?.hasPrefix("<sip:controller@example.org>;tag=") == true)
        #expect(invite.header("Contact") == "<sip:controller@10.0.1.2:5060>")
        #expect(invite.text.contains("c=IN IP4 0.0.0.0\r\n"))
        let refer = bench.sent.first { $0.text.hasPrefix("REFER") }!
        #expect(refer.header("Refer-To") == "<sip:carol@10.0.9.3>")
        #expect(refer.header("Referred-By") == "<sip:controller@example.org>")
        notify(&bench, 100, cSeq: 1, at: (node + 1) % 3, isOver: false)
        #expect(outcomes(bench) == [.accepted])
        notify(&bench, 200, cSeq: 2, at: (node + 2) % 3)
        notify(&bench, 200, cSeq: 2, at: node)
        bench.advance(milliseconds: 1_500)
        #expect(phone.answers == ["1 NOTIFY 200", "2 NOTIFY 200", "2 NOTIFY 200"])
        #expect(outcomes(bench) == [.accepted, .referred])
        #expect(phone.requests == ["INVITE", "ACK", "REFER", "BYE"])
        #expect(bench.metric("dialog_bridges") == 1 && bench.metric("dialog_refers_made") == 1)
        #expect(bench.nodes.allSatisfy { $0?.status(now: bench.now).dialogs.held == 0 })
    }

    @Test func `a phone that does not answer, or will not be sent on, is told of`() {
        var first = bench()
        phone.memory.withLock { $0.status = 486 }
        #expect(bridge(&first, through: 0) == nil)
        first.advance(milliseconds: 300)
        #expect(phone.requests == ["INVITE", "ACK"] && outcomes(first) == [.failed])
        #expect(first.requests.first?.event.status == 486 && first.metric("dialog_bridges_failed") == 1)

        var second = bench()
        phone.memory.withLock { ($0.status, $0.accepts, $0.requests) = (200, 603, []) }
        #expect(bridge(&second, through: 1) == nil)
        second.advance(milliseconds: 1_500)
        #expect(phone.requests == ["INVITE", "ACK", "REFER", "BYE"] && outcomes(second) == [.failed])
    }

    @Test func `when its node dies an heir goes on, and nobody stays in the call`() {
        for delay in [0, 2, 60, 300] as [Int64] {
            let phone = BridgedPhone()
            let test = BridgeTests(phone: phone)
            var bench = test.bench()
            bench.bus.delay = 3
            #expect(test.bridge(&bench, through: 1) == nil)
            bench.advance(milliseconds: delay)
            bench.kill(1)
            bench.advance(milliseconds: 150_000)
            #expect(phone.requests.filter { $0 == "INVITE" }.count == 1, "\(delay)")
            // What was not answered yet when the node died is cancelled.
            #expect(delay < 60 || phone.requests.contains("BYE"), "\(delay): \(phone.requests)")
            #expect(Set(bench.sent.filter { $0.text.hasPrefix("REFER") }.map(\.text)).count <= 1, "\(delay)")
            let held = bench.nodes.compactMap { $0?.status(now: bench.now).dialogs.held }
            #expect(held.allSatisfy { $0 == 0 }, "\(delay)")
        }
    }

    @Test func `a phone that hangs up, or wants something of the controller, is answered`() {
        var bench = bench()
        #expect(bridge(&bench, through: 0) == nil)
        bench.advance(milliseconds: 300)
        let refer = bench.sent.last { $0.text.hasPrefix("REFER") }!
        for (number, method) in ["INVITE", "OPTIONS", "PUBLISH", "BYE"].enumerated() {
            bench.receive(
                "\(method) sip:controller@10.0.1.2:5060 SIP/2.0\r\n"
                    + "Via: SIP/2.0/UDP \(ClusterBench.callee);branch=z9hG4bKx\(number)\r\nMax-Forwards: 70\r\n"
                    + "From: \(refer.header("To")!)\r\nTo: \(refer.header("From")!)\r\n"
                    + "Call-ID: \(refer.header("Call-ID")!)\r\nCSeq: \(number + 1) \(method)\r\n"
                    + "Contact: <sip:bob@10.0.9.2>\r\nContent-Length: 0\r\n\r\n",
                from: ClusterBench.callee, at: 2)
        }
        bench.advance(milliseconds: 500)
        #expect(phone.answers == ["1 INVITE 488", "2 OPTIONS 200", "3 PUBLISH 501", "4 BYE 200"])
        #expect(!phone.requests.contains("BYE"))
        #expect(bench.nodes.allSatisfy { $0?.status(now: bench.now).dialogs.held == 0 })
    }

    @Test func `a NOTIFY of another REFER goes to the phone that sent that`() {
        var bench = bench()
        bench.phones = nil
        bench.call(through: 0)
        let id = bench.nodes[0]!.dialogs(DialogQuery(), now: bench.now).dialogs[0].did
        bench.phones = { [phone] sent, _ in phone.replies(to: sent) }
        bench.perform(1) { machine, now, out in
            _ = try? machine.refer(did: id, .callee, to: "sip:carol@10.0.9.3", now: now, into: &out)
        }
        bench.advance(milliseconds: 200)
        #expect(outcomes(bench) == [.accepted])
        notify(&bench, 200, cSeq: 1, at: 2, event: "refer;id=77")
        notify(&bench, 200, cSeq: 2, at: 2, event: "dialog")
        #expect(bench.sent.filter { $0.text.hasPrefix("NOTIFY") && $0.to == ClusterBench.caller }.count == 2)
        #expect(outcomes(bench) == [.accepted])
        notify(&bench, 503, cSeq: 3, at: 2, event: "refer;id=4096")
        #expect(outcomes(bench) == [.accepted, .notReferred] && bench.requests.last?.event.status == 503)
        #expect(bench.nodes[0]?.dialog(did: id, now: bench.now)?.properties == ["request-callee=REFER 202"])
        #expect(bench.nodes[0]?.status(now: bench.now).dialogs.confirmed == 1, "the call goes on")
    }

    @Test(
        arguments: [
            "", "bob", "sip:", ":x", "sip:bob@10.0.9.2>\r\nX: y", "sip:bob@10.0.9.2\r\nX: y", "si p:bob@x",
            "sip:bob \"x\"", "<sip:bob@x>;y", "sip:" + String(repeating: "x", count: 1_021),
        ])
    func `nobody is referred to what is no URI`(address: String) {
        var bench = bench()
        bench.call(through: 0)
        let count = bench.sent.count
        var error: DialogError?
        bench.perform(0) { node, now, out in
            let did = node.dialogs(DialogQuery(), now: now).dialogs.first?.did ?? ""
            do throws(DialogError) {
                _ = try node.refer(did: did, .callee, to: address, now: now, into: &out)
            } catch let refused { error = refused }
        }
        #expect(error?.message.contains("is not a URI like sip:alice@192.0.2.5") == true)
        bench.advance(milliseconds: 500)
        #expect(!bench.sent[count...].contains { $0.text.hasPrefix("REFER") })
    }

    @Test(arguments: ["", "bob", "tel:+1", "sip:bob@10.0.9.2\r\nX: y"])
    func `what is no SIP URI is not called`(uri: String) {
        var bench = bench()
        for wish in [DialogBridge(from: uri, to: "sip:a@b"), DialogBridge(from: "sip:a@b", to: uri)] {
            guard case .invalid = bridge(&bench, through: 0, wish) else {
                Issue.record("\(uri) was taken")
                continue
            }
        }
        #expect(!bench.sent.contains { $0.text.hasPrefix("INVITE") })
    }
}

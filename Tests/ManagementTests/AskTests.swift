// What goes from one member to another for an operator: a short list of methods, and why somebody could not be asked.

import Cluster
import Management
import Node
import Synchronization
import Testing

@Suite("Asking members over the bus")
struct AskTests {
    let node = FakeNode("n1", [.confirmed(1)])

    private func ask(_ params: String) async throws -> JSONValue {
        let server = RPCServer(RPCContext(node: node, allowsFaultInjection: true, unixSeconds: { 0 }))
        let request = #"{"jsonrpc":"2.0","method":"cluster.ask","params":\#(params),"id":1}"#
        return await server.answer(Array(request.utf8)).body
    }

    private func door(_ node: FakeNode, _ text: String) async -> String {
        let door = BusDoor(RPCServer(RPCContext(node: node, allowsFaultInjection: true, unixSeconds: { 0 })))
        return String(decoding: await door.answer(Array(text.utf8)), as: UTF8.self)
    }

    @Test func `what is asked comes out at the other's door, and its answer back`() async throws {
        let other = FakeNode("n2", [.confirmed(1)])
        node.bus.withLock { bus in
            bus = { member, text in
                let door = BusDoor(RPCServer(RPCContext(node: other, allowsFaultInjection: false, unixSeconds: { 0 })))
                return member == "n2" ? .answered(await door.answer(text)) : .unknownMember
            }
        }
        let status = try await ask(#"["n2","cluster.status"]"#)["result"]
        #expect(status?["node"] == "n2" && status?["result"]?["node"] == "n2")
        #expect(try await ask(#"["n2","cluster.drain",["n2"]]"#)["result"]?["result"]?["state"] == "draining")
        #expect(other.state.withLock { $0.status.state } == "draining")
        #expect(node.state.withLock { $0.status.state } == "up")
        let refused = try await ask(#"["n2","cluster.drain",["n3"]]"#)["result"]
        #expect(refused?["error"]?["message"] == "This is n2, not n3" && refused?["error"]?["code"] == 409)
        let caller = RelayedCaller("n2", through: DirectCaller(label: "http://n1", node: node))
        await #expect(throws: ClientError.refused(url: "n2", RPCError(404, "No dialog has the did or Call-ID x"))) {
            try await caller.call("cluster.dialog", ["x"])
        }
    }

    @Test func `a node asks itself without the bus`() async throws {
        #expect(try await ask(#"["n1","cluster.status"]"#)["result"]?["result"]?["node"] == "n1")
        #expect(node.state.withLock { $0.inquired.isEmpty })
    }

    @Test(arguments: RPCMethods.names)
    func `only what the list has is asked, and answered, over the bus`(method: String) async throws {
        let isOpen = BusDoor.methods.contains(method)
        #expect(!isOpen || !method.contains("end") && !method.hasPrefix("fault"))
        let asked = try await ask(#"["n2","\#(method)"]"#)
        let answered = await door(FakeNode("n2"), #"{"jsonrpc":"2.0","method":"\#(method)","params":[]}"#)
        #expect(asked["error"]?["message"]?.text?.contains("may not be asked over the bus") != isOpen)
        #expect(answered.contains("may not be asked over the bus") == !isOpen)
    }

    @Test func `the door answers what is no request, too`() async {
        for text in ["", "{", "[]", "7", #"{"params":[]}"#] {
            #expect(await door(node, text).contains("Invalid Request"), "\(text)")
        }
    }

    @Test(arguments: [
        (InquiryOutcome.unknownMember, "no member is called n2; there are: n1, n3"),
        (.notListed, "n1 hears n2 and has no way to ask it: add n2's cluster.bus to cluster.peers of n1"),
        (.notHeard, "n1 does not hear n2"), (.silent, "n2 did not answer n1 over the bus in time"),
        (.refused, "n2 refused what n1 asked: see the log of n2"),
        (.notUnderstood, "n2 answers nothing over the bus: its version is older"),
        (.tooLong, "the answer of n2 is too long for the bus"),
        (.tooMany, "n1 asks too much of other members already; try again"),
        (.answered([]), "n2 answers what this version cannot read"),
        (.answered(Array("{}".utf8)), "n2 answers what this version cannot read"),
    ])
    func `why a member was not asked is one sentence`(outcome: InquiryOutcome, sentence: String) async throws {
        node.state.withLock { state in
            state.status.members = ["n1", "", "n3"].map { name in
                var member = MemberReport()
                member.name = name
                return member
            }
        }
        node.bus.withLock { $0 = { _, _ in outcome } }
        #expect(try await ask(#"["n2","cluster.status"]"#)["result"]?["not_asked"] == .string(sentence))
        let caller = RelayedCaller("n2", through: DirectCaller(label: "http://n1", node: node))
        await #expect(throws: ClientError.notAsked(sentence)) { try await caller.call("cluster.status", []) }
    }

    @Test(arguments: ["[]", #"["n2"]"#, #"["n2","cluster.status",7]"#, #"["","cluster.status"]"#])
    func `parameters that are missing or no list are told`(params: String) async throws {
        #expect(try await ask(params)["error"]?["code"] == 400)
    }

    @Test func `digests are answered by pages, and the check puts them together`() async throws {
        let server = RPCServer(RPCContext(node: node, allowsFaultInjection: false, unixSeconds: { 0 }))
        func page(_ params: String) async throws -> JSONValue? {
            let request = #"{"jsonrpc":"2.0","method":"cluster.digests","params":\#(params)}"#
            return try JSONValue(parsing: await server.answer(Array(request.utf8)).body.bytes)["result"]
        }
        let whole = try await page("[]")
        #expect(whole?["size"] == 16 && whole?["buckets"]?.elements?.count == 16)
        let part = try await page("[1,2]")
        #expect(part?["size"] == 16 && part?["buckets"]?.elements == Array(whole!["buckets"]!.elements![1..<3]))
        #expect(try await page("[16,2]")?["buckets"]?.elements == [])
    }
}

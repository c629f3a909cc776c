// The envelope follows Kamailio's jsonrpcs, so that its clients work unchanged.

import Management
import Node
import Synchronization
import Testing

@Suite("JSON-RPC envelope and methods")
struct RPCTests {
    let node = FakeNode("n1", [.confirmed(1), .confirmed(2)])

    func answer(_ body: String, faults: Bool = false) async -> (Int, String) {
        let server = RPCServer(RPCContext(node: node, allowsFaultInjection: faults, unixSeconds: { 1_000_000 }))
        let reply = await server.answer(Array(body.utf8))
        return (reply.status, String(decoding: reply.body.bytes, as: UTF8.self))
    }

    func call(_ method: String, _ params: String = "[]", faults: Bool = false) async -> (Int, String) {
        await answer(#"{"jsonrpc":"2.0","method":"\#(method)","params":\#(params),"id":1}"#, faults: faults)
    }

    @Test func `the members of a reply come in the order jsonrpc, result, id`() async {
        let (status, text) = await call("dlg.stats_active")
        #expect(status == 200)
        #expect(
            text
                == #"{"jsonrpc":"2.0","result":{"starting":0,"connecting":0,"answering":0,"ongoing":0,"all":0},"id":1}"#
        )
    }

    @Test(arguments: [
        (
            #"{"jsonrpc":"2.0","method":"no.such","id":"x"}"#, 500,
            #"{"jsonrpc":"2.0","error":{"code":500,"message":"Method Not Found"},"id":"x"}"#
        ),
        (#"{"method":"cluster.status","id":3}"#, 200, #"{"jsonrpc":"2.0","result":{},"id":3}"#),
        (#"{"jsonrpc":"1.0","method":"cluster.status","id":3}"#, 200, #"{"jsonrpc":"2.0","result":{},"id":3}"#),
        (#"{"jsonrpc":"2.0","id":null}"#, 200, #"{"jsonrpc":"2.0","result":{},"id":0}"#),
        (#"{"jsonrpc":"2.0","method":"dlg.list","params":7}"#, 200, #"{"jsonrpc":"2.0","result":{}}"#),
        ("{", 500, #"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse Error"}}"#),
        ("[]", 500, #"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"}}"#),
    ])
    func `odd requests are answered as jsonrpcs answers them`(body: String, status: Int, reply: String) async {
        let answered = await answer(body)
        #expect(answered == (status, reply))
    }

    @Test(arguments: [
        ("cluster.dialogs", #"{"state":"ringing"}"#, 400), ("cluster.dialogs", #"{"limit":0}"#, 400),
        ("cluster.dialogs", #"{"limit":1001}"#, 400), ("cluster.dialog", "[]", 400),
        ("cluster.dialog", #"["nothing"]"#, 404), ("cluster.end", #"["nothing"]"#, 404),
        ("cluster.bucket", "[]", 400), ("cluster.bucket", "[[]]", 400), ("cluster.bucket", #"[["a"]]"#, 400),
        ("fault.forget", #"["0000000000000001"]"#, 403), ("fault.pause_bus", "[1]", 403), ("fault.skew", "[1]", 403),
        ("dlg.end_dlg", "[]", 500), ("dlg.end_dlg", "[1,99]", 404), ("dlg.terminate_dlg", #"["a"]"#, 400),
        ("dlg.terminate_dlg", #"["a","b","c"]"#, 500),
    ])
    func `a refusal carries its code as the HTTP status`(method: String, params: String, status: Int) async {
        #expect(await call(method, params).0 == status)
    }

    @Test func `a bucket request has a bound`() async {
        func list(_ count: Int) -> String { "[[" + (0..<count).map(String.init).joined(separator: ",") + "]]" }
        #expect(await call("cluster.bucket", list(BucketReport.requestLimit)).0 == 200)
        #expect(await call("cluster.bucket", list(BucketReport.requestLimit + 1)).0 == 400)
    }

    @Test func `pages follow the cursor`() async throws {
        let first = try JSONValue(parsing: await call("cluster.dialogs", #"{"limit":1}"#).1)["result"]
        #expect(first?["dialogs"]?.elements?.count == 1)
        let cursor = try #require(first?["next"]?.whole)
        let second = try JSONValue(parsing: await call("cluster.dialogs", "[\(cursor),1]").1)["result"]
        #expect(second?["dialogs"]?.elements?.first?["did"] == "0000000000000002")
        #expect(second?["next"] == .null)
    }

    @Test func `a dialog is found by did and by Call-ID`() async throws {
        for key in ["0000000000000002", "call-2@pc33"] {
            let found = try JSONValue(parsing: await call("cluster.dialog", #"["\#(key)"]"#).1)
            #expect(found["result"]?["call_id"] == "call-2@pc33")
            #expect(found["result"]?["end"]?["phase"] == "lives")
        }
    }

    @Test func `ending maps every outcome`() async {
        let did = #"["0000000000000001"]"#
        #expect(await call("cluster.end", did).0 == 200)
        node.state.withLock { $0.endOutcome = .endingAlready }
        let again = await call("cluster.end", did)
        #expect(again.0 == 200 && again.1.contains("ending already"))
        node.state.withLock { $0.endOutcome = .alreadyEnded }
        #expect(await call("cluster.end", did).0 == 409)
        node.state.withLock { $0.endOutcome = .refused("no quorum") }
        let (status, text) = await call("cluster.end", did)
        #expect(status == 503 && text.contains("no quorum"))
        #expect(node.deeds.count == 4)
    }

    @Test func `fault aids work where they are allowed`() async {
        #expect(await call("fault.forget", #"["call-1@pc33"]"#, faults: true).0 == 200)
        #expect(await call("fault.pause_bus", "[40]", faults: true).0 == 200)
        #expect(await call("fault.pause_bus", "[3601]", faults: true).0 == 400)
        #expect(await call("fault.skew", "[-3600]", faults: true).0 == 200)
        #expect(node.deeds == ["pause 40", "skew -3600"])
    }

    @Test func `a stopped node answers 503`() async {
        node.state.withLock { $0.isStopped = true }
        #expect(await call("cluster.status").0 == 503)
    }

    @Test func `dlg_list has the module's fields in the module's order (ims_dialog d1)`() async throws {
        let reply = try JSONValue(parsing: await call("dlg.list").1)
        guard case .object(let members) = try #require(reply["result"]?.elements?.first) else {
            Issue.record("it is something else")
            return
        }
        #expect(
            members.map(\.name) == [
                "h_entry", "h_id", "ref", "call-id", "from_uri", "to_uri", "state", "start_ts", "init_ts", "end_ts",
                "duration", "timeout", "lifetime", "dflags", "sflags", "iflags", "caller", "callee", "profiles",
                "variables",
            ])
        #expect(members[4].value == "sip:a@h" && members[5].value == "sip:b@h")
        #expect(members[6].value == 4)
        #expect(members[11].value == 1_000_017)
    }

    @Test func `h_entry and h_id name a dialog`() async throws {
        var dialog = DialogReport.confirmed(3)
        dialog.did = "4f00000100000003"
        node.state.withLock { $0.dialogs.append(dialog) }
        let identifier = 0x4f00_0001
        #expect(await call("dlg.end_dlg", "[3,\(identifier)]").0 == 200)
        #expect(await call("dlg2.end_dlg", #"{"h_entry":3,"h_id":\#(identifier)}"#).0 == 200)
        #expect(node.deeds == ["end 4f00000100000003", "end 4f00000100000003"])
    }

    @Test func `dlg2_list gives the table's size and Confirmed_NA its name (ims_dialog d3, d12)`() async throws {
        node.state.withLock { $0.dialogs[0].state = "confirmed_na" }
        let result = try JSONValue(parsing: await call("dlg2.list").1)["result"]
        #expect(result?["Size"] == 16)
        #expect(result?["Dialogs"]?.elements?.first?["Dialog"]?["State"] == "Confirmed_NA")
    }

    @Test func `dlg2_list names a dialog that several callees have confirmed (ims_dialog d1)`() async throws {
        for (states, name) in [
            (["confirmed", "confirmed"], "Concurrently_Confirmed"),
            (["confirmed", "confirmed_na"], "Concurrently_Confirmed"),
            (["confirmed", "deleted"], "Confirmed"), (["confirmed", "early"], "Confirmed"),
        ] {
            node.state.withLock { state in
                state.dialogs[0].state = "confirmed"
                state.dialogs[0].outs = states.map { text in
                    var out = OutReport()
                    out.state = text
                    return out
                }
            }
            let result = try JSONValue(parsing: await call("dlg2.list").1)["result"]
            #expect(result?["Dialogs"]?.elements?.first?["Dialog"]?["State"] == .string(name))
        }
    }

    @Test func `every method says what it is for, and its example is JSON`() throws {
        for method in RPCMethods.all {
            #expect(!method.summary.isEmpty)
            _ = try JSONValue(parsing: method.example)
            #expect(RPCMethods.named(method.name) != nil)
        }
    }
}

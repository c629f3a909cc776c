// What an operator changes of a dialog, and what profiles tell: `cluster.change`, `cluster.profiles` and
// `dlg.profile_*`.

import Dialogs
import Management
import Node
import Synchronization
import Testing

@Suite("Changes of a dialog and its profiles")
struct ChangeTests {
    private let node = FakeNode.withProfiles()

    init() {
        node.state.withLock { state in
            state.dialogs[1].profiles = [.init(key: "caller", value: "bob")]
            state.dialogs[1].variables = [.init(key: "tenant", value: "red")]
        }
    }

    private func call(_ method: String, _ params: String) async throws -> JSONValue {
        let context = RPCContext(node: node, allowsFaultInjection: false, unixSeconds: { 1_000_000 })
        let request = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
        let reply = await RPCServer(context).answer(Array(request.utf8))
        return reply.body["result"] ?? reply.body["error"] ?? .null
    }

    @Test(arguments: [
        (#"["call-1@pc33","var","tenant","red"]"#, DialogChange.variable("tenant", value: "red")),
        (#"["call-1@pc33","var","tenant",null,true]"#, .variable("tenant", value: nil)),
        (#"["call-1@pc33","profile","caller","alice"]"#, .profile("caller", value: "alice", isMember: true)),
        (#"["call-1@pc33","profile","calls",null,true]"#, .profile("calls", value: nil, isMember: false)),
        (#"["call-1@pc33","flag","3"]"#, .flag(3, isSet: true)),
        (#"{"id":"call-1@pc33","kind":"flag","name":3,"remove":true}"#, .flag(3, isSet: false)),
        (#"["call-1@pc33","property","ka-src"]"#, .property("ka-src", isSet: true)),
        (#"["call-1@pc33","timeout","600"]"#, .timeout(seconds: 600)),
    ])
    func `a change is asked of the node`(params: String, change: DialogChange) async throws {
        #expect(try await call("cluster.change", params)["outcome"] == "changed")
        #expect(node.deeds == ["change 0000000000000001 \([change])"])
    }

    @Test(arguments: [
        #"["call-1@pc33"]"#, #"["call-1@pc33","var","tenant"]"#, #"["call-1@pc33","flag","x"]"#,
        #"["call-1@pc33","timeout","x"]"#, #"["call-1@pc33","timeout","6",null,true]"#, #"["call-1@pc33","nose","x"]"#,
    ])
    func `what is no change is refused, and the node is not asked`(params: String) async throws {
        #expect(try await call("cluster.change", params)["code"] == 400)
        #expect(node.deeds.isEmpty)
    }

    @Test(arguments: [
        (
            "cluster.request", #"["call-1@pc33","callee","INFO"]"#,
            #"request 0000000000000001 callee ["INFO", "", "", ""]"#
        ),
        (
            "cluster.request",
            #"{"id":"call-1@pc33","side":"caller","method":"MESSAGE","content_type":"a/b","body":"c"}"#,
            #"request 0000000000000001 caller ["MESSAGE", "", "a/b", "c"]"#
        ),
        ("cluster.refer", #"["call-1@pc33","caller","sip:c@x"]"#, "refer 0000000000000001 caller sip:c@x"),
        ("dlg.bridge_dlg", #"["sip:a@x","sip:b@x"]"#, "bridge sip:a@x sip:b@x '' hold"),
        ("dlg.bridge_dlg", #"["sip:a@x","sip:b@x",".","."]"#, "bridge sip:a@x sip:b@x '' hold"),
        ("dlg.bridge_dlg", #"["sip:a@x","sip:b@x","sip:p@x","_"]"#, "bridge sip:a@x sip:b@x 'sip:p@x' "),
    ])
    func `requests and bridges are asked of the node`(method: String, params: String, deed: String) async throws {
        let answer = try await call(method, params)
        #expect(node.deeds == [deed])
        #expect(method == "dlg.bridge_dlg" ? answer == [:] : answer["outcome"] == "taken" && answer["cseq"] == 4_097)
    }

    @Test(arguments: [
        ("cluster.request", #"["call-1@pc33","nobody","INFO"]"#, 400),
        ("cluster.request", #"["call-1@pc33","caller"]"#, 400),
        ("cluster.refer", #"["call-1@pc33","caller"]"#, 400), ("cluster.refer", #"["none","caller","sip:c@x"]"#, 404),
        ("dlg.bridge_dlg", #"["sip:a@x"]"#, 500),
    ])
    func `what names no side, method or address is refused`(method: String, params: String, code: Int64) async throws {
        #expect(try await call(method, params)["code"] == .integer(code))
        #expect(node.deeds.isEmpty)
    }

    @Test func `why the node does not change it is told`() async throws {
        node.state.withLock { $0.changeOutcome = .unknownProfile("nose") }
        let error = try await call("cluster.change", #"["call-1@pc33","profile","nose"]"#)
        #expect(error == ["code": 404, "message": "Profile not found: nose"])
        #expect(try await call("cluster.change", #"["nobody","flag","1"]"#)["code"] == 404)
    }

    @Test func `profiles are told with their sizes`() async throws {
        let all = try await call("cluster.profiles", "[]")
        #expect(all.elements?.map { $0["name"] } == ["caller", "calls"])
        #expect(try await call("cluster.profiles", #"["caller","bob"]"#).elements?.first?["size"] == 1)
        #expect(try await call("cluster.profiles", #"["nose"]"#)["code"] == 404)
    }

    @Test func `profile_get_size and profile_list answer as the module does (ims_dialog d2)`() async throws {
        #expect(try await call("dlg.profile_get_size", #"["caller"]"#) == 2)
        #expect(try await call("dlg.profile_get_size", #"["caller","alice"]"#) == 1)
        #expect(try await call("dlg.profile_get_size", "[]") == [:])
        let unknown: JSONValue = ["code": 404, "message": "Profile not found: nose"]
        #expect(try await call("dlg.profile_get_size", #"["nose"]"#) == unknown)
        #expect(try await call("dlg.profile_list", #"["nose"]"#) == unknown)
        #expect(try await call("dlg.profile_list", "[]") == [])
        #expect(
            try await call("dlg.profile_list", #"["caller","bob"]"#).elements?.map { $0["call-id"] } == ["call-2@pc33"])
        // A profile without values ignores one.
        #expect(try await call("dlg.profile_list", #"["calls","x"]"#).elements?.count == 1)
    }

    @Test(arguments: [
        (#""profile":"caller""#, ["call-1@pc33", "call-2@pc33"]), (#""profile":"caller=bob""#, ["call-2@pc33"]),
        (#""variable":"tenant""#, ["call-2@pc33"]), (#""variable":"tenant=blue""#, []),
    ])
    func `a list is of those in a profile or with a variable`(filter: String, found: [String]) async throws {
        let page = try await call("cluster.dialogs", "{\(filter)}")
        #expect(page["dialogs"]?.elements?.compactMap { $0["call_id"]?.text } == found)
    }

    @Test func `listings of contexts have what programs say of a dialog, and others have not`() async throws {
        node.state.withLock { $0.contexts = ["0000000000000002": ["tenant red", "rate 3"]] }
        let all = try await call("dlg.list_ctx", "[]")
        #expect(all.elements?.map { $0["context"] } == [nil, ["tenant red", "rate 3"]])
        #expect(try await call("dlg.list", "[]").elements?.allSatisfy { $0["context"] == nil } == true)
        #expect(try await call("dlg.dlg_list_ctx", #"["call-2@pc33"]"#)["context"] == ["tenant red", "rate 3"])
        #expect(try await call("dlg.dlg_list_ctx", #"["call-1@pc33"]"#)["context"] == nil)
        #expect(try await call("dlg.dlg_list_ctx", #"["nobody"]"#) == [:])
    }

    @Test func `dflags are those of the pseudo-variable`() async throws {
        node.state.withLock { $0.dialogs[0].moduleFlags = RecordFlags.byeFromCaller.union(.timedOut).moduleBits }
        #expect(try await call("dlg.list", "[]").elements?.map { $0["dflags"] } == [1_044, 0])
    }

    @Test func `set_state takes the state that a dialog has, and 5, which is the default (ims_dialog d2)`() async throws
    {
        #expect(try await call("dlg.set_state", #"["call-1@pc33","f1","t1",4]"#) == "Done")
        #expect(try await call("dlg.set_state", #"["call-1@pc33","f1","t1",3]"#)["code"] == 500)
        #expect(node.deeds.isEmpty)
        #expect(try await call("dlg.set_state", #"["call-1@pc33","f1","t1"]"#) == "Done")
        #expect(node.deeds == ["terminate 0000000000000001 none '' ''"])
        #expect(try await call("dlg.set_state", #"["call-1@pc33","f1"]"#)["code"] == 400)
        let invalid = try await call("dlg.set_state", #"["call-1@pc33","f1","t1",6]"#)
        #expect(invalid["message"] == "Invalid state value")
        #expect(try await call("dlg.set_state", #"["x","f1","t1",4]"#)["message"] == "Dialog not found")
    }

    @Test func `the answer's moment, flags and properties are told as the module does (ims_dialog d1)`() async throws {
        node.state.withLock { state in
            state.dialogs[0].ageMilliseconds = 20_000
            state.dialogs[0].answeredMilliseconds = 5_000
            state.dialogs[0].scriptFlags = 9
            state.dialogs[0].properties = ["ka-src", "no ka-dst", "timeout-noreset"]
        }
        let dialog = try await call("dlg.dlg_list", #"["call-1@pc33"]"#)
        #expect(dialog["init_ts"] == 999_980 && dialog["start_ts"] == 999_985 && dialog["duration"] == 15)
        #expect(dialog["sflags"] == 9 && dialog["iflags"] == 10)
    }

    @Test func `end_dlg gives the BYEs the extra headers`() async throws {
        _ = try await call("dlg.end_dlg", #"[1,0,"X-Why: rpc\r\n"]"#)
        #expect(node.deeds == ["terminate 0000000000000001 all '' 'X-Why: rpc\r\n'"])
    }
}

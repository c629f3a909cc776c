// `ims_dialog.rr_param`: how the did stands in Record-Route.

import Node
import Testing

@Suite("The did in Record-Route")
struct RouteParameterTests {
    @Test(arguments: ["did", "xyz"])
    func `the Record-Route carries the did under the name of rr_param, and a Route is found by it`(name: String) throws
    {
        var bench = ClusterBench { settings in settings.dialogs.rrParameter = name }
        bench.advance(milliseconds: 2_000)
        bench.call(through: 0)
        let invite = try #require(bench.sent.last { $0.text.hasPrefix("INVITE") })
        let did = try #require(bench.nodes[1]?.dialogs(DialogQuery(), now: bench.now).dialogs.first?.did)
        let recorded = try #require(invite.header("Record-Route"))
        #expect(recorded.contains(";\(name)=\(did)"))
        #expect(name == "did" || !recorded.contains(";did="))
        bench.hangUp(through: 1)
        #expect(bench.nodes.allSatisfy { $0?.dialog(did: did, now: bench.now)?.state == "deleted" })
    }
}

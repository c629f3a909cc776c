// What scripts may ask and set, function by function, without a script.

import Primitives
import Routes
import SIP
import Testing

@Suite("Functions of routes")
struct RouteFunctionTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func pattern(_ text: String) throws -> RoutePattern { try RoutePattern(searching: bytes(text)) }

    @Test func `whose a URI is`() throws {
        let run = try RouteBench.run()
        for ours in [
            "sip:127.0.0.20", "sip:x@127.0.0.20:5060", "sip:ours.example", "sip:a@OURS.example:5099", "ours.example",
        ] {
            #expect(run.isOurs(uri: bytes(ours)), "\(ours)")
        }
        for other in [
            "sip:127.0.0.20:5061", "sip:127.0.0.20;transport=tcp", "sip:example.org", "tel:+1", "", "sips:127.0.0.20",
        ] {
            #expect(!run.isOurs(uri: bytes(other)), "\(other)")
        }
    }

    @Test func `relaying is decided at once`() throws {
        var run = try RouteBench.run()
        #expect(run.relay() == true)
        #expect(run.plan.verdict == .relayed)
        #expect(run.reply(404, bytes("Not Found"), isStateful: false) == false)
        var ours = try RouteBench.run()
        #expect(try ours.setRequestURI(bytes("sip:bob@127.0.0.20")))
        #expect(ours.relay() == false)
        #expect(ours.replyError() == true)
        #expect(ours.plan.verdict == .replied(404, reason: bytes("Not Found"), isStateful: false))
        var secure = try RouteBench.run()
        #expect(try secure.setRequestURI(bytes("sips:bob@example.org")))
        #expect(secure.relay() == false)
        #expect(secure.plan.relayFailure == .noTransport)
    }

    @Test func `the first answer counts, and a provisional one is none`() throws {
        var run = try RouteBench.run()
        #expect(run.reply(183, bytes("Wait"), isStateful: true) == false)
        #expect(run.reply(486, bytes("Busy"), isStateful: false) == true)
        #expect(run.reply(200, bytes("OK"), isStateful: false) == false)
        #expect(run.plan.verdict == .replied(486, reason: bytes("Busy"), isStateful: false))
        var ack = try RouteBench.run(RouteBench.invite.replacing("INVITE", with: "ACK"))
        #expect(ack.reply(404, bytes("No"), isStateful: false) == false)
        #expect(ack.reply(99, [], isStateful: false) == false)
    }

    @Test func `an alias leads back to where a phone was`() throws {
        var run = try RouteBench.run()
        #expect(
            run.isBehindNAT(1) && run.isBehindNAT(2) && run.isBehindNAT(4) && run.isBehindNAT(8) && run.isBehindNAT(16))
        #expect(!run.isBehindNAT(32) && !run.isBehindNAT(64))
        #expect(try run.setContactAlias() == 1)
        let edited = try #require(try run.edited()).shown
        #expect(edited.contains("Contact: <sip:alice@10.0.0.5:5060;alias=192.0.2.9~6000~1>\r\n"))
        let back = RouteBench.invite.replacing(
            "sip:bob@example.org:5062;transport=tcp", with: "sip:alice@10.0.0.5:5060;alias=192.0.2.9~6000~2")
        var request = try RouteBench.run(back)
        #expect(try request.followAlias() == 1)
        #expect(request.requestURI.shown == "sip:alice@10.0.0.5:5060")
        #expect(request.plan.destination.shown == "sip:192.0.2.9:6000;transport=tcp")
        #expect(try request.followAlias() == 2)
        var bad = try RouteBench.run(back.replacing("~6000~2", with: "~x~2"))
        #expect(try bad.followAlias() == -1)
        var direct = try RouteBench.run(source: "10.0.0.5:5060")
        #expect(try direct.setContactAlias() == 2)
        #expect(direct.plan.edits.isEmpty)
    }

    @Test func `Max-Forwards goes down, and no further than to nothing`() throws {
        var run = try RouteBench.run()
        #expect(run.processMaxForwards(70) == true)
        #expect(run.plan.maxForwards == 9)
        #expect(run.processMaxForwards(5) == true)
        #expect(run.plan.maxForwards == 9, "the limit is for a request that has none")
        var last = try RouteBench.run(RouteBench.invite.replacing("Max-Forwards: 10", with: "Max-Forwards: 0"))
        #expect(last.processMaxForwards(70) == false)
        var none = try RouteBench.run(RouteBench.invite.replacing("Max-Forwards: 10\n", with: ""))
        #expect(none.processMaxForwards(70) == true)
        #expect(none.plan.maxForwards == 70)
    }

    @Test func `Routes and Record-Route are decided, not written`() throws {
        let text = RouteBench.invite.replacing(
            "Max-Forwards", with: "Route: <sip:127.0.0.20;lr;nat=yes>\nMax-Forwards")
        var run = try RouteBench.run(text)
        #expect(run.followRoutes() == true)
        #expect(run.plan.followsRoute)
        #expect(run.routeParametersHave(try pattern("nat=yes")))
        #expect(!run.routeParametersHave(try pattern("^nat")))
        #expect(try run.removeHeaders(bytes("Route")))
        #expect(run.plan.removesRoutes && run.plan.edits.isEmpty)
        var none = try RouteBench.run()
        #expect(none.followRoutes() == false)
        #expect(none.recordRoute() == true)
        #expect(none.plan.recordsRoute)
        #expect(!none.isDirection(bytes("upstream")) && !none.isDirection(bytes("downstream")))
        none.point.isUpstream = true
        #expect(none.isDirection(bytes("upstream")) && !none.isDirection(bytes("downstream")))
    }

    @Test func `a message that asks for too much is answered`() throws {
        var run = try RouteBench.run(RouteBench.invite.replacing("User-Agent", with: "Proxy-Require: foo\nUser-Agent"))
        #expect(try run.isSane(1, 0))
        #expect(try !run.isSane(512, 0))
        #expect(run.plan.verdict == .replied(420, reason: bytes("Bad Extension"), isStateful: false))
        #expect(run.plan.replyLines.shown == "Unsupported: foo\r\n")
        var fine = try RouteBench.run()
        #expect(try fine.isSane(17_895, 7))
    }

    @Test func `addresses have their groups`() throws {
        var settings = RouteBench.settings()
        settings.permissions.networks = [
            .init(group: 1, subnet: try #require(Subnet(text: "192.0.2.0/24"))),
            .init(group: 2, subnet: try #require(Subnet(text: "198.51.100.7/32")), port: 5_060),
        ]
        let run = try RouteBench.run(settings: settings)
        #expect(run.isPermitted(1) && !run.isPermitted(2))
        #expect(run.isPermitted(2, bytes("198.51.100.7"), 5_060) && !run.isPermitted(2, bytes("198.51.100.7"), 5_061))
        #expect(!run.isPermitted(2, bytes("no address"), 5_060))
    }

    @Test func `pike blocks who sends too much, and no balancer`() throws {
        var settings = RouteBench.settings()
        settings.pike.density = 3
        var run = try RouteBench.run(settings: settings)
        let source = run.point.source.address
        #expect((0..<5).map { _ in run.checkRate(source) } == [1, 1, 1, -2, -1])
        // A window below the limit lets it in again.
        run.time.now = run.time.now.advanced(by: .seconds(2))
        _ = run.checkRate(source)
        run.time.now = run.time.now.advanced(by: .seconds(4))
        #expect(run.checkRate(source) == 1)
        settings.balancers = [source]
        var behind = try RouteBench.run(settings: settings)
        #expect((0..<50).allSatisfy { _ in behind.checkRate(source) == 1 })
    }

    @Test func `a set is tried in its order, from the next destination on`() throws {
        var settings = RouteBench.settings()
        settings.dispatcher = [
            DispatcherSet(
                id: 1, destinations: [.init(uri: bytes("sip:10.0.0.1:5060")), .init(uri: bytes("sip:10.0.0.2"))])
        ]
        var run = try RouteBench.run(settings: settings, source: "10.0.0.2:5060")
        #expect(try run.dispatch(1, 4))
        #expect(run.plan.destination.shown == "sip:10.0.0.1:5060")
        #expect(try run.dispatchNext())
        #expect(run.plan.destination.shown == "sip:10.0.0.2")
        #expect(try !run.dispatchNext())
        #expect(run.markDestination(bytes("i")) == true)
        #expect(try run.dispatch(1, 4))
        #expect(run.plan.destination.shown == "sip:10.0.0.1:5060")
        #expect(try !run.dispatchNext())
        #expect(try !run.dispatch(9, 4))
        #expect(run.isFromSet(1) && run.isFromSet(-1) && !run.isFromSet(2))
        var other = try RouteBench.run(settings: settings)
        #expect(try other.dispatch(1, 0, setsURI: true))
        #expect(other.requestURI.starts(with: bytes("sip:bob@10.0.0.")))
    }

    @Test func `a hash keeps to its destination while the set changes`() throws {
        let all = (1...8).map { DispatcherSet.Destination(uri: bytes("sip:10.0.0.\($0)")) }
        var whole = Dispatcher([DispatcherSet(id: 1, destinations: all)])
        var less = Dispatcher([DispatcherSet(id: 1, destinations: Array(all.dropLast()))])
        var chance = SplitMix(seed: 1)
        for index in 0..<50 {
            let key = bytes("call-\(index)")
            let before = whole.pick(1, 0, key: key, using: &chance).first
            let after = less.pick(1, 0, key: key, using: &chance).first
            #expect(before == after || before == all.last?.uri)
        }
    }

    @Test func `changes that were applied are read, and may be changed again`() throws {
        var run = try RouteBench.run()
        #expect(try run.appendHeader(bytes("X-New: 1\r\n")))
        #expect(!run.hasHeader(bytes("X-New")))
        #expect(try run.applyChanges())
        #expect(run.hasHeader(bytes("X-New")))
        #expect(run.plan.edits.isEmpty && !run.plan.appliedMessage.isEmpty)
        #expect(try run.removeHeaders(bytes("X-New")))
        #expect(try #require(try run.edited()).shown.contains("X-New") == false)
    }

    @Test func `lists in headers get and lose elements`() throws {
        var run = try RouteBench.run()
        #expect(run.listHas(bytes("X-List"), bytes("C")) && !run.listHas(bytes("X-List"), bytes("d")))
        #expect(try run.changeList(bytes("X-List"), bytes("a"), adds: false))
        #expect(try #require(try run.edited()).shown.contains("X-List: b\r\nX-List: c\r\n"))
    }

    @Test func `a status is asked for by patterns`() throws {
        let response = RouteBench.invite.replacing(
            "INVITE sip:bob@example.org:5062;transport=tcp SIP/2.0", with: "SIP/2.0 486 Busy Here")
        var run = try RouteBench.run(response, kind: .onreply)
        #expect(run.checkStatus(try pattern("^4[0-9][0-9]$")))
        #expect(run.checkStatus(try pattern("408|486")))
        #expect(!run.checkStatus(try pattern("5..")))
        #expect(run.pattern(bytes("^486|408$")) == nil)
        #expect(run.notes.count == 1)
    }
}

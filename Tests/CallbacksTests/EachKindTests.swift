// One case for each DLGCB_ type of Kamailio's modules: who watches all dialogs is told, and who watches that one.

import Callbacks
import Node
import Proxy
import Testing

@Suite("Each kind of callback (ims_dialog d10)")
struct EachKindTests {
    /// What is told: the direction, then the status of an answer, or the method of a request, if there is one.
    private static let cases: [DialogMomentKind: String] = [
        .loaded: "none", .created: "downstream INVITE", .failed: "none", .confirmedNotAcknowledged: "none",
        .confirmed: "downstream ACK", .requestWithin: "downstream INFO", .terminated: "none", .expired: "none",
        .early: "upstream 180", .responseForwarded: "upstream 180", .responseWithin: "upstream 200",
        .managementContext: "none", .rpcContext: "none", .destroyed: "none", .spiraled: "downstream INVITE",
        .terminatedConfirmed: "upstream 200",
    ]

    private static func text(_ moment: DialogMoment) -> String {
        let bytes = moment.reply.isEmpty ? moment.request : moment.reply
        guard !bytes.isEmpty else { return "\(moment.direction)" }
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return "\(moment.direction) \(words[moment.reply.isEmpty ? 0 : 1])"
    }

    /// What gives rise to it, once.
    private static func happen(_ kind: DialogMomentKind, _ desk: inout Desk) throws {
        switch kind {
        case .loaded, .created: desk.request("INVITE", 1, to: "")
        case .early, .responseForwarded:
            desk.request("INVITE", 1, to: "")
            desk.answer(180, tag: ";tag=bob")
        case .failed:
            desk.request("INVITE", 1, to: "")
            desk.answer(486, tag: ";tag=bob")
            desk.advance(1_000)
        case .confirmedNotAcknowledged, .confirmed: desk.call()
        case .requestWithin:
            desk.call()
            desk.request("INFO", 2, to: ";tag=bob")
        case .responseWithin:
            desk.call()
            desk.request("INFO", 2, to: ";tag=bob")
            desk.answer(200)
        case .terminated, .terminatedConfirmed:
            desk.call()
            desk.hangUp()
        case .expired:
            desk.call()
            desk.advance(80_000)  // Nobody answers the BYEs.
        case .managementContext, .rpcContext:
            desk.call()
            let did = try #require(desk.node.dialogs(DialogQuery(), now: desk.now).dialogs.first?.did)
            _ = desk.callbacks.context(kind, did: did, of: &desk.node, now: desk.now, into: &desk.out)
        case .destroyed:
            desk.call()
            desk.hangUp()
            desk.advance(120_000)
        case .spiraled:
            desk.request("INVITE", 1, to: "")
            desk.sendBack()
        }
    }

    @Test(arguments: DialogMomentKind.allCases)
    func `it is told once, to who watches all dialogs and to who watches that one`(kind: DialogMomentKind) throws {
        let (callbacks, all, one) = (DialogCallbacks(tellsLives: true), Seen(), Seen())
        try callbacks.register(DialogMoments([kind])) { all.note(Self.text($0.moment)) }
        let isOfOne = kind != .loaded && kind != .created
        if isOfOne {
            try callbacks.register(DialogMoments([.created])) { run in
                _ = try? callbacks.register(DialogMoments([kind]), did: run.did) { one.note(Self.text($0.moment)) }
            }
        }
        var desk = Desk(callbacks, lifetime: .seconds(20))
        if kind == .loaded {
            let other = DialogCallbacks(tellsLives: true)
            var before = Desk(other, stored: [])
            before.call()
            #expect(before.rows.count == 1)
            desk = Desk(callbacks, stored: before.rows)
        } else {
            try Self.happen(kind, &desk)
        }
        let told = try #require(Self.cases[kind])
        #expect(all.all == [told])
        #expect(one.all == (isOfOne ? [told] : []))
    }

    @Test func `each has the number of its type`() {
        let names: [DialogMomentKind] = [
            .loaded, .created, .failed, .confirmedNotAcknowledged, .confirmed, .requestWithin, .terminated, .expired,
            .early, .responseForwarded, .responseWithin, .managementContext, .rpcContext, .destroyed, .spiraled,
            .terminatedConfirmed,
        ]
        #expect(names.map(\.rawValue) == Array(0...15) && names.count == DialogMomentKind.allCases.count)
    }
}

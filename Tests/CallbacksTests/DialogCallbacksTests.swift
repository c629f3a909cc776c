// Callbacks: who is told what, what a body sees and orders, and when an event counts as told.

import Callbacks
import Node
import Primitives
import Proxy
import SIP
import Synchronization
import Testing

@Suite("Callbacks of dialogs")
struct DialogCallbacksTests {
    @Test func `bodies are told in the order of the call, life events with their id`() throws {
        let (callbacks, seen) = (DialogCallbacks(tellsLives: true), Seen())
        try callbacks.register(.all) { run in
            seen.note("\(run.kind) \(run.event == nil ? run.moment.direction : .none)")
        }
        var desk = Desk(callbacks)
        desk.call()
        desk.request("INFO", 2, to: ";tag=bob")
        desk.answer(200)
        desk.hangUp()
        #expect(
            seen.all == [
                "created downstream", "early upstream", "responseForwarded upstream", "responseForwarded upstream",
                "confirmedNotAcknowledged none", "confirmed downstream", "requestWithin downstream",
                "responseWithin upstream", "requestWithin downstream", "responseWithin upstream",
                "terminatedConfirmed upstream", "terminated none",
            ])
    }

    @Test func `what a body sets is seen by the next, stands in the record and in the end`() throws {
        let (callbacks, seen) = (DialogCallbacks(tellsLives: true), Seen())
        try callbacks.register(DialogMoments([.created])) { run in
            run.set("agent", to: "x")
            run.order(.timeout(seconds: 77))
            seen.note(run.variable("agent") ?? "nil")
        }
        try callbacks.register(DialogMoments([.created])) { run in seen.note(run.variable("agent") ?? "nil") }
        try callbacks.register(DialogMoments([.confirmed])) { run in run.set("agent", to: nil) }
        try callbacks.register(DialogMoments([.terminated])) { run in
            seen.note("\(run.variable("agent") ?? "gone") \(run.event?.id == "\(run.did).end")")
        }
        var desk = Desk(callbacks)
        desk.request("INVITE", 1, to: "")
        #expect(seen.all == ["x", "x"])
        let dialog = try #require(desk.node.dialogs(DialogQuery(), now: desk.now).dialogs.first)
        #expect(dialog.variables == [StampedReport(key: "agent", value: "x")] && dialog.lifetimeMilliseconds == 77_000)
        desk.answer(200, tag: ";tag=bob")
        desk.request("ACK", 1, to: ";tag=bob")
        desk.hangUp()
        #expect(seen.all.last == "gone true")
    }

    @Test func `a registration for one dialog is told of that one, and ends with it`() throws {
        let (callbacks, seen) = (DialogCallbacks(tellsLives: true), Seen())
        try callbacks.register(DialogMoments([.created])) { run in
            _ = try? callbacks.register(DialogMoments([.confirmed, .destroyed]), did: run.did) {
                seen.note("\($0.kind)")
            }
        }
        try callbacks.register(DialogMoments([.confirmed]), did: "00000000000000ff") { _ in seen.note("another's") }
        var desk = Desk(callbacks)
        desk.call()
        #expect(seen.all == ["confirmed"] && callbacks.registered == 3)
        desk.hangUp()
        desk.advance(120_000)
        #expect(seen.all == ["confirmed", "destroyed"] && callbacks.registered == 2)
    }

    @Test func `a body may end the call, and what the node refuses is counted`() throws {
        let callbacks = DialogCallbacks(tellsLives: true)
        try callbacks.register(DialogMoments([.requestWithin])) { run in
            var ending = DialogEnding()
            ending.reason = "no credit"
            run.terminate(ending)
        }
        try callbacks.register(DialogMoments([.terminated])) { run in run.set("late", to: "x") }
        var desk = Desk(callbacks)
        desk.call()
        desk.request("INFO", 2, to: ";tag=bob")
        desk.advance(2_000)
        let byes = desk.sent.filter { $0.hasPrefix("BYE") }
        #expect(byes.count >= 2 && byes.allSatisfy { $0.contains("no credit") })
        #expect(callbacks.refused == 0)
        desk.answer(200)
        desk.advance(40_000)
        #expect(callbacks.refused == 1, "a tombstone takes no variable")
    }

    @Test func `an event that a body takes is told again until it is confirmed`() throws {
        let (callbacks, box) = (DialogCallbacks(tellsLives: true), Box())
        try callbacks.register(DialogMoments([.confirmedNotAcknowledged])) { run in
            guard let event = run.event else { return }
            box.take(event)
            run.takeUntilConfirmed()
        }
        var desk = Desk(callbacks, confirms: true)
        desk.call()
        #expect(box.events.count == 1)
        desk.advance(25_000)
        #expect(box.events.count == 3 && Set(box.events.map(\.id)).count == 1)
        desk.node.confirm(box.events[0], now: desk.now, into: &desk.out)
        desk.advance(25_000)
        #expect(box.events.count == 3)
    }

    @Test func `contexts of a listing come from the bodies, and what cannot be registered says why`() throws {
        let callbacks = DialogCallbacks(tellsLives: false)
        try callbacks.register(DialogMoments([.rpcContext])) { $0.context.append("credit: 5") }
        #expect(throws: RegistrationError.noLifeEvents) { try callbacks.register(.ofLife) { _ in } }
        #expect(throws: RegistrationError.notOfOneDialog(.created)) {
            try callbacks.register(DialogMoments([.created]), did: "1") { _ in }
        }
        var desk = Desk(callbacks)
        desk.call()
        let did = try #require(desk.node.dialogs(DialogQuery(), now: desk.now).dialogs.first?.did)
        #expect(
            callbacks.context(.rpcContext, did: did, of: &desk.node, now: desk.now, into: &desk.out) == ["credit: 5"])
        #expect(callbacks.context(.managementContext, did: did, of: &desk.node, now: desk.now, into: &desk.out) == [])
        let registration = try callbacks.register(DialogMoments([.confirmed])) { _ in }
        callbacks.remove(registration)
        #expect(callbacks.registered == 1)
    }
}

private final class Box: Sendable {
    private let held = Mutex<[LifeEvent]>([])
    func take(_ event: LifeEvent) { held.withLock { $0.append(event) } }
    var events: [LifeEvent] { held.withLock { $0 } }
}

// DialogCallbacks is where programs in a node's process register what they want to be told of dialogs: `register_dlgcb`
// of Kamailio's modules, for all dialogs or for one.
//
//   node ──moments, life events──▶ outbox ──in the same turn──▶ run ──each body that watches──▶ CallbackRun
//                                                                └──what they ordered──▶ node
//
// Moments of messages come on the node that the message passes; those of the life from the dialog's actor, each once
// for the cluster, and again with the same `eventID` after a crash. A body runs on the SIP thread: it decides and must
// not wait. What it hands to others, it takes with `later()`, and the life event counts as told when they confirm.
//
// A registration is of this process and dies with it. One for a single dialog ends by itself when that is forgotten.
//
// Limit: `registrationLimit`; `roundLimit` times that what bodies order may give rise to more in one turn.

import Dialogs
package import Node
package import Primitives
package import Proxy
import Synchronization

/// Why a body cannot be registered.
package enum RegistrationError: Error, Equatable, Sendable {
    case tooMany
    /// Neither LOADED nor CREATED is of a dialog that is known before.
    case notOfOneDialog(DialogMomentKind)
    /// `dialogs.events` is off on this node, so nobody tells of lives.
    case noLifeEvents
}

/// One registered body; `DialogCallbacks.remove` takes it out.
package struct Registration: Hashable, Sendable {
    let number: UInt64
}

package final class DialogCallbacks: Sendable {
    package typealias Body = @Sendable (inout CallbackRun) -> Void

    package static let registrationLimit = 65_536
    static let roundLimit = 8

    private struct Entry: Sendable {
        let registration: Registration
        let kinds: DialogMoments
        let body: Body
    }

    package typealias RequestBody = @Sendable (RequestEvent) -> Void

    private struct State: Sendable {
        var next: UInt64 = 1
        var ofRequests: [(registration: Registration, body: RequestBody)] = []
        var ofAll: [Entry] = []
        var ofOne: [String: [Entry]] = [:]
        var count = 0
        var watched: DialogMoments = []
        var refused: UInt64 = 0
    }

    private let state = Mutex(State())
    private let tellsLives: Bool

    /// - Parameter tellsLives: The node has `dialogs.events`.
    package init(tellsLives: Bool) { self.tellsLives = tellsLives }

    /// Tells `body` of these kinds, of all dialogs, or of the one with this did.
    @discardableResult
    package func register(
        _ kinds: DialogMoments, did: String? = nil, _ body: @escaping Body
    ) throws(RegistrationError) -> Registration {
        if !tellsLives, !kinds.isDisjoint(with: .ofLife) { throw .noLifeEvents }
        if did != nil {
            for kind in [DialogMomentKind.loaded, .created] where kinds.contains(kind) { throw .notOfOneDialog(kind) }
        }
        let registration = state.withLock { state -> Registration? in
            guard state.count < Self.registrationLimit else { return nil }
            let entry = Entry(registration: Registration(number: state.next), kinds: kinds, body: body)
            state.next += 1
            state.count += 1
            if let did { state.ofOne[did, default: []].append(entry) } else { state.ofAll.append(entry) }
            state.watched.formUnion(kinds)
            if did != nil { state.watched.formUnion(DialogMoments([.destroyed])) }
            return entry.registration
        }
        guard let registration else { throw .tooMany }
        return registration
    }

    /// Tells `body` how requests within dialogs have ended that somebody had asked for on this node, or that it made
    /// for a dead one.
    @discardableResult
    package func onRequest(_ body: @escaping RequestBody) throws(RegistrationError) -> Registration {
        let registration = state.withLock { state -> Registration? in
            guard state.count < Self.registrationLimit else { return nil }
            let registration = Registration(number: state.next)
            state.next += 1
            state.count += 1
            state.ofRequests.append((registration, body))
            return registration
        }
        guard let registration else { throw .tooMany }
        return registration
    }

    package func remove(_ registration: Registration) {
        state.withLock { state in
            let requests = state.ofRequests.count
            state.ofRequests.removeAll { $0.registration == registration }
            state.count -= requests - state.ofRequests.count
            let before = state.ofAll.count + state.ofOne.values.reduce(0) { $0 + $1.count }
            state.ofAll.removeAll { $0.registration == registration }
            for did in state.ofOne.keys.sorted() {
                state.ofOne[did]?.removeAll { $0.registration == registration }
                if state.ofOne[did]?.isEmpty ?? false { state.ofOne[did] = nil }
            }
            state.count -= before - state.ofAll.count - state.ofOne.values.reduce(0) { $0 + $1.count }
        }
    }

    package var registered: Int { state.withLock { $0.count } }
    /// Orders of bodies that the node has refused.
    package var refused: UInt64 { state.withLock { $0.refused } }
    /// What the node has to tell.
    package var watched: DialogMoments { state.withLock { $0.watched } }

    private func bodies(_ kind: DialogMomentKind, _ did: String) -> [Body] {
        state.withLock { state in
            let ofOne = state.ofOne[did] ?? []
            if kind == .destroyed, state.ofOne.removeValue(forKey: did) != nil { state.count -= ofOne.count }
            return (state.ofAll + ofOne).filter { $0.kinds.contains(kind) }.map(\.body)
        }
    }

    // MARK: On the SIP thread

    /// Runs the bodies that what stands in the outbox is for, carries out what they order, and takes it out.
    package func run(_ node: inout Node, now: Instant, into out: inout Outbox) {
        var rounds = 0
        if !out.requests.isEmpty {
            let bodies = state.withLock { $0.ofRequests.map(\.body) }
            for event in out.requests { for body in bodies { body(event) } }
            out.requests.removeAll(keepingCapacity: true)
        }
        while !out.moments.isEmpty || !out.events.isEmpty {
            let (moments, events) = (out.moments, out.events)
            out.moments.removeAll(keepingCapacity: true)
            out.events.removeAll(keepingCapacity: true)
            guard rounds < Self.roundLimit else {
                return state.withLock { $0.refused += UInt64(moments.count + events.count) }
            }
            rounds += 1
            for moment in moments { run(moment, nil, &node, now, &out) }
            for event in events {
                let moment = DialogMoment(event)
                if !run(moment, event, &node, now, &out), node.awaitsConfirmation {
                    node.confirm(event, now: now, into: &out)
                }
            }
        }
        node.watchedMoments = watched
    }

    /// - Returns: Whether somebody confirms it later.
    @discardableResult
    private func run(
        _ moment: DialogMoment, _ event: LifeEvent?, _ node: inout Node, _ now: Instant, _ out: inout Outbox
    ) -> Bool {
        let did = moment.did.hex
        let bodies = bodies(moment.kind, did)
        guard !bodies.isEmpty else { return false }
        let dialog = event?.dialog ?? node.dialog(did: did, now: now)
        var run = CallbackRun(moment: moment, event: event, dialog: dialog)
        for body in bodies { body(&run) }
        carryOut(run, did, &node, now, &out)
        return run.isTaken
    }

    private func carryOut(
        _ run: CallbackRun, _ did: String, _ node: inout Node, _ now: Instant, _ out: inout Outbox
    ) {
        do throws(DialogError) {
            if !run.changes.isEmpty { try node.change(did: did, run.changes, now: now, into: &out) }
            if let ending = run.ending { _ = try node.terminate(did: did, ending, now: now, into: &out) }
        } catch {
            state.withLock { $0.refused += 1 }
        }
    }

    /// What programs have to say of a dialog in a listing of contexts: DLGCB_RPC_CONTEXT, DLGCB_MI_CONTEXT.
    package func context(
        _ kind: DialogMomentKind, did: String, of node: inout Node, now: Instant, into out: inout Outbox
    ) -> [String] {
        guard let dialog = node.dialog(did: did, now: now), let moment = DialogMoment(kind, did: did) else { return [] }
        var run = CallbackRun(moment: moment, event: nil, dialog: dialog)
        for body in bodies(kind, did) { body(&run) }
        carryOut(run, did, &node, now, &out)
        return run.context
    }
}

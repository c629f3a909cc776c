// DialogService is the modules' API of dialogs for programs in a node's process that are not in a callback: each
// question runs on the SIP thread between two turns. Names are those of Kamailio's `dlg_load.h` and
// `ims_dialog/dlg_load.h`, spelled as Swift has them.
//
//   terminate_dlg           terminate(callID:fromTag:toTag:_:)     get_dlg          dialog(callID:fromTag:toTag:)
//   lookup_terminate_dlg    terminate(entry:identifier:_:)         get_dlg_expires  expiry(did:)
//   set_dlg_var             setVariable(_:to:did:)                 register_dlgcb   callbacks.register
//   get_dlg_var             variable(_:did:)                       get_current_dialog   CallbackRun.dialog
//   release_dlg             none is needed: a report is a value    get_dlg_hash     the did

package import Node
import Primitives
package import Proxy
package import Transports

package struct DialogService: Sendable {
    package let thread: SIPThread<Node>
    package let callbacks: DialogCallbacks

    package init(_ thread: SIPThread<Node>, _ callbacks: DialogCallbacks) {
        self.thread = thread
        self.callbacks = callbacks
    }

    /// What registered bodies have to say of dialogs in a listing (DLGCB_RPC_CONTEXT, DLGCB_MI_CONTEXT), by did; of
    /// those alone for which they have something.
    package func contexts(_ kind: DialogMomentKind = .rpcContext, of dids: [String]) async -> [String: [String]] {
        await thread.perform { [callbacks] node, now, out in
            var said: [String: [String]] = [:]
            for did in dids {
                let lines = callbacks.context(kind, did: did, of: &node, now: now, into: &out)
                if !lines.isEmpty { said[did] = lines }
            }
            return said
        }
    }

    /// Registers a body and lets the node know what is watched for.
    @discardableResult
    package func register(
        _ kinds: DialogMoments, did: String? = nil, _ body: @escaping DialogCallbacks.Body
    ) async throws(RegistrationError) -> Registration {
        let registration = try callbacks.register(kinds, did: did, body)
        let watched = callbacks.watched
        await thread.perform { node, _, _ in node.watchedMoments = watched }
        return registration
    }

    package func terminate(
        callID: String, fromTag: String, toTag: String, _ ending: DialogEnding = DialogEnding()
    ) async throws(DialogError) -> EndReport {
        try await orThrow { node, now, out throws(DialogError) in
            guard let did = node.did(callID: callID, fromTag: fromTag, toTag: toTag) else { throw .unknown }
            return try node.terminate(did: did, ending, now: now, into: &out)
        }
    }

    /// By `h_entry` and `h_id`, as lists name a dialog.
    package func terminate(
        entry: Int, identifier: Int64, _ ending: DialogEnding = DialogEnding()
    ) async throws(DialogError) -> EndReport {
        try await orThrow { node, now, out throws(DialogError) in
            guard let did = node.did(entry: entry, identifier: identifier) else { throw .unknown }
            return try node.terminate(did: did, ending, now: now, into: &out)
        }
    }

    package func terminate(
        did: String, _ ending: DialogEnding = DialogEnding()
    ) async throws(DialogError) -> EndReport {
        try await orThrow { node, now, out throws(DialogError) in
            try node.terminate(did: did, ending, now: now, into: &out)
        }
    }

    package func setVariable(_ name: String, to value: String?, did: String) async throws(DialogError) {
        try await change(did: did, [.variable(name, value: value)])
    }

    package func change(did: String, _ changes: [DialogChange]) async throws(DialogError) {
        try await orThrow { node, now, out throws(DialogError) in
            try node.change(did: did, changes, now: now, into: &out)
        }
    }

    package func variable(_ name: String, did: String) async throws(DialogError) -> String? {
        try await orThrow { node, _, _ throws(DialogError) in try node.variable(name, did: did) }
    }

    package func dialog(did: String) async -> DialogReport? {
        await thread.perform { node, now, _ in node.dialog(did: did, now: now) }
    }

    /// The To tag may be empty while nobody has answered.
    package func dialog(callID: String, fromTag: String, toTag: String) async -> DialogReport? {
        await thread.perform { node, now, _ in
            node.did(callID: callID, fromTag: fromTag, toTag: toTag).flatMap { node.dialog(did: $0, now: now) }
        }
    }

    /// When its time is up: how long from now.
    package func expiry(did: String) async throws(DialogError) -> Duration {
        guard let dialog = await dialog(did: did) else { throw .unknown }
        guard let remaining = dialog.remainingMilliseconds else { throw .ended }
        return .milliseconds(remaining)
    }

    /// What programs have to say of it in a listing.
    package func context(did: String) async -> [String] {
        await thread.perform { [callbacks] node, now, out in
            callbacks.context(.rpcContext, did: did, of: &node, now: now, into: &out)
        }
    }

    /// Somebody who took a life event has it: after a crash, too.
    package func confirm(_ events: [LifeEvent]) async {
        await thread.perform { node, now, out in
            for event in events { node.confirm(event, now: now, into: &out) }
        }
    }

    private func orThrow<Value: Sendable>(
        _ body: @escaping @Sendable (inout Node, Instant, inout Outbox) throws(DialogError) -> Value
    ) async throws(DialogError) -> Value {
        let result: Result<Value, DialogError> = await thread.perform { node, now, out in
            do throws(DialogError) { return .success(try body(&node, now, &out)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

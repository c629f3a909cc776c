// What management asks of a node. The node lives on its own thread; whoever implements this carries each question there
// and the answer back, so every function suspends and none of them blocks. Answers are copies (`Node/Reports.swift`).

package import Cluster
package import Dialogs
package import Node

/// The node's thread has ended, or is about to: nothing more will be answered.
package struct NodeStopped: Error, Equatable, Sendable {
    package init() {}
}

/// Which listing asks what programs have to say of a dialog.
package enum ContextListing: Sendable {
    /// `dlg.list_ctx` and `dlg.dlg_list_ctx`: DLGCB_RPC_CONTEXT.
    case rpc
    /// `dlg_list_ctx` of the former management interface: DLGCB_MI_CONTEXT.
    case management
}

package protocol ManagedNode: Sendable {
    func status() async throws(NodeStopped) -> StatusReport
    /// The node's own counters; what follows from `status` is added by `/metrics` itself.
    func metrics() async throws(NodeStopped) -> [MetricReport]
    func dialogs(_ query: DialogQuery) async throws(NodeStopped) -> DialogPage
    /// By did, 16 hexadecimal digits, live or tombstone.
    func dialog(did: String) async throws(NodeStopped) -> DialogReport?
    func end(did: String) async throws(NodeStopped) -> EndReport
    /// With a side, a reason and header lines.
    func terminate(did: String, _ ending: DialogEnding) async throws(NodeStopped) -> Result<EndReport, DialogError>
    /// Changes variables, profiles, flags, properties and the lifetime of a dialog, all of it or nothing; answers why
    /// not.
    func change(did: String, _ changes: [DialogChange]) async throws(NodeStopped) -> DialogError?
    /// Asks for a request within a dialog; answers its CSeq, or why it cannot be made.
    func request(did: String, _ request: DialogRequest) async throws(NodeStopped) -> Result<UInt32, DialogError>
    /// Asks for a REFER as `ims_dialog.bridge_controller`.
    func refer(did: String, _ side: Leg, to address: String) async throws(NodeStopped) -> Result<UInt32, DialogError>
    /// Bridges two addresses; answers why not.
    func bridge(_ bridge: DialogBridge) async throws(NodeStopped) -> DialogError?
    /// The live dialog of Call-ID and tags; the To tag may be empty while nobody has answered.
    func did(callID: String, fromTag: String, toTag: String) async throws(NodeStopped) -> String?
    /// What programs in the node's process have to say of dialogs in a listing of that kind, by did; of those alone for
    /// which they have something.
    func contexts(_ listing: ContextListing, of dids: [String]) async throws(NodeStopped) -> [String: [String]]
    /// The profiles of the configuration and their sizes over the cluster.
    func profiles() async throws(NodeStopped) -> [ProfileReport]
    func size(ofProfile name: String, value: String?) async throws(NodeStopped) -> Result<Int, DialogError>
    /// The module's statistics, the cluster's or this node's.
    func statistics(ofThisNode isOwn: Bool) async throws(NodeStopped) -> DialogStatistics
    /// One page of the addresses that phones have registered.
    func contacts(after cursor: UInt32?) async throws(NodeStopped) -> ContactPage
    /// Of one address, `bob@example.org` or `bob`.
    func contacts(of address: String, in table: String) async throws(NodeStopped) -> AddressReport?
    /// Takes one back, or all; answers how many there were, `nil` when the record takes nothing.
    func removeContacts(of address: String, in table: String, uri: String?) async throws(NodeStopped) -> Int?
    /// Answers why not.
    func addContact(_ wish: ContactWish) async throws(NodeStopped) -> String?
    /// What is kept of a call's messages.
    func trace(callID: String) async throws(NodeStopped) -> TraceReport
    func drain(_ isDraining: Bool) async throws(NodeStopped) -> StatusReport
    func digests() async throws(NodeStopped) -> DigestReport
    /// At most `BucketReport.requestLimit` of them; a number that is no bucket is left out of the answer.
    func buckets(_ numbers: [Int]) async throws(NodeStopped) -> [BucketReport]
    func repair() async throws(NodeStopped) -> RepairReport
    /// Asks another member over the bus; its `BusDoor` answers.
    func inquire(of member: String, _ text: [UInt8]) async throws(NodeStopped) -> InquiryOutcome
    /// Reads the configuration again, and takes of it what a running node can.
    func reload() async throws(NodeStopped) -> ReloadReport
    /// The level below which log lines are not written, after it was set to another, if one is given.
    func logLevel(_ level: NoteLevel?) async throws(NodeStopped) -> NoteLevel

    // Test aids, reachable only with `management.fault_injection`.

    /// Loses one replica silently; false when it is not here.
    func forget(did: String) async throws(NodeStopped) -> Bool
    /// Neither sends nor receives on the bus for so long.
    func pauseBus(seconds: Int) async throws(NodeStopped)
    /// Shifts the wall clock that is shown; nothing else uses it.
    func skew(seconds: Int) async throws(NodeStopped)
}

extension ManagedNode {
    /// A process without programs of its own.
    package func contexts(
        _ listing: ContextListing, of dids: [String]
    ) async throws(NodeStopped) -> [String: [String]] { [:] }

    /// Every dialog that a query finds, page by page, at most `bound` of them.
    package func allDialogs(_ query: DialogQuery, bound: Int) async throws(NodeStopped) -> [DialogReport] {
        var query = query
        query.limit = DialogQuery.limitRange.upperBound
        var found: [DialogReport] = []
        repeat {
            let page = try await dialogs(query)
            found += page.dialogs.prefix(bound - found.count)
            query.cursor = page.next
        } while query.cursor != nil && found.count < bound
        return found
    }
}

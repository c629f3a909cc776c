// What one node has of a call, for `understudy trace`.

package struct TraceReport: Equatable, Sendable {
    package var node = ""
    /// Its SIP addresses, as they stand in the other nodes' events.
    package var addresses: [String] = []
    package var isOn = true
    /// Unix time in milliseconds since when every message of a call is kept; `nil` while none was.
    package var keptSince: Int64?
    package var events: [TraceEvent] = []
    package var dialogs: [TraceDialog] = []

    /// What became of members, kept for ladders.
    static let memberLimit = 64

    package init() {}
}

package struct TraceDialog: Equatable, Sendable {
    package var did: String
    package var home: String
    package var actor: String
    package var state: String

    package init(did: String, home: String, actor: String, state: String) {
        self.did = did
        self.home = home
        self.actor = actor
        self.state = state
    }
}

package struct TraceEvent: Equatable, Sendable {
    package enum Kind: String, Sendable { case received, sent, deed, members }

    /// Unix time in milliseconds, by this node's clock.
    package var at: Int64
    /// Of this node, for what has the same time.
    package var number: UInt64
    package var kind = Kind.deed
    /// Who sent it or was sent it.
    package var peer = ""
    /// At which address of this node.
    package var own = ""
    /// The message without credentials and keys; of a deed the sentence behind the node's name.
    package var text = ""

    package init(at: Int64, number: UInt64) {
        self.at = at
        self.number = number
    }
}

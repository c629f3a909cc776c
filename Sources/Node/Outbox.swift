// Outbox is everything a node wants done, in one reusable buffer: the node appends, the shell performs and empties it.
//
//   datagrams ──▶ SIP sockets      bytes in `arena`, sent in order of appending
//   bus       ──▶ nanomsg          bytes in `busArena`
//   questions ──▶ name servers
//   inquiries ──▶ management      what members ask for their operators, and what became of ours
//   scripts   ──▶ the script engine, in the same turn
//   events    ──▶ programs that follow dialogs' lives
//   expired   ──▶ the script engine, in the same turn
//   requests  ──▶ programs that asked for requests within dialogs, in the same turn
//   moments   ──▶ programs that see dialogs' messages pass, in the same turn
//   storage   ──▶ the thread of the storage, which answers when it has done it
//   notes     ──▶ the log          constant sentences with metadata
//   exit      ──▶ the process ends with this code, after what is above has been done
//
// Invariant: ranges point into the arena they belong to and stay valid until `removeAll`; emptying keeps the memory,
// so a node in steady state allocates nothing here. The shell performs datagrams before bus actions: what must be
// known to a peer before a datagram goes out is held back by the node until the peer has acknowledged it, never by
// the order in here.

package import Cluster
package import Dialogs
package import Primitives
package import Proxy
package import SIP

/// One thing to do on the bus; ranges are in `Outbox.busArena`, peers are positions in the configured list.
package enum BusAction: Equatable, Sendable {
    /// Send a frame to every peer.
    case publish(ByteRange)
    /// Ask a peer; ends in exactly one answer or "no answer" with this id.
    case request(peer: Int, id: UInt64, ByteRange)
    /// Answer the request that came with this token.
    case reply(token: UInt64, ByteRange)
    /// Find out whether anybody listens on the peer's bus port.
    case probe(peer: Int)
    /// Make the connections to a peer anew.
    case recycle(peer: Int)
    /// The peer of this position is at this address from now on; a position is the next free one, or one given up.
    case connect(peer: Int, to: Endpoint)
    /// Give the connections to a peer up.
    case disconnect(peer: Int)
}

/// How a peer's bus port answered a plain connect.
package enum ProbeResult: UInt8, Equatable, Sendable {
    /// Nobody listens there: proof that the process is gone.
    case refused
    case connected
    /// Neither within the time limit: the host or the way to it is gone, or the process hangs.
    case silent
}

package enum NoteLevel: UInt8, Comparable, Sendable {
    case debug, info, notice, warning, error

    package static let all: [NoteLevel] = [.debug, .info, .notice, .warning, .error]

    package init?(name: String) {
        guard let level = Self.all.first(where: { $0.name == name.lowercased() }) else { return nil }
        self = level
    }

    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .notice: "notice"
        case .warning: "warning"
        case .error: "error"
        }
    }

    package static func < (left: NoteLevel, right: NoteLevel) -> Bool { left.rawValue < right.rawValue }
}

/// A line for the log. A peer's mistake is `debug`; `warning` means that an operator should look.
package struct Note: Sendable {
    package var level: NoteLevel
    /// A constant sentence; what varies is metadata.
    package var message: String
    /// Names and values, in order of importance. No bodies, no credentials.
    package var metadata: [(String, String)]

    package init(_ level: NoteLevel, _ message: String, _ metadata: [(String, String)] = []) {
        self.level = level
        self.message = message
        self.metadata = metadata
    }
}

/// Of what operators ask of members through others.
package enum InquiryEvent: Equatable, Sendable {
    /// A member asks this; `Node.answer` takes the answer.
    case heard(InquiryID, [UInt8])
    /// What became of one of this node's, by the token of `Node.inquire`.
    case ended(token: UInt64, InquiryOutcome)
}

/// What a node wants done.
package struct Outbox: Sendable {
    /// The datagrams, which the proxy writes in place.
    package var queue = SendQueue()
    package var bus: [BusAction] = []
    package var busArena: [UInt8] = []
    /// To be asked; each ends in one `Node.receive(answer:to:)`.
    package var questions: [DNSQuestion] = []
    package var inquiries: [InquiryEvent] = []
    /// What a script is asked; each ends in one `Node.receive(verdict:to:)`.
    package var scripts: [ScriptQuestion] = []
    package var notes: [Note] = []
    /// What has become of dialogs, for the programs that ask for it.
    package var events: [LifeEvent] = []
    /// Contacts whose time is over, where a script wants to know.
    package var expired: [ExpiredContact] = []
    /// How requests within dialogs have ended that somebody had asked for.
    package var requests: [RequestEvent] = []
    /// What passes of dialogs, for programs in this process, in the same turn.
    package var moments: [DialogMoment] = []
    /// What is to be written and read; each ends in one `Node.receive(storage:)`.
    package var storage: [StorageAction] = []
    /// The process is to end with this code.
    package var exit: Int32? = nil

    package init() {}

    /// The bytes of the datagrams.
    package var arena: [UInt8] {
        _read { yield queue.arena.bytes }
        _modify { yield &queue.arena.bytes }
    }

    package var datagrams: [Datagram] {
        _read { yield queue.datagrams }
        _modify { yield &queue.datagrams }
    }

    /// Nothing is to be done.
    package var isEmpty: Bool {
        datagrams.isEmpty && bus.isEmpty && questions.isEmpty && inquiries.isEmpty && scripts.isEmpty && notes.isEmpty
            && events.isEmpty && expired.isEmpty && requests.isEmpty && moments.isEmpty && storage.isEmpty
            && exit == nil
    }

    /// Something is for whoever watches beside the network.
    package var isObserved: Bool {
        !events.isEmpty || !expired.isEmpty
            || !requests.isEmpty || !moments.isEmpty || !storage.isEmpty
    }

    /// Forgets everything and keeps the memory.
    package mutating func removeAll() {
        queue.removeAll()
        bus.removeAll(keepingCapacity: true)
        busArena.removeAll(keepingCapacity: true)
        questions.removeAll(keepingCapacity: true)
        inquiries.removeAll(keepingCapacity: true)
        scripts.removeAll(keepingCapacity: true)
        notes.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        if !expired.isEmpty { expired.removeAll(keepingCapacity: true) }
        requests.removeAll(keepingCapacity: true)
        moments.removeAll(keepingCapacity: true)
        if !storage.isEmpty { storage.removeAll(keepingCapacity: true) }
        exit = nil
    }
}

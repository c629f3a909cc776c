// RouteRun is one run of a route over one message: what it sees, what it has decided so far, and what it may keep. The
// functions that scripts call are its methods, grouped in files by the module whose names they have; none of them does
// anything but read this value and change it, so a run can be tried without a node and without a script engine.
//
//     message, point, time ─▶ ┌──────────┐ ─▶ plan: verdict, edits, targets, routes armed
//     state of transaction ◀▶ │ RouteRun │ ◀▶ memory of the node: tables, counters
//                             └──────────┘ ─▶ notes for the log
//
// Reading sees the message as it was received; edits are collected and applied when the run has ended, or by
// `msg_apply_changes`. What is read back at once is what is no edit: the Request-URI, `$du`, flags and values.
//
// Limits: 64 log lines of 1 KiB a run; further ones are dropped, and the last says so.

package import Dialogs
package import Primitives
package import SIP

package struct RouteRun: Sendable {
    package static let noteLimit = 64
    package static let noteSizeLimit = 1_024

    package var message = Message()
    /// The number of the node's message, while it is lent: then `message` is that one. 0 otherwise.
    package var lent: UInt64 = 0
    package var point: RoutePoint
    package var plan = RoutePlan()
    package var state = RouteState()
    package var memory: RouteMemory
    package var settings: RouteSettings
    /// The node's records, lent while a run is at hand; none otherwise.
    package var dialogs: DialogTable
    package var locations: LocationTable
    package var time: RouteTime
    /// What chance the run has; the node's, so the simulator's.
    package var chance: SplitMix
    package var notes: [RouteNote] = []
    /// What is below it nobody reads: it is not kept.
    package var lowestNote = RouteNote.Level.debug
    /// What the last function asked for beside its result: that the run ends here, or that it waits.
    package var leaving: Leaving?
    /// Servers of a set of media relays that answer; `nil` for no such set.
    package var activeMediaRelays: [Int: Int] = [:]
    /// Requests that runs have put aside (`t_suspend`).
    package var suspended = SuspendedRequests()
    /// The global functions that the script has, for questions about routes.
    package var routeNames: Set<[UInt8]> = []
    var tools = MessageEdits.Tools()
    /// A changed message was written in this run; the last one stands in the tools.
    package private(set) var hasWritten = false
    var variables = PseudoVariableTable()
    /// Patterns that were compiled before.
    var patterns = RoutePatternTable()

    package init(settings: RouteSettings, point: RoutePoint, time: RouteTime, seed: UInt64) {
        self.settings = settings
        self.point = point
        self.time = time
        memory = RouteMemory(settings)
        dialogs = Self.noDialogs
        locations = Self.noLocations
        chance = SplitMix(seed: seed)
    }

    /// What stands in the place of a table that is lent to nobody.
    private static let noDialogs = DialogTable(buckets: 1, hash: KeyedHash(key0: 0, key1: 0), limit: 1)

    private static let noLocations = LocationTable(
        buckets: 1, hash: KeyedHash(key0: 0, key1: 0), limit: 1, origin: .zero)

    private static let noMemory = RouteMemory(RouteSettings())

    /// The run as it is kept while it waits. Nothing of the node's is in it: a table that two hold would be copied
    /// whole at the next write. Nor is what it has left for others to do, who take it when it begins to wait.
    package func parked() -> RouteRun {
        var run = self
        run.notes = []
        run.lent = 0
        _ = run.plan.dialogs.takeActs()
        _ = run.plan.takeRegistrations()
        run.plan.continuations = []
        run.dialogs = Self.noDialogs
        run.locations = Self.noLocations
        run.memory = Self.noMemory
        return run
    }

    package enum Leaving: Equatable, Sendable {
        case exit
        case wait(milliseconds: Int)
        /// Until a media relay has answered.
        case media(MediaQuestion)
    }

    /// Begins the next run; what the node remembers stays.
    package mutating func begin(_ message: Message, at point: RoutePoint, state: RouteState, time: RouteTime) {
        self.message = message
        lent = 0
        begin(at: point, state: state, time: time)
    }

    /// Reads what the run is to be about, unless it is the message that was lent.
    /// - Parameters:
    ///   - number: The message's in its node; 0 for one that the node has not at hand.
    ///   - isOurs: The node has written it; it is well-formed.
    /// - Returns: `false` when it cannot be read.
    package mutating func read(_ bytes: [UInt8], number: UInt64, isOurs: Bool) -> Bool {
        do throws(SIPParseError) {
            if number == 0 || number != lent {
                lent = 0
                try message.load(RawSpan(_elements: bytes.span))
            }
            if !isOurs, !message.isIdentified { try message.identify() }
            return true
        } catch {
            return false
        }
    }

    /// What a route of the response would see that a failure route is about; `nil` where there is none.
    var ofReply: RouteRun? {
        guard !point.reply.isEmpty else { return nil }
        var other = self
        guard other.read(point.reply, number: 0, isOurs: false) else { return nil }
        other.point.kind = .onreply
        return other
    }

    /// The same, on the message that is there.
    package mutating func begin(at point: consuming RoutePoint, state: consuming RouteState, time: RouteTime) {
        self.point = point
        self.state = state
        self.time = time
        plan = RoutePlan()
        hasWritten = false
        if !notes.isEmpty { notes.removeAll(keepingCapacity: true) }
        leaving = nil
    }

    /// The message as the edits make it; `nil` where there are none.
    package mutating func edited() throws(RouteFault) -> [UInt8]? {
        guard !plan.edits.isEmpty else { return nil }
        do throws(MessageEdits.Refusal) {
            let bytes = try plan.edits.apply(to: message, using: &tools)
            hasWritten = true
            return bytes
        } catch {
            throw .edit(error)
        }
    }

    /// Gives the message that was written last to whoever reads it next.
    package mutating func exchangeWritten(with other: inout Message) { tools.exchangeResult(with: &other) }

    // MARK: The log

    package mutating func note(_ level: RouteNote.Level, _ text: [UInt8]) {
        guard notes.count < Self.noteLimit, hears(level) else { return }
        if notes.count == Self.noteLimit - 1 {
            notes.append(RouteNote(.warning, [UInt8](copying: "more log lines of one run than are kept")))
            return
        }
        var text = text
        while text.last == 0x0A || text.last == 0x0D { text.removeLast() }
        notes.append(RouteNote(level, text.count > Self.noteSizeLimit ? Array(text[..<Self.noteSizeLimit]) : text))
    }

    package func hears(_ level: RouteNote.Level) -> Bool { level.rawValue >= lowestNote.rawValue }

    package mutating func note(_ level: RouteNote.Level, _ text: String) { note(level, Array(text.utf8)) }

    // MARK: What the message says

    /// The request line's URI as the run has it: set before, or as received.
    package var requestURI: [UInt8] {
        if !plan.requestURI.isEmpty { return plan.requestURI }
        return message.isRequest ? message.copy(message.requestURI) : []
    }

    /// The method; that of CSeq in a response.
    package var methodText: [UInt8] {
        if message.isRequest { return message.copy(message.methodText) }
        guard let cSeq = try? message.cSeq() else { return [] }
        return message.copy(cSeq.methodText)
    }

    package var method: Method {
        if message.isRequest { return message.method }
        return (try? message.cSeq())?.method ?? .other
    }

    /// A header's first value; `nil` where it is absent.
    package func value(_ name: HeaderName) -> [UInt8]? { message.first(name).map { message.copy($0.value) } }

    /// The URI of the first address of a header.
    package func uri(_ name: HeaderName) -> [UInt8]? {
        message.firstURI(name).map { message.copy($0) }
    }

    package func userAgent() -> [UInt8]? { message.other(named: "User-Agent").map { message.copy($0.value) } }

    /// Whether an edit of this message may be made here: branches of a failed request are not there to be edited.
    mutating func edit(
        _ body: (inout MessageEdits, Message) throws(MessageEdits.Refusal) -> Void
    ) throws(RouteFault) {
        do throws(MessageEdits.Refusal) {
            try body(&plan.edits, message)
        } catch {
            throw .edit(error)
        }
    }
}

// The module rtpengine: what a message means for the media relay of its call. A function that asks leaves the run; when
// the relay has answered, it goes on with what that said: the body in the place of the old one, 1, or -1.
//
// Nothing of a call is kept here but whether its INVITE had a body. The Call-ID, the tags and the branch of the
// caller's Via name it to the relay, and they stand in every message: so any node may send any command.

internal import Primitives
internal import SIP

/// What a script asks of a media relay.
package enum MediaOperation: Equatable, Sendable {
    case offer, answer, delete, query
    case startRecording, stopRecording, blockDTMF, unblockDTMF, blockMedia, unblockMedia, silenceMedia, unsilenceMedia
    case playMedia, stopMedia

    /// As the relay calls it.
    var command: StaticString {
        switch self {
        case .offer: "offer"
        case .answer: "answer"
        case .delete: "delete"
        case .query: "query"
        case .startRecording: "start recording"
        case .stopRecording: "stop recording"
        case .blockDTMF: "block DTMF"
        case .unblockDTMF: "unblock DTMF"
        case .blockMedia: "block media"
        case .unblockMedia: "unblock media"
        case .silenceMedia: "silence media"
        case .unsilenceMedia: "unsilence media"
        case .playMedia: "play media"
        case .stopMedia: "stop media"
        }
    }

    var isAboutBody: Bool { self == .offer || self == .answer }

    /// Tags are sent only where the script says which side is meant.
    var isOfOneSide: Bool {
        switch self {
        case .blockDTMF, .unblockDTMF, .blockMedia, .unblockMedia, .silenceMedia, .unsilenceMedia: true
        default: false
        }
    }
}

extension RouteRun {
    /// What a run waits for.
    package struct MediaQuestion: Equatable, Sendable {
        package var operation: MediaOperation
        package var request: MediaRequest
        /// The answer is text, of `$rtpstat`.
        var isStatistics = false
        /// What the function answers where the relay does not.
        var otherwise = RouteValue.integer(-1)
    }

    // MARK: Functions

    /// `rtpengine_offer` and the like.
    /// - Returns: `false` where there is nothing to ask about; else the run has left.
    package mutating func askMediaRelay(_ asked: MediaOperation, _ flags: [UInt8]) -> Bool {
        guard plan.mediaCommands < RoutePlan.mediaCommandLimit else { return false }
        do throws(MediaFlags.Refusal) {
            let (operation, entries) = try mediaCommand(asked, try MediaFlags(flags))
            return leave(operation, entries)
        } catch {
            note(.error, "'\(flags.shown)' cannot be said to a media relay of this message")
            return false
        }
    }

    private mutating func leave(_ operation: MediaOperation, _ entries: [Bencode.Entry]) -> Bool {
        guard !settings.mediaRelays.servers.isEmpty else {
            note(.error, "there is no media relay: see rtpengine.sets")
            return false
        }
        let named = entries.first { $0.key == [UInt8](copying: "call-id") }?.value.asText
        // An answer goes the way of its offer backwards.
        let sets = operation == .answer ? plan.mediaSets.reversed() : plan.mediaSets
        let request = MediaRequest(
            command: entries, callID: named ?? [], sets: sets, makesCall: operation == .offer)
        plan.mediaCommands += 1
        if plan.mediaCommands == RoutePlan.mediaCommandLimit {
            note(.warning, "media relays were asked for as much as one run may ask for")
        }
        leaving = .media(MediaQuestion(operation: operation, request: request))
        return true
    }

    /// `rtpengine_manage`: what the method, the response and the body ask for.
    package mutating func manageMedia(_ flags: [UInt8]) -> Bool {
        if point.kind == .branchFailure { return true }
        let hasBody = SessionDescription(message) != nil
        switch method {
        case .bye, .cancel: return askMediaRelay(.delete, flags)
        case .invite, .ack, .update, .prack: break
        default: return false
        }
        guard message.isRequest else {
            if message.statusCode >= 300 { return askMediaRelay(.delete, flags) }
            guard hasBody else { return false }
            let isAnswer = method == .update || method == .prack || state.hasOffered
            return askMediaRelay(isAnswer ? .answer : .offer, flags)
        }
        guard hasBody else { return false }
        switch method {
        case .ack, .prack: return askMediaRelay(.answer, flags)
        case .invite where point.kind == .failure: return askMediaRelay(.delete, flags)
        default:
            if method == .invite { state.hasOffered = true }
            return askMediaRelay(.offer, flags)
        }
    }

    /// `set_rtpengine_set`.
    /// - Returns: How many of its servers answer; -1 for no such set, -2 where none does.
    package mutating func useMediaSets(_ sets: [Int]) -> Int {
        plan.mediaSets = [0]
        var count = 0
        for set in sets {
            guard let servers = activeMediaRelays[set] else {
                note(.error, "there is no set \(set) of media relays")
                return -1
            }
            guard servers > 0 else { return -2 }
            count = servers
        }
        plan.mediaSets = sets
        return sets.count > 1 ? 1 : count
    }

    /// `$rtpstat`: what the relay has counted of the call, as text.
    /// - Returns: Whether the run has left.
    package mutating func askMediaStatistics(otherwise: RouteValue) -> Bool {
        guard askMediaRelay(.query, []), case .media(var question) = leaving else { return false }
        (question.isStatistics, question.otherwise) = (true, otherwise)
        leaving = .media(question)
        return true
    }

    // MARK: Commands

    private func mediaCommand(
        _ asked: MediaOperation, _ asFlagged: MediaFlags
    ) throws(MediaFlags.Refusal) -> (MediaOperation, [Bencode.Entry]) {
        var flags = asFlagged
        guard !flags.forcesAnswer || asked == .offer else { throw .flags }
        let operation = flags.forcesAnswer ? .answer : asked
        var entries: [Bencode.Entry] = []
        func add(_ key: StaticString, _ value: Bencode) { entries.append(Bencode.Entry([UInt8](copying: key), value)) }
        add("supports", .list([.text("load limit")]))
        if operation.isAboutBody {
            guard SessionDescription(message) != nil else { throw .flags }
            add("sdp", .text(message.copy(message.body)))
        }
        if !flags.has(list: "received-from") {
            let address = point.source.address
            var text = ByteWriter()
            address.write(into: &text, brackets: false)
            flags.add([UInt8](copying: address.isIPv6 ? "IP6" : "IP4"), to: "received-from")
            flags.add(text.bytes, to: "received-from")
        }
        let callID = flags.callID ?? message.copy(message.callID)
        guard !callID.isEmpty else { throw .flags }
        add("call-id", .text(callID))
        if let via = flags.viaBranch { add("via-branch", .text(try branch(of: via))) }
        if operation.isOfOneSide, flags.isDirectional { flags.add(flag: "directional") }
        entries += try tags(operation, flags)
        add("command", .text(operation.command))
        add("sip-message-type", .text(message.isRequest ? "sip_request" : "sip_reply"))
        return (operation, entries + flags.entries(isAboutBody: operation.isAboutBody))
    }

    /// The from-tag is of who has offered, or who speaks: the other side of a request that answers, and of a response
    /// that does neither answer nor delete.
    private func tags(
        _ operation: MediaOperation, _ flags: MediaFlags
    ) throws(MediaFlags.Refusal) -> [Bencode.Entry] {
        if operation.isOfOneSide, !flags.isDirectional { return [] }
        let from = flags.fromTag ?? message.copy(message.fromTag)
        let to = flags.toTag ?? message.copy(message.toTag)
        guard !from.isEmpty else { throw .flags }
        let isStraight = flags.isDirectional || operation == .delete || message.isRequest != (operation == .answer)
        func entries(_ one: [UInt8], _ other: [UInt8], both: Bool) -> [Bencode.Entry] {
            let first = Bencode.Entry([UInt8](copying: "from-tag"), .text(one))
            guard both, !other.isEmpty else { return [first] }
            return [first, Bencode.Entry([UInt8](copying: "to-tag"), .text(other))]
        }
        if isStraight { return entries(from, to, both: operation != .delete || flags.wantsToTag) }
        guard !to.isEmpty else { throw .flags }
        return entries(to, from, both: true)
    }

    /// The branch of the first or second Via; a branch that is written has ours above, which does not count.
    private func branch(of via: MediaFlags.ViaBranch) throws(MediaFlags.Refusal) -> [UInt8] {
        var place: Int
        switch via {
        case .first: place = 0
        case .second: place = 1
        case .auto: place = message.isRequest ? 0 : 1
        }
        if point.kind == .branch || point.kind == .onsend { place += 1 }
        var vias: [Via] = []
        message.vias(into: &vias)
        let found = vias.indices.contains(place) ? message.copy(vias[place].branch) : []
        guard !found.isEmpty else { throw .flags }
        return found
    }

    // MARK: Answers

    /// What a function answers when the relay has.
    package enum MediaStep: Equatable, Sendable {
        case done(RouteValue)
        /// The next set is asked about the body that the first has made.
        case next(MediaQuestion)
    }

    package mutating func take(_ outcome: MediaRelays.Outcome, of question: MediaQuestion) -> MediaStep {
        let failed = question.otherwise
        switch outcome {
        case .silent:
            note(.warning, "no media relay answered")
            return .done(failed)
        case .refused(let reason):
            note(.warning, "a media relay refused: \(reason.shown)")
            return .done(failed)
        case .answered(let reply):
            if question.isStatistics { return .done(Self.statistics(of: reply).map { .text($0) } ?? failed) }
            var next = question
            next.request.sets.removeFirst()
            guard question.operation.isAboutBody else {
                return next.request.sets.isEmpty ? .done(.integer(1)) : .next(next)
            }
            guard let body = reply["sdp"]?.asText, !body.isEmpty else {
                note(.warning, "a media relay answered without a body")
                return .done(failed)
            }
            if !next.request.sets.isEmpty, let at = next.request.command.firstIndex(where: { $0.key == Self.sdp }) {
                next.request.command[at].value = .text(body)
                return .next(next)
            }
            return .done(.answer(replaceBody(body)))
        }
    }

    private mutating func replaceBody(_ body: [UInt8]) -> Bool {
        do throws(RouteFault) {
            try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.setBody(body, type: []) }
            return true
        } catch {
            note(.error, "a media relay's body: \(error.text)")
            return false
        }
    }

    private static let sdp = [UInt8](copying: "sdp")

    /// As the module writes it.
    private static func statistics(of reply: Bencode) -> [UInt8]? {
        guard let rtp = reply["totals"]?["RTP"], let rtcp = reply["totals"]?["RTCP"] else { return nil }
        func text(_ part: Bencode) -> String {
            let numbers = [part["bytes"], part["packets"], part["errors"]].map { String($0?.asNumber ?? -1) }
            return "\(numbers[0]) bytes, \(numbers[1]) packets, \(numbers[2]) errors"
        }
        return Array("RTP: \(text(rtp)); RTCP: \(text(rtcp))".utf8)
    }
}

extension RouteRun {
    /// Nobody could be asked: no more is tried in this run.
    package mutating func giveUp(_ question: MediaQuestion) -> RouteValue? {
        plan.mediaCommands = RoutePlan.mediaCommandLimit
        return goOn(.silent, question)
    }

    /// What the function that waits answers; `nil` where it waits for the next set.
    package mutating func goOn(_ outcome: MediaRelays.Outcome, _ question: MediaQuestion) -> RouteValue? {
        switch take(outcome, of: question) {
        case .done(let value): return value
        case .next(let next):
            leaving = .media(next)
            return nil
        }
    }
}

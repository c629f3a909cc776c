// MediaRelays asks media relays (rtpengine) for what scripts want of them: which server, how often, what its answer
// means. It sends nothing itself: datagrams stand in `outgoing` until whoever drives it takes them, and what has ended
// stands in `ended`.
//
//     ask ──▶ first server ──answer──▶ ended
//               │    ▲ ╰ no answer: the same again, `tries` times in all
//               ▼    │
//             next server ── after silence (which makes the server wait behind the others for a while), after "load
//               │            limit" and the like, and where it does not know the call
//               ╰ none is left, or `patience` is over ──▶ ended(nothing)
//
// Servers stand in an order that follows from the Call-ID alone (rendezvous hashing, by weight), so any node asks the
// one that another node has asked before; one that is gone moves its own calls and no others. Where an offer went to
// the second, since the first was away, the answer finds it all the same: the first, back again, does not know the
// call, and the second is asked.
//
// A command has a cookie of 64 bits by chance; an answer counts where its cookie is one that waits, and it comes from
// the server that was asked last.
//
// Limits: `limit` commands at once, 64 KiB a command, `patience` for all its attempts; beyond the first two a command
// is refused. All is counted.

package import Primitives
package import SIP

/// What a script wants of a media relay.
package struct MediaRequest: Equatable, Sendable {
    /// The command with all its words.
    package var command: [Bencode.Entry]
    package var callID: [UInt8]
    /// The sets to be asked one after the other; the body of the first answer is what the next is asked about.
    package var sets: [Int]
    /// It makes the call, where the server does not know it.
    package var makesCall: Bool

    package init(command: [Bencode.Entry], callID: [UInt8], sets: [Int], makesCall: Bool) {
        self.command = command
        self.callID = callID
        self.sets = sets
        self.makesCall = makesCall
    }
}

/// One datagram to a media relay.
package struct MediaDatagram: Equatable, Sendable {
    package var to: Endpoint
    package var bytes: [UInt8]
}

package struct MediaRelays: Sendable {
    package static let limit = 4_096
    /// Shorter than a request's sender waits.
    package static let patience = Duration.seconds(20)

    package struct Counters: Equatable, Sendable {
        package var asked: UInt64 = 0
        package var answered: UInt64 = 0
        /// Answers that said no.
        package var refused: UInt64 = 0
        /// Ended without an answer.
        package var failed: UInt64 = 0
        package var retransmitted: UInt64 = 0
        /// Another server was asked.
        package var failovers: UInt64 = 0
        /// Datagrams that were no answer to anything.
        package var stray: UInt64 = 0
        /// Commands that there was no room, or no server, for.
        package var overflowed: UInt64 = 0

        package init() {}
    }

    package enum Outcome: Equatable, Sendable {
        /// The answer's dictionary; it says `ok`.
        case answered(Bencode)
        /// Why not, in the server's words.
        case refused([UInt8])
        case silent
    }

    private struct Command: Sendable {
        var token: UInt64
        var cookie: [UInt8]
        var bytes: [UInt8]
        var makesCall: Bool
        /// Servers not asked yet, the next one last.
        var left: [Int]
        var server: Int
        var sendings: Int
        /// How often it has been sent, to all servers.
        var number: Int
        var end: Instant
        /// What a server said that did not know the call.
        var unknown: Outcome?
    }

    private let settings: MediaRelaySettings
    /// How many servers each set has.
    private let allCounts: [Int: Int]
    /// By server: until when it is asked last.
    private var awayUntil: [Instant?]
    private var commands: [UInt64: Command] = [:]
    private var tokens: [[UInt8]: UInt64] = [:]
    private var lastToken: UInt64 = 0
    /// When each sending is over; all wait for as long, so they stand in order. One that is not the last of its command
    /// means nothing any more.
    private var waits = HeadQueue<(at: Instant, token: UInt64, number: Int)>()
    package private(set) var outgoing: [MediaDatagram] = []
    package private(set) var ended: [(token: UInt64, outcome: Outcome)] = []
    package private(set) var counters = Counters()

    package init(_ settings: MediaRelaySettings) {
        self.settings = settings
        allCounts = settings.servers.reduce(into: [:]) { $0[$1.set, default: 0] += 1 }
        awayUntil = Array(repeating: nil, count: settings.servers.count)
    }

    package var isEmpty: Bool { settings.servers.isEmpty }
    package var pendingCount: Int { commands.count }

    /// Servers that are asked last now, since they did not answer.
    package func awayCount(now: Instant) -> Int { awayUntil.indices.count { isAway($0, now) } }

    /// Servers of each set that are not away.
    package func activeCounts(now: Instant) -> [Int: Int] {
        guard awayUntil.contains(where: { $0 != nil }) else { return allCounts }
        var counts: [Int: Int] = [:]
        for (index, server) in settings.servers.enumerated() {
            counts[server.set, default: 0] += isAway(index, now) ? 0 : 1
        }
        return counts
    }

    private func isAway(_ server: Int, _ now: Instant) -> Bool { awayUntil[server].map { $0 > now } ?? false }

    // MARK: Asking

    /// - Returns: The token of its end; `nil` where there is no room, no server, or too much to say.
    package mutating func ask(
        _ request: MediaRequest, set: Int, now: Instant, using chance: inout SplitMix
    ) -> UInt64? {
        var order = order(of: request.callID, set: set, makesCall: request.makesCall, now: now)
        let cookie = Self.cookie(chance.next())
        let bytes = cookie + [0x20] + Bencode.dictionary(request.command).bytes
        guard commands.count < Self.limit, bytes.count <= Bencode.sizeLimit, tokens[cookie] == nil,
            let first = order.popLast()
        else {
            counters.overflowed += 1
            return nil
        }
        lastToken += 1
        counters.asked += 1
        tokens[cookie] = lastToken
        commands[lastToken] = Command(
            token: lastToken, cookie: cookie, bytes: bytes, makesCall: request.makesCall, left: order, server: first,
            sendings: 0, number: 0, end: now.advanced(by: Self.patience))
        send(lastToken, now)
        return lastToken
    }

    private static func cookie(_ chance: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.putHex(chance, digits: 16)
        return writer.bytes
    }

    /// The servers of a set for a call, the first last.
    private func order(of callID: [UInt8], set: Int, makesCall: Bool, now: Instant) -> [Int] {
        var found: [(isAway: Bool, score: UInt64, server: Int)] = []
        for (index, server) in settings.servers.enumerated() where server.set == set {
            if server.weight == 0, makesCall { continue }
            found.append((isAway(index, now), Self.score(server, callID), index))
        }
        found.sort { left, right in
            if left.isAway != right.isAway { return left.isAway }
            return (left.score, left.server) < (right.score, right.server)
        }
        return found.map(\.server)
    }

    /// The largest of as many hashes as it has weight: of two servers one is the larger in that proportion.
    private static func score(_ server: MediaRelaySettings.Server, _ callID: [UInt8]) -> UInt64 {
        var name = ByteWriter(capacity: 24)
        server.endpoint.write(into: &name)
        var best: UInt64 = 0
        for replica in 0..<server.weight {
            var stream = KeyedHash(key0: 0x6d65_6469_6172_656c, key1: UInt64(replica)).begin()
            stream.combine(callID, ByteRange(callID))
            stream.combine(name.bytes, ByteRange(name.bytes))
            best = max(best, stream.finish())
        }
        return best
    }

    private mutating func send(_ token: UInt64, _ now: Instant) {
        guard var command = commands[token] else { return }
        command.sendings += 1
        command.number += 1
        commands[token] = command
        waits.append((at: now.advanced(by: settings.timeout), token: token, number: command.number))
        outgoing.append(MediaDatagram(to: settings.servers[command.server].endpoint, bytes: command.bytes))
    }

    /// Another server is asked, or nothing more is to be done.
    private mutating func goOn(_ token: UInt64, _ now: Instant, otherwise outcome: Outcome) {
        guard let next = commands[token]?.left.popLast(), now < commands[token]?.end ?? now else {
            end(token, commands[token]?.unknown ?? outcome)
            return
        }
        counters.failovers += 1
        commands[token]?.server = next
        commands[token]?.sendings = 0
        send(token, now)
    }

    private mutating func end(_ token: UInt64, _ outcome: Outcome) {
        guard let command = commands.removeValue(forKey: token) else { return }
        tokens[command.cookie] = nil
        switch outcome {
        case .answered: counters.answered += 1
        case .refused: counters.refused += 1
        case .silent: counters.failed += 1
        }
        ended.append((token, outcome))
    }

    // MARK: Answers

    /// A datagram of a server's; of anybody's.
    package mutating func receive(_ bytes: ArraySlice<UInt8>, from: Endpoint, now: Instant) {
        guard let space = bytes.prefix(17).firstIndex(of: 0x20), let token = tokens[Array(bytes[..<space])],
            let command = commands[token], settings.servers[command.server].endpoint == from,
            let reply = Bencode(bytes[(space + 1)...]), let result = reply["result"]?.asText
        else {
            counters.stray += 1
            return
        }
        awayUntil[command.server] = nil
        switch String(decoding: result, as: UTF8.self) {
        case "ok", "pong":
            // What it does not know it cannot delete, and says so beside.
            let warning = String(decoding: reply["warning"]?.asText ?? [], as: UTF8.self)
            if warning.hasPrefix("Call-ID not found"), !command.makesCall {
                commands[token]?.unknown = .answered(reply)
                goOn(token, now, otherwise: .answered(reply))
            } else {
                end(token, .answered(reply))
            }
        case "load limit": goOn(token, now, otherwise: .refused(result))
        default:
            let reason = reply["error-reason"]?.asText ?? result
            let text = String(decoding: reason, as: UTF8.self)
            if text.hasPrefix("Unknown call"), !command.makesCall {
                commands[token]?.unknown = .refused(reason)
                goOn(token, now, otherwise: .refused(reason))
            } else if text == "Parallel session limit reached" || text == "Ran out of ports" {
                goOn(token, now, otherwise: .refused(reason))
            } else {
                end(token, .refused(reason))
            }
        }
    }

    // MARK: Time

    /// Nothing is done before it.
    package var next: Instant? { waits.first?.at }

    package mutating func advance(to now: Instant) {
        while let (_, token, number) = waits.popFirst(where: { $0.at <= now }) {
            guard let command = commands[token], command.number == number else { continue }
            guard now < command.end else {
                end(token, command.unknown ?? .silent)
                continue
            }
            if command.sendings < settings.tries {
                counters.retransmitted += 1
                send(token, now)
            } else {
                awayUntil[command.server] = now.advanced(by: settings.disabledFor)
                goOn(token, now, otherwise: .silent)
            }
        }
    }

    // MARK: What is to be done

    package mutating func takeOutgoing() -> [MediaDatagram] {
        guard !outgoing.isEmpty else { return [] }
        defer { outgoing.removeAll(keepingCapacity: true) }
        return outgoing
    }

    package mutating func takeEnded() -> [(token: UInt64, outcome: Outcome)] {
        guard !ended.isEmpty else { return [] }
        defer { ended.removeAll(keepingCapacity: true) }
        return ended
    }
}

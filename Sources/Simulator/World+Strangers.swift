// A stranger on the bus (`--sealed`): he hears everything that goes over it and can say what he likes to every node's
// ports, but has none of the cluster's keys. He plays back what he has heard, at once or much later, whole, cut off or
// changed, on the right socket or on another; he seals with last week's key, or with one that he has made up under the
// right id; he says in the clear what he could guess. Nothing of that is ever opened, but for one thing: a message that
// was lost on its way comes in by his hands, once, as if it had been slow (`seal`).

internal import Cluster
internal import Node
internal import Primitives

/// What he has heard.
struct Recording {
    var bytes: [UInt8]
    /// What he could guess that it was.
    var plain: [UInt8]
    var lane: FrameHeader.Lane
    var from: ProcessID
    /// What a reply answers.
    var asked: SealTicket?
    var leftAt: Nanoseconds
}

/// What he says.
enum StrangerAct: String, CaseIterable {
    case replays, cuts, changes, crosses, wrongKey, ownKey, clear, long, otherVersion, noise
}

/// All he has: the last messages, and some of long ago.
struct Stranger {
    private(set) var recent: [Recording] = []
    private(set) var old: [Recording] = []
    private var place = 0
    private var heard = 0

    static let recentLimit = 1_024
    static let oldLimit = 4_096
    /// One message of so many is kept for long.
    static let share = 16

    mutating func hear(_ recording: Recording) {
        heard += 1
        if heard % Stranger.share == 0, old.count < Stranger.oldLimit { old.append(recording) }
        guard recent.count >= Stranger.recentLimit else { return recent.append(recording) }
        recent[place] = recording
        place = (place + 1) % Stranger.recentLimit
    }
}

extension World {
    func strangerHears(
        _ bytes: [UInt8], _ plain: [UInt8], _ lane: FrameHeader.Lane, _ host: Host, to asked: SealTicket? = nil
    ) {
        guard host.seal != nil else { return }
        stranger.hear(
            Recording(bytes: bytes, plain: plain, lane: lane, from: host.process, asked: asked, leftAt: now))
    }

    func strangerActs() {
        schedule(.stranger, after: strangerRandom.between(.milliseconds(5), .milliseconds(200)))
        let hearers = hosts.filter(\.isRunning)
        let kept = strangerRandom.chance(perMille: 500) ? stranger.recent : stranger.old
        guard !hearers.isEmpty, !kept.isEmpty else { return }
        let host = strangerRandom.pick(hearers)
        let recording = strangerRandom.pick(kept)
        // What is still on its way he cannot overtake.
        guard now - recording.leftAt > .milliseconds(100) else { return }
        let act = strangerRandom.pick(StrangerAct.allCases)
        var lane = recording.lane
        if act == .crosses { lane = lane == .request ? .published : .request }
        say(act, words(act, recording), lane, recording, to: host)
    }

    private func words(_ act: StrangerAct, _ recording: Recording) -> [UInt8] {
        var bytes = recording.bytes
        switch act {
        case .replays, .crosses: break
        case .cuts: bytes.removeLast(1 + strangerRandom.below(bytes.count))
        case .changes: bytes[strangerRandom.below(bytes.count)] ^= 1 << UInt8(strangerRandom.below(8))
        case .wrongKey: bytes = strangersSeal(recording.plain, CheapCipher.key(0xBAD))
        case .ownKey:
            if isKeyStolen, let seal = hosts[recording.from.host].seal {
                return seal.seal(recording.plain, to: nil, at: hosts[recording.from.host].instant(now)).bytes
            }
            bytes = strangersSeal(recording.plain, SealKey(id: HostSeal.keyID(of: bytes)) { CheapCipher(0xBAD, $0) })
        case .clear: bytes = recording.plain
        case .long: bytes += [UInt8](repeating: 0, count: FrameHeader.messageLimit)
        case .otherVersion: bytes[2] &+= 1
        case .noise: bytes = bytes.map { _ in UInt8(strangerRandom.below(256)) }
        }
        return bytes
    }

    private func strangersSeal(_ plain: [UInt8], _ key: SealKey) -> [UInt8] {
        var sealer = FrameSealer(keys: [key])
        var bytes: [UInt8] = []
        _ = sealer.seal(RawSpan(_elements: plain.span), now: Instant(nanoseconds: now), into: &bytes)
        return bytes
    }

    private func say(
        _ act: StrangerAct, _ bytes: [UInt8], _ lane: FrameHeader.Lane, _ recording: Recording, to host: Host
    ) {
        guard let seal = host.seal else { return }
        ran("seal")
        // An answer goes to whoever asks; he gives it to whatever this one has asked last.
        let asked = host.outstanding.compactMap { $0 }.first?.ticket
        guard lane != .reply || asked != nil && asked != recording.asked else { return }
        let ticket = lane == .reply ? asked : nil
        let (outcome, plain) = seal.open(bytes, lane, answering: ticket, at: host.instant(now))
        switch outcome {
        case .refused(let refusal, let claimed): tell(host, refusal, claimed)
        case .opened:
            guard act == .replays, lane != .reply else {
                return violate("seal", node: host.index, "opens a \(lane) of a stranger, who \(act.rawValue)")
            }
            guard seal.note(bytes) else {
                return violate("seal", node: host.index, "opens a \(lane) again that a stranger plays back")
            }
            let sender = hosts[recording.from.host]
            if lane == .published, sender.process.serial > recording.from.serial, sender.startedAt < host.startedAt {
                violate("seal", node: host.index, "opens what a process said that was over before this one began")
            }
            let age = (now - recording.leftAt).inMilliseconds
            log("\(host.name) hears from a stranger what \(sender.name) said \(age) ms ago")
            receive(OpenedMessage(bytes: plain), lane, host)
        }
    }

    private func receive(_ message: OpenedMessage, _ lane: FrameHeader.Lane, _ host: Host) {
        guard lane == .request else { return hear(frame: message.bytes, host) }
        // The answer goes to him; it is sealed.
        hear(request: message, from: nil, id: 0, host)
    }

    /// Makes the stranger seal as the members do; only a test does.
    package func tamperGivingStrangerTheKeys() { isKeyStolen = true }
}

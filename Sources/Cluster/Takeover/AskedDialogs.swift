// AskedDialogs keeps which dialogs heirs have asked about lately, and who asked: what this node learns of one from a
// process that the heir does not hear, it tells the heir, which may be about to end what has just been answered.
//
//   asked ──a process that the asker takes for dead tells of it──▶ told with the next frame, and kept
//     └──`span` after the last question, twice that at most──▶ forgotten
//
// Invariant: the queue has each dialog once. Limit: `askLimit` of the settings; one more takes the place of the one
// that has been in the queue for longest, counted.

internal import Primitives

struct AskedDialogs: Sendable {
    /// Who asked, and by which number at last.
    struct Asker: Sendable {
        let member: MemberID
        var number: UInt64
        var isDue = false
    }

    private struct Asked {
        var askers: [Asker]
        var until: Instant
    }

    /// Longer than an heir's CANCELs wait for an answer (8 · T1): it asks again after them.
    static let span = Duration.seconds(5)
    /// Heirs of one dialog at a time; one more is not told. There is one, but for views that differ.
    static let askerLimit = 4

    private var asked: [UInt64: Asked] = [:]
    private var queue = HeadQueue<(did: UInt64, at: Instant)>()
    private var due: [UInt64] = []
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { asked.isEmpty }
    var count: Int { asked.count }
    var hasDue: Bool { !due.isEmpty }
    func contains(_ did: UInt64) -> Bool { asked[did] != nil }

    /// - Returns: `false` when another dialog was forgotten for this one.
    mutating func note(_ question: Question, by member: MemberID, now: Instant) -> Bool {
        let until = now.advanced(by: Self.span)
        guard var known = asked[question.did] else {
            let isFull = asked.count >= limit
            if isFull, let first = queue.popFirst() { asked[first.did] = nil }
            asked[question.did] = Asked(askers: [Asker(member: member, number: question.number)], until: until)
            queue.append((did: question.did, at: until))
            return !isFull
        }
        known.until = until
        if let at = known.askers.firstIndex(where: { $0.member == member }) {
            known.askers[at].number = question.number
        } else if known.askers.count < Self.askerLimit {
            known.askers.append(Asker(member: member, number: question.number))
        }
        asked[question.did] = known
        return true
    }

    /// Somebody has told of a dialog what was not known here.
    /// - Parameter deaf: The processes that do not hear who told.
    mutating func changed(_ did: UInt64, unheardBy deaf: [MemberID]) {
        guard var known = asked[did] else { return }
        let wasDue = known.askers.contains(where: \.isDue)
        for at in known.askers.indices where deaf.contains(known.askers[at].member) { known.askers[at].isDue = true }
        asked[did] = known
        if !wasDue, known.askers.contains(where: \.isDue) { due.append(did) }
    }

    /// What is to be told now, and to whom.
    mutating func takeDue() -> [(did: UInt64, askers: [Asker])] {
        let dids = due
        due.removeAll(keepingCapacity: true)
        var told: [(did: UInt64, askers: [Asker])] = []
        for did in dids {
            guard var known = asked[did] else { continue }
            told.append((did, known.askers.filter(\.isDue)))
            for at in known.askers.indices { known.askers[at].isDue = false }
            asked[did] = known
        }
        return told
    }

    /// Forgets what nobody has asked about for so long.
    mutating func expire(_ now: Instant) {
        while let did = queue.popFirst(where: { $0.at <= now })?.did {
            guard let known = asked[did] else { continue }
            if known.until > now {
                queue.append((did: did, at: known.until))
            } else {
                asked[did] = nil
            }
        }
    }
}

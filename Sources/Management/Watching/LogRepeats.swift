// Keeps one kind of log line from filling a log: of each sentence at most `burst` lines in `window` are let through,
// the rest is counted, and told once a window while it goes on, and once when it has ended. What is said of a line of a
// script counts for that line: a fault that comes with every call does not hide another.
//
// Limits: `kindLimit` kinds at a time; sentences are constant texts of ours, of which there are fewer. Beyond
// `placeLimit` kinds lines of scripts count as one.

package import Node

package struct LogRepeats: Sendable {
    package static let burst = 20
    package static let window: Int64 = 60_000
    static let kindLimit = 256
    package static let placeLimit = 128

    private struct Kind: Sendable {
        var began: Int64
        var count = 0
        var suppressed = 0
        var last: Note
    }

    private var kinds: [String: Kind] = [:]

    package init() {}

    /// What is to be written now that this has happened.
    package mutating func take(_ note: Note, now: Int64) -> [Note] {
        let name = name(of: note)
        guard var kind = kinds[name] else {
            if kinds.count < Self.kindLimit { kinds[name] = Kind(began: now, count: 1, last: note) }
            return [note]
        }
        var notes: [Note] = []
        if now - kind.began >= Self.window {
            if kind.suppressed > 0 { notes.append(Self.summary(kind, now)) }
            kind = Kind(began: now, last: note)
        }
        kind.count += 1
        kind.last = note
        if kind.count <= Self.burst { notes.append(note) } else { kind.suppressed += 1 }
        kinds[name] = kind
        return notes
    }

    /// What a note is counted as: its sentence, and the line of the script that it names.
    private func name(of note: Note) -> String {
        guard let file = note.metadata.first(where: { $0.0 == "file" }),
            let line = note.metadata.first(where: { $0.0 == "line" })
        else { return note.message }
        let name = "\(note.message) \(file.1):\(line.1)"
        return kinds[name] == nil && kinds.count >= Self.placeLimit ? note.message : name
    }

    /// What is to be written of windows that have ended without a further line.
    package mutating func settle(now: Int64) -> [Note] {
        var notes: [Note] = []
        for (message, kind) in kinds.sorted(by: { $0.key < $1.key }) where now - kind.began >= Self.window {
            if kind.suppressed > 0 { notes.append(Self.summary(kind, now)) }
            kinds[message] = nil
        }
        return notes
    }

    private static func summary(_ kind: Kind, _ now: Int64) -> Note {
        let seconds = max(1, (now - kind.began) / 1_000)
        return Note(
            kind.last.level, kind.last.message,
            [("more", String(kind.suppressed)), ("seconds", String(seconds))] + kind.last.metadata)
    }
}

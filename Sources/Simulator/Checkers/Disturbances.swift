// What is wrong with the world just now, and since when nothing is. Checkers of bounds and of "exactly one" need it: a
// rule that holds "with no fault in progress" is only checked then.

struct Disturbances {
    enum Kind: Equatable {
        case cut(Int)
        case pause(Int)
        case loss
        case unplug(Int)
        case death(Int)
    }

    private var active: [Kind] = []
    /// When the last disturbance began, ended or struck.
    private(set) var lastChange: Nanoseconds = 0
    /// When the bus was last cut or a node stopped.
    private(set) var lastCut: Nanoseconds = .min / 2
    /// When a cut was last healed or a stopped node went on.
    private(set) var lastHealed: Nanoseconds = .min / 2
    var lossPerMille = 0

    mutating func began(_ kind: Kind, at now: Nanoseconds) {
        active.append(kind)
        lastChange = now
        lastCut = now
    }

    mutating func ended(_ kind: Kind, at now: Nanoseconds) {
        if let index = active.firstIndex(of: kind) { active.remove(at: index) }
        lastChange = now
        lastHealed = now
    }

    mutating func note(_ kind: Kind, at now: Nanoseconds) {
        lastChange = now
    }

    var isQuiet: Bool { active.isEmpty && lossPerMille == 0 }

    /// Nothing has been wrong for so long.
    func isQuiet(for span: Nanoseconds, at now: Nanoseconds) -> Bool {
        isQuiet && now - lastChange >= span
    }
}

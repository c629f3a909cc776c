// Whose the dialogs of a member are that has gone: counted on the walk over all records that follows a change of
// members, and told in one line. Who acts is a function of the dialog and the view, so every survivor tells the same.

import Cluster
import Dialogs
import Primitives

struct Succession: Sendable {
    var member: MemberID
    /// It said goodbye.
    var hasLeft: Bool
    var since: Instant
    var dialogs = 0
    var heirs: [String: Int] = [:]
    var isCounted = false

    /// Heirs that are named; the others are summed up.
    static let namedLimit = 8

    /// `n1 12, n2 13`
    var text: String {
        let sorted = heirs.sorted { ($0.key) < ($1.key) }
        let rest = sorted.dropFirst(Self.namedLimit).reduce(0) { $0 + $1.value }
        let named = sorted.prefix(Self.namedLimit).map { "\($0.key) \($0.value)" }
        return (named + (rest > 0 ? ["others \(rest)"] : [])).joined(separator: ", ")
    }
}

extension Node {
    /// The view has changed: who is in it no more is succeeded.
    mutating func noteSuccessions(now: Instant) {
        let view = cluster.view.members
        let members = cluster.members(now: now)
        let left = Set(members.filter { $0.state == .left }.map { MemberID(name: $0.name, boot: $0.boot) })
        let witnesses = Set(members.filter(\.isWitness).map(\.name))
        defer { lastView = view }
        // A witness inherits nothing, and leaves nothing.
        guard !settings.node.isWitness else { return }
        for member in lastView where !view.contains(member) && member.name != settings.node.name {
            guard !witnesses.contains(member.name) else { continue }
            guard !successions.contains(where: { $0.member == member }) else { continue }
            successions.append(Succession(member: member, hasLeft: left.contains(member), since: now))
        }
    }

    /// A walk over all records begins.
    mutating func beginSuccessions() {
        for index in successions.indices {
            successions[index].isCounted = true
            successions[index].dialogs = 0
            successions[index].heirs = [:]
        }
    }

    /// - Parameter actor: Who acts for a live dialog now.
    mutating func countSuccession(_ did: DialogID, actor: String?) {
        guard let home = homeName(did) else { return }
        for index in successions.indices where successions[index].isCounted && successions[index].member.name == home {
            successions[index].dialogs += 1
            successions[index].heirs[actor ?? "nobody", default: 0] += 1
        }
    }

    /// The walk has come to its end.
    mutating func tellSuccessions(now: Instant) {
        for succession in successions where succession.isCounted {
            takeoverTimes.note(now - succession.since)
            guard succession.dialogs > 0 else {
                let member = [("member", succession.member.name)]
                notesDue.append(
                    succession.hasLeft
                        ? Note(.notice, "a member that has left had no dialogs", member)
                        : Note(.warning, "a dead member had no dialogs", member))
                continue
            }
            let details = [
                ("member", succession.member.name), ("dialogs", String(succession.dialogs)), ("by", succession.text),
            ]
            notesDue.append(
                succession.hasLeft
                    ? Note(.notice, "the dialogs of a member that has left are taken over", details)
                    : Note(.warning, "the dialogs of a dead member are taken over", details))
        }
        successions.removeAll(where: \.isCounted)
    }
}

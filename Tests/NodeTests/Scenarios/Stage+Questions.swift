// What a file asks, and how it is told.
//
//     knows | n1 knows              what each node has of each call
//     members                       each node's state, and whom it sees
//     equal?                        whether all replicas are alike
//     metric NAME                   a counter, on each node
//     show HEADER of INVITE to bob  of the last such message, addresses and branches by name

import Node
import Primitives
import SIP

extension Stage {
    /// Whether it was a question.
    func answer(_ command: ScenarioCommand) throws -> Bool {
        let words = command.words
        switch (words[0], words.count) {
        case ("knows", 1): knows(bench.nodes.indices.filter { bench.nodes[$0] != nil })
        case (_, 2) where words[1] == "knows": knows([try index(of: words[0])])
        case ("members", 1): for line in members() { say(line) }
        case ("equal?", 1): compare()
        case ("metric", 2): try tell(metric: words[1])
        case ("show", 6): try show(words[1], of: words[3], to: words[5])
        case ("show", 7): try show(words[1], of: "\(words[3]) \(words[4])", to: words[6])
        default: return false
        }
        return true
    }

    /// The record of a call on a node; tombstones too.
    func record(_ callID: String, on index: Int) -> DialogReport? { records(on: index).first { $0.callID == callID } }

    private func records(on index: Int) -> [DialogReport] {
        guard let node = bench.nodes[index] else { return [] }
        var query = DialogQuery()
        let live = node.dialogs(query, now: bench.now).dialogs
        query.states = ["deleted"]
        let all = live + node.dialogs(query, now: bench.now).dialogs
        return all.sorted { ($0.callID, $0.did) < ($1.callID, $1.did) }
    }

    private func describe(_ record: DialogReport) -> String {
        let flags = record.flags.isEmpty ? "" : " (\(record.flags.joined(separator: ", ")))"
        guard record.state != "deleted" else { return "\(record.callID) has ended\(flags)" }
        let actor = record.actor.isEmpty ? "nobody" : record.actor
        let left = record.remainingMilliseconds.map { $0 > 0 ? "\(($0 + 999) / 1_000) s left" : "its time is over" }
        return "\(record.callID) \(record.state)\(flags), home \(record.home), \(actor) acts, \(left ?? "no deadline")"
    }

    private func knows(_ indices: [Int]) {
        var groups: [(nodes: [String], lines: [String])] = []
        for index in indices {
            let lines = records(on: index).map(describe)
            if let place = groups.firstIndex(where: { $0.lines == lines }) {
                groups[place].nodes.append("n\(index + 1)")
            } else {
                groups.append((["n\(index + 1)"], lines))
            }
        }
        for group in groups {
            let who = group.nodes.joined(separator: ", ") + (group.nodes.count == 1 ? " knows" : " know")
            if group.lines.isEmpty { say("\(who): nothing") }
            for line in group.lines { say("\(who): \(line)") }
        }
    }

    func members() -> [String] {
        var groups: [(nodes: [String], text: String)] = []
        for index in bench.nodes.indices {
            guard let status = bench.nodes[index]?.status(now: bench.now) else { continue }
            let view = status.view.isEmpty ? "nobody" : status.view.joined(separator: " ")
            let isWhole = status.view.count == bench.nodes.count
            let notReady = status.notReadyReason.isEmpty ? "" : ", not ready: \(status.notReadyReason)"
            let text =
                status.state + (isWhole ? "" : ", view \(view)") + (status.quorum == "held" ? "" : ", no quorum")
                + notReady
            if let place = groups.firstIndex(where: { $0.text == text }) {
                groups[place].nodes.append("n\(index + 1)")
            } else {
                groups.append((["n\(index + 1)"], text))
            }
        }
        return groups.map { "\($0.nodes.joined(separator: ", ")): \($0.text)" }
    }

    private func compare() {
        let living = bench.nodes.indices.filter { bench.nodes[$0] != nil }
        let digests = living.map { records(on: $0).map { "\($0.did) \($0.digest)" } }
        let isEqual = digests.dropFirst().allSatisfy { $0 == digests[0] }
        say(isEqual ? "replicas equal" : "replicas differ")
    }

    private func tell(metric name: String) throws {
        let values = bench.nodes.indices.compactMap { index in
            bench.nodes[index]?.metrics(now: bench.now).first { $0.name == "understudy_\(name)" }.map {
                "n\(index + 1) \($0.value)"
            }
        }
        guard !values.isEmpty else { throw ScenarioError(description: "there is no metric \(name)") }
        say("\(name): \(values.joined(separator: ", "))")
    }

    /// `show HEADER of WHAT to WHOM`; `start-line` is one too.
    private func show(_ header: String, of what: String, to whom: String) throws {
        guard let text = transcript.last(what, to: whom) else {
            throw ScenarioError(description: "\(whom) got no \(what)")
        }
        let values = header == "start-line" ? [String(text.prefix { $0 != "\r\n" })] : text.headers(header)
        guard !values.isEmpty else { return say("\(header): none") }
        for value in values { say("\(header): \(transcript.withNames(value))") }
    }
}

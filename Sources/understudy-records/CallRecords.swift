// CallRecords is an example of a program in a node's process: it follows calls by callbacks, notes what it sees in
// variables of theirs, and writes a record of each call that has ended as a line of JSON.
//
//   created ──▶ variables of the record: where it began       re-INVITE ──▶ a count, in a variable, on any node
//   start ────▶ with --longest: what it may last              end, failed ──▶ a line; told when the line is written
//
// What is noted on one node is there on all, and survives it; the record is written by whichever node acts for the call
// at its end. After a crash a record may come twice, with the same `id`: whoever reads them keeps the first.

import Callbacks
import Management
import Nanomsg
import Node
import Proxy
import SIP
import Primitives

final class CallRecords: Sendable {
    private let node: String
    private let longest: Int?

    init(node: String, longest: Int?) {
        self.node = node
        self.longest = longest
    }

    /// - Parameter write: Takes a record; whoever does confirms the event when it is kept.
    func follow(
        _ callbacks: DialogCallbacks, write: @escaping @Sendable (_ line: [UInt8], LifeEvent) -> Void
    ) throws(RegistrationError) {
        let (node, longest) = (node, longest)
        try callbacks.register(DialogMoments([.created])) { run in
            run.set("entered", to: node)
            if let agent = Self.header("User-Agent", of: run.moment.request) { run.set("agent", to: agent) }
        }
        try callbacks.register(DialogMoments([.requestWithin])) { run in
            guard run.moment.request.starts(with: "INVITE ".utf8) else { return }
            run.set("reinvites", to: String((run.variable("reinvites").flatMap { Int($0) } ?? 0) + 1))
        }
        try callbacks.register(DialogMoments([.confirmedNotAcknowledged])) { run in
            if let longest { run.order(.timeout(seconds: longest)) }
        }
        try callbacks.register(DialogMoments([.terminated, .failed])) { run in
            guard let event = run.event else { return }
            write(event.record.bytes, event)
            run.takeUntilConfirmed()
        }
    }

    /// The value of a header, as the message has it.
    private static func header(_ name: String, of request: [UInt8]) -> String? {
        for line in String(decoding: request, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        {
            if line.isEmpty { return nil }
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() else {
                continue
            }
            return String(line[line.index(after: colon)...].drop { $0 == " " }.prefix(DialogChange.nameLimit))
        }
        return nil
    }
}

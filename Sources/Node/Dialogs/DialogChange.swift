// What scripts, operators and other programs may change of a dialog, and why they may not: the Swift API of
// `dlg_set_var`, `set_dlg_profile`, `dlg_setflag`, `dlg_set_property` and their opposites.
//
//   change ──checked by name and range──▶ stamped (`StampedFacts`) ──joined here──▶ one patch ──▶ every node
//
// All changes of one call are one patch, in which nothing else stands: a record that takes no more refuses them as a
// whole, and never a fact that a message has taught. What is so already is not written again.

import Cluster
package import Dialogs
package import Primitives
import Proxy

/// Why nothing was changed, or cannot be told.
package enum DialogError: Error, Equatable, Sendable {
    /// No such dialog is here; it is asked for, so a second try may find it.
    case unknown
    /// It is over.
    case ended
    /// Neither of `profiles_with_value` nor of `profiles_no_value`.
    case unknownProfile(String)
    case profileNeedsValue(String)
    /// A name, value or number that cannot be taken, and what can.
    case invalid(String)
    /// The record takes no more.
    case full
    /// This node may not act now, and why.
    case refused(String)

    /// What a script's function returns for it.
    package var scriptResult: Int { -1 }

    /// One sentence without a full stop.
    package var message: String {
        switch self {
        case .unknown: "Dialog not found"
        case .ended: "Dialog has ended"
        case .unknownProfile(let name): "Profile not found: \(name)"
        case .profileNeedsValue(let name): "Profile needs a value: \(name)"
        case .invalid(let text): text
        case .full: "the record of the dialog takes no more variables, profiles and flags"
        case .refused(let reason): reason
        }
    }

    /// The code of an RPC fault.
    package var code: Int {
        switch self {
        case .unknown, .ended, .unknownProfile: 404
        case .profileNeedsValue, .invalid: 400
        case .full, .refused: 500
        }
    }
}

/// One change, by names as they are written in scripts and on the command line.
package enum DialogChange: Equatable, Sendable {
    /// `nil` removes it.
    case variable(String, value: String?)
    case profile(String, value: String?, isMember: Bool)
    case flag(Int, isSet: Bool)
    /// `ka-src`, `ka-dst`, `timeout-noreset`.
    case property(String, isSet: Bool)
    /// The route of the script for when its time is up; `nil` for none.
    case timeoutRoute(String?)
    /// Seconds from now, or, while it rings, from its answer.
    case timeout(seconds: Int)
}

extension DialogChange {
    /// Longest name of a variable and value of a profile, bytes.
    package static let nameLimit = 255
    /// Seconds: a week at most.
    package static let timeoutRange = 1...604_800
    package static let flagRange = 0...31

    package static var timeoutSentence: String { "a timeout is \(text(timeoutRange)) seconds" }
    package static var flagSentence: String { "a flag is a number, \(text(flagRange))" }

    private static func text(_ range: ClosedRange<Int>) -> String { "\(range.lowerBound) to \(range.upperBound)" }
}

extension Node {
    /// Changes a dialog, all of it or nothing.
    package mutating func change(
        did text: String, _ changes: [DialogChange], now: Instant, into out: inout Outbox
    ) throws(DialogError) {
        guard let did = DialogID(hex: text) else { throw .unknown }
        var (stamped, lifetime): ([StampedChange], Int?) = ([], nil)
        for change in changes {
            if case .timeout(let seconds) = change {
                guard DialogChange.timeoutRange ~= seconds else { throw .invalid(DialogChange.timeoutSentence) }
                lifetime = seconds
            } else {
                stamped.append(try self.stamped(change))
            }
        }
        begin(&out)
        defer {
            settle(now: now, into: &out)
            finish(&out, now: now)
        }
        try write(stamped, of: did, now: now)
        if let lifetime {
            proxy.setLifetime(did, milliseconds: UInt64(lifetime) * 1_000, now: now, dialogs: &store.dialogs)
        }
    }

    /// The same with bytes instead of names, for scripts, whose texts may be anything.
    package mutating func write(
        _ changes: [StampedChange], to did: DialogID, now: Instant, into out: inout Outbox
    ) throws(DialogError) {
        begin(&out)
        defer {
            settle(now: now, into: &out)
            finish(&out, now: now)
        }
        try write(changes, of: did, now: now)
    }

    /// Joins changes and publishes them, within an event of the node's.
    mutating func write(_ changes: [StampedChange], of did: DialogID, now: Instant) throws(DialogError) {
        guard let state = store.dialogs.state(did) else {
            cluster.fetch(did.rawValue)
            throw .unknown
        }
        guard state != .deleted else { throw .ended }
        let known = store.dialogs.view(did) { view, bytes in
            (StampedRoom(view, bytes), changes.filter { !view.holds($0, in: bytes) })
        }
        guard let (found, news) = known, !news.isEmpty else { return }
        var room = found
        for change in news where !room.admits(change) {
            counters.changesRefused += 1
            throw .full
        }
        let stamp = Stamp(counter: cluster.nextStamp(above: room.counter), tag: proxy.settings.memberTag)
        var facts = FactsWriter()
        for change in news { facts.write(change, stamp) }
        do {
            _ = try store.dialogs.learn(did, facts: RawSpan(_elements: facts.bytes.span), age: nil, now: now)
        } catch {
            counters.changesRefused += 1
            throw .full
        }
        counters.changesWritten += 1
        publish(facts, of: did)
    }

    /// A change as the record has it, if its names and numbers may be.
    private func stamped(_ change: DialogChange) throws(DialogError) -> StampedChange {
        switch change {
        case .variable(let name, let value):
            guard 1...DialogChange.nameLimit ~= name.utf8.count else {
                throw .invalid("a variable's name has 1 to \(DialogChange.nameLimit) bytes")
            }
            return .variable(Array(name.utf8), value: value.map { Array($0.utf8) })
        case .profile(let name, let value, let isMember):
            return .profile(try link(name, value), isMember: isMember)
        case .flag(let number, let isSet):
            guard DialogChange.flagRange ~= number else { throw .invalid(DialogChange.flagSentence) }
            return .flag(UInt8(number), isSet: isSet)
        case .property(let name, let isSet):
            guard let property = DialogProperty(rawValue: name) else {
                let known = DialogProperty.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid("'\(name)' is none of \(known)")
            }
            return .property(property, isSet: isSet)
        case .timeoutRoute(let name): return .word(.timeoutRoute, name.map { Array($0.utf8) })
        case .timeout: throw .invalid("a timeout is no fact with a stamp")
        }
    }

    // MARK: Reading

    /// A variable's value; `nil` when it is not set.
    package func variable(_ name: String, did text: String) throws(DialogError) -> String? {
        let did = try known(text)
        let value = store.dialogs.view(did) { view, bytes in view.variable(Array(name.utf8), in: bytes) } ?? nil
        return value.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether a script flag is set.
    package func isFlagSet(_ number: Int, did text: String) throws(DialogError) -> Bool {
        guard DialogChange.flagRange ~= number else { throw .invalid(DialogChange.flagSentence) }
        let did = try known(text)
        let flags = store.dialogs.view(did) { view, bytes in view.scriptFlags(in: bytes) } ?? 0
        return flags & 1 << UInt32(number) != 0
    }

    /// A dialog that is here, by its did.
    func known(_ text: String) throws(DialogError) -> DialogID {
        guard let did = DialogID(hex: text), store.dialogs.contains(did) else { throw .unknown }
        return did
    }

    /// The did that Call-ID and tags name, as `dlg_get` and `terminate_dlg` do; the To tag may be empty while nobody
    /// has answered.
    package func did(callID: String, fromTag: String, toTag: String) -> String? {
        let (call, from, to) = (Array(callID.utf8), Array(fromTag.utf8), Array(toTag.utf8))
        return store.dialogs.find(
            callID: call, ByteRange(call), fromTag: from, ByteRange(from), toTag: to, ByteRange(to))?.0.hex
    }

    /// What stands in a record beside what messages teach, for people.
    func tellStamped(_ record: Record, in report: inout DialogReport) {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        report.variables = record.variables.compactMap { entry in
            entry.value.map { StampedReport(key: text(entry.key), value: text($0)) }
        }
        report.profiles = record.profiles.filter { $0.value != nil }.map { entry in
            let link = ProfileLink(key: entry.key)
            return StampedReport(key: text(link.name), value: text(link.value ?? []))
        }
        for entry in record.attributes {
            guard let value = entry.value else { continue }
            if text(entry.key).hasPrefix("request-"), let wish = RequestWish(value) {
                report.properties.append("\(text(entry.key))=\(text(wish.method)) \(wish.status)")
            } else if entry.key.count == 1, entry.key[0] < 32 {
                report.scriptFlags |= 1 << UInt32(entry.key[0])
            } else if DialogProperty(rawValue: text(entry.key)) != nil {
                report.properties.append(value.isEmpty ? "no \(text(entry.key))" : text(entry.key))
            } else {
                report.properties.append("\(text(entry.key))=\(text(value))")
            }
        }
        report.bornUnixMilliseconds = record.times.bornUnixMilliseconds
        report.answeredMilliseconds = record.times.answeredMilliseconds
        report.endedMilliseconds = record.times.endedMilliseconds
    }
}

extension RecordView {
    /// It says so already.
    fileprivate func holds(_ change: StampedChange, in bytes: [UInt8]) -> Bool {
        switch change {
        case .variable(let name, let value): variable(name, in: bytes) == value
        case .profile(let link, let isSet): isMember(link, in: bytes) == isSet
        case .flag(let number, let isSet): (scriptFlags(in: bytes) & 1 << UInt32(number) != 0) == isSet
        case .property(let property, let isSet): self.property(property, in: bytes) == isSet
        case .word(let word, let text): self.word(word, in: bytes) == text
        }
    }
}

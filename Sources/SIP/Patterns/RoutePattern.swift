// The regular expressions of `routes`, over bytes: literals, `.`, `[a-z]`, `[^a-z]`, `*`, `+`, `?`, `|`, `( )`, `\`
// before any other character. A pattern must cover the whole Request-URI, or all of it before the port, parameters or
// headers of its host, so that `sip:.*@example.org` also takes `sip:bob@example.org:5060;transport=udp`, but not
// `sip:bob@example.org.evil.net`. `^` at the start and `$` at the end are allowed and say nothing more.
//
// Why not the standard library's Regex: it is not Sendable, so it cannot live in settings; it works on characters of a
// String, so each request would be decoded first; and it backtracks, so a caller could choose a URI that takes minutes.
// This is Thompson's construction: all states at once, time at most states × bytes, nothing allocated but two state
// lists.
//
// A header's value is covered whole (`matchesWhole`).
//
// `^` and `$` may also stand at the ends of each alternative, and of a group at an end, as people write them.
//
// Limits: 4096 bytes of pattern, 8192 states, groups nested 32 deep. Case matters, as it does in a user part. Counted
// repetition (`{2,3}`) and classes like `\d` are refused, not guessed.

package struct RoutePattern: Equatable, Sendable {
    package struct PatternError: Error, Equatable, Sendable {
        /// What is wrong, in a few words.
        package var reason: String
    }

    /// 256 bits: the bytes a state accepts.
    struct ByteSet: Equatable, Sendable {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        static func == (left: ByteSet, right: ByteSet) -> Bool { left.words == right.words }

        func contains(_ byte: UInt8) -> Bool {
            let bit = UInt64(1) << UInt64(byte & 63)
            return switch byte >> 6 {
            case 0: words.0 & bit != 0
            case 1: words.1 & bit != 0
            case 2: words.2 & bit != 0
            default: words.3 & bit != 0
            }
        }

        mutating func insert(_ byte: UInt8) {
            let bit = UInt64(1) << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: words.0 |= bit
            case 1: words.1 |= bit
            case 2: words.2 |= bit
            default: words.3 |= bit
            }
        }

        mutating func invert() { words = (~words.0, ~words.1, ~words.2, ~words.3) }
    }

    enum State: Equatable, Sendable {
        case accept
        case bytes(ByteSet, next: Int)
        case split(Int, Int)
    }

    package static let sizeLimit = 4_096
    package static let stateLimit = 8_192

    /// The pattern as written.
    package let text: String
    let states: [State]
    let start: Int

    package init(_ text: String) throws(PatternError) {
        var compiler = RoutePatternCompiler(Array(text.utf8))
        start = try compiler.compile()
        states = compiler.states
        self.text = text
    }

    /// A pattern that may cover any part of a text, unless `^` or `$` at its ends say otherwise.
    package init(searching text: [UInt8]) throws(PatternError) {
        let isAtStart = text.first == UInt8(ascii: "^")
        let isAtEnd = text.last == UInt8(ascii: "$") && text.dropLast().last != UInt8(ascii: "\\")
        let inner = text.dropFirst(isAtStart ? 1 : 0).dropLast(isAtEnd ? 1 : 0)
        // With a choice beside it, an anchor would be of one alternative only.
        guard !(isAtStart || isAtEnd) || !inner.contains(UInt8(ascii: "|")) else {
            throw PatternError(reason: "has '^' or '$' beside '|'")
        }
        guard !inner.isEmpty else { throw PatternError(reason: "is empty") }
        let any = "(.|\n|\r)*"
        let core = "(" + String(decoding: inner, as: UTF8.self) + ")"
        try self.init((isAtStart ? "" : any) + core + (isAtEnd ? "" : any))
    }

    package static func == (left: RoutePattern, right: RoutePattern) -> Bool { left.text == right.text }

    /// Whether the pattern covers these bytes, a Request-URI.
    package func matches(_ bytes: [UInt8]) -> Bool { matches(bytes, 0..<bytes.count) }

    /// Whether the pattern covers a Request-URI that lies in `range` of `bytes`; a range outside them matches nothing.
    package func matches(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { return false }
        let hostStart = bytes[range].lastIndex(of: UInt8(ascii: "@")).map { $0 + 1 } ?? afterScheme(bytes, range)
        return matches(bytes, range, hostStart: hostStart)
    }

    /// Whether the pattern covers all of a header's value.
    package func matchesWhole(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { return false }
        return matches(bytes, range, hostStart: range.upperBound)
    }

    private func matches(_ bytes: [UInt8], _ range: Range<Int>, hostStart: Int) -> Bool {
        var current = StateList(count: states.count)
        var following = StateList(count: states.count)
        add(start, to: &current)
        for index in range {
            if index > hostStart, isBoundary(bytes[index]), holdsAccept(current) {
                return true
            }
            following.removeAll()
            for state in current.members {
                if case .bytes(let set, let next) = states[state], set.contains(bytes[index]) {
                    add(next, to: &following)
                }
            }
            swap(&current, &following)
            if current.members.isEmpty { return false }
        }
        return holdsAccept(current)
    }

    /// Whether some text that begins so is covered.
    package func canBegin(with bytes: [UInt8]) -> Bool {
        var current = StateList(count: states.count)
        var following = StateList(count: states.count)
        add(start, to: &current)
        for byte in bytes {
            following.removeAll()
            for state in current.members {
                if case .bytes(let set, let next) = states[state], set.contains(byte) { add(next, to: &following) }
            }
            swap(&current, &following)
        }
        return !current.members.isEmpty
    }

    private func isBoundary(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ":") || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "?")
    }

    private func afterScheme(_ bytes: [UInt8], _ range: Range<Int>) -> Int {
        bytes[range].firstIndex(of: UInt8(ascii: ":")).map { $0 + 1 } ?? range.lowerBound
    }

    private func holdsAccept(_ list: StateList) -> Bool { list.members.contains { states[$0] == .accept } }

    /// Adds a state and all that follow it without a byte.
    private func add(_ state: Int, to list: inout StateList) {
        var open = [state]
        while let next = open.popLast() {
            guard list.insert(next) else { continue }
            if case .split(let first, let second) = states[next] { open += [second, first] }
        }
    }
}

/// A set of states that keeps its members in a list, so that clearing costs what is in it.
private struct StateList {
    private(set) var members: [Int] = []
    private var isMember: [Bool]

    init(count: Int) { isMember = Array(repeating: false, count: count) }

    mutating func insert(_ state: Int) -> Bool {
        guard !isMember[state] else { return false }
        isMember[state] = true
        members.append(state)
        return true
    }

    mutating func removeAll() {
        for member in members { isMember[member] = false }
        members.removeAll(keepingCapacity: true)
    }
}

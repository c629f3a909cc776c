// Compiles the text of a `RoutePattern` into states, back to front: every piece is given the state that follows it and
// answers the state it begins with. Recursive descent, bounded depth; every refusal says what was not understood.
//
//     alternatives = sequence *( "|" sequence )       sequence = *( atom [ "*" / "+" / "?" ] )
//     atom = "(" alternatives ")" / "[" set "]" / "." / "\" byte / byte

struct RoutePatternCompiler {
    typealias PatternError = RoutePattern.PatternError

    private indirect enum Piece {
        case bytes(RoutePattern.ByteSet)
        case sequence([Piece])
        case alternatives([Piece])
        case repeated(Piece, min: Int, isUnbounded: Bool)
    }

    private let text: [UInt8]
    private var position = 0
    private var depth = 0
    /// Nothing but beginnings of groups and choices stands before `position`.
    private var isAtStart = true
    private(set) var states: [RoutePattern.State] = [.accept]

    init(_ text: [UInt8]) {
        self.text = text
    }

    /// The first state.
    mutating func compile() throws(PatternError) -> Int {
        guard text.contains(where: { $0 != UInt8(ascii: "^") && $0 != UInt8(ascii: "$") }) else {
            throw PatternError(reason: "is empty")
        }
        guard text.count <= RoutePattern.sizeLimit else {
            throw PatternError(reason: "is longer than \(RoutePattern.sizeLimit) bytes")
        }
        let piece = try alternatives()
        guard position == text.count else { throw PatternError(reason: "')' without '('") }
        return try emit(piece, next: 0)
    }

    private mutating func alternatives() throws(PatternError) -> Piece {
        let begins = isAtStart
        var choices = [try sequence()]
        while position < text.count, text[position] == UInt8(ascii: "|") {
            position += 1
            isAtStart = begins
            choices.append(try sequence())
        }
        return choices.count == 1 ? choices[0] : .alternatives(choices)
    }

    private mutating func sequence() throws(PatternError) -> Piece {
        var pieces: [Piece] = []
        // A pattern covers the whole text, so an anchor at its end, or at that of a choice, says nothing more.
        if isAtStart, position < text.count, text[position] == UInt8(ascii: "^") { position += 1 }
        while position < text.count, text[position] != UInt8(ascii: "|"), text[position] != UInt8(ascii: ")") {
            if text[position] == UInt8(ascii: "$"), isEnd(position + 1) {
                position += 1
                break
            }
            var piece = try atom()
            isAtStart = false
            var isRepeated = false
            while position < text.count, let (least, isUnbounded) = Self.repetition(text[position]) {
                guard !isRepeated else { throw PatternError(reason: "two repetitions in a row") }
                isRepeated = true
                piece = .repeated(piece, min: least, isUnbounded: isUnbounded)
                position += 1
            }
            pieces.append(piece)
        }
        return .sequence(pieces)
    }

    /// Nothing but ends of groups, and other choices, stands from here on.
    private func isEnd(_ start: Int) -> Bool {
        var at = start
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: ")"): at += 1
            case UInt8(ascii: "|"): at = endOfGroup(from: at)
            default: return false
            }
        }
        return true
    }

    /// Where the group that `start` is in ends: at its parenthesis, or with the text.
    private func endOfGroup(from start: Int) -> Int {
        var at = start
        var depth = 0
        var isInSet = false
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "\\"): at += 1
            case UInt8(ascii: "["): isInSet = true
            case UInt8(ascii: "]"): isInSet = false
            case UInt8(ascii: "(") where !isInSet: depth += 1
            case UInt8(ascii: ")") where !isInSet:
                if depth == 0 { return at }
                depth -= 1
            default: break
            }
            at += 1
        }
        return text.count
    }

    private static func repetition(_ byte: UInt8) -> (Int, Bool)? {
        switch byte {
        case UInt8(ascii: "*"): (0, true)
        case UInt8(ascii: "+"): (1, true)
        case UInt8(ascii: "?"): (0, false)
        default: nil
        }
    }

    private mutating func atom() throws(PatternError) -> Piece {
        let byte = text[position]
        position += 1
        switch byte {
        case UInt8(ascii: "("):
            if position < text.count, text[position] == UInt8(ascii: "?") {
                throw PatternError(reason: "'(?' is not available; write a group as ( )")
            }
            guard depth < 32 else { throw PatternError(reason: "groups nested more than 32 deep") }
            depth += 1
            let piece = try alternatives()
            depth -= 1
            guard position < text.count, text[position] == UInt8(ascii: ")") else {
                throw PatternError(reason: "'(' without ')'")
            }
            position += 1
            return piece
        case UInt8(ascii: "["): return .bytes(try set())
        case UInt8(ascii: "."):
            var all = RoutePattern.ByteSet()
            all.invert()
            return .bytes(all)
        case UInt8(ascii: "\\"): return .bytes(try escaped())
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
            let sign = Character(Unicode.Scalar(byte))
            throw PatternError(reason: "'\(sign)' has nothing to repeat; write \\\(sign) for the character")
        case UInt8(ascii: "{"), UInt8(ascii: "}"):
            throw PatternError(reason: "counted repetition is not available; write \\{ for the character")
        case UInt8(ascii: "^"), UInt8(ascii: "$"):
            throw PatternError(
                reason:
                    "'^' and '$' belong at the ends; a pattern covers the whole URI; write \\^ or \\$ for the character"
            )
        default:
            var set = RoutePattern.ByteSet()
            set.insert(byte)
            return .bytes(set)
        }
    }

    private mutating func escaped() throws(PatternError) -> RoutePattern.ByteSet {
        guard position < text.count else { throw PatternError(reason: "ends with a lone backslash") }
        let byte = text[position]
        position += 1
        guard !Self.isLetterOrDigit(byte) else {
            throw PatternError(
                reason: "'\\\(Character(Unicode.Scalar(byte)))' is not available; write a set like [0-9]")
        }
        var set = RoutePattern.ByteSet()
        set.insert(byte)
        return set
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }

    private mutating func set() throws(PatternError) -> RoutePattern.ByteSet {
        var set = RoutePattern.ByteSet()
        let isInverted = position < text.count && text[position] == UInt8(ascii: "^")
        if isInverted { position += 1 }
        var isFirst = true
        while position < text.count, isFirst || text[position] != UInt8(ascii: "]") {
            isFirst = false
            if text[position] == UInt8(ascii: "["), position + 1 < text.count, text[position + 1] == UInt8(ascii: ":") {
                throw PatternError(reason: "'[:' is not available; write the ranges, like [A-Za-z0-9]")
            }
            let low = try setByte()
            var high = low
            let hasRange =
                position + 1 < text.count && text[position] == UInt8(ascii: "-")
                && text[position + 1] != UInt8(ascii: "]")
            if hasRange {
                position += 1
                high = try setByte()
            }
            guard low <= high else { throw PatternError(reason: "a range in [ ] runs backwards") }
            for byte in low...high { set.insert(byte) }
        }
        guard position < text.count else { throw PatternError(reason: "'[' without ']'") }
        position += 1
        if isInverted { set.invert() }
        return set
    }

    private mutating func setByte() throws(PatternError) -> UInt8 {
        if text[position] == UInt8(ascii: "\\") {
            position += 1
            // The same characters as outside of a set.
            if position < text.count, Self.isLetterOrDigit(text[position]) {
                let name = Character(Unicode.Scalar(text[position]))
                throw PatternError(reason: "'\\\(name)' is not available in [ ]; write a range like 0-9")
            }
        }
        guard position < text.count else { throw PatternError(reason: "ends with a lone backslash") }
        defer { position += 1 }
        return text[position]
    }

    private mutating func append(_ state: RoutePattern.State) throws(PatternError) -> Int {
        guard states.count < RoutePattern.stateLimit else {
            throw PatternError(reason: "needs more than \(RoutePattern.stateLimit) states")
        }
        states.append(state)
        return states.count - 1
    }

    private mutating func emit(_ piece: Piece, next: Int) throws(PatternError) -> Int {
        switch piece {
        case .bytes(let set): return try append(.bytes(set, next: next))
        case .sequence(let pieces):
            var following = next
            for piece in pieces.reversed() { following = try emit(piece, next: following) }
            return following
        case .alternatives(let choices):
            var first = try emit(choices[choices.count - 1], next: next)
            for choice in choices.dropLast().reversed() {
                first = try append(.split(try emit(choice, next: next), first))
            }
            return first
        case .repeated(let piece, let least, let isUnbounded):
            guard isUnbounded else { return try append(.split(try emit(piece, next: next), next)) }
            let loop = try append(.split(0, next))
            let body = try emit(piece, next: loop)
            states[loop] = .split(body, next)
            return least == 0 ? loop : body
        }
    }
}

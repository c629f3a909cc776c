// PseudoVariable is a name of Kamailio's for something of the message, its transaction, the node or the script:
//
//     $ru     $hdr(User-Agent)     $(hdr(Via)[1])     $(ru{uri.user}{s.len})     $xavp(a=>b)     $sht(t=>$si)
//             └name┘└ argument ┘             └index     └ transformations ┘
//
// A text is parsed once and kept (`PseudoVariableTable`); what a name means is one line of a table, in
// PseudoVariable+Names and PseudoVariable+Stores.
//
// Limits: 256 bytes a variable, 8 transformations, 512 different texts kept; beyond that a text is parsed each time.

internal import Dialogs
internal import Primitives

package struct PseudoVariable: Equatable, Sendable {
    package static let sizeLimit = 256
    package static let transformationLimit = 8

    /// Which of several: the top, one by its number (from the end where it is negative), or all.
    package enum Place: Equatable, Sendable {
        case top
        case at(Int)
        case all
    }

    var kind: Kind
    /// What stands in parentheses.
    var argument: [UInt8] = []
    var place = Place.top
    var transformations: [Transformation] = []
    /// A key of a table that is itself a format; the variable that is read of a response.
    var key: [RouteFormat.Part] = []

    enum Kind: Equatable, Sendable {
        /// By its line in the table of names.
        case plain(Int)
        case header, headerCount, avp, variable, shared, table, record(RouteState.RecordKind), transaction, null
        case branch, expires, credentials, contacts, reply
        case dialog(DialogField), dialogContext(DialogContextField), dialogVariable
        /// Before its argument is read.
        case dialogPart, dialogContextPart
        case sending(SendingField), sendingPart
    }

    /// `nil` for what is none, or none that is known here.
    package init?(_ text: [UInt8]) {
        var scanner = Scanner(text)
        guard text.count <= Self.sizeLimit, let variable = scanner.variable(), scanner.isAtEnd else { return nil }
        self = variable
    }

    init(kind: Kind) { self.kind = kind }

    /// Every name that is known, for the manual.
    package static let names: [String] =
        (plainNames.map { "\($0.name)" } + stores.map { "\($0.name)(…)" }).sorted()

    static func kind(_ name: ArraySlice<UInt8>, hasArgument: Bool) -> Kind? {
        let bytes = Array(name)
        if hasArgument, let store = stores.first(where: { Text.equals(bytes, ByteRange(bytes), $0.name) }) {
            return store.kind
        }
        if Text.equals(bytes, ByteRange(bytes), "null") { return .null }
        return plainNames.firstIndex { Text.equals(bytes, ByteRange(bytes), $0.name) }.map { .plain($0) }
    }

    /// Reads variables out of a text, one after the other.
    struct Scanner {
        let text: [UInt8]
        var position = 0

        init(_ text: [UInt8]) { self.text = text }

        var isAtEnd: Bool { position == text.count }
        private var next: UInt8? { position < text.count ? text[position] : nil }

        private mutating func take(_ byte: UInt8) -> Bool {
            guard next == byte else { return false }
            position += 1
            return true
        }

        /// The variable whose `$` is next; the position stays where there is none.
        mutating func variable() -> PseudoVariable? {
            let start = position
            guard take(0x24) else { return nil }
            let isWrapped = take(0x28)
            guard var variable = name() else {
                position = start
                return nil
            }
            guard isWrapped else { return variable }
            guard readPlace(&variable), readTransformations(&variable), take(0x29) else {
                position = start
                return nil
            }
            return variable
        }

        private mutating func name() -> PseudoVariable? {
            let start = position
            while let byte = next, byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x5F { position += 1 }
            guard position > start else { return nil }
            let name = text[start..<position]
            var argument: [UInt8]?
            if next == 0x28 {
                guard let inner = enclosed(0x28, 0x29) else { return nil }
                argument = inner
            }
            guard let kind = PseudoVariable.kind(name, hasArgument: argument != nil) else { return nil }
            if case .plain = kind, argument != nil { return nil }
            var variable = PseudoVariable(kind: kind)
            variable.argument = argument ?? []
            return variable.prepared() ? variable : nil
        }

        /// What stands between brackets, nested ones included.
        private mutating func enclosed(_ open: UInt8, _ close: UInt8) -> [UInt8]? {
            let start = position + 1
            var depth = 0
            while let byte = next {
                position += 1
                if byte == open { depth += 1 }
                if byte == close {
                    depth -= 1
                    if depth == 0 { return Array(text[start..<(position - 1)]) }
                }
            }
            return nil
        }

        private mutating func readPlace(_ variable: inout PseudoVariable) -> Bool {
            guard next == 0x5B else { return true }
            guard let inner = enclosed(0x5B, 0x5D) else { return false }
            if inner == [0x2A] {
                variable.place = .all
                return true
            }
            guard let number = RouteText.leadingNumber(inner) else { return false }
            variable.place = .at(number)
            return true
        }

        private mutating func readTransformations(_ variable: inout PseudoVariable) -> Bool {
            while next == 0x7B {
                guard variable.transformations.count < PseudoVariable.transformationLimit,
                    let inner = enclosed(0x7B, 0x7D), let transformation = Transformation(inner)
                else { return false }
                variable.transformations.append(transformation)
            }
            return true
        }
    }

    /// Reads what the kind wants of its argument.
    private mutating func prepared() -> Bool {
        switch kind {
        case .plain, .null, .dialog, .dialogContext, .sending: return true
        case .sendingPart:
            guard let field = SendingField(rawValue: argument.shown) else { return false }
            kind = .sending(field)
            return true
        case .dialogPart:
            guard let field = DialogField(rawValue: argument.shown) else { return false }
            kind = .dialog(field)
            return true
        case .dialogContextPart:
            guard let field = DialogContextField(rawValue: argument.shown) else { return false }
            kind = .dialogContext(field)
            return true
        case .header, .headerCount, .avp, .variable, .shared, .record, .transaction, .branch, .expires, .credentials,
            .dialogVariable:
            if kind == .avp, argument.count > 2, argument[1] == 0x3A, argument[0] == 0x73 || argument[0] == 0x69 {
                // $avp(s:name) and $avp(i:5) of old scripts.
                argument.removeFirst(2)
            }
            return !argument.isEmpty
        case .contacts: return Self.contactField(argument) != nil
        case .reply:
            key = RouteFormat(argument).parts
            guard key.count == 1, case .variable = key[0] else { return false }
            return true
        case .table:
            guard let arrow = RouteText.find([0x3D, 0x3E], in: argument) else { return false }
            key = RouteFormat(Array(argument[(arrow + 2)...])).parts
            argument = Array(argument[..<arrow])
            return !argument.isEmpty && !key.isEmpty
        }
    }
}

/// A text with pseudo-variables in it, as log lines and keys of tables are written. `$$` is a dollar sign; what is no
/// variable stays as it is.
package struct RouteFormat: Equatable, Sendable {
    enum Part: Equatable, Sendable {
        case text([UInt8])
        indirect case variable(PseudoVariable)
    }

    let parts: [Part]

    package init(_ text: [UInt8]) {
        var scanner = PseudoVariable.Scanner(text)
        var (parts, plain): ([Part], [UInt8]) = ([], [])
        while !scanner.isAtEnd {
            if let variable = scanner.variable() {
                if !plain.isEmpty { parts.append(.text(plain)) }
                plain = []
                parts.append(.variable(variable))
                continue
            }
            let byte = text[scanner.position]
            scanner.position += 1
            if byte == 0x24, scanner.position < text.count, text[scanner.position] == 0x24 { scanner.position += 1 }
            plain.append(byte)
        }
        if !plain.isEmpty { parts.append(.text(plain)) }
        self.parts = parts
    }
}

/// Texts that were parsed before.
package struct PseudoVariableTable: Sendable {
    package static let limit = 512

    private var known: [[UInt8]: PseudoVariable?] = [:]

    private struct Recent: Sendable {
        var text: [UInt8] = []
        var variable: PseudoVariable?
    }

    /// The last ones, each where its text says without being hashed. A text that is given again is the same array as a
    /// rule, and then it is compared at once.
    private var recent = [Recent](repeating: Recent(), count: 64)

    package init() {}

    package mutating func find(_ text: [UInt8]) -> PseudoVariable? {
        guard let last = text.last else { return nil }
        let slot = (text.count &* 13 &+ Int(last) &+ 7 &* Int(text[text.count / 2])) & 63
        if recent[slot].text == text { return recent[slot].variable }
        let variable = look(up: text)
        recent[slot] = Recent(text: text, variable: variable)
        return variable
    }

    private mutating func look(up text: [UInt8]) -> PseudoVariable? {
        if let variable = known[text] { return variable }
        let variable = PseudoVariable(text)
        if known.count < Self.limit { known[text] = .some(variable) }
        return variable
    }
}

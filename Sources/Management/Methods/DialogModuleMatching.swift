// `dlg.briefing` and `dlg.list_match`: short lists, and those dialogs that one field picks out.

import Glibc
import Node

enum DialogModuleBriefing: RPCMethod {
    static let name = "dlg.briefing"
    static let parameters = ["[format]"]
    static let summary = """
        A few fields of every live dialog, by letters in their order: f From URI, t To URI, c Call-ID, F From tag, \
        T To tag, I birth, S answer, E end, s state; without any, ftcFT.
        """
    static let errors: [String] = []
    static let example = #"["ftcFT"]"#

    /// A format that is longer says the same again.
    static let formatLimit = 64

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let format = arguments.scannedText(0) ?? "ftcFT"
        let dialogs = try await DialogModule.all(in: context)
        let now = context.unixSeconds()
        return .array(
            dialogs.map { dialog in
                let whole = DialogModule.json(dialog, now: now)
                var members: [JSONValue.Member] = ["h_entry", "h_id"].map { .init($0, whole[$0] ?? .null) }
                for letter in format.prefix(formatLimit) {
                    guard let member = member(letter, dialog, whole, context.process.showsDefects) else { continue }
                    members.append(member)
                }
                return .object(members)
            })
    }

    private static func member(
        _ letter: Character, _ dialog: DialogReport, _ whole: JSONValue, _ showsDefects: Bool
    ) -> JSONValue.Member? {
        func copied(_ name: String) -> JSONValue.Member { .init(name, whole[name] ?? .null) }
        switch letter {
        case "f": return copied("from_uri")
        case "t": return copied("to_uri")
        case "c": return copied("call-id")
        case "F": return .init("from_tag", .string(dialog.fromTag))
        case "T": return .init("to_tag", .string(showsDefects ? dialog.fromTag : dialog.toTag))
        case "I": return copied("init_ts")
        case "S": return copied("start_ts")
        case "E": return copied("end_ts")
        case "s": return copied("state")
        default: return nil
        }
    }
}

enum DialogModuleMatch: RPCMethod {
    static let name = "dlg.list_match"
    static let parameters = ["mkey", "mop", "mval", "[limit]"]
    static let summary = """
        The live dialogs that match: key ruri, furi, turi, callid or start_ts; operator eq, re (a POSIX expression, \
        any case) or sw, for start_ts eq, gt or lt; value a text; limit 0 is none.
        """
    static let errors = [
        "404 Not found", "500 Invalid parameters", "500 Invalid matching key parameter",
        "500 Invalid matching operator parameter", "500 Invalid matching value parameter",
        "500 Matching operator not supported", "500 Matching operator not supported with start_ts key",
    ]
    static let example = #"["furi","sw","sip:alice@"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let now = context.unixSeconds()
        let condition = try Condition(arguments)
        let limit = arguments.scannedInteger(3) ?? 0
        var found: [JSONValue] = []
        for dialog in try await DialogModule.all(in: context) where condition.takes(dialog, now: now) {
            if limit > 0, found.count >= limit { break }
            found.append(DialogModule.json(dialog, now: now))
        }
        guard !found.isEmpty else { throw RPCError(404, "Not found") }
        return .array(found)
    }

    struct Condition {
        enum Key: String { case ruri, furi, turi, callid, startTime = "start_ts" }
        enum Operation: String { case equal = "eq", expression = "re", start = "sw", greater = "gt", less = "lt" }

        private let key: Key
        private let operation: Operation
        private let value: String
        private let number: Int64
        private let expression: PosixExpression?

        init(_ arguments: RPCArguments) throws(RPCError) {
            guard let key = arguments.scannedText(0), let operation = arguments.scannedText(1),
                let value = arguments.scannedWord(2)
            else { throw RPCError(500, "Invalid parameters") }
            guard let key = Key(rawValue: key) else { throw RPCError(500, "Invalid matching key parameter") }
            guard let operation = Operation(rawValue: operation) else {
                throw RPCError(500, "Invalid matching operator parameter")
            }
            (self.key, self.operation, self.value) = (key, operation, value)
            var (number, expression): (Int64, PosixExpression?) = (0, nil)
            switch (key, operation) {
            case (.startTime, .equal), (.startTime, .greater), (.startTime, .less):
                guard let read = Int64(value) else { throw RPCError(500, "Invalid matching value parameter") }
                number = read
            case (.startTime, _): throw RPCError(500, "Matching operator not supported with start_ts key")
            case (_, .greater), (_, .less): throw RPCError(500, "Matching operator not supported")
            case (_, .expression):
                guard let made = PosixExpression(value) else {
                    throw RPCError(500, "Invalid matching value parameter")
                }
                expression = made
            case (_, .equal), (_, .start): break
            }
            (self.number, self.expression) = (number, expression)
        }

        func takes(_ dialog: DialogReport, now: Int64) -> Bool {
            let text: String
            switch key {
            case .startTime:
                let start = DialogModule.json(dialog, now: now)["start_ts"]?.whole ?? 0
                return operation == .equal ? start == number : operation == .greater ? start > number : start < number
            case .ruri: text = dialog.requestURI
            case .furi: text = DialogModule.uri(dialog.from)
            case .turi: text = DialogModule.uri(dialog.to)
            case .callid: text = dialog.callID
            }
            switch operation {
            case .equal: return text == value
            case .start: return text.hasPrefix(value)
            case .expression: return expression?.matches(text) ?? false
            case .greater, .less: return false
            }
        }
    }
}

enum DialogModuleMatchContext: RPCMethod {
    static let name = "dlg.list_match_ctx"
    static let parameters = DialogModuleMatch.parameters
    static let summary = "The same; no module of this program adds anything to a dialog."
    static let errors = DialogModuleMatch.errors
    static let example = DialogModuleMatch.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        try await DialogModuleMatch.call(arguments, in: context)
    }
}

/// An extended regular expression of the C library, any case, `^` and `$` at lines.
@safe
final class PosixExpression {
    /// In bytes: what an operator types. A reference to an earlier group makes matching slow, and is refused.
    private static let limit = 256

    private var compiled = unsafe regex_t()

    init?(_ text: String) {
        let bytes = Array(text.utf8)
        let refersBack = zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: "\\") && (48...57).contains($1) }
        guard bytes.count <= Self.limit, !bytes.contains(0), !refersBack else { return nil }
        // Sound: the struct is this object's own, and the text is lent for the call.
        let code = unsafe regcomp(&compiled, text, REG_EXTENDED | REG_ICASE | REG_NEWLINE | REG_NOSUB)
        guard code == 0 else { return nil }
        isCompiled = true
    }

    private var isCompiled = false

    deinit {
        // Sound: what regcomp has made is freed once.
        if isCompiled { unsafe regfree(&compiled) }
    }

    func matches(_ text: String) -> Bool {
        // Sound: as above.
        unsafe regexec(&compiled, text, 0, nil, 0) == 0
    }
}

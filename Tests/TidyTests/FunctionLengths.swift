// How long functions are, from the line of `func`, `init` or `deinit` to that of its closing brace.
//
// A reader of tokens, not a parser: from the keyword it looks for the first `{` outside parentheses and brackets, and
// for the brace that closes it. A requirement in a protocol has no body; there the next function's keyword, or the
// brace that closes the protocol, comes first. Closures count with the function that they stand in.

enum FunctionLengths {
    struct Function: Equatable {
        var name: String
        var line: Int
        var length: Int
    }

    /// Functions with a body, in order of their keyword.
    static func functions(in text: String) -> [Function] {
        let code = Array(CodeText.code(of: text).utf8)
        var result: [Function] = []
        var line = 1
        var position = 0
        while position < code.count {
            if code[position] == UInt8(ascii: "\n") { line += 1 }
            if let name = declaration(code, position) {
                if let end = bodyEnd(code, after: position + name.keyword) {
                    let length = code[position...end].count { $0 == UInt8(ascii: "\n") } + 1
                    result.append(Function(name: name.text, line: line, length: length))
                }
                position += name.keyword
            } else {
                position += 1
            }
        }
        return result
    }

    static func tooLong(_ file: SourceFile) -> [Complaint] {
        functions(in: file.text).filter { $0.length > Checks.functionLimit }.map {
            Complaint(
                path: file.path, line: $0.line,
                text: "\($0.name) has \($0.length) lines; \(Checks.functionLimit) at most")
        }
    }

    /// The keyword's length and the function's name, when a declaration begins here.
    private static func declaration(_ code: [UInt8], _ position: Int) -> (keyword: Int, text: String)? {
        guard position == 0 || !isWord(code[position - 1]), position == 0 || code[position - 1] != UInt8(ascii: ".")
        else {
            return nil
        }
        if matches(code, position, funcKeyword) {
            let rest = code[(position + 5)...].prefix { $0 != UInt8(ascii: "(") && $0 != UInt8(ascii: "<") }
            return (5, String(decoding: rest, as: UTF8.self))
        }
        if initKeywords.contains(where: { matches(code, position, $0) }) {
            // A call such as `self.init(` or `Type.init(` has a dot before it; a delegation in a body has no body of
            // its own.
            return isDeclarationStart(code, position) ? (4, "init") : nil
        }
        return matches(code, position, deinitKeyword) ? (6, "deinit") : nil
    }

    /// Only modifiers and attributes stand before it on its line.
    private static func isDeclarationStart(_ code: [UInt8], _ position: Int) -> Bool {
        let before = code[..<position].suffix(while: { $0 != UInt8(ascii: "\n") })
        return before.allSatisfy { isWord($0) || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "@") }
    }

    /// The offset of the brace that closes the body; `nil` for a declaration without one.
    private static func bodyEnd(_ code: [UInt8], after start: Int) -> Int? {
        var nesting = 0
        var braces = 0
        for index in start..<code.count {
            switch code[index] {
            case UInt8(ascii: "("), UInt8(ascii: "["): nesting += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): nesting -= 1
            case UInt8(ascii: "{") where nesting == 0 || braces > 0: braces += 1
            case UInt8(ascii: "}") where braces > 0:
                braces -= 1
                if braces == 0 { return index }
            case UInt8(ascii: "}") where nesting == 0: return nil
            case UInt8(ascii: "f") where braces == 0 && nesting == 0:
                if matches(code, index, funcKeyword), !isWord(code[index - 1]) { return nil }
            default: break
            }
        }
        return nil
    }

    private static func matches(_ code: [UInt8], _ position: Int, _ text: [UInt8]) -> Bool {
        guard position + text.count <= code.count, code[position] == text[0] else { return false }
        return code[position..<position + text.count].elementsEqual(text)
    }

    private static let funcKeyword = Array("func ".utf8)
    private static let initKeywords = ["init(", "init?(", "init<"].map { Array($0.utf8) }
    private static let deinitKeyword = Array("deinit ".utf8)

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95
    }
}

extension ArraySlice<UInt8> {
    /// The elements at the end that all satisfy a condition.
    fileprivate func suffix(while condition: (UInt8) -> Bool) -> ArraySlice<UInt8> {
        var start = endIndex
        while start > startIndex, condition(self[start - 1]) { start -= 1 }
        return self[start...]
    }
}

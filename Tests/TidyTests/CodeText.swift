// Swift source with its comments and the contents of its strings blanked out, line for line and column for column, so
// that a check for `print(` does not stumble over a comment that speaks of print().
//
//     code ──"//"──▶ line comment ──newline──▶ code        code ──"/*"──▶ block comment, nested ──"*/"──▶ code
//       └──quote──▶ string ──quote──▶ code                 three quotes open and close a string of several lines
//
// Limits: the code inside an interpolation is blanked with its string, and raw strings with a backslash before the
// closing quote may end late. A check may then miss something; it never complains without reason.

struct CodeText {
    private enum State: Equatable {
        case code, lineComment, string, longString
        case blockComment(depth: Int)
    }

    private let bytes: [UInt8]
    private var position = 0
    private var state = State.code
    private var result: [UInt8] = []

    /// The code of a source text.
    static func code(of text: String) -> String {
        var scanner = CodeText(bytes: Array(text.utf8))
        while scanner.position < scanner.bytes.count { scanner.step() }
        return String(decoding: scanner.result, as: UTF8.self)
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
        result.reserveCapacity(bytes.count)
    }

    private func starts(_ first: Unicode.Scalar, _ second: Unicode.Scalar? = nil, _ third: Unicode.Scalar? = nil)
        -> Bool
    {
        byte(at: position, is: first)
            && (second.map { byte(at: position + 1, is: $0) } ?? true)
            && (third.map { byte(at: position + 2, is: $0) } ?? true)
    }

    private func byte(at index: Int, is scalar: Unicode.Scalar) -> Bool {
        index < bytes.count && bytes[index] == UInt8(ascii: scalar)
    }

    private mutating func take(_ count: Int, keep: Bool) {
        for byte in bytes[position..<min(position + count, bytes.count)] {
            result.append(keep || byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
        }
        position = min(position + count, bytes.count)
    }

    private mutating func step() {
        switch state {
        case .code: stepInCode()
        case .lineComment:
            if starts("\n") { state = .code }
            take(1, keep: false)
        case .blockComment(let depth):
            if starts("/", "*") {
                state = .blockComment(depth: depth + 1)
                take(2, keep: false)
            } else if starts("*", "/") {
                state = depth == 1 ? .code : .blockComment(depth: depth - 1)
                take(2, keep: false)
            } else {
                take(1, keep: false)
            }
        case .string:
            if starts("\\") {
                take(2, keep: false)
            } else {
                if starts("\"") || starts("\n") { state = .code }
                take(1, keep: false)
            }
        case .longString:
            if starts("\\") {
                take(2, keep: false)
            } else if starts("\"", "\"", "\"") {
                state = .code
                take(3, keep: false)
            } else {
                take(1, keep: false)
            }
        }
    }

    private mutating func stepInCode() {
        if starts("/", "/") {
            state = .lineComment
            take(2, keep: false)
        } else if starts("/", "*") {
            state = .blockComment(depth: 1)
            take(2, keep: false)
        } else if starts("\"", "\"", "\"") {
            state = .longString
            take(3, keep: false)
        } else if starts("\"") {
            state = .string
            take(1, keep: false)
        } else {
            take(1, keep: true)
        }
    }
}

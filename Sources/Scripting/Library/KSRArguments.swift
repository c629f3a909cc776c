// What a script gave to a function: values that lie on Lua's stack, lent for the call and read where they lie when they
// are asked for.
//
// Most texts are literals of the script, and Lua keeps each of those in one place for as long as the script lives. So
// the copy that was made of one serves again (`KnownTexts`), and whoever looks for it by its place finds it
// (`PseudoVariableTable`).

internal import CLua
package import Routes

@safe package struct KSRArguments {
    private let values: [RouteValue]
    private let lent: UnsafePointer<clua_value>?
    private let first: Int
    private let count: Int
    private unowned(unsafe) let texts: KnownTexts?

    /// - Parameters:
    ///   - lent: Values of Lua's, good until the call ends.
    ///   - texts: Outlives it.
    init(lent: UnsafePointer<clua_value>, _ count: Int, _ texts: KnownTexts) {
        values = []
        unsafe self.lent = unsafe lent
        first = 0
        self.count = count
        unsafe self.texts = texts
    }

    /// Values of nobody's stack.
    package init(_ values: [RouteValue] = []) {
        self.values = values
        unsafe lent = nil
        first = 0
        count = values.count
        unsafe texts = nil
    }

    private init(_ whole: KSRArguments, from first: Int) {
        values = whole.values
        unsafe lent = unsafe whole.lent
        self.first = first
        count = whole.count
        unsafe texts = unsafe whole.texts
    }

    package var isEmpty: Bool { count <= first }

    /// All but the first.
    package func dropFirst() -> KSRArguments { KSRArguments(self, from: first + 1) }

    /// As text: empty for what has none, what is true or false, and what was not given.
    package func text(_ index: Int) -> [UInt8] {
        let place = first + index
        guard place < count else { return [] }
        if let value = unsafe lent {
            let kind = unsafe value[place].kind
            if kind == CLUA_TEXT.asInt32, let start = unsafe value[place].text {
                let text = unsafe UnsafeBufferPointer(start: start, count: value[place].count)
                return unsafe texts?.find(text) ?? Array(text)
            }
            if kind == CLUA_BOOLEAN.asInt32 { return [] }
            return unsafe RouteValue(value[place]).bytes
        }
        if case .flag = values[place] { return [] }
        return values[place].bytes
    }

    /// As a number: 0 for what has none, what is true or false, and what was not given.
    package func number(_ index: Int) -> Int {
        let place = first + index
        guard place < count else { return 0 }
        if let value = unsafe lent {
            if unsafe value[place].kind == CLUA_INTEGER.asInt32 { return Int(unsafe value[place].integer) }
            if unsafe value[place].kind == CLUA_BOOLEAN.asInt32 { return 0 }
            return unsafe RouteValue(value[place]).number
        }
        if case .flag = values[place] { return 0 }
        return values[place].number
    }
}

extension RouteValue {
    init(_ value: clua_value) {
        switch unsafe value.kind {
        case CLUA_BOOLEAN.asInt32: self = .flag(unsafe value.integer != 0)
        case CLUA_INTEGER.asInt32: self = .integer(Int(unsafe value.integer))
        case CLUA_NUMBER.asInt32:
            // A whole number is written without its point, as Lua 5.1 does.
            let number = unsafe value.number
            self = Int(exactly: number).map { .integer($0) } ?? .text(Array("\(number)".utf8))
        case CLUA_TEXT.asInt32:
            let bytes = unsafe UnsafeBufferPointer(start: value.text, count: value.count)
            self = .text(unsafe Array(bytes))
        default: self = .null
        }
    }
}

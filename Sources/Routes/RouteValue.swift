// RouteValue is what a function or a pseudo-variable answers to a script, and what a script gives to one.

internal import Primitives

package enum RouteValue: Hashable, Sendable {
    /// Of a function that has no result.
    case nothing
    /// A pseudo-variable without a value.
    case null
    case integer(Int)
    case flag(Bool)
    case text([UInt8])
    indirect case table([Entry])

    package struct Entry: Hashable, Sendable {
        package var key: RouteValue
        package var value: RouteValue

        package init(_ key: RouteValue, _ value: RouteValue) {
            self.key = key
            self.value = value
        }
    }

    /// What a function that only says yes or no answers: 1, or -1.
    package static func answer(_ isYes: Bool) -> RouteValue { .integer(isYes ? 1 : -1) }

    package static func text(_ text: StaticString) -> RouteValue { .text([UInt8](copying: text)) }

    package var isNull: Bool { self == .null }

    /// As text: a number in decimal; empty for what has none.
    package var bytes: [UInt8] {
        switch self {
        case .text(let bytes): bytes
        case .integer(let number): Array(String(number).utf8)
        case .flag(let flag): [UInt8](copying: flag ? "true" : "false")
        case .nothing, .null, .table: []
        }
    }

    /// As a number: the one that a text begins with, 0 for what has none.
    package var number: Int {
        switch self {
        case .integer(let number): number
        case .flag(let flag): flag ? 1 : 0
        case .text(let bytes): RouteText.leadingNumber(bytes) ?? 0
        case .nothing, .null, .table: 0
        }
    }
}

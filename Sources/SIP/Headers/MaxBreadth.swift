// Max-Breadth (RFC 5393 §5): how many branches all proxies together may have at once for one request. A proxy hands out
// what it got, so forking grows a request's copies to the sum and not to the power.
//
//     Max-Breadth: 60 ──fork to three──▶ 20, 20, 20        2 ──fork to three──▶ 1, 1, and the third later or never

internal import Primitives

package enum MaxBreadth {
    /// What a request without the header counts as (RFC 5393 §5.3.3.1).
    package static let assumed = 60

    /// What branch number `index` of `branches` that are tried at once gets; `nil` for a branch that must wait for
    /// another to end. When nobody gets anything the request is answered 440.
    ///
    /// The shares are as equal as they can be, the first ones larger, and add up to at most `breadth`.
    package static func share(of breadth: Int, branch index: Int, of branches: Int) -> Int? {
        guard breadth > 0, branches > 0, index >= 0, index < branches else { return nil }
        let share = breadth / branches + (index < breadth % branches ? 1 : 0)
        return share > 0 ? share : nil
    }
}

extension Message {
    /// Max-Breadth; `nil` when absent. Values beyond 65 535 count as that.
    package func maxBreadth() throws(SIPParseError) -> Int? {
        guard let field = first(.maxBreadth) else { return nil }
        guard let value = Text.decimal(bytes, field.value) else {
            throw SIPParseError(.malformedValue(.maxBreadth), at: Int(field.value.start))
        }
        return Int(min(value, 65_535))
    }
}

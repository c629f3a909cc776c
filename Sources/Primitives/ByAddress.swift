// ByAddress is a field of no size. A type that has one is passed by the address where it lies.
//
// A struct whose fields all have a fixed layout may live in registers, so the compiler loads it before it passes it:
// for a method that is not `mutating`, a copy of the whole value on the stack, each time, when its owner may change it.
// That is 2 KB for each question put to a proxy. The one element type of which the compiler may not assume that is an
// existential, and an array of none of them is as much as it needs to know. Nothing is stored, and no existential is
// ever made.
//
// For machines and large records that are changed in place and asked often. It has a price where a value is copied:
// through its value witnesses, field by field; whoever has such a field is not copied on the hot path.

public struct ByAddress: Sendable, Hashable {
    @usableFromInline let nothing: InlineArray<0, any Sendable>

    @inlinable
    public init() {
        nothing = InlineArray { (_: Int) -> any Sendable in 0 }
    }

    /// There is only one.
    @inlinable
    public static func == (left: ByAddress, right: ByAddress) -> Bool { true }

    @inlinable
    public func hash(into hasher: inout Hasher) {}
}

// ToldFacts is what a process told of one record, where it lies in its message, until it is joined.

internal import Primitives

struct ToldFacts {
    let did: UInt64
    let bytes: [UInt8]
    let range: Range<Int>
    /// Of the dialog, in milliseconds, when the facts are its whole record; `nil` for a patch.
    let age: Int64?
    let by: MemberID

    init(did: UInt64, bytes: [UInt8], range: Range<Int>, age: Int64?, by: MemberID) {
        self.did = did
        self.bytes = bytes
        self.range = range
        self.age = age
        self.by = by
    }

    /// - Parameter transit: What its message took, in milliseconds; `nil` for a patch.
    init(_ item: RecordItem, in bytes: [UInt8], age transit: Int64?, by member: MemberID) {
        self.init(
            did: item.did, bytes: bytes, range: item.record, age: transit.map { Int64(item.age) + $0 }, by: member)
    }

    /// A patch that has waited for its record.
    init(_ patch: ParkedPatches.Patch) {
        self.init(did: patch.did, bytes: patch.bytes, range: patch.bytes.indices, age: nil, by: patch.from)
    }
}

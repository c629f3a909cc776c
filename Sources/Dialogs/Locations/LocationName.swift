// LocationName is the name of a record of contacts: the address of record, and before it the table that it stands in,
// where that is not `location`.
//
//     bob@example.org     bob     aliases ∥ 0 ∥ bob
//
// A node without a script, and one whose script wants domains, has `user@host`; a script's registrar has the user
// alone, as Kamailio's does until it is told otherwise.

package struct LocationName: Equatable, Sendable {
    package static let usualTable: [UInt8] = Array("location".utf8)

    package var table: [UInt8]
    package var address: [UInt8]

    package init(table: [UInt8] = usualTable, address: [UInt8]) {
        self.table = table
        self.address = address
    }

    /// Reads one that `bytes` has written.
    package init(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: 0) else {
            self.init(address: bytes)
            return
        }
        self.init(table: Array(bytes[..<end]), address: Array(bytes[(end + 1)...]))
    }

    /// `nil` where no record can have it.
    package var bytes: [UInt8]? {
        guard !address.isEmpty, !address.contains(0), !table.isEmpty, !table.contains(0) else { return nil }
        let name = table == Self.usualTable ? address : table + [0] + address
        return name.count <= LocationRecord.nameLimit ? name : nil
    }
}

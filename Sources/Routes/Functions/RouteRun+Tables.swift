// The module htable: entries of the node's hash tables, and many of them at once by names or values.

internal import Primitives

extension RouteRun {
    package func entry(_ table: [UInt8], _ key: [UInt8]) -> RouteValue { memory.value(table, key, at: time.now) }

    package mutating func setEntry(
        _ table: [UInt8], _ key: [UInt8], _ value: RouteValue, lifetime: Int? = nil
    ) throws(RouteFault) -> Bool {
        let seconds = lifetime.map { Duration.seconds(max(0, min($0, 1 << 31))) }
        return try memory.set(table, key, value, lifetime: seconds, at: time.now)
    }

    /// Adds to an entry that is a number.
    /// - Returns: what it is then; -255 where there is no such table or entry, as the module has it.
    package mutating func addToEntry(_ table: [UInt8], _ key: [UInt8], _ amount: Int) throws(RouteFault) -> Int {
        guard case .integer(let before) = entry(table, key) else { return -255 }
        let (sum, overflow) = before.addingReportingOverflow(amount)
        guard !overflow, try memory.set(table, key, .integer(sum), at: time.now) else { return -255 }
        return sum
    }

    /// `eq`, `ne`, `sw` on the names of a table's entries.
    package static func matches(_ operation: [UInt8], _ wanted: [UInt8], _ text: [UInt8]) -> Bool {
        if Text.equals(operation, ByteRange(operation), "eq") { return text == wanted }
        if Text.equals(operation, ByteRange(operation), "ne") { return text != wanted }
        return Text.equals(operation, ByteRange(operation), "sw") && text.starts(with: wanted)
    }

    package func matchesName(_ table: [UInt8], _ operation: [UInt8], _ wanted: [UInt8]) -> Bool {
        if Text.equals(operation, ByteRange(operation), "eq") {
            // The common question, without walking the table.
            return memory.count(table, at: time.now, named: wanted) > 0
        }
        return memory.count(table, at: time.now) { name, _ in Self.matches(operation, wanted, name) } > 0
    }

    package func matchesValue(_ table: [UInt8], _ operation: [UInt8], _ wanted: [UInt8]) -> Bool {
        memory.count(table, at: time.now) { _, value in Self.matches(operation, wanted, value.bytes) } > 0
    }

    package mutating func removeEntries(
        _ table: [UInt8], _ operation: [UInt8], _ wanted: [UInt8], byValue: Bool
    ) -> Bool {
        memory.remove(table) { name, value in Self.matches(operation, wanted, byValue ? value.bytes : name) }
    }
}

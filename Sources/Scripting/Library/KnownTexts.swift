// KnownTexts keeps copies of texts, by the place that they were copied from. A place may have another text by now, so
// the bytes are compared; of three texts whose places meet, the last two stay.
//
// It is asked for each text of each call of a script, so its entries lie at an address of their own: a list that a
// class has is looked at by way of Swift's notes of who looks at what.
//
// Limits: 1024 texts of 64 bytes.

@safe final class KnownTexts {
    static let sizeLimit = 64
    private static let slots = 1_024

    private struct Entry {
        var place: UInt = 0
        var text: [UInt8] = []
    }

    private let entries: UnsafeMutablePointer<Entry>

    init() {
        unsafe entries = UnsafeMutablePointer.allocate(capacity: Self.slots)
        unsafe entries.initialize(repeating: Entry(), count: Self.slots)
    }

    deinit {
        unsafe entries.deinitialize(count: Self.slots)
        unsafe entries.deallocate()
    }

    func find(_ given: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        let place = UInt(bitPattern: given.baseAddress)
        let slot = 2 * Int(truncatingIfNeeded: (place >> 4 ^ place >> 12) & UInt(Self.slots / 2 - 1))
        for index in slot...slot + 1 where unsafe entries[index].place == place {
            if unsafe Self.isSame(entries[index].text, given) { return unsafe entries[index].text }
        }
        let text = unsafe Array(given)
        guard given.count <= Self.sizeLimit else { return text }
        unsafe entries[slot + 1] = unsafe entries[slot]
        unsafe entries[slot] = Entry(place: place, text: text)
        return text
    }

    private static func isSame(_ text: [UInt8], _ given: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.count == given.count else { return false }
        let span = text.span
        for index in span.indices where unsafe span[index] != given[index] { return false }
        return true
    }
}

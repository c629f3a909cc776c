// KnownTexts keeps copies of texts, by the place that they were copied from. A place may have another text by now, so
// the bytes are compared; of two texts whose places meet, the last one stays.
//
// It is asked for each text of each call of a script, so its entries lie at an address of their own: a list that a
// class has is looked at by way of Swift's notes of who looks at what.
//
// Limits: 256 texts of 64 bytes.

@safe final class KnownTexts {
    static let sizeLimit = 64
    private static let slots = 256

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
        let slot = Int(truncatingIfNeeded: (place >> 4 ^ place >> 12) & UInt(Self.slots - 1))
        if unsafe entries[slot].place == place, unsafe Self.isSame(entries[slot].text, given) {
            return unsafe entries[slot].text
        }
        let text = unsafe Array(given)
        if given.count <= Self.sizeLimit { unsafe entries[slot] = Entry(place: place, text: text) }
        return text
    }

    private static func isSame(_ text: [UInt8], _ given: UnsafeBufferPointer<UInt8>) -> Bool {
        guard text.count == given.count else { return false }
        let span = text.span
        for index in span.indices where unsafe span[index] != given[index] { return false }
        return true
    }
}

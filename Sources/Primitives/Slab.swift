// Slab keeps records in dense slots that are named by (index, generation). A name that outlived its record is noticed,
// not followed: whoever kept one (a timer, a branch parameter that came back from the network) gets `nil`.
//
// Invariants: a free slot's generation differs from every name handed out for it (until 2³² reuses); indices are
// reused, last freed first, so memory follows the highest number of records that lived at once.
// Limit: `limit` records; at it `insert` answers `nil` and the owner sheds load. Inlinable, so that other modules get
// it specialised for their elements: unspecialised it looks up metadata on each access and costs more than the hash.

/// The name of a record in a slab.
public struct SlotID: Hashable, Sendable {
    public var index: UInt32
    public var generation: UInt32

    @inlinable
    public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

public struct Slab<Element: Sendable>: Sendable {
    @usableFromInline
    struct Slot: Sendable {
        @usableFromInline var element: Element?
        @usableFromInline var generation: UInt32
        @usableFromInline var nextFree: UInt32

        @inlinable
        init(element: Element?, generation: UInt32, nextFree: UInt32) {
            self.element = element
            self.generation = generation
            self.nextFree = nextFree
        }
    }

    @inlinable static var none: UInt32 { .max }

    @usableFromInline var slots: [Slot] = []
    @usableFromInline var firstFree: UInt32 = Slab.none
    public let limit: Int
    @usableFromInline var occupied = 0

    @inlinable public var count: Int { occupied }

    @inlinable
    public init(limit: Int) {
        self.limit = min(limit, Int(UInt32.max) - 1)
    }

    /// Stores an element, or answers `nil` when the slab is full.
    @inlinable
    public mutating func insert(_ element: Element) -> SlotID? {
        guard count < limit else { return nil }
        occupied += 1
        guard firstFree != Slab.none else {
            slots.append(Slot(element: element, generation: 1, nextFree: Slab.none))
            return SlotID(index: UInt32(slots.count - 1), generation: 1)
        }
        let index = firstFree
        firstFree = slots[Int(index)].nextFree
        slots[Int(index)].element = element
        return SlotID(index: index, generation: slots[Int(index)].generation)
    }

    @inlinable
    public func contains(_ id: SlotID) -> Bool {
        guard id.index < slots.count else { return false }
        return slots[Int(id.index)].generation == id.generation && slots[Int(id.index)].element != nil
    }

    @inlinable
    public subscript(_ id: SlotID) -> Element? {
        contains(id) ? slots[Int(id.index)].element : nil
    }

    /// Changes an element where it lies, without a copy; `nil` when the name is stale.
    @inlinable
    public mutating func update<R>(_ id: SlotID, _ body: (inout Element) -> R) -> R? {
        guard contains(id) else { return nil }
        return body(&slots[Int(id.index)].element!)
    }

    /// Reads an element where it lies; `nil` when the name is stale.
    @inlinable
    public func read<R>(_ id: SlotID, _ body: (borrowing Element) -> R) -> R? {
        guard contains(id) else { return nil }
        return body(slots[Int(id.index)].element!)
    }

    /// Takes an element out; its name is stale from now on.
    @discardableResult
    @inlinable
    public mutating func remove(_ id: SlotID) -> Element? {
        guard contains(id) else { return nil }
        let index = Int(id.index)
        let element = slots[index].element
        slots[index].element = nil
        slots[index].generation &+= 1
        slots[index].nextFree = firstFree
        firstFree = id.index
        occupied -= 1
        return element
    }

    /// Slots that have ever been in use; all indices are below it.
    @inlinable
    public var slotCount: Int { slots.count }

    /// The name of the record that occupies a slot now.
    @inlinable
    public func id(at index: UInt32) -> SlotID? {
        guard index < slots.count, slots[Int(index)].element != nil else { return nil }
        return SlotID(index: index, generation: slots[Int(index)].generation)
    }

    /// Visits all records in the order of their slots.
    @inlinable
    public func forEachID(_ body: (SlotID) -> Void) {
        for index in slots.indices where slots[index].element != nil {
            body(SlotID(index: UInt32(index), generation: slots[index].generation))
        }
    }
}

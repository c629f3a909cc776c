// Slab keeps records in dense slots that are named by (index, generation). A name that outlived its record is noticed,
// not followed: whoever kept one (a timer, a branch parameter that came back from the network) gets `nil`.
//
// A record that is worked on for long, by somebody who needs the slab meanwhile, is lent: moved out, and moved back
// when the work is done. Between the two its slot is taken and its name finds nothing.
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
    /// Stand in `nextFree` of a slot that has its record, and of one whose record is lent.
    @inlinable static var taken: UInt32 { .max - 1 }
    @inlinable static var lent: UInt32 { .max - 2 }

    @usableFromInline var slots: [Slot] = []
    @usableFromInline var firstFree: UInt32 = Slab.none
    public let limit: Int
    @usableFromInline var occupied = 0

    @inlinable public var count: Int { occupied }

    @inlinable
    public init(limit: Int) {
        self.limit = min(limit, Int(UInt32.max) - 3)
    }

    /// Stores an element, or answers `nil` when the slab is full.
    @inlinable
    public mutating func insert(_ element: Element) -> SlotID? {
        guard let id = reserve() else { return nil }
        giveBack(element, id)
        return id
    }

    @inlinable
    public func contains(_ id: SlotID) -> Bool { isNamed(id, Slab.taken) }

    @inlinable
    func isNamed(_ id: SlotID, _ mark: UInt32) -> Bool {
        guard id.index < slots.count else { return false }
        return slots[Int(id.index)].generation == id.generation && slots[Int(id.index)].nextFree == mark
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
    public func read<R>(_ id: SlotID, _ body: (Element) -> R) -> R? {
        guard contains(id) else { return nil }
        return body(slots[Int(id.index)].element!)
    }

    /// Takes an element out; its name is stale from now on.
    @discardableResult
    @inlinable
    public mutating func remove(_ id: SlotID) -> Element? {
        guard contains(id) else { return nil }
        let element = slots[Int(id.index)].element.take()
        free(id.index)
        return element
    }

    // MARK: Lending

    /// A slot whose element `giveBack` brings later; `nil` when the slab is full.
    @inlinable
    public mutating func reserve() -> SlotID? {
        guard count < limit else { return nil }
        occupied += 1
        guard firstFree != Slab.none else {
            slots.append(Slot(element: nil, generation: 1, nextFree: Slab.lent))
            return SlotID(index: UInt32(slots.count - 1), generation: 1)
        }
        let index = firstFree
        firstFree = slots[Int(index)].nextFree
        slots[Int(index)].nextFree = Slab.lent
        return SlotID(index: index, generation: slots[Int(index)].generation)
    }

    /// Moves an element out of its slot, which stays taken; `nil` when the name is stale, or it is lent.
    @inlinable
    public mutating func lend(_ id: SlotID) -> Element? {
        guard contains(id) else { return nil }
        slots[Int(id.index)].nextFree = Slab.lent
        return slots[Int(id.index)].element.take()
    }

    /// Moves a lent element back; drops it when the name is not that of a lent one.
    @inlinable
    public mutating func giveBack(_ element: consuming Element, _ id: SlotID) {
        guard isNamed(id, Slab.lent) else { return }
        slots[Int(id.index)].element = element
        slots[Int(id.index)].nextFree = Slab.taken
    }

    /// Frees the slot of a lent element: it does not come back.
    @inlinable
    public mutating func removeLent(_ id: SlotID) {
        if isNamed(id, Slab.lent) { free(id.index) }
    }

    @inlinable
    mutating func free(_ index: UInt32) {
        slots[Int(index)].generation &+= 1
        slots[Int(index)].nextFree = firstFree
        firstFree = index
        occupied -= 1
    }

    /// Slots that have ever been in use; all indices are below it.
    @inlinable
    public var slotCount: Int { slots.count }

    /// The name of the record that occupies a slot now.
    @inlinable
    public func id(at index: UInt32) -> SlotID? {
        guard index < slots.count, slots[Int(index)].nextFree == Slab.taken else { return nil }
        return SlotID(index: index, generation: slots[Int(index)].generation)
    }

    /// Visits all records in the order of their slots.
    @inlinable
    public func forEachID(_ body: (SlotID) -> Void) {
        for index in slots.indices where slots[index].nextFree == Slab.taken {
            body(SlotID(index: UInt32(index), generation: slots[index].generation))
        }
    }
}

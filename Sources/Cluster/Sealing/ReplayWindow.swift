// ReplayWindow tells whether a counter has been seen: the highest so far, and a bit for each of the 4032 up to it.
//
//      older: refused       highest − 4031 ─────────── highest      newer: the window moves
//                           ● ● ○ ● ● ● … ● ○ ● ● ● ● ●
//
// Each lane of a process has a window of its own, because lanes are sockets and overtake each other. Within a lane
// only a connection that is made anew lets frames be overtaken: by no more than the buffers of the old one hold.

struct ReplayWindow: Sendable {
    private static let words = 64
    /// One word less than there are: the highest one is filled while the lowest one is still asked for.
    static let size = UInt64((words - 1) * 64)

    private(set) var highest: UInt64 = 0
    private var bits: [UInt64] = []

    /// Never seen, and not too old to say.
    func isNew(_ counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        if counter > highest { return true }
        guard highest - counter < Self.size else { return false }
        return bits[Int(counter / 64) % Self.words] & 1 << (counter % 64) == 0
    }

    /// Notes a counter that is new.
    mutating func note(_ counter: UInt64) {
        if bits.isEmpty { bits = [UInt64](repeating: 0, count: Self.words) }
        if counter > highest {
            let (from, to) = (highest / 64, counter / 64)
            if to - from >= UInt64(Self.words) {
                for index in bits.indices { bits[index] = 0 }
            } else if to > from {
                for word in from + 1...to { bits[Int(word) % Self.words] = 0 }
            }
            highest = counter
        }
        bits[Int(counter / 64) % Self.words] |= 1 << (counter % 64)
    }
}

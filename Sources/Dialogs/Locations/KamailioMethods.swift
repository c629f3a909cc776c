// The methods of a contact as Kamailio numbers them, for its tools and its scripts.

internal import SIP

package enum KamailioMethods {
    private static let bits: [(method: Method, bit: UInt32)] = [
        (.invite, 0), (.cancel, 1), (.ack, 2), (.bye, 3), (.info, 4), (.register, 5), (.subscribe, 6), (.notify, 7),
        (.message, 8), (.options, 9), (.prack, 10), (.update, 11), (.refer, 12), (.publish, 13), (.other, 19),
    ]

    /// - Parameter methods: One bit for each `Method`; 0 where the phone did not say.
    package static func theirs(_ methods: UInt32) -> Int64 {
        guard methods != 0 else { return 0xffff_ffff }
        return bits.reduce(0) { methods >> UInt32($1.method.rawValue) & 1 == 0 ? $0 : $0 | 1 << Int64($1.bit) }
    }

    /// - Parameter methods: By Kamailio's numbers; 0 for all.
    package static func ours(_ methods: UInt32) -> UInt32 {
        bits.reduce(0) { methods >> $1.bit & 1 == 0 ? $0 : $0 | 1 << UInt32($1.method.rawValue) }
    }
}

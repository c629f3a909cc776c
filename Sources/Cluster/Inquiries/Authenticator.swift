// Authenticator makes the code that shows that an inquiry comes from who has the cluster's key. The function is given
// by the shell (HMAC-SHA-256): the core has no cryptography of its own, and stays pure, as the function is.
//
// The code covers who asks and its boot, who is asked and its boot, the number and the text. So an inquiry that
// somebody recorded is of no use: to another member or a later process it says nothing, and the one that it was for has
// read its number. It hides nothing; the bus is not sealed.

package struct Authenticator: Sendable {
    /// The code of some bytes under the cluster's key, 32 bytes.
    private let make: @Sendable ([UInt8]) -> [UInt8]

    package init(_ make: @escaping @Sendable ([UInt8]) -> [UInt8]) { self.make = make }

    func code(of inquiry: InquiryMessage, from asker: MemberID, to name: String) -> [UInt8] {
        var bytes = Array("understudy inquiry 1".utf8)
        func put(_ number: UInt64) {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
            }
        }
        for (name, boot) in [(asker.name, asker.boot), (name, inquiry.boot)] {
            put(UInt64(name.utf8.count))
            bytes += name.utf8
            put(boot)
        }
        put(inquiry.number)
        bytes += inquiry.text
        return make(bytes)
    }

    /// Takes as long for any code, right or wrong.
    func accepts(_ inquiry: InquiryMessage, from asker: MemberID, to name: String) -> Bool {
        let right = code(of: inquiry, from: asker, to: name)
        guard right.count == inquiry.code.count, !right.isEmpty else { return false }
        return zip(right, inquiry.code).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

// Authenticator makes the code that shows that an inquiry, or its answer, comes from who has the cluster's key. The
// function is given by the shell (HMAC-SHA-256): the core has no cryptography of its own, and stays pure, as the
// function is.
//
// The code covers who asks and its boot, who is asked and its boot, the number and the text. So an inquiry that
// somebody recorded is of no use: to another member or a later process it says nothing, and the one that it was for has
// read its number. The code of an answer covers its part of the answer, and where in the whole it stands, with both
// ends and the number that the asker has given out once: what answered another question, or came from elsewhere, is
// none. It hides nothing: that, and whose the bus is, are the seal's to see to.

package struct Authenticator: Sendable {
    /// The code of some bytes under the cluster's key, 32 bytes.
    private let make: @Sendable ([UInt8]) -> [UInt8]

    package init(_ make: @escaping @Sendable ([UInt8]) -> [UInt8]) { self.make = make }

    func code(of inquiry: InquiryMessage, from asker: MemberID, to name: String) -> [UInt8] {
        var bytes = Array("understudy inquiry 1".utf8)
        Self.put(asker, into: &bytes)
        Self.put(MemberID(name: name, boot: inquiry.boot), into: &bytes)
        Self.put(inquiry.number, into: &bytes)
        bytes += inquiry.text
        return make(bytes)
    }

    func code(of part: InquiryPart, _ answer: ArraySlice<UInt8>, by answerer: MemberID, to asker: MemberID) -> [UInt8] {
        var bytes = Array("understudy answer 1".utf8)
        Self.put(answerer, into: &bytes)
        Self.put(asker, into: &bytes)
        for number in [part.number, part.total, part.offset] { Self.put(number, into: &bytes) }
        bytes += answer
        return make(bytes)
    }

    private static func put(_ member: MemberID, into bytes: inout [UInt8]) {
        put(UInt64(member.name.utf8.count), into: &bytes)
        bytes += member.name.utf8
        put(member.boot, into: &bytes)
    }

    private static func put(_ number: UInt64, into bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
        }
    }

    func accepts(_ inquiry: InquiryMessage, from asker: MemberID, to name: String) -> Bool {
        Self.areEqual(code(of: inquiry, from: asker, to: name), inquiry.code)
    }

    func accepts(
        _ part: InquiryPart, _ answer: ArraySlice<UInt8>, by answerer: MemberID, to asker: MemberID
    ) -> Bool {
        Self.areEqual(code(of: part, answer, by: answerer, to: asker), part.code)
    }

    /// Takes as long for any code, right or wrong.
    private static func areEqual(_ right: [UInt8], _ code: [UInt8]) -> Bool {
        guard right.count == code.count, !right.isEmpty else { return false }
        return zip(right, code).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

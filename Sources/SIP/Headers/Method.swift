// Method names the request methods that a proxy treats apart (RFC 3261 §7.1, and RFC 3262, 3265, 3311, 3428, 3515,
// 3903, 6086). Method names are case-sensitive; any other token is `.other` and is forwarded as it is (§16.3).

package import Primitives

package enum Method: UInt8, Sendable, CaseIterable {
    case invite, ack, bye, cancel, options, register, info, update, prack, subscribe, notify, publish, message, refer,
        other

    /// Written out, since what the compiler derives is called by way of a table from other modules.
    package static func == (left: Method, right: Method) -> Bool { left.rawValue == right.rawValue }

    /// The method as it stands in a request line; empty for `.other`.
    package var name: StaticString {
        switch self {
        case .invite: "INVITE"
        case .ack: "ACK"
        case .bye: "BYE"
        case .cancel: "CANCEL"
        case .options: "OPTIONS"
        case .register: "REGISTER"
        case .info: "INFO"
        case .update: "UPDATE"
        case .prack: "PRACK"
        case .subscribe: "SUBSCRIBE"
        case .notify: "NOTIFY"
        case .publish: "PUBLISH"
        case .message: "MESSAGE"
        case .refer: "REFER"
        case .other: ""
        }
    }

    /// The method spelled by `bytes[range]`.
    package init(_ bytes: [UInt8], _ range: ByteRange) {
        self.init(RawSpan(_elements: bytes.span), range)
    }

    init(_ span: RawSpan, _ range: ByteRange) {
        guard range.count <= 9 else {
            self = .other
            return
        }
        var first: UInt64 = 0
        for index in range.range.prefix(8) { first = first << 8 | UInt64(span[index]) }
        switch first {
        case 0x494E_5649_5445: self = .invite
        case 0x41_434B: self = .ack
        case 0x42_5945: self = .bye
        case 0x4341_4E43_454C: self = .cancel
        case 0x4F_5054_494F_4E53: self = .options
        case 0x5245_4749_5354_4552 where range.count == 8: self = .register
        case 0x494E_464F: self = .info
        case 0x5550_4441_5445: self = .update
        case 0x50_5241_434B: self = .prack
        case 0x5355_4253_4352_4942 where range.count == 9 && span[Int(range.end) - 1] == 0x45: self = .subscribe
        case 0x4E4F_5449_4659: self = .notify
        case 0x50_5542_4C49_5348: self = .publish
        case 0x4D_4553_5341_4745: self = .message
        case 0x52_4546_4552: self = .refer
        default: self = .other
        }
    }
}

// Session timers as a proxy has them (RFC 4028 §8): what it asks for on the way down, and what it tells the caller on
// the way up when the callee has never heard of them.
//
//   INVITE, UPDATE   Session-Expires   below sip.min-se, caller with timers       422 with Min-SE (`isTooBrief`)
//                                      below sip.min-se, caller without           Min-SE and Session-Expires are raised
//                                      below the request's Min-SE                 raised to it
//                                      above sip.session-expires                  lowered, never below Min-SE
//                                      absent, with sip.session-expires           inserted, never below Min-SE
//   2xx              Session-Expires   as it came
//                    absent            the caller has timers: what was asked for, refresher=uac, Require: timer
//                                      the caller has none: nothing; the session does not expire
//
// The refresher of a request is its sender's word, and is left alone. What was asked for is kept with the transaction,
// and for an INVITE in its pending fact, so that an heir completes the 2xx as the owner would have. A 2xx to an UPDATE
// whose owner has died passes as it came: the caller then has no session timer, and the dialog its own lifetime.

import Dialogs
import Primitives
import SIP

/// What becomes of the session timer of a request; zeros leave it as it is.
struct SessionChange: Equatable, Sendable {
    /// The value of Session-Expires.
    var seconds: UInt32 = 0
    /// The value of Min-SE.
    var minimum: UInt32 = 0
    /// What a 2xx without Session-Expires gets.
    var promised: UInt32 = 0
}

extension Proxy {
    /// Whether a session would have to be refreshed more often than is wanted here, and its sender can be told so (RFC
    /// 4028 §8.1).
    func isTooBrief() -> Bool {
        guard settings.minimumSession > 0, message.method == .invite || message.method == .update,
            let asked = (try? message.sessionExpires()) ?? nil
        else { return false }
        return asked.seconds < settings.minimumSession && message.lists("timer", in: .supported)
    }

    /// Min-SE of a 422 (RFC 4028 §5).
    static func writeMinimumSession(_ seconds: UInt32, into writer: inout ByteWriter) {
        writer.put("Min-SE: ")
        writer.putDecimal(UInt64(seconds))
        writer.put("\r\n")
    }

    /// Reads what is to become of the request at hand.
    func sessionChange() -> SessionChange {
        var change = SessionChange()
        guard message.method == .invite || message.method == .update else { return change }
        let wanted = settings.sessionInterval
        let isAbsent = message.first(.sessionExpires) == nil
        if isAbsent, wanted == 0 || message.headerCount + Self.addedHeaders > Message.headerLimit { return change }
        let asked: UInt32
        if isAbsent {
            asked = 0
        } else {
            // What cannot be read is nobody's agreement.
            guard let read = (try? message.sessionExpires()) ?? nil, read.seconds > 0 else { return change }
            asked = read.seconds
        }
        let hasTimers = message.lists("timer", in: .supported)
        let named = message.minimumSessionExpires
        var least = named ?? 0
        if !isAbsent, !hasTimers, asked < settings.minimumSession, least < settings.minimumSession {
            change.minimum = settings.minimumSession
            least = settings.minimumSession
        }
        var seconds = asked
        if isAbsent {
            seconds = max(wanted, least)
        } else if asked < least {
            seconds = least
        } else if wanted > 0, asked > wanted {
            seconds = min(asked, max(wanted, least))
        }
        if seconds != asked { change.seconds = seconds }
        if hasTimers { change.promised = seconds }
        return change
    }

    /// Headers that a request may get on its way through.
    private static let addedHeaders = 8

    /// Adds the change to the edit of the request at hand.
    mutating func edit(_ change: SessionChange) {
        if change.seconds > 0 { edit(.sessionExpires, change.seconds) }
        if change.minimum > 0 { edit(.minSE, change.minimum) }
    }

    private mutating func edit(_ name: HeaderName, _ seconds: UInt32) {
        if let field = message.first(name) {
            editor.replace(SessionExpires.digits(message.bytes, field.value)) { $0.putDecimal(UInt64(seconds)) }
        } else {
            editor.insert(at: message.headersEnd) { writer in
                writer.put(name.text)
                writer.put(": ")
                writer.putDecimal(UInt64(seconds))
                writer.put("\r\n")
            }
        }
    }

    /// Makes the 2xx at hand say what its sender did not know to say (§8.2), for a caller who has timers.
    /// - Returns: Its topmost Via, which has moved; `nil` when it is left as it came.
    mutating func completeSession(_ seconds: UInt32) -> Via? {
        guard seconds > 0, 200..<300 ~= message.statusCode, message.first(.sessionExpires) == nil,
            message.headerCount + 2 <= Message.headerLimit
        else { return nil }
        editor.begin()
        let isRequired = message.lists("timer", in: .require)
        if !isRequired, let field = message.first(.require) {
            let separator: StaticString = field.value.isEmpty ? "timer" : ", timer"
            editor.insert(at: Int(field.value.end)) { $0.put(separator) }
        }
        editor.insert(at: message.headersEnd) { [message] writer in
            writer.put("Session-Expires: ")
            SessionExpires(seconds: seconds, refresher: .uac).write(into: &writer)
            writer.put("\r\n")
            if !isRequired, message.first(.require) == nil { writer.put("Require: timer\r\n") }
        }
        scratch.removeAll()
        editor.write(message, into: &scratch)
        guard scratch.count <= Message.sizeLimit, loadMessage(scratch.copy()) else { return nil }
        return try? message.topmostVia()
    }

    /// The 2xx at hand is for a dead node's INVITE: what that node had promised stands in the record.
    mutating func completeSession(_ cSeq: CSeq, of did: DialogID, dialogs: DialogTable) -> Via? {
        guard cSeq.method == .invite, 200..<300 ~= message.statusCode, let record = dialogs.record(did) else {
            return nil
        }
        let pass = passOfResponse()
        let leg =
            Text.same(record.fromTag, ByteRange(record.fromTag), message.bytes, message.fromTag)
            ? Leg.caller : .callee
        let own = record.pendings.filter { $0.cseq == cSeq.number && $0.leg == leg && $0.pass == pass }
        return completeSession(own.map(\.sessionSeconds).max() ?? 0)
    }
}

// What a run leaves of its message: the edits, the Request-URI it was given, the hops that are left, without the Routes
// that it dropped.

internal import Primitives
internal import SIP

extension RouteRun {
    /// The message as the run has changed it; empty where it has not.
    package mutating func changedMessage() throws(RouteFault) -> [UInt8] {
        if !plan.requestURI.isEmpty, message.isRequest {
            let uri = plan.requestURI
            try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.setRequestURI(uri) }
        }
        if plan.removesRoutes {
            for field in message.headers where field.name == .route {
                try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.remove(field) }
            }
        }
        if let left = plan.maxForwards { try setMaxForwards(left) }
        return try edited() ?? plan.appliedMessage
    }

    /// The proxy takes one off when it forwards.
    private mutating func setMaxForwards(_ left: Int) throws(RouteFault) {
        if (try? message.maxForwards()) == min(left + 1, 255) { return }
        var value = ByteWriter()
        value.putDecimal(UInt64(min(left + 1, 255)))
        guard let field = message.first(.maxForwards) else {
            _ = try appendHeader([UInt8](copying: "Max-Forwards: ") + value.bytes)
            return
        }
        if message.copy(field.value) != value.bytes { try replaceValue(of: field, with: value.bytes) }
    }
}

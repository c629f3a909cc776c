// Headers, as the modules hdr, textops and textopsx edit and ask for them.

internal import Primitives
package import SIP

extension RouteRun {
    package mutating func appendHeader(_ text: [UInt8]) throws(RouteFault) -> Bool {
        guard !text.isEmpty else { return false }
        try edit { (edits, message) throws(MessageEdits.Refusal) in try edits.append(text, to: message) }
        return true
    }

    package mutating func insertHeader(_ text: [UInt8]) throws(RouteFault) -> Bool {
        guard !text.isEmpty else { return false }
        try edit { (edits, message) throws(MessageEdits.Refusal) in try edits.insert(text, to: message) }
        return true
    }

    /// Beside the first header of a name; at the end, or the beginning, where there is none.
    package mutating func insertHeader(_ text: [UInt8], after: Bool, _ name: [UInt8]) throws(RouteFault) -> Bool {
        guard let field = message.field(named: name) else {
            return after ? try appendHeader(text) : try insertHeader(text)
        }
        try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.insert(text, after: after, field) }
        return true
    }

    /// Every header of a name. Routes are dropped from the plan, too, so that none of them is followed.
    ///
    /// - Returns: `false` when there is none.
    package mutating func removeHeaders(_ name: [UInt8]) throws(RouteFault) -> Bool {
        if HeaderName(name) == .route {
            guard message.first(.route) != nil else { return false }
            plan.removesRoutes = true
            return true
        }
        return try removeHeaders(name) { _, _ in true }
    }

    /// The headers of a name of which a test says yes, by their values and numbers.
    package mutating func removeHeaders(
        _ name: [UInt8], where test: ([UInt8], Int) -> Bool
    ) throws(RouteFault) -> Bool {
        var fields: [HeaderField] = []
        var index = 0
        message.forEach(named: name) { field in
            if test(message.copy(field.value), index) { fields.append(field) }
            index += 1
            return true
        }
        for field in fields { try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.remove(field) } }
        return !fields.isEmpty
    }

    package func hasHeader(_ name: [UInt8]) -> Bool { message.field(named: name) != nil }

    package func header(_ name: [UInt8], at place: Int = 0) -> [UInt8]? {
        message.field(named: name, at: place).map { message.copy($0.value) }
    }

    /// Header lines of the answers that this node makes.
    package mutating func addReplyLines(_ text: [UInt8]) throws(RouteFault) {
        let lines: [UInt8]
        do throws(MessageEdits.Refusal) { lines = try MessageEdits.lines(text) } catch { throw .edit(error) }
        guard plan.replyLines.count + lines.count <= RoutePlan.replyLimit else {
            throw .tooMuch("bytes of header lines of an answer", RoutePlan.replyLimit)
        }
        plan.replyLines += lines
    }

    /// Whether a header's content is a value, or holds it: `eq`, `ne`, `sw`, `in`; the flag `i` ignores case.
    package func matchesContent(_ name: [UInt8], _ operation: [UInt8], _ value: [UInt8], _ flags: [UInt8]) -> Bool {
        let ignoresCase = flags.contains(UInt8(ascii: "i"))
        guard let content = header(name) else { return false }
        let (left, right) =
            ignoresCase ? (RouteText.lowercased(content), RouteText.lowercased(value)) : (content, value)
        return switch String(decoding: operation, as: UTF8.self) {
        case "eq": left == right
        case "ne": left != right
        case "sw": left.starts(with: right)
        case "in": RouteText.find(right, in: left) != nil
        default: false
        }
    }

    // MARK: Lists in headers

    /// Whether a comma list has an element.
    package func listHas(_ name: [UInt8], _ element: [UInt8]) -> Bool {
        var found = false
        message.forEach(named: name) { field in
            let elements = RouteText.split(message.copy(field.value), by: 0x2C)
            found = elements.contains { RouteText.equalsIgnoringCase($0, element) }
            return !found
        }
        return found
    }

    /// Appends an element to the first header of a name, or takes it out; `include` and `exclude` do so only where it
    /// changes anything.
    package mutating func changeList(_ name: [UInt8], _ element: [UInt8], adds: Bool) throws(RouteFault) -> Bool {
        guard let field = message.field(named: name) else {
            return adds ? try appendHeader(name + [0x3A, 0x20] + element) : true
        }
        if adds {
            let value = message.copy(field.value)
            try replaceValue(of: field, with: value.isEmpty ? element : value + [0x2C, 0x20] + element)
            return true
        }
        let kept = RouteText.split(message.copy(field.value), by: 0x2C)
            .filter { !RouteText.equalsIgnoringCase($0, element) }
        if kept.isEmpty {
            try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.remove(field) }
        } else {
            try replaceValue(of: field, with: Array(kept.joined(separator: [0x2C, 0x20])))
        }
        return true
    }

    package mutating func replaceValue(of field: HeaderField, with value: [UInt8]) throws(RouteFault) {
        try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.replace(field.value, with: value) }
    }

    // MARK: The whole message

    package mutating func setBody(_ body: [UInt8], _ type: [UInt8]) throws(RouteFault) -> Bool {
        try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.setBody(body, type: type) }
        return true
    }

    /// From here on the message is the edited one.
    package mutating func applyChanges() throws(RouteFault) -> Bool {
        guard let bytes = try edited() else { return true }
        lent = 0
        do throws(SIPParseError) {
            try message.load(RawSpan(_elements: bytes.span))
            try message.identify()
        } catch {
            throw .edit(.unreadable)
        }
        plan.edits = MessageEdits()
        plan.appliedMessage = bytes
        return true
    }

    package func hasBody(ofType type: [UInt8]) -> Bool {
        guard !message.body.isEmpty, let value = value(.contentType) else { return false }
        return RouteText.equalsIgnoringCase(RouteText.trimmed(value.prefix { $0 != 0x3B }), type)
    }

    /// A Privacy header with this privacy, or with any.
    package func wantsPrivacy(_ type: [UInt8]) -> Bool {
        guard let value = value(.privacy) else { return false }
        return type.isEmpty || RouteText.split(value, by: 0x3B).contains { RouteText.equalsIgnoringCase($0, type) }
    }
}

// MARK: Headers whose names a pattern covers

extension RouteRun {
    private func fields(matching pattern: RoutePattern) -> [HeaderField] {
        message.headers.filter { pattern.matchesWhole(message.bytes, message.nameText(of: $0).range) }
    }

    package func hasHeader(matching pattern: RoutePattern) -> Bool { !fields(matching: pattern).isEmpty }

    package mutating func removeHeaders(matching pattern: RoutePattern) throws(RouteFault) -> Bool {
        let found = fields(matching: pattern)
        for field in found { try edit { (edits, _) throws(MessageEdits.Refusal) in try edits.remove(field) } }
        return !found.isEmpty
    }
}

// The pseudo-variables with an argument, and what writing to a variable does. A write of null takes the value away,
// where that can be.

internal import Primitives
internal import SIP

extension PseudoVariable {
    struct Store: Sendable {
        let name: StaticString
        let kind: Kind

        init(_ name: StaticString, _ kind: Kind) {
            self.name = name
            self.kind = kind
        }
    }

    static let stores: [Store] = [
        Store("hdr", .header), Store("hdrc", .headerCount), Store("avp", .avp), Store("var", .variable),
        Store("shv", .shared), Store("sht", .table), Store("xavp", .record(.xavp)), Store("xavu", .record(.xavu)),
        Store("xavi", .record(.xavi)), Store("T", .transaction), Store("T_rpl", .reply), Store("branch", .branch),
        Store("expires", .expires), Store("cred", .credentials), Store("dlg", .dialogPart),
        Store("dlg_ctx", .dialogContextPart), Store("dlg_var", .dialogVariable), Store("ulc", .contacts),
        Store("snd", .sendingPart), Store("sndto", .sendingPart),
    ]

    // MARK: Reading

    package func value(in run: RouteRun) -> RouteValue {
        var value = plainValue(in: run)
        for transformation in transformations { value = transformation.apply(value) }
        return value
    }

    private func plainValue(in run: RouteRun) -> RouteValue {
        switch kind {
        case .null: return .null
        case .plain(let index): return Self.plainNames[index].read(run)
        case .header: return headerValue(in: run)
        case .headerCount:
            var count = 0
            run.message.forEach(named: argument) { _ in
                count += 1
                return true
            }
            return .integer(count)
        case .avp: return stacked(run.state.avps(argument))
        case .variable: return run.state.variable(argument)
        case .shared: return run.memory.shared[argument] ?? .integer(0)
        case .table: return run.memory.value(argument, run.text(of: key), at: run.time.now)
        case .record(let kind): return recordValue(kind, in: run)
        case .transaction: return transactionValue(in: run)
        case .branch: return branchValue(in: run)
        case .expires: return expiresValue(in: run)
        case .contacts: return contactValue(in: run)
        case .dialog(let field): return Self.value(of: field, in: run)
        case .dialogContext(let field): return Self.value(of: field, in: run)
        case .dialogVariable: return run.dialogVariable(argument, of: run.dialog)
        case .sending(let field): return Self.value(of: field, in: run)
        case .reply:
            guard case .variable(let inner)? = key.first, let other = run.ofReply else { return .null }
            return inner.value(in: other)
        case .dialogPart, .dialogContextPart, .sendingPart: return .null
        case .credentials:
            var value = run.value(.authorization)
            if value == nil { value = run.value(.proxyAuthorization) }
            return value.flatMap { DigestParameters($0)?.value(of: argument) }.map { .text($0) } ?? .null
        }
    }

    /// One of a stack, or all of it joined with commas.
    private func stacked(_ values: [RouteValue]) -> RouteValue {
        switch place {
        case .top: return values.first ?? .null
        case .at(let index):
            let wanted = index < 0 ? values.count + index : index
            return values.indices.contains(wanted) ? values[wanted] : .null
        case .all:
            guard !values.isEmpty else { return .null }
            return .text(Array(values.map(\.bytes).joined(separator: [0x2C])))
        }
    }

    private func headerValue(in run: RouteRun) -> RouteValue {
        let message = run.message
        switch place {
        case .top: return message.field(named: argument).map { .text(message.copy($0.value)) } ?? .null
        case .at(let index):
            return message.field(named: argument, at: index).map { .text(message.copy($0.value)) }
                ?? .null
        case .all:
            var values: [[UInt8]] = []
            message.forEach(named: argument) { field in
                values.append(message.copy(field.value))
                return true
            }
            return values.isEmpty ? .null : .text(Array(values.joined(separator: [0x2C])))
        }
    }

    /// `name`, `name=>field` and `name[1]=>field[2]`.
    private var recordPath: (name: [UInt8], at: Int, field: [UInt8]?, fieldAt: Int) {
        let arrow = RouteText.find([0x3D, 0x3E], in: argument)
        let (name, at) = Self.indexed(arrow.map { Array(argument[..<$0]) } ?? argument)
        guard let arrow else { return (name, at, nil, 0) }
        let (field, fieldAt) = Self.indexed(Array(argument[(arrow + 2)...]))
        return (name, at, field, fieldAt)
    }

    private static func indexed(_ text: [UInt8]) -> ([UInt8], Int) {
        guard text.last == 0x5D, let open = text.lastIndex(of: 0x5B),
            let index = RouteText.leadingNumber(Array(text[(open + 1)...]))
        else { return (text, 0) }
        return (Array(text[..<open]), index)
    }

    private func recordValue(_ kind: RouteState.RecordKind, in run: RouteRun) -> RouteValue {
        let path = recordPath
        return run.state.value(kind, path.name, path.field, at: path.at, path.fieldAt)
    }

    private func transactionValue(in run: RouteRun) -> RouteValue {
        switch String(decoding: argument, as: UTF8.self) {
        case "id_index": return .integer(run.point.index)
        case "id_label": return .integer(run.point.label)
        case "branch_index": return .integer(run.point.branch)
        case "reply_code": return .integer(run.message.isRequest ? run.point.status : run.message.statusCode)
        case "reply_reason": return run.point.reason.isEmpty ? .null : .text(run.point.reason)
        case "reply_type": return .integer(run.point.isReceivedResponse ? 0 : 1)
        default: return .null
        }
    }

    /// Of the branches that this run added.
    private func branchValue(in run: RouteRun) -> RouteValue {
        let branches = run.plan.branches
        if argument == Array("count".utf8) { return .integer(branches.count) }
        let index = if case .at(let index) = place { index < 0 ? branches.count + index : index } else { 0 }
        guard branches.indices.contains(index) else { return .null }
        switch String(decoding: argument, as: UTF8.self) {
        case "uri": return .text(branches[index].uri)
        case "dst_uri": return branches[index].destination.isEmpty ? .null : .text(branches[index].destination)
        case "q": return branches[index].q.map { .integer($0) } ?? .null
        case "path": return branches[index].path.isEmpty ? .null : .text(branches[index].path)
        case "flags": return .integer(Int(branches[index].flags))
        default: return .null
        }
    }

    /// The least or the most of Expires and the Contacts' expires.
    private func expiresValue(in run: RouteRun) -> RouteValue {
        let message = run.message
        let general = message.leadingNumber(.expires).map { Int($0) }
        var contacts: [NameAddress] = []
        message.nameAddresses(.contact, into: &contacts)
        var values = contacts.compactMap { contact -> Int? in
            guard let value = Parameters.value("expires", in: message.bytes, contact.parameters) else { return general }
            return RouteText.leadingNumber(message.copy(value))
        }
        if contacts.isEmpty, let general { values = [general] }
        let isLeast = argument == Array("min".utf8)
        return (isLeast ? values.min() : values.max()).map { .integer($0) } ?? .null
    }

    // MARK: Writing

    /// - Returns: `false` where nothing may be written.
    package func write(_ value: RouteValue, to run: inout RouteRun) throws(RouteFault) -> Bool {
        guard transformations.isEmpty else { return false }
        switch kind {
        case .plain(let index): return try writePlain(Self.plainNames[index].name, value, to: &run)
        case .avp:
            if value.isNull { return run.state.popAVP(argument) }
            try run.state.pushAVP(argument, value)
        case .variable: try run.state.setVariable(argument, value)
        case .shared: try run.memory.setShared(argument, value)
        case .table:
            let key = run.text(of: key)
            if value.isNull { return run.memory.remove(argument, key) }
            return try run.memory.set(argument, key, value, at: run.time.now)
        case .record(let kind):
            let path = recordPath
            if value.isNull { return run.state.remove(kind, path.name, path.field) }
            try run.state.set(kind, path.name, path.field, value)
        case .dialogVariable: return run.setDialogVariable(argument, value, of: run.dialog)
        case .dialogContext(let field): return Self.write(value, to: field, of: &run)
        case .header, .headerCount, .transaction, .branch, .expires, .credentials, .null, .dialog, .dialogPart,
            .dialogContextPart, .contacts, .sending, .sendingPart, .reply:
            return false
        }
        return true
    }

    private func writePlain(
        _ name: StaticString, _ value: RouteValue, to run: inout RouteRun
    ) throws(RouteFault) -> Bool {
        let bytes = value.bytes
        let uri = run.requestURI
        switch "\(name)" {
        case "ru": return try run.setRequestURI(bytes)
        case "rU": return try run.setRequestURI(URIEdit.user(bytes, in: uri))
        case "rd": return try run.setRequestURI(URIEdit.host(bytes, in: uri, keepingPort: true))
        case "rp": return try run.setRequestURI(URIEdit.port(bytes, in: uri))
        case "rP":
            let plain = URIEdit.withoutParameter(Array("transport".utf8), in: uri) ?? uri
            return try run.setRequestURI(URIEdit.withParameter(Array("transport=".utf8) + bytes, in: plain))
        case "du": return value.isNull ? run.resetDestination() : run.setDestination(bytes)
        case "mf": run.state.flags = UInt32(truncatingIfNeeded: value.number)
        case "sf": run.state.scriptFlags = UInt32(truncatingIfNeeded: value.number)
        case "bf":
            run.state.branchFlags[0] = UInt32(truncatingIfNeeded: value.number)
        default: return false
        }
        return true
    }
}

extension RouteRun {
    /// A format's text; a variable without a value is written as the module writes it.
    func text(of parts: [RouteFormat.Part]) -> [UInt8] {
        var out: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let text): out += text
            case .variable(let variable):
                let value = variable.value(in: self)
                out += value.isNull ? [UInt8](copying: "<null>") : value.bytes
            }
        }
        return out
    }

    package func text(of format: RouteFormat) -> [UInt8] { text(of: format.parts) }
}

// Values by the names of pseudo-variables, and the stores of pvx: what the modules pv and pvx ask and set.

internal import Primitives

extension RouteRun {
    /// - Returns: `nil` for a name that is none, which the log tells.
    package mutating func variable(_ name: [UInt8]) -> PseudoVariable? {
        guard let variable = variables.find(name) else {
            note(.error, "\(name.shown) is no pseudo-variable that is known here")
            return nil
        }
        return variable
    }

    package mutating func value(of name: [UInt8]) -> RouteValue { variable(name)?.value(in: self) ?? .null }

    package mutating func write(_ value: RouteValue, to name: [UInt8]) throws(RouteFault) -> Bool {
        guard let variable = variable(name) else { return false }
        guard try variable.write(value, to: &self) else {
            note(.error, "\(name.shown) cannot be set to this value")
            return false
        }
        return true
    }

    /// The fields of a record as a table: each name with the list of its values, the newest first.
    package func fields(of kind: RouteState.RecordKind, _ name: [UInt8], at place: Int) -> RouteValue {
        guard let record = state.record(kind, name, at: place) else { return .null }
        var names: [[UInt8]] = []
        for field in record.fields where !names.contains(field.name) { names.append(field.name) }
        let entries = names.map { name in
            let values = record.fields.reversed().filter { $0.name == name }.map(\.value)
            return RouteValue.Entry(.text(name), Self.list(values))
        }
        return .table(entries)
    }

    /// All records of a name, the newest first.
    package func allFields(of kind: RouteState.RecordKind, _ name: [UInt8]) -> RouteValue {
        let count = state.recordCount(kind, name)
        return count == 0 ? .null : Self.list((0..<count).map { fields(of: kind, name, at: $0) })
    }

    package func keys(of kind: RouteState.RecordKind, _ name: [UInt8], at place: Int) -> RouteValue {
        guard let record = state.record(kind, name, at: place) else { return .null }
        var names: [[UInt8]] = []
        for field in record.fields where !names.contains(field.name) { names.append(field.name) }
        return Self.list(names.map { .text($0) })
    }

    static func list(_ values: [RouteValue]) -> RouteValue {
        .table(values.enumerated().map { RouteValue.Entry(.integer($0.offset + 1), $0.element) })
    }

    /// Fields of a record from `a=b;c=d`, and back.
    package mutating func explode(_ parameters: [UInt8], into name: [UInt8]) throws(RouteFault) -> Bool {
        let parts = RouteText.split(parameters, by: 0x3B).filter { !$0.isEmpty }
        guard !parts.isEmpty else { return false }
        for part in parts {
            let key = Array(part.prefix { $0 != 0x3D })
            guard !key.isEmpty else { return false }
            var value = Array(part.dropFirst(key.count + 1))
            if value.count > 1, value.first == 0x22, value.last == 0x22 { value = Array(value[1..<(value.count - 1)]) }
            try state.set(.xavp, name, key, .text(value))
        }
        return true
    }

    package func implode(_ name: [UInt8]) -> [UInt8]? {
        guard let record = state.record(.xavp, name) else { return nil }
        return Array(record.fields.map { $0.name + [0x3D] + $0.value.bytes + [0x3B] }.joined())
    }
}

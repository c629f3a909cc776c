// RouteState is what a script keeps from route to route of one transaction: flags, attribute values (AVPs), structured
// ones (XAVPs), script variables, and the routes that are armed.
//
// An AVP is a stack of values under a name: a write puts one on top, a reading answers the top, an unset takes it off,
// and `$(avp(x)[*])` is all of them. An XAVP is a stack of records. Values are numbers, texts or records.
//
// Limits: 256 values and 64 KiB of text a transaction; beyond them a write is refused and the script told so.

package struct RouteState: Equatable, Sendable {
    package static let valueLimit = 256
    package static let textLimit = 65_536

    package struct Field: Equatable, Sendable {
        package var name: [UInt8]
        package var value: RouteValue
    }

    /// One record under a name of XAVPs: its fields, or a plain value.
    package struct Record: Equatable, Sendable {
        package var name: [UInt8]
        package var fields: [Field]
        package var value: RouteValue = .null
    }

    package var flags: UInt32 = 0
    package var scriptFlags: UInt32 = 0
    package var extendedFlags: UInt64 = 0

    /// What most transactions keep nothing in. One element: a state is copied from question to question, and an array
    /// is shared until somebody writes to it.
    private var content = Self.nothing
    private static let nothing: ContiguousArray<Content> = [Content()]

    private struct Content: Equatable, Sendable {
        var branchFlags: [UInt32] = [0]
        var branchRoute: [UInt8] = []
        var onreplyRoute: [UInt8] = []
        var failureRoute: [UInt8] = []
        var branchFailureRoute: [UInt8] = []
        var hasOffered = false
        var branchFailureRoutes: [Int: [UInt8]] = [:]
        var dispatched: [[UInt8]] = []
        var dispatchedTo: [UInt8] = []
        var avps: [Field] = []
        var variables: [Field] = []
        /// By kind: xavp, xavu, xavi.
        var records: [[Record]] = [[], [], []]
        var textCount = 0
    }

    /// By branch; the first is the Request-URI's.
    package var branchFlags: [UInt32] {
        get { content[0].branchFlags }
        _modify { yield &content[0].branchFlags }
    }

    package var branchRoute: [UInt8] {
        get { content[0].branchRoute }
        _modify { yield &content[0].branchRoute }
    }

    package var onreplyRoute: [UInt8] {
        get { content[0].onreplyRoute }
        _modify { yield &content[0].onreplyRoute }
    }

    package var failureRoute: [UInt8] {
        get { content[0].failureRoute }
        _modify { yield &content[0].failureRoute }
    }

    package var branchFailureRoute: [UInt8] {
        get { content[0].branchFailureRoute }
        _modify { yield &content[0].branchFailureRoute }
    }

    /// What was armed when a branch began, by its number.
    package var branchFailureRoutes: [Int: [UInt8]] {
        get { content[0].branchFailureRoutes }
        _modify { yield &content[0].branchFailureRoutes }
    }

    /// The INVITE came with a body that a media relay was offered (`rtpengine_manage`).
    package var hasOffered: Bool {
        get { content[0].hasOffered }
        _modify { yield &content[0].hasOffered }
    }

    /// The dispatcher's destinations that are left.
    package var dispatched: [[UInt8]] {
        get { content[0].dispatched }
        _modify { yield &content[0].dispatched }
    }

    /// The one that was picked last.
    package var dispatchedTo: [UInt8] {
        get { content[0].dispatchedTo }
        _modify { yield &content[0].dispatchedTo }
    }

    private var avps: [Field] {
        get { content[0].avps }
        _modify { yield &content[0].avps }
    }

    private var variables: [Field] {
        get { content[0].variables }
        _modify { yield &content[0].variables }
    }

    private var records: [[Record]] {
        get { content[0].records }
        _modify { yield &content[0].records }
    }

    private var textCount: Int {
        get { content[0].textCount }
        _modify { yield &content[0].textCount }
    }

    package init() {}

    // MARK: Flags

    package func hasBranchFlag(_ flag: Int, of branch: Int) -> Bool {
        branchFlags.indices.contains(branch) && (0..<32).contains(flag) && branchFlags[branch] >> UInt32(flag) & 1 != 0
    }

    package mutating func setBranchFlag(_ flag: Int, of branch: Int, to isOn: Bool) -> Bool {
        guard (0..<32).contains(flag), (0...RoutePlan.branchLimit).contains(branch) else { return false }
        while branchFlags.count <= branch { branchFlags.append(0) }
        if isOn { branchFlags[branch] |= 1 << UInt32(flag) } else { branchFlags[branch] &= ~(1 << UInt32(flag)) }
        return true
    }

    // MARK: Values

    private func room(for value: RouteValue) throws(RouteFault) {
        var count = avps.count + variables.count
        for kind in records { for record in kind { count += 1 + record.fields.count } }
        guard count < Self.valueLimit else { throw .tooMuch("values of a transaction", Self.valueLimit) }
        guard textCount + value.bytes.count <= Self.textLimit else {
            throw .tooMuch("bytes of values of a transaction", Self.textLimit)
        }
    }

    /// The value at a place of the stack; 0 is the top.
    package func avp(_ name: [UInt8], at place: Int = 0) -> RouteValue {
        var left = place
        for field in avps.reversed() where field.name == name {
            if left == 0 { return field.value }
            left -= 1
        }
        return .null
    }

    package func avps(_ name: [UInt8]) -> [RouteValue] { avps.reversed().filter { $0.name == name }.map(\.value) }

    package mutating func pushAVP(_ name: [UInt8], _ value: RouteValue) throws(RouteFault) {
        try room(for: value)
        textCount += value.bytes.count
        avps.append(Field(name: name, value: value))
    }

    package mutating func popAVP(_ name: [UInt8]) -> Bool {
        guard let index = avps.lastIndex(where: { $0.name == name }) else { return false }
        textCount -= avps.remove(at: index).value.bytes.count
        return true
    }

    /// Script variables begin as 0.
    package func variable(_ name: [UInt8]) -> RouteValue {
        variables.first { $0.name == name }?.value ?? .integer(0)
    }

    package mutating func setVariable(_ name: [UInt8], _ value: RouteValue) throws(RouteFault) {
        if let index = variables.firstIndex(where: { $0.name == name }) {
            textCount -= variables[index].value.bytes.count
            guard textCount + value.bytes.count <= Self.textLimit else {
                throw .tooMuch("bytes of values of a transaction", Self.textLimit)
            }
            variables[index].value = value
        } else {
            try room(for: value)
            variables.append(Field(name: name, value: value))
        }
        textCount += value.bytes.count
    }

    // MARK: Records

    package enum RecordKind: Int, Sendable { case xavp = 0, xavu, xavi }

    private func isNamed(_ left: [UInt8], _ right: [UInt8], _ kind: RecordKind) -> Bool {
        kind == .xavi ? RouteText.equalsIgnoringCase(left, right) : left == right
    }

    private func index(_ kind: RecordKind, _ name: [UInt8], _ place: Int) -> Int? {
        var left = place
        for index in records[kind.rawValue].indices.reversed()
        where isNamed(records[kind.rawValue][index].name, name, kind) {
            if left == 0 { return index }
            left -= 1
        }
        return nil
    }

    package func record(_ kind: RecordKind, _ name: [UInt8], at place: Int = 0) -> Record? {
        index(kind, name, place).map { records[kind.rawValue][$0] }
    }

    package func recordCount(_ kind: RecordKind, _ name: [UInt8]) -> Int {
        records[kind.rawValue].count { isNamed($0.name, name, kind) }
    }

    /// The top value of a field; of the record itself without one.
    package func value(_ kind: RecordKind, _ name: [UInt8], _ field: [UInt8]?, at place: Int = 0, _ at: Int = 0)
        -> RouteValue
    {
        guard let record = record(kind, name, at: place) else { return .null }
        guard let field else { return record.value }
        var left = at
        for entry in record.fields.reversed() where isNamed(entry.name, field, kind) {
            if left == 0 { return entry.value }
            left -= 1
        }
        return .null
    }

    /// Puts a new record on top, or sets a field of the top one; a record is made where there is none.
    package mutating func set(
        _ kind: RecordKind, _ name: [UInt8], _ field: [UInt8]?, _ value: RouteValue
    ) throws(RouteFault) {
        try room(for: value)
        textCount += value.bytes.count
        guard let field else {
            records[kind.rawValue].append(Record(name: name, fields: [], value: value))
            return
        }
        guard let index = index(kind, name, 0) else {
            let fields = [Field(name: field, value: value)]
            records[kind.rawValue].append(Record(name: name, fields: fields))
            return
        }
        let known = records[kind.rawValue][index].fields.lastIndex { isNamed($0.name, field, kind) }
        if let known {
            textCount -= records[kind.rawValue][index].fields[known].value.bytes.count
            records[kind.rawValue][index].fields[known].value = value
        } else {
            records[kind.rawValue][index].fields.append(Field(name: field, value: value))
        }
    }

    /// Takes the top record away, or a field of it.
    package mutating func remove(_ kind: RecordKind, _ name: [UInt8], _ field: [UInt8]?) -> Bool {
        guard let index = index(kind, name, 0) else { return false }
        guard let field else {
            let gone = records[kind.rawValue].remove(at: index)
            textCount -= gone.value.bytes.count
            for entry in gone.fields { textCount -= entry.value.bytes.count }
            return true
        }
        guard let known = records[kind.rawValue][index].fields.lastIndex(where: { isNamed($0.name, field, kind) })
        else { return false }
        textCount -= records[kind.rawValue][index].fields.remove(at: known).value.bytes.count
        return true
    }
}

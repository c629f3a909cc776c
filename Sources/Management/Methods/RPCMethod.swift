// A management method is one small type: name, parameters, result, errors, an example. All of them are in
// `RPCMethods.all`; the same table serves HTTP, the tests and, in the command line, `understudy rpc`.
//
// Parameters come as an array, or as an object. `cluster.*` and `fault.*` read an object by name; `dlg.*` and `dlg2.*`
// read it by position, as Kamailio's jsonrpcs does, because scripts written for it rely on that.

import Node

/// Why a method did not do what it was asked. The code is also the HTTP status (codes up to 100 become 500).
package struct RPCError: Error, Equatable, Sendable {
    package var code: Int
    package var message: String

    package init(_ code: Int, _ message: String) {
        self.code = code
        self.message = message
    }

    static let parseError = RPCError(-32_700, "Parse Error")
    static let invalidRequest = RPCError(-32_600, "Invalid Request")
    static let stopping = RPCError(503, "The node is stopping")

    static func wrongParameter(_ name: String, _ allowed: String) -> RPCError {
        RPCError(400, "Parameter \(name) \(allowed)")
    }
}

/// What a method may use besides its parameters.
package struct RPCContext: Sendable {
    package var node: any ManagedNode
    package var allowsFaultInjection: Bool
    /// Seconds since 1970 now, for display in `dlg.*` only.
    package var unixSeconds: @Sendable () -> Int64
    package var process: ProcessFacts

    package init(
        node: any ManagedNode, allowsFaultInjection: Bool, unixSeconds: @escaping @Sendable () -> Int64,
        process: ProcessFacts = ProcessFacts()
    ) {
        self.node = node
        self.allowsFaultInjection = allowsFaultInjection
        self.unixSeconds = unixSeconds
        self.process = process
    }
}

package protocol RPCMethod: Sendable {
    static var name: String { get }
    /// Parameter names in their order; those in `[ ]` may be left out.
    static var parameters: [String] { get }
    /// What it does and answers, one sentence.
    static var summary: String { get }
    /// Codes and texts that it may answer instead.
    static var errors: [String] { get }
    /// Parameters of a call as JSON.
    static var example: String { get }

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue
}

package enum RPCMethods {
    package static let all: [any RPCMethod.Type] =
        [
            ClusterStatus.self, ClusterTargets.self, ClusterDialogs.self, ClusterDialog.self, ClusterEnd.self,
            ClusterChange.self, ClusterProfiles.self, ClusterRequest.self, ClusterRefer.self, ClusterDrain.self,
            ClusterUndrain.self, ClusterDigests.self, ClusterBucket.self, ClusterRepair.self,
            ClusterContacts.self, ClusterContact.self, ClusterRemoveContacts.self,
            ClusterReload.self, ClusterLogLevel.self, ClusterAsk.self, ClusterTrace.self, ClusterTop.self,
            FaultForget.self, FaultPauseBus.self, FaultSkew.self,
            DialogModuleList.self, DialogModuleOne.self, DialogModuleEnd.self, DialogModuleTerminate.self,
            DialogModuleStatistics.self, IMSDialogList.self, IMSDialogEnd.self,
        ] + commands

    /// What Kamailio's own tools ask for.
    private static let commands: [any RPCMethod.Type] = [
        DialogModuleListContext.self, DialogModuleOneContext.self, DialogModuleBriefing.self, DialogModuleMatch.self,
        DialogModuleProfileSize.self, DialogModuleProfileList.self, DialogModuleSetState.self,
        DialogModuleMatchContext.self, DialogModuleAlive.self, DialogModuleDump.self, DialogModuleBridge.self,
        IMSDialogEndAll.self,
        StatisticsList.self, StatisticsFetch.self, StatisticsNumbers.self, StatisticsReset.self, StatisticsClear.self,
        CoreVersion.self, CoreUptime.self, CoreProcesses.self, CoreProcessList.self, CoreEcho.self,
        LocationModuleDump.self, LocationModuleLookup.self, LocationModuleRemove.self, LocationModuleRemoveContact.self,
        LocationModuleAdd.self, LocationModuleUsers.self, LocationModuleContacts.self, LocationModuleExpired.self,
        LocationModuleFlush.self, ScriptReload.self, ScriptList.self, ScriptFunctions.self,
        SystemMethods.self, SystemMethodHelp.self, SystemMethodSignature.self, ListSockets.self,
    ]

    package static var names: [String] { all.map { $0.name } }

    /// What a method takes, by its name; `nil` for one that this version does not know.
    package static func parameters(of name: String) -> [String]? { named(name).map { $0.parameters } }

    package static func named(_ name: String) -> (any RPCMethod.Type)? { all.first { $0.name == name } }
}

/// The `params` of a request.
package struct RPCArguments: Equatable, Sendable {
    private let members: [JSONValue.Member]
    private let isNamed: Bool
    /// They came as BINRPC, where a text is never taken for a number.
    private let isTyped: Bool

    /// Of another door than JSON-RPC: by position.
    /// - Parameter isTyped: A text is never taken for a number.
    package init(_ values: [JSONValue], isTyped: Bool) {
        members = values.map { JSONValue.Member("", $0) }
        isNamed = false
        self.isTyped = isTyped
    }

    /// `nil` for a type that is neither array nor object: the method is then not called at all.
    package init?(_ params: JSONValue?) {
        isTyped = false
        switch params {
        case nil, .null:
            members = []
            isNamed = false
        case .array(let elements):
            members = elements.map { JSONValue.Member("", $0) }
            isNamed = false
        case .object(let named):
            members = named
            isNamed = true
        default: return nil
        }
    }

    package var count: Int { members.count }

    /// By name in an object, by position in an array; a JSON null counts as absent.
    func value(_ name: String, at position: Int) -> JSONValue? {
        let found = isNamed ? members.first { $0.name == name }?.value : self[position]
        return found == .null ? nil : found
    }

    /// By position in either.
    subscript(position: Int) -> JSONValue? { position < members.count ? members[position].value : nil }

    // MARK: As Kamailio's modules scan them

    /// `d`: over JSON a text counts as 0, and what stands behind a point is dropped.
    func scannedInteger(_ position: Int) -> Int64? {
        switch self[position] {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value.rounded(.towardZero))
        case .bool(let value): value ? 1 : 0
        case .string: isTyped ? nil : 0
        case .null, .array, .object, nil: nil
        }
    }

    /// `S`: a text, nothing else.
    func scannedText(_ position: Int) -> String? { self[position]?.text }

    /// `.S`: a number, too, as it is written.
    func scannedWord(_ position: Int) -> String? {
        switch self[position] {
        case .string(let text): text
        case .integer(let value): String(value)
        case .number(let value): Int64(exactly: value.rounded(.towardZero)).map { String($0) }
        case .null, .bool, .array, .object, nil: nil
        }
    }

    /// All of them, as words.
    var words: [String] { (0..<count).compactMap { scannedWord($0) } }

    /// A text; a whole number is taken as its digits, because a did may be made of digits only.
    func text(_ name: String, at position: Int) throws(RPCError) -> String? {
        switch value(name, at: position) {
        case nil: return nil
        case .string(let text): return text
        case .integer(let number): return String(number)
        default: throw .wrongParameter(name, "must be a text")
        }
    }

    func requiredText(_ name: String, at position: Int) throws(RPCError) -> String {
        guard let text = try text(name, at: position), !text.isEmpty else {
            throw .wrongParameter(name, "is missing")
        }
        return text
    }

    /// A whole number in a range; a text of digits is taken too.
    func integer(_ name: String, at position: Int, in range: ClosedRange<Int>) throws(RPCError) -> Int? {
        guard let value = value(name, at: position) else { return nil }
        let number = value.whole ?? value.text.flatMap { Int64($0) }
        guard let number, let whole = Int(exactly: number), range.contains(whole) else {
            throw .wrongParameter(name, "must be \(range.lowerBound) to \(range.upperBound)")
        }
        return whole
    }
}

// ModuleTables is how the tables of Kamailio's module `dialog` are called where they are kept beside ours: the names
// and defaults of its parameters, `storage.table_name` for `modparam("dialog", "table_name", …)`.

/// A column whose name is a parameter of the module; `iflags`, `req_uri` and `xdata` have none.
package enum ModuleColumn: String, CaseIterable, Sendable {
    case entry = "h_entry_column"
    case identifier = "h_id_column"
    case callID = "call_id_column"
    case fromURI = "from_uri_column"
    case fromTag = "from_tag_column"
    case toURI = "to_uri_column"
    case toTag = "to_tag_column"
    case fromCSeq = "from_cseq_column"
    case toCSeq = "to_cseq_column"
    case fromRoutes = "from_route_column"
    case toRoutes = "to_route_column"
    case fromContact = "from_contact_column"
    case toContact = "to_contact_column"
    case fromSocket = "from_sock_column"
    case toSocket = "to_sock_column"
    case state = "state_column"
    case startTime = "start_time_column"
    case timeout = "timeout_column"
    case scriptFlags = "sflags_column"
    case timeoutRoute = "toroute_name_column"
    case variableEntry = "vars_h_entry_column"
    case variableIdentifier = "vars_h_id_column"
    case variableName = "vars_key_column"
    case variableValue = "vars_value_column"

    package var standard: String {
        switch self {
        case .entry, .variableEntry: "hash_entry"
        case .identifier, .variableIdentifier: "hash_id"
        case .callID: "callid"
        case .fromURI: "from_uri"
        case .fromTag: "from_tag"
        case .toURI: "to_uri"
        case .toTag: "to_tag"
        case .fromCSeq: "caller_cseq"
        case .toCSeq: "callee_cseq"
        case .fromRoutes: "caller_route_set"
        case .toRoutes: "callee_route_set"
        case .fromContact: "caller_contact"
        case .toContact: "callee_contact"
        case .fromSocket: "caller_sock"
        case .toSocket: "callee_sock"
        case .state: "state"
        case .startTime: "start_time"
        case .timeout: "timeout"
        case .scriptFlags: "sflags"
        case .timeoutRoute: "toroute_name"
        case .variableName: "dialog_key"
        case .variableValue: "dialog_value"
        }
    }

    /// Of the table of variables.
    var isOfVariables: Bool {
        switch self {
        case .variableEntry, .variableIdentifier, .variableName, .variableValue: true
        default: false
        }
    }
}

package struct ModuleTables: Equatable, Sendable {
    /// `storage.table_name`, default `dialog`.
    package var dialogs = ModuleTables.dialogsName
    /// `storage.vars_table_name`, default `dialog_vars`.
    package var variables = ModuleTables.variablesName
    /// What is called otherwise than `ModuleColumn.standard`.
    package var columns: [ModuleColumn: String] = [:]

    static let dialogsName = "dialog"
    static let variablesName = "dialog_vars"

    package init() {}

    package func name(_ column: ModuleColumn) -> String { columns[column] ?? column.standard }

    /// As the schema that is shipped has them: they can be made.
    package var areStandard: Bool { self == ModuleTables() }

    /// The longest name that PostgreSQL keeps.
    private static let longestName = 63

    /// A name as both databases take it: it is written between quotation marks.
    static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, bytes.count <= longestName else { return false }
        func isLetter(_ byte: UInt8) -> Bool { byte == 0x5F || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte }
        return isLetter(first) && bytes.allSatisfy { isLetter($0) || 0x30...0x39 ~= $0 }
    }

    func problems(_ list: inout ProblemList) {
        if dialogs == variables {
            list.add("storage.vars_table_name", "is that of storage.table_name, \(dialogs)")
        }
        for isOfVariables in [false, true] {
            var seen: Set<String> = isOfVariables ? [] : ["id", "iflags", "req_uri", "xdata"]
            for column in ModuleColumn.allCases where column.isOfVariables == isOfVariables {
                let name = name(column)
                if !seen.insert(name).inserted {
                    list.add("storage.\(column.rawValue)", "\(name) is another column's name")
                }
            }
        }
    }
}

// ModuleRow is a dialog as Kamailio's module `dialog` keeps it in a database: a row of its table `dialog`, version 7,
// and those of `dialog_vars`, version 1. Other programs read them; ours are records, byte for byte. `ims_dialog` keeps
// the same in other tables (`ModuleStore`), with a row for each callee, and without profiles.
//
// Columns have the module's meaning: `hash_entry` is its hash of the Call-ID, since it refuses to start with rows that
// stand elsewhere; `hash_id` is what `dlg.list` prints; times are Unix seconds; `xdata` has the profiles (ModuleLinks).
//
// A text that is too long for its column is cut, where nothing but a display depends on it; a dialog whose Call-ID,
// tags, Contacts or routes do not fit has no row: a row that is wrong about them is worse than none.

internal import SIP

public struct ModuleRow: Equatable, Sendable {
    /// What a row is found by: two dialogs may have the same numbers, so the Call-ID belongs to it.
    public struct Key: Hashable, Sendable {
        public var entry: Int64
        public var identifier: Int64
        public var callID: String

        public init(entry: Int64, identifier: Int64, callID: String) {
            (self.entry, self.identifier, self.callID) = (entry, identifier, callID)
        }
    }

    public struct Side: Equatable, Sendable {
        public var uri = ""
        public var tag = ""
        public var cSeq = ""
        public var routes = ""
        public var contact = ""
        /// `udp:192.0.2.1:5060`: by which the proxy speaks with this side.
        public var socket = ""

        public init() {}
    }

    public struct Variable: Hashable, Comparable, Sendable {
        public var name: String
        public var value: String

        public init(name: String, value: String) { (self.name, self.value) = (name, value) }

        public static func < (left: Variable, right: Variable) -> Bool {
            (left.name, left.value) < (right.name, right.value)
        }
    }

    /// `iflags` of the module, those that a record tells.
    public struct Flags: OptionSet, Sendable {
        public let rawValue: Int64
        public init(rawValue: Int64) { self.rawValue = rawValue }
        /// Its end by time sends BYEs: here it always does.
        public static let endsWithBye = Flags(rawValue: 1 << 0)
        public static let keepAliveToCaller = Flags(rawValue: 1 << 1)
        public static let keepAliveToCallee = Flags(rawValue: 1 << 2)
        public static let keepsDeadline = Flags(rawValue: 1 << 3)
    }

    public var key: Key
    public var caller = Side()
    public var callee = Side()
    /// Further callees of a forked call, where they were asked for.
    public var others: [Side] = []
    /// Of the INVITE.
    public var inviteCSeq = ""
    /// The module's number, which is a `DialogState`'s.
    public var state: Int64 = 0
    /// When it was answered, Unix seconds.
    public var startTime: Int64 = 0
    /// When its time is up, Unix seconds.
    public var timeout: Int64 = 0
    /// 32 bits, as the signed number that databases have.
    public var scriptFlags: Int64 = 0
    public var flags: Flags = []
    public var timeoutRoute: String?
    public var requestURI = ""
    /// Profiles, as they are written.
    public var extra: String?
    /// Profiles, as they were read; `nil` where `extra` cannot be understood.
    public var links: [ProfileLink]? = []
    public var variables: [Variable] = []

    public init(key: Key) { self.key = key }

    /// The module's hash of a Call-ID, Kamailio's `core_hash`, in a table of so many entries: `hash_size` of both.
    public static func entry(of callID: [UInt8], size: Int) -> Int64 {
        func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
            // Its bytes are signed.
            bytes.reduce(0) { ($0 << 8) &+ UInt32(bitPattern: Int32(Int8(bitPattern: $1))) }
        }
        var hash: UInt32 = 0
        var rest = callID[...]
        while !rest.isEmpty {
            let value = sum(rest.prefix(4))
            hash &+= value ^ (value >> 3)
            rest = rest.dropFirst(4)
        }
        hash = (hash &+ (hash >> 11)) &+ ((hash >> 13) &+ (hash >> 23))
        return Int64(hash & UInt32(truncatingIfNeeded: max(size, 1) - 1))
    }

    /// Of a table of callees, which ims_dialog keeps by their To-tags, whatever `hash_size` is.
    public static let calleeEntries = 4_096

    /// Characters that the module's schema has room for.
    enum Width {
        static let callID = 255
        static let uri = 255
        static let tag = 128
        static let routes = 512
        static let contact = 255
        static let socket = 64
        static let route = 32
        static let extra = 512
        static let name = 128
        static let value = 512
    }
}

/// What the module would have of a dialog.
public enum ModuleProjection: Equatable, Sendable {
    /// - Parameter cut: Texts that were too long for their columns.
    case row(ModuleRow, cut: Int)
    /// No row: it rings, or is over.
    case none(ModuleRow.Key)
    /// No row: what its phones know it by does not fit.
    case tooLong(ModuleRow.Key)
    /// These bytes are no record.
    case unreadable

    public var key: ModuleRow.Key? {
        switch self {
        case .row(let row, _): row.key
        case .none(let key), .tooLong(let key): key
        case .unreadable: nil
        }
    }
}

/// How many texts of a batch were cut, and how many dialogs have no row for their length.
public struct ModuleLoss: Equatable, Sendable {
    public var cut = 0
    public var leftOut = 0
    public init() {}
}

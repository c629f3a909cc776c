// `node`: who this process is.

package struct NodeSettings: Equatable, Sendable {
    /// `node.name`, required; 1 to 32 of `A-Z a-z 0-9 . _ -`, unique in the cluster. It travels in frames, records and
    /// the branches of our Vias.
    package var name = ""
    /// `node.shards`, SIP threads, default 1; only 1 is available in this version.
    package var shards = 1
    /// `node.witness`, default false: the process votes and has no SIP and no records, a third vote for two nodes (R3).
    package var isWitness = false
    /// `node.log-level`, what is logged: lines of this level and above; `nil` is info. `--log-level` of `serve` wins.
    package var logLevel: NoteLevel?

    package init() {}

    package static let nameLimit = 32

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if let reason = Self.objection(toName: name) { list.add("node.name", reason) }
        if shards != 1 {
            list.add("node.shards", "only 1 is available in this version; it carried 5400 calls/s on one small core")
        }
        return list.problems
    }

    /// Why a text cannot name a node or a cluster; `nil` when it can.
    package static func objection(toName name: String) -> String? {
        if name.isEmpty { return "is required: a name of 1 to \(nameLimit) letters, digits, '.', '_' or '-'" }
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard allowed, name.utf8.count <= nameLimit else {
            let hint =
                name.contains { "$%".contains($0) }
                ? "; a $ or % stands for nothing here: variables like UNDERSTUDY_NODE_NAME and --set give what differs"
                : ""
            return "'\(name)' is not a name of 1 to \(nameLimit) letters, digits, '.', '_' or '-'\(hint)"
        }
        return nil
    }
}

// Whether the cluster can do without its old key: by what one node says of itself and of every member.

package struct KeyChange: Equatable, Sendable {
    /// Why not, one sentence each; empty when it can.
    package private(set) var obstacles: [String] = []
    /// Members that are down: what they hold nobody knows.
    package private(set) var absent: [String] = []

    /// - Parameters:
    ///   - status: Of a node, as `cluster.status` answers it.
    ///   - key: The id of the new key.
    package init(_ status: JSONValue, to key: String) {
        let node = Cell.text(status["node"])
        guard let sealing = status["sealing"], sealing["sending"] != nil else {
            obstacles.append("\(node) has no cluster.key-file: it seals nothing")
            return
        }
        let held = (sealing["held"]?.elements ?? []).map(Cell.text)
        guard held.contains(key) else {
            obstacles.append("\(node) does not hold the new key: copy the file there, then understudy reload --all")
            return
        }
        if Cell.text(sealing["sending"]) != key { obstacles.append("\(node) still seals with the old key") }
        let members = sealing["members"]?.elements ?? []
        for member in status["members"]?.elements ?? [] where member["self"]?.flag != true {
            let name = Cell.text(member["name"])
            let state = Cell.text(member["state"])
            guard !name.isEmpty, state != "left" else { continue }
            guard let known = members.first(where: { Cell.text($0["name"]) == name }) else {
                absent.append(name)
                continue
            }
            let holds = (known["held"]?.elements ?? []).map(Cell.text).contains(key)
            if !holds {
                obstacles.append("\(name) does not hold the new key: copy the file there, then understudy reload --all")
            } else if Cell.text(known["sending"]) != key {
                obstacles.append("\(name) still seals with the old key")
            }
        }
    }
}

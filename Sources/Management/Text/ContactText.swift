// Contacts as people read them: a line for each, and one address in full.

package enum ContactText {
    /// - Parameter width: Of the terminal.
    package static func table(_ addresses: [JSONValue], width: Int) -> String {
        var table = Table(
            ["ADDRESS", "CONTACT", "Q", "EXPIRES", "VIA", "USER-AGENT"], numeric: [2, 3], elastic: [0, 1, 4, 5])
        for address in addresses {
            for contact in address["contacts"]?.elements ?? [] {
                table.add([
                    name(address), Cell.text(contact["uri"]), Cell.text(contact["q"]),
                    "\(Cell.text(contact["expires_s"])) s", way(contact), Cell.text(contact["user_agent"]),
                ])
            }
        }
        return table.text(width: width)
    }

    /// With its table where that is not the usual one.
    private static func name(_ address: JSONValue) -> String {
        let table = Cell.text(address["table"])
        return (table == "location" ? "" : table + ":") + Cell.text(address["address"])
    }

    /// How the contact is reached, where not by its URI.
    private static func way(_ contact: JSONValue) -> String {
        if let path = contact["path"]?.text, !path.isEmpty { return path }
        if contact["connection"]?.flag == true { return "its connection" }
        return contact["received"]?.text ?? ""
    }

    package static func details(_ address: JSONValue) -> String {
        let contacts = address["contacts"]?.elements ?? []
        var lines = [name(address)]
        for contact in contacts {
            lines.append("  \(Cell.text(contact["uri"]))")
            let rows = [
                ("expires in", "\(Cell.text(contact["expires_s"])) s"), ("q", Cell.text(contact["q"])),
                ("reached by", way(contact)), ("instance", Cell.text(contact["instance"])),
                ("reg-id", Cell.text(contact["reg_id"])), ("user agent", Cell.text(contact["user_agent"])),
                ("call id", Cell.text(contact["call_id"])), ("cseq", Cell.text(contact["cseq"])),
                ("ruid", Cell.text(contact["ruid"])),
            ]
            for (name, value) in rows where !value.isEmpty && value != "-" {
                lines.append("    " + name.padded(to: 12) + value)
            }
        }
        return lines.joined(separator: "\n")
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}

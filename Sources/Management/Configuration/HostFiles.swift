// Files and folders of this host that a configuration names: who else may read a secret, and where a node is to make a
// file and cannot.

import Foundation
package import Node

package enum HostFiles {
    /// Who else may read or write a secret; `nil` when nobody may.
    package static func exposure(of path: String) -> String? {
        // Of what a symbolic link leads to; it itself has the mode 777, which says nothing.
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        guard let mode = (attributes?[.posixPermissions] as? NSNumber)?.intValue else { return nil }
        let octal = String(mode & 0o777, radix: 8)
        // A group that may read is how a service is given its key; a group that may write is not.
        let who =
            mode & 0o002 != 0
            ? "written by everybody" : mode & 0o004 != 0 ? "read by everybody" : "written by its group"
        guard mode & 0o026 != 0 else { return nil }
        return "\(path) can be \(who) (mode \(octal)): chmod 600 \(path), and make a new one if that matters"
    }

    /// Folders that are not there, in which the node is to make a file. Those of the unit it makes itself.
    package static func folders(_ settings: Settings, _ origins: [String: String]) -> [SettingProblem] {
        let management = settings.management
        var files: [(key: String, path: String)] = [
            ("storage.db_url", settings.storage.isOn ? settings.storage.file ?? "" : ""),
            ("dialogs.events-file", settings.dialogs.tellsEvents ? settings.dialogs.eventsFile : ""),
            ("management.jsonrpc_socket", management.jsonSocket), ("management.jsonrpc_fifo", management.jsonFIFO),
            ("management.mi_fifo", management.miFIFO),
        ]
        for case .unix(let path) in management.control { files.append(("management.ctl", path)) }
        var wanted = files.filter { !$0.path.isEmpty }.map { key, path in
            (key: key, folder: URL(fileURLWithPath: path).deletingLastPathComponent().path)
        }
        if !management.dumpFolder.isEmpty { wanted.append(("management.dump_folder", management.dumpFolder)) }
        if !management.jsonFIFO.isEmpty || !management.miFIFO.isEmpty {
            wanted.append(("management.fifo_reply_dir", management.replyFolder))
        }
        let taken = files.filter { isFolder($0.path) == true }.map { key, path in
            SettingProblem(key: key, message: "\(path) is a folder; name a file in it", origin: origins[key] ?? "")
        }
        return taken
            + wanted.compactMap { key, folder in
                guard !["/run/understudy", "/var/lib/understudy"].contains(folder) else { return nil }
                let found = isFolder(folder)
                guard found != true else { return nil }
                let what = found == false ? "is no folder" : "is not there; make it, and give it to the node's user"
                return SettingProblem(key: key, message: "the folder \(folder) \(what)", origin: origins[key] ?? "")
            }
    }

    /// `nil` when nothing is there.
    private static func isFolder(_ path: String) -> Bool? {
        guard !path.isEmpty else { return nil }
        var isFolder: ObjCBool = false
        // Sound: the call fills the flag that it is lent.
        let isThere = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        return isThere ? isFolder.boolValue : nil
    }
}

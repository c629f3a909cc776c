// The file of a door: a socket or a FIFO at a path. Whoever may write to it may command the node, so it is the node's
// own, in a folder where nobody else could put another in its place, and nobody but its owner and its group may write.
//
// What stands there from a process that has ended is taken over, or taken away; anything else is refused and left
// alone.

import CSockets
import Glibc

/// Why a door cannot be opened: a sentence that can follow the key's name.
package struct DoorError: Error, Equatable, Sendable, CustomStringConvertible {
    package var key: String
    package var reason: String
    package var description: String { "\(reason); see \(key)" }
}

struct DoorFile {
    /// Its owner and its group.
    static let mode: mode_t = 0o660

    let path: String
    let key: String

    private func fail(_ reason: String) -> DoorError { DoorError(key: key, reason: reason) }

    private static func reason(_ code: Int32) -> String {
        // Sound: the text is the library's own, and copied at once.
        unsafe String(cString: strerror(code)).lowercased()
    }

    private static func status(_ path: String, follows: Bool) -> csys_file? {
        var found = csys_file()
        // Sound: the call fills the struct that it is lent.
        return unsafe csys_file_at(path, follows ? 1 : 0, &found) == 0 ? found : nil
    }

    /// Root may do what it likes anyway.
    private static func isOurs(_ file: csys_file) -> Bool { file.owner == geteuid() || file.owner == 0 }

    private static func kind(_ file: csys_file) -> mode_t { file.mode & S_IFMT }

    /// An open file is a FIFO that has no second name.
    static func isLoneFIFO(_ descriptor: CInt) -> Bool {
        var found = csys_file()
        // Sound: the call fills the struct that it is lent.
        return unsafe csys_file_of(descriptor, &found) == 0 && kind(found) == S_IFIFO && found.names == 1
    }

    private func checkFolder() throws(DoorError) {
        let folder = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        guard path.hasPrefix("/"), let found = Self.status(folder.isEmpty ? "/" : folder, follows: true) else {
            throw fail("the folder of \(path) is not there")
        }
        guard Self.kind(found) == S_IFDIR else { throw fail("\(folder) is no folder") }
        // With the sticky bit nobody takes away what another has put there.
        let isSticky = found.mode & 0o1000 != 0
        guard isSticky || Self.isOurs(found) && found.mode & 0o022 == 0 else {
            throw fail("\(folder) is a folder that others may write to, and could put a file of their own there")
        }
    }

    /// Makes room for a socket.
    /// - Parameter isAlive: Whether somebody listens at the one that is there.
    func clearForSocket(_ isAlive: () async -> Bool) async throws(DoorError) {
        try checkFolder()
        guard let found = Self.status(path, follows: false) else { return }
        guard Self.kind(found) == S_IFSOCK else { throw fail("\(path) is there, and is no socket") }
        guard Self.isOurs(found) else { throw fail("\(path) is there, and is somebody else's") }
        guard await !isAlive() else { throw fail("another process listens at \(path)") }
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw fail("\(path) cannot be taken away: \(Self.reason(errno))")
        }
    }

    /// Until this is done only its owner may write to it.
    func protect() throws(DoorError) {
        guard unsafe chmod(path, Self.mode) == 0 else { throw fail("\(path): \(Self.reason(errno))") }
    }

    func remove() { unsafe _ = unlink(path) }

    /// Makes the FIFO, or takes over the one that is there.
    /// - Returns: A descriptor that never comes to an end, since this process may write to it, too.
    func openFIFO() throws(DoorError) -> CInt {
        try checkFolder()
        if Self.status(path, follows: false) == nil {
            guard unsafe mkfifo(path, 0o600) == 0 else { throw fail("\(path) cannot be made: \(Self.reason(errno))") }
            try protect()
        }
        let descriptor = unsafe open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw fail("\(path) cannot be opened: \(Self.reason(errno))") }
        var found = csys_file()
        // Sound: the call fills the struct that it is lent.
        let isKnown = unsafe csys_file_of(descriptor, &found) == 0
        let refusal: String? =
            if !isKnown || Self.kind(found) != S_IFIFO {
                "\(path) is there, and is no FIFO"
            } else if !Self.isOurs(found) || found.names != 1 {
                "\(path) is there, and is somebody else's"
            } else if found.mode & 0o006 != 0 {
                "\(path) can be written or read by everybody: chmod 660 \(path)"
            } else {
                nil
            }
        guard let refusal else { return descriptor }
        close(descriptor)
        throw fail(refusal)
    }
}

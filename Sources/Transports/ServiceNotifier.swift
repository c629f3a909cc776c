// ServiceNotifier speaks to the service manager that started the process (systemd's Type=notify): one datagram a
// message, to the AF_UNIX socket that NOTIFY_SOCKET names.
//
//     READY=1 STATUS=…      the node takes new calls; `systemctl start` returns
//     RELOADING=1 MONOTONIC_USEC=…, then READY=1 once more
//     STOPPING=1            the drain has begun
//     WATCHDOG=1            the SIP thread turns; when this stays away for WATCHDOG_USEC, the manager kills the process
//     STATUS=…              one line for `systemctl status`
//
// Sending never waits: the manager's queue may be full, and the SIP thread sends these, too. The socket is opened
// once, so that a process without descriptors left is not taken for one that hangs.
//
// Without the variable there is nobody to tell, and no notifier.

import CSockets
import Glibc

/// Why the service manager cannot be told.
package struct ServiceNotifierError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        /// Neither a path from the root nor an abstract name (vsock is not known here).
        case unknownKind
        case tooLong(limit: Int)
        case noSocket(code: Int32)
        case notSent(code: Int32)
    }

    /// As NOTIFY_SOCKET has it.
    package var name: String
    package var reason: Reason

    package init(name: String, reason: Reason) {
        self.name = name
        self.reason = reason
    }

    package var description: String {
        let why =
            switch reason {
            case .unknownKind: "it is neither a path like /run/systemd/notify nor a name like @notify"
            case .tooLong(let limit): "it is longer than \(limit) bytes"
            case .noSocket(let code): unsafe "no socket: \(String(cString: strerror(code)))"
            case .notSent(let code): unsafe "\(String(cString: strerror(code))) (\(code))"
            }
        return "the service manager at \(name) cannot be told: \(why)"
    }
}

package final class ServiceNotifier: Sendable {
    package enum Message: Equatable, Sendable {
        case ready
        case reloading
        case stopping
        case watchdog
        /// What `systemctl status` shows; a line end becomes a space.
        case status(String)
    }

    /// What a socket's name may have: a zero byte follows it.
    package static let nameLimit = 107
    /// A status line's length; the rest is cut off.
    package static let statusLimit = 1_000

    /// How often the watchdog wants to hear from us at least, half of its patience; `nil` when it does not watch.
    package let watchdogInterval: Duration?
    private let name: String
    private let descriptor: Int32

    /// - Parameter process: This process; a watchdog may be meant for another.
    /// - Returns: `nil` when no service manager wants to be told.
    package static func find(
        in environment: [String: String], process: Int32
    ) throws(ServiceNotifierError) -> ServiceNotifier? {
        guard let name = environment["NOTIFY_SOCKET"], !name.isEmpty else { return nil }
        var interval: Duration?
        let isOurs = environment["WATCHDOG_PID"].map { $0 == String(process) } ?? true
        if isOurs, let patience = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), patience > 0 {
            interval = .microseconds(patience / 2)
        }
        return try ServiceNotifier(name, watchdogInterval: interval)
    }

    package init(_ name: String, watchdogInterval: Duration?) throws(ServiceNotifierError) {
        guard name.hasPrefix("/") || name.hasPrefix("@") else {
            throw ServiceNotifierError(name: name, reason: .unknownKind)
        }
        guard name.utf8.count <= Self.nameLimit else {
            throw ServiceNotifierError(name: name, reason: .tooLong(limit: Self.nameLimit))
        }
        let opened = csys_notify_open()
        guard opened >= 0 else { throw ServiceNotifierError(name: name, reason: .noSocket(code: -opened)) }
        self.name = name
        self.watchdogInterval = watchdogInterval
        descriptor = opened
    }

    deinit { csys_close(descriptor) }

    package func tell(_ message: Message) throws(ServiceNotifierError) {
        // Sound: both texts are lent for the call.
        let result = unsafe csys_notify_send(descriptor, name, Self.text(message))
        guard result == 0 else { throw ServiceNotifierError(name: name, reason: .notSent(code: -result)) }
    }

    private static func text(_ message: Message) -> String {
        switch message {
        case .ready: "READY=1"
        case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(csys_monotonic() / 1_000)"
        case .stopping: "STOPPING=1"
        case .watchdog: "WATCHDOG=1"
        case .status(let line):
            "STATUS=" + String(line.prefix(statusLimit).map { $0.isNewline || $0 == "\0" ? " " : $0 })
        }
    }
}

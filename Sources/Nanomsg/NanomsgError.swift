// NanomsgError says what the bus could not do, where, and why, in words for the operator who has to mend it.
//
// nanomsg reports by errno, partly with numbers of its own; only the few that an operator can do something about have a
// case. Surprises inside the library end in its abort() and never get here: the fixed options of `SocketHandle` avoid
// the known ways.

import CNanomsg
import Glibc

/// A failed call of the bus.
package struct NanomsgError: Error, Equatable, Sendable {
    package enum Operation: Equatable, Sendable {
        case open, configure, listen, connect, disconnect, send, receive, startThread
    }

    package enum Reason: Equatable, Sendable {
        /// Another socket has the address: usually a second process of the same node.
        case addressInUse
        /// The address is not one of this host.
        case addressNotAvailable
        case notPermitted
        case tooManySockets
        /// Not `tcp://ADDRESS:PORT` with a literal address and a port from 1 to 65534.
        case invalidAddress
        /// IPv4 and IPv6 addresses on one bus; nanomsg aborts the process when they share a socket.
        case mixedFamilies
        /// Longer than `limit` bytes; a receiver would close the connection and stay away for half a minute.
        case messageTooLarge(limit: Int)
        /// The socket was closed.
        case closed
        case other(code: Int32)
    }

    package var operation: Operation
    package var reason: Reason
    /// The address concerned, as text; empty when there is none.
    package var address: String

    package init(_ operation: Operation, _ reason: Reason, address: String = "") {
        self.operation = operation
        self.reason = reason
        self.address = address
    }

    /// The error of the nanomsg call that has just failed in this thread.
    init(_ operation: Operation, address: String = "") {
        self.init(operation, code: nn_errno(), address: address)
    }

    init(_ operation: Operation, code: Int32, address: String = "") {
        let reason: Reason
        switch code {
        case EADDRINUSE: reason = .addressInUse
        case EADDRNOTAVAIL, ENODEV: reason = .addressNotAvailable
        case EACCES, EPERM: reason = .notPermitted
        case EMFILE, ENFILE: reason = .tooManySockets
        case EBADF, ETERM: reason = .closed
        default: reason = .other(code: code)
        }
        self.init(operation, reason, address: address)
    }

}

extension NanomsgError: CustomStringConvertible {
    package var description: String {
        let subject = address.isEmpty ? "" : " \(address)"
        switch operation {
        case .open: return "cannot open a bus socket: \(why)"
        case .configure: return "cannot configure a bus socket: \(why)"
        case .listen: return "cannot listen for the bus on\(subject): \(why)"
        case .connect: return "cannot connect the bus to\(subject): \(why)"
        case .disconnect: return "cannot disconnect the bus from\(subject): \(why)"
        case .send: return "cannot send on the bus: \(why)"
        case .receive: return "cannot receive from the bus: \(why)"
        case .startThread: return "cannot start a bus thread: \(why)"
        }
    }

    private var why: String {
        switch reason {
        case .addressInUse: "the address is in use; is another node running with it?"
        case .addressNotAvailable: "the address is not one of this host"
        case .notPermitted: "not permitted"
        case .tooManySockets: "too many open sockets; raise the limit of open files"
        case .invalidAddress: "not tcp://ADDRESS:PORT with a literal address and a port from 1 to 65534"
        case .mixedFamilies: "bus addresses must be all IPv4 or all IPv6"
        case .messageTooLarge(let limit): "the message is longer than \(limit) bytes"
        case .closed: "the socket is closed"
        case .other(let code): unsafe "\(String(cString: nn_strerror(code))) (\(code))"
        }
    }
}

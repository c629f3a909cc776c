// One table of methods under all doors: a name and arguments go in, a result or a refusal comes out. What stands around
// it (JSON-RPC, BINRPC, the MI FIFO) is each door's own; what an argument may be differs by door, and the arguments
// know theirs.

import Node

package struct Dispatcher: Sendable {
    package let context: RPCContext

    package init(_ context: RPCContext) { self.context = context }

    package static let unknown = RPCError(500, "Method Not Found")
    /// More was asked than a door lets through.
    package static let tooFast = RPCError(500, "Command Executed Too Fast")

    package func call(_ name: String, _ arguments: RPCArguments) async throws(RPCError) -> JSONValue {
        guard let method = RPCMethods.named(name) else { throw Self.unknown }
        do {
            return try await method.call(arguments, in: context)
        } catch let error as RPCError {
            throw error
        } catch is NodeStopped {
            throw .stopping
        } catch {
            throw RPCError(-32_603, "Internal Error")
        }
    }
}

/// What a method tells of the process around the node.
package struct ProcessFacts: Sendable {
    /// `understudy 0.2.0 (x86_64/linux)`
    package var version = "understudy"
    package var processID: Int32 = 0
    /// Seconds since 1970.
    package var startedAt: Int64 = 0
    /// Where SIP is listened for, `udp`, address and port as texts, and by what name it is advertised, if by another.
    package var sockets: [Socket] = []
    /// `management.compat`: visible defects of Kamailio 5.6.3 are shown, too.
    package var showsDefects = false
    /// `management.dump_folder`; empty: nothing is dumped.
    package var dumpFolder = ""
    /// What the script may call; empty without one.
    package var scriptFunctions: [ScriptFunction] = []
    package let baseline = StatisticsBaseline()
    package let drops = DoorDrops()

    /// A function of KSR, as `app_lua.api_list` tells it.
    package struct ScriptFunction: Equatable, Sendable {
        package var module: String
        package var name: String
        package var result: String
        package var parameters: String

        package init(module: String, name: String, result: String, parameters: String) {
            self.module = module
            self.name = name
            self.result = result
            self.parameters = parameters
        }
    }

    package struct Socket: Equatable, Sendable {
        package var transport: String
        package var address: String
        package var port: UInt16
        package var advertised: String

        package init(transport: String, address: String, port: UInt16, advertised: String) {
            self.transport = transport
            self.address = address
            self.port = port
            self.advertised = advertised
        }
    }

    package init() {}
}

// The doors beside HTTP: what is asked through them is answered by the same table of methods. They are off until a key
// opens them. Each is guarded by who may write to its file, or stands on loopback; none knows a token.

import NIOCore
import NIOPosix
package import Node

package final class Doors: Sendable {
    private let control: [ControlDoor]
    private let datagram: DatagramDoor?
    private let fifos: [FIFODoor]

    private init(_ control: [ControlDoor], _ datagram: DatagramDoor?, _ fifos: [FIFODoor]) {
        self.control = control
        self.datagram = datagram
        self.fifos = fifos
    }

    /// Opens all that the settings name, or none.
    package static func open(_ settings: ManagementSettings, _ context: RPCContext) async throws(DoorError) -> Doors {
        let group = MultiThreadedEventLoopGroup.singleton
        var opened = Doors([], nil, [])
        do throws(DoorError) {
            for address in settings.control {
                let door = try await ControlDoor.open(address, BinaryServer(context), group)
                opened = Doors(opened.control + [door], nil, [])
            }
            if !settings.jsonSocket.isEmpty {
                let door = try await DatagramDoor.open(settings.jsonSocket, TextServer(context), group)
                opened = Doors(opened.control, door, [])
            }
            let fifos: [(String, String, FIFODoor.Kind)] = [
                ("management.jsonrpc_fifo", settings.jsonFIFO, .json(TextServer(context))),
                ("management.mi_fifo", settings.miFIFO, .mi(MIServer(context))),
            ]
            for (key, path, kind) in fifos where !path.isEmpty {
                let door = try await FIFODoor.open(path, key: key, replies: settings.replyFolder, kind, group)
                opened = Doors(opened.control, opened.datagram, opened.fifos + [door])
            }
            return opened
        } catch {
            await opened.close()
            throw error
        }
    }

    package func close() async {
        for door in control { await door.close() }
        await datagram?.close()
        for door in fifos { await door.close() }
    }
}

// The SIP thread of a real node: the generic loop specialised here, where `Node` and the loop meet, so that no datagram
// passes through an existential or an unspecialised call.

package import Node

extension Node: NodeMachine {}

package typealias NodeThread = SIPThread<Node>

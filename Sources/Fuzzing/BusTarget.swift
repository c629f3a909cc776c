// A node among hostile peers. Two real nodes of a cluster of three make the start: they hear each other and agree.
// Then one of them gets what the fuzzer says the other one sent: frames, requests and replies with a good header (made
// from the other's own) and any entries, or raw bytes. The node must go on, within its bounds.
//
//   input: steps between bytes 0x1E; each is one byte (below), then the entries
//   low three bits: 0 to 3 a frame, 4 a request, 5 a reply to the oldest open request, 6 raw, 7 time passes
//   high five bits: how many sequenced entries the header announces; or tens of milliseconds

@testable import Cluster
import Node
import Primitives
import SIP

enum BusTarget {
    static func run(_ bytes: [UInt8]) {
        var world = Pair()
        for step in FuzzInput(bytes).steps.prefix(24) {
            var input = FuzzInput(step)
            world.take(input.byte(), Array(input.rest))
        }
        world.settle()
    }

    /// The node under test, and the header of its peer.
    private struct Pair {
        var node: Node
        var header: FrameHeader
        var now = Instant.zero
        var out = Outbox()
        var sequence: UInt64
        /// Requests that the node has under way, oldest first.
        var open: [(peer: Int, id: UInt64)] = []

        static func settings(_ index: Int) -> Settings {
            var settings = Settings()
            settings.node.name = "n\(index)"
            settings.sip.listen = [Endpoint(address: Address(ipv4: 0x7F00_000A + UInt32(index)), port: 5_060)]
            settings.dialogs.hashSize = 16
            let buses = (1...3).map { Endpoint(address: Address(ipv4: 0x7F00_000A + UInt32($0)), port: 7_400) }
            settings.cluster.bus = buses[index - 1]
            settings.cluster.peers = buses.filter { $0 != buses[index - 1] }
            return settings
        }

        init() {
            node = Node(settings: Self.settings(1), boot: 5, seed: 7, now: .zero, unixMilliseconds: 0)
            var peer = Node(settings: Self.settings(2), boot: 6, seed: 8, now: .zero, unixMilliseconds: 0)
            var (peerOut, last) = (Outbox(), [UInt8]())
            for turn in 1...4 {
                now = Instant.zero.advanced(milliseconds: Int64(turn) * 150)
                node.advance(to: now, into: &out)
                peer.advance(to: now, into: &peerOut)
                for case .publish(let range) in out.bus {
                    let frame = Array(out.busArena[range.range])
                    peer.receive(frame: RawSpan(_elements: frame.span), now: now, into: &peerOut)
                }
                for case .publish(let range) in peerOut.bus {
                    last = Array(peerOut.busArena[range.range])
                    node.receive(frame: RawSpan(_elements: last.span), now: now, into: &out)
                }
                peerOut.removeAll()
                for case .request(let peer, let id, _) in out.bus { open.append((peer, id)) }
                out.removeAll()
            }
            var reader = WireReader(last)
            guard let header = try? FrameHeader.read(&reader) else { preconditionFailure("a node's frame is readable") }
            self.header = header
            sequence = max(1, header.first)
        }

        mutating func take(_ choice: UInt8, _ entries: [UInt8]) {
            let number = UInt16(choice >> 3)
            switch choice & 7 {
            case 0...3:
                let frame = message(.published, count: number, entries)
                sequence += UInt64(number)
                node.receive(frame: RawSpan(_elements: frame.span), now: now, into: &out)
            case 4:
                let request = message(.request, count: 0, entries)
                node.receive(request: RawSpan(_elements: request.span), token: 9, now: now, into: &out)
            case 5:
                guard !open.isEmpty else { return }
                let (peer, id) = open.removeFirst()
                let reply = message(.reply, count: 0, entries)
                node.receive(reply: RawSpan(_elements: reply.span), to: id, from: peer, now: now, into: &out)
            case 6: node.receive(frame: RawSpan(_elements: entries.span), now: now, into: &out)
            default: now = now.advanced(milliseconds: Int64(number) * 10)
            }
            node.advance(to: now, into: &out)
            drain()
        }

        private mutating func message(_ lane: FrameHeader.Lane, count: UInt16, _ entries: [UInt8]) -> [UInt8] {
            var header = header
            header.lane = lane
            header.clock += UInt64(now.nanoseconds / 1_000_000)
            header.first = sequence
            header.count = count
            var writer = ByteWriter()
            header.write(into: &writer)
            writer.put(entries)
            return writer.bytes
        }

        /// What the node wants done keeps to the wire's bounds and can be read by its peers.
        mutating func drain() {
            for action in out.bus {
                switch action {
                case .publish(let range): check(range, limit: FrameHeader.frameLimit)
                case .request(let peer, let id, let range):
                    check(range, limit: FrameHeader.messageLimit)
                    open.append((peer, id))
                case .reply(_, let range): if !range.isEmpty { check(range, limit: FrameHeader.messageLimit) }
                case .probe, .recycle, .connect, .disconnect: break
                }
            }
            precondition(open.count <= 64, "requests under way are bounded")
            out.removeAll()
        }

        private func check(_ range: ByteRange, limit: Int) {
            precondition(range.count <= limit, "\(range.count) bytes are more than a message may have")
            let bytes = Array(out.busArena[range.range])
            var reader = WireReader(bytes)
            guard (try? FrameHeader.read(&reader)) != nil else { preconditionFailure("a header of ours is readable") }
            do {
                while try Cluster.nextEntry(&reader) != nil {}
            } catch {
                preconditionFailure("entries of ours are readable: \(error)")
            }
        }

        /// A minute on, the node still turns, and does not spin.
        mutating func settle() {
            let end = now.advanced(by: .seconds(5))
            var turns = 0
            while node.nextDeadline <= end {
                now = max(now, node.nextDeadline)
                node.advance(to: now, into: &out)
                drain()
                turns += 1
                precondition(turns < 5_000, "a node must not spin")
            }
            _ = node.status(now: now)
        }
    }
}

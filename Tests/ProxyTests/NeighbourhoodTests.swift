// What the node tells the proxy of the cluster, and what follows from it alone.

import Dialogs
import Primitives
import Proxy
import SIP
import Testing

@Suite("The neighbourhood")
struct NeighbourhoodTests {
    private static let hash = KeyedHash(key0: 1, key1: 2)

    private static func neighbourhood(_ live: [Bool]) -> Neighbourhood {
        var neighbours = Neighbourhood(ownName: Array("n1".utf8), hash: hash)
        neighbours.peers = live.enumerated().map { number, isLive in
            PeerContact(
                memberTag: UInt32(number + 2), endpoint: Endpoint(text: "10.0.1.\(number + 2):5060"),
                sockets: [Endpoint(text: "10.0.1.\(number + 2):5070")!], isLive: isLive, takesCalls: isLive)
        }
        return neighbours
    }

    @Test func `a member is known by its tag and by each of its sockets`() {
        let neighbours = Self.neighbourhood([true, false])
        #expect(neighbours.peer(3)?.isLive == false && neighbours.peer(9) == nil)
        #expect(neighbours.peer(at: Endpoint(text: "10.0.1.2:5070")!)?.memberTag == 2)
        #expect(neighbours.isPeerAddress(Endpoint(text: "10.0.1.3:5060")!))
        #expect(!neighbours.isPeerAddress(Endpoint(text: "10.0.1.4:5060")!))
        #expect(neighbours.takersOfCalls.map(\.text) == ["10.0.1.2:5060"])
    }

    @Test
    func `an owner is dead that is known to be, that another of its name followed, or that nobody heard of for 3 s`() {
        var neighbours = Self.neighbourhood([true, false])
        let now = Instant.zero
        func isDead(_ owner: UInt32, after seconds: Int = 0) -> Bool {
            neighbours.isDead(owner, now: now.advanced(by: .seconds(seconds)))
        }
        #expect([2, 3].map { isDead($0) } == [false, true], "one that lives, one that does not")
        neighbours.peers.removeFirst()
        #expect(isDead(2), "it was a member")
        #expect(!isDead(77), "it may just have started")
        #expect(isDead(77, after: 4))
    }

    @Test func `a question can be answered by who lives, or may be heard again`() {
        #expect(Self.neighbourhood([false, true]).hasAnybodyToAsk)
        var alone = Self.neighbourhood([false])
        #expect(!alone.hasAnybodyToAsk)
        alone.commits = true
        #expect(alone.hasAnybodyToAsk && !alone.hasLivePeer)
    }

    @Test func `every transaction has one heir among the fit, and none inherits that is not`() {
        let names = ["n1", "n2", "n3"]
        let nodes = names.map { name in
            var node = Neighbourhood(ownName: Array(name.utf8), hash: Self.hash)
            node.heirs.set(names)
            return node
        }
        for number in 0..<100 {
            let slot = SlotID(index: UInt32(number), generation: 1)
            let did = DialogID(rawValue: UInt64(number) &* 7_919)
            let heirs = nodes.filter { $0.isHeir(did, of: slot) }
            #expect(heirs.count == 1)
        }
        #expect(nodes.map(\.isFit) == [true, true, true])
        #expect(!Neighbourhood(ownName: Array("n1".utf8), hash: Self.hash).isFit)
    }
}

// Owners of transactions that no member is known by: how long each counts as alive.

import Primitives
import Testing

@testable import Proxy

@Suite("Owners that are no members")
struct UnknownOwnersTests {
    private static func peer(_ tag: UInt32) -> PeerContact {
        PeerContact(memberTag: tag, endpoint: nil, isLive: true)
    }

    @Test func `a stranger has its grace from when it was first met, and no change begins it anew`() {
        var owners = UnknownOwners()
        let start = Instant.zero
        #expect(!owners.isDead(7, now: start) && owners.takeMet() && !owners.takeMet())
        #expect(!owners.isDead(7, now: start.advanced(by: UnknownOwners.grace)))
        #expect(owners.isDead(7, now: start.advanced(by: UnknownOwners.grace + .milliseconds(1))))
        #expect(!owners.takeMet(), "it has been met before")
    }

    @Test func `who was a peer and is none is dead at once, and a stranger that is heard is none any more`() {
        var owners = UnknownOwners()
        owners.peersChanged(from: [Self.peer(1), Self.peer(2)], to: [Self.peer(2), Self.peer(3)])
        #expect(owners.isDead(1, now: .zero) && !owners.takeMet())
        owners.peersChanged(from: [Self.peer(2)], to: [Self.peer(1), Self.peer(2)])
        #expect(!owners.isDead(1, now: .zero), "it is a peer again, and was only met anew")
        let late = Instant.zero.advanced(by: .seconds(4))
        #expect(!owners.isDead(9, now: .zero) && owners.isDead(9, now: late))
        owners.peersChanged(from: [], to: [Self.peer(9)])
        #expect(!owners.isDead(9, now: late))
    }

    @Test func `64 of each kind are remembered, and who came first is forgotten`() {
        var owners = UnknownOwners()
        let late = Instant.zero.advanced(by: .seconds(4))
        for tag in 1...UInt32(UnknownOwners.limit) + 1 { _ = owners.isDead(tag, now: .zero) }
        #expect(owners.isDead(2, now: late) && !owners.isDead(1, now: late))
        var gone = UnknownOwners()
        gone.peersChanged(from: (1...UInt32(UnknownOwners.limit) + 1).map(Self.peer), to: [])
        #expect(gone.isDead(2, now: .zero) && !gone.isDead(1, now: .zero))
    }
}

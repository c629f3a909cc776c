// Owners of transactions that no member is known by: how long each counts as alive.

import Primitives
import Proxy
import Testing

@Suite("Owners that are no members")
struct UnknownOwnersTests {
    private static func peer(_ tag: UInt32) -> PeerContact {
        PeerContact(memberTag: tag, endpoint: nil, isLive: true)
    }

    @Test func `a stranger has its grace from when it was first met, and no change begins it anew`() {
        var owners = UnknownOwners()
        let start = Instant.zero
        let moments: [Duration] = [.zero, UnknownOwners.grace, UnknownOwners.grace + .milliseconds(1)]
        var met: [Bool] = []
        let dead = moments.map { moment in
            let isDead = owners.isDead(7, now: start.advanced(by: moment))
            met.append(owners.takeMet())
            return isDead
        }
        #expect(dead == [false, false, true])
        #expect(met == [true, false, false], "it is met once")
    }

    @Test func `who was a peer and is none is dead at once, and a stranger that is heard is none any more`() {
        var owners = UnknownOwners()
        let late = Instant.zero.advanced(by: .seconds(4))
        owners.peersChanged(from: [Self.peer(1), Self.peer(2)], to: [Self.peer(2), Self.peer(3)])
        let wasGone = owners.isDead(1, now: .zero)
        owners.peersChanged(from: [Self.peer(2)], to: [Self.peer(1), Self.peer(2)])
        let isBack = owners.isDead(1, now: .zero)
        #expect(wasGone && !isBack, "a peer again, and only met anew")
        let stranger = [owners.isDead(9, now: .zero), owners.isDead(9, now: late)]
        owners.peersChanged(from: [], to: [Self.peer(9)])
        let heard = owners.isDead(9, now: late)
        #expect(stranger == [false, true] && !heard)
    }

    @Test func `64 of each kind are remembered, and who came first is forgotten`() {
        var owners = UnknownOwners()
        let late = Instant.zero.advanced(by: .seconds(4))
        for tag in 1...UInt32(UnknownOwners.limit) + 1 { _ = owners.isDead(tag, now: .zero) }
        let strangers = [owners.isDead(2, now: late), owners.isDead(1, now: late)]
        #expect(strangers == [true, false])
        var gone = UnknownOwners()
        gone.peersChanged(from: (1...UInt32(UnknownOwners.limit) + 1).map(Self.peer), to: [])
        let processes = [gone.isDead(2, now: .zero), gone.isDead(1, now: .zero)]
        #expect(processes == [true, false])
    }
}

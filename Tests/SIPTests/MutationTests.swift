// Valid messages damaged at random, from a fixed seed: whatever the damage, nothing traps, no range leaves the message,
// and what still validates can be answered and forwarded in a form that validates (see MessageExercise).

import Fuzzing
import Primitives
import SIP
import Testing

/// The same damage everywhere for one seed.
private struct Mutator {
    var random: SplitMix

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    mutating func mutate(_ bytes: inout [UInt8]) {
        for _ in 0...below(3) {
            guard !bytes.isEmpty else { return }
            let place = below(bytes.count)
            switch below(7) {
            case 0: bytes[place] ^= 1 << UInt8(below(8))
            case 1: bytes.removeLast(bytes.count - place)
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + below(12)))
            case 3: bytes.insert(contentsOf: Array(bytes[place..<min(bytes.count, place + 1 + below(60))]), at: place)
            case 4: bytes[place] = Array(";,<>\"\\:@ \t\r\n=[]%*?&/\0".utf8)[below(21)]
            case 5: bytes.insert(contentsOf: Array("\r\n ".utf8).prefix(1 + below(3)), at: place)
            default: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            }
        }
    }

    private mutating func below(_ bound: Int) -> Int { random.next(below: bound) }
}

@Suite("Damaged messages never trap")
struct MutationTests {
    private static let seeds = [
        invite,
        """
        SIP/2.0 200 OK
        v: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1;rport=5;received=::1, SIP/2.0/TCP b;maddr=c;ttl=1
        f: "A \\" B" <sip:a:p@b:5060;transport=udp?x=y>;tag=1
        t: c <sips:[2001:db8::1.2.3.4]>;tag="2,"
        i: x@y
        CSeq: 4294967295 SUBSCRIBE
        m: *, <tel:+1-2;x=y>;q=0.5
        Record-Route: <sip:p1;lr;did=00>, <sip:p2>
        Route: <sip:a>,
         <sip:b>
        k: timer, 100rel
        l: 0


        """,
        """
        NEW sip:a@b;lr?h=1 SIP/2.0
        Via: SIP/2.0/WSS h
        From: sip:a@b
        To: sip:c@d
        Call-ID: 1
        CSeq: 1 NEW


        """,
    ].map { Array($0.replacingLineFeeds().utf8) }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `5000 mutations of valid messages from one seed`(seed: UInt64) {
        var mutator = Mutator(seed: seed)
        var exercise = MessageExercise()
        for round in 0..<5_000 {
            var bytes = Self.seeds[round % Self.seeds.count]
            mutator.mutate(&bytes)
            exercise.run(bytes)
        }
        #expect(exercise.valid > 500, "enough mutations must leave a message valid for the test to say something")
    }

    @Test func `every truncation of valid messages`() {
        var exercise = MessageExercise()
        for seed in Self.seeds {
            for count in 0...seed.count { exercise.run(Array(seed.prefix(count))) }
        }
    }
}

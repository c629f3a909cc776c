// The seal with the real cipher, by itself and on real sockets: what is on the wire, what a recorded stream does when
// it is played back, and who is named with which key.

import Cluster
import Glibc
import Nanomsg
import Node
import Primitives
import Sealing
import Synchronization
import Testing
import Transports

private let secret = Array("0123456789abcdef0123456789abcdef".utf8)
private let other = Array("fedcba9876543210fedcba9876543210".utf8)

/// A message in the clear, as the cluster machine writes it.
private func plain(_ entries: String, lane: UInt8 = 0, from name: String = "n1", salt: UInt8 = 1) -> [UInt8] {
    var bytes = Array("US".utf8) + [1, 0] + [UInt8](repeating: 9, count: 24) + [UInt8](repeating: salt, count: 16)
    // Of the mark, the boot and the clock only the clock has a range.
    bytes[20] = 0
    bytes += [lane] + [UInt8](repeating: 0, count: 10) + [UInt8(name.utf8.count)] + Array(name.utf8)
    return bytes + Array(entries.utf8)
}

private func sealing(_ secrets: [[UInt8]]) -> BusSealing { BusSealing(secrets, clock: { BootClock.now }) }

extension BusSealing {
    fileprivate func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        _ = seal(frame: RawSpan(_elements: bytes.span), into: &out)
        return out
    }

    fileprivate func opened(_ bytes: [UInt8]) -> (BusOpening, [UInt8]) {
        var out: [UInt8] = []
        let opening = open(frame: RawSpan(_elements: bytes.span), into: &out)
        return (opening, out)
    }

    /// Is asked by another, and asks it in turn: from then on its frames are taken.
    fileprivate func prove(_ other: BusSealing, as name: String = "n1", salt: UInt8 = 1) {
        let theirs = plain("?", lane: 1, from: name, salt: salt)
        var (sent, taken) = ([UInt8](), [UInt8]())
        _ = other.seal(request: RawSpan(_elements: theirs.span), into: &sent)
        _ = open(request: RawSpan(_elements: sent.span), into: &taken)
        let question = plain("?", lane: 1, from: "n9", salt: 99)
        let answer = plain("!", lane: 2, from: name, salt: salt)
        var (asked, opened, answered) = ([UInt8](), [UInt8](), [UInt8]())
        guard let ticket = seal(request: RawSpan(_elements: question.span), into: &asked),
            case .opened(let found) = other.open(request: RawSpan(_elements: asked.span), into: &opened),
            other.seal(reply: RawSpan(_elements: answer.span), to: found, into: &answered) != nil
        else {
            Issue.record("a question and its answer must pass")
            return
        }
        _ = open(reply: RawSpan(_elements: answered.span), to: ticket, into: &opened)
    }

    fileprivate func count(of refusal: SealRefusal) -> UInt64 {
        report().refused.first { $0.refusal == refusal }?.count ?? 0
    }
}

@Suite("The seal of the bus")
struct BusSealingTests {
    @Test func `a frame is opened by who has the key, and by nobody else`() {
        let frame = plain("\u{1}Call-ID: 1003-7c1b2f@10.0.9.1")
        let (one, two, stranger) = (sealing([secret]), sealing([secret]), sealing([other]))
        two.prove(one)
        let bytes = one.sealed(frame)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("Call-ID"))
        #expect(stranger.opened(bytes).0 == .refused(kind: SealRefusal.unknownKey.rawValue, claimed: Array("n1".utf8)))
        let (opening, opened) = two.opened(bytes)
        #expect(opening == .opened(BusTicket(high: 0x0101_0101_0101_0101, low: 0x0101_0101_0101_0101, counter: 3)))
        #expect(opened == frame)
    }

    @Test func `equal frames never look alike, nor under another process's salt`() {
        let one = sealing([secret])
        let bytes = (0..<20).map { _ in one.sealed(plain("the same")) }
        let others = (0..<20).map { _ in sealing([secret]).sealed(plain("the same", salt: 2)) }
        let tails = Set((bytes + others[..<1]).map { $0.suffix(24) })
        #expect(tails.count == 21)
    }

    @Test func `a frame is opened as it was sealed by an earlier build`() {
        // AES-256-GCM under HKDF-SHA-256; the bytes were written down when version 1 was.
        let frame = plain("golden")
        let sealed = sealing([secret]).sealed(frame)
        let text = sealed.dropFirst(58).map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
        #expect(text == Self.golden, "\(text)")
    }

    static let golden = "37a524660000000000000000000000014daa1332cf76fc07401bfed7209d2368e8540451ae21"

    @Test func `a process that seals with one of two keys is heard by who has that one only`() {
        let old = sealing([secret])
        let both = sealing([secret, other])
        // Before it has heard anybody it takes the old one.
        #expect(old.opened(both.sealed(plain("a"))).0 != .refused(kind: 4, claimed: Array("n1".utf8)))
        let new = sealing([other])
        both.prove(new, as: "n2", salt: 3)
        _ = both.opened(new.sealed(plain("b", from: "n2", salt: 3)))
        let report = both.report()
        #expect(report.sending == report.held.last)
        #expect(report.members.map(\.name).contains("n2"))
        new.prove(both)
        if case .opened = new.opened(both.sealed(plain("c"))).0 {} else { Issue.record("sealed with the new key") }
    }
}

@Suite("A sealed bus over loopback", .serialized)
struct SealedBusTests {
    /// One end, and what it was told.
    private final class End {
        let signal = Signal()
        let bus: Bus
        let seal: BusSealing?
        private(set) var events: [(event: BusEvent, bytes: [UInt8])] = []
        private var batch = BusEvents()

        init(_ bind: BusAddress, _ peers: [BusAddress], _ secrets: [[UInt8]]) throws(NanomsgError) {
            var settings = BusSettings(bind: bind, peers: peers)
            settings.requestTimeout = 300
            seal = secrets.isEmpty ? nil : BusSealing(secrets, clock: { BootClock.now })
            bus = try Bus(settings, seal: seal, signal: signal)
        }

        func publish(_ bytes: [UInt8]) { bus.publish(RawSpan(_elements: bytes.span)) }

        func collect() {
            bus.inbox.take(into: &batch)
            batch.forEach { event, bytes in events.append((event, [UInt8](copying: bytes))) }
        }

        var frames: [[UInt8]] {
            collect()
            return events.filter { $0.event == .frame }.map(\.bytes)
        }

        var refusals: [(SealRefusal?, String)] {
            collect()
            return events.compactMap { entry in
                guard case .refused(let kind) = entry.event else { return nil }
                return (SealRefusal(rawValue: kind), String(decoding: entry.bytes, as: UTF8.self))
            }
        }

        /// Answers requests with their own entries.
        func serve(as name: String, salt: UInt8) {
            let known = events.count
            collect()
            for entry in events.dropFirst(known) {
                guard case .request(let token) = entry.event else { continue }
                let answer = plain("answer", lane: 2, from: name, salt: salt)
                bus.reply(token: token, RawSpan(_elements: answer.span))
            }
        }

        /// Publishes until the other has it, which asks meanwhile who that is.
        /// - Parameter peer: This end, as the other knows it.
        func reach(_ end: End, _ bytes: [UInt8], peer: Int = 0) -> Bool {
            SealedBusTests.wait {
                if !end.isAsking {
                    let question = plain("?", lane: 1, from: "n9", salt: 99)
                    end.bus.request(peer: peer, id: 900, RawSpan(_elements: question.span))
                    end.isAsking = true
                }
                serve(as: "n1", salt: 1)
                publish(bytes)
                return end.frames.contains(bytes)
            }
        }

        var isAsking = false
    }

    private static func wait(seconds: Double = 5, _ condition: () -> Bool) -> Bool {
        let end = BootClock.now.advanced(milliseconds: Int64(seconds * 1_000))
        while BootClock.now < end {
            if condition() { return true }
            usleep(2_000)
        }
        return condition()
    }

    /// Addresses of this test process only.
    private static let ports = Mutex(40_000 + Int(getpid()) % 2_000 * 8)

    private static func address() throws -> BusAddress {
        let port = ports.withLock { port in
            port += 2
            return port
        }
        return try BusAddress("tcp://127.0.0.1:\(port)")
    }

    @Test func `frames, requests and replies pass between members, and are not to be read on the way`() throws {
        let (one, two, tap) = try (Self.address(), Self.address(), Self.address())
        // The tap is a subscriber without a seal: it gets the bytes that go over the wire.
        let left = try End(one, [two, tap], [secret])
        let right = try End(two, [one], [secret])
        let listener = try End(tap, [], [])
        let frame = plain("Call-ID: 1003-7c1b2f@10.0.9.1, sip:bob@example.org;tag=a1003")
        #expect(left.reach(right, frame))
        let request = plain("a question", lane: 1)
        left.bus.request(peer: 0, id: 41, RawSpan(_elements: request.span))
        let isAnswered = Self.wait {
            right.serve(as: "n2", salt: 2)
            left.collect()
            return left.events.contains { $0.event == .reply(to: 41, from: 0) }
        }
        #expect(isAnswered)
        let answers = left.events.filter { $0.event == .reply(to: 41, from: 0) }.map(\.bytes)
        #expect(answers == [plain("answer", lane: 2, from: "n2", salt: 2)])
        #expect(Self.wait { !listener.frames.isEmpty })
        for bytes in listener.frames {
            let text = String(decoding: bytes, as: UTF8.self)
            for word in ["Call-ID", "7c1b2f", "bob", "example.org", "tag", "a1003"] { #expect(!text.contains(word)) }
        }
        for end in [left, right, listener] { end.bus.stop() }
    }

    @Test func `a recorded stream that is played back changes nothing, from the same address or another`() throws {
        let (one, two, tap, replay) = try (Self.address(), Self.address(), Self.address(), Self.address())
        let left = try End(one, [two, tap], [secret])
        let right = try End(two, [one], [secret])
        let recorder = try End(tap, [], [])
        // What left before the receiver had its sender's proof has not been heard yet, and is no copy when it comes.
        #expect(left.reach(right, plain("the first that is heard")))
        let isRecorded = Self.wait {
            left.publish(plain("the first that is heard"))
            return !recorder.frames.isEmpty
        }
        #expect(isRecorded)
        usleep(300_000)
        let unheard = recorder.frames.count
        for number in 0..<20 { #expect(left.reach(right, plain("frame \(number)"))) }
        #expect(Self.wait { recorder.frames.count >= unheard + 20 })
        usleep(300_000)
        let recorded = Array(recorder.frames.dropFirst(unheard))
        let known = right.frames
        // Another process at another address; then, its own having been given up, one at the sender's own.
        for address in [replay, one] {
            if address == one { left.bus.stop() }
            let refusedBefore = right.seal?.count(of: .replayed) ?? 0
            let player = try End(address, [two], [])
            // Until the first arrives: a PUB that is not connected yet drops.
            let isReached = Self.wait {
                player.publish(recorded[0])
                return right.seal?.count(of: .replayed) ?? 0 > refusedBefore
            }
            #expect(isReached)
            let before = right.seal?.count(of: .replayed) ?? 0
            for bytes in recorded { player.publish(bytes) }
            #expect(Self.wait { right.seal?.count(of: .replayed) ?? 0 >= before + UInt64(recorded.count) })
            player.bus.stop()
        }
        #expect(right.frames == known)
        #expect(right.refusals.contains { $0 == .replayed && $1 == "n1" })
        for end in [left, right, recorder] { end.bus.stop() }
    }

    @Test func `who has last week's key, or none, is named and changes nothing`() throws {
        let (one, two, three, four) = try (Self.address(), Self.address(), Self.address(), Self.address())
        let member = try End(one, [two, three, four], [secret])
        let late = try End(two, [one], [other])
        let clear = try End(three, [one], [])
        let areNamed = Self.wait {
            late.publish(plain("x", from: "n2"))
            clear.publish(plain("x", from: "n3"))
            clear.publish([1, 2, 3])
            let told = member.refusals
            return told.contains { $0 == .unknownKey && $1 == "n2" } && told.contains { $0 == .unsealed && $1 == "n3" }
                && member.seal?.count(of: .malformed) ?? 0 > 0
        }
        #expect(areNamed)
        // A question without the key is not answered, and the next one is.
        let question = plain("a question", lane: 1, from: "n2")
        late.bus.request(peer: 0, id: 1, RawSpan(_elements: question.span))
        let isLeftAlone = Self.wait {
            late.collect()
            return late.events.contains { $0.event == .noReply(to: 1, from: 0) }
        }
        #expect(isLeftAlone)
        let friend = try End(four, [one], [secret])
        friend.bus.request(peer: 0, id: 2, RawSpan(_elements: question.span))
        let isAnswered = Self.wait {
            member.serve(as: "n1", salt: 1)
            friend.collect()
            return friend.events.contains { $0.event == .reply(to: 2, from: 0) }
        }
        #expect(isAnswered)
        #expect(member.frames.isEmpty)
        for end in [member, late, clear, friend] { end.bus.stop() }
    }
}

// BusSealing seals and opens for the bus: a sealer and an opener, each behind a lock of its own, and what is told of
// them.
//
//   SIP thread, REQ threads, REP thread ──▶ sealer        SUB thread, REP thread, REQ threads ──▶ opener
//                                             ▲───────────── what members hold ──────────────────────┘
//
// The SIP thread never waits for a frame that is being opened. Opening happens in the lock: 2 µs for a frame, 40 for
// the largest chunk of a snapshot.

package import Cluster
package import Nanomsg
package import Primitives
import Synchronization

package final class BusSealing: BusSeal {
    private let sealer: Mutex<FrameSealer>
    private let opener: Mutex<FrameOpener>
    private let clock: @Sendable () -> Instant

    /// - Parameters:
    ///   - secrets: One or two, oldest first.
    ///   - clock: Monotonic.
    package init(_ secrets: [[UInt8]], clock: @escaping @Sendable () -> Instant) {
        let keys = secrets.map { SealKey(secret: $0) }
        sealer = Mutex(FrameSealer(keys: keys))
        opener = Mutex(FrameOpener(keys: keys))
        self.clock = clock
    }

    /// Other secrets from now on.
    package func adopt(_ secrets: [[UInt8]]) {
        let keys = secrets.map { SealKey(secret: $0) }
        // First what opens: others may seal with the new one as soon as they hear that we hold it.
        opener.withLock { $0.adopt(keys) }
        sealer.withLock { $0.adopt(keys) }
    }

    package struct Report: Equatable, Sendable {
        /// Ids of keys.
        package var sending: UInt32
        package var held: [UInt32]
        package var members: [(name: String, keys: HeldKeys)]
        package var opened: UInt64
        package var refused: [(refusal: SealRefusal, count: UInt64)]

        package static func == (left: Report, right: Report) -> Bool {
            left.sending == right.sending && left.held == right.held && left.opened == right.opened
                && left.members.elementsEqual(right.members, by: ==)
                && left.refused.elementsEqual(right.refused, by: ==)
        }
    }

    package func report() -> Report {
        let now = clock()
        let (sending, held, members) = sealer.withLock { ($0.sending(now), $0.held, $0.members(now)) }
        let (opened, refused) = opener.withLock { opener in
            (opener.opened, SealRefusal.allCases.map { ($0, opener.count(of: $0)) })
        }
        return Report(sending: sending, held: held, members: members, opened: opened, refused: refused)
    }

    // MARK: Sealing

    package func seal(frame: RawSpan, into out: inout [UInt8]) -> BusTicket? { seal(frame, nil, into: &out) }

    package func seal(request: RawSpan, into out: inout [UInt8]) -> BusTicket? { seal(request, nil, into: &out) }

    package func seal(reply: RawSpan, to ticket: BusTicket, into out: inout [UInt8]) -> BusTicket? {
        seal(reply, SealTicket(ticket), into: &out)
    }

    private func seal(_ message: RawSpan, _ ticket: SealTicket?, into out: inout [UInt8]) -> BusTicket? {
        let now = clock()
        return sealer.withLock { $0.seal(message, replyingTo: ticket, now: now, into: &out) }.map { BusTicket($0) }
    }

    // MARK: Opening

    package func open(frame: RawSpan, into out: inout [UInt8]) -> BusOpening {
        open(frame, .published, nil, into: &out)
    }

    package func open(request: RawSpan, into out: inout [UInt8]) -> BusOpening {
        open(request, .request, nil, into: &out)
    }

    package func open(reply: RawSpan, to ticket: BusTicket, into out: inout [UInt8]) -> BusOpening {
        open(reply, .reply, SealTicket(ticket), into: &out)
    }

    private func open(
        _ message: RawSpan, _ lane: FrameHeader.Lane, _ ticket: SealTicket?, into out: inout [UInt8]
    ) -> BusOpening {
        let now = clock()
        let outcome = opener.withLock { $0.open(message, lane: lane, answering: ticket, now: now, into: &out) }
        switch outcome {
        case .opened(let sender, let keys, let ticket):
            sealer.withLock { $0.hear(sender, holding: keys, now: now) }
            return .opened(BusTicket(ticket))
        case .refused(let refusal, let claimed):
            return .refused(kind: refusal.rawValue, claimed: claimed.map { Array($0.utf8) })
        }
    }
}

extension BusTicket {
    fileprivate init(_ ticket: SealTicket) {
        self.init(high: ticket.salt.high, low: ticket.salt.low, counter: ticket.counter)
    }
}

extension SealTicket {
    fileprivate init(_ ticket: BusTicket) {
        self.init(salt: Salt(high: ticket.high, low: ticket.low), counter: ticket.counter)
    }
}

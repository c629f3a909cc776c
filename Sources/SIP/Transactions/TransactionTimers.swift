// The vocabulary that the four transaction machines share: the timers by their letter with their values (RFC 3261 §17
// table 4, RFC 6026 §7 for L and M), and what a machine asks its owner to do.
//
// Milliseconds are kept in 32 bits: a node holds hundreds of thousands of machines, and no timer of theirs is longer
// than minutes.

internal import Primitives

package enum TransactionTimer: UInt8, Sendable, CaseIterable {
    case a, b, c, d, e, f, g, h, i, j, k, l, m
}

/// What a transaction asks of its owner, in the order in which it is to be done.
package enum TransactionAction: Equatable, Sendable {
    /// Send the request, or the last response, again or for the first time.
    case send
    case start(TransactionTimer, after: Duration)
    case stop(TransactionTimer)
    /// Pass the response, or the ACK, up to the transaction user.
    case deliver
    /// Make the ACK for the non-2xx final response and send it (§17.1.1.3).
    case acknowledge
    /// No final response, or no ACK, in time; `.terminated` follows.
    case timedOut
    case transportFailed
    /// The transaction is over; its owner forgets it. Nothing follows.
    case terminated
}

package struct TransactionTimers: Equatable, Sendable {
    private var t1Milliseconds: Int32
    private var t2Milliseconds: Int32
    private var t4Milliseconds: Int32
    private var cMilliseconds: Int32

    /// Timer C where nobody says otherwise: over three minutes (§16.6 step 11).
    package static let standardC = Duration.seconds(181)

    /// Each value is from 1 ms to 10 minutes, others are brought into that range; the defaults are those of RFC 3261
    /// table 4. Timer C is the response context's to run.
    package init(
        t1: Duration = .milliseconds(500), t2: Duration = .seconds(4), t4: Duration = .seconds(5),
        c: Duration = standardC
    ) {
        t1Milliseconds = Self.bounded(t1)
        t2Milliseconds = Self.bounded(t2)
        t4Milliseconds = Self.bounded(t4)
        cMilliseconds = Self.bounded(c)
    }

    /// The round-trip estimate.
    package var t1: Duration { .milliseconds(t1Milliseconds) }
    /// The longest interval between retransmissions of a non-INVITE request or an INVITE response.
    package var t2: Duration { .milliseconds(t2Milliseconds) }
    /// How long a message may live in the network.
    package var t4: Duration { .milliseconds(t4Milliseconds) }

    /// The first (or only) value of a timer. D, I, J and K are zero over a reliable transport: such a state is left at
    /// once.
    package func value(_ timer: TransactionTimer, reliable: Bool) -> Duration {
        switch timer {
        case .a, .e, .g: t1
        case .b, .f, .h, .l, .m: t1 * 64
        case .c: .milliseconds(cMilliseconds)
        case .d: reliable ? .zero : max(.seconds(32), t1 * 64)
        case .i, .k: reliable ? .zero : t4
        case .j: reliable ? .zero : t1 * 64
        }
    }

    /// The interval after `interval` of a timer that doubles up to T2 (E and G).
    package func doubledUpToT2(_ interval: Duration) -> Duration { min(interval * 2, t2) }

    private static func bounded(_ duration: Duration) -> Int32 {
        Int32(min(max(duration.wholeMilliseconds, 1), 600_000))
    }
}

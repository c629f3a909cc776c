// The phone's own transactions, deliberately apart from the machines in module SIP: a mistake made in both places alike
// would not be seen. Timers of RFC 3261 §17 over UDP; what ends a transaction is written at the place where it ends.

internal import SIP

/// A phone's timers. They are never cancelled: each looks whether what it was for is still there.
enum PhoneTimer {
    /// Timer A or E of a client transaction.
    case retransmit(client: Int)
    /// Timer B or F.
    case timeout(client: Int)
    /// Timer G, or the 2xx again (§13.3.1.4).
    case repeatResponse(server: Int)
    /// Timer H, or 64·T1 without an ACK.
    case giveUp(server: Int)
    /// The user picks up, rejects, or a re-INVITE is accepted.
    case answer(server: Int)
    /// The user's patience with a ringing call is over.
    case cancel
    /// The INVITE's transaction is given up, and the INVITE sent by a new one.
    case tryAgain
    /// Time to acknowledge the 2xx of this CSeq.
    case acknowledge(cseq: UInt32)
    /// A request that got 500 with Retry-After, or 491, again.
    case again(CallPlan.Act)
    /// A hang-up that had to wait.
    case hangUp
    /// The BYE for a dialog that was one too many.
    case hangUpSurplus(Int)
    /// The call is lost.
    case forget
}

enum PhoneTimes {
    static let t1 = Nanoseconds.milliseconds(500)
    static let t2 = Nanoseconds.seconds(4)
    static let transaction = 64 * t1
}

struct ClientTransaction {
    enum Phase { case calling, proceeding, completed, terminated }

    let method: Method
    let branch: String
    let cseq: UInt32
    let isInDialog: Bool
    let bytes: [UInt8]
    let destination: Endpoint
    let startedAt: Nanoseconds
    var phase = Phase.calling
    var interval = PhoneTimes.t1
    /// The final answer's code; 408 when there was none.
    var finalCode: Int?
    /// The ACK, kept for every further copy of the final answer.
    var acknowledgement: [UInt8] = []
    var acknowledgementTo: Endpoint?
    /// Given up: nobody listens for its answers any more.
    var isAbandoned = false

    var isOver: Bool { phase == .completed || phase == .terminated }
}

struct ServerTransaction {
    enum Phase { case proceeding, answered, confirmed, terminated }

    let request: PhoneMessage
    /// Where responses go (§18.2.2, RFC 3581): where the first copy of the request came from.
    let destination: Endpoint
    let isInitial: Bool
    var phase = Phase.proceeding
    var interval = PhoneTimes.t1
    var response: [UInt8] = []
    var statusCode = 0

    var isFinal: Bool { phase != .proceeding }
}

// What some phones do and others do not: they agree on a session timer and give it up again (RFC 4028), they have no
// tag or both the same (RFC 2543 §6.21), their answers and route sets are as large as a datagram allows. A call of
// ordinary phones has none of it.

struct HabitPlan: Sendable {
    var tags = Tags.own
    var session: SessionPlan?
    var size: SizePlan?

    enum Tags: Sendable {
        case own
        case callerHasNone
        case calleeHasNone
        case nobodyHas
        /// Both sides chose the same.
        case same

        func tag(_ role: Role, of user: String, call: Int) -> String {
            switch (self, role) {
            case (.nobodyHas, _), (.callerHasNone, .caller), (.calleeHasNone, .callee): ""
            case (.same, _): "t-same\(call)"
            default: "t-\(user)"
            }
        }
    }

    static let ordinary = HabitPlan()
}

/// A session timer: what each request asks for, and whether its answer agrees.
struct SessionPlan: Sendable {
    enum Word: Sendable {
        /// Session-Expires in the request; in its 2xx as well, if the callee has timers.
        case asks(seconds: UInt32, isAgreed: Bool)
        /// No Session-Expires: the timer is given up.
        case drops
    }

    /// The caller says `Supported: timer`.
    let callerHasTimers: Bool
    /// By CSeq and side.
    let words: [Word]

    init(lifetimeSeconds: Int, using random: inout SplitMix) {
        callerHasTimers = random.chance(perMille: 600)
        let usual = UInt32(random.pick([3, 5, 8, lifetimeSeconds, 2 * lifetimeSeconds]))
        words = (0..<6).map { number in
            let outcome = random.below(100)
            let other = UInt32(random.pick([3, 6, 12, 20]))
            if number == 0 { return .asks(seconds: min(usual, 20), isAgreed: outcome < 85) }
            if outcome < 25 { return .drops }
            return .asks(seconds: outcome < 75 ? min(usual, 20) : other, isAgreed: outcome < 65 || outcome > 80)
        }
    }

    /// - Parameter number: Counts the requests of one side, from 0, the INVITE that makes the call.
    func word(_ role: Role, number: Int) -> Word {
        role == .caller && number == 0 ? words[0] : words[1 + (number + 2 * role.rawValue) % (words.count - 1)]
    }

    /// The longest and shortest that a record may live after any answer.
    var seconds: [UInt32] {
        words.compactMap { word in
            guard case .asks(let seconds, _) = word else { return nil }
            return seconds
        }
    }
}

/// How much there is to keep of a call.
struct SizePlan: Sendable {
    /// Bytes that the description in an INVITE, and in its 2xx, is filled up with.
    let offer: Int
    let answer: Int
    /// Proxies in the way above the balancer and below the nodes, each with a URI of so many bytes.
    let hopsAbove: Int
    let hopsBelow: Int
    let uri: Int

    init(using random: inout SplitMix) {
        offer = random.pick([0, 0, 4_000, 20_000])
        answer = random.pick([1_500, 8_000, 30_000, 56_000])
        hopsAbove = random.pick([0, 0, 2, 8])
        hopsBelow = random.pick([0, 2, 8])
        uri = random.pick([0, 60, 400])
    }

    /// The Record-Route entries of so many proxies, all of them at the phone's own address: what passes them is seen by
    /// nobody else.
    func routes(_ count: Int, at endpoint: String) -> [String] {
        (0..<count).map { "<sip:\(endpoint);lr;hop=\($0)\(SizePlan.filled("x", uri))>" }
    }

    /// A parameter that takes so many bytes.
    static func filled(_ name: String, _ count: Int) -> String {
        count == 0 ? "" : ";\(name)=" + String(repeating: "0123456789abcdef", count: (count + 15) / 16).prefix(count)
    }
}

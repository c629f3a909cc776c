// What the threads of one bus share: whether it is to stop or to play dead, what was counted, and the way to the SIP
// thread.
//
// The pause is a test aid (`fault.pause_bus`): the bus neither sends nor receives, as if its cable were out. What
// arrives in the meantime is taken from the sockets and lost, so that nothing stale is delivered afterwards.

import CSockets
import Synchronization

/// Where a bus listens and whom it knows.
package struct BusSettings: Sendable {
    /// Streams arrive here; requests at the next port.
    package var bind: BusAddress
    /// In the order of the configuration: the position is the peer's index everywhere. `Bus.connect` adds more.
    package var peers: [BusAddress]
    /// Milliseconds until an unanswered request is given up, 50...10 000; noticed up to 200 ms late.
    package var requestTimeout: Int64 = 1_000
    /// Milliseconds the answering side waits for its node before it turns to the next request; below `requestTimeout`.
    package var replyTimeout: Int64 = 500
    /// Milliseconds until a probe counts as silent.
    package var probeTimeout: Int64 = 200
    /// Milliseconds of silence after which a connection to the bus ports is ended: thrice the longest time between two
    /// heartbeats that can be configured.
    package var silence: Int64 = 30_000
    /// Milliseconds between two looks at who has connected.
    package var doorInterval: Int64 = 1_000

    package init(bind: BusAddress, peers: [BusAddress]) {
        self.bind = bind
        self.peers = peers
    }

    /// Bytes of the longest frame published: twice what the replication stream ever fills.
    package static let frameLimit = 65_536
    /// Bytes of the longest request or reply: twice the longest chunk of a snapshot.
    package static let repairLimit = 524_288
    /// Positions a bus has, each with a thread that asks.
    package static let peerLimit = 64
    /// Requests waiting for one peer.
    package static let requestQueueLimit = 64
    /// Milliseconds a blocked receiver takes at most to notice a stop.
    static let slice: Int32 = 200
}

/// Counts since the start.
package struct BusCounters: Equatable, Sendable {
    package var framesPublished = 0
    package var bytesPublished = 0
    /// Longer than `BusSettings.frameLimit` or `repairLimit`: a mistake of ours, refused before it can cut a
    /// connection.
    package var oversizeRefused = 0
    package var sendsFailed = 0
    package var framesReceived = 0
    package var bytesReceived = 0
    package var requestsReceived = 0
    package var repliesSent = 0
    /// Replies that came after the asker had been given up.
    package var repliesLate = 0
    package var requestsSent = 0
    package var requestsUnanswered = 0
    /// Refused because 64 were waiting for that peer.
    package var requestsRefused = 0
    /// Frames, requests and answers dropped because the SIP thread had 16 MiB waiting.
    package var inboxDropped = 0
    package var probes = 0
    package var recycled = 0
    /// Messages lost to a pause of the test aid.
    package var pausedDropped = 0
    /// Failed receives, other than timeouts.
    package var receiveErrors = 0
    /// Messages that were not opened: `BusSeal` knows why.
    package var refused = 0
    /// Connections to the bus ports that were ended: silent, or beyond what strangers may have.
    package var silentClosed = 0
    package var strangersClosed = 0
    /// Messages of ours that could not be sealed.
    package var sealsFailed = 0

    package init() {}
}

/// Shared by the threads of one bus.
final class BusState: Sendable {
    let inbox: BusInbox
    /// Without one, messages go in the clear.
    let seal: (any BusSeal)?
    private let stopping = Atomic<Bool>(false)
    private let pausedUntil = Atomic<Int64>(.min)
    private let counts = Mutex(BusCounters())

    init(inbox: BusInbox, seal: (any BusSeal)?) {
        self.inbox = inbox
        self.seal = seal
    }

    var isStopping: Bool { stopping.load(ordering: .acquiring) }
    func stop() { stopping.store(true, ordering: .releasing) }

    var isPaused: Bool { csys_boottime() < pausedUntil.load(ordering: .relaxed) }
    func pause(seconds: Double) {
        let length = Int64(max(0, min(seconds, 86_400)) * 1e9)
        pausedUntil.store(csys_boottime() + length, ordering: .relaxed)
    }

    var counters: BusCounters { counts.withLock { $0 } }
    func count(_ change: (inout BusCounters) -> Void) { counts.withLock { change(&$0) } }
    func count(_ counter: any WritableKeyPath<BusCounters, Int> & Sendable) {
        counts.withLock { $0[keyPath: counter] += 1 }
    }

    /// Nanoseconds of the monotonic clock.
    static var now: Int64 { csys_boottime() }

    /// A message was not opened.
    func refuse(_ kind: UInt8, _ claimed: [UInt8]?) {
        count(\.refused)
        guard let claimed else { return }
        if !inbox.put(.refused(kind: kind), RawSpan(_elements: claimed.span)) { count(\.inboxDropped) }
    }
}

// What the service manager is told of this node: that it takes new calls, that it reads its configuration, that it
// drains, and in one line what it is at. Where no service manager has asked (NOTIFY_SOCKET), nobody is told anything.
//
// READY is told once, when the node first is ready for new calls; a node that loses its quorum later is still the
// running service that it was, and says so in its status line. A failure to tell is logged and changes nothing else.

import Foundation
import Node
import Synchronization
import Transports

final class ServiceReports: Sendable {
    /// How often the node is looked at until it was ready, and then.
    private static let intervals: (starting: Duration, running: Duration) = (.milliseconds(200), .seconds(1))

    private let notifier: ServiceNotifier?
    private let log: NodeLog
    private let hasBeenReady = Atomic<Bool>(false)

    init(log: NodeLog) {
        self.log = log
        var found: ServiceNotifier?
        do throws(ServiceNotifierError) {
            found = try ServiceNotifier.find(in: ProcessInfo.processInfo.environment, process: getpid())
        } catch {
            log.write(Note(.warning, "the service manager cannot be told", [("why", error.description)]))
        }
        notifier = found
    }

    /// What the SIP thread gives as long as it turns; `nil` when nobody watches.
    var heartbeat: Heartbeat? {
        guard let interval = notifier?.watchdogInterval else { return nil }
        return Heartbeat(every: interval) { self.tell(.watchdog) }
    }

    func tell(_ message: ServiceNotifier.Message) {
        do throws(ServiceNotifierError) {
            try notifier?.tell(message)
        } catch {
            log.write(Note(.warning, "the service manager cannot be told", [("why", error.description)]))
        }
    }

    /// Runs what reads the configuration again. Before the node was ready once, READY would be untrue.
    func reloading<R: Sendable>(_ body: @Sendable () async -> R) async -> R {
        let tells = hasBeenReady.load(ordering: .acquiring)
        if tells { tell(.reloading) }
        let result = await body()
        if tells { tell(.ready) }
        return result
    }

    /// Until it is cancelled: readiness, once, and the status line whenever it has changed.
    func follow(_ live: LiveNode) async {
        guard notifier != nil else { return }
        var told = ""
        while !Task.isCancelled {
            if let status = try? await live.status() {
                let reason = status.notReadyReason
                let line = "\(status.node) of \(status.cluster): " + (reason.isEmpty ? "takes new calls" : reason)
                if line != told { tell(.status(line)) }
                told = line
                if reason.isEmpty, !hasBeenReady.exchange(true, ordering: .acquiringAndReleasing) { tell(.ready) }
            }
            let isRunning = hasBeenReady.load(ordering: .acquiring)
            try? await Task.sleep(for: isRunning ? Self.intervals.running : Self.intervals.starting)
        }
    }
}

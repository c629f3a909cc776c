// WorkerThread is a kernel thread with a name. Blocking calls must not run on Swift's cooperative pool, where one
// blocked thread is one processor less for every task of the process; each blocking receiver therefore has a thread
// of its own.
//
// Every signal is blocked in it, so SIGTERM and the like reach the main thread only.

import CSockets
import Synchronization

/// Runs a closure on a thread of its own; `join` waits for its end.
package final class WorkerThread: Sendable {
    private let handle: Mutex<UInt64?>

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// - Parameter name: What `top -H` shows; the first 15 bytes.
    /// - Throws: `.startThread` when the system has no more threads to give.
    package init(name: String, _ run: @escaping @Sendable () -> Void) throws(NanomsgError) {
        var started: UInt64 = 0
        // Sound: the retain made here is taken over by the thread, or given back below when there is none.
        let context = unsafe Unmanaged.passRetained(Body(run))
        let result = unsafe csys_thread_start(
            &started, String(name.prefix(15)),
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            }, context.toOpaque())
        guard result == 0 else {
            unsafe context.release()
            throw NanomsgError(.startThread, code: -result)
        }
        handle = Mutex(started)
    }

    /// Waits until the closure has returned. Safe to call twice; never from the thread itself.
    package func join() {
        handle.withLock { handle in
            if let thread = handle { csys_thread_join(thread) }
            handle = nil
        }
    }
}

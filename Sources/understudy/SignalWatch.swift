// Signals as a stream of numbers: the default action is switched off, and each arrival is one element.

import Dispatch
import Glibc

final class SignalWatch: Sendable {
    let arrivals: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init(_ signals: [Int32]) {
        let (arrivals, continuation) = AsyncStream<Int32>.makeStream(bufferingPolicy: .bufferingNewest(8))
        self.arrivals = arrivals
        sources = signals.map { number in
            // Sound: SIG_IGN is a constant, no handler runs.
            _ = unsafe signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}

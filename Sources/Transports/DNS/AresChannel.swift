// AresChannel owns one c-ares channel and every pointer that goes into the library or comes out of it. It lives on one
// thread, from creation to the end; what it has to tell goes into an `AnswerBatch` of the same thread.
//
//   ask ──ares_query──▶ library's sockets ──poll, process──▶ callback ──DNSMessage──▶ batch
//
// The library keeps a retained `Asked` for each question and gives it back in the callback, which it calls exactly
// once: with an answer, with a failure, or when the channel is destroyed. The raw message is read inside of the
// callback.
//
// c-ares asks the servers in turn, with a timeout that doubles in each round, and goes over to TCP when an answer was
// cut. The timeout of the first round is chosen so that all rounds together take `timeout`.
//
// Limits: ordinary queries without EDNS; a change of resolv.conf is seen only by the next process.

import CCares
import CSockets
import Glibc
package import SIP

/// Whom to ask, and how patiently.
package struct DNSClientSettings: Sendable {
    /// Addresses with ports; empty: those of the system's resolv.conf.
    package var servers: [Endpoint] = []
    /// Milliseconds until a question has failed, over all tries.
    package var timeout: Int64 = 5_000
    /// Rounds over all servers, 1...5.
    package var tries = 2

    package init() {}

    /// Milliseconds of the first round: n servers, each round twice as long as the one before, `timeout` in all.
    package func firstRound(servers: Int) -> Int64 {
        let rounds = Int64(1) << Int64(max(1, min(tries, 5))) - 1
        return max(50, timeout / (Int64(max(1, servers)) * rounds))
    }
}

/// Why questions cannot be asked at all.
package struct DNSClientError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: Equatable, Sendable {
        case startThread
        /// The library does not take the configuration.
        case open(code: Int32)
        case servers(code: Int32)
    }
    package var reason: Reason

    package var description: String {
        switch reason {
        case .startThread: "cannot start the DNS thread: the system has no more threads"
        case .open(let code): "cannot set up DNS: \(Self.text(code)) (\(code))"
        case .servers(let code): "cannot use these DNS servers: \(Self.text(code)) (\(code))"
        }
    }

    private static func text(_ code: Int32) -> String { unsafe String(cString: ares_strerror(code)) }
}

/// An answer and what it answers.
package struct DNSReply: Equatable, Sendable {
    package var question: DNSQuestion
    package var answer: DNSAnswer

    package init(question: DNSQuestion, answer: DNSAnswer) {
        self.question = question
        self.answer = answer
    }
}

/// Answers of one turn of the thread.
final class AnswerBatch {
    var replies: [DNSReply] = []

    func take() -> [DNSReply] {
        defer { replies = [] }
        return replies
    }
}

@safe struct AresChannel: ~Copyable {
    /// The sockets that the library wants watched, as it last said.
    private final class Sockets {
        var entries: [pollfd] = []

        func note(_ descriptor: Int32, isReading: Bool, isWriting: Bool) {
            entries.removeAll { $0.fd == descriptor }
            guard isReading || isWriting else { return }
            let events = Int16((isReading ? POLLIN : 0) | (isWriting ? POLLOUT : 0))
            entries.append(pollfd(fd: descriptor, events: events, revents: 0))
        }
    }

    /// What the library keeps for a question.
    private final class Asked {
        let question: DNSQuestion
        let batch: AnswerBatch
        init(_ question: DNSQuestion, _ batch: AnswerBatch) {
            self.question = question
            self.batch = batch
        }
    }

    private let channel: OpaquePointer
    private let sockets: Sockets
    private let batch: AnswerBatch

    init(_ settings: DNSClientSettings, into batch: AnswerBatch) throws(DNSClientError) {
        let sockets = Sockets()
        // Sound: the channel does not outlive `sockets`, which this value owns beside it.
        unsafe channel = try Self.open(settings, telling: Unmanaged.passUnretained(sockets).toOpaque())
        self.sockets = sockets
        self.batch = batch
    }

    /// Opens a channel that tells `sockets` what to watch; nothing is left open when it throws.
    private static func open(
        _ settings: DNSClientSettings, telling sockets: UnsafeMutableRawPointer
    ) throws(DNSClientError) -> OpaquePointer {
        // On Linux the library's own initialisation is a counter; it is never undone.
        let ready = ares_library_init(ARES_LIB_INIT_ALL)
        guard ready == 0 else { throw DNSClientError(reason: .open(code: ready)) }
        let count = settings.servers.isEmpty ? Int(cares_system_server_count()) : settings.servers.count
        var opened: ares_channel?
        let code = unsafe cares_open(
            &opened, Int32(clamping: settings.firstRound(servers: count)), Int32(settings.tries),
            { data, descriptor, isReading, isWriting in
                guard let data = unsafe data else { return }
                unsafe Unmanaged<Sockets>.fromOpaque(data).takeUnretainedValue().note(
                    descriptor, isReading: isReading != 0, isWriting: isWriting != 0)
            }, sockets)
        guard code == 0, let channel = unsafe opened else { throw DNSClientError(reason: .open(code: code)) }
        guard !settings.servers.isEmpty else { return unsafe channel }
        let taken = unsafe ares_set_servers_ports_csv(channel, settings.servers.map(\.text).joined(separator: ","))
        guard taken == 0 else {
            unsafe ares_destroy(channel)
            throw DNSClientError(reason: .servers(code: taken))
        }
        return unsafe channel
    }

    // Sound, here and below: the channel came from `cares_open`, is destroyed once, and is used by one thread.
    // Destroying it ends every question that is still under way, into a batch that nobody reads any more.
    deinit { unsafe ares_destroy(channel) }

    /// Asks; the answer comes with a later `process`, or at once when there is nobody to ask.
    func ask(_ question: DNSQuestion) {
        guard question.isValid else {
            batch.replies.append(DNSReply(question: question, answer: .none(ttl: nil)))
            return
        }
        // Sound: the retain made here is taken over by the callback, which comes once.
        let asked = unsafe Unmanaged.passRetained(Asked(question, batch)).toOpaque()
        unsafe ares_query(
            channel, String(decoding: question.name, as: UTF8.self), CARES_CLASS_IN, Int32(question.type.rawValue),
            { asked, status, _, bytes, count in
                guard let asked = unsafe asked else { return }
                let (question, batch) = unsafe AresChannel.taken(asked)
                // Sound: the library's buffer holds `count` bytes until this call returns, and nothing is kept of it.
                let message = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(max(0, count)))
                let answer = unsafe AresChannel.answer(to: question, status, message.bytes)
                batch.replies.append(DNSReply(question: question, answer: answer))
            }, asked)
    }

    /// Takes back what `ask` gave away.
    private static func taken(_ asked: UnsafeMutableRawPointer) -> (DNSQuestion, AnswerBatch) {
        let asked = unsafe Unmanaged<Asked>.fromOpaque(asked).takeRetainedValue()
        return (asked.question, asked.batch)
    }

    /// What a callback means. A message is believed rather than the status made from it; without one only the status
    /// speaks.
    private static func answer(to question: DNSQuestion, _ status: Int32, _ message: RawSpan) -> DNSAnswer {
        guard message.byteCount > 0 else {
            switch status {
            case ARES_ETIMEOUT: return .failed(.timedOut)
            case ARES_ECONNREFUSED: return .failed(.unreachable)
            default: return .failed(.library(code: status))
            }
        }
        do throws(DNSMessageError) {
            return try DNSMessage.answer(to: question, in: message)
        } catch {
            return .failed(.malformed(error))
        }
    }

    /// Waits for the library's sockets and for `wake`, then works off what is ready and what is due.
    func process(wakingFor wake: Int32) {
        var polled = sockets.entries
        polled.append(pollfd(fd: wake, events: Int16(POLLIN), revents: 0))
        let limit = unsafe cares_timeout(channel)
        // Sound: the array holds `count` pollfds and is not touched during the call.
        _ = unsafe polled.withUnsafeMutableBufferPointer {
            unsafe csys_poll($0.baseAddress, Int32($0.count), limit)
        }
        for entry in polled.dropLast() where entry.revents != 0 {
            // An error is found out by the read that it is reported to.
            let isReading = entry.revents & Int16(POLLIN | POLLERR | POLLHUP) != 0
            let isWriting = entry.revents & Int16(POLLOUT) != 0
            unsafe cares_process(channel, entry.fd, isReading ? 1 : 0, isWriting ? 1 : 0)
        }
        unsafe cares_process(channel, -1, 0, 0)
    }
}

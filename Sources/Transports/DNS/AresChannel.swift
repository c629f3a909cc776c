// AresChannel owns the c-ares channels and every pointer that goes into the library or comes out of it. It lives on one
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
// When every server answers with an error code, the library says only "refused", as if nobody were there. So such a
// question is asked once more on a second channel, which takes the first answer as it is: the code matters, because a
// server that cannot do NAPTR is not a server that is down.
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
    @safe private final class Asked {
        let question: DNSQuestion
        let batch: AnswerBatch
        /// Where the reason of a refusal is found out; `nil` when this is the question for it.
        let plain: OpaquePointer?
        init(_ question: DNSQuestion, _ batch: AnswerBatch, plain: OpaquePointer?) {
            self.question = question
            self.batch = batch
            unsafe self.plain = plain
        }
    }

    private let channel: OpaquePointer
    /// Takes error codes for answers.
    private let plain: OpaquePointer
    private let sockets: Sockets
    private let batch: AnswerBatch

    init(_ settings: DNSClientSettings, into batch: AnswerBatch) throws(DNSClientError) {
        let sockets = Sockets()
        // Sound: the channels do not outlive `sockets`, which this value owns beside them.
        let told = unsafe Unmanaged.passUnretained(sockets).toOpaque()
        let channel = try unsafe Self.open(settings, takesErrors: false, telling: told)
        let plain = try unsafe Self.openPlain(settings, beside: channel, telling: told)
        unsafe self.channel = channel
        unsafe self.plain = plain
        self.sockets = sockets
        self.batch = batch
    }

    /// Opens the second channel; when that fails the first is closed, for there is no owner yet who would.
    private static func openPlain(
        _ settings: DNSClientSettings, beside channel: OpaquePointer, telling sockets: UnsafeMutableRawPointer
    ) throws(DNSClientError) -> OpaquePointer {
        do throws(DNSClientError) {
            return try unsafe open(settings, takesErrors: true, telling: sockets)
        } catch {
            unsafe ares_destroy(channel)
            throw error
        }
    }

    /// Opens a channel that tells `sockets` what to watch; nothing is left open when it throws.
    private static func open(
        _ settings: DNSClientSettings, takesErrors: Bool, telling sockets: UnsafeMutableRawPointer
    ) throws(DNSClientError) -> OpaquePointer {
        // On Linux the library's own initialisation is a counter; it is never undone.
        let ready = ares_library_init(ARES_LIB_INIT_ALL)
        guard ready == 0 else { throw DNSClientError(reason: .open(code: ready)) }
        let count = settings.servers.isEmpty ? Int(cares_system_server_count()) : settings.servers.count
        var opened: ares_channel?
        let code = unsafe cares_open(
            &opened, Int32(clamping: settings.firstRound(servers: count)), Int32(settings.tries),
            takesErrors ? 1 : 0,
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

    // Sound, here and below: the channels came from `cares_open`, are destroyed once, and are used by one thread.
    // Destroying one ends every question that is still under way, into a batch that nobody reads any more.
    deinit {
        unsafe ares_destroy(channel)
        unsafe ares_destroy(plain)
    }

    /// Asks; the answer comes with a later `process`, or at once when there is nobody to ask.
    func ask(_ question: DNSQuestion) {
        guard question.isValid else {
            batch.replies.append(DNSReply(question: question, answer: .none(ttl: nil)))
            return
        }
        unsafe Self.ask(Asked(question, batch, plain: plain), on: channel)
    }

    private static func ask(_ asked: Asked, on channel: OpaquePointer) {
        let name = String(decoding: asked.question.name, as: UTF8.self)
        let type = Int32(asked.question.type.rawValue)
        // Sound: the retain made here is taken over by the callback, which comes once.
        unsafe ares_query(
            channel, name, CARES_CLASS_IN, type,
            { context, status, _, bytes, count in
                guard let context = unsafe context else { return }
                // Sound: the library's buffer holds `count` bytes until this call returns, and nothing is kept of it.
                let message = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(max(0, count)))
                let asked = unsafe Unmanaged<Asked>.fromOpaque(context).takeRetainedValue()
                unsafe AresChannel.take(status, message.bytes, for: asked)
            }, Unmanaged.passRetained(asked).toOpaque())
    }

    private static func take(_ status: Int32, _ message: RawSpan, for asked: Asked) {
        if status == ARES_ECONNREFUSED, message.byteCount == 0, let plain = unsafe asked.plain {
            return unsafe ask(Asked(asked.question, asked.batch, plain: nil), on: plain)
        }
        let answer = Self.answer(to: asked.question, status, message)
        asked.batch.replies.append(DNSReply(question: asked.question, answer: answer))
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
        let limits = [unsafe cares_timeout(channel), unsafe cares_timeout(plain)].filter { $0 >= 0 }
        let limit = limits.min() ?? -1
        // Sound: the array holds `count` pollfds and is not touched during the call.
        _ = unsafe polled.withUnsafeMutableBufferPointer {
            unsafe csys_poll($0.baseAddress, Int32($0.count), limit)
        }
        for entry in polled.dropLast() where entry.revents != 0 {
            // An error is found out by the read that it is reported to.
            let isReading = entry.revents & Int16(POLLIN | POLLERR | POLLHUP) != 0
            let isWriting = entry.revents & Int16(POLLOUT) != 0
            // A channel passes over a socket that is not its own.
            unsafe cares_process(channel, entry.fd, isReading ? 1 : 0, isWriting ? 1 : 0)
            unsafe cares_process(plain, entry.fd, isReading ? 1 : 0, isWriting ? 1 : 0)
        }
        unsafe cares_process(channel, -1, 0, 0)
        unsafe cares_process(plain, -1, 0, 0)
    }
}

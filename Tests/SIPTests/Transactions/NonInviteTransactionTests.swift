// The two non-INVITE machines, and the values of all timers.

import SIP
import Testing

@Suite("Non-INVITE client transaction, RFC 3261 §17.1.2")
struct NonInviteClientTransactionTests {
    private enum Event { case response(Int), timer(TransactionTimer), transportError, start }
    private typealias Step = (Event, [TransactionAction], NonInviteClientTransaction.Phase)

    private func run(reliable: Bool = false, _ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation) {
        var transaction = NonInviteClientTransaction(reliable: reliable)
        var actions: [TransactionAction] = []
        transaction.start(actions: &actions)
        let e = TransactionAction.start(.e, after: .milliseconds(500))
        let f = TransactionAction.start(.f, after: .seconds(32))
        #expect(actions == (reliable ? [.send, f] : [.send, e, f]), sourceLocation: sourceLocation)
        for (position, (event, expected, phase)) in steps.enumerated() {
            actions.removeAll()
            switch event {
            case .response(let code): transaction.receive(statusCode: code, actions: &actions)
            case .timer(let timer): transaction.timerFired(timer, actions: &actions)
            case .transportError: transaction.transportError(actions: &actions)
            case .start: transaction.start(actions: &actions)
            }
            #expect(actions == expected, "step \(position): \(event)", sourceLocation: sourceLocation)
            #expect(transaction.phase == phase, "step \(position): \(event)", sourceLocation: sourceLocation)
        }
    }

    private let k = TransactionAction.start(.k, after: .seconds(5))

    @Test func `timer E resends, doubled up to T2 while trying`() {
        run([1, 2, 4, 4].map { (.timer(.e), [.send, .start(.e, after: .seconds($0))], .trying) })
    }

    @Test func `timer E resends every T2 once a provisional came`() {
        run([
            (.response(100), [.deliver], .proceeding),
            (.timer(.e), [.send, .start(.e, after: .seconds(4))], .proceeding),
            (.timer(.e), [.send, .start(.e, after: .seconds(4))], .proceeding),
            (.response(180), [.deliver], .proceeding),
            (.start, [], .proceeding), (.timer(.f), [.stop(.e), .timedOut, .terminated], .terminated),
        ])
    }

    @Test func `timer F ends it while trying too`() {
        run([(.timer(.f), [.stop(.e), .timedOut, .terminated], .terminated), (.response(200), [], .terminated)])
        run(reliable: true, [(.timer(.f), [.timedOut, .terminated], .terminated)])
    }

    @Test(arguments: [200, 302, 408, 503, 603])
    func `a final response is delivered once and repetitions are absorbed until timer K`(code: Int) {
        run([
            (.response(code), [.stop(.e), .stop(.f), .deliver, k], .completed), (.response(code), [], .completed),
            (.timer(.e), [], .completed), (.timer(.f), [], .completed), (.transportError, [], .completed),
            (.timer(.k), [.terminated], .terminated),
        ])
        run([
            (.response(100), [.deliver], .proceeding),
            (.response(code), [.stop(.e), .stop(.f), .deliver, k], .completed),
        ])
        run(reliable: true, [(.response(code), [.stop(.f), .deliver, .terminated], .terminated)])
    }

    @Test func `a transport error ends it, §17.1.4`() {
        run([(.transportError, [.stop(.e), .stop(.f), .transportFailed, .terminated], .terminated)])
        run([
            (.response(100), [.deliver], .proceeding),
            (.transportError, [.stop(.e), .stop(.f), .transportFailed, .terminated], .terminated),
        ])
    }
}

@Suite("Non-INVITE server transaction, RFC 3261 §17.2.2")
struct NonInviteServerTransactionTests {
    private enum Event { case again, respond(Int), timer(TransactionTimer), transportError }
    private typealias Step = (Event, [TransactionAction], NonInviteServerTransaction.Phase)

    private func run(reliable: Bool = false, _ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation) {
        var transaction = NonInviteServerTransaction(reliable: reliable)
        var actions: [TransactionAction] = []
        transaction.start(actions: &actions)
        #expect(actions.isEmpty && transaction.phase == .trying)
        for (position, (event, expected, phase)) in steps.enumerated() {
            actions.removeAll()
            switch event {
            case .again: transaction.receiveRetransmission(actions: &actions)
            case .respond(let code): transaction.respond(statusCode: code, actions: &actions)
            case .timer(let timer): transaction.timerFired(timer, actions: &actions)
            case .transportError: transaction.transportError(actions: &actions)
            }
            #expect(actions == expected, "step \(position): \(event)", sourceLocation: sourceLocation)
            #expect(transaction.phase == phase, "step \(position): \(event)", sourceLocation: sourceLocation)
        }
    }

    private let j = TransactionAction.start(.j, after: .seconds(32))

    @Test func `a repeated request is absorbed while trying and answered afterwards, until timer J`() {
        run([
            (.again, [], .trying), (.transportError, [], .trying), (.timer(.j), [], .trying),
            (.respond(100), [.send], .proceeding), (.again, [.send], .proceeding),
            (.respond(180), [.send], .proceeding),
            (.respond(200), [.send, j], .completed), (.again, [.send], .completed), (.respond(500), [], .completed),
            (.timer(.j), [.terminated], .terminated), (.again, [], .terminated),
        ])
    }

    @Test func `over a reliable transport timer J is zero`() {
        run(reliable: true, [(.respond(404), [.send, .terminated], .terminated)])
    }

    @Test func `a transport error ends it once something was said, §17.2.4`() {
        run([
            (.respond(100), [.send], .proceeding), (.transportError, [.transportFailed, .terminated], .terminated),
        ])
        run([
            (.respond(200), [.send, j], .completed),
            (.transportError, [.stop(.j), .transportFailed, .terminated], .terminated),
        ])
    }
}

@Suite("Transaction timers, RFC 3261 table 4 and RFC 6026 §7")
struct TransactionTimersTests {
    @Test func `each timer has its value, for unreliable and reliable transports`() {
        let timers = TransactionTimers()
        let table: [(TransactionTimer, unreliable: Int64, reliable: Int64)] = [
            (.a, 500, 500), (.b, 32_000, 32_000), (.c, 181_000, 181_000), (.d, 32_000, 0), (.e, 500, 500),
            (.f, 32_000, 32_000), (.g, 500, 500), (.h, 32_000, 32_000), (.i, 5_000, 0), (.j, 32_000, 0),
            (.k, 5_000, 0), (.l, 32_000, 32_000), (.m, 32_000, 32_000),
        ]
        #expect(table.map(\.0) == TransactionTimer.allCases)
        for (timer, unreliable, reliable) in table {
            #expect(timers.value(timer, reliable: false) == .milliseconds(unreliable), "\(timer)")
            #expect(timers.value(timer, reliable: true) == .milliseconds(reliable), "\(timer)")
        }
    }

    @Test func `they follow T1, T2 and T4`() {
        let timers = TransactionTimers(t1: .milliseconds(10), t2: .milliseconds(25), t4: .milliseconds(50))
        #expect(timers.value(.b, reliable: false) == .milliseconds(640))
        #expect(timers.value(.d, reliable: false) == .seconds(32), "at least 32 s whatever T1 is, §17.1.1.2")
        #expect(timers.value(.k, reliable: false) == .milliseconds(50))
        #expect(timers.doubledUpToT2(.milliseconds(10)) == .milliseconds(20))
        #expect(timers.doubledUpToT2(.milliseconds(20)) == .milliseconds(25))
    }

    @Test func `values out of range are brought into it`() {
        let timers = TransactionTimers(t1: .seconds(-1), t2: .seconds(1 << 40), t4: .zero)
        #expect(timers.t1 == .milliseconds(1) && timers.t2 == .seconds(600) && timers.t4 == .milliseconds(1))
    }
}

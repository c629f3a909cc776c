// The two INVITE machines: every transition, over unreliable and reliable transports.

import SIP
import Testing

/// One event of a client transaction's table.
private enum ClientEvent {
    case response(Int), timer(TransactionTimer), transportError, start
}

@Suite("INVITE client transaction, RFC 3261 §17.1.1 and RFC 6026 §7.2")
struct InviteClientTransactionTests {
    private typealias Step = (ClientEvent, [TransactionAction], InviteClientTransaction.Phase)

    private func run(reliable: Bool = false, _ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation) {
        var transaction = InviteClientTransaction(reliable: reliable)
        var actions: [TransactionAction] = []
        transaction.start(actions: &actions)
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

    private let d = TransactionAction.start(.d, after: .seconds(32))
    private let m = TransactionAction.start(.m, after: .seconds(32))

    @Test func `starting sends and arms A and B, without A over a reliable transport`() {
        var actions: [TransactionAction] = []
        var transaction = InviteClientTransaction()
        transaction.start(actions: &actions)
        #expect(actions == [.send, .start(.a, after: .milliseconds(500)), .start(.b, after: .seconds(32))])
        actions = []
        var reliable = InviteClientTransaction(reliable: true)
        reliable.start(actions: &actions)
        #expect(actions == [.send, .start(.b, after: .seconds(32))])
        #expect(transaction.phase == .calling && reliable.phase == .calling)
    }

    @Test func `timer A resends and doubles without a cap`() {
        run(
            [1, 2, 4, 8, 16, 32].map { seconds in
                (.timer(.a), [.send, .start(.a, after: .seconds(seconds))], .calling)
            })
    }

    @Test func `timer B ends it`() {
        run([(.timer(.b), [.stop(.a), .timedOut, .terminated], .terminated), (.timer(.a), [], .terminated)])
        run(reliable: true, [(.timer(.b), [.timedOut, .terminated], .terminated)])
    }

    @Test func `a provisional response stops A and B, and each is delivered`() {
        run([
            (.response(100), [.stop(.a), .stop(.b), .deliver], .proceeding),
            (.response(183), [.deliver], .proceeding),
            (.timer(.a), [], .proceeding), (.timer(.b), [], .proceeding), (.transportError, [], .proceeding),
            (.start, [], .proceeding),
        ])
    }

    @Test func `a 2xx is delivered, and so is each one more until timer M`() {
        run([
            (.response(200), [.stop(.a), .stop(.b), .deliver, m], .accepted),
            (.response(200), [.deliver], .accepted), (.response(180), [], .accepted), (.response(486), [], .accepted),
            (.transportError, [], .accepted),
            (.timer(.m), [.terminated], .terminated), (.response(200), [], .terminated),
        ])
        run([
            (.response(180), [.stop(.a), .stop(.b), .deliver], .proceeding),
            (.response(299), [.deliver, m], .accepted),
        ])
        run(reliable: true, [(.response(200), [.stop(.b), .deliver, m], .accepted)])
    }

    @Test func `a non-2xx is acknowledged each time and delivered once, until timer D`() {
        run([
            (.response(300), [.stop(.a), .stop(.b), .acknowledge, .deliver, d], .completed),
            (.response(300), [.acknowledge], .completed), (.response(699), [.acknowledge], .completed),
            (.response(180), [], .completed), (.response(200), [], .completed), (.timer(.b), [], .completed),
            (.timer(.d), [.terminated], .terminated), (.response(300), [], .terminated),
        ])
        run([
            (.response(100), [.stop(.a), .stop(.b), .deliver], .proceeding),
            (.response(487), [.acknowledge, .deliver, d], .completed),
        ])
    }

    @Test func `over a reliable transport timer D is zero`() {
        run(reliable: true, [(.response(404), [.stop(.b), .acknowledge, .deliver, .terminated], .terminated)])
    }

    @Test func `a transport error ends it while calling or acknowledging, §17.1.4`() {
        run([(.transportError, [.stop(.a), .stop(.b), .transportFailed, .terminated], .terminated)])
        run([
            (.response(404), [.stop(.a), .stop(.b), .acknowledge, .deliver, d], .completed),
            (.transportError, [.stop(.d), .transportFailed, .terminated], .terminated),
            (.transportError, [], .terminated),
        ])
    }
}

/// One event of a server transaction's table.
private enum ServerEvent {
    case again, ack, respond(Int), timer(TransactionTimer), transportError
}

@Suite("INVITE server transaction, RFC 3261 §17.2.1 and RFC 6026 §7.1")
struct InviteServerTransactionTests {
    private typealias Step = (ServerEvent, [TransactionAction], InviteServerTransaction.Phase)

    private func run(reliable: Bool = false, _ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation) {
        var transaction = InviteServerTransaction(reliable: reliable)
        var actions: [TransactionAction] = []
        transaction.start(actions: &actions)
        #expect(actions.isEmpty && transaction.phase == .proceeding && !transaction.hasResponded)
        for (position, (event, expected, phase)) in steps.enumerated() {
            actions.removeAll()
            switch event {
            case .again: transaction.receiveRetransmission(actions: &actions)
            case .ack: transaction.receiveAck(actions: &actions)
            case .respond(let code): transaction.respond(statusCode: code, actions: &actions)
            case .timer(let timer): transaction.timerFired(timer, actions: &actions)
            case .transportError: transaction.transportError(actions: &actions)
            }
            #expect(actions == expected, "step \(position): \(event)", sourceLocation: sourceLocation)
            #expect(transaction.phase == phase, "step \(position): \(event)", sourceLocation: sourceLocation)
        }
    }

    private let g = TransactionAction.start(.g, after: .milliseconds(500))
    private let h = TransactionAction.start(.h, after: .seconds(32))
    private let l = TransactionAction.start(.l, after: .seconds(32))
    private let i = TransactionAction.start(.i, after: .seconds(5))

    @Test func `a repeated INVITE is answered once something was said`() {
        run([
            (.again, [], .proceeding), (.respond(100), [.send], .proceeding), (.again, [.send], .proceeding),
            (.respond(180), [.send], .proceeding), (.ack, [], .proceeding),
            (.transportError, [.transportFailed], .proceeding),
        ])
    }

    @Test func `a non-2xx is resent by G, doubled up to T2, and for each INVITE`() {
        run([
            (.respond(486), [.send, g, h], .completed), (.again, [.send], .completed),
            (.timer(.g), [.send, .start(.g, after: .seconds(1))], .completed),
            (.timer(.g), [.send, .start(.g, after: .seconds(2))], .completed),
            (.timer(.g), [.send, .start(.g, after: .seconds(4))], .completed),
            (.timer(.g), [.send, .start(.g, after: .seconds(4))], .completed),
            (.respond(200), [], .completed), (.respond(180), [], .completed),
            (.transportError, [.transportFailed], .completed),
            (.timer(.h), [.stop(.g), .timedOut, .terminated], .terminated), (.timer(.g), [], .terminated),
            (.again, [], .terminated), (.transportError, [], .terminated),
        ])
    }

    @Test func `an ACK confirms, and further ones are absorbed until timer I`() {
        run([
            (.respond(300), [.send, g, h], .completed), (.ack, [.stop(.g), .stop(.h), i], .confirmed),
            (.ack, [], .confirmed), (.again, [], .confirmed), (.respond(200), [], .confirmed),
            (.timer(.g), [], .confirmed),
            (.transportError, [], .confirmed), (.timer(.i), [.terminated], .terminated),
        ])
    }

    @Test func `over a reliable transport there is no G and I is zero`() {
        run(
            reliable: true,
            [(.respond(486), [.send, h], .completed), (.ack, [.stop(.h), .terminated], .terminated)])
        run(
            reliable: true,
            [(.respond(486), [.send, h], .completed), (.timer(.h), [.timedOut, .terminated], .terminated)])
    }

    @Test func `after a 2xx INVITEs are absorbed, 2xx sent and ACKs delivered, until timer L`() {
        run([
            (.respond(200), [.send, l], .accepted), (.again, [], .accepted), (.respond(200), [.send], .accepted),
            (.respond(486), [], .accepted), (.respond(180), [], .accepted), (.ack, [.deliver], .accepted),
            (.ack, [.deliver], .accepted), (.transportError, [.transportFailed], .accepted),
            (.timer(.h), [], .accepted),
            (.timer(.l), [.terminated], .terminated), (.ack, [], .terminated),
        ])
    }
}

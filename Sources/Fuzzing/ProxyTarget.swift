// Conversations with one proxy, in which the fuzzer is both telephones, another node and the clock. Held to: nothing
// traps; what is sent because of a valid message is valid; nobody answers an ACK; and when everything has timed out,
// no transaction is kept.
//
//   input: steps between bytes 0x1E; each is one byte (below), then bytes for it
//   low four bits: 0, 1, 2 a datagram from caller, callee, other node; 3 a response to a request forwarded (high bits:
//   how many before the last, each a callee of its own; one byte, which status, then header lines); 4 time passes (high
//   bits × 250 ms); 5 commits are answered; 6 the next request of the dialog (one byte, which method, then header
//   lines); 7 commits on or off, with a high bit late answers; 8 the other node lives or dies; 9 the dialog is frozen;
//   10 it is ended by the cluster; from 11 on a datagram from the caller
//
// A request with `X-Group` forks to two, a REGISTER gets our Path, and the callee alone is trusted (RFC 3325).

import Dialogs
import Primitives
import Proxy
import SIP

enum ProxyTarget {
    static func run(_ bytes: [UInt8]) {
        var bench = Bench()
        for step in FuzzInput(bytes).steps.prefix(32) {
            var input = FuzzInput(step)
            bench.take(input.byte(), &input)
        }
        bench.end()
    }

    private struct Bench {
        static let caller = Endpoint(address: Address(ipv4: 0x0A00_0001), port: 5_060)
        static let callee = Endpoint(address: Address(ipv4: 0x0A00_0002), port: 5_060)
        static let node = Endpoint(address: Address(ipv4: 0x0A00_0101), port: 5_060)
        static let other = Endpoint(address: Address(ipv4: 0x0A00_0102), port: 5_060)
        static let second = Endpoint(address: Address(ipv4: 0x0A00_0003), port: 5_060)
        static let recentLimit = 4
        static let statuses = [100, 180, 183, 199, 200, 202, 302, 401, 404, 407, 408, 481, 486, 487, 503, 600]
        static let methods = ["ACK", "BYE", "INVITE", "UPDATE", "PRACK", "INFO", "CANCEL", "NOTIFY"]

        var proxy: Proxy
        var dialogs: DialogTable
        var now = Instant.zero
        var commits: [CommitToken] = []
        private var questions: [ScriptQuestion] = []
        /// The last requests that were forwarded, and what the proxy put into Record-Route or Path.
        var recent: [[UInt8]] = []
        var route: [UInt8] = []
        var message = Message()
        var cSeq = 1
        var lastDID: DialogID?
        var asked: [DialogID] = []

        init() {
            var settings = ProxySettings()
            settings.listeners = [Self.node]
            settings.ownNames = [HostPort(Self.node), HostPort(Self.other)]
            let name = Array(Self.node.text.utf8)
            settings.names = [ListenerName(transport: .udp, sentBy: name, advertised: name)]
            settings.mark = 0x3f2a
            settings.memberTag = 0x1111_1111
            settings.nodeName = Array("n1".utf8)
            settings.boot = 7
            settings.contextLimit = 24
            settings.minimumSession = 120
            settings.sessionInterval = 600
            settings.trusted = [Subnet(address: Self.callee.address, prefixLength: 32)].compactMap { $0 }
            Self.addRoutes(&settings)
            let hash = KeyedHash(key0: 1, key1: 2)
            proxy = Proxy(settings: settings, hash: hash, now: now)
            proxy.neighbours.isReady = true
            proxy.neighbours.heirs.set(["n1", "n2"])
            proxy.neighbours.peers = [PeerContact(memberTag: 0x2222_2222, endpoint: Self.other, isLive: true)]
            dialogs = DialogTable(buckets: 16, hash: hash, limit: 16)
        }

        private static func addRoutes(_ settings: inout ProxySettings) {
            var group = TargetSet(
                name: "group",
                targets: [callee, second].map {
                    TargetSet.Target(uri: Array("sip:x@\($0.text)".utf8), namesUser: true, endpoint: $0)
                })
            group.policy = .parallel
            settings.targetSets = [group]
            var fork = StaticRoute(set: 0)
            fork.headers = [StaticRoute.HeaderCondition(name: Array("X-Group".utf8)) { _, _ in true }]
            var registrar = StaticRoute(set: 0)
            registrar.methods = [Array("REGISTER".utf8)]
            registrar.path = .always
            settings.routes = [fork, registrar]
        }

        mutating func take(_ choice: UInt8, _ input: inout FuzzInput) {
            switch choice & 15 {
            case 1: receive(Array(input.rest), from: Self.callee)
            case 2: receive(Array(input.rest), from: Self.other)
            case 3: answer(Int(choice >> 4), status: Self.statuses[Int(input.byte() & 15)], lines: Array(input.rest))
            case 4: advance(by: .milliseconds(250 * Int(choice >> 4)))
            case 5: commit()
            case 6: request(Self.methods[Int(input.byte() & 7)], lines: Array(input.rest))
            case 7 where choice >> 4 & 1 == 1: proxy.settings.endsLateAnswers.toggle()
            case 7: proxy.neighbours.commits.toggle()
            case 8: proxy.neighbours.peers[0].isLive.toggle()
            case 9:
                if let lastDID {
                    proxy.neighbours.frozenDialogs.insert(lastDID, until: now.advanced(by: .seconds(2)), now: now)
                }
            case 10: endDialog()
            case 11:
                let further = choice >> 2 & 0x30 | choice >> 1 & 0x40
                proxy.scriptPoints = ScriptPoints(rawValue: choice >> 4 | further)
            case 12: decide(choice >> 4, Array(input.rest))
            default: receive(Array(input.rest), from: Self.caller)
            }
        }

        /// A script's verdict on the oldest question: bytes of all kinds are taken for a message that it has changed.
        private mutating func decide(_ choice: UInt8, _ bytes: [UInt8]) {
            guard !questions.isEmpty else { return }
            let question = questions.removeFirst()
            let further = ForkTarget(requestURI: [], group: 0, candidates: [Self.second])
            let verdict: ScriptVerdict
            switch (question.point, choice & 3) {
            case (.request, 0): verdict = .request(RequestVerdict(.route, bytes: bytes))
            case (.request, 1): verdict = .request(RequestVerdict(.relay([further]), recordsRoute: false))
            case (.request, 2): verdict = .request(RequestVerdict(.answer(status: 404, reason: [], lines: [])))
            case (.request, _): verdict = .request(RequestVerdict(.drop))
            case (.branch, 0), (.response, 0), (.local, 0), (.acknowledgement, 0): verdict = .message(.drop)
            case (.branch, 1), (.response, 1), (.local, 1), (.acknowledgement, 1): verdict = .message(.goOn(bytes))
            case (.branch, _), (.response, _), (.local, _), (.acknowledgement, _): verdict = .message(.goOn([]))
            case (.final, 0), (.branchFailure, 0): verdict = .final(.best)
            case (.final, 1), (.branchFailure, 1):
                verdict = .final(.answer(status: 480, reason: [], lines: []))
            case (.final, _), (.branchFailure, _):
                verdict = .final(.retry([further], bytes: choice & 1 == 0 ? [] : bytes))
            }
            proxy.decide(question.token, verdict, now: now, dialogs: &dialogs)
            drain(mustBeValid: true, answersNothing: false)
        }

        /// The BYEs of a granted intent.
        private mutating func endDialog() {
            guard let lastDID, let payload = proxy.endingPayload(lastDID, dialogs: dialogs) else { return }
            proxy.end(lastDID, payload: payload, dialogs: &dialogs, now: now)
            drain(mustBeValid: true, answersNothing: false)
        }

        private mutating func receive(_ bytes: [UInt8], from source: Endpoint) {
            var isValid = true
            do throws(SIPParseError) {
                try message.load(RawSpan(_elements: bytes.span))
                try message.validate()
            } catch {
                isValid = false
            }
            let isAck = message.isRequest && message.method == .ack
            proxy.receive(
                RawSpan(_elements: bytes.span), from: source, on: ListenerID(rawValue: 0), ageMilliseconds: 0, now: now,
                dialogs: &dialogs)
            drain(mustBeValid: isValid, answersNothing: isAck)
        }

        /// The request that was forwarded so many before the last.
        private mutating func loadForwarded(_ before: Int = 0) -> Bool {
            guard before < recent.count else { return false }
            let bytes = recent[recent.count - 1 - before]
            return (try? message.load(RawSpan(_elements: bytes.span))) != nil
        }

        /// The answer to a request that was forwarded, from whoever got it.
        private mutating func answer(_ before: Int, status: Int, lines: [UInt8]) {
            guard loadForwarded(before) else { return }
            let toTag = before == 0 ? "bob" : "bob\(before)"
            var out = ByteWriter()
            ResponseWriter.write(
                status, to: message, toTag: status > 100 ? Array(toTag.utf8) : [], received: nil,
                extra: { $0.put(lines) }, into: &out)
            receive(out.bytes, from: Self.callee)
        }

        /// A request that follows in the dialog of the last one, through our Record-Route.
        private mutating func request(_ method: String, lines: [UInt8]) {
            guard loadForwarded(), let from = message.first(.from),
                let to = message.first(.to)
            else { return }
            let isCancel = method == "CANCEL"
            if !isCancel, method != "ACK" { cSeq += 1 }
            var out = ByteWriter()
            out.put(text: "\(method) sip:bob@10.0.0.2:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKc")
            out.put(text: "\(isCancel ? 1 : cSeq)\r\nMax-Forwards: 70\r\nFrom: ")
            out.put(message.bytes, from.value)
            out.put("\r\nTo: ")
            out.put(message.bytes, to.value)
            if !isCancel, message.toTag.isEmpty { out.put(";tag=bob") }
            out.put("\r\nCall-ID: ")
            out.put(message.bytes, message.callID)
            out.put(text: "\r\nCSeq: \(isCancel ? 1 : cSeq) \(method)\r\n")
            if !isCancel { out.put(route) }
            out.put(lines)
            out.put("\r\n")
            receive(out.bytes, from: Self.caller)
        }

        private mutating func commit() {
            let tokens = commits
            commits = []
            for token in tokens {
                proxy.committed(token, now: now, dialogs: &dialogs)
            }
            drain(mustBeValid: true, answersNothing: false)
        }

        private mutating func advance(by duration: Duration) {
            let end = now.advanced(by: duration)
            var turns = 0
            while let next = proxy.nextDeadline, next <= end {
                now = max(now, next)
                proxy.advance(to: now, dialogs: &dialogs)
                drain(mustBeValid: true, answersNothing: false)
                turns += 1
                precondition(turns < 100_000, "a proxy must not spin")
            }
            now = end
        }

        private mutating func drain(mustBeValid: Bool, answersNothing: Bool) {
            for item in proxy.effects.items {
                switch item {
                case .commit(let token): commits.append(token)
                case .put(let did), .patch(let did, _): lastDID = did
                case .ask(let question): questions.append(question)
                case .question(let did): asked.append(did)
                // A resolver that never answers.
                case .wanted, .legsEnded, .requestEnded, .referNotified, .bridgeAnswered, .bridgeFailed, .note,
                    .resolve,
                    .locate:
                    break
                }
            }
            for datagram in proxy.effects.queue.datagrams {
                let bytes = Array(proxy.effects.queue.arena.bytes[datagram.range.range])
                check(bytes, mustBeValid: mustBeValid)
                precondition(!answersNothing || message.isRequest, "nobody answers an ACK: \(bytes.shown)")
                guard message.isRequest, message.method != .cancel, message.method != .ack else { continue }
                if recent.count == Self.recentLimit { recent.removeFirst() }
                recent.append(bytes)
                if let field = message.first(.recordRoute) ?? message.first(.path) {
                    route = Array("Route: ".utf8) + message.copy(field.value) + Array("\r\n".utf8)
                }
            }
            proxy.effects.queue.removeAll()
            proxy.effects.removeAll()
            precondition(proxy.contextCount <= 24, "transactions are bounded")
            for did in asked { proxy.questionAnswered(did, now: now, dialogs: &dialogs) }
            asked = []
        }

        /// Loads what was sent into `message`.
        private mutating func check(_ bytes: [UInt8], mustBeValid: Bool) {
            do throws(SIPParseError) {
                try message.load(RawSpan(_elements: bytes.span))
                if mustBeValid { try message.validate() }
            } catch {
                // A few fields are added to what may have come with as many as are taken.
                let isFull = message.headerCount > Message.headerLimit - 4 || bytes.count > Message.sizeLimit
                precondition(!mustBeValid || isFull, "what is sent must be valid: \(error)\n\(bytes.shown)")
            }
        }

        /// Ten minutes without anybody: every transaction has timed out and is forgotten.
        mutating func end() {
            for _ in 0..<4 {
                commit()
                advance(by: .seconds(150))
            }
            precondition(proxy.contextCount == 0, "\(proxy.contextCount) transactions were kept for good")
        }
    }
}

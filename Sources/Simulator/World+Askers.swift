// Scripts and operators on several nodes ask for requests within calls that are up (`dlg_req_within`, `dlg_refer`), and
// the check that goes with them:
//
//   cseq  no phone ever sees a request of its peer's, begun after it had seen a higher number, below that number: what
//         the cluster puts between leaves room for both phones' next requests, through whichever node they go
//
// What was overtaken on its way, what a node sends on that was cut off from those who knew, and what all forgot because
// each who held the record, or who moved numbers, died, is by nature.

internal import Dialogs
internal import Node
internal import SIP

extension World {
    /// Somebody's script asks a random node for a request to a random side.
    func scriptAsks(_ call: Int) {
        let candidates = nodes.filter { $0.isRunning && !$0.isPaused }
        guard let did = truth[call].did, truth[call].confirmedAt != nil, !candidates.isEmpty else { return }
        let host = askRandom.pick(candidates)
        let side: Leg = askRandom.chance(perMille: 500) ? .caller : .callee
        let refers = askRandom.chance(perMille: 300)
        let request =
            refers
            ? DialogRequest.refer(side, to: "sip:carol@example.org", by: "sip:controller@example.org")
            : DialogRequest("INFO", to: side)
        drive(host) { node, time, out in
            do throws(DialogError) {
                try node.request(did: DialogID(rawValue: did).hex, request, now: time, into: &out)
                self.truth[call].asks += 1
                self.log("\(host.name) is asked for \(request.method) to the \(side)", call: call)
            } catch {
                self.log("\(host.name) makes no request: \(error.message)", call: call)
            }
        }
    }

    /// How such requests have ended, as a node tells.
    func note(_ events: [RequestEvent], _ host: Host) {
        for event in events {
            guard let call = truth.first(where: { $0.did.map { DialogID(rawValue: $0).hex } == event.did }) else {
                continue
            }
            call.asksEnded += 1
            noteMovers(call, event)
            log("\(host.name) tells that its \(event.method) is \(event.outcome.rawValue)", call: call.index)
        }
    }

    /// A request has been with its phone: who moves the numbers of the other one.
    private func noteMovers(_ call: CallTruth, _ event: RequestEvent) {
        guard event.outcome == .accepted || event.outcome == .failed, let did = call.did else { return }
        let sender: Leg = event.side == .caller ? .callee : .caller
        call.movers[sender] = nodes.filter { host in
            host.node.map { NodeInspection.isMoved(sender, of: did, $0) } ?? false
        }.map(\.process)
    }

    /// A phone has a request with a number below one that it has seen.
    func outOfOrder(_ phone: Phone, _ request: PhoneMessage, seen: UInt32) {
        let isKeepAlive = request.method == .options && plan.options.keepAlive
        guard truth[phone.call].asks > 0, !isKeepAlive else { return }
        ran("cseq")
        let sender = phone.role == .caller ? self.phone(.callee, of: phone.call) : caller(of: phone.call)
        let began = sender.clients.last { $0.isInDialog && $0.method == request.method }?.startedAt
        let text = "\(phone.user) has \(request.methodName) \(request.cseq) after \(seen)"
        guard let began, began > phone.remoteCSeqAt else {
            return excuse("cseq", call: phone.call, text + "; it was overtaken")
        }
        guard disturbances.isQuiet, now - disturbances.lastChange > .seconds(1) else {
            return excuse("cseq", call: phone.call, text + "; within a fault")
        }
        guard !knewAlive(truth[phone.call].dialogs.flatMap(\.holders)).isEmpty else {
            return excuse("cseq", call: phone.call, text + "; all who held the record have died")
        }
        let movers = truth[phone.call].movers[phone.role == .caller ? .callee : .caller] ?? []
        guard movers.isEmpty || movers.contains(where: { checks.isAlive($0) }) else {
            return excuse("cseq", call: phone.call, text + "; all who moved numbers have died")
        }
        violate("cseq", call: phone.call, text)
    }

    /// The number that its sender gave a request: a shift is whole steps, and no phone sends so many requests.
    func ownCSeq(_ number: UInt32, _ asker: Role, call: Int) -> UInt32 {
        let first = asker == .caller ? caller(of: call).firstCSeq : phone(.callee, of: call).firstCSeq
        guard truth[call].asks > 0, number >= first else { return number }
        return first + (number - first) % CSeqShift.step
    }

    // MARK: Tampering

    /// Since the beginning.
    package var milliseconds: Int64 { now.inMilliseconds }

    /// Takes every shift of a call's record away on every node; only a test does.
    package func tamper(forgettingShiftOf call: Int) {
        for host in hosts {
            guard let did = truth[call].did, let node = host.node, var record = NodeInspection.decoded(did, node)
            else { continue }
            record.caller.shift = 0
            for index in record.outs.indices { record.outs[index].side.shift = 0 }
            guard let bytes = try? record.encoded() else { continue }
            tamper(planting: bytes, of: call, on: host.index)
        }
    }

    /// Calls with a request of the cluster's that has ended.
    package var callsAsked: [Int] { callsInProgress.filter { truth[$0].asksEnded > 0 } }
}

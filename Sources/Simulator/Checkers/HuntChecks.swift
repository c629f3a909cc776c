// What is checked of the attempts of a hunt beyond what is checked of all calls: that each has a record of its own
// (`hunt-did`), reaches its own target (`hunt-target`, `hunt-reach`) and is told what that said (`hunt-final`), that
// one that is answered has a record as long as both phones are in it (`hunt-lost`), and that of one that has failed
// nothing is left but a tombstone (`hunt-ghost`).

internal import Dialogs
internal import SIP

extension World {
    /// An INVITE has reached its target for the first time.
    func checkTarget(_ phone: Phone, _ request: PhoneMessage) {
        let call = truth[phone.call]
        guard let hunt = call.plan.hunt else { return }
        ran("hunt-target")
        ran("hunt-did")
        if !request.requestURI.hasPrefix("sip:\(phone.user)@") {
            violate("hunt-target", call: call.index, "\(phone.user) gets an INVITE for \(request.requestURI)")
        }
        guard let did = call.did else { return }
        for other in hunt.calls where other != call.index && truth[other].did == did {
            violate("hunt-did", call: call.index, "has the record of call \(other), another attempt")
        }
    }

    /// The caller of an attempt is told that it has failed. With nothing wrong that is what its target said.
    func checkFailure(_ call: CallTruth, _ caller: Phone, _ code: Int) {
        let start = caller.inviteClient.map { caller.clients[$0].startedAt } ?? now
        guard call.cancelledAt == nil, hasBeenCalm(since: start) else {
            return looksAway("hunt-final", "cancelled, or a fault")
        }
        ran("hunt-final")
        ran("hunt-reach")
        let callee = callees(of: call.index)[0]
        if call.ringsAt == nil {
            guard code != 408 else { return }
            // Every node that was there was draining, or joining: S2-15 has nothing better to say.
            let wasTakerless = checks.takerless.contains { $0 >= start - World.sampleInterval }
            if code == 503, wasTakerless || !isAnyTaking {
                return excuse("hunt-reach", call: call.index, "it fails with 503; no node took calls")
            }
            return violate("hunt-reach", call: call.index, "it fails with \(code) and has not reached its target")
        }
        // One that was tried again as its target failed is a further attempt there, and merged (§8.2.2.2).
        let said = callee.servers.filter(\.isInitial).map(\.statusCode).filter { $0 >= 300 }
        // §16.7, step 6: a 503 is not passed on.
        guard !said.isEmpty, !said.contains(code), !(said.contains(503) && code == 500) else { return }
        violate("hunt-final", call: call.index, "its target said \(said), and the caller is told \(code)")
    }

    /// The look at every node, for one attempt.
    func look(atAttempt call: CallTruth) {
        guard let did = call.did else { return }
        checkLost(call, did)
        guard let failure = call.failure, call.confirmedAt == nil, now - failure.at > World.ghostBound,
            !callees(of: call.index)[0].isRinging, hasBeenCalm(since: failure.at)
        else { return }
        ran("hunt-ghost")
        for host in hosts {
            guard let node = host.node, let known = NodeInspection.record(did, node, host), known.state != .deleted
            else { continue }
            violate(
                "hunt-ghost", call: call.index, node: host.index,
                "has the attempt as \(known.state), which failed with \(failure.code) "
                    + "\((now - failure.at).inMilliseconds) ms ago")
        }
    }
}

extension Phone {
    /// A Route that leads to the proxy above, which it is one with.
    func isOwn(_ route: String) -> Bool {
        (plan.hunt?.recordRoutes == true || plan.habits.size != nil) && Endpoint(uriText: route) == endpoint
    }

    /// What the caller called, before any proxy looked where that is.
    var calledURI: String { plan.hunt.map { "sip:\(World.team($0.first))@example.org" } ?? inviteText.uri }

    /// The Via of the phone behind the proxy.
    var viaBehind: String {
        guard let hunt = plan.hunt else { return "" }
        return "Via: SIP/2.0/UDP 10.8.0.1:5060;branch=z9hG4bK-behind-\(hunt.first);rport\r\n"
    }
}

// A phone: one user agent of one call, speaking RFC 3261 over bytes. It knows nothing of nodes or clusters.
//
// What it does as real phones were seen to do (and not as a proxy might wish): the same INVITE by another branch gets
// 482; a lower CSeq gets 500; a request for a dialog it does not have gets 481; an answer goes where the first copy of
// the request came from; 481, 408 and silence to a request of its own end the call with a BYE (§12.2.1.2).
//
// A caller whose INVITE was answered by several acknowledges each 2xx and ends all dialogs but the first with BYE
// (§13.2.2.4).
//
// Not attempted: TCP, PRACK, authentication.

internal import SIP

final class Phone {
    let index: Int
    let call: Int
    let role: Role
    /// Which callee of its call it is; 0 for a caller.
    let place: Int
    let endpoint: Endpoint
    let user: String
    let tag: String
    let plan: CallPlan
    let behaviour: CalleePlan
    /// Where an initial INVITE goes: the balancer.
    let outbound: Endpoint

    var dialog: PhoneDialog?
    /// A caller's dialogs that were one too many.
    var surplus: [SurplusDialog] = []
    /// It takes no notice of a CANCEL; only a test makes it so.
    var isDeafToCancel = false
    var clients: [ClientTransaction] = []
    var servers: [ServerTransaction] = []
    var branches = 0

    /// The initial INVITE's client transaction, once it was started; its CSeq is drawn per call.
    var inviteClient: Int?
    let firstCSeq: UInt32
    var inviteText: (callID: String, uri: String)
    /// What its branches begin with: attempts of one hunt have the user in common.
    let branchName: String
    var wantsCancel = false
    var hasCancelled = false
    /// Highest CSeq of a 2xx that has been acknowledged.
    var acknowledged: UInt32 = 0

    init(
        index: Int, call: Int, role: Role, place: Int, endpoint: Endpoint, user: String, plan: CallPlan,
        outbound: Endpoint, firstCSeq: UInt32, callID: String, uri: String
    ) {
        self.index = index
        self.call = call
        self.role = role
        self.place = place
        self.endpoint = endpoint
        self.user = user
        tag = plan.habits.tags.tag(role, of: user, call: call)
        self.plan = plan
        behaviour = plan.callees[place]
        self.outbound = outbound
        self.firstCSeq = firstCSeq
        inviteText = (callID, uri)
        branchName = role == .caller ? "alice\(call)" : user
    }

    /// When it has seen the highest number of its peer's.
    var remoteCSeqAt: Nanoseconds = 0

    var isConfirmed: Bool { dialog?.state == .confirmed }
    /// When it falls silent for good; never, for most.
    var vanishAt: Nanoseconds = .max

    func hasVanished(at now: Nanoseconds) -> Bool { now >= vanishAt }
    var hasEnded: Bool { dialog?.state == .ended }

    func send(_ bytes: [UInt8], to destination: Endpoint, _ world: World) {
        world.send(Packet(bytes: bytes, source: endpoint, to: destination, sender: .phone(index)))
    }

    func start(_ timer: PhoneTimer, after delay: Nanoseconds, _ world: World) {
        world.schedule(.phone(index, timer), after: delay)
    }

    func receive(_ datagram: Packet, _ world: World) {
        guard !hasVanished(at: world.now) else { return }
        var problem = ""
        guard let message = PhoneMessage(datagram.bytes, parser: &world.parser, problem: &problem) else {
            world.violate("sip", call: call, "\(user) got a message it cannot read: \(problem)")
            return
        }
        if message.isRequest {
            receive(request: message, from: datagram.source, world)
        } else {
            receive(response: message, world)
        }
    }

    func timerFired(_ timer: PhoneTimer, _ world: World) {
        guard !hasVanished(at: world.now) else { return }
        switch timer {
        case .retransmit(let client): retransmit(client, world)
        case .timeout(let client): timeOut(client, world)
        case .repeatResponse(let server): repeatResponse(server, world)
        case .giveUp(let server): giveUp(server, world)
        case .answer(let server): answer(server, world)
        case .cancel: cancel(world)
        case .tryAgain: tryAgain(world)
        case .acknowledge(let cseq): acknowledge(cseq, world)
        case .again(let act): perform(act, world)
        case .hangUp: hangUp(world)
        case .hangUpSurplus(let number): hangUp(surplus: number, world)
        case .forget: forget(world)
        }
    }

    /// The call is lost, as by a restart: what asks for it gets 481 from now on.
    private func forget(_ world: World) {
        guard isConfirmed else { return }
        world.truth[call].forgotAt = world.now
        end("forgets the call", world)
    }

    /// The call is over for this side.
    func end(_ reason: String, _ world: World) {
        guard dialog != nil, dialog?.state != .ended else { return }
        dialog?.state = .ended
        world.log("\(user) ends: \(reason)", call: call)
        world.truth[call].ended(self, reason, at: world.now)
        for index in servers.indices where servers[index].request.method == .invite {
            if !servers[index].isFinal { respond(487, server: index, world) }
            // Nobody waits for the ACK of a call that is over.
            if servers[index].phase == .answered && servers[index].statusCode < 300 {
                servers[index].phase = .terminated
            }
        }
    }
}

// What a file has phones do. `through n2` names the node that a message reaches, as a balancer would choose it; without
// it a request goes through the node that the phone's last one went through, and an answer where its Via says.
//
//     alice calls bob | team        an INVITE that begins a call        bob rings | bob sends 183
//     alice sends INFO              a request within the last dialog    bob answers | bob answers 486
//     alice sends MESSAGE to bob    a request outside of a dialog       bob repeats 200, alice repeats INVITE
//     alice acks | cancels | hangs up | re-invites                      bob answers BYE by 481 from now on
//     alice talks to bob            the whole of a call, not shown      bob ignores BYE from now on
//     server forwards to bob        as a proxy behind the cluster       bob is gone | bob is back
//     server tries bob for alice    as one before it, each time anew    alice acks failure | withholds ACK
//     alice connects to n1          a connection of hers to that node   bob is tcp: is called by TCP
//     alice sends from port 40000 | omits rport | ignores routes | ignores received        as some phones do

import SIP

extension Stage {
    func perform(_ command: ScenarioCommand, by phone: StagePhone) throws {
        let (name, words) = (phone.name, Array(command.words.dropFirst()))
        switch (words.first, words.dropFirst().first) {
        case ("calls", let callee?): try call(callee, by: name, command)
        case ("talks", "to"): try talk(to: words.last ?? "", by: name, command)
        case ("rings", _): try answer(180, by: name, command)
        case ("answers", let method?) where Int(method) == nil: try setAnswer(method, words, by: name)
        case ("answers", let status): try answer(status.flatMap { Int($0) } ?? 200, by: name, command)
        case ("sends", let status?) where Int(status) != nil && words.count == 2:
            try answer(Int(status) ?? 0, by: name, command)
        case ("sends", let method?) where method != "from": try send(method, words, by: name, command)
        case ("repeats", let what?): try again(what, by: name, command)
        case ("acks", "failure"): try acknowledgeFailure(by: name, command)
        case ("acks", _): try within("ACK", by: name, command, to: words.dropFirst().first)
        case ("hangs", "up"): try within("BYE", by: name, command, to: words.dropFirst(2).first)
        case ("re-invites", _): try within("INVITE", by: name, command, to: words.dropFirst().first)
        case ("cancels", _): try cancel(by: name, command)
        case ("withholds", "ACK"): phones[name]?.leavesACK = true
        case ("is", let what?): try set(what, by: name)
        case ("ignores", "routes"): phones[name]?.ignoresRoutes = true
        case ("ignores", "received"): phones[name]?.ignoresReceived = true
        case ("ignores", let method?): phones[name]?.answers[method] = 0
        case ("sends", "from"): phones[name]?.sourcePort = words.last.flatMap { Int($0) } ?? 5060
        case ("omits", "rport"): phones[name]?.asksRport = false
        case ("connects", "to"): phones[name]?.connection = try index(of: words.last ?? "")
        case ("disconnects", _): disconnect(name)
        case ("tries", let callee?): try attempt(callee, for: words.last ?? "", by: name, command)
        case ("forwards", "to"): try forward(to: words.last ?? "", by: name, command)
        case ("asks", let node?): try ask(node, by: name)
        default: throw ScenarioError(description: "a phone cannot do that")
        }
    }

    // MARK: Requests

    private func call(_ callee: String, by name: String, _ command: ScenarioCommand) throws {
        let key = "\(name)-\(callee)"
        calls[key, default: 0] += 1
        let (number, uri) = (calls[key] ?? 1, uri(callee))
        let text = phones[name]?.request(
            "INVITE", to: uri, callID: number == 1 ? key : "\(key)-\(number)", extra: command.headers)
        try dispatch(text, by: name, command)
    }

    private func uri(_ user: String) -> String {
        user.hasPrefix("sip:") ? user : phones[user]?.uri ?? "sip:\(user)@example.org"
    }

    /// A call that is confirmed, which nobody needs to read again.
    private func talk(to callee: String, by name: String, _ command: ScenarioCommand) throws {
        transcript.isSilent = true
        defer { transcript.isSilent = false }
        try call(callee, by: name, command)
        advance(Self.pause)
        try send(try answerText(200, by: callee, command.headers), by: callee, through: nil)
        advance(Self.pause)
        try within("ACK", by: name, command, to: callee)
        guard let side = phones[name]?.sides.last, side.peer == callee else {
            throw ScenarioError(description: "the call was not answered")
        }
    }

    private func send(_ method: String, _ words: [String], by name: String, _ command: ScenarioCommand) throws {
        guard words.dropFirst(2).first == "to", let peer = words.last else {
            return try within(method, by: name, command, to: nil)
        }
        let uri = uri(peer)
        let text = phones[name]?.request(
            method, to: uri, callID: "\(name)-\(method.lowercased())", extra: command.headers)
        try dispatch(text, by: name, command)
    }

    private func within(_ method: String, by name: String, _ command: ScenarioCommand, to peer: String?) throws {
        let index = phones[name]?.sides.lastIndex { peer == nil || $0.peer == peer }
        guard let index else { throw ScenarioError(description: "\(name) has no dialog") }
        try dispatch(phones[name]?.request(method, in: index, extra: command.headers), by: name, command)
    }

    private func cancel(by name: String, _ command: ScenarioCommand) throws {
        guard let invite = phones[name]?.sent.last(where: { $0.method == "INVITE" }) else {
            throw ScenarioError(description: "\(name) has not called")
        }
        let to = invite.text.header("To")
        try dispatch(phones[name]?.request("CANCEL", of: invite.text, to: to), by: name, command)
    }

    private func acknowledgeFailure(by name: String, _ command: ScenarioCommand) throws {
        guard let failure = phones[name]?.failure else { throw ScenarioError(description: "no call of it has failed") }
        try dispatch(phones[name]?.request("ACK", of: failure.invite, to: failure.to), by: name, command)
    }

    private func again(_ what: String, by name: String, _ command: ScenarioCommand) throws {
        if let status = Int(what) { return try answer(status, by: name, command) }
        guard let request = phones[name]?.sent.last(where: { $0.method == what }) else {
            throw ScenarioError(description: "\(name) has sent no \(what)")
        }
        try dispatch(request.text, by: name, command)
    }

    /// OPTIONS to a node itself, as a balancer asks.
    private func ask(_ node: String, by name: String) throws {
        let endpoint = ClusterBench.address(try index(of: node))
        let text = phones[name]?.request("OPTIONS", to: "sip:\(endpoint.text)", callID: "\(name)-\(node)", extra: [])
        try send(text ?? "", by: name, through: node)
    }

    private func dispatch(_ text: String?, by name: String, _ command: ScenarioCommand) throws {
        let door = command.through ?? doors[name] ?? "n1"
        doors[name] = door
        try send(text ?? "", by: name, through: door)
    }

    // MARK: Answers

    private func answerText(_ status: Int, by name: String, _ headers: [String]) throws -> String {
        guard let invite = phones[name]?.invites.last else {
            throw ScenarioError(description: "nobody has called \(name)")
        }
        return phones[name]?.answer(status, to: invite, extra: headers) ?? ""
    }

    private func answer(_ status: Int, by name: String, _ command: ScenarioCommand) throws {
        try send(try answerText(status, by: name, command.headers), by: name, through: command.through)
    }

    /// What it answers to a method from now on: `answers BYE by 481`.
    private func setAnswer(_ method: String, _ words: [String], by name: String) throws {
        guard words.dropFirst(2).first == "by", let status = words.last.flatMap({ Int($0) }) else {
            throw ScenarioError(description: "say: answers \(method) by 481")
        }
        phones[name]?.answers[method] = status
    }

    // MARK: What a phone is

    private func set(_ what: String, by name: String) throws {
        switch what {
        case "gone": phones[name]?.isGone = true
        case "back": phones[name]?.isGone = false
        case "tcp": phones[name]?.prefersTCP = true
        default: throw ScenarioError(description: "a phone is gone, back, or tcp")
        }
    }

    private func disconnect(_ name: String) {
        guard let phone = phones[name], let index = phone.connection else { return }
        phones[name]?.connection = nil
        bench.close(phone.flow, of: index)
    }

    // MARK: A proxy before the cluster, or behind it

    /// One INVITE of a phone's, by a branch of the proxy's own each time.
    private func attempt(_ callee: String, for caller: String, by name: String, _ command: ScenarioCommand) throws {
        let uri = uri(callee)
        let known = phones[caller]?.sent.last { $0.method == "INVITE" }?.text
        let invite = known ?? phones[caller]?.request("INVITE", to: uri, callID: "\(caller)-\(callee)", extra: []) ?? ""
        let text = phones[name]?.forward(invite, to: uri)
        try dispatch(text, by: name, command)
    }

    private func forward(to callee: String, by name: String, _ command: ScenarioCommand) throws {
        guard let invite = phones[name]?.invites.last else {
            throw ScenarioError(description: "nobody has called \(name)")
        }
        let uri = uri(callee)
        let text = phones[name]?.forward(invite, to: uri)
        try send(text ?? "", by: name, through: command.through ?? "n1")
    }
}

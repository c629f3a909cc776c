// The module registrar, its writing half: what a REGISTER says is taken down, contacts are taken back. What is written
// is joined to the cluster's record when the run has ended or waits, before its verdict, and the verdict waits until a
// peer has it; this run sees it at once.
//
// A table is a name before the address (`LocationName`): nothing has to be configured for one.

internal import Dialogs
internal import Primitives
internal import SIP

/// The module's parameters, with its names.
package struct RegistrarParameters: Equatable, Sendable {
    package var rules = RegistrarRules()
    /// `use_domain`: addresses are `user@host`, not the user alone.
    package var usesDomain = false
    /// `append_branches`: all contacts are called, not the best alone.
    package var appendsBranches = true
    /// `xavp_cfg`: the record in which `registered_flags` finds what a contact must have.
    package var configuration: [UInt8] = []

    package init() { rules.refusesBrief = false }
}

extension RouteRun {
    package struct SaveFlags: OptionSet, Sendable {
        package var rawValue: Int

        package init(rawValue: Int) { self.rawValue = rawValue }

        /// Nobody is answered.
        static let noReply = SaveFlags(rawValue: 0x02)
        /// The contact takes the place of all others.
        static let single = SaveFlags(rawValue: 0x04)
        /// With `noReply`: the header lines of the answer are there for whoever answers.
        static let prepared = SaveFlags(rawValue: 0x10)
    }

    /// The name of the record of a URI's user; `nil` where it has none.
    func locationName(_ table: [UInt8], _ uri: [UInt8]) -> [UInt8]? {
        guard let whole = RegisterRequest.aor(uri, ByteRange(uri)), let at = whole.lastIndex(of: 0x40) else {
            return nil
        }
        return LocationName(
            table: table, address: settings.registrar.usesDomain ? whole : Array(whole[..<at])
        ).bytes
    }

    /// What is known of an address, with what this run has written.
    func location(_ name: [UInt8]) -> LocationRecord {
        var record = locations.record(of: name) ?? LocationRecord(aor: name)
        for draft in plan.registrations where draft.aor == name {
            // What does not fit is refused when it is joined for good.
            _ = try? record.join(draft)
        }
        return record
    }

    private func stamp(above record: LocationRecord) -> Stamp { Stamp(counter: record.counter + 1, tag: .max) }

    private mutating func register(_ news: LocationRecord) {
        guard !news.entries.isEmpty else { return }
        plan.registrations.append(news)
        plan.hasRegistered = true
    }

    // MARK: save

    /// `save`: takes down what a REGISTER says, for its To or another URI, and answers it unless told not to.
    /// - Returns: As the module: 1 new, 2 known, 3 taken back, 4 asked; -1, or -2 for too many contacts.
    package mutating func save(
        _ table: [UInt8], _ flags: Int, for uri: [UInt8]? = nil
    ) throws(RouteFault) -> Int {
        guard message.isRequest, point.kind == .request || point.kind == .failure else { return -1 }
        let flags = SaveFlags(rawValue: flags)
        var answer = RoutePlan.RegistrationAnswer(status: 200, lines: [])
        let result: Int
        do throws(RegistrarRefusal) {
            let request = try RegisterRequest(message)
            guard let name = locationName(table, uri ?? self.uri(.to) ?? []) else { throw .malformed }
            let outcome = try take(request, name, flags)
            answer.lines = location(name).answerLines(to: request, now: time.now)
            result = outcome.rawValue
        } catch {
            let named = error.moduleText.map { Array("P-Registrar-Error: \($0)\r\n".utf8) } ?? []
            answer = RoutePlan.RegistrationAnswer(status: error.status, lines: error.lines + named)
            result = error == .tooMany ? -2 : -1
        }
        plan.registrationStatuses.append(answer.status)
        plan.registrationAnswer = answer
        if !flags.contains(.noReply) {
            _ = try sendRegistrationReply()
        } else if flags.contains(.prepared) {
            try addReplyLines(answer.lines)
            plan.registrationAnswer = nil
        }
        return result
    }

    private mutating func take(
        _ request: RegisterRequest, _ name: [UInt8], _ flags: SaveFlags
    ) throws(RegistrarRefusal) -> Registration.Outcome {
        let known = location(name)
        var base = Binding()
        base.stamp = stamp(above: known)
        base.flags = state.branchFlags.first ?? 0
        base.registeredUnixMilliseconds = UInt64(max(0, time.microseconds / 1_000))
        // What comes by a balancer was not heard from the phone.
        if !plan.received.isEmpty, !settings.balancers.contains(point.source.address) {
            var fact = ByteWriter(capacity: 24)
            point.source.writeFact(into: &fact)
            base.received = fact.bytes
        }
        var rules = settings.registrar.rules
        rules.keepsOne = flags.contains(.single)
        rules.q = plan.registrationQ
        let registration = try Registration(request, of: known, from: base, rules, now: time.now)
        register(registration.news)
        return registration.outcome
    }

    /// `reg_send_reply`: the answer that `save` was told to keep.
    package mutating func sendRegistrationReply() throws(RouteFault) -> Bool {
        guard let answer = plan.registrationAnswer else { return false }
        plan.registrationAnswer = nil
        if !answer.lines.isEmpty { try addReplyLines(answer.lines) }
        return reply(answer.status, [], isStateful: false)
    }

    /// `set_q_override`: what the next `save` gives every contact.
    package mutating func setRegistrationQ(_ text: [UInt8]) -> Bool {
        guard let q = RouteText.leadingNumber(text), (0...1_000).contains(q) else {
            note(.error, "a q is a number of thousandths, 0 to 1000")
            return false
        }
        plan.registrationQ = UInt32(q)
        return true
    }

    /// `add_sock_hdr`: the socket that a REGISTER came in on, for a registrar behind this one.
    package mutating func addSocketHeader(_ name: [UInt8]) throws(RouteFault) -> Bool {
        guard message.isRequest, !name.isEmpty else { return false }
        var line = ByteWriter(capacity: 64)
        line.put(name)
        line.put(": ")
        line.put(point.socket.transport.lowercasedName)
        line.put(0x3A)
        point.socket.write(into: &line)
        return try appendHeader(line.bytes)
    }

    // MARK: unregister

    /// `unregister`: takes all contacts of an address back.
    /// - Returns: 1; -1 for what is no address.
    package mutating func unregister(_ table: [UInt8], _ uri: [UInt8]) -> Int {
        guard let name = locationName(table, uri.isEmpty ? self.uri(.to) ?? [] : uri) else { return -1 }
        let known = location(name)
        register(known.removals(stamp: stamp(above: known), now: time.now))
        return 1
    }

    /// `unregister_ruid`: takes one contact back, by the number that `$ulc(…=>ruid)` has of it.
    /// - Returns: 1; -1 for what is no address, -3 where it is not there.
    package mutating func unregister(_ table: [UInt8], _ uri: [UInt8], ruid: [UInt8]) -> Int {
        guard let name = locationName(table, uri) else { return -1 }
        let known = location(name)
        let news = known.removals(stamp: stamp(above: known), now: time.now) { entry in
            locations.uniqueID(of: entry.key, in: name) == ruid
        }
        guard !news.entries.isEmpty else { return -3 }
        register(news)
        return 1
    }
}

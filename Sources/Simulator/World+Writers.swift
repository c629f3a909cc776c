// Scripts on several nodes write into the records of calls that are up: a variable, a script flag and a profile, set
// and taken back, each at a random node. And the checks that go with them:
//
//   7     on every node, always, a profile is as large as the links of its live records say
//   var   what was written is so on the node that wrote it, at once, whatever others have written before; no process
//         ever goes back to an older write: a removed variable stays removed, a flag that was reset stays reset
//   ev    each call that was answered has its start and its end told; once each where nothing is wrong, with the
//         variable as it was written last

internal import Dialogs
internal import Node

/// What writers have done to one call, and what was told of it.
struct WriteTruth {
    /// The last two writes, and when they were made.
    var last: (value: String?, at: Nanoseconds)?
    var before: Nanoseconds = .min
    /// The newest write that each process has shown.
    var shown: [ProcessID: WrittenStamp] = [:]
    /// How often each kind of event was told.
    var told: [String: Int] = [:]
    var valueAtEnd: String??
}

/// The stamp of the writers' variable in a record.
struct WrittenStamp: Comparable {
    var counter: UInt64
    var node: [UInt8]

    static func < (left: WrittenStamp, right: WrittenStamp) -> Bool {
        left.counter != right.counter
            ? left.counter < right.counter : left.node.lexicographicallyPrecedes(right.node)
    }
}

extension World {
    static let writtenVariable = "w"
    static let writtenFlag = 3

    /// Somebody's script runs on a random node.
    func scriptWrites(_ call: Int) {
        let candidates = nodes.filter { $0.isRunning && !$0.isPaused }
        guard let did = truth[call].did, !candidates.isEmpty else { return }
        let host = writeRandom.pick(candidates)
        let isRemoval = writeRandom.chance(perMille: 300)
        writeCount += 1
        let value = isRemoval ? nil : "\(writeCount)"
        let profile = DialogChange.profile("caller", value: "user\(call % 3)", isMember: !isRemoval)
        let changes: [DialogChange] = [
            .variable(World.writtenVariable, value: value), .flag(World.writtenFlag, isSet: !isRemoval), profile,
            .profile("calls", value: nil, isMember: true),
        ]
        var isDone = false
        drive(host) { node, time, out in
            do throws(DialogError) {
                try node.change(did: DialogID(rawValue: did).hex, changes, now: time, into: &out)
                isDone = true
            } catch {
                self.log("\(host.name) cannot write: \(error.message)", call: call)
            }
        }
        guard isDone else { return }
        log("\(host.name) writes \(value ?? "nothing any more")", call: call)
        truth[call].writes.before = truth[call].writes.last?.at ?? .min
        truth[call].writes.last = (value, now)
        judgeWrite(of: call, value, on: host)
    }

    func judgeWrite(of call: Int, _ value: String?, on host: Host) {
        guard let did = truth[call].did, let node = host.node, let found = NodeInspection.written(did, node) else {
            return
        }
        guard found.value != value || found.isFlagSet != (value != nil) || found.isMember != (value != nil) else {
            return
        }
        violate(
            "var", call: call, node: host.index,
            "wrote \(value ?? "nothing"), and has \(found.value ?? "nothing"), flag \(found.isFlagSet), "
                + "profile \(found.isMember)")
    }

    /// The look at what writers have done, with every other look at the nodes.
    func lookAtWrites() {
        guard !plan.writes.isEmpty else { return }
        for host in hosts {
            guard let node = host.node else { continue }
            ran("7")
            let mark = NodeInspection.profileMark(node)
            guard checks.profilesSeen[host.process] != mark else { continue }
            checks.profilesSeen[host.process] = mark
            if let difference = NodeInspection.profileDifference(node) {
                violate("7", node: host.index, difference)
            }
            // What nobody has written has no stamp.
            for call in truth where call.writes.last != nil {
                guard let did = call.did, let found = NodeInspection.written(did, node), let stamp = found.stamp else {
                    continue
                }
                ran("var")
                if let before = call.writes.shown[host.process], stamp < before {
                    violate("var", call: call.index, node: host.index, "went back to an older write")
                }
                call.writes.shown[host.process] = stamp
            }
        }
    }

    /// Events that a node has told.
    func note(_ events: [LifeEvent], _ host: Host) {
        for event in events {
            guard let call = truth.first(where: { $0.did.map { DialogID(rawValue: $0).hex } == event.dialog.did })
            else { continue }
            log("\(host.name) tells \(event.kind.rawValue)", call: call.index)
            call.writes.told[event.kind.rawValue, default: 0] += 1
            if event.kind == .end {
                call.writes.valueAtEnd = .some(
                    event.dialog.variables.first { $0.key == World.writtenVariable }?.value)
            }
        }
    }

    /// How long after the end of a dialog somebody has told it: the settle time, and a change of actors.
    static let tellingLimit = Nanoseconds.seconds(5)

    func judgeEvents(_ call: CallTruth) {
        // An end is told when the settle time is over, by whoever is the actor then.
        guard !plan.writes.isEmpty, call.plan.isPlain, call.confirmedAt != nil, let known = call.endKnownAt,
            now - known > World.tellingLimit
        else { return }
        ran("ev")
        // Cut off from who knows the answer, an heir ends the call as one that failed, and tells that of it: the
        // tombstone, which both sides share afterwards, has nothing left to tell.
        let failed = call.writes.told["failed"] ?? 0
        for kind in ["start", "end"] {
            let count = call.writes.told[kind] ?? 0
            if count == 0, failed == 0 {
                untold("ev", call, knewAlive(call.endKnowers), "its \(kind) was told by nobody")
            } else if count > 1, plan.isCalm {
                violate("ev", call: call.index, "its \(kind) was told \(count) times with nothing wrong")
            }
        }
        guard plan.isCalm, let last = call.writes.last, let told = call.writes.valueAtEnd else { return }
        let isAlone = last.at - max(call.writes.before, 0) > .milliseconds(100)
        if isAlone, told != last.value {
            violate(
                "ev", call: call.index, "its end had \(told ?? "nothing"), last written was \(last.value ?? "nothing")")
        }
    }

    // MARK: Tampering

    /// A dialog too many in a profile of one node; only a test does.
    package func tamper(miscountingOn host: Int) {
        drive(hosts[host]) { node, _, _ in node.miscountProfile("calls") }
    }

    /// The checkers believe that a node wrote this; only a test does.
    package func tamper(pretendingWriteOf call: Int, on host: Int) { judgeWrite(of: call, "never", on: hosts[host]) }

    /// The checkers have heard an event once more, or never; only a test does.
    package func tamper(hearing kind: String, of call: Int, times: Int) {
        truth[call].writes.told[kind, default: 0] += times
    }

    /// Calls that writers have written to and that are up.
    package var callsWritten: [Int] { callsInProgress.filter { truth[$0].writes.last != nil } }
}

// Reports as the JSON of `cluster.*` and of `--json` (Methods, "What the commands ask"). Names are lower case with
// underscores and the unit last; times in seconds have three decimals. A dialog of a list is flat, without objects
// inside, so that line and pattern tools can pick fields out of a long list; `show` gives everything.

package import Node

extension DialogCounts {
    package var json: JSONValue {
        [
            "unconfirmed": .count(unconfirmed), "early": .count(early),
            "confirmed_na": .count(confirmedNotAcknowledged), "confirmed": .count(confirmed),
            "deleted": .count(deleted), "held": .count(held), "acting": .count(acting),
        ]
    }
}

extension MemberReport {
    package var json: JSONValue {
        [
            "name": .string(name), "state": .string(state), "incarnation": .count(incarnation), "bus": .string(bus),
            "url": .string(managementURL), "version": .string(version), "self": .bool(isSelf),
            "in_view": .bool(isInView), "fit": .bool(isFit), "witness": .bool(isWitness),
            "differs": .texts(differs), "listed": .bool(isListed), "gone": .bool(isProvenGone),
            "silent_s": .seconds(milliseconds: silentMilliseconds),
            "lag_frames": .count(lagFrames), "lag_ms": .count(lagMilliseconds), "applied": .count(applied),
            "acknowledged": .count(acknowledged),
        ]
    }
}

extension TargetReport {
    package var json: JSONValue {
        [
            "set": .string(set), "uri": .string(uri), "policy": .string(policy), "state": .string(state),
            "probed": .bool(isProbed), "changed_s": .seconds(milliseconds: changedMilliseconds),
            "streak": .count(streak), "probes": .count(probes), "requests": .count(requests),
            "silences": .count(silences),
        ]
    }
}

extension StrangerReport {
    package var json: JSONValue { ["name": .string(name), "silent_s": .seconds(milliseconds: silentMilliseconds)] }
}

extension SealingReport {
    package var json: JSONValue {
        [
            "sending": .string(sending), "held": .texts(held),
            "members": .array(
                members.map { member in
                    [
                        "name": .string(member.name), "sending": .string(member.sending),
                        "held": .texts(member.held),
                    ]
                }),
        ]
    }
}

extension StorageReport {
    package var json: JSONValue {
        [
            "state": .string(state), "mode": .count(mode), "lag_records": .count(lagRecords),
            "lag_s": .seconds(milliseconds: lagMilliseconds), "failing": .bool(isFailing),
            "held_back": .count(heldBack), "loaded": .count(loaded),
        ]
    }
}

extension StatusReport {
    package var json: JSONValue {
        [
            "node": .string(node), "cluster": .string(cluster), "version": .string(version),
            "commit": .string(commit), "build": .string(build), "state": .string(state),
            "incarnation": .count(incarnation), "ready": .bool(notReadyReason.isEmpty),
            "not_ready_reason": .string(notReadyReason), "waiting": .string(waiting), "quorum": .string(quorum),
            "epoch": .count(epoch),
            "view": .texts(view), "dialogs": dialogs.json, "members": .array(members.map(\.json)),
            "strangers": .array(strangers.map(\.json)), "sealing": sealing?.json ?? .null,
            "targets": .array(targets.map(\.json)), "transactions": .count(openTransactions),
            "invites": .count(openInvites), "unacknowledged": .count(unacknowledged),
            "relayed": .count(openRelays), "storage": storage?.json ?? .null,
            "script": script.map { ["file": .string($0.file), "version": .string($0.version)] } ?? .null,
            "uptime_s": JSONValue.seconds(milliseconds: uptimeMilliseconds),
        ]
    }
}

extension JSONValue {
    package static func seconds(milliseconds: Int64) -> JSONValue { .number(Double(milliseconds) / 1_000) }

    package static func digest(_ value: UInt64) -> JSONValue {
        let digits = String(value, radix: 16)
        return .string(String(repeating: "0", count: 16 - digits.count) + digits)
    }
}

extension SideReport {
    var json: JSONValue {
        [
            "cseq": .count(cseq), "contact": .string(contact), "routes": .string(routes),
            "endpoint": .string(endpoint),
        ]
    }
}

extension DialogReport {
    /// Flat, for lists.
    package var summary: JSONValue {
        .object([
            .init("did", .string(did)), .init("call_id", .string(callID)), .init("from_tag", .string(fromTag)),
            .init("to_tag", .string(toTag)), .init("state", .string(state)), .init("home", .string(home)),
            .init("actor", .string(actor)), .init("remaining_s", remaining),
            .init("age_s", .seconds(milliseconds: ageMilliseconds)),
            .init("from", .string(from)), .init("to", .string(to)), .init("outs", .count(outs.count)),
        ])
    }

    /// Everything, for one dialog.
    package var json: JSONValue {
        guard case .object(var members) = summary else { return summary }
        members.removeAll { $0.name == "outs" }
        members += [
            .init("outs", .array(outs.map(\.json))), .init("caller", caller.json),
            .init("request_uri", .string(requestURI)), .init("invite_cseq", .count(inviteCSeq)),
            .init("generation", .count(deadlineGeneration)), .init("deadline_ms", .count(deadlineMilliseconds)),
            .init("lifetime_ms", .count(lifetimeMilliseconds)), .init("session_timer", .bool(hasSessionTimer)),
            .init("end", end.json), .init("pendings", .array(pendings.map(\.json))),
            .init("flags", .texts(flags)), .init("variables", Self.pairs(variables)),
            .init("profiles", Self.pairs(profiles)), .init("script_flags", .texts(scriptFlagNames)),
            .init("properties", .texts(properties)), .init("born_unix_ms", .count(bornUnixMilliseconds)),
            .init("answered_ms", .count(answeredMilliseconds)), .init("ended_ms", .count(endedMilliseconds)),
            .init("bucket", .count(bucket)), .init("bytes", .count(bytes)),
            .init("digest", .digest(digest)), .init("changed_ms", .count(changedMilliseconds)),
        ]
        return .object(members)
    }

    /// The numbers of `dlg_setflag`.
    private var scriptFlagNames: [String] { (0..<32).filter { scriptFlags & 1 << UInt32($0) != 0 }.map { "\($0)" } }

    private var remaining: JSONValue { remainingMilliseconds.map { .seconds(milliseconds: $0) } ?? .null }

    private static func pairs(_ stamped: [StampedReport]) -> JSONValue {
        .array(stamped.map { ["key": .string($0.key), "value": .string($0.value)] })
    }
}

extension DialogEnd {
    package var json: JSONValue {
        ["phase": .string(phase.rawValue), "cause": .string(cause.rawValue), "answered": .bool(isAnswered)]
    }
}

extension OutReport {
    var json: JSONValue {
        guard case .object(let sideMembers) = side.json else { return side.json }
        return .object(
            [.init("to_tag", .string(toTag)), .init("state", .string(state))] + sideMembers + [
                .init("acked_cseq", .count(acknowledged)), .init("holds_answer", .bool(holdsAnswer)),
            ])
    }
}

extension PendingReport {
    var json: JSONValue {
        [
            "branch": .string(branch), "leg": .string(leg), "cseq": .count(cseq), "progress": .texts(progress),
            "target": .string(target),
        ]
    }
}

extension DigestReport {
    func json(from: Int, count: Int) -> JSONValue {
        [
            "node": .string(node), "incarnation": .count(incarnation), "root": .digest(root), "live": .count(live),
            "size": .count(buckets.count),
            "buckets": .array(buckets.dropFirst(from).prefix(count).map { .digest($0) }),
        ]
    }
}

extension BucketReport {
    package var json: JSONValue { ["bucket": .count(bucket), "records": .array(records.map(\.json))] }
}

extension RecordDigest {
    var json: JSONValue {
        [
            "did": .string(did), "call_id": .string(callID), "state": .string(state), "digest": .digest(digest),
            "changed_ms": .count(changedMilliseconds),
        ]
    }
}
